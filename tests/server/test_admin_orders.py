"""Orders at /admin/v1, taken up by a worker beside the server, on both databases: what commands do for runs and problems (T-09, T-19, I-08, I-27)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.server.test_crossing import party

from rollbook.app import Application, by, now, running
from rollbook.cli.opened import desk_of
from rollbook.desk.clerk import Clerk
from rollbook.operations.token_care import Wish, grant
from rollbook.provisioning.config import load_config
from rollbook.settings import Settings
from rollbook.storage.base import USUAL
from rollbook.storage.orders import Orderer, OrderKind
from rollbook.storage.sql.archive import Archive
from rollbook.storage.sql.clock import DatabaseClock
from rollbook.storage.sql.orders import MOST_OPEN, SqlOrders
from rollbook.testing.asgi import AsgiCaller, Response
from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Fault, Profile, ScriptedTarget, error

pytestmark = pytest.mark.anyio

HERE = "/admin/v1/tenants/default"
HOUR = 3_600_000
CONFIG = """
version: 1
sources:
  hr:
    type: csv
    path: people.csv
    key: id
    users: {userName: {from: mail}, externalId: {from: id}, title: {from: title}, name.familyName: {from: last}}
  phones:
    type: csv
    path: phones.csv
    key: uid
    create: false
    join: [{attribute: name.familyName, from: last}]
    users: {displayName: {from: shown}}
targets:
  app:
    type: scim
    url: URL/v2
    token: ${APP_TOKEN}
    leave: delete
    users: {userName: {from: userName}, externalId: {from: externalId}, title: {from: title}}
"""
PEOPLE = tuple(f"{number},p{number}@x,Clerk,Last{number}" for number in range(1, 9))


@dataclass(frozen=True)
class Shop:
    """A server, a folder with a configuration, and the target it speaks of."""

    server: Application
    folder: Path
    target: ScriptedTarget

    def people(self, *lines: str) -> None:
        """Write the export."""
        (self.folder / "people.csv").write_text("\n".join(("id,mail,title,last", *lines, "")), "utf-8")

    async def by(self, *scopes: str, **about: Any) -> AsgiCaller:
        """Sends requests with a token that has these scopes."""
        wish = Wish("ops", now() + HOUR, scopes, **about)
        return AsgiCaller(self.server.asgi, await grant(self.server.store, 1, wish, by("test")))

    def clerk(self) -> Clerk:
        """A worker's, by the configuration as it is now."""
        store = self.server.store
        config = load_config(self.folder / "rollbook.yaml", store.catalog, {"APP_TOKEN": "secret"})
        return Clerk(store, partial(desk_of, config, store), DatabaseClock(store.database, now), HOUR)

    async def done(self, call: AsgiCaller, path: str = "/orders", **asked: Any) -> Any:
        """An order, once a worker has done it."""
        made = await call("POST", HERE + path, asked)
        assert made.status == 201, made.body
        return await self.worked(call, made)

    async def worked(self, call: AsgiCaller, made: Response) -> Any:
        """What has come of an order that was given."""
        async with self.working():
            async with asyncio.timeout(60):
                while True:
                    found = (await call("GET", made.headers["location"])).json
                    if found["state"] not in {"waiting", "running"}:
                        return found
                    await asyncio.sleep(0.02)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker is there meanwhile."""
        clerk = self.clerk()
        task = asyncio.create_task(clerk.run())
        try:
            yield
        finally:
            clerk.stop()
            await task

    async def sent(self) -> list[str]:
        """Who is at the target."""
        return sorted(str(user["userName"]) for user in self.target.resources["Users"].values())


@pytest.fixture
async def shop(url: str, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Shop]:
    """A hub that knows nobody yet."""
    target = ScriptedTarget(Profile(token="secret"))
    with served(target) as address:
        (tmp_path / "rollbook.yaml").write_text(CONFIG.replace("URL", address), "utf-8")
        (tmp_path / "phones.csv").write_text("uid,last,shown\nt0,Nobody,\n", "utf-8")
        async with running(Settings(database=url, database_origin="test")) as server:
            made = Shop(server, tmp_path, target)
            made.people(*PEOPLE)
            yield made
            assert await server.store.check() == []


async def test_i_27_a_plan_is_looked_at_and_done(shop: Shop) -> None:
    """Its figures and lines tell what would be done; agreed to, exactly that goes out, as a run that can be looked at."""
    call = await shop.by("admin", "write")
    planned = await shop.done(call, kind="plan")
    assert (planned["state"], planned["pending"], planned["lines"], planned["run"]) == (
        "done",
        True,
        16,
        None,
    )
    assert [one["counts"] for one in planned["targets"]] == [{"create": 8}]
    seen: list[tuple[str, str]] = []
    cursor = ""
    while cursor is not None:
        page = (await call("GET", f"{HERE}/orders/1/lines?limit=5&cursor={cursor}")).json
        seen += [(next(iter(one["line"])), one["line"]["who"]) for one in page["lines"]]
        cursor = page["nextCursor"]
    assert len(seen) == 16
    assert {place for place, _ in seen} == {"source", "target"}
    assert ("target", "p1@x") in seen
    assert await shop.sent() == []
    applied = await shop.done(call, "/orders/1/apply")
    assert (applied["state"], applied["kind"], applied["asked"]["agreed"]) == ("done", "apply", 1)
    assert [one["counts"]["create"] for one in applied["targets"]] == [8]
    assert len(await shop.sent()) == 8
    run = (await call("GET", f"{HERE}/runs/{applied['run']}")).json
    assert {each["kind"] for each in run["runs"]} == {"order", "pull", "apply"}
    assert {each["command"] for each in run["runs"]} == {applied["run"]}
    listed = (await call("GET", f"{HERE}/orders?limit=1")).json
    assert ([each["number"] for each in listed["orders"]], listed["nextCursor"]) == ([2], "2")
    assert [each["number"] for each in (await call("GET", f"{HERE}/orders?cursor=2")).json["orders"]] == [1]


async def test_i_29_who_ordered_stands_in_the_audit_log(shop: Shop) -> None:
    """The order, and what was done for it: by the token's name and id."""
    call = await shop.by("admin", "write")
    await shop.done(call, kind="apply", targets=["app"])
    rows = await shop.server.store.database.read(
        lambda connection: connection.all(
            "SELECT act, outcome, author, credential FROM act WHERE act IN ('order.create', 'target.apply') ORDER BY at, id",
            (),
        )
    )
    assert [row[:3] for row in rows] == [
        ("order.create", "done", "token ops"),
        ("target.apply", "begun", "token ops"),
        ("target.apply", "done", "token ops"),
    ]
    assert len({row[3] for row in rows}) == 1
    assert rows[0][3]


@pytest.mark.parametrize("what", ["people", "hub", "configuration"])
async def test_i_27_a_plan_of_another_world_is_not_done(shop: Shop, what: str) -> None:
    """Another export, a change in the hub, another configuration: nothing is read and nothing sent."""
    call = await shop.by("admin", "write")
    await shop.done(call, kind="pull", sources=["hr"])
    shop.people(*PEOPLE[1:])
    assert (await shop.done(call, kind="plan"))["state"] == "done"
    if what == "people":
        shop.people(*PEOPLE[2:])
    elif what == "hub":
        made = await call("POST", "/scim/v2/Users", {"userName": "eve"})
        assert made.status == 201
    else:
        file = shop.folder / "rollbook.yaml"
        file.write_text(file.read_text("utf-8").replace("leave: delete", "leave: keep"), "utf-8")
    ended = await shop.done(call, "/orders/2/apply")
    assert (ended["state"], ended["run"]) == ("failed", None)
    assert "the world has moved" in ended["error"]
    assert await shop.sent() == []


async def test_departures_need_a_word(shop: Shop) -> None:
    """A plan says how many accounts would go; it is agreed to with that very number, or they are named to an apply."""
    call = await shop.by("admin", "write")
    await shop.done(call, kind="apply")
    shop.people(*PEOPLE[4:])
    planned = await shop.done(call, kind="plan")
    (held,) = planned["targets"]
    assert [(wave["way"], wave["number"]) for wave in held["braked"]] == [("departures", 4)]
    stopped = await shop.done(call, kind="apply")
    assert (stopped["state"], len(await shop.sent())) == ("failed", 8)
    assert "need somebody's word" in stopped["targets"][0]["stopped"]
    for asked in ({}, {"acceptDeletions": 3}):
        refused = await call("POST", f"{HERE}/orders/{planned['number']}/apply", asked)
        assert (refused.status, "4 accounts" in refused.json["detail"]) == (409, True)
    (named,) = stopped["targets"][0]["braked"]
    done = await shop.done(
        call, kind="apply", acceptDeletions=named["number"], plans=[named["plan"]], readSources=False
    )
    assert (done["state"], len(await shop.sent())) == ("done", 4)


async def test_a_plan_with_departures_is_agreed_to(shop: Shop) -> None:
    """With the number that it says they go."""
    call = await shop.by("admin", "write")
    await shop.done(call, kind="apply")
    shop.people(*PEOPLE[4:])
    planned = await shop.done(call, kind="plan")
    done = await shop.done(call, f"/orders/{planned['number']}/apply", acceptDeletions=4)
    assert (done["state"], len(await shop.sent())) == ("done", 4)


async def test_a_run_is_taken_back(shop: Shop) -> None:
    """First only told, line by line; then done: in the hub and at the target."""
    call = await shop.by("admin", "write")
    applied = await shop.done(call, kind="apply")
    told = await shop.done(call, kind="undo", run=applied["run"], dryRun=True)
    assert (told["state"], told["pending"], len(await shop.sent())) == ("done", True, 8)
    lines = (await call("GET", f"{HERE}/orders/{told['number']}/lines")).json["lines"]
    assert [one["line"]["action"] for one in lines if "hub" in one["line"]] == ["remove"] * 8
    undone = await shop.done(call, kind="undo", run=applied["run"])
    assert (undone["state"], await shop.sent()) == ("done", [])
    assert (await call("GET", "/scim/v2/Users?count=0")).json["totalResults"] == 0
    unknown = await shop.done(call, kind="undo", run=999)
    assert (unknown["state"], "no run 999" in unknown["error"]) == ("failed", True)


async def test_what_was_given_up_is_tried_again(shop: Shop) -> None:
    """A retry reads no source, and does what stood."""
    call = await shop.by("admin", "write")
    shop.target.faults = [Fault("POST", "/Users", error(400, "no such title", "invalidValue"))]
    failed = await shop.done(call, kind="apply")
    assert (failed["state"], len(await shop.sent())) == ("failed", 7)
    shop.people(*PEOPLE[:1])
    again = await shop.done(call, kind="retry", targets=["app"])
    assert (again["state"], len(await shop.sent())) == ("done", 8)
    assert again["sources"] == []


async def test_a_record_is_decided(shop: Shop) -> None:
    """Who waits is listed with the users it may be; whose it is, is said by an order, and done at once."""
    call = await shop.by("admin", "write")
    shop.people("1,a@x,Clerk,Ray", "2,b@x,Clerk,Ray")
    (shop.folder / "phones.csv").write_text("uid,last,shown\nt0,Nobody,\nt1,Ray,Al\nt2,Ray,Bo\n", "utf-8")
    await shop.done(call, kind="pull")
    cases = []
    cursor = ""
    while cursor is not None:
        page = (await call("GET", f"{HERE}/matches?limit=1&cursor={cursor}")).json
        cases += page["matches"]
        cursor = page["nextCursor"]
    assert [(one["source"], one["key"], len(one["candidates"])) for one in cases] == [
        ("phones", "t1", 2),
        ("phones", "t2", 2),
    ]
    decided = await shop.done(
        call, kind="match", source="phones", key="t1", verdict="join", user=cases[0]["candidates"][0]
    )
    assert decided["state"] == "done", decided
    found = (await call("GET", f"/scim/v2/Users/{cases[0]['candidates'][0]}")).json
    assert found["displayName"] == "Al"
    left = await shop.done(call, kind="match", source="phones", key="t2", verdict="ignore")
    assert left["state"] == "done"
    assert (await call("GET", f"{HERE}/matches")).json["matches"] == []
    taken = await shop.done(call, kind="match", source="phones", key="t1", verdict="forget")
    assert taken["state"] == "done"
    assert [one["key"] for one in (await call("GET", f"{HERE}/matches")).json["matches"]] == ["t1"]
    unknown = await shop.done(call, kind="match", source="phones", key="t9", verdict="new")
    assert (unknown["state"], "waits for no decision" in unknown["error"]) == ("failed", True)


async def test_fe_14_what_workers_die_of_is_not_tried_for_ever(shop: Shop) -> None:
    """After three deaths it has failed, and those behind it go on."""
    call, orders = await shop.by("admin", "write"), SqlOrders(shop.server.store.database)
    made = await call("POST", f"{HERE}/orders", {"kind": "apply"})
    for worker in ("a", "b", "c"):
        assert await orders.take(1, worker, now(), now() + HOUR) is not None
        await orders.free(1)
    ended = await shop.worked(call, made)
    assert (ended["state"], "3 workers" in ended["error"]) == ("failed", True)
    assert (await shop.done(call, kind="plan"))["state"] == "done"
    assert await shop.sent() == []


async def test_as_long_as_nobody_works_it_says_so(shop: Shop) -> None:
    """It waits, and may be taken back; taken back it is never done."""
    call = await shop.by("admin", "write")
    made = await call("POST", f"{HERE}/orders", {"kind": "apply"})
    assert (made.json["state"], "been seen yet" in made.json["note"]) == ("waiting", True)
    assert (await call("POST", f"{HERE}/orders/1/cancel")).json["state"] == "cancelled"
    assert (await call("POST", f"{HERE}/orders/1/cancel")).status == 409
    second = await shop.done(call, kind="plan")
    assert second["note"] is None
    assert (await call("POST", f"{HERE}/orders", {"kind": "plan"})).json["note"] is None
    await SqlOrders(shop.server.store.database).see(1, now() - HOUR)
    assert "been seen since 20" in (await call("GET", f"{HERE}/orders/3")).json["note"]
    assert await shop.sent() == []
    assert (await call("POST", f"{HERE}/orders/1/apply", {})).status == 409


async def test_t_09_orders_are_for_those_who_may_change(shop: Shop) -> None:
    """admin:read orders nothing; admin alone orders what the configuration says, and decides about nobody."""
    reader, boss = await shop.by("admin:read", "write"), await shop.by("admin")
    looker, own = await shop.by("admin", "read"), await shop.by("admin", "write", within='title eq "x"')
    assert (await reader("POST", f"{HERE}/orders", {"kind": "plan"})).status == 403
    people: list[dict[str, Any]] = [
        {"kind": "undo", "run": 1},
        {"kind": "undo", "run": 1, "dryRun": True},
        {"kind": "match", "source": "hr", "key": "1", "verdict": "new"},
        {"kind": "pull", "accept": ["1"]},
    ]
    holding = await shop.by("admin", "write", hold=("title",))
    for call in (boss, looker, own, holding):
        for asked in people:
            assert (await call("POST", f"{HERE}/orders", asked)).status == 403, asked
    assert (await boss("POST", f"{HERE}/orders", {"kind": "plan"})).status == 201


async def test_t_19_orders_tell_nothing_of_people(shop: Shop) -> None:
    """A token that may not read every resource sees figures: no names, keys, lines and reasons."""
    boss, call = await shop.by("admin", "write"), await shop.by("admin")
    blind = await shop.by("admin", "read", without=("title",))
    planned = await shop.done(boss, kind="plan")
    await shop.done(boss, kind="match", source="phones", key="secret-key", verdict="new")
    await shop.done(boss, kind="pull", accept=["secret-key"])
    for path in ("/orders", f"/orders/{planned['number']}", "/orders/2", "/orders/3"):
        answer = await call("GET", HERE + path)
        assert answer.status == 200
        assert not any(word in answer.body for word in (b"p1@x", b"secret-key")), path
    for path in (f"/orders/{planned['number']}/lines", "/matches"):
        assert {(await each("GET", HERE + path)).status for each in (call, blind)} == {403}
        assert (await boss("GET", HERE + path)).status == 200


async def test_who_is_erased_is_in_no_order(shop: Shop) -> None:
    """What orders were about is forgotten with anybody who is to be."""
    call = await shop.by("admin", "write")
    await shop.done(call, kind="pull")
    await shop.done(call, kind="plan")
    await shop.done(call, kind="match", source="phones", key="p1", verdict="new")
    assert b"p1@x" in (await call("GET", f"{HERE}/orders/2/lines")).body
    (user,) = (await call("GET", "/scim/v2/Users?filter=externalId%20eq%20%221%22")).json["Resources"]
    kind = shop.server.store.catalog.resource_type("User")
    assert kind is not None
    await Archive(shop.server.store, 1).erase(kind, user["id"], by("test"), USUAL)
    for path in ("/orders", "/orders/2/lines", "/orders/3"):
        assert b"p1" not in (await call("GET", HERE + path)).body
    assert (await call("POST", f"{HERE}/orders/2/apply", {})).status == 409


CANNOT: list[tuple[dict[str, Any], str]] = [
    ({}, "kind"),
    ({"kind": "delete"}, "kind"),
    ({"kind": "plan", "retry": True}, "retry"),
    ({"kind": "pull", "targets": ["app"]}, "targets"),
    ({"kind": "apply", "sources": ["hr"]}, "sources"),
    ({"kind": "apply", "acceptDeletions": 3}, "plans"),
    ({"kind": "apply", "plans": ["x"]}, "plans"),
    ({"kind": "apply", "acceptDeletions": 0, "plans": ["x"]}, "acceptDeletions"),
    ({"kind": "retry"}, "targets"),
    ({"kind": "undo"}, "run"),
    ({"kind": "undo", "run": 2**63}, "run"),
    ({"kind": "match", "source": "hr", "key": "1"}, "verdict"),
    ({"kind": "match", "source": "hr", "key": "1", "verdict": "join"}, "user"),
    ({"kind": "match", "source": "hr", "key": "1", "verdict": "new", "user": "x"}, "user"),
    ({"kind": "plan", "targets": "app"}, "targets"),
    ({"kind": "plan", "targets": ["a"] * 1_001}, "targets"),
    ({"kind": "plan", "targets": ["a" * 200] * 82}, "16384 characters"),
    ({"kind": "plan", "command": "rm"}, "command"),
]


@pytest.mark.parametrize(("asked", "word"), CANNOT)
async def test_what_cannot_be_ordered(application: Application, asked: dict[str, Any], word: str) -> None:
    """It is refused at once, in words that name the member, and waits for nobody."""
    wish = Wish("ops", now() + HOUR, ("admin", "write"))
    call = AsgiCaller(application.asgi, await grant(application.store, 1, wish, by("test")))
    answer = await call("POST", f"{HERE}/orders", asked)
    assert (answer.status, word in answer.json["detail"]) == (400, True), answer.json
    assert (await call("GET", f"{HERE}/orders")).json["orders"] == []


@pytest.mark.parametrize("names", [["nobody"], ["app\0"]])
async def test_what_the_configuration_has_not(shop: Shop, names: list[str]) -> None:
    """A target that is not configured fails the order, with what there is."""
    call = await shop.by("admin", "write")
    made = await call("POST", f"{HERE}/orders", {"kind": "plan", "targets": names})
    if made.status == 400:
        return
    ended = await shop.worked(call, made)
    assert (ended["state"], "no target" in ended["error"]) == ("failed", True)


async def test_i_08_another_tenants_orders_are_not_there(server: Application) -> None:
    """Numbers are a tenant's own; a worker takes up those of its tenant only."""
    acme = await party(server, "acme")
    orders = SqlOrders(server.store.database)
    own = AsgiCaller(
        server.asgi,
        await grant(server.store, acme.number, Wish("own", now() + HOUR, ("admin", "write")), by("test")),
    )
    for _ in range(2):
        await orders.add(1, OrderKind.PLAN, {}, Orderer("x"), now())
    made = await own("POST", "/admin/v1/tenants/acme/orders", {"kind": "plan"})
    assert (made.status, made.json["number"]) == (201, 1)
    foreign, invented = [await own("GET", f"/admin/v1/tenants/acme/orders/{number}") for number in (2, 9)]
    assert foreign.status == invented.status == 404
    assert foreign.body.replace(b"'2'", b"'9'") == invented.body
    for path in ("/lines", "/apply", "/cancel"):
        method = "GET" if path == "/lines" else "POST"
        assert (await own(method, f"/admin/v1/tenants/acme/orders/2{path}", {})).status == 404
    taken = await orders.take(acme.number, "w", now(), now() + HOUR)
    assert taken is not None
    assert taken.number == 1
    assert await orders.take(acme.number, "w", now(), now() + HOUR) is None


async def test_t_96_no_more_wait_than_can_be_looked_over(application: Application) -> None:
    """A hundred; the next one is refused until some have ended."""
    wish = Wish("ops", now() + HOUR, ("admin",))
    call = AsgiCaller(application.asgi, await grant(application.store, 1, wish, by("test")))
    orders = SqlOrders(application.store.database)
    for _ in range(MOST_OPEN):
        await orders.add(1, OrderKind.PLAN, {}, Orderer("x"), now())
    assert (await call("POST", f"{HERE}/orders", {"kind": "plan"})).status == 409
    assert (await call("POST", f"{HERE}/orders/7/cancel")).status == 200
    assert (await call("POST", f"{HERE}/orders", {"kind": "plan"})).status == 201
