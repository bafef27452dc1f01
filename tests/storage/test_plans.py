"""Every statement of the store, and every kind of filter, is served by an index (architecture §5)."""

import re
from collections.abc import Iterator
from types import ModuleType

import pytest

from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.query import parse_order
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resolve import resolve
from rollbook.storage.places import Place
from rollbook.storage.sql import (
    check,
    history,
    layout,
    load,
    log,
    memberships,
    migrate,
    parts,
    reads,
    removal,
    search,
    tokens,
    writes,
)
from rollbook.storage.sql.compile import Plan, compile_filter
from rollbook.storage.sql.index import Layout, dictionary_names, type_index
from rollbook.storage.sql.ordering import number_in, stretches, walk
from rollbook.storage.sql.row_sets import Rank, Scope, every
from rollbook.storage.sql.search import count_sql, pks_sql
from rollbook.storage.sql.sqlite import SqliteConnection, memory_connection
from rollbook.testing.filter_rows import CATALOG, ENTERPRISE, ROWS, Row

_STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")
_MODULES = (history, layout, load, log, memberships, parts, reads, removal, search, tokens, writes)

_WALKS_LISTS = (
    "number",
    "word",
    "(subquery",
    "others",
    "given",
    "found",
    "some_of_them",
    "united",
    "above",
    "known",
    "below",
    "reached",
    "CONSTANT ROW",
    "part VIRTUAL TABLE INDEX 0:M",
    "part VIRTUAL TABLE INDEX 0:=",
)
"""What may be scanned: values in a parameter, and what was found so far."""


@pytest.fixture(scope="module")
def connection() -> Iterator[SqliteConnection]:
    """An empty database."""
    opened = memory_connection()
    opened.all(migrate.snapshot())
    yield opened
    opened.close()


def _statements(module: ModuleType) -> Iterator[tuple[str, str]]:
    for name, value in vars(module).items():
        texts = {"": value} if isinstance(value, str) else value if name.isupper() else ()
        for key in texts if isinstance(texts, dict | tuple) else ():
            text = texts[key] if isinstance(texts, dict) else key
            if name.isupper() and isinstance(text, str) and _STATEMENT.match(text) and "{" not in text:
                yield f"{module.__name__.rpartition('.')[2]}.{name}{key or ''}"[:60], text


_ALL = [
    (name, text + (reads.BY_ID if text.rstrip().endswith("WHERE") else ""))
    for module in _MODULES
    for name, text in _statements(module)
]


def _plan(connection: SqliteConnection, sql: str) -> list[str]:
    return [row[3] for row in connection.all(f"EXPLAIN QUERY PLAN {sql}", [None] * sql.count("?"))]


def _scans(plan: list[str]) -> list[str]:
    is_reached = any(
        "SCAN above" in line for line in plan
    )  # what a walk upwards found is in no index's order
    return [
        line
        for line in plan
        if ("TEMP B-TREE" in line and not is_reached)
        or (line.startswith("SCAN") and not any(part in line for part in _WALKS_LISTS))
    ]


def test_there_are_statements_to_look_at() -> None:
    """The store's modules keep their statements where this test finds them."""
    names = [name for name, _ in _ALL]
    assert len(names) > 40
    assert {"writes.INSERT", "reads.MEMBERS", "tokens.TOKEN", "memberships.ADD"} <= set(names)


_SMALL = {"layout.NUMBERS": "a few hundred attribute names"}
_ONCE = {"layout.NAMELESS": "when the schema changes", "parts.NUMBER": "when a database is checked"}


@pytest.mark.parametrize(("name", "sql"), _ALL, ids=[name for name, _ in _ALL])
def test_statement_uses_an_index(connection: SqliteConnection, name: str, sql: str) -> None:
    """No statement scans a table or sorts what an index has in order, but for tables that stay small."""
    scans = _scans(_plan(connection, sql))
    assert bool(scans) == (name in _SMALL or name in _ONCE), scans


def _layout() -> Layout:
    names = [name for kind in CATALOG.resource_types for name in dictionary_names(kind)]
    numbers = {name: number for number, name in enumerate(names, 1)}
    return Layout(CATALOG, {kind.name: type_index(kind, numbers) for kind in CATALOG.resource_types}, "e")


def _scope(type_name: str, *, indirect: bool = False) -> Scope:
    known = _layout()
    return Scope(1, known, known.index(type_name), lambda _: True, indirect)


def _compiled(text: str, type_name: str = "User", *, indirect: bool = False) -> Plan:
    scope, leniency = _scope(type_name, indirect=indirect), Leniency()
    return compile_filter(resolve(parse_filter(text, leniency), scope.index.resource_type, leniency), scope)


@pytest.mark.parametrize("indirect", [False, True])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_filter_scans_no_table(connection: SqliteConnection, row: Row, indirect: bool) -> None:
    """Pages and counts of every filter of the table walk indexes bounded to one tenant, in their order."""
    plan = _compiled(row.text, row.type, indirect=indirect)
    for rows in (plan.rows, plan.narrow):
        if rows is not None:
            assert _scans(_plan(connection, pks_sql(rows, 1, 1)[0])) == []
            counted = _scans(_plan(connection, count_sql(rows)))
            assert [line for line in counted if "count(DISTINCT)" not in line] == []


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ('userName eq "a"', "SEARCH unique_value USING PRIMARY KEY (tenant=? AND attribute=? AND key=?)"),
        ('externalId eq "a"', "SEARCH value USING PRIMARY KEY (tenant=? AND attribute=? AND key=?)"),
        ('emails.value eq "a"', "SEARCH value USING PRIMARY KEY (tenant=? AND attribute=? AND key=?)"),
        (
            f'{ENTERPRISE}:department eq "a"',
            "SEARCH value USING PRIMARY KEY (tenant=? AND attribute=? AND key=?)",
        ),
        ('userName sw "a"', "(tenant=? AND attribute=? AND key>? AND key<?)"),
        ('userName gt "a"', "(tenant=? AND attribute=? AND key>?)"),
        ('userName co "a"', "(tenant=? AND attribute=?)"),
        ('id eq "a"', "SEARCH resource USING INDEX resource_by_id (tenant=? AND id=?)"),
        (
            'meta.lastModified gt "2024-01-01T00:00:00Z"',
            "resource_by_modified (tenant=? AND type=? AND modified>?)",
        ),
        ('meta.created lt "2024-01-01T00:00:00Z"', "resource_by_created (tenant=? AND type=? AND created<?)"),
        ('groups.value eq "a"', "SEARCH m USING PRIMARY KEY (tenant=? AND container=?)"),
        ('emails[type eq "work" and value eq "a"]', "(tenant=? AND attribute=? AND key=?)"),
        ('not (userName eq "a")', "SEARCH r USING COVERING INDEX resource_by_type (tenant=? AND type=?)"),
        ('title eq "a"', "SEARCH resource USING COVERING INDEX resource_by_type (tenant=? AND type=?)"),
    ],
)
def test_filter_is_served_by(connection: SqliteConnection, text: str, index: str) -> None:
    """Each kind of condition walks the index made for it."""
    assert any(index in line for line in _plan(connection, pks_sql(_compiled(text).rows, 1, 1)[0]))


MADE = "resource_by_maker (tenant=? AND type=? AND maker=?"


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_t_26_ones_own_is_found_by_an_index(connection: SqliteConnection, row: Row) -> None:
    """Pages and counts of every filter, of what one has made: no table is scanned, and no type is walked as a whole."""
    scope, leniency = _scope(row.type), Leniency(row.profile)
    tree = resolve(parse_filter(row.text, leniency), scope.index.resource_type, leniency)
    plan = compile_filter(tree, scope, "me")
    for rows in (plan.rows, plan.narrow):
        if rows is not None:
            for sql in (pks_sql(rows, 1, 1)[0], count_sql(rows)):
                lines = _plan(connection, sql)
                assert [line for line in _scans(lines) if "count(DISTINCT)" not in line] == []
                whole = re.compile(r"resource_by_(type|created|modified) \(tenant=\? AND type=\?\)")
                assert not any(map(whole.search, lines)), lines
    if plan.rows.rank > Rank.FEW and not plan.by_parts:
        assert plan.narrow is not None
        assert any(MADE in line for line in _plan(connection, pks_sql(plan.narrow, 1, 1)[0]))


@pytest.mark.parametrize("sort_by", [None, "userName", "meta.lastModified"])
def test_t_26_ones_own_is_walked_in_an_index(connection: SqliteConnection, sort_by: str | None) -> None:
    """Without a filter: by creation in the index of what somebody has made, from any place of it; else in that of the order."""
    scope = _scope("User")
    rows = compile_filter(None, scope, "me").rows
    kind = scope.index.resource_type
    parts = stretches(parse_order(sort_by, kind, Leniency(), descending=False) if sort_by else None, scope)
    assert parts is not None
    assert any(MADE in line for line in _plan(connection, pks_sql(rows, 1, 1)[0]))
    for part in parts:
        for at in (None, Place(part.missing, b"", 7)):
            lines = _plan(connection, walk(part, rows, at, forwards=True, limit=1).sql)
            assert _scans(lines) == []
            assert any(MADE in line for line in lines) == (sort_by is None), lines


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (
            history.ENTRIES,
            "SEARCH change USING COVERING INDEX change_by_id (tenant=? AND id=? AND sequence<?)",
        ),
        (history.LATER, "SEARCH change USING COVERING INDEX change_by_id (tenant=? AND id=? AND sequence>?)"),
        (history.DELETED, "SEARCH e USING COVERING INDEX change_by_end (tenant=? AND type=?)"),
        (history.FORGET_PAST, "SEARCH n USING PRIMARY KEY (tenant=? AND sequence>? AND sequence<?)"),
        (
            history.FORGET_ENTRIES,
            "SEARCH e USING COVERING INDEX change_by_id (tenant=? AND id=? AND sequence<?)",
        ),
        (check.EARLIER, "SEARCH change USING COVERING INDEX change_by_id (tenant=? AND id=? AND sequence<?)"),
        (check.ENDS, "SEARCH change USING COVERING INDEX change_by_id (tenant=? AND id=? AND sequence>?)"),
        (history.FORGET, "SEARCH change USING COVERING INDEX change_by_id (tenant=? AND id=?)"),
        (history.FORGET_SOUGHT, "SEARCH l USING COVERING INDEX link_by_id (tenant=? AND target=? AND id=?)"),
        (
            history.FORGET_ARRIVALS,
            "SEARCH r USING COVERING INDEX source_record_by_id (tenant=? AND source=? AND id=?)",
        ),
        (
            history.FORGET_RECORDS,
            "SEARCH r USING COVERING INDEX source_record_by_id (tenant=? AND source=? AND id=?)",
        ),
    ],
)
def test_history_is_served_by(connection: SqliteConnection, sql: str, index: str) -> None:
    """The history of a resource is read by its id, and compacted entry by entry."""
    assert any(index in line for line in _plan(connection, sql)), _plan(connection, sql)


_SORTED = [
    ("userName", "SEARCH v USING PRIMARY KEY (tenant=? AND attribute=?"),
    ("name.familyName", "SEARCH v USING PRIMARY KEY (tenant=? AND attribute=?"),
    ("externalId", "SEARCH v USING PRIMARY KEY (tenant=? AND attribute=?"),
    (f"{ENTERPRISE}:department", "SEARCH v USING PRIMARY KEY (tenant=? AND attribute=?"),
    ("meta.lastModified", "resource_by_modified (tenant=? AND type=?"),
    ("meta.created", "resource_by_created (tenant=? AND type=?"),
    ("id", "resource_by_id (tenant=?"),
    (None, "resource_by_type (tenant=? AND type=?"),
]


@pytest.mark.parametrize("ascending", [True, False], ids=["ascending", "descending"])
@pytest.mark.parametrize(
    "at", [None, Place(False, b"k" * 8, 1), Place(True, b"", 1)], ids=["start", "key", "none"]
)
@pytest.mark.parametrize(
    "text", [None, "title pr", 'userName sw "a"', 'not (externalId eq "a")', 'externalId eq "a"']
)
@pytest.mark.parametrize(("sort_by", "index"), _SORTED)
def test_order_is_walked_in_an_index(
    connection: SqliteConnection,
    sort_by: str | None,
    index: str,
    text: str | None,
    at: Place | None,
    ascending: bool,
) -> None:
    """P-3.4.2.3: every page of an order, whatever the filter, walks the index that has it, without sorting."""
    scope = _scope("User")
    resource_type = scope.index.resource_type
    order = parse_order(sort_by, resource_type, Leniency(), descending=not ascending) if sort_by else None
    rows = _compiled(text).rows if text else every(scope)
    parts = stretches(order, scope)
    assert parts
    for part in parts:
        place = at if at is not None and at.missing == part.missing else None
        statement = walk(part, rows, place, forwards=ascending, limit=10)
        plan = _plan(connection, statement.sql)
        assert [line for line in plan if "TEMP B-TREE" in line] == []
        assert _scans(plan) == []
        if rows.is_every and not part.missing:
            assert any(index in line for line in plan), plan
        connection.all(statement.sql, statement.parameters)
        counted = number_in(part, rows)
        connection.all(counted.sql, counted.parameters)


@pytest.mark.parametrize(
    ("text", "rank", "exact"),
    [
        ('userName eq "a"', Rank.ONE, True),
        ('userName eq "a" and active eq true', Rank.ONE, False),
        ('active eq true and userName eq "a"', Rank.ONE, False),
        ('userName eq "a" or userName eq "b"', Rank.FEW, True),
        ('userName sw "a" and externalId eq "b"', Rank.FEW, True),
        ('userName sw "a" and not (externalId eq "b")', Rank.SOME, True),
        ('userName co "a"', Rank.MANY, False),
        ('not (userName co "a")', Rank.ALL, False),
        ('not (externalId eq "b")', Rank.ALL, True),
        ('userName eq "a" or title pr', Rank.ALL, False),
        ('userName pr and not (meta.resourceType eq "User")', Rank.ONE, True),
        ('schemas co "core"', Rank.ALL, True),
    ],
)
def test_filter_begins_with_the_smallest_set(text: str, rank: Rank, exact: bool) -> None:
    """An AND walks its most selective condition; what no index serves makes the set inexact."""
    rows = _compiled(text).rows
    assert (rows.rank, rows.exact) == (rank, exact)


@pytest.mark.parametrize(
    "text",
    [
        " or ".join(f'userName sw "{number}"' for number in range(500)),
        " and ".join(f'not (emails[value sw "{number}" or value ew "x"])' for number in range(200)),
        "not (" * 16 + '(userName eq "a" and externalId co "b")' + ")" * 16,
        '(userName sw "a" and ' * 30 + 'externalId sw "b"' + ")" * 30,
        '(userName sw "a" or not (externalId sw "c" and ' * 15 + 'externalId sw "b"' + "))" * 15,
        " or ".join(f'userName eq "{number}"' for number in range(1000)),
    ],
    ids=["500 or", "200 and not", "16 not", "30 deep", "15 mixed", "1000 equal"],
)
def test_large_filters_fit_sqlite(connection: SqliteConnection, text: str) -> None:
    """T-42: filters at their limits stay below SQLite's for depth, parts and parameters."""
    from rollbook.protocol.filter_parser import Limits

    resource_type = CATALOG.resource_type("User")
    assert resource_type is not None
    leniency = Leniency()
    tree = parse_filter(text, leniency, Limits(length=10**6, depth=64, terms=2000))
    known = _layout()
    scope = Scope(1, known, known.index("User"), lambda _: True)
    rows = compile_filter(resolve(tree, resource_type, leniency), scope).rows
    connection.all(*pks_sql(rows, 1, 1))
    connection.all(count_sql(rows), rows.parameters)
