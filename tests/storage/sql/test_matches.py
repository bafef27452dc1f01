"""Cases that nobody is sure of, and what several sources say of one user, on SQLite and PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.postgres_server import empty

from rollbook.protocol.catalog import core_catalog
from rollbook.storage.matches import Case, Decision, Verdict
from rollbook.storage.source_records import Feed, SourceRecord
from rollbook.storage.sql import matches
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.matches import SqlMatches
from rollbook.storage.sql.reads import listed
from rollbook.storage.sql.source_records import SqlSourceRecords
from rollbook.storage.sql.store import SqlStore

pytestmark = pytest.mark.anyio

CASE = Case("k1", 5, "emails.value: 2 hub users have the same", ("u1", "u2"), {"userName": "ü"})


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An empty database."""
    url = f"sqlite:///{tmp_path}/hub.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_database")
        empty(url)
    made = open_store(url, core_catalog())
    await made.open()
    yield made
    await made.close()


async def test_a_case_waits_until_it_is_decided(store: SqlStore) -> None:
    """Parked anew it waits since the same time; a decision stays, forgets the document, and can be taken back."""
    held = SqlMatches(store.database)
    await held.park(1, "hr", [CASE])
    await held.park(1, "hr", [Case("k1", 9, "other", ("u3",), {"userName": "x"})])
    assert await held.open_cases(1, "hr", "", 10) == [Case("k1", 5, "other", ("u3",), {"userName": "x"})]
    decision = Decision(Verdict.JOIN, "me", 7, "u3")
    assert await held.decide(1, "hr", "k1", decision)
    assert await held.count_open(1, "hr") == 0
    await held.close_cases(1, "hr", ["k1"])
    assert (await held.cases(1, "hr", ["k1", "k2"])) == {
        "k1": Case("k1", 5, "other", ("u3",), None, decision)
    }
    assert await held.decide(1, "hr", "k1", None)
    assert await held.count_open(1, "hr") == 1
    await held.close_cases(1, "hr", ["k1"])
    assert await held.cases(1, "hr", ["k1"]) == {}
    assert not await held.decide(1, "hr", "k1", decision)


async def test_cases_are_walked_in_order_and_apart(store: SqlStore) -> None:
    """Pages begin after a key; I-08: sources and tenants see their own."""
    held = SqlMatches(store.database)
    await held.park(1, "hr", [Case(f"k{n}", 1, "r") for n in range(5)])
    await held.park(2, "hr", [CASE])
    first = await held.open_cases(1, "hr", "", 3)
    rest = await held.open_cases(1, "hr", first[-1].key, 3)
    assert [one.key for one in (*first, *rest)] == ["k0", "k1", "k2", "k3", "k4"]
    assert await held.count_open(1, "other") == 0


async def test_the_records_that_feed_a_user_are_found(store: SqlStore) -> None:
    """By user, of the sources that are named, with what they said and what joined them."""
    records = SqlSourceRecords(store.database)
    mine = SourceRecord("1", "u1", "d", ("g",), None, {"emails": [{"value": "a"}], "title": None}, "userName")
    other = SourceRecord("a", "u1", "d", (), 17, None, "")
    await records.keep(1, "hr", [mine, SourceRecord("2", "u2", "d")])
    await records.keep(1, "directory", [other])
    await records.keep(2, "hr", [SourceRecord("9", "u1", "d")])
    found = await records.feeds(1, ["directory", "hr"], ["u1", "u9"])
    assert {one: sorted(feeds) for one, feeds in found.items()} == {
        "u1": [Feed("directory", other), Feed("hr", mine)]
    }
    assert await records.feeds(1, ["hr"], ["u9"]) == {}
    assert await records.feeds(1, [], ["u1"]) == {}


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("sql", "parameters", "index"),
    [
        (matches.CASES, (1, "hr", listed(["1"])), "PRIMARY KEY"),
        (matches.OPEN, (1, "hr", "", 10), "PRIMARY KEY"),
        (matches.COUNT_OPEN, (1, "hr"), "PRIMARY KEY"),
    ],
    ids=["cases", "open", "count"],
)
async def test_every_read_is_by_index(
    store: SqlStore, sql: str, parameters: tuple[object, ...], index: str
) -> None:
    """No read walks a table or sorts."""
    rows = await store.database.read(lambda conn: conn.all(f"EXPLAIN QUERY PLAN {sql}", parameters))  # type: ignore[arg-type]  # parameters of the statement
    plan = " | ".join(str(row[-1]) for row in rows)
    assert index in plan
    assert "SCAN source" not in plan
    assert "TEMP B-TREE" not in plan
