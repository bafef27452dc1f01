"""The reference store conforms."""

import pytest

from rollbook.protocol.catalog import core_catalog
from rollbook.storage.memory import MemoryStore
from rollbook.testing.store_suite import *  # noqa: F403 - the whole suite
from rollbook.testing.store_suite import FilterTable, filter_failures

pytestmark = pytest.mark.anyio


@pytest.fixture
def store() -> MemoryStore:
    """An empty store."""
    return MemoryStore(core_catalog())


async def test_filters_find_what_they_should(filter_table: FilterTable) -> None:
    """P-3.4.2.2-02: every filter of the table finds exactly its resources."""
    assert await filter_failures(MemoryStore(filter_table.catalog), filter_table) == []
