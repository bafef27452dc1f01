"""A token that is bound to what it has made itself: all else is not there for it, in every operation (T-26, T-19)."""

import json
from functools import partial
from typing import Any

import pytest
from tests.server.test_bounds import INVENTED, MANAGER, Ask, bulk, group, patch, user
from tests.server.test_many_tenants import traced
from tests.server.test_token_endpoint import client
from tests.server.test_withheld import BASE, having, made

from rollbook.app import Application, now
from rollbook.operations import tokens
from rollbook.operations.issuers import Issuer, issuer_of
from rollbook.operations.rights import ALL, Rights, meet, read_rights, rights_of
from rollbook.protocol import urns
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import InvalidValue
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio


def own(**more: Any) -> Rights:
    """Rights on what is made with them, and nothing else."""
    return read_rights([], more.pop("within", None), None, core_catalog(), own=True, **more)


async def world(server: Application, rights: Rights) -> tuple[Ask, Ask, dict[str, str]]:
    """A tenant: `ann` and `team` are the token's own, `gus` and `club` others'; who sees all, and the token."""
    full, ask = await having(server), await having(server, rights)
    ids = {"gus": await made(full, "/Users", user("gus", "out gus"))}
    ids["ann"] = await made(ask, "/Users", user("ann", "in ann"))
    ids["club"] = await made(full, "/Groups", group("out club", ids["ann"], ids["gus"]))
    ids["team"] = await made(ask, "/Groups", group("in team", ids["ann"]))
    return full, ask, ids


TITLE = patch("replace", "title", "x")


async def test_t_26_who_was_made_by_others_is_not_there(server: Application) -> None:
    """Reads, changes and removals of others answer as for an invented id, alone and in Bulk; of one's own as ever."""
    full, ask, ids = await world(server, own())
    for method, body in (("GET", None), ("PUT", user("gus", "x")), ("PATCH", TITLE), ("DELETE", None)):
        real, invented = [await ask(method, f"/Users/{one}", body) for one in (ids["gus"], INVENTED)]
        assert real.status == 404, (method, real.body)
        assert real.body.replace(ids["gus"].encode(), INVENTED.encode()) == invented.body
        if method != "GET":
            each = [{"method": method, "path": f"/Users/{ids['gus']}", "data": body, "version": version} for version in ("*", 'W/"0-1"')]  # fmt: skip
            done = (await ask("POST", "/Bulk", bulk(*each))).json["Operations"]
            assert [one["status"] for one in done] == ["404", "404"], method
    assert (await full("GET", f"/Users/{ids['gus']}")).json["meta"]["version"].endswith('-1"')
    assert (await ask("GET", f"/Users/{ids['ann']}")).status == 200
    assert (await ask("PUT", f"/Users/{ids['ann']}", user("ann", "in ann 2"))).status == 200
    assert (await ask("PATCH", f"/Users/{ids['ann']}", TITLE)).status in {200, 204}
    assert (await full("PATCH", f"/Users/{ids['ann']}", patch("replace", "title", "y"))).status in {200, 204}
    assert (await ask("GET", f"/Users/{ids['ann']}")).json["title"] == "y", (
        "changed by others, and still its own"
    )
    assert (await ask("DELETE", f"/Users/{ids['ann']}")).status == 204
    assert (await full("GET", f"/Users/{ids['ann']}")).status == 404


@pytest.mark.parametrize(
    "query",
    [
        "", "?filter=userName pr", '?filter=not (userName eq "ann")', '?filter=userName eq "gus" or userName eq "ann"',
        '?filter=displayName co "n"', "?sortBy=displayName&sortOrder=descending", "?count=0", "?cursor&count=1",
        '?filter=userName eq "gus"', "?sortBy=title", '?filter=title eq "none" or userName pr',
    ],
)  # fmt: skip
async def test_t_26_queries_know_ones_own_only(server: Application, query: str) -> None:
    """No filter, order or total tells of others; root queries and .search neither."""
    _, ask, _ = await world(server, own())
    for path in ("/Users", ""):
        if path == "" and "cursor" in query:
            continue
        found = await ask("GET", path + query)
        assert found.status == 200, found.body
        assert b"out " not in found.body
        people = 0 if "not (" in query or query == '?filter=userName eq "gus"' else 1
        groups = 0 if path or ("userName" in query and "not (" not in query) else 1
        assert found.json["totalResults"] == people + groups, (path, found.body)
    text = {"schemas": [urns.SEARCH_REQUEST], "filter": "id pr"}
    assert (await ask("POST", "/.search", text)).json["totalResults"] == 2


async def test_t_26_nobody_of_others_is_referred_to(server: Application) -> None:
    """As member, manager and in Bulk an id of others' is answered as an invented one."""
    full, ask, ids = await world(server, own())
    for method, path, body in (
        ("POST", "/Groups", group("new", "{id}")),
        ("PUT", "/Groups/{team}", group("in team", "{id}")),
        ("PATCH", "/Groups/{team}", patch("add", "members", [{"value": "{id}"}])),
        ("PATCH", "/Groups/{team}", patch("add", "members", [{"value": "{id}", "type": "User"}])),
    ):
        answers = []
        for asked in (ids["gus"], INVENTED):
            data = json.loads(json.dumps(body).replace("{id}", asked))
            answer = await ask(method, path.format(**ids), data)
            answers.append((answer.status, answer.body.replace(asked.encode(), b"ASKED")))
        assert answers[0] == answers[1]
        assert answers[0][0] == 400
    answer = await ask("PATCH", f"/Users/{ids['ann']}?attributes={MANAGER}", patch("replace", MANAGER, {"value": ids["gus"]}))  # fmt: skip
    assert b"out " not in answer.body
    assert b"$ref" not in answer.body
    shown = (await ask("GET", f"/Users/{ids['ann']}")).json["groups"]
    assert {"value": ids["club"]} in shown
    assert any(one.get("display") == "in team" for one in shown)
    assert (await ask("GET", '/Groups?filter=members.display eq "out gus"')).status == 400
    assert (await full("GET", f"/Groups/{ids['team']}")).json["members"][0]["value"] == ids["ann"]


async def test_t_26_members_of_others_stay(server: Application) -> None:
    """A group of one's own into which others have put somebody: seen as an id, kept by PUT of what was read, and by PATCH."""
    full, ask, ids = await world(server, own())
    team = f"/Groups/{ids['team']}"
    await full("PATCH", team, patch("add", "members", [{"value": ids["gus"]}]))
    read = (await ask("GET", team)).json
    assert {"value": ids["gus"]} in read["members"]
    assert (await ask("PUT", team, read | {"displayName": "in team 2"})).status == 200
    assert (await ask("PATCH", team, patch("remove", f'members[value eq "{ids["ann"]}"]'))).status in {
        200,
        204,
    }
    left = (await full("GET", team)).json
    assert [one["display"] for one in left["members"]] == ["out gus"]


async def test_t_26_rotation_makes_nobody_else_of_it(server: Application) -> None:
    """The new token has what the former made, and the former what the new one makes; another token has neither."""
    ask = await having(server, own())
    ann = await made(ask, "/Users", user("ann", "in ann"))
    former = next(each for each in await server.store.tokens(1) if "own" in each.rights)
    text = await tokens.rotate(server.store, former, now=now(), expires=None, until=now() + 60_000)
    call = AsgiCaller(server.asgi, text)
    assert (await call("GET", f"{BASE}/Users/{ann}")).status == 200
    bea = (await call("POST", f"{BASE}/Users", user("bea", "in bea"))).json["id"]
    assert (await ask("DELETE", f"/Users/{bea}")).status == 204
    other = await having(server, own())
    assert (await other("GET", f"/Users/{ann}")).status == 404
    assert (await other("GET", "/Users")).json["totalResults"] == 0
    taken = await other("POST", "/Users", user("ann", "in ann"))
    assert (taken.status, b"in ann" in taken.body) == (409, False)


async def test_t_26_all_tokens_of_a_client_are_one(server: Application) -> None:
    """Each token that a client fetches has what the former ones made, also one with fewer scopes; another client has not."""
    one, other = [await client(server, rights=own()) for _ in range(2)]
    ids: list[str] = []
    for scope in ({}, {"scope": "write users"}):
        given = (await one.ask(scope | {"grant_type": "client_credentials"} | one.own)).json["access_token"]
        call = AsgiCaller(server.asgi, given)
        ids.append((await call("POST", f"{BASE}/Users", user(f"u{len(ids)}", "in"))).json["id"])
        assert (await call("GET", f"{BASE}/Users")).json["totalResults"] == len(ids)
    stranger = AsgiCaller(server.asgi, (await other.ask()).json["access_token"])
    assert (await stranger("GET", f"{BASE}/Users/{ids[0]}")).status == 404


async def test_with_a_filter_and_less(server: Application) -> None:
    """Both bounds hold, and what is held back is held back of one's own, too."""
    full, ask, ids = await world(server, own(within='displayName sw "in "', without=["title"]))
    assert (await ask("POST", "/Users", user("new", "out new"))).status == 403
    assert (await ask("PATCH", f"/Users/{ids['ann']}", TITLE)).status == 403
    foreign = await made(full, "/Users", user("new", "in new"))
    assert (await ask("GET", f"/Users/{foreign}")).status == 404
    assert (await ask("GET", "/Users")).json["totalResults"] == 1
    await full("PATCH", f"/Users/{ids['ann']}", patch("replace", "displayName", "out ann"))
    assert (await ask("GET", f"/Users/{ids['ann']}")).status == 404
    assert (await ask("GET", "/Users")).json["totalResults"] == 0


def test_own_is_kept_and_handed_on() -> None:
    """It survives storage, scopes and issuers; and nobody who has it hands out tokens without."""
    rights = own()
    assert rights_of(rights.text) == rights
    assert own().own != rights.own
    assert (rights.bounds["own"], rights.bounds_text, ALL.bounds["own"]) == (True, "own", False)
    assert rights.is_within(ALL)
    assert own().is_within(rights)
    assert not ALL.is_within(rights)
    assert meet(ALL, rights) == rights
    issuer = Issuer(1, "i", "https://i.example", "a", rights=rights)
    assert issuer_of(issuer.record(0)).rights == rights
    with pytest.raises(InvalidValue, match="made nothing"):
        read_rights(["read"], None, None, core_catalog(), own=True)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_own_takes_a_look_more(server: Application) -> None:
    """For one resource one look more, and as with any bound one for the groups it shows; for a page none; without such a token nothing."""
    full, ask, ids = await world(server, own())
    asked: list[tuple[str, str, Any, int]] = [
        ("GET", f"/Users/{ids['ann']}?attributes=title", None, 1),
        ("GET", "/Users?count=10&attributes=title", None, 0),
        ("PATCH", f"/Users/{ids['ann']}?attributes=title", patch("replace", "title", "x"), 2),
        ("GET", '/Users?filter=userName eq "ann"&attributes=title', None, 0),
    ]
    for method, path, body, more in asked:
        seen = []
        for each in (full, ask):
            await full("PATCH", f"/Users/{ids['ann']}", patch("replace", "title", "y"))
            await each("GET", path)
            seen.append(await traced(server, partial(each, method, path, body)))
        assert len(seen[1]) - len(seen[0]) <= more, (path, seen)
        assert not any("maker" in sql for sql in seen[0])
