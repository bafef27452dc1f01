"""The SQLite store conforms, and keeps its own invariants after every test of the suite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rollbook.protocol.catalog import Catalog, core_catalog
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.store_suite import *  # noqa: F403 - the whole suite
from rollbook.testing.store_suite import FilterTable, filter_failures

pytestmark = pytest.mark.anyio


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An empty store, whose invariants hold when the test is done with it."""
    opened = open_store(f"sqlite:///{tmp_path}/rollbook.db", core_catalog())
    await opened.open()
    yield opened
    assert await opened.check() == []
    await opened.close()


async def test_filters_find_what_they_should(tmp_path: Path, filter_table: FilterTable) -> None:
    """P-3.4.2.2-02: every filter of the table finds exactly its resources."""
    assert await _failures(tmp_path, filter_table, filter_table.catalog) == []


async def _failures(directory: Path, table: FilterTable, catalog: Catalog) -> list[str]:
    store = open_store(f"sqlite:///{directory}/table.db", catalog)
    await store.open()
    try:
        return await filter_failures(store, table) + list(await store.check())
    finally:
        await store.close()
