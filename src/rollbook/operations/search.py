"""Query a resource type (RFC 7644 §3.4.2)."""

from rollbook.operations.context import Context
from rollbook.operations.served import by_ids
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.query import Page, Query
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resolved import ResolvedFilter
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import Found


def read_filter(
    context: Context, resource_type: ResourceType, text: str | None, base: str
) -> ResolvedFilter | None:
    """The filter a client sent, resolved; None when there is none. `base` is the URI the service is served at.

    Raises:
        InvalidFilter: also for empty text (P-3.4.2.2-04).
    """
    if text is None:
        return None
    resolved = resolve(parse_filter(text, context.leniency), resource_type, context.leniency)
    return by_ids(resolved, resource_type, base)


async def search(
    context: Context,
    resource_type: ResourceType,
    condition: ResolvedFilter | None,
    page: Page,
    *,
    members: bool = True,
    groups: bool = True,
) -> Found:
    """One page of the resources that match (RFC 7644 §3.4.2.4).

    Raises:
        TooMany: the filter would cost more than the server is willing to compute.
    """
    query = Query(resource_type, condition, page)
    return await context.services.store.search(context.tenant, query, members=members, groups=groups)
