"""Pages by index that are walked in order cost the same at any depth, and neither skip nor repeat."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.query import Page, Query
from rollbook.storage.places import Place
from rollbook.storage.sql.boundaries import KEPT, SECONDS, Boundaries
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.store_steps import AUTHOR, TENANT, USER, add_user


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    """A store with users u0 to u9."""
    opened = open_store(f"sqlite:///{tmp_path}/rollbook.db", core_catalog())
    await opened.open()
    for number in range(10):
        await add_user(opened, f"u{number}")
    yield opened
    await opened.close()


async def page(store: SqlStore, start: int, count: int, tenant: int = TENANT) -> list[str]:
    """The ids on a page."""
    found = await store.search(tenant, Query(USER, None, Page(start, count)))
    return [record.id for record in found.records]


@pytest.mark.anyio
async def test_a_walk_goes_on_where_it_was(store: SqlStore) -> None:
    """What is deleted behind a walk makes it skip nobody; who begins anew sees what there is."""
    assert await page(store, 1, 3) == ["u0", "u1", "u2"]
    await store.delete(TENANT, USER, "u1", AUTHOR)
    assert await page(store, 4, 3) == ["u3", "u4", "u5"]
    assert await page(store, 7, 3) == ["u6", "u7", "u8"]
    assert await page(store, 1, 3) == ["u0", "u2", "u3"]
    assert await page(store, 4, 3) == ["u4", "u5", "u6"]


@pytest.mark.anyio
async def test_a_page_that_nobody_walked_to_is_counted_to(store: SqlStore) -> None:
    """Without a boundary the index decides, also in another tenant where one is known here."""
    await page(store, 1, 3)
    await add_user(store, "other", tenant=2)
    assert await page(store, 4, 3, tenant=2) == []
    assert await page(store, 5, 2) == ["u4", "u5"]


def test_boundaries_end() -> None:
    """A boundary serves for a minute, and no more are kept than so many."""
    now = 0.0
    known, place = Boundaries(lambda: now), Place(False, b"", 1)
    known.keep("query", 3, place)
    assert known.find("query", 3) == place
    assert known.find("other", 3) is known.find("query", 4) is None
    now = SECONDS + 1
    assert known.find("query", 3) is None
    for number in range(KEPT + 5):
        known.keep("query", number, place)
    assert sum(known.find("query", number) is not None for number in range(KEPT + 5)) == KEPT
