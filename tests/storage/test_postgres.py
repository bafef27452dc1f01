"""The PostgreSQL store conforms, and keeps its own invariants after every test of the suite."""

from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
from tests.postgres_server import database

from rollbook.protocol.catalog import Catalog, core_catalog
from rollbook.storage.sql import postgres_schema
from rollbook.storage.sql.postgres import PostgresDatabase
from rollbook.storage.sql.postgres_connection import FarConnection, arguments
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.store_suite import (
    FilterTable,
    TestConcurrency,
    TestContract,
    TestMemberships,
    TestNested,
    TestOrder,
    TestReferences,
    TestTenants,
    TestTogether,
    TestTransactions,
    filter_failures,
)

__all__ = [
    "TestConcurrency",
    "TestContract",
    "TestMemberships",
    "TestNested",
    "TestOrder",
    "TestReferences",
    "TestTenants",
    "TestTogether",
    "TestTransactions",
]

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A database with our tables."""
    with database() as made:
        connection = FarConnection(arguments(made), "test")
        postgres_schema.upgrade(connection)
        connection.close()
        yield made


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    """An empty store, whose invariants hold when the test is done with it."""
    empty(url)
    opened = SqlStore(PostgresDatabase(url), core_catalog())
    await opened.open()
    yield opened
    assert await opened.check() == []
    await opened.close()


def empty(url: str) -> None:
    """Take everything out of the tables but what says which they are."""
    with psycopg.connect(url, autocommit=True) as connection:
        tables = [
            str(name)
            for (name,) in connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            )
        ]
        connection.execute("; ".join(f'DELETE FROM "{name}"' for name in tables).encode())
        connection.execute("INSERT INTO setting (name, value) VALUES ('epoch', 'test')")


async def test_filters_find_what_they_should(url: str, filter_table: FilterTable) -> None:
    """P-3.4.2.2-02: every filter of the table finds exactly its resources."""
    empty(url)
    assert await _failures(url, filter_table, filter_table.catalog) == []


async def _failures(url: str, table: FilterTable, catalog: Catalog) -> list[str]:
    store = SqlStore(PostgresDatabase(url), catalog)
    await store.open()
    try:
        return await filter_failures(store, table) + list(await store.check())
    finally:
        await store.close()
