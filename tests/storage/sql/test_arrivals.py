"""What waits for a pull, and how far sources were read, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rollbook.protocol.catalog import core_catalog
from rollbook.storage.arrivals import REMEMBERED, Arrival, Taken
from rollbook.storage.source_marks import SourceMark
from rollbook.storage.sql import arrivals as statements
from rollbook.storage.sql.arrivals import SqlArrivals
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.reads import listed
from rollbook.storage.sql.source_marks import SqlSourceMarks
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore

pytestmark = pytest.mark.anyio

ANN, BOB = Arrival("ann", {"id": "ann"}), Arrival("bob", {"id": "bob"})


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An empty database."""
    if request.param == "sqlite":
        made = SqlStore(SqliteFile(tmp_path / "hub.db"), core_catalog())
    else:
        made = open_store(request.getfixturevalue("postgres_database"), core_catalog())
    await made.open()
    tables = ("arrival", "arrived", "source_lease", "source_mark")
    for table in tables:
        sql = f"DELETE FROM {table}"
        await made.database.write(1, lambda conn, sql=sql: conn.run(sql))  # type: ignore[misc] # one table each
    yield made
    await made.close()


@pytest.fixture
def arrivals(store: SqlStore) -> SqlArrivals:
    """What waits in it."""
    return SqlArrivals(store.database)


async def waiting(arrivals: SqlArrivals, source: str = "hr") -> dict[str, object]:
    """Records by key, in order."""
    return {one.key: one.record for one in await arrivals.waiting(1, source, 0, 100)}


async def test_what_came_waits_in_order(arrivals: SqlArrivals) -> None:
    """Of each key the newest word, where it came; other sources and tenants are apart."""
    assert not await arrivals.has_new(1, "hr")
    assert await arrivals.take(1, "hr", "m1", [ANN, BOB], 1, 9) is Taken.NEW
    assert await arrivals.take(1, "hr", "m2", [Arrival("ann", None)], 2, 9) is Taken.NEW
    assert list((await waiting(arrivals)).items()) == [("bob", {"id": "bob"}), ("ann", None)]
    assert await arrivals.has_new(1, "hr")
    assert await waiting(arrivals, "other") == {}
    assert not await arrivals.has_new(2, "hr")
    first = (await arrivals.waiting(1, "hr", 0, 1))[0]
    assert [one.key for one in await arrivals.waiting(1, "hr", first.sequence, 9)] == ["ann"]


async def test_a_message_counts_once(arrivals: SqlArrivals) -> None:
    """Sent again it has no effect, also once it was applied and newer ones came; after a week it is forgotten."""
    await arrivals.take(1, "hr", "m1", [ANN], 1, 9)
    await arrivals.settle(1, "hr", await arrivals.waiting(1, "hr", 0, 9), frozenset())
    assert await arrivals.take(1, "hr", "m1", [ANN], 2, 9) is Taken.REPEATED
    assert await waiting(arrivals) == {}
    assert await arrivals.take(1, "other", "m1", [ANN], 2, 9) is Taken.NEW
    await arrivals.take(1, "hr", "m2", [BOB], REMEMBERED + 2, 9)
    assert await arrivals.take(1, "hr", "m1", [ANN], REMEMBERED + 3, 9) is Taken.NEW


async def test_too_much_is_refused_as_a_whole(arrivals: SqlArrivals) -> None:
    """Nothing of it is kept, and it may come again later."""
    await arrivals.take(1, "hr", "m1", [ANN], 1, 2)
    assert await arrivals.take(1, "hr", "m2", [BOB, Arrival("cy", None)], 2, 2) is Taken.FULL
    assert await waiting(arrivals) == {"ann": {"id": "ann"}}
    await arrivals.settle(1, "hr", await arrivals.waiting(1, "hr", 0, 9), frozenset())
    assert await arrivals.take(1, "hr", "m2", [BOB, Arrival("cy", None)], 3, 2) is Taken.NEW


async def test_who_waits_already_is_never_too_much(arrivals: SqlArrivals) -> None:
    """A newer word takes the place of the older one: what cannot be applied can be put right, however full it is."""
    await arrivals.take(1, "hr", "m1", [ANN, BOB], 1, 2)
    assert await arrivals.take(1, "hr", "m2", [Arrival("ann", None), Arrival("cy", None)], 2, 2) is Taken.FULL
    assert await arrivals.take(1, "hr", "m3", [Arrival("ann", None), BOB], 3, 2) is Taken.NEW
    assert await waiting(arrivals) == {"ann": None, "bob": {"id": "bob"}}


async def test_what_came_meanwhile_stays(arrivals: SqlArrivals) -> None:
    """A newer word on a key is not forgotten with the older one; what failed stays, and is new no more."""
    await arrivals.take(1, "hr", "m1", [ANN, BOB], 1, 9)
    seen = await arrivals.waiting(1, "hr", 0, 9)
    await arrivals.take(1, "hr", "m2", [Arrival("ann", {"id": "ann", "x": "1"})], 2, 9)
    await arrivals.settle(1, "hr", seen, frozenset({"bob"}))
    assert await waiting(arrivals) == {"bob": {"id": "bob"}, "ann": {"id": "ann", "x": "1"}}
    await arrivals.settle(
        1, "hr", [one for one in await arrivals.waiting(1, "hr", 0, 9) if one.key == "ann"], frozenset()
    )
    assert not await arrivals.has_new(1, "hr")
    assert await waiting(arrivals) == {"bob": {"id": "bob"}}


async def test_one_applies_at_a_time(arrivals: SqlArrivals) -> None:
    """Until it lets go, or its lease is over; it may be renewed until another has it."""
    assert await arrivals.claim(1, "hr", "a", 0, 100)
    assert not await arrivals.claim(1, "hr", "b", 50, 150)
    assert await arrivals.claim(1, "other", "b", 50, 150)
    await arrivals.release(1, "hr", "b")
    assert not await arrivals.claim(1, "hr", "b", 60, 160)
    await arrivals.release(1, "hr", "a")
    assert await arrivals.claim(1, "hr", "b", 60, 160)
    assert await arrivals.renew(1, "hr", "b", 200)
    assert not await arrivals.claim(1, "hr", "c", 160, 260)
    assert await arrivals.claim(1, "hr", "c", 200, 260)
    assert not await arrivals.renew(1, "hr", "b", 300)
    assert not await arrivals.renew(2, "hr", "c", 300)


async def test_marks(store: SqlStore) -> None:
    """One for each source, replaced or forgotten."""
    marks = SqlSourceMarks(store.database)
    assert await marks.mark(1, "hr") is None
    for mark in (SourceMark("d", "m1", 5), SourceMark("e", "m2", 6)):
        await marks.keep_mark(1, "hr", mark)
        assert await marks.mark(1, "hr") == mark
    assert await marks.mark(2, "hr") is None
    await marks.keep_mark(1, "hr", None)
    assert await marks.mark(1, "hr") is None


@pytest.mark.parametrize(
    ("sql", "parameters", "index"),
    [
        (statements.WAITING, (1, "hr", 0, 10), "arrival_in_order"),
        (statements.HAS_NEW, (1, "hr"), "arrival_new"),
        (statements.WAITING_OF, (1, "hr", listed(["a"])), "(tenant=? AND source=? AND key=?)"),
        (statements.FORGET, (1, "hr", 1, "hr", 5), "arrived_by_time"),
    ],
)
async def test_plans(tmp_path: Path, sql: str, parameters: tuple[object, ...], index: str) -> None:
    """Every statement is served by an index."""
    made = SqlStore(SqliteFile(tmp_path / "hub.db"), core_catalog())
    await made.open()
    explain = f"EXPLAIN QUERY PLAN {sql}"
    rows = await made.database.read(lambda conn: conn.all(explain, parameters))  # type: ignore[arg-type] # plain values
    await made.close()
    steps = [str(row[3]) for row in rows]
    assert any(index in step for step in steps)
    given = ("oldest", "word")
    assert not [step for step in steps if step.startswith("SCAN") and not any(one in step for one in given)]
