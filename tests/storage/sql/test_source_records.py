"""What is kept of a source's records, over a real database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import Uniqueness
from rollbook.storage.source_records import SourceRecord
from rollbook.storage.sql import source_records
from rollbook.storage.sql.reads import listed
from rollbook.storage.sql.source_records import SqlSourceRecords
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore

pytestmark = pytest.mark.anyio

ANN = SourceRecord("1", "id-ann", "abc", ("dept-Sales", "ü"))
BEA = SourceRecord("2", "id-bea", "def")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An empty database."""
    made = SqlStore(SqliteFile(tmp_path / "hub.db"), core_catalog())
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def records(store: SqlStore) -> SqlSourceRecords:
    """The records in it."""
    return SqlSourceRecords(store.database)


async def test_records_are_found_by_key(records: SqlSourceRecords) -> None:
    """What was kept comes back whole; unknown keys are absent."""
    await records.keep(1, "hr", [ANN, BEA])
    assert await records.find(1, "hr", ["1", "2", "3"]) == {"1": ANN, "2": BEA}


async def test_records_are_replaced_by_key(records: SqlSourceRecords) -> None:
    """Keeping again replaces digest, groups and the mark of being missing."""
    await records.keep(1, "hr", [ANN])
    gone = SourceRecord("1", "id-new", "", (), 17)
    await records.keep(1, "hr", [gone])
    assert await records.find(1, "hr", ["1"]) == {"1": gone}


async def test_sources_and_tenants_are_apart(records: SqlSourceRecords) -> None:
    """I-08: the same key elsewhere is another record."""
    await records.keep(1, "hr", [ANN])
    assert await records.find(1, "other", ["1"]) == {}
    assert await records.find(2, "hr", ["1"]) == {}
    assert await records.count(2, "hr") == 0
    assert await records.keys_of(1, "other", ["id-ann"]) == {}


async def test_a_user_is_fed_by_one_record(records: SqlSourceRecords) -> None:
    """I-11: a second key for the same user is refused, and nothing of that write stays."""
    await records.keep(1, "hr", [ANN])
    with pytest.raises(Uniqueness, match="fed by record 1"):
        await records.keep(1, "hr", [BEA, SourceRecord("3", "id-ann", "x")])
    assert await records.find(1, "hr", ["2", "3"]) == {}
    assert await records.keys_of(1, "hr", ["id-ann", "id-bea"]) == {"id-ann": "1"}


async def test_present_records_are_walked_in_order(records: SqlSourceRecords) -> None:
    """Pages begin after a key and leave out who is missing; the count agrees."""
    many = [SourceRecord(f"{n:03d}", f"id-{n}", "x", (), None if n % 3 else 1) for n in range(10)]
    await records.keep(1, "hr", many)
    first = await records.after(1, "hr", "", 4)
    rest = await records.after(1, "hr", first[-1].key, 4)
    assert [one.key for one in (*first, *rest)] == ["001", "002", "004", "005", "007", "008"]
    assert await records.count(1, "hr") == 6


async def test_records_are_forgotten(records: SqlSourceRecords) -> None:
    """Dropping is by key; unknown keys do not matter."""
    await records.keep(1, "hr", [ANN, BEA])
    await records.drop(1, "hr", ["1", "9"])
    assert await records.find(1, "hr", ["1", "2"]) == {"2": BEA}


async def test_groups_are_remembered_by_name(records: SqlSourceRecords) -> None:
    """A later id takes the place of an earlier one."""
    await records.keep_group(1, "hr", "dept-Sales", "g1")
    await records.keep_group(1, "hr", "dept-Sales", "g2")
    assert await records.groups(1, "hr", ["dept-Sales", "dept-None"]) == {"dept-Sales": "g2"}
    assert await records.groups(1, "other", ["dept-Sales"]) == {}


@pytest.mark.parametrize(
    ("sql", "parameters", "index"),
    [
        (source_records.FIND, (1, "hr", listed(["1"])), "PRIMARY KEY"),
        (source_records.KEYS_OF, (1, "hr", listed(["1"])), "source_record_by_id"),
        (source_records.COUNT, (1, "hr"), "PRIMARY KEY"),
        (source_records.AFTER, (1, "hr", "", 10), "PRIMARY KEY"),
        (source_records.GROUPS, (1, "hr", listed(["1"])), "PRIMARY KEY"),
    ],
    ids=["find", "keys-of", "count", "after", "groups"],
)
async def test_every_read_is_by_index(
    store: SqlStore, sql: str, parameters: tuple[object, ...], index: str
) -> None:
    """No read walks a table or sorts: its cost follows the answer."""
    rows = await store.database.read(lambda conn: conn.all(f"EXPLAIN QUERY PLAN {sql}", parameters))  # type: ignore[arg-type]  # parameters of the statement
    plan = " | ".join(str(row[-1]) for row in rows)
    assert index in plan
    assert "SCAN source" not in plan
    assert "TEMP B-TREE" not in plan
