"""Places of resources in an order, and the window of a query on a list of them; shared by all stores.

A place compares like the order does, ascending. A position, as cursors carry it, is a place in bytes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rollbook.protocol.query import Order, Page, Query, Walk, sort_key
from rollbook.protocol.values import JsonObject

_NUMBER_BYTES = 8


class Place(NamedTuple):
    """Where a resource stands: those without a value last, equal ones by creation (P-3.4.2.3-04, -07)."""

    missing: bool
    key: bytes
    number: int
    """The store's own number of the resource, growing with each that is created."""


class Window(NamedTuple):
    """A page among all matches, how many these are if that was asked for, and the positions of its neighbours."""

    part: slice
    total: int | None
    before: bytes | None = None
    after: bytes | None = None


def place_of(order: Order | None, document: JsonObject, number: int) -> Place:
    """The place of a resource, of which `document` is the full representation."""
    key = sort_key(order.path, document) if order else b""
    return Place(key is None, key or b"", number)


def pack(place: Place) -> bytes:
    """The place as a position."""
    return place.number.to_bytes(_NUMBER_BYTES, "big") + bytes([place.missing]) + place.key


def unpack(position: bytes) -> Place:
    """The place that a position says."""
    number, missing, key = position[:_NUMBER_BYTES], position[_NUMBER_BYTES], position[_NUMBER_BYTES + 1 :]
    return Place(bool(missing), key, int.from_bytes(number, "big"))


def is_descending(query: Query) -> bool:
    """Whether the last place comes first."""
    return query.order is not None and query.order.descending


def window(places: Sequence[Place], query: Query) -> Window:
    """The window of a query on the places of all its matches, which stand in its order."""
    page = query.page
    if isinstance(page, Page):
        start = page.start_index - 1
        return Window(slice(start, start + page.count), len(places))
    return _walked(places, page, descending=is_descending(query))


def _walked(places: Sequence[Place], walk: Walk, *, descending: bool) -> Window:
    start, end = _bounds(places, walk, descending=descending)
    total = len(places) if walk.counts else None
    if start >= end:
        return Window(slice(0, 0), total)
    before = pack(places[start]) if start > 0 else None
    after = pack(places[end - 1]) if end < len(places) else None
    return Window(slice(start, end), total, before, after)


def _bounds(places: Sequence[Place], walk: Walk, *, descending: bool) -> tuple[int, int]:
    if walk.position is None:
        return 0, min(walk.count, len(places))
    at = unpack(walk.position)
    if walk.backwards:
        end = _first(places, at, descending=descending, beyond=False)
        return max(0, end - walk.count), end
    start = _first(places, at, descending=descending, beyond=True)
    return start, min(start + walk.count, len(places))


def _first(places: Sequence[Place], at: Place, *, descending: bool, beyond: bool) -> int:
    """The index of the first place that does not come before `at`, or that comes after it (`beyond`)."""
    if not descending:
        return (bisect_right if beyond else bisect_left)(places, at)
    key: Callable[[Place], bool] = (lambda place: place < at) if beyond else (lambda place: place <= at)
    return bisect_left(places, True, key=key)
