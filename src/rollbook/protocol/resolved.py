"""A filter after its names met the schema: every leaf knows its attribute and carries a comparison key.

`ne`, `eq null` and `ne null` are gone: they are negations (A-13, A-14). `match` evaluates this tree on a
document, the stores compile it to SQL; neither can be handed an unresolved filter.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from rollbook.protocol.filters import Operator
from rollbook.protocol.schema import AttributePath


@dataclass(frozen=True)
class HasValue:
    """The attribute has a value that is not empty; for a complex one, some part has (P-3.4.2.2-24)."""

    path: AttributePath


@dataclass(frozen=True)
class Test:
    """Some value of the simple attribute at `path` stands in relation `operator` to `key`.

    `operator` is never NE. `key` is `compare.searched_text` of the leaf attribute for CO, SW and EW, and never
    empty then; it is `compare.key` for all others. For most attributes these are one (`compare.searches_key`).
    """

    __test__ = False  # not a pytest class

    path: AttributePath
    operator: Operator
    key: bytes


@dataclass(frozen=True)
class Element:
    """One value of the complex attribute at `path` passes `inner` alone; a single value counts as one.

    Paths inside `inner` are full paths with the same attribute and a part. Elements do not nest.
    """

    path: AttributePath
    inner: "ResolvedFilter"


@dataclass(frozen=True)
class NotAny:
    """The term does not hold."""

    term: "ResolvedFilter"


@dataclass(frozen=True)
class AllOf:
    """Every term holds."""

    terms: tuple["ResolvedFilter", ...]


@dataclass(frozen=True)
class AnyOf:
    """Some term holds; with no terms, never."""

    terms: tuple["ResolvedFilter", ...]


ResolvedFilter: TypeAlias = HasValue | Test | Element | NotAny | AllOf | AnyOf

NOTHING = AnyOf(())
"""Matches nothing."""

EVERYTHING = NotAny(NOTHING)
"""Matches every resource."""


def paths(node: ResolvedFilter) -> Iterator[AttributePath]:
    """Every attribute and part that the filter looks at."""
    match node:
        case Test(path) | HasValue(path):
            yield path
        case Element(path, inner):
            yield path
            yield from paths(inner)
        case NotAny(term):
            yield from paths(term)
        case AllOf(terms) | AnyOf(terms):
            for term in terms:
                yield from paths(term)
        case _:
            assert_never(node)
