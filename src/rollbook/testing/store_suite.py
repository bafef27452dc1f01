# ruff: noqa: S101 - a suite of tests asserts
"""Conformance tests for any `Store`, in three groups: contract, transactions, concurrency.

A backend's test file imports everything from here, and defines two fixtures: `make_store`, a factory of empty stores
as `MakeStore` says, and `anyio_backend`. pytest then finds the tests there. docs/stores.md shows a whole file.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import pytest

from rollbook.protocol.catalog import Catalog, core_catalog
from rollbook.testing.filter_documents import CATALOG, DOCUMENTS
from rollbook.testing.filter_rows import ROWS
from rollbook.testing.filter_table import FilterTable, filter_failures
from rollbook.testing.store_concurrency import TestConcurrency, TestTenants, TestTransactions
from rollbook.testing.store_contract import TestContract
from rollbook.testing.store_makers import TestMakers
from rollbook.testing.store_members import TestMemberships
from rollbook.testing.store_nested import TestNested
from rollbook.testing.store_references import TestReferences
from rollbook.testing.store_steps import FullStore
from rollbook.testing.store_texts import TestTexts
from rollbook.testing.store_together import TestOrder, TestTogether

__all__ = [
    "FullStore",
    "MakeStore",
    "TestConcurrency",
    "TestContract",
    "TestFilters",
    "TestMakers",
    "TestMemberships",
    "TestNested",
    "TestOrder",
    "TestReferences",
    "TestTenants",
    "TestTexts",
    "TestTogether",
    "TestTransactions",
    "store",
]

MakeStore: TypeAlias = Callable[[Catalog], AbstractAsyncContextManager[FullStore]]
"""Makes an open, empty store that serves a catalog. At its end whatever it promises of itself can be checked."""


@pytest.fixture
async def store(make_store: MakeStore) -> AsyncIterator[FullStore]:
    """An empty store of users and groups."""
    async with make_store(core_catalog()) as made:
        yield made


class TestFilters:
    """Every filter of one table finds exactly its resources, in whatever way a store finds them."""

    async def test_filters_find_what_they_should(self, make_store: MakeStore) -> None:
        """P-3.4.2.2-02: with documents and resource types that leave out nothing a filter can name."""
        async with make_store(CATALOG) as made:
            assert await filter_failures(made, FilterTable(CATALOG, DOCUMENTS, ROWS)) == []
