"""What PostgreSQL really does for each kind of request: rows looked at are counted, not timed (architecture §5).

A tenant of ten thousand users, and another beside it. Every statement of a request is run once more under EXPLAIN
ANALYZE with the parameters it had, or, if it writes, explained: no table and no tenant is scanned, nothing is sorted
that an index has in order, and what is looked at is in proportion to what was asked for.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from tests.postgres_server import database as new_database
from tests.postgres_server import make_tables

from rollbook.protocol import urns
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.query import Page, Query, Walk, parse_order
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resource import Change, Member, Scope
from rollbook.storage.base import USUAL
from rollbook.storage.sight import Sight
from rollbook.storage.sql.connection import Parameters, Row
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.load import Joined, Loaded, Mark
from rollbook.storage.sql.postgres_connection import FarConnection, NearConnection, arguments
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.store_steps import AUTHOR, GROUP, TENANT, USER

pytestmark = pytest.mark.slow

USERS, MEMBERS, GROUPS, OWN = 10_000, 5_000, 300, 30
MAKER = replace(AUTHOR, maker="me")
SORTED = 300
"""Rows that may be sorted: a page, the groups of one user."""

PAGE = 2_500
"""Rows that a request for a page of 100 may look at, in all its statements."""

KEYS = 2 * USERS + PAGE
"""The same for parts of texts: as long as an attribute's keys are few the server may prefer to read them, once to find
and once to count; of a million it does not (docs/performance.md)."""

FEW = 150
"""The same for a request that concerns one resource."""

_OF_A_TENANT = re.compile(r"\(\w*\.?tenant = \S+\)\Z")
_SMALL = {"sequence", "counter", "setting", "attribute", "target", "token", "alembic_version"}
"""Tables with a row for each type, target or attribute of a tenant."""


class Recorder:
    """Notes every statement while it is on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements: list[tuple[str, Parameters]] = []
        for kind in (NearConnection, FarConnection):
            monkeypatch.setattr(kind, "all", self._noting(kind.all))

    def _noting(self, all_rows: Callable[..., list[Row]]) -> Callable[..., list[Row]]:
        def noted(connection: Any, sql: str, parameters: Parameters = ()) -> list[Row]:
            self.statements.append((sql, tuple(parameters)))
            return all_rows(connection, sql, parameters)

        return noted


class Filled(NamedTuple):
    """A database with resources, a loop to ask in, and a connection to explain with."""

    runner: asyncio.Runner
    store: SqlStore
    explaining: FarConnection


def _document(number: int) -> dict[str, Any]:
    hundred = number // 100
    return {
        "userName": f"user{number:05}",
        "externalId": f"x{number}",
        "displayName": f"Person {number}" + (" haystack" if hundred == 5 else ""),
        "name": {"familyName": f"Family {hundred}", "givenName": f"Given {number % 97}"},
        "title": f"title {number % 7}",
        "emails": [
            {"value": f"u{number}@corp.example", "type": "work"},
            {"value": f"h{hundred}@home.example", "type": "home"},
        ],
        urns.ENTERPRISE_USER: {"department": f"d{hundred}"},
    }


async def _fill(store: SqlStore, tenant: int, users: int) -> None:
    mark, everyone = Mark("test", ""), [f"u{number}" for number in range(users)]
    for at in range(0, users, 5_000):
        batch = [
            Loaded(USER, one, _document(at + each)) for each, one in enumerate(everyone[at : at + 5_000])
        ]
        assert not any(await store.load(tenant, batch, AUTHOR, USUAL, mark))
    groups = [Loaded(GROUP, f"g{number}", {"displayName": f"group {number}"}) for number in range(GROUPS)]
    assert not any(await store.load(tenant, groups, AUTHOR, USUAL, mark))
    for number in range(GROUPS):
        few = [everyone[(number * 37 + each * 79) % users] for each in range(10)]
        members = everyone[: min(MEMBERS, users)] if number == 0 else sorted({*few, "u7"})
        await store.join(
            tenant, Joined(GROUP, f"g{number}", [*map(Member, members)], is_kept=True), AUTHOR, USUAL, None
        )
    for number in range(200):
        await _title(store, f"u{number}", tenant)


def _own(number: int) -> dict[str, Any]:
    return {"userName": f"own{number:03}", "displayName": f"Person own {number} haystack", "title": "own"}


async def _title(store: SqlStore, id: str, tenant: int = TENANT) -> None:
    def decide(present: Any) -> Change:
        return Change({**present.document, "title": "new", "displayName": f"New {id}"})

    await store.update(tenant, USER, id, decide, Scope(), AUTHOR)


@pytest.fixture(scope="module")
def filled(postgres: str) -> Iterator[Filled]:
    """The database, with statistics."""
    with new_database(postgres) as url, asyncio.Runner() as runner:
        make_tables(url)
        store = open_store(url, core_catalog())
        runner.run(store.open())
        runner.run(_fill(store, TENANT, USERS))
        runner.run(_fill(store, TENANT + 1, 2_000))
        for number in range(OWN):
            runner.run(store.insert(TENANT, USER, f"own{number}", Change(_own(number)), MAKER))
        explaining = FarConnection(arguments(url), "test")
        explaining.script("VACUUM ANALYZE")
        yield Filled(runner, store, explaining)
        explaining.close()
        runner.run(store.close())


def _query(
    text: str | None = None, sort_by: str | None = None, page: Any = None, type_name: str = "User"
) -> Query:
    kind, leniency = core_catalog().resource_type(type_name), Leniency()
    assert kind is not None
    tree = None if text is None else resolve(parse_filter(text, leniency), kind, leniency)
    order = None if sort_by is None else parse_order(sort_by, kind, leniency, descending=False)
    return Query(kind, tree, page or Page(1, 100), order)


Work = Callable[[SqlStore], Awaitable[Any]]


def _finds(number: int, *query: Any, **named: Any) -> Work:
    async def work(store: SqlStore) -> None:
        found = await store.search(TENANT, _query(*query, **named), members=False)
        assert len(found.records) == number

    return work


def _own_found(number: int, *query: Any, **named: Any) -> Work:
    """What one has made."""

    async def work(store: SqlStore) -> None:
        asked = _query(*query, **named)._replace(maker=MAKER.maker)
        assert len((await store.search(TENANT, asked, members=False)).records) == number

    return work


def _walks(sort_by: str | None) -> Work:
    """The page in the middle, by a cursor."""

    async def work(store: SqlStore) -> None:
        first = await store.search(TENANT, _query(None, sort_by, Walk(100, None)))
        await store.search(TENANT, _query(None, sort_by, Walk(100, first.after)))

    return work


async def _add(store: SqlStore) -> None:
    change = Change(None, (Member("u9000"),))
    await store.update(TENANT, GROUP, "g0", lambda _: change, Scope(ids=frozenset({"u9000"})), AUTHOR)


async def _take(store: SqlStore) -> None:
    change = Change(None, (), ("u77",))
    await store.update(TENANT, GROUP, "g0", lambda _: change, Scope(ids=frozenset({"u77"})), AUTHOR)


REQUESTS: dict[str, tuple[Work, int]] = {
    "own, all": (_own_found(OWN), PAGE),
    "own, by a name": (_own_found(1, 'userName eq "own007"'), FEW),
    "own, by a name of others": (_own_found(0, 'userName eq "user01234"'), FEW),
    "own, unindexed": (_own_found(OWN, 'title eq "own"'), PAGE),
    "own, negated": (_own_found(OWN, 'not (title eq "new")'), PAGE),
    "own, sorted": (_own_found(OWN, None, "userName"), PAGE),
    "own, by id": (lambda store: store.referred(TENANT, ["own3"], Sight(maker=MAKER.maker)), FEW),
    "read by id": (lambda store: store.get(TENANT, USER, "u1234"), FEW),
    "userName eq, 1": (_finds(1, 'userName eq "user01234"'), FEW),
    "userName eq, 0": (_finds(0, 'userName eq "nobody"'), FEW),
    "externalId eq": (_finds(1, 'externalId eq "x1234"'), FEW),
    "id eq": (_finds(1, 'id eq "u1234"'), FEW),
    "emails.value eq, 1": (_finds(1, 'emails.value eq "u1234@corp.example"'), FEW),
    "emails.value eq, 100": (_finds(100, 'emails.value eq "h12@home.example"'), PAGE),
    "department eq, 100": (_finds(100, f'{urns.ENTERPRISE_USER}:department eq "d12"'), PAGE),
    "sw, 100": (_finds(100, 'userName sw "user012"'), PAGE),
    "value path, 1": (_finds(1, 'emails[type eq "work" and value eq "u1234@corp.example"]'), FEW),
    "value path, 100": (_finds(100, 'emails[type eq "home" and value eq "h12@home.example"]'), PAGE),
    "indexed and unindexed": (_finds(15, 'name.familyName eq "Family 12" and title eq "title 3"'), PAGE),
    "co, 0": (_finds(0, 'displayName co "zzzz"'), KEYS),
    "co, 100": (_finds(100, 'displayName co "aystac"'), KEYS),
    "ew, 100": (_finds(100, 'displayName ew "haystack"'), KEYS),
    "first page": (_finds(100), PAGE),
    "page by cursor": (_walks(None), 2 * PAGE),
    "sorted by userName": (_finds(100, None, "userName"), PAGE),
    "sorted by familyName": (_finds(100, None, "name.familyName"), PAGE),
    "sorted by lastModified": (_finds(100, None, "meta.lastModified"), PAGE),
    "sorted, by cursor": (_walks("userName"), 2 * PAGE),
    "group without members": (lambda store: store.get(TENANT, GROUP, "g0", members=False), FEW),
    "member tested": (_finds(1, 'id eq "g0" and members.value eq "u77"', type_name="Group"), FEW),
    "members of the user's groups": (
        _finds(99, 'members.value eq "u7"', page=Page(1, 99), type_name="Group"),
        2 * PAGE,
    ),
    "a user in many groups": (lambda store: store.get(TENANT, USER, "u7"), PAGE),
    "create": (lambda store: store.insert(TENANT, USER, "new", Change(_document(99_999)), AUTHOR), FEW),
    "change": (lambda store: _title(store, "u4321"), FEW),
    "member added": (_add, FEW),
    "member removed": (_take, FEW),
    "delete": (lambda store: store.delete(TENANT, USER, "u9999", AUTHOR), FEW),
    "the log": (lambda store: store.changes(TENANT, 9_000, 100), PAGE),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_what_is_looked_at(filled: Filled, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Costs do not grow with the tenant: each statement has its index, and its rows are few."""
    work, most = REQUESTS[name]
    recorder = Recorder(monkeypatch)
    filled.runner.run(_done(work, filled.store))
    monkeypatch.undo()
    statements = [
        each for each in recorder.statements if not re.match(r"\s*(SAVEPOINT|RELEASE|ROLLBACK)", each[0])
    ]
    assert statements
    looked_at, costs = 0.0, []
    for sql, parameters in statements:
        for node in _nodes(_plan(filled, sql, parameters)):
            assert _fault(node) is None, (sql, node)
            looked_at += _rows(node)
            costs.append(
                (_rows(node), node["Node Type"], node.get("Index Name"), node.get("Index Cond"), sql[:300])
            )
    assert looked_at <= most, sorted(costs, reverse=True, key=lambda cost: cost[0])[:3]


async def _done(work: Work, store: SqlStore) -> None:
    await work(store)


def _plan(filled: Filled, sql: str, parameters: Parameters) -> dict[str, Any]:
    """The plan of a statement with those parameters; reads are run for it."""
    is_read = re.match(r"\s*(SELECT|WITH)\b", sql) and not re.search(r"\b(INSERT|UPDATE|DELETE)\b", sql)
    how = "ANALYZE, TIMING OFF, FORMAT JSON" if is_read else "FORMAT JSON"
    ((found,),) = filled.explaining.all(f"EXPLAIN ({how}) {sql}", parameters)
    plan: dict[str, Any] = (found if isinstance(found, list) else json.loads(found))[0]["Plan"]
    return plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)


def _fault(node: dict[str, Any]) -> str | None:
    kind, condition = node["Node Type"], node.get("Index Cond", "")
    if node.get("Relation Name") in _SMALL:
        return None
    if kind == "Seq Scan":
        return "scans a table"
    if "Index" in kind and (not condition or _OF_A_TENANT.match(condition)):
        return "scans a tenant"
    if "Sort" in kind and node.get("Actual Rows", 0) > SORTED:
        return "sorts"
    return None


def _rows(node: dict[str, Any]) -> float:
    """Rows that a scan has looked at."""
    if "Scan" not in node["Node Type"] or "Actual Rows" not in node:
        return 0.0
    removed = sum(value for name, value in node.items() if name.startswith("Rows Removed by"))
    return float((node["Actual Rows"] + removed) * node["Actual Loops"])
