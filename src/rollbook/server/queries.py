"""Query endpoints: GET on a type or the root, POST to .search (RFC 7644 §3.4.2, §3.4.3)."""

from collections.abc import Iterator
from dataclasses import dataclass

from rollbook.operations.context import Context
from rollbook.operations.search import Listing, search
from rollbook.protocol.messages import LIST_END, list_head
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.search_request import SearchRequest, from_body, from_parameters
from rollbook.server.exchange import Exchange
from rollbook.server.requests import Most
from rollbook.server.responses import Answer, Site, Stream, is_large, projected_bytes, projected_parts, stream


@dataclass(frozen=True)
class Queries:
    """The handlers of queries on these resource types."""

    types: tuple[ResourceType, ...]

    async def list(self, exchange: Exchange) -> Answer:
        """GET: the parameters stand in the URL (RFC 7644 §3.4.2)."""
        return await self._answer(exchange, from_parameters(exchange.parameters), in_url=True)

    async def search(self, exchange: Exchange) -> Answer:
        """POST to .search: they are the body, and those in the URL are not looked at (RFC 7644 §3.4.3; A-50)."""
        limits = exchange.context.limits
        body = await exchange.json(Most(min(limits.body_bytes, limits.search_bytes)))
        return await self._answer(exchange, from_body(body, exchange.context.leniency), in_url=False)

    async def _answer(self, exchange: Exchange, request: SearchRequest, *, in_url: bool) -> Answer:
        found = await search(exchange.context, self.types, request, exchange.site.base, in_url=in_url)
        return Answer(200, await _rendered(exchange.context, found, exchange.site))


async def _rendered(context: Context, listing: Listing, site: Site) -> bytes | Stream:
    """The page; in parts if it has large resources."""
    head = list_head(
        len(listing.found),
        total=listing.total,
        start_index=listing.start_index,
        previous=listing.previous,
        next=listing.next,
    )
    if any(is_large(record) for _, record in listing.found):
        return stream(_parts(head, listing, site))
    items: list[bytes] = []
    async for some in context.some(listing.found):
        items += [projected_bytes(record, part.resource_type, site, part.projection) for part, record in some]
    return b"".join((head, b",".join(items), LIST_END))


def _parts(head: bytes, listing: Listing, site: Site) -> Iterator[bytes]:
    between = head
    for part, record in listing.found:
        yield between
        yield from projected_parts(record, part.resource_type, site, part.projection)
        between = b","
    yield LIST_END
