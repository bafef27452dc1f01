"""References and members across a token's bound: who is outside is nobody, in what is written and what is read (T-19)."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from tests.server.test_many_tenants import traced

from rollbook.app import Application, now
from rollbook.operations import tokens
from rollbook.operations.rights import ALL, Rights
from rollbook.operations.tenant_care import TenantCare
from rollbook.protocol import urns
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

INVENTED = "01890000-0000-7000-8000-000000000000"
MANAGER = f"{urns.ENTERPRISE_USER}:manager"
INSIDE = Rights(within='displayName sw "in "')

Ask = Callable[..., Any]


@dataclass(frozen=True)
class World:
    """A tenant with people and groups inside and outside a bound, by name, and how to call it with and without one."""

    server: Application
    full: Ask
    bounded: Ask
    ids: dict[str, str]

    def plain(self, text: str, asked: str) -> str:
        """An answer without what differs from one request to the next: the id asked about, new ids, versions, times."""
        text = text.replace(asked, "ASKED")
        known = {identifier: name for name, identifier in self.ids.items()}
        text = re.sub(
            r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", lambda one: known.get(one[0], "NEW"), text
        )
        text = re.sub(r'W/\\?"[^"]*"', "VERSION", text)
        return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]*Z", "TIME", text)


async def world(server: Application, *settings: str, rights: Rights = INSIDE) -> World:
    """A tenant: `ann`, `bea` and `own` inside, `gus` and `club` outside; `team` is inside and has who is outside."""
    record = await TenantCare(server.store, server.tenants).create("acme", now(), settings=settings)
    await server.live.follow()

    async def having(rights: Rights) -> Ask:
        text = await tokens.issue(server.store, record.number, "t", now=now(), expires=None, rights=rights)
        call = AsgiCaller(server.asgi, text)
        return lambda method, path, body=None: call(method, f"/t/acme/scim/v2{path}", body)

    full, ids = await having(ALL), dict[str, str]()

    async def make(name: str, path: str, body: dict[str, Any]) -> None:
        answer = await full("POST", path, body)
        assert answer.status == 201, answer.body
        ids[name] = answer.json["id"]

    await make("gus", "/Users", user("gus", "out gus"))
    await make("ann", "/Users", user("ann", "in ann", manager=ids["gus"]))
    await make("bea", "/Users", user("bea", "in bea"))
    await make("own", "/Groups", group("in own", ids["ann"]))
    await make("club", "/Groups", group("out club", ids["ann"]))
    await make("team", "/Groups", group("in team", ids["ann"], ids["gus"], ids["club"]))
    return World(server, full, await having(rights), ids)


def user(name: str, display: str, manager: str | None = None) -> dict[str, Any]:
    """A User."""
    body = {"schemas": [urns.USER], "userName": name, "displayName": display}
    return body if manager is None else body | {urns.ENTERPRISE_USER: {"manager": {"value": manager}}}


def group(display: str, *members: str) -> dict[str, Any]:
    """A Group."""
    values = [{"value": one} for one in members]
    return {"schemas": [urns.GROUP], "displayName": display, "members": values}


def patch(op: str, path: str, value: Any = None) -> dict[str, Any]:
    """A PATCH of one operation."""
    operation = {"op": op, "path": path} | ({} if value is None else {"value": value})
    return {"schemas": [urns.PATCH_OP], "Operations": [operation]}


def bulk(*operations: dict[str, Any]) -> dict[str, Any]:
    """A bulk request."""
    return {"schemas": [urns.BULK_REQUEST], "Operations": list(operations)}


ID = "{id}"
WRITTEN: dict[str, tuple[str, str, Any]] = {
    "manager at creation": ("POST", "/Users", user("new", "in new", ID)),
    "manager in PUT": ("PUT", "/Users/{bea}", user("bea", "in bea", ID)),
    "manager in PATCH": ("PATCH", "/Users/{bea}", patch("replace", MANAGER, {"value": ID})),
    "manager's value in PATCH": ("PATCH", "/Users/{bea}", patch("replace", f"{MANAGER}.value", ID)),
    "member at creation": ("POST", "/Groups", group("in new", ID)),
    "member in PUT": ("PUT", "/Groups/{own}", group("in own", ID)),
    "member in PATCH": (
        "PATCH",
        "/Groups/{own}?attributes=members",
        patch("add", "members", [{"value": ID}]),
    ),
    "member with its type": (
        "PATCH",
        "/Groups/{own}",
        patch("add", "members", [{"value": ID, "type": "User"}]),
    ),
    "members replaced": (
        "PATCH",
        "/Groups/{own}?attributes=members",
        patch("replace", "members", [{"value": ID}]),
    ),
    "member and manager in Bulk": (
        "POST",
        "/Bulk",
        bulk(
            {"method": "POST", "path": "/Groups", "bulkId": "g", "data": group("in bulk", ID)},
            {"method": "POST", "path": "/Users", "bulkId": "u", "data": user("bulk", "in bulk", ID)},
            {"method": "PATCH", "path": "/Groups/{own}", "data": patch("add", "members", [{"value": ID}])},
        ),
    ),
    "a ring in Bulk": (
        "POST",
        "/Bulk",
        bulk(
            {"method": "POST", "path": "/Users", "bulkId": "a", "data": user("a", "in a", "bulkId:b")},
            {"method": "POST", "path": "/Users", "bulkId": "b", "data": user("b", "in b", "bulkId:a")},
            {"method": "POST", "path": "/Groups", "bulkId": "g", "data": group("in g", "bulkId:a", ID)},
        ),
    ),
}


@pytest.mark.parametrize("references", ["members", "strict", "tolerant"])
async def test_t_19_nobody_outside_can_be_referred_to(server: Application, references: str) -> None:
    """In every place where an id is written, one of outside is answered as an invented one, and touches nobody."""
    there = await world(server, f"references={references}")
    for outside in ("gus", "club"):
        before = (await there.full("GET", f"/Users/{there.ids['gus']}")).json
        for name, (method, path, body) in WRITTEN.items():
            answers = []
            for asked in (there.ids[outside], INVENTED):
                text = json.dumps(body).replace(ID, asked)
                for known, identifier in there.ids.items():
                    text = text.replace(f"{{{known}}}", identifier)
                answer = await there.bounded(method, path.format(**there.ids), json.loads(text))
                answers.append((answer.status, there.plain(answer.body.decode(), asked)))
                await undo(there)
            assert answers[0] == answers[1], (name, outside)
            assert "out " not in answers[0][1], name
        assert (await there.full("GET", f"/Users/{there.ids['gus']}")).json == before


async def undo(there: World) -> None:
    """Bring the tenant back to what it was."""
    for path, kept in (("/Users", {"gus", "ann", "bea"}), ("/Groups", {"own", "club", "team"})):
        for each in (await there.full("GET", path)).json["Resources"]:
            if each["id"] not in {there.ids[name] for name in kept}:
                await there.full("DELETE", f"{path}/{each['id']}")
    await there.full("PUT", f"/Users/{there.ids['bea']}", user("bea", "in bea"))
    await there.full("PUT", f"/Groups/{there.ids['own']}", group("in own", there.ids["ann"]))


async def test_t_19_who_is_inside_is_referred_to_as_ever(server: Application) -> None:
    """Members and managers that the token sees are taken, and shown with their names."""
    there = await world(server, "references=strict")
    made = await there.bounded("POST", "/Users", user("new", "in new", there.ids["ann"]))
    assert made.json[urns.ENTERPRISE_USER]["manager"]["displayName"] == "in ann"
    added = patch("add", "members", [{"value": made.json["id"]}, {"value": there.ids["team"]}])
    answer = await there.bounded("PATCH", f"/Groups/{there.ids['own']}?attributes=members", added)
    assert [one["display"] for one in answer.json["members"]] == ["in ann", "in team", "in new"]


READS = [
    ("GET", "/Users/{ann}", None),
    ("GET", "/Users", None),
    ("GET", "/Users?cursor&count=1", None),
    ("GET", "/Users?attributes=groups", None),
    ("GET", f"/Users?attributes={MANAGER}", None),
    ("POST", "/Users/.search", {"schemas": [urns.SEARCH_REQUEST], "filter": "groups.value pr"}),
    ("GET", "/Groups/{team}", None),
    ("GET", "/Groups", None),
    ("GET", "/Groups?cursor&count=1", None),
    ("GET", "/Groups?attributes=members.display,members.type,members.$ref", None),
    ("GET", '/Groups/{team}?filter=displayName eq "in team"', None),
    ("GET", "", None),
    ("POST", "/.search", {"schemas": [urns.SEARCH_REQUEST], "sortBy": "displayName"}),
    ("PATCH", "/Users/{ann}?attributes=groups,urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
     patch("replace", "title", "x")),
    ("PATCH", "/Groups/{team}?attributes=members", patch("replace", "externalId", "x")),
]  # fmt: skip


@pytest.mark.parametrize("groups", ["direct", "indirect"])
async def test_t_19_who_is_outside_has_no_name(server: Application, groups: str) -> None:
    """What others have put in leads nowhere: the id alone is left, in every answer that shows it."""
    there = await world(server, f"indirect-groups={'on' if groups == 'indirect' else 'off'}")
    ids = there.ids
    for method, path, body in READS:
        answer = await there.bounded(method, path.format(**ids), body)
        text = answer.body.decode()
        assert answer.status == 200, (path, text)
        assert "out " not in text, path
        assert not re.search(f"/({ids['gus']}|{ids['club']})", text), path
    ann = (await there.bounded("GET", f"/Users/{ids['ann']}")).json
    assert ann[urns.ENTERPRISE_USER]["manager"] == {"value": ids["gus"]}
    shown = {one["value"]: one for one in ann["groups"]}
    assert shown[ids["club"]] == {"value": ids["club"]}
    assert (shown[ids["team"]]["display"], shown[ids["team"]]["type"]) == ("in team", "direct")
    team = (await there.bounded("GET", f"/Groups/{ids['team']}")).json
    assert sorted(map(len, team["members"])) == [1, 1, 4]
    assert {"value": ids["gus"]} in team["members"]
    whole = (await there.full("GET", f"/Groups/{ids['team']}")).json
    assert {one["display"] for one in whole["members"]} == {"in ann", "out gus", "out club"}


LABELS = (
    ("/Groups", "members.display", "out gus", "in ann"),
    ("/Groups", "members.type", "User", "Group"),
    ("/Users", "groups.display", "out club", "in team"),
    ("/Users", "groups.type", "direct", "indirect"),
)


async def test_t_19_labels_are_no_oracle(server: Application) -> None:
    """No filter asks for names of members and groups, right or wrong; without a bound they do, and by id they do."""
    there = await world(server)
    for path, part, right, wrong in LABELS:
        name, _, sub = part.partition(".")
        for form in (f'{part} eq "%s"', f'{name}[{sub} sw "%s"]', f'not ({part} co "%s")', f"{part} pr"):
            texts = [form.replace("%s", guess) for guess in (right, wrong)]
            answers = [await there.bounded("GET", f"{path}?filter={text}") for text in texts]
            assert {answer.status for answer in answers} == {400}, form
            assert answers[0].body == answers[1].body
            assert (await there.full("GET", f"{path}?filter={texts[0]}")).status == 200
        by_id = f'{name}.value eq "{there.ids["ann" if name == "members" else "team"]}"'
        assert (await there.bounded("GET", f"{path}?filter={by_id}")).json["totalResults"] > 0
    for guess in ("out gus", "nobody"):
        removal = patch("remove", f'members[display eq "{guess}"]')
        answer = await there.bounded("PATCH", f"/Groups/{there.ids['team']}", removal)
        assert (answer.status, answer.json["scimType"]) == (400, "invalidFilter")
    for guess in ("User", "Group"):  # gus is in the team, which shows the id; what that is of is not told
        named = [{"value": there.ids["gus"], "type": guess}]
        added = await there.bounded("PATCH", f"/Groups/{there.ids['team']}", patch("add", "members", named))
        assert added.status in {200, 204}, guess
        known = [{"value": there.ids[each]} for each in ("ann", "club")]
        whole = {"schemas": [urns.GROUP], "displayName": "in team", "members": [*known, *named]}
        assert (await there.bounded("PUT", f"/Groups/{there.ids['team']}", whole)).status == 200, guess
    assert len((await there.full("GET", f"/Groups/{there.ids['team']}")).json["members"]) == 3


async def test_t_19_what_stands_stays(server: Application) -> None:
    """A change of something else, and a PUT of what was read, leave references to outside as they are."""
    there = await world(server, "references=strict")
    for path, op in (
        (f"/Users/{there.ids['ann']}", patch("replace", "title", "x")),
        (f"/Groups/{there.ids['team']}", patch("remove", f'members[value eq "{there.ids["ann"]}"]')),
    ):
        assert (await there.bounded("PATCH", path, op)).status in {200, 204}
        read = (await there.bounded("GET", path)).json
        assert (await there.bounded("PUT", path, read)).status == 200
    ann = (await there.full("GET", f"/Users/{there.ids['ann']}")).json
    assert ann[urns.ENTERPRISE_USER]["manager"]["displayName"] == "out gus"
    team = (await there.full("GET", f"/Groups/{there.ids['team']}")).json
    assert {one["display"] for one in team["members"]} == {"out gus", "out club"}
    removal = patch("remove", "members", [{"value": there.ids["gus"]}])
    assert (await there.bounded("PATCH", f"/Groups/{there.ids['team']}", removal)).status in {200, 204}
    assert len((await there.full("GET", f"/Groups/{there.ids['team']}")).json["members"]) == 1


async def test_t_19_of_many_members_too(server: Application) -> None:
    """A group that is sent in parts names those inside only."""
    there = await world(server)
    made = [
        {"method": "POST", "path": "/Users", "bulkId": f"{n}", "data": user(f"u{n}", f"{'io'[n % 2]}n {n}")}
        for n in range(400)
    ]
    whole = group("in many", *(f"bulkId:{n}" for n in range(400)))
    done = await there.full("POST", "/Bulk", bulk(*made, {"method": "POST", "path": "/Groups", "bulkId": "g", "data": whole}))  # fmt: skip
    (where,) = (one["location"] for one in done.json["Operations"] if one["bulkId"] == "g")
    for path in (
        f"/Groups/{where.rpartition('/')[2]}",
        f"/Groups/{where.rpartition('/')[2]}?attributes=members",
    ):
        members = (await there.bounded("GET", path)).json["members"]
        assert len(members) == 400
        assert {len(one) for one in members} == {1, 4}
        assert [one["display"] for one in members if len(one) > 1] == [f"in {n}" for n in range(0, 400, 2)]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_t_19_one_more_look_for_a_page(server: Application) -> None:
    """A caller without a bound pays nothing; one with a bound one statement for an answer, however much that shows."""
    there = await world(server)
    for n in range(20):
        await there.full("POST", "/Groups", group(f"in {n}", there.ids["ann"], there.ids["gus"]))
    for path in ("/Groups?count=5", "/Groups?count=20", f"/Users/{there.ids['ann']}"):
        for ask in (there.full, there.bounded):
            await ask("GET", path)
        seen = {
            name: [sql for sql in await traced(server, partial(ask, "GET", path)) if "AS word" in sql]
            for name, ask in (("full", there.full), ("bounded", there.bounded))
        }
        assert len(seen["bounded"]) == 1, seen
        assert len(seen["full"]) == (1 if path.startswith("/Users") else 0), seen
        assert all("body" not in sql for sql in seen["full"])
