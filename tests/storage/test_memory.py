"""The reference store conforms."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from rollbook.protocol.catalog import Catalog
from rollbook.storage.memory import MemoryStore
from rollbook.testing.store_suite import *  # noqa: F403 - the whole suite
from rollbook.testing.store_suite import FullStore, MakeStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def make_store() -> MakeStore:
    """Stores in memory."""

    @asynccontextmanager
    async def make(catalog: Catalog) -> AsyncIterator[FullStore]:
        yield MemoryStore(catalog)

    return make
