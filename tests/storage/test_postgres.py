"""The PostgreSQL store conforms, and keeps its own invariants after every test of the suite."""

from collections.abc import AsyncIterator

import pytest
from tests.postgres_server import empty

from rollbook.protocol.catalog import Catalog, core_catalog
from rollbook.storage.sql.postgres import PostgresDatabase
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.store_suite import *  # noqa: F403 - the whole suite
from rollbook.testing.store_suite import FilterTable, filter_failures

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(postgres_database: str) -> AsyncIterator[SqlStore]:
    """An empty store, whose invariants hold when the test is done with it."""
    empty(postgres_database)
    opened = SqlStore(PostgresDatabase(postgres_database), core_catalog())
    await opened.open()
    yield opened
    assert await opened.check() == []
    await opened.close()


async def test_filters_find_what_they_should(postgres_database: str, filter_table: FilterTable) -> None:
    """P-3.4.2.2-02: every filter of the table finds exactly its resources."""
    empty(postgres_database)
    assert await _failures(postgres_database, filter_table, filter_table.catalog) == []


async def _failures(postgres_database: str, table: FilterTable, catalog: Catalog) -> list[str]:
    store = SqlStore(PostgresDatabase(postgres_database), catalog)
    await store.open()
    try:
        return await filter_failures(store, table) + list(await store.check())
    finally:
        await store.close()
