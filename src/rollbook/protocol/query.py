"""A query: what to list, in which order, and which window on it (RFC 7644 §3.4.2; RFC 9865 §2)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rollbook.protocol import compare
from rollbook.protocol.attributes import Returned
from rollbook.protocol.elements import primaries
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.match import values
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.resolved import ResolvedFilter
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject

_NUMBER = re.compile(r"([+-]?)0*([0-9]+)\Z", re.ASCII)
_LARGEST = 10**18 - 1
"""Beyond any page, and within 64 bits."""


@dataclass(frozen=True, slots=True)
class Page:
    """A window by index: `start_index` counts from 1, `count` is the most to return."""

    start_index: int
    count: int


@dataclass(frozen=True, slots=True)
class Walk:
    """A window by cursor: at most `count` results beyond a position, before it if `backwards`.

    A position is a store's own mark of a place in the order; None begins a walk. `counts` says whether the
    number of all matches is wanted.
    """

    count: int
    position: bytes | None = None
    backwards: bool = False
    counts: bool = True


@dataclass(frozen=True)
class Order:
    """By which attribute results are ordered; those without a value count as the greatest (P-3.4.2.3-04)."""

    path: AttributePath
    descending: bool = False

    @property
    def by_one(self) -> bool:
        """Whether a resource has at most one value of the attribute."""
        return not self.path.attribute.multi_valued and not self.path.leaf.multi_valued


class Query(NamedTuple):
    """What to list: one resource type, matching `filter` (None: all), by creation unless there is an order (A-44).

    With a `maker`, only what that one has made.
    """

    resource_type: ResourceType
    filter: ResolvedFilter | None
    page: Page | Walk
    order: Order | None = None
    maker: str | None = None


def clamped_page(start_index: int | None, count: int | None, *, default: int, most: int) -> Page:
    """The page asked for, numbers out of range brought into range (P-3.4.2.4-01 to -05, -11)."""
    start = 1 if start_index is None else start_index
    return Page(min(max(start, 1), _LARGEST), clamped_count(count, default=default, most=most))


def clamped_count(count: int | None, *, default: int, most: int) -> int:
    """The size of a page: negative counts as 0, too large as the largest (P-9865-2-05, -09)."""
    return min(max(default if count is None else count, 0), most)


def whole_number(name: str, text: str) -> int:
    """The number a query parameter gives, as far as 64 bits hold it.

    Raises:
        InvalidValue: not a whole number (P-3.4.2.4-10).
    """
    found = _NUMBER.match(text)
    if found is None:
        raise InvalidValue(f"{name} must be a whole number such as 1 or 100, not {text[:40]!r}")
    digits = found[2] if len(found[2]) <= 18 else str(_LARGEST)
    return int(found[1] + digits)


def parse_direction(sort_order: str | None) -> bool:
    """Whether results are to be in descending order (P-3.4.2.3-05).

    Raises:
        InvalidValue: neither word.
    """
    word = "ascending" if sort_order is None else sort_order.lower()
    if word not in {"ascending", "descending"}:
        raise InvalidValue(f"sortOrder must be ascending or descending, not {sort_order!r:.60}")
    return word == "descending"


def parse_order(
    sort_by: str, resource_type: ResourceType, leniency: Leniency, *, descending: bool
) -> Order | None:
    """The order by an attribute or part of that name; None if the type has no such attribute.

    Raises:
        InvalidValue: an attribute that gives no order (A-43).
    """
    path = resource_type.find(sort_by)
    if path is None:
        path = resource_type.find_in_extensions(sort_by)
        quirk = Quirk.UNQUALIFIED_EXTENSION
        if path is not None and not leniency.accepts(quirk):
            raise InvalidValue(f"sortBy {sort_by} belongs to an extension; write {path.text}", quirk=quirk)
    if path is None:
        return None
    if Returned.NEVER in {path.attribute.returned, path.leaf.returned}:
        raise InvalidValue(f"sortBy {path.text} is never returned; it cannot be sorted by either")
    if path.text == "meta.location":  # within a type it ends in the id, and nothing else differs
        path = resource_type.find("id") or path
    if path.urn is None and path.attribute.name in {resource_type.memberships, resource_type.derived}:
        raise InvalidValue(
            f"sortBy {path.text}: memberships give no order; sort by an attribute of the resource"
        )
    known = resource_type.references.made_of(path)
    if known is not None:
        raise InvalidValue(f"sortBy {path.text} is made by the server of {known.text}; sort by that")
    return Order(_simple(path), descending)


def _simple(path: AttributePath) -> AttributePath:
    """The path, or that of the `value` part of a multi-valued attribute named without part (P-3.4.2.3-02)."""
    if not path.leaf.is_complex:
        return path
    value = path.attribute.sub("value") if path.attribute.multi_valued else None
    if value is None:
        parts = ", ".join(f"{path.text}.{sub.name}" for sub in path.attribute.sub_attributes)
        raise InvalidValue(f"sortBy {path.text} is complex; name one of its parts: {parts} (P-3.4.2.3-03)")
    return path._replace(sub=value)


def sort_key(path: AttributePath, document: JsonObject) -> bytes | None:
    """The key a resource is sorted by: that of its primary value, else of its first; None without value."""
    whole = [value for _, value in values(path._replace(sub=None), document)]
    chosen = primaries(whole)[:1] or whole
    for element in chosen if path.sub is not None else whole:
        key = _key_of(path, element)
        if key is not None:
            return key
    return None


def _key_of(path: AttributePath, element: object) -> bytes | None:
    held = element
    if path.sub is not None:
        held = element.get(path.sub.name) if isinstance(element, dict) else None
    if isinstance(held, Sequence) and not isinstance(held, str):
        held = held[0] if held else None
    if held is None:
        return None
    try:
        return compare.key(path.leaf, held)
    except InvalidValue:
        return None  # stored before its attribute changed type: it has no place in the order
