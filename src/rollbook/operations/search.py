"""Query a resource type (RFC 7644 §3.4.2)."""

from rollbook.operations.context import Context
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.query import Page, Query
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resolved import ResolvedFilter
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import Found


def read_filter(context: Context, resource_type: ResourceType, text: str | None) -> ResolvedFilter | None:
    """The filter a client sent, resolved; None when there is none.

    Raises:
        InvalidFilter: also for empty text (P-3.4.2.2-04).
    """
    if text is None:
        return None
    return resolve(parse_filter(text, context.leniency), resource_type, context.leniency)


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
