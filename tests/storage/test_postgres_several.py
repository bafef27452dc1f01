"""Several processes on one PostgreSQL: the suite with two stores in turn, and writes at the same time."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.postgres_server import empty

from rollbook.protocol.catalog import core_catalog
from rollbook.storage.sql.postgres import PostgresDatabase
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.store_several import several
from rollbook.testing.store_steps import TENANT, FullStore, add_user, log
from rollbook.testing.store_suite import TestConcurrency, TestTenants, TestTransactions

__all__ = ["TestConcurrency", "TestTenants", "TestTransactions"]

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(postgres_database: str) -> AsyncIterator[FullStore]:
    """Two stores on an empty database, whose invariants hold when the test is done with them."""
    empty(postgres_database)
    stores = [SqlStore(PostgresDatabase(postgres_database), core_catalog()) for _ in range(2)]
    for each in stores:
        await each.open()
    yield several(stores)
    assert await stores[0].check() == []
    for each in stores:
        await each.close()


async def test_the_log_has_no_gap(store: FullStore) -> None:
    """A reader of the log that stops at its end misses nothing that commits later (architecture 4)."""
    seen: list[int] = []
    writing = True

    async def follow() -> None:
        while writing or await store.last_change(TENANT) > len(seen):
            seen.extend(entry.sequence for entry in await store.changes(TENANT, len(seen), 1000))
            await asyncio.sleep(0)

    reader = asyncio.ensure_future(follow())
    await asyncio.gather(*(add_user(store, f"u{number}") for number in range(100)))
    writing = False
    await reader
    assert seen == list(range(1, 101)) == [entry.sequence for entry in await log(store)]
