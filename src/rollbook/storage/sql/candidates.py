"""Pages of resources that are known by row key: their documents tell which match, and where they stand in the order."""

from collections.abc import Iterator, Sequence

from rollbook.protocol.match import matches
from rollbook.protocol.query import Query
from rollbook.protocol.resolved import ResolvedFilter, paths
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Found
from rollbook.storage.documents import mentions, view
from rollbook.storage.places import Place, is_descending, place_of, window
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.index import cut
from rollbook.storage.sql.reads import Whole

BATCH = 500
"""Documents looked at together."""


def found(connection: Connection, query: Query, whole: Whole, pks: Sequence[int], *, exact: bool) -> Found:
    """The page among candidates in order of creation, each looked at unless all are known to match."""
    places = _places(connection, query, whole, pks, exact=exact)
    part, total, before, after = window(places, query)
    shown = [place.number for place in places[part]]
    records = whole.read_by_pk(connection, shown) if shown else {}
    return Found(total, [records[pk] for pk in shown if pk in records], before, after)


def _places(
    connection: Connection, query: Query, whole: Whole, pks: Sequence[int], *, exact: bool
) -> list[Place]:
    """The places of those that match, in the query's order."""
    if exact and query.order is None:
        return [Place(missing=False, key=b"", number=pk) for pk in pks]
    condition = None if exact else query.filter
    places = [
        _as_indexed(place_of(query.order, document, pk))
        for pk, document in _documents(connection, query, whole, pks)
        if condition is None or matches(condition, document)
    ]
    return sorted(places, reverse=is_descending(query))


def _as_indexed(place: Place) -> Place:
    """The place as index walks have it, so that a cursor may go from one to the other."""
    return place._replace(key=cut(place.key))


def _documents(
    connection: Connection, query: Query, whole: Whole, pks: Sequence[int]
) -> Iterator[tuple[int, JsonObject]]:
    """The whole representations of the candidates, with their row keys."""
    condition, resource_type = query.filter, query.resource_type
    members, groups = (
        _looks_at(condition, name) for name in (resource_type.memberships, resource_type.derived)
    )
    wanted = whole.wanted._replace(members=members, groups=groups)
    most = whole.most_bytes if whole.near else None  # they are looked at one after the other, and let go
    looked_at = whole._replace(wanted=wanted, most_bytes=most)
    for at in range(0, len(pks), BATCH):
        for pk, record in looked_at.read_by_pk(connection, pks[at : at + BATCH]).items():
            connection.go_on()  # a large filter takes longer than the statement
            yield pk, view(record, resource_type)


def _looks_at(condition: ResolvedFilter | None, name: str | None) -> bool:
    """Whether a filter tests that attribute."""
    return condition is not None and any(mentions(path, name) for path in paths(condition))
