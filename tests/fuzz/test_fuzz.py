"""Whatever comes in is answered, and what is refused changes nothing (I-21, I-23, I-26; T-02, T-18, T-41, T-44, T-45).

Seconds here; `make fuzz` goes on for minutes, with other requests each time, and tries every other property with new examples.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import given
from hypothesis import strategies as st

from rollbook.app import Application, running
from rollbook.protocol import urns
from rollbook.protocol.errors import ScimError
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.match import matches
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resolve import resolve
from rollbook.settings import Settings
from rollbook.storage.documents import view
from rollbook.testing.asgi import AsgiCaller, Response

TOKEN = "the-token-of-these-tests"
BASE = "/scim/v2"


@dataclass(frozen=True)
class Server:
    """A server in its own thread, with a few people in it."""

    portal: BlockingPortal
    application: Application
    ids: tuple[str, ...]

    def call(
        self, method: str, target: str, body: Any = None, token: str | None = TOKEN, **headers: str
    ) -> Response:
        """Send one request."""
        caller = AsgiCaller(self.application.asgi, token)
        return self.portal.call(lambda: caller(method, target, body, headers))

    def documents(self) -> dict[str, Any]:
        """Every user as filters look at it, by id."""
        kind = self.application.tenant.catalog.resource_type("User")
        assert kind is not None
        found: dict[str, Any] = {}
        self.portal.call(
            lambda: self.application.store.scan(
                1, [(kind, None)], lambda of, record: found.update({record.id: view(record, of)})
            )
        )
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all; what it holds is whole at the end."""
    path = tmp_path_factory.mktemp("fuzz") / "store.db"
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        settings = Settings(database=f"sqlite:///{path}", bootstrap_token=TOKEN)
        application = stack.enter_context(portal.wrap_async_context_manager(running(settings)))
        made = Server(portal, application, ())
        ids = [made.call("POST", f"{BASE}/Users", person(number)).json["id"] for number in range(6)]
        group = {"schemas": [urns.GROUP], "displayName": "g", "members": [{"value": ids[0]}]}
        ids.append(made.call("POST", f"{BASE}/Groups", group).json["id"])
        yield Server(portal, application, tuple(ids))
        assert portal.call(application.store.check) == []


def person(number: int) -> dict[str, Any]:
    """A user with something of every kind."""
    return {
        "schemas": [urns.USER],
        "userName": f"u{number}",
        "name": {"givenName": "Ann", "familyName": f"L{number}"},
        "active": number % 2 == 0,
        "title": ["A", "b", None][number % 3],
        "emails": [{"value": f"u{number}@x.example", "type": "work", "primary": True}],
    }


WORDS = [
    "userName", "name.givenName", "emails", "emails.value", 'emails[type eq "work"].value', "title", "active", "meta.created", "groups",
    "members", "id", "password", "__class__", "constructor", "urn:ietf:params:scim:schemas:core:2.0:User:userName", "schemas", "x" * 300,
    "eq", "ne", "co", "sw", "ew", "pr", "gt", "ge", "lt", "le", "and", "or", "not", "(", ")", "[", "]", '"', '"a"', '"u1"', '"\\u0000"',
    "true", "false", "null", "1", "-1e9", "1e999", "", " ", "%", "_", "\\", "\x00", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    "ſ", "İ", "ß", "𝔘", "\u202e", "add", "replace", "remove", "path", "value", "op", "Operations",
]  # fmt: skip
TEXT = st.one_of(st.sampled_from(WORDS), st.text(max_size=12))
FILTER = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)
OPERATION = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "replace", "remove", "Add", "move"])},
    optional={"path": st.one_of(TEXT, FILTER), "value": JSON},
)
BODY = st.one_of(
    st.binary(max_size=40),
    JSON.map(lambda value: json.dumps(value).encode("utf-8", "replace")),
    st.lists(OPERATION, max_size=3).map(lambda of: {"schemas": [urns.PATCH_OP], "Operations": of}),
    st.dictionaries(st.sampled_from(list(person(1))), JSON, max_size=5),
    st.dictionaries(TEXT, JSON, max_size=3).map(
        lambda one: {"schemas": [urns.BULK_REQUEST], "Operations": [one]}
    ),
    st.tuples(st.integers(1, 400), st.sampled_from(["[", '{"a":', "("])).map(
        lambda of: (of[1] * of[0]).encode()
    ),
)
METHOD = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
PLACE = st.sampled_from(
    ["Users", "Groups", "Bulk", "Me", ".search", "Users/.search", "Schemas", "ResourceTypes", "x", ""]
)
QUERY = st.dictionaries(
    st.sampled_from(
        [
            "filter",
            "sortBy",
            "sortOrder",
            "startIndex",
            "count",
            "cursor",
            "attributes",
            "excludedAttributes",
            "x",
        ]
    ),
    st.one_of(TEXT, FILTER),
    max_size=3,
)


def plausible(answer: Response) -> None:
    """Whether an answer is one that a server may give to anything at all."""
    assert answer.status < 500 or answer.status == 501, answer
    assert not any("\r" in value or "\n" in value for value in answer.headers.values())
    assert b"Traceback" not in answer.body
    if answer.body:
        found = answer.json
        if answer.status >= 400:
            assert found["schemas"] == [urns.ERROR]
            assert found["status"] == str(answer.status)


@given(
    METHOD,
    PLACE,
    st.one_of(st.none(), TEXT, st.integers(0, 6)),
    QUERY,
    BODY,
    st.sampled_from(["", '"x"', "*", 'W/"1"']),
)
def test_i_21_any_request_is_answered(
    server: Server,
    method: str,
    place: str,
    within: str | int | None,
    query: dict[str, str],
    body: Any,
    version: str,
) -> None:
    """Any method, path, query and body: an answer of SCIM, never a 500, and errors that say their status."""
    own = server.ids[within] if isinstance(within, int) else within
    path = f"{BASE}/{place}" + ("" if own is None else f"/{quote(own.encode('utf-8', 'replace'), safe='')}")
    words = "&".join(f"{name}={quote(value.encode('utf-8', 'replace'))}" for name, value in query.items())
    if method == "DELETE" and isinstance(within, int):
        method = "GET"  # these people are needed further on
    if isinstance(body, dict):
        body = json.dumps(body).encode("utf-8", "replace")
    headers = {"if-match": version} if version else {}
    plausible(server.call(method, f"{path}?{words}" if words else path, body, **headers))


@given(FILTER)
def test_t_44_a_filter_is_refused_or_meant(server: Server, text: str) -> None:
    """400, or exactly those whom the reference finds: never all, and never the first part only."""
    kind = server.application.tenant.catalog.resource_type("User")
    assert kind is not None
    answer = server.call("GET", f"{BASE}/Users?filter={quote(text)}&count=1000")
    plausible(answer)
    try:
        condition = resolve(parse_filter(text, Leniency()), kind, Leniency())
    except ScimError:
        assert answer.status == 400
        return
    if answer.status == 200:
        wanted = {own for own, document in server.documents().items() if matches(condition, document)}
        assert {one["id"] for one in answer.json.get("Resources", ())} == wanted


@given(st.lists(OPERATION, min_size=1, max_size=3), st.integers(0, 5))
def test_i_23_a_refused_patch_changes_nothing(server: Server, operations: list[Any], which: int) -> None:
    """All operations of a PATCH or none: what is refused leaves version and document as they were."""
    there = f"{BASE}/Users/{server.ids[which]}"
    before = server.call("GET", there)
    body = json.dumps({"schemas": [urns.PATCH_OP], "Operations": operations}).encode("utf-8", "replace")
    answer = server.call("PATCH", there, body)
    plausible(answer)
    after = server.call("GET", there)
    assert after.status == 200
    if answer.status >= 400:
        assert (after.headers["etag"], after.body) == (before.headers["etag"], before.body)
    assert after.json["id"] == server.ids[which]


@given(st.data())
def test_t_18_a_changed_cursor_is_none(server: Server, data: st.DataObject) -> None:
    """Whatever letter is another, cut off or added: 400, in one and the same words."""
    found = server.call("GET", f"{BASE}/Users?cursor&count=2").json["nextCursor"]
    place = data.draw(st.integers(0, len(found) - 1))
    letter = data.draw(st.sampled_from("Aa0-_.~é"))
    changed = data.draw(
        st.sampled_from(
            [found[:place] + letter + found[place + 1 :], found[:place], found + letter, letter + found]
        )
    )
    if changed in {found, ""}:
        return
    answer = server.call("GET", f"{BASE}/Users?cursor={quote(changed)}&count=2")
    assert (answer.status, answer.json["scimType"]) == (400, "invalidCursor")


@given(st.data())
def test_t_02_a_changed_token_is_none(server: Server, data: st.DataObject) -> None:
    """A token that is nearly right is none: 401, and no more is told."""
    place = data.draw(st.integers(0, len(TOKEN) - 1))
    changed = data.draw(
        st.sampled_from(
            [
                TOKEN[:place] + "X" + TOKEN[place + 1 :],
                TOKEN[:place],
                TOKEN + "x",
                TOKEN.upper(),
                f"{TOKEN} {TOKEN}",
            ]
        )
    )
    answer = server.call("GET", f"{BASE}/Users", token=changed)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_fuzzer_reaches_the_server(server: Server) -> None:
    """What is drawn are requests that are also carried out, or nothing would be tried."""
    assert server.call("GET", f"{BASE}/Users").json["totalResults"] >= 6
    assert Path(server.application.store.database.name).is_file()
