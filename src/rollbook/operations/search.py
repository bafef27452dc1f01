"""Queries of one resource type or several, paged by index or by cursor (RFC 7644 §3.4.2, §3.4.3; RFC 9865 §2)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from rollbook.operations import access, across
from rollbook.operations.context import Context
from rollbook.operations.cursors import Cursor
from rollbook.operations.query_parts import Part, check_sensitive, parts_of, read_filter
from rollbook.operations.referring import ids_shown, referred
from rollbook.operations.tenant_settings import Paging
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.filters import Filter, render
from rollbook.protocol.query import Walk, clamped_count, clamped_page
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.search_request import SearchRequest
from rollbook.storage.base import Record


class Listing(NamedTuple):
    """An answered query: the resources of a page, each with the part of the query that found it.

    `start_index` is None for a page by cursor, `total` where it was not to be counted.
    """

    found: Sequence[tuple[Part, Record]]
    total: int | None
    start_index: int | None = None
    next: str | None = None
    previous: str | None = None


async def search(
    context: Context, types: Sequence[ResourceType], request: SearchRequest, base: str, *, in_url: bool
) -> Listing:
    """Answer a query of those types; `base` is the URI the service is served at.

    Raises:
        InvalidFilter, InvalidValue: a parameter is refused; Sensitive: a filter that may not stand `in_url`.
        InvalidCursor, ExpiredCursor, InvalidCount: a cursor is refused.
        TooMany: the query would cost more than the server is willing to compute.
    """
    if request.cursor is not None and request.start_index is not None:
        raise InvalidValue(
            "startIndex and cursor are two ways of paging; send one of them (RFC 9865 section 2.4)"
        )
    tree = read_filter(context, request.filter)
    types = access.visible_types(context.caller, types)
    parts = parts_of(context, types, request, tree, base)
    if in_url:
        check_sensitive(context, parts)
    if request.cursor is not None or (
        request.start_index is None and context.caller.tenant.settings.default_paging is Paging.CURSOR
    ):
        listing = await _by_cursor(context, parts, request, _bound(context, parts, tree))
    else:
        listing = await _by_index(context, parts, request)
    found: list[Record] = []
    ids = set[str]()
    async for some in context.some(listing.found):
        shown = [context.veil(part.resource_type).shown(record) for part, record in some]
        for part in parts:
            of_part = [record for (of, _), record in zip(some, shown, strict=True) if of is part]
            ids |= ids_shown(of_part, part.resource_type, part.projection)
        found += shown
    records = await referred(context, found, ids)
    return listing._replace(
        found=[(part, record) for (part, _), record in zip(listing.found, records, strict=True)]
    )


async def _by_index(context: Context, parts: Sequence[Part], request: SearchRequest) -> Listing:
    limits = context.limits
    page = clamped_page(request.start_index, request.count, default=limits.default_page, most=limits.page)
    window = await across.find(context, parts, page)
    return Listing(window.found, window.total, page.start_index)


async def _by_cursor(
    context: Context, parts: Sequence[Part], request: SearchRequest, bound: Sequence[str]
) -> Listing:
    services, settings = context.services, context.caller.tenant.settings
    limits, now = context.limits, services.now()
    count = clamped_count(request.count, default=limits.default_page, most=limits.page)
    at = Cursor(b"", count)
    if request.cursor:
        at = services.cursors.open(request.cursor, bound, None if request.count is None else count, now)
    counts = settings.cursor_totals and at.total is None
    window = await across.find(
        context, parts, Walk(min(at.count, limits.page), at.position or None, at.backwards, counts)
    )
    total = window.total if counts else at.total
    expires = now + settings.cursor_seconds * 1000

    def seal(position: bytes | None, *, backwards: bool) -> str | None:
        if position is None:
            return None
        cursor = replace(at, position=position, total=total, backwards=backwards)
        return services.cursors.seal(cursor, bound, expires)

    return Listing(
        window.found,
        total if settings.cursor_totals else None,
        next=seal(window.after, backwards=False),
        previous=seal(window.before, backwards=True),
    )


def _bound(context: Context, parts: Sequence[Part], tree: Filter | None) -> list[str]:
    """What the cursors of a query are good for: this tenant, this caller, this query (T-17, P-9865-2-06)."""
    order = next((part.order for part in parts if part.order), None)
    projection = parts[0].projection
    return [
        str(context.tenant),
        context.caller.identity,
        *(part.resource_type.name for part in parts),
        "" if tree is None else render(tree),
        "" if order is None else f"{order.path.text} {order.descending}",
        "" if projection.only is None else f"only {','.join(sorted(projection.only))}",
        ",".join(sorted(projection.without)),
    ]
