"""`rollbook.client` against a scripted service in the same process."""

import subprocess
import sys
from contextlib import nullcontext

import orjson
import pytest

from rollbook.client import Basic, ScimClient
from rollbook.protocol import errors
from rollbook.testing.asgi_transport import AsgiTransport
from rollbook.testing.scripted_target import Answer, Fault, Profile, ScriptedTarget, error, html

pytestmark = pytest.mark.anyio

BASE = "http://127.0.0.1:1/v2"
ADA = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada"}


def client_of(target: ScriptedTarget, base_url: str = BASE) -> ScimClient:
    """A client whose requests end in `target`."""
    return ScimClient(base_url, "secret", transport=AsgiTransport(target))


async def test_create_get_replace_patch_delete() -> None:
    """The life of a resource goes through the five methods, each with its result."""
    target = ScriptedTarget()
    async with client_of(target) as client:
        created = await client.create("/Users", ADA)
        read = await client.get("/Users", created.id)
        replaced = await client.replace("/Users", created.id, {**ADA, "title": "Dr"})
        patched = await client.patch(
            "/Users", created.id, [{"op": "replace", "path": "title", "value": "Prof"}], if_match='W/"1"'
        )
        await client.delete("/Users", created.id)
        with pytest.raises(errors.NotFound):
            await client.get("/Users", created.id)
    assert read.body["userName"] == "ada"
    assert replaced is not None
    assert replaced.body["title"] == "Dr"
    assert patched is not None
    assert patched.body["title"] == "Prof"
    assert target.requests[3].headers["if-match"] == 'W/"1"'
    assert target.requests[3].body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]


async def test_c_1_05_and_c_3_01_headers() -> None:
    """Every request carries our name, a fresh id, the token and SCIM's media type."""
    target = ScriptedTarget()
    async with client_of(target) as client:
        await client.create("/Users", ADA)
        await client.create("/Users", {**ADA, "userName": "grace"})
    first, second = (request.headers for request in target.requests)
    assert first["user-agent"].startswith("Rollbook/")
    assert first["authorization"] == "Bearer secret"
    assert first["content-type"] == "application/scim+json"
    assert first["accept"].startswith("application/scim+json")
    assert first["x-request-id"] != second["x-request-id"]


async def test_basic_authentication() -> None:
    """User name and password go out as RFC 7617 has them."""
    target = ScriptedTarget()
    async with ScimClient(BASE, Basic("ünal", "p:w"), transport=AsgiTransport(target)) as client:
        await client.create("/Users", ADA)
    assert target.requests[0].headers["authorization"] == "Basic w7xuYWw6cDp3"


@pytest.mark.parametrize(
    "base_url",
    [
        "ftp://x/v2",
        "x/v2",
        "https://user:pw@x/v2",
        "https://x/v2?a=b",
        "http://example.com/v2",
        "https:///v2",
    ],
)
def test_c_1_01_c_1_02_refused_base_urls(base_url: str) -> None:
    """A URL that credentials must not go to, or that holds some, is refused before any request."""
    with pytest.raises(ValueError, match="base URL"):
        ScimClient(base_url, "secret", transport=AsgiTransport(ScriptedTarget()))


def test_insecure_http_is_a_choice() -> None:
    """Plain HTTP to another machine has to be asked for by name."""
    ScimClient(
        "http://example.com/v2", "secret", transport=AsgiTransport(ScriptedTarget()), insecure_http=True
    )


ANSWERS: list[tuple[str, Answer, type[errors.ScimError]]] = [
    ("scim-400-filter", error(400, "no", "invalidFilter"), errors.InvalidFilter),
    ("scim-400-unknown-type", error(400, "no", "ourOwn"), errors.RequestError),
    ("scim-400-plain", error(400, "no"), errors.RequestError),
    ("scim-400-value", error(400, "no", "invalidValue"), errors.InvalidValue),
    ("scim-403-sensitive", error(403, "no", "sensitive"), errors.Sensitive),
    ("scim-404", error(404, "no"), errors.NotFound),
    ("scim-409", error(409, "no", "uniqueness"), errors.Uniqueness),
    ("scim-409-plain", error(409, "no"), errors.Conflict),
    ("scim-409-wrong-type", error(409, "no", "invalidValue"), errors.Conflict),
    ("scim-412", error(412, "no"), errors.PreconditionFailed),
    ("scim-413", error(413, "no"), errors.PayloadTooLarge),
    ("scim-501", error(501, "no"), errors.UnsupportedFeature),
    ("scim-418-unknown-status", error(418, "no"), errors.RequestError),
    ("c-4-04-integer-status", Answer(404, {"status": 404, "detail": "gone"}), errors.NotFound),
    (
        "c-4-02-case",
        Answer(404, {"Schemas": ["URN:ietf:params:scim:api:messages:2.0:Error"]}),
        errors.NotFound,
    ),
    ("fe-06-html-404", html(404), errors.TargetRefused),
    ("fe-06-empty-404", Answer(404), errors.TargetRefused),
    ("fe-06-framework-404", Answer(404, {"detail": "Not Found"}), errors.TargetRefused),
    ("fe-06-gateway-404", Answer(404, {"message": "no route"}), errors.TargetRefused),
    ("fe-06-spring-404", Answer(404, {"status": 404, "error": "Not Found"}), errors.TargetRefused),
    ("fe-06-html-403", html(403), errors.TargetRefused),
    ("fe-06-html-200", html(200), errors.TargetRefused),
    ("fe-06-text-200", Answer(200, text="hello"), errors.TargetRefused),
    ("fe-06-html-400", html(400), errors.TargetRefused),
    ("fe-06-empty-400", Answer(400), errors.TargetRefused),
    ("t-65-deep-json", Answer(200, text="[" * 5000 + "]" * 5000), errors.TargetRefused),
    ("empty-200", Answer(200), errors.TargetRefused),
    ("array-200", Answer(200, [1]), errors.TargetRefused),
    ("no-id", Answer(200, {"userName": "ada"}), errors.TargetRefused),
    ("html-401", html(401), errors.Unauthorized),
    ("empty-403", Answer(403), errors.Forbidden),
    ("empty-405", Answer(405), errors.MethodNotAllowed),
    ("429", error(429, "slow down"), errors.TargetUnavailable),
    ("html-500", html(500), errors.TargetUnavailable),
    ("scim-503", error(503, "later"), errors.TargetUnavailable),
    ("408", Answer(408), errors.TargetUnavailable),
    (
        "redirect-away",
        Answer(308, headers={"location": "https://evil.example/v2/Users/1"}),
        errors.TargetRefused,
    ),
    ("redirect-nowhere", Answer(308, headers={"location": "http://[::1/v2"}), errors.TargetRefused),
    ("redirect-no-port", Answer(307, headers={"location": "http://127.0.0.1:x/v2"}), errors.TargetRefused),
    ("redirect-302", Answer(302, headers={"location": "/login"}), errors.TargetRefused),
    ("redirect-loop", Answer(307, headers={"location": "/v2/Users/2"}), errors.TargetRefused),
]


@pytest.mark.parametrize(("answer", "kind"), [row[1:] for row in ANSWERS], ids=[row[0] for row in ANSWERS])
async def test_c_8_answers_become_errors(answer: Answer, kind: type[errors.ScimError]) -> None:
    """Each answer is exactly one class; only a SCIM Error says that a resource is gone (C-8-03, FE-06)."""
    target = ScriptedTarget()
    target.faults.append(Fault("GET", "/Users/", answer, times=9))
    async with client_of(target) as client:
        with pytest.raises(errors.ScimError) as raised:
            await client.get("/Users", "1")
    assert type(raised.value) is kind


async def test_no_answer_may_pass() -> None:
    """A broken connection is a `TargetUnavailable` without a status."""
    target = ScriptedTarget()
    target.faults.append(Fault("GET", "/Users/"))
    async with client_of(target) as client:
        with pytest.raises(errors.TargetUnavailable) as raised:
            await client.get("/Users", "1")
    assert raised.value.http_status is None


async def test_c_8_04_the_services_words_are_kept() -> None:
    """The detail of a SCIM Error reaches the caller, cut to a length people read."""
    target = ScriptedTarget()
    target.faults.append(Fault("GET", "/Users/", error(400, "x" * 5000, "invalidValue")))
    async with client_of(target) as client:
        with pytest.raises(errors.InvalidValue) as raised:
            await client.get("/Users", "1")
    assert raised.value.detail == "x" * 300


async def test_c_1_08_redirect_within_the_origin_is_followed() -> None:
    """308 to the same origin keeps method, body and credentials."""
    target = ScriptedTarget()
    target.faults.append(Fault("POST", "/Users", Answer(308, headers={"location": "/v2/Users/"})))
    async with client_of(target) as client:
        created = await client.create("/Users", ADA)
    assert created.body["userName"] == "ada"
    assert target.requests[1].headers["authorization"] == "Bearer secret"
    assert target.requests[1].body == ADA


class Renewable:
    """Tokens in order, the next one after each 401."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)

    async def header(self) -> str:
        return f"Bearer {self._tokens[0]}"

    async def renew(self) -> bool:
        del self._tokens[0]
        return True


async def test_c_1_04_one_refresh_after_401() -> None:
    """After a 401 the credentials are renewed once, and the call is made again once."""
    target = ScriptedTarget(Profile(token="new"))
    async with ScimClient(BASE, Renewable("old", "new"), transport=AsgiTransport(target)) as client:
        await client.create("/Users", ADA)
        assert len(target.requests) == 2
    async with ScimClient(BASE, Renewable("old", "older", "new"), transport=AsgiTransport(target)) as client:
        with pytest.raises(errors.Unauthorized):
            await client.get("/Users", "1")
    assert len(target.requests) == 4


async def test_c_4_07_created_without_a_body() -> None:
    """A 201 without a body is read by its Location; without one the outcome has to be looked up."""
    target = ScriptedTarget(Profile(silent_create=True))
    place = Answer(201, headers={"location": "/v2/Users/remote-1"})
    target.faults.append(Fault("POST", "/Users", place, commits=True))
    async with client_of(target) as client:
        created = await client.create("/Users", ADA)
        assert (created.id, created.body["userName"]) == ("remote-1", "ada")
        with pytest.raises(errors.TargetUnavailable, match="under which id"):
            await client.create("/Users", {**ADA, "userName": "grace"})


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("http://127.0.0.1:1/v2/Users/7", "http://127.0.0.1:1/v2/Users/7"),
        ('"Users/7"', "http://127.0.0.1:1/v2/Users/7"),
        ("/v2/Users/7", "http://127.0.0.1:1/v2/Users/7"),
        ("https://elsewhere.example/v2/Users/7", None),
        (7, None),
        ("http://127.0.0.1:port/v2/Users/7", None),
        ("http://127.0.0.1:99999/v2/Users/7", None),
        ("http://[::1/v2/Users/7", None),
        ("//[/Users/7", None),
    ],
)
async def test_c_4_09_location(location: object, expected: str | None) -> None:
    """Locations are completed and unquoted; those of another origin are dropped."""
    target = ScriptedTarget()
    remote_id = target.add("Users", {**ADA, "META": {"Location": location, "version": 'W/"3"'}})
    async with client_of(target) as client:
        found = await client.get("/Users", remote_id)
    assert (found.location, found.version) == (expected, 'W/"3"')


@pytest.mark.parametrize("value", ['a"b', "a\\b", "ü & ö=?#", "a' or 1 eq 1", "x\n y", "100%"])
async def test_c_3_05_filter_literals_are_escaped(value: str) -> None:
    """Whatever a value holds, the filter asks for exactly that value."""
    target = ScriptedTarget()
    target.add("Users", {"userName": value})
    target.add("Users", {"userName": "somebody"})
    async with client_of(target) as client:
        found = await client.find("/Users", {"userName": value})
    assert [item.body["userName"] for item in found] == [value]
    assert target.requests[0].query["filter"] == f"userName eq {orjson.dumps(value).decode()}"


async def test_c_5_03_ignored_filter_finds_nobody_else() -> None:
    """A service that ignores filters and answers with everybody leads to nobody but the one asked for."""
    target = ScriptedTarget(Profile(ignores_filters=True))
    for name in ("ada", "grace", "ADA.2"):
        target.add("Users", {"userName": name, "externalId": name})
    async with client_of(target) as client:
        assert await client.find("/Users", {"userName": "alan"}) == ()
        (found,) = await client.find("/Users", {"userName": "GRACE"})
        assert await client.find("/Users", {"externalId": "GRACE"}, exact=True) == ()
        both = await client.find("/Users", {"userName": "grace", "externalId": "ada"})
    assert found.body["userName"] == "grace"
    assert both == ()


async def test_c_4_08_scim_404_on_a_list_is_empty() -> None:
    """A SCIM 404 on a search means nobody; an HTML 404 means nothing at all."""
    target = ScriptedTarget()
    target.faults.append(Fault("GET", "/Users", error(404, "no match")))
    target.faults.append(Fault("GET", "/Users", html(404)))
    async with client_of(target) as client:
        assert await client.find("/Users", {"userName": "ada"}) == ()
        with pytest.raises(errors.TargetRefused):
            await client.find("/Users", {"userName": "ada"})


async def test_c_1_07_sensitive_query_moves_to_post() -> None:
    """After 403 sensitive the same query goes out as POST .search, with nothing in the URL."""
    target = ScriptedTarget()
    page = {"totalResults": 1, "Resources": [{"id": "9", "userName": "ada"}]}
    target.faults.append(Fault("GET", "/Users", error(403, "by POST", "sensitive")))
    target.faults.append(Fault("POST", "/Users/.search", Answer(200, page)))
    async with client_of(target) as client:
        (found,) = await client.find("/Users", {"userName": "ada"}, excluded_attributes=["groups"])
    assert found.id == "9"
    assert target.requests[1].query == {}
    assert target.requests[1].body["filter"] == 'userName eq "ada"'
    assert target.requests[1].body["excludedAttributes"] == ["groups"]


@pytest.mark.parametrize("remote_id", ["a/b", "a?b#c", "ü %2f", "..%2f.."])
async def test_ids_are_percent_encoded(remote_id: str) -> None:
    """An id is one path segment, whatever it holds."""
    target = ScriptedTarget()
    target.resources["Users"][remote_id] = {"id": remote_id}
    seen: list[str] = []
    target.before = lambda request: seen.append(request.path)
    async with client_of(target) as client:
        with pytest.raises(errors.NotFound) if "/" in remote_id else nullcontext():
            await client.get("/Users", remote_id)
    assert seen == [f"/Users/{remote_id}"]


@pytest.mark.parametrize("remote_id", ["", ".", ".."])
async def test_ids_that_would_leave_the_path(remote_id: str) -> None:
    """An id that a URL library would fold away never becomes a request."""
    target = ScriptedTarget()
    async with client_of(target) as client:
        with pytest.raises(errors.NotFound):
            await client.delete("/Users", remote_id)
    assert target.requests == []


async def test_projection_goes_out_once() -> None:
    """attributes wins over excludedAttributes, so that never both are sent (C-3-07)."""
    target = ScriptedTarget()
    remote_id = target.add("Groups", {"displayName": "dept"})
    async with client_of(target) as client:
        await client.get("/Groups", remote_id, attributes=["displayName"], excluded_attributes=["members"])
        await client.get("/Groups", remote_id, excluded_attributes=["members"])
    assert target.requests[0].query == {"attributes": "displayName"}
    assert target.requests[1].query == {"excludedAttributes": "members"}


def test_import_loads_no_more_than_it_needs() -> None:
    """`import rollbook.client` loads the protocol, orjson and pyqwest, none of the other dependencies."""
    code = "import sys, rollbook.client; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    own = "import sys, rollbook.client; print(*sorted(n for n in sys.modules if n.startswith('rollbook.')))"
    modules = subprocess.run(
        [sys.executable, "-c", own], check=True, capture_output=True, text=True
    ).stdout.split()
    third = {name for name in loaded if name not in sys.stdlib_module_names and not name.startswith("_")}
    assert third <= {
        "rollbook",
        "orjson",
        "pyqwest",
        "opentelemetry",
        "typing_extensions",
        "importlib_metadata",
    }
    assert {name.split(".")[1] for name in modules} == {"client", "protocol"}


def test_public_names() -> None:
    """What the package lists is there, and nothing else is meant for use."""
    import rollbook.client as package

    assert all(hasattr(package, name) for name in package.__all__)
    assert sorted(package.__all__) == package.__all__
