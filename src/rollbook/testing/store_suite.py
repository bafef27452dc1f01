"""Conformance tests for any `Store`: contract, transactions, concurrency.

A backend's test file imports the classes, which pytest then finds there, and defines two fixtures: `store`, an
open, empty store of `core_catalog()`, and `anyio_backend`. `filter_failures` runs a table of filters.
"""

from rollbook.testing.filter_table import FilterRow, FilterTable, filter_failures, load
from rollbook.testing.store_concurrency import TestConcurrency, TestTenants, TestTransactions
from rollbook.testing.store_contract import TestContract
from rollbook.testing.store_members import TestMemberships
from rollbook.testing.store_nested import TestNested
from rollbook.testing.store_references import TestReferences
from rollbook.testing.store_steps import FullStore
from rollbook.testing.store_texts import TestTexts
from rollbook.testing.store_together import TestOrder, TestTogether

__all__ = [
    "FilterRow",
    "FilterTable",
    "FullStore",
    "TestConcurrency",
    "TestContract",
    "TestMemberships",
    "TestNested",
    "TestOrder",
    "TestReferences",
    "TestTenants",
    "TestTexts",
    "TestTogether",
    "TestTransactions",
    "filter_failures",
    "load",
]
