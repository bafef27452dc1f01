"""The table of filters, as stores are tested with it."""

from typing import TYPE_CHECKING

import pytest
from tests.protocol.filter_rows import CATALOG, DOCUMENTS, ROWS

if TYPE_CHECKING:
    from rollbook.testing.store_suite import FilterTable


@pytest.fixture
def filter_table() -> "FilterTable":
    """The documents and filters that parser and matcher are tested with."""
    from rollbook.testing.store_suite import FilterTable  # once its asserts are registered

    return FilterTable(CATALOG, DOCUMENTS, ROWS)
