"""Filters on URIs this service issues: they become filters on ids, which the store knows (S-26, S-33).

The store does not know under which address it is served, so `meta.location` and the `$ref` of memberships and
of references are not in it. Equality with a URI is equality of the id at its end, if the rest of it is ours.
"""

from collections.abc import Callable

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import InvalidFilter
from rollbook.protocol.filters import Operator
from rollbook.protocol.resolved import (
    NOTHING,
    AllOf,
    AnyOf,
    Element,
    HasValue,
    NotAny,
    ResolvedFilter,
    Test,
)
from rollbook.protocol.schema import AttributePath, ResourceType


def by_ids(node: ResolvedFilter, resource_type: ResourceType, catalog: Catalog, base: str) -> ResolvedFilter:
    """The filter with tests of issued URIs turned into tests of ids; `base` is what the service's URIs start with.

    Raises:
        InvalidFilter: a URI is compared by anything but `eq`, `ne` and `pr`, or what labels another resource is tested.
    """

    def turned(part: ResolvedFilter) -> ResolvedFilter:
        match part:
            case Test(path):
                known = _id_path(path, resource_type)
                return (
                    part if known is None else _by_id(part, known, _homes(path, resource_type, catalog, base))
                )
            case HasValue(path):
                known = _id_path(path, resource_type)
                return part if known is None else HasValue(known)
            case NotAny(term):
                return NotAny(turned(term))
            case AllOf(terms):
                return AllOf(_each(terms, turned))
            case AnyOf(terms):
                return AnyOf(_each(terms, turned))
            case Element(path, inner):
                return Element(path, turned(inner))

    return turned(node)


def _each(
    terms: tuple[ResolvedFilter, ...], turned: Callable[[ResolvedFilter], ResolvedFilter]
) -> tuple[ResolvedFilter, ...]:
    return tuple(turned(term) for term in terms)


def _id_path(path: AttributePath, resource_type: ResourceType) -> AttributePath | None:
    """Where the id stands that a URI at `path` ends in; None if the service does not issue it."""
    known = resource_type.references.made_of(path)
    if known is not None and path.leaf.name != "$ref":
        raise InvalidFilter(
            f"filter: {path.text} labels another resource and is filled in when it is read; filter on {known.text},"
            f" or find the resource by that label first"
        )
    if known is not None or path.urn is not None or path.sub is None:
        return known
    if path.attribute.name == "meta" and path.sub.name == "location":
        return resource_type.find("id")
    if path.attribute.name in {resource_type.memberships, resource_type.derived} and path.sub.name == "$ref":
        return resource_type.find(f"{path.attribute.name}.value")
    return None


def _homes(
    path: AttributePath, resource_type: ResourceType, catalog: Catalog, base: str
) -> frozenset[str] | None:
    """What may stand before the id; None for anything, where only the end of a URI is compared."""
    if path.attribute.name == "meta":
        endpoint = resource_type.endpoint
        return frozenset({base + endpoint, endpoint, endpoint[1:]})
    types = (catalog.resource_type(name) for name in path.leaf.reference_types)
    return (
        None
        if resource_type.references.made_of(path) is None
        else frozenset(kind.endpoint[1:] for kind in types if kind)
    )


def _by_id(test: Test, known: AttributePath, homes: frozenset[str] | None) -> ResolvedFilter:
    if test.operator is not Operator.EQ:
        raise InvalidFilter(
            f"{test.path.text} is issued by this server and has no {test.operator}; use eq, ne or pr, or filter"
            f" on {known.text}"
        )
    home, _, identifier = test.key.decode().rpartition("/")
    is_ours = bool(identifier) and (homes is None or home in homes)
    return Test(known, Operator.EQ, identifier.encode()) if is_ours else NOTHING
