"""Which rows of the specification a test names.

By the mark `spec`, in the id of its table row, or before the colon of its docstring. A name says that the test observes
what the row says under "test".
"""

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

_ID = re.compile(r"\b(?:P-[0-9.]+-(?:[0-9]-)?\d\d|P-9865-2-\d\d|S-\d\d)\b")


def names(item: pytest.Item) -> Iterator[str]:
    """The rows a test names."""
    for mark in item.iter_markers("spec"):
        yield from map(str, mark.args)
    yield from _ID.findall(item.name.partition("[")[2])
    function = getattr(item, "function", None)
    yield from _ID.findall((inspect.getdoc(function) or "").partition(":")[0])


def named(items: Iterable[pytest.Item]) -> Counter[str]:
    """How many of the tests name each row."""
    return Counter(name for item in items for name in set(names(item)))
