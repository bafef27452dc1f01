"""A query of several resource types as one list: type after type, or merged where there is an order (RFC 7644 §3.4.2.1)."""

from collections.abc import Sequence
from typing import NamedTuple

from rollbook.operations.context import Context
from rollbook.operations.query_parts import Part
from rollbook.protocol.errors import TooMany
from rollbook.protocol.query import Page, Walk
from rollbook.storage.base import Record
from rollbook.storage.documents import view
from rollbook.storage.places import place_of

MOST_MERGED = 10_000
"""How far into a merged order a page may end: so many of each type are read for it."""


class Window(NamedTuple):
    """Resources of a page, each with the part that found it; `before` and `after` as in `Found`."""

    found: Sequence[tuple[Part, Record]]
    total: int | None
    before: bytes | None = None
    after: bytes | None = None


async def find(context: Context, parts: Sequence[Part], page: Page | Walk) -> Window:
    """A window on the matches of one type, or of all.

    Raises:
        TooMany: the query would cost more than the server is willing to compute.
    """
    if len(parts) == 1:
        found = await parts[0].find(context, page)
        shown = [(parts[0], record) for record in found.records]
        return Window(shown, found.total, found.before, found.after)
    if isinstance(page, Page):
        return await _page(context, parts, page)
    return await _step(context, parts, page)


async def _page(context: Context, parts: Sequence[Part], page: Page) -> Window:
    if any(part.order for part in parts):
        return await _merged(context, parts, page)
    shown: list[tuple[Part, Record]] = []
    total, skipped = 0, page.start_index - 1
    for part in parts:
        found = await part.find(context, Page(skipped + 1, page.count - len(shown)))
        shown += [(part, record) for record in found.records]
        total += found.total or 0
        skipped = max(0, skipped - (found.total or 0))
    return Window(shown, total)


async def _merged(context: Context, parts: Sequence[Part], page: Page) -> Window:
    """The page of the merged order: as far as it reaches, each type's first ones are read."""
    skipped = page.start_index - 1
    reach = skipped + page.count
    if reach > MOST_MERGED:
        raise TooMany(
            f"sortBy across resource types reaches {MOST_MERGED} resources far; ask one type's endpoint instead"
        )
    placed, total = [], 0
    for part in parts:
        found = await part.find(context, Page(1, reach))
        total += found.total or 0
        for record in found.records:
            missing, key, _ = place_of(part.order, view(record, part.resource_type), 0)
            placed.append(((missing or part.order is None, key), (part, record)))
    descending = any(part.order and part.order.descending for part in parts)
    placed.sort(key=lambda each: each[0], reverse=descending)  # stable: equal ones stay type by type
    return Window([each for _, each in placed[skipped:reach]], total)


async def _step(context: Context, parts: Sequence[Part], walk: Walk) -> Window:
    """A step of a walk over several types: its positions are places in the list by index."""
    at = int(walk.position or b"0")
    start = max(0, at - walk.count) if walk.backwards else at
    count = min(walk.count, at) if walk.backwards else walk.count
    window = await _page(context, parts, Page(start + 1, count))
    end = start + len(window.found)
    goes_on = window.found and end < (window.total or 0)
    return Window(
        window.found,
        window.total,
        str(start).encode() if start and window.found else None,
        str(end).encode() if goes_on else None,
    )
