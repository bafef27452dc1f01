"""What a token may do: scopes, bounds and profiles, at every operation and in every way it can be asked for (T-09, T-19)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import Told

from rollbook.app import Application, now
from rollbook.operations import tokens
from rollbook.operations.rights import ALL, Rights, read_rights, rights_of
from rollbook.protocol import urns
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import InvalidValue
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

BASE = "/scim/v2"
USERS, GROUPS = f"{BASE}/Users", f"{BASE}/Groups"
STAFF = 'userType eq "staff"'


async def having(application: Application, rights: Rights = ALL, **about: Any) -> AsgiCaller:
    """Sends requests with a new token that has those rights."""
    about = {"now": now(), "expires": None} | about
    text = await tokens.issue(application.store, 1, "some", rights=rights, **about)
    return AsgiCaller(application.asgi, text)


def user(name: str, **attributes: Any) -> dict[str, Any]:
    """A User."""
    return {"schemas": [urns.USER], "userName": name, **attributes}


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """A PATCH of these operations."""
    return {"schemas": [urns.PATCH_OP], "Operations": list(operations)}


TITLE = patch({"op": "replace", "path": "title", "value": "x"})
SEARCH = {"schemas": [urns.SEARCH_REQUEST]}

MATRIX: Sequence[tuple[str, str, Any, int, int, int]] = (
    # method, path, body → status with read, with users, with read and groups
    ("GET", "/Users/{user}", None, 200, 200, 403),
    ("GET", "/Users", None, 200, 200, 403),
    ("POST", "/Users/.search", SEARCH, 200, 200, 403),
    ("GET", "/Groups/{group}", None, 200, 403, 200),
    ("GET", "/Groups", None, 200, 403, 200),
    ("GET", "", None, 200, 200, 200),
    ("POST", "/.search", SEARCH, 200, 200, 200),
    ("POST", "/Users", user("new"), 403, 201, 403),
    ("PUT", "/Users/{user}", user("ann"), 403, 200, 403),
    ("PATCH", "/Users/{user}", TITLE, 403, 200, 403),
    ("PATCH", "/Groups/{group}", patch({"op": "add", "path": "members", "value": []}), 403, 403, 403),
    ("POST", "/Groups", {"schemas": [urns.GROUP], "displayName": "g2"}, 403, 403, 403),
    ("DELETE", "/Groups/{group}", None, 403, 403, 403),
    ("DELETE", "/Users/{user}", None, 403, 204, 403),
    ("GET", "/ResourceTypes", None, 200, 200, 200),
)
READERS = (
    Rights(writes=False),
    Rights(types=frozenset({"User"})),
    Rights(writes=False, types=frozenset({"Group"})),
)


@pytest.mark.parametrize("which", range(3))
async def test_t_09_scopes(application: Application, call: AsgiCaller, which: int) -> None:
    """Each operation of each type, with each scope; what is refused changes nothing."""
    ann = (await call("POST", USERS, user("ann"))).json["id"]
    group = (await call("POST", GROUPS, {"schemas": [urns.GROUP], "displayName": "g"})).json["id"]
    caller = await having(application, READERS[which])
    for method, path, body, *expected in MATRIX:
        before = await application.store.last_change(1)
        answer = await caller(method, BASE + path.format(user=ann, group=group), body)
        assert answer.status == expected[which], (method, path, answer.body)
        if answer.status == 403:
            assert await application.store.last_change(1) == before


async def test_t_09_each_operation_of_bulk(application: Application, call: AsgiCaller) -> None:
    """In a bulk request each operation is judged for itself."""
    ann = (await call("POST", USERS, user("ann"))).json["id"]
    group = (await call("POST", GROUPS, {"schemas": [urns.GROUP], "displayName": "g"})).json["id"]
    caller = await having(application, Rights(types=frozenset({"User"})))
    operations = [
        {"method": "PATCH", "path": f"/Users/{ann}", "data": TITLE},
        {"method": "POST", "path": "/Groups", "bulkId": "a", "data": {"displayName": "x"}},
        {"method": "DELETE", "path": f"/Groups/{group}"},
        {"method": "POST", "path": "/Users", "bulkId": "b", "data": user("bob")},
    ]
    done = await caller("POST", f"{BASE}/Bulk", {"schemas": [urns.BULK_REQUEST], "Operations": operations})
    assert [each["status"] for each in done.json["Operations"]] == ["200", "403", "403", "201"]
    reader = await having(application, Rights(writes=False))
    done = await reader("POST", f"{BASE}/Bulk", {"schemas": [urns.BULK_REQUEST], "Operations": operations})
    assert {each["status"] for each in done.json["Operations"]} == {"403"}


async def test_t_09_no_method_override(application: Application, call: AsgiCaller) -> None:
    """A header cannot turn a read into a write."""
    ann = (await call("POST", USERS, user("ann"))).json["id"]
    reader = await having(application, Rights(writes=False))
    for header in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        assert (await reader("GET", f"{USERS}/{ann}", headers={header: "DELETE"})).status == 200
    assert (await call("GET", f"{USERS}/{ann}")).status == 200


async def test_a_root_query_shows_what_the_token_is_for(application: Application, call: AsgiCaller) -> None:
    """A query of all types is one of those in the scope, with their number as the total."""
    await call("POST", USERS, user("ann"))
    await call("POST", GROUPS, {"schemas": [urns.GROUP], "displayName": "g"})
    caller = await having(application, Rights(types=frozenset({"Group"})))
    found = (await caller("GET", BASE)).json
    assert (found["totalResults"], found["Resources"][0]["displayName"]) == (1, "g")


@pytest.fixture
async def people(call: AsgiCaller) -> dict[str, str]:
    """Ids of a member of staff and of a guest."""
    made = [user("ann", userType="staff", title="A"), user("gus", userType="guest", title="G")]
    return {one["userName"]: (await call("POST", USERS, one)).json["id"] for one in made}


@pytest.fixture
async def bounded(application: Application, people: dict[str, str]) -> AsgiCaller:
    """Sends requests with a token for staff only."""
    return await having(application, Rights(within=STAFF))


async def test_t_19_who_is_outside_is_not_there(bounded: AsgiCaller, people: dict[str, str]) -> None:
    """Reads, changes and removals of who is outside answer as for an invented id, byte for byte but for the id."""
    gone = "01890000-0000-7000-8000-000000000000"
    for method, body in (("GET", None), ("PUT", user("gus")), ("PATCH", TITLE), ("DELETE", None)):
        for headers in ({}, {"If-Match": "*"}, {"If-Match": 'W/"0-1"'}):
            real = await bounded(method, f"{USERS}/{people['gus']}", body, headers=headers)
            invented = await bounded(method, f"{USERS}/{gone}", body, headers=headers)
            assert real.status == 404, (method, headers, real.body)
            assert real.body.replace(people["gus"].encode(), gone.encode()) == invented.body
    assert (await bounded("GET", f"{USERS}/{people['ann']}")).status == 200


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?filter=userName%20pr",
        "?filter=not%20(userName%20eq%20%22ann%22)",
        "?filter=userName%20eq%20%22gus%22%20or%20userName%20eq%20%22ann%22",
        "?sortBy=title&sortOrder=descending",
        "?count=0",
        "?cursor&count=1",
    ],
)
async def test_t_19_filters_and_orders_are_no_oracle(
    bounded: AsgiCaller, people: dict[str, str], query: str
) -> None:
    """No query counts, finds or orders by who is outside."""
    expected = 0 if "not" in query else 1
    found = (await bounded("GET", USERS + query)).json
    assert found["totalResults"] == expected
    assert {each["userName"] for each in found.get("Resources", ())} <= {"ann"}
    assert found.get("nextCursor") is None


async def test_nobody_is_moved_over_the_bound(
    application: Application, bounded: AsgiCaller, call: AsgiCaller, people: dict[str, str]
) -> None:
    """Who is made must be inside, and who is changed must stay there; what is refused changes nothing."""
    before = await application.store.last_change(1)
    refused = [
        await bounded("POST", USERS, user("new", userType="guest")),
        await bounded("POST", USERS, user("new")),
        await bounded("PUT", f"{USERS}/{people['ann']}", user("ann", userType="guest")),
        await bounded("PATCH", f"{USERS}/{people['ann']}", patch({"op": "remove", "path": "userType"})),
        await bounded("POST", GROUPS, {"schemas": [urns.GROUP], "displayName": "no userType here"}),
    ]
    assert [answer.status for answer in refused] == [403] * 5
    assert await application.store.last_change(1) == before
    assert (await bounded("POST", USERS, user("new", userType="STAFF"))).status == 201
    assert (await bounded("PATCH", f"{USERS}/{people['ann']}", TITLE)).status == 200
    assert (await bounded("DELETE", f"{USERS}/{people['ann']}")).status == 204
    assert (await bounded("GET", GROUPS)).json["totalResults"] == 0
    assert (await call("GET", USERS)).json["totalResults"] == 2


async def test_removal_within_a_bound_knows_versions(bounded: AsgiCaller, people: dict[str, str]) -> None:
    """If-Match is judged as without a bound."""
    there = f"{USERS}/{people['ann']}"
    version = (await bounded("GET", there)).headers["etag"]
    assert (await bounded("DELETE", there, headers={"If-Match": 'W/"0-7"'})).status == 412
    assert (await bounded("DELETE", there, headers={"If-Match": version})).status == 204


async def test_a_profile_of_its_own(application: Application, call: AsgiCaller) -> None:
    """One token is held to the RFC, while others of the tenant may deviate."""
    strict = await having(application, Rights(profile="rfc"))
    assert (await call("POST", USERS, {"userName": "loose"})).status == 201
    assert (await strict("POST", USERS, {"userName": "strict"})).status == 400


@pytest.mark.parametrize(
    ("scopes", "within", "profile", "says"),
    [
        (["all"], None, None, "read, write"),
        (["type:Nothing"], None, None, "User, Group"),
        ([], "nope eq 1", None, "tests no attribute"),
        ([], 'userName eq "', None, "filter"),
        ([], "groups pr", None, "groups"),
        ([], 'meta.created gt "2026-01-01T00:00:00Z"', None, "meta.created"),
        ([], 'id eq "x"', None, "id"),
        (["groups"], "members pr", None, "members"),
        ([], None, "nobody", "entra"),
    ],
)
def test_rights_that_cannot_be_meant(
    scopes: list[str], within: str | None, profile: str | None, says: str
) -> None:
    """What is refused is refused when the token is made, and says what there is."""
    with pytest.raises((InvalidValue, Exception), match=says):
        read_rights(scopes, within, profile, core_catalog())


def test_rights_are_kept_as_they_are() -> None:
    """What is stored reads back as the same."""
    for rights in (ALL, Rights(writes=False), read_rights(["users"], STAFF, "entra", core_catalog())):
        assert rights_of(rights.text) == rights
    assert ALL.text == "{}"
    assert read_rights(["read", "users", "type:Group"], None, None, core_catalog()).scopes == [
        "read",
        "groups",
        "users",
    ]
    assert Rights(writes=False).is_within(ALL)
    assert not ALL.is_within(Rights(writes=False))
    assert not ALL.is_within(Rights(types=frozenset({"User"})))
    assert not ALL.is_within(Rights(within=STAFF))


async def test_t_14_a_revoked_token_is_dead(application: Application, call: AsgiCaller) -> None:
    """Revoked by a command beside the server: no write happens with it any more, and reads end once the server looks."""
    caller = await having(application)
    assert (await caller("POST", USERS, user("one"))).status == 201
    (token,) = await application.store.tokens(1)
    beside = SqlStore(SqliteFile(Path(application.store.database.name)))
    await beside.open()
    assert not await beside.revoke_token(2, token.id, now())
    assert await beside.revoke_token(1, token.id, now())
    assert not await beside.revoke_token(1, token.id, now())
    await beside.close()
    assert (await caller("POST", USERS, user("two"))).status == 401
    assert (await caller("GET", USERS)).status == 401
    assert (await call("GET", USERS)).json["totalResults"] == 1


async def test_rotation_overlaps(application: Application) -> None:
    """Both tokens are good for the while, with the same rights; then the new one is. What has ended is not rotated."""
    store, at = application.store, now()
    await having(application, Rights(types=frozenset({"User"})))
    (former,) = await store.tokens(1)
    text = await tokens.rotate(store, former, now=at, expires=None, until=at + 60_000)
    new, old = sorted(await store.tokens(1), key=lambda each: each.id == former.id)
    assert (old.expires, new.rights, new.name) == (at + 60_000, former.rights, former.name)
    assert (await AsgiCaller(application.asgi, text)("GET", GROUPS)).status == 403
    ended = await tokens.rotate(store, new, now=at, expires=None, until=at)
    assert (await AsgiCaller(application.asgi, ended)("GET", USERS)).status == 200
    with pytest.raises(Exception, match="ended"):
        await tokens.rotate(store, old, now=at + 60_000, expires=None, until=at + 90_000)


async def test_last_use_is_noted(application: Application) -> None:
    """To the minute, by one write for many requests."""
    caller = await having(application)
    for _ in range(3):
        await caller("GET", USERS)
    await application.verifier.note_uses()
    (token,) = await application.store.tokens(1)
    assert token.used is not None
    assert token.used % 60_000 == 0
    assert 0 <= now() - token.used < 120_000


async def test_t_39_who_is_switched_off_asks_nothing_more(told: Told) -> None:
    """A token that acts for a user ends with the user: when switched off, and when deleted."""
    from tests.server.conftest import STORES

    call = await told("self-service=title")
    ann = (await call("POST", USERS, user("ann"))).json["id"]
    text = await tokens.issue(STORES[call], 1, "ann's", now=now(), expires=None, user=ann)
    own = AsgiCaller(call.app, text)
    assert (await own("PATCH", f"{BASE}/Me", TITLE)).status == 200
    await call("PATCH", f"{USERS}/{ann}", patch({"op": "replace", "path": "active", "value": False}))
    assert (await own("GET", f"{BASE}/Me")).status == 401
    assert (await own("PATCH", f"{USERS}/{ann}", TITLE)).status == 401
    await call("PATCH", f"{USERS}/{ann}", patch({"op": "replace", "path": "active", "value": True}))
    assert (await own("GET", f"{BASE}/Me")).status == 200
    await call("DELETE", f"{USERS}/{ann}")
    assert (await own("GET", f"{BASE}/Me")).status == 404
