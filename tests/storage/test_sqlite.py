"""The SQLite store conforms, and keeps its own invariants after every test of the suite."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rollbook.protocol.catalog import Catalog
from rollbook.storage.sql.databases import open_store
from rollbook.testing.store_suite import *  # noqa: F403 - the whole suite
from rollbook.testing.store_suite import FullStore, MakeStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """Stores whose invariants hold when a test is done with them."""

    @asynccontextmanager
    async def make(catalog: Catalog) -> AsyncIterator[FullStore]:
        opened = open_store(f"sqlite:///{tmp_path}/rollbook.db", catalog)
        await opened.open()
        try:
            yield opened
            assert await opened.check() == []
        finally:
            await opened.close()

    return make
