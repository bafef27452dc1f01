"""Searches agree with the reference store on any filter, cost what they may, and run where they should."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollbook.protocol import compare
from rollbook.protocol.attributes import Returned, Type
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import InvalidValue, TooMany
from rollbook.protocol.filters import Operator
from rollbook.protocol.match import values
from rollbook.protocol.query import Order, Page, Query, Walk, parse_order
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resolve import OPERATORS
from rollbook.protocol.resolved import AllOf, AnyOf, Element, HasValue, NotAny, ResolvedFilter, Test
from rollbook.protocol.resource import Change, Member, Scope
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.storage.base import USUAL, Found, Rules
from rollbook.storage.memory import MemoryStore
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.editions import PRESENT_STATE
from rollbook.storage.sql.search import SOME
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.filter_rows import CATALOG, DOCUMENTS
from rollbook.testing.filter_table import FilterTable, load
from rollbook.testing.store_steps import (
    AUTHOR,
    GROUP,
    TENANT,
    USER,
    add_group,
    add_user,
    find,
    ids,
    join,
    update,
    user,
)

_SUBSTRING = (Operator.CO, Operator.SW, Operator.EW)


class Stores:
    """The table's documents in a store of each kind, and a loop to ask them in."""

    def __init__(self, directory: Path) -> None:
        self._runner = asyncio.Runner()
        self.reference = MemoryStore(CATALOG)
        self.sqlite = open_store(f"sqlite:///{directory}/rollbook.db", CATALOG)
        self._runner.run(self._fill())

    async def _fill(self) -> None:
        await self.sqlite.open()
        table = FilterTable(CATALOG, DOCUMENTS, ())
        for store in (self.reference, self.sqlite):
            await load(store, table)

    def find(self, query: Query) -> tuple[Found, Found]:
        """What each finds: the reference, and SQLite."""
        stores = (self.reference, self.sqlite)
        first, second = (self._runner.run(store.search(TENANT, query)) for store in stores)
        return first, second

    def walk(self, query: Query, count: int) -> Iterator[Found]:
        """Every page of a walk through SQLite, to the end and back to the beginning."""
        walk = Walk(count)
        while True:
            found = self._runner.run(self.sqlite.search(TENANT, query._replace(page=walk)))
            yield found
            position = found.before if walk.backwards else found.after
            if position is None and walk.backwards:
                return
            walk = replace(
                walk, position=position or found.before, backwards=position is None or walk.backwards
            )
            if walk.position is None:
                return

    def close(self) -> None:
        self._runner.run(self.sqlite.close())
        self._runner.close()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Both stores, filled."""
    made = Stores(tmp_path_factory.mktemp("search"))
    yield made
    made.close()


def _paths(resource_type: ResourceType) -> list[AttributePath]:
    """Everything a filter may name, but for what only a server knows the full form of."""
    top = [path for path in resource_type.paths() if path.attribute.returned is not Returned.NEVER]
    subs = [path._replace(sub=sub) for path in top for sub in path.attribute.sub_attributes]
    server = {"$ref", "location", "version"}
    return [
        path
        for path in (*top, *subs)
        if path.leaf.returned is not Returned.NEVER and path.leaf.name not in server
    ]


def _operands(path: AttributePath, resource_type: ResourceType) -> list[bytes]:
    """Keys of the values that the documents have, and pieces of them."""
    found = {b"", b"~"} if path.leaf.type in {Type.STRING, Type.REFERENCE} else set()
    for name, document in DOCUMENTS:
        if name == resource_type.name:
            for _, value in values(path, document):
                try:
                    found.add(compare.key(path.leaf, value))
                except InvalidValue:
                    continue
    return sorted(found)


class Filters:
    """Draws filters on one resource type, of conditions that its documents may or may not meet."""

    def __init__(self, draw: st.DrawFn, resource_type: ResourceType) -> None:
        self._draw = draw
        self._type = resource_type
        self._paths = _paths(resource_type)

    def any(self, depth: int = 3) -> ResolvedFilter:
        """A filter of at most that depth."""
        return self._tree(self._paths, depth, elements=True)

    def _tree(self, paths: list[AttributePath], depth: int, *, elements: bool) -> ResolvedFilter:
        kind = self._number(6) if depth else 0
        if kind == 1:
            return NotAny(self._tree(paths, depth - 1, elements=elements))
        if kind in {2, 3}:
            count = 2 + self._number(1)
            terms = tuple(self._tree(paths, depth - 1, elements=elements) for _ in range(count))
            return AllOf(terms) if kind == 2 else AnyOf(terms)
        path = paths[self._number(len(paths) - 1)]
        if path.sub is None and path.attribute.is_complex:
            parts = [each for each in paths if each.sub and each._replace(sub=None) == path]
            if elements and parts and self._number(3):
                return Element(path, self._tree(parts, depth - 1 if depth else 0, elements=False))
            return HasValue(path)
        return self._test(path)

    def _test(self, path: AttributePath) -> ResolvedFilter:
        keys = _operands(path, self._type)
        operators = sorted(OPERATORS[path.leaf.type] - {Operator.NE})
        if not keys or not self._number(4):
            return HasValue(path)
        operator = operators[self._number(len(operators) - 1)]
        key = keys[self._number(len(keys) - 1)]
        if operator not in _SUBSTRING:
            return Test(path, operator, key)
        if not compare.searches_key(path.leaf):
            return Test(path, Operator.EQ, key)
        start = self._number(3)
        piece = key.decode()[start : start + 1 + self._number(5)]
        return Test(path, operator, piece.encode() or b"a")

    def _number(self, most: int) -> int:
        return self._draw(st.integers(0, most))


@st.composite
def filters(draw: st.DrawFn, name: str) -> ResolvedFilter:
    """Any filter on a resource type."""
    resource_type = CATALOG.resource_type(name)
    assert resource_type is not None
    return Filters(draw, resource_type).any()


_PAGES = st.builds(Page, st.integers(1, 4), st.integers(0, 4)) | st.just(Page(1, 100))


@pytest.mark.parametrize("name", ["User", "Group", "Device"])
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_filter_finds_what_the_matcher_finds(stores: Stores, name: str, data: st.DataObject) -> None:
    """I-06: for any filter the index finds what looking at every document finds, page by page."""
    resource_type = CATALOG.resource_type(name)
    assert resource_type is not None
    condition, page = data.draw(filters(name)), data.draw(_PAGES)
    reference, found = stores.find(Query(resource_type, condition, page))
    assert (ids(found), found.total) == (ids(reference), reference.total)


def _orders(resource_type: ResourceType) -> list[Order | None]:
    """By creation, and by everything that gives an order, both ways."""
    names = [path.text for path in _paths(resource_type)] + ["emails", "id", "meta.location", "meta.created"]
    orders: list[Order | None] = [None]
    for name in names:
        for descending in (False, True):
            with suppress(InvalidValue):
                orders.append(parse_order(name, resource_type, Leniency(), descending=descending))
    return orders


@pytest.fixture(params=[SOME, -1], ids=["documents tell", "indexes tell"])
def _how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether sets of this size are put in order by their documents, or found by walking an index."""
    monkeypatch.setattr("rollbook.storage.sql.search.SOME", request.param)


@pytest.mark.usefixtures("_how")
@pytest.mark.parametrize("name", ["User", "Group", "Device"])
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_order_is_that_of_the_documents(stores: Stores, name: str, data: st.DataObject) -> None:
    """P-3.4.2.3-02 to -07: pages in any order hold what putting all documents in order gives."""
    resource_type = CATALOG.resource_type(name)
    assert resource_type is not None
    condition = data.draw(st.none() | filters(name))
    order, page = data.draw(st.sampled_from(_orders(resource_type))), data.draw(_PAGES)
    reference, found = stores.find(Query(resource_type, condition, page, order))
    assert (ids(found), found.total) == (ids(reference), reference.total)


@pytest.mark.usefixtures("_how")
@pytest.mark.parametrize("name", ["User", "Group", "Device"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), count=st.integers(1, 4))
def test_a_walk_sees_everything_once_each_way(
    stores: Stores, name: str, data: st.DataObject, count: int
) -> None:
    """P-9865-2-03, -04, -10: pages by position make up the whole list, to the end and back."""
    resource_type = CATALOG.resource_type(name)
    assert resource_type is not None
    condition = data.draw(st.none() | filters(name))
    query = Query(resource_type, condition, Page(1, 1000), data.draw(st.sampled_from(_orders(resource_type))))
    whole = ids(stores.find(query)[0])
    pages = [ids(page) for page in stores.walk(query, count)]
    onwards = [whole[start : start + count] for start in range(0, len(whole), count)] or [[]]
    assert pages == onwards + [whole[max(0, end - count) : end] for end in _ends(onwards, count)]


def _ends(onwards: list[list[str]], count: int) -> list[int]:
    """Where the pages of the way back end: each where the one after it begins."""
    start, ends = count * (len(onwards) - 1), []
    while start > 0:
        ends.append(start)
        start = max(0, start - count)
    return ends


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An empty store that looks at no more than five documents."""
    opened = SqlStore(SqliteFile(tmp_path / "rollbook.db"), core_catalog(), looked_at=5)
    await opened.open()
    yield opened
    await opened.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('title eq "x"', "title"),
        ('not (title eq "x")', "title"),
        ('title eq "x" or userName eq "u1"', "title"),
        ('emails[type eq "work"]', "emails"),
        ('groups.display eq "g"', "groups"),
        ("name.formatted pr and title pr", r"name\.formatted, title"),
        ('userName sw "u" and title pr', "title"),
    ],
)
async def test_a_costly_filter_is_refused(store: SqlStore, text: str, names: str) -> None:
    """T-43: with more documents to look at than allowed the answer is tooMany, and names what is not indexed."""
    for number in range(6):
        await add_user(store, f"u{number}")
    await add_group(store, "g", *(f"u{number}" for number in range(6)))
    with pytest.raises(TooMany, match=f"no index serves {names}"):
        await find(store, text)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('userName eq "u3" and title pr', ["u3"]),
        ('userName co "u" and not (userName ew "3")', ["u0", "u1", "u2", "u4", "u5"]),
        ('(userName eq "u1" or userName eq "u2") and title eq "boss"', ["u1", "u2"]),
        ('emails[type eq "work" and value eq "u4@x.org"]', ["u4"]),
        ('groups.value eq "g" and title pr', ["u0", "u1"]),
    ],
)
async def test_an_indexed_condition_makes_a_filter_cheap(
    store: SqlStore, text: str, expected: list[str]
) -> None:
    """Of an AND only what the index leaves is looked at, so that the limit does not matter."""
    for number in range(6):
        mail = {"value": f"u{number}@x.org", "type": "work"}
        await add_user(store, f"u{number}", title="Boss", emails=[mail])
    await add_group(store, "g", "u0", "u1")
    assert ids(await find(store, text)) == expected


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "near"),
    [
        (None, True),
        ('userName eq "u3"', True),
        ('id eq "u3"', True),
        ('externalId eq "x"', True),
        ('userName eq "u3" and title pr', True),
        ('emails[type eq "work" and value eq "x"]', True),
        ('userName co "u"', False),
        ('userName sw "u"', False),
        ("userName pr", False),
        ('not (userName eq "u3")', False),
        ('userName eq "u3" and userName co "u"', True),
    ],
)
async def test_look_ups_stay_on_the_event_loop(
    store: SqlStore, text: str | None, near: bool, in_threads: list[object]
) -> None:
    """Look-ups and first pages cost less than a change of threads; everything longer leaves the loop."""
    for number in range(4):
        await add_user(store, f"u{number}")
    await find(store, text)
    assert (not in_threads) == near


def _sqlite(store: SqlStore) -> SqliteFile:
    assert isinstance(store.database, SqliteFile)
    return store.database


@pytest.fixture
def in_threads(store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is read in threads from now on; what a first write has to know by which keys is not."""
    reads, seen = _sqlite(store)._reads, list[object]()
    usual = reads.run

    async def run(work: Any, *arguments: Any, **named: Any) -> Any:
        if store.database.signer.is_settled:
            seen.append(work)
        return await usual(work, *arguments, **named)

    monkeypatch.setattr(reads, "run", run)
    return seen


@pytest.mark.anyio
async def test_everything_beyond_the_first_pages_leaves_the_loop(
    store: SqlStore, in_threads: list[object]
) -> None:
    """A page far into everything is skipped to in a thread."""
    await add_user(store, "u")
    await find(store, None, start=1000, count=100)
    assert not in_threads
    await find(store, None, start=1001, count=100)
    assert len(in_threads) == 1


_FRAME = ("BEGIN", "SAVEPOINT", "RELEASE", "COMMIT", "ROLLBACK")
"""What frames a transaction; beside it, once for all that share one, the edition of the definitions is read."""


async def _statements(store: SqlStore, work: Awaitable[object]) -> int:
    """How many statements a call runs on the event loop, those around a transaction aside."""
    return len(await _traced(store, work))


async def _traced(store: SqlStore, work: Awaitable[object]) -> list[str]:
    """The statements a call runs on the event loop, those around a transaction aside."""
    seen: list[str] = []

    def note(_: object, sql: str, __: object) -> bool:
        seen.append(sql)
        return True

    connections = [connection for connection in (_sqlite(store)._near, _sqlite(store)._writer) if connection]
    for connection in connections:
        connection._apsw.set_exec_trace(note)
    await work
    for connection in connections:
        connection._apsw.set_exec_trace(None)
    return [sql for sql in seen if not sql.startswith(_FRAME) and sql != PRESENT_STATE]


@pytest.mark.anyio
async def test_the_number_of_statements_does_not_grow(store: SqlStore) -> None:
    """Reads and member changes take a constant number of statements, whatever the size (architecture 3)."""
    names = [f"u{number:02}" for number in range(60)]
    for name in names:
        await add_user(store, name)
    await add_group(store, "g", *names[:50])
    for rules in (USUAL, Rules(indirect_groups=True)):
        assert await _statements(store, store.get(TENANT, USER, "u00", rules)) == 1
        assert await _statements(store, find(store, 'userName eq "u00"', rules=rules)) == 1
        assert await _statements(store, find(store, None, count=50, rules=rules)) == 2
        assert await _statements(store, find(store, 'groups.value eq "g"', count=50, rules=rules)) <= 3


_WRITES: dict[str, tuple[Callable[[SqlStore], Awaitable[object]], int]] = {
    "create a user": (lambda store: store.insert(TENANT, USER, "new", Change(user("new")), AUTHOR), 14),
    "create a group of ten": (
        lambda store: add_group(store, "new", *(f"u{number:02}" for number in range(10))),
        11,
    ),
    "change a user": (lambda store: update(store, "u01", Change(user("u01", displayName="x"))), 11),
    "change nothing": (lambda store: update(store, "u01", Change(user("u01"))), 2),
    "delete a user": (lambda store: store.delete(TENANT, USER, "u01", AUTHOR), 24),
    "delete a group": (lambda store: store.delete(TENANT, GROUP, "g", AUTHOR), 18),
}
"""A call for each kind of write, and the statements it takes; each value that comes into the index or goes is one."""


@pytest.mark.anyio
@pytest.mark.parametrize("name", _WRITES)
async def test_writes_take_so_many_statements(store: SqlStore, name: str) -> None:
    """Document, index, memberships, counter and log of a write take a number of statements that is known."""
    for number in range(12):
        await add_user(store, f"u{number:02}")
    await add_group(store, "g", "u01", "u02")
    write, number_of_statements = _WRITES[name]
    assert await _statements(store, write(store)) == number_of_statements


_MANY = """
    INSERT INTO resource (pk, tenant, type, id, version, created, modified, display, body)
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
    SELECT (1 << 40) + 1000 + i, 1, 'User', 'many' || i, 1, 0, 0, NULL, CAST('{"schemas":[]}' AS BLOB) FROM n
"""
_ALL_JOIN = """
    INSERT INTO membership (tenant, container, member)
    SELECT 1, g.pk, r.pk FROM resource g CROSS JOIN resource r WHERE g.id = 'large' AND r.id LIKE 'many%'
"""


@pytest.mark.anyio
async def test_a_large_group_costs_what_a_small_one_does(store: SqlStore) -> None:
    """A member is added, removed and told of, and a group is read without its members, by the same statements."""
    for number in range(12):
        await add_user(store, f"u{number:02}")
    await add_group(store, "small", *(f"u{number:02}" for number in range(10)))
    await add_group(store, "large")
    await store.database.write(
        1, lambda connection: [connection.run(sql) for sql in (_MANY, _ALL_JOIN)], long=True
    )
    await join(store, "large", "u00")
    scope = Scope(frozenset({"u11"}))
    for group in ("small", "large"):
        for change, most in ((Change(None, (Member("u11"),)), 8), (Change(None, (), ("u11",)), 9)):
            writing = update(store, group, change, resource_type=GROUP, scope=scope)
            assert await _statements(store, writing) == most
        traced = await _traced(store, store.get(TENANT, GROUP, group, members=False))
        assert len(traced) == 1
        assert "membership" not in traced[0]
        assert (
            await _statements(store, find(store, f'members.value eq "u00" and id eq "{group}"', GROUP)) <= 3
        )


@pytest.mark.anyio
async def test_a_point_read_with_many_members_leaves_the_loop(
    store: SqlStore, in_threads: list[object]
) -> None:
    """A group of more than a page read's worth of members is read in a thread."""
    names = [f"u{number:03}" for number in range(300)]
    for name in names:
        await add_user(store, name)
    await add_group(store, "g", *names)
    record = await store.get(TENANT, GROUP, "g")
    assert record is not None
    assert record.members is not None
    assert len(record.members) == 300
    assert len(in_threads) == 1
    assert await store.database.read(_identity) != threading.get_ident()


@pytest.mark.anyio
async def test_a_walk_through_many_groups_leaves_the_loop(store: SqlStore, in_threads: list[object]) -> None:
    """What a user is in by way of a long chain of groups is read in a thread, and whole."""
    await add_user(store, "ann")
    await add_group(store, "g0", "ann")
    for number in range(1, 300):
        await add_group(store, f"g{number}", f"g{number - 1}")
    record = await store.get(TENANT, USER, "ann", Rules(indirect_groups=True))
    assert record is not None
    assert [group.way for group in record.groups or ()] == ["direct"] + ["indirect"] * 299
    assert len(in_threads) == 1


def _identity(_: Connection) -> int:
    return threading.get_ident()
