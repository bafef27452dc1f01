"""What a query means for each resource type it asks: filter, order and projection, resolved (RFC 7644 §3.4.2.1)."""

from collections.abc import Sequence
from typing import NamedTuple

from rollbook.operations.context import Context
from rollbook.operations.referring import check_labels
from rollbook.operations.served import by_ids
from rollbook.operations.tenant_settings import Feature
from rollbook.protocol.errors import InvalidValue, Sensitive, UnsupportedFeature
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.filters import Filter
from rollbook.protocol.projection import Projection, parse_projection, wants
from rollbook.protocol.query import Order, Page, Query, Walk, parse_direction, parse_order
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resolved import AllOf, ResolvedFilter, paths
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.search_request import SearchRequest
from rollbook.storage.base import Found


class Part(NamedTuple):
    """A query as one resource type sees it."""

    resource_type: ResourceType
    filter: ResolvedFilter | None
    order: Order | None
    projection: Projection
    bound: ResolvedFilter | None = None
    """What resources must match beside, to be there for the caller."""

    async def find(self, context: Context, page: Page | Walk) -> Found:
        """A window on the matches of this type."""
        kind, veil = self.resource_type, context.veil(self.resource_type)
        asked = [each for each in (self.filter, self.bound) if each is not None]
        condition = AllOf(tuple(asked)) if len(asked) > 1 else (asked[0] if asked else None)
        return await context.services.store.search(
            context.tenant,
            Query(kind, condition, page, self.order, context.caller.rights.own),
            context.rules,
            members=not veil.hides_members and wants(self.projection, kind, kind.memberships),
            groups=not veil.hides_groups and wants(self.projection, kind, kind.derived),
        )


def read_filter(context: Context, text: str | None) -> Filter | None:
    """The filter a client sent as a tree, None if it sent none.

    Raises:
        InvalidFilter: also for empty text (P-3.4.2.2-04). UnsupportedFeature: filters are switched off.
    """
    if text is None:
        return None
    if not context.caller.tenant.settings.offers(Feature.FILTER):
        raise UnsupportedFeature("filters are not offered by this server; send the request without filter")
    return parse_filter(text, context.leniency, context.limits.filter)


def resolved_for(
    context: Context, tree: Filter | None, resource_type: ResourceType, base: str, *, of_several: bool = False
) -> ResolvedFilter | None:
    """The filter for one resource type; `base` is the URI the service is served at.

    Raises:
        InvalidFilter: see `resolve`. Forbidden: by what is held back from the caller.
    """
    if tree is None:
        return None
    resolved = resolve(tree, resource_type, context.leniency, of_several=of_several)
    context.veil(resource_type).check_asked(paths(resolved))
    check_labels(context, resource_type, paths(resolved))
    return by_ids(resolved, resource_type, context.caller.tenant.catalog, base)


def parts_of(
    context: Context,
    types: Sequence[ResourceType],
    request: SearchRequest,
    tree: Filter | None,
    base: str,
) -> list[Part]:
    """The parts of a query, one for each type.

    Raises:
        InvalidFilter, InvalidValue: a parameter does not fit any of the types.
    """
    several = len(types) > 1
    orders = _orders(context, types, request)
    return [
        Part(
            kind,
            resolved_for(context, tree, kind, base, of_several=several),
            order,
            parse_projection(request.attributes, request.excluded, kind, context.leniency),
            context.caller.tenant.bound(context.caller.rights, kind),
        )
        for kind, order in zip(types, orders, strict=True)
    ]


def _orders(
    context: Context, types: Sequence[ResourceType], request: SearchRequest
) -> Sequence[Order | None]:
    """The order of each type: None for creation, or where the type lacks the attribute (P-3.4.2.1-05)."""
    sort_by = request.sort_by
    if sort_by is None or not context.caller.tenant.settings.offers(Feature.SORT):
        return [None] * len(types)
    descending = parse_direction(request.sort_order)
    orders = [parse_order(sort_by, kind, context.leniency, descending=descending) for kind in types]
    for kind, order in zip(types, orders, strict=True):
        context.veil(kind).check_asked([order.path] if order else ())
    if not any(orders):
        names = " or ".join(kind.name for kind in types)
        raise InvalidValue(
            f"sortBy {sort_by[:80]} is no attribute of {names}; see the schemas under /Schemas"
        )
    return orders


def check_sensitive(context: Context, parts: Sequence[Part]) -> None:
    """Refuse a filter in a URL on an attribute whose values should not stand there (P-7-06, RFC 7644 §7.5.2).

    Raises:
        Sensitive: says to send it in the body of a POST to .search.
    """
    hidden = {name.lower() for name in context.caller.tenant.settings.sensitive_filters}
    for part in parts if hidden else ():
        for path in paths(part.filter) if part.filter else ():
            if {path.text.lower(), path._replace(sub=None).text.lower()} & hidden:
                raise Sensitive(
                    f"filters on {path.text} may not stand in a URL, where others can read them;"
                    " send the query as the body of a POST to .search (RFC 7644 section 7.5.2)"
                )
