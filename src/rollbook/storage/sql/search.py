"""Runs what `compile` made: pages with exact totals; documents are looked at where no index serves, within limits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from rollbook.protocol.errors import TooMany
from rollbook.protocol.match import matches
from rollbook.protocol.query import Query
from rollbook.protocol.resolved import AllOf, AnyOf, Element, HasValue, NotAny, ResolvedFilter, Test
from rollbook.protocol.resource import Member
from rollbook.storage.base import Found, Record
from rollbook.storage.documents import mentions, view
from rollbook.storage.sql import reads
from rollbook.storage.sql.compile import compile_filter
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.index import Layout
from rollbook.storage.sql.reads import EVERYTHING, TooLong
from rollbook.storage.sql.row_sets import Rank, Rows, Scope

COUNTED = "SELECT resources FROM counter WHERE tenant = ? AND type = ?"
HAS_LONG = "SELECT 1 FROM value WHERE tenant = ? AND attribute = ? LIMIT 1"

LOOKED_AT = 50_000
"""Documents a filter may have to look at for want of an index (T-43)."""

BATCH = 500
"""Documents looked at together."""

FEW = 256
"""Rows up to which looking at their documents costs less than asking another set."""

NEAR_PAGE = 100
NEAR_INDEX = 1000
"""Pages of everything that are read on the event loop: of at most so many, beginning at most so far in."""


@dataclass(frozen=True, slots=True)
class Search:
    """One search of one tenant. `near` ones raise `TooLong` rather than hold up the event loop."""

    layout: Layout
    tenant: int
    query: Query
    members: bool
    groups: bool
    looked_at: int
    near: bool

    @property
    def most(self) -> int:
        """Memberships that may be read along."""
        return FEW if self.near else EVERYTHING

    @property
    def window(self) -> slice:
        """The page, as places in the list of all matches."""
        start = self.query.page.start_index - 1
        return slice(start, start + self.query.page.count)


def find(connection: Connection, search: Search) -> Found:
    """One page of matches, and how many there are.

    Raises:
        TooMany: more documents than allowed would have to be looked at.
        TooLong: `near` was asked for, and it would not be quick.
    """
    query = search.query
    index = search.layout.index(query.resource_type.name)

    def has_long(number: int) -> bool:
        return connection.one(HAS_LONG, (search.tenant, -number)) is not None

    plan = compile_filter(query.filter, Scope(search.tenant, search.layout, index, has_long))
    for rows in (plan.narrow, plan.rows):
        if rows is not None and rows.rank <= Rank.FEW:
            pks = _few(connection, rows)
            if pks is not None:
                return _of_candidates(connection, search, pks, exact=rows.exact)
    if search.near and not _is_near_page(plan.rows, query):
        raise TooLong("neither a look-up nor a first page")
    if plan.rows.exact:
        return _of_exact(connection, search, plan.rows)
    return _of_candidates(connection, search, _candidates(connection, search, plan.rows), exact=False)


def _is_near_page(rows: Rows, query: Query) -> bool:
    page = query.page
    return rows.is_every and rows.exact and page.count <= NEAR_PAGE and page.start_index <= NEAR_INDEX


def page_sql(rows: Rows) -> str:
    """The SELECT of one page of row keys, ascending, each once; takes a limit and an offset."""
    if rows.ordered:
        return f"{rows.select} ORDER BY pk LIMIT ? OFFSET ?"
    return f"SELECT r.pk FROM resource r WHERE r.pk IN ({rows.select}) ORDER BY r.pk LIMIT ? OFFSET ?"


def count_sql(rows: Rows) -> str:
    """The SELECT of the number of different row keys."""
    return f"SELECT count({'*' if rows.ordered else 'DISTINCT pk'}) FROM ({rows.select})"


def _few(connection: Connection, rows: Rows) -> Sequence[int] | None:
    """All row keys of a set, None if they are not few."""
    found = connection.all(page_sql(rows), (*rows.parameters, FEW + 1, 0))
    return [pk for (pk,) in found] if len(found) <= FEW else None


def _of_exact(connection: Connection, search: Search, rows: Rows) -> Found:
    """The page of a set that needs no look at documents."""
    page = search.query.page
    skipped = page.start_index - 1
    found = connection.all(page_sql(rows), (*rows.parameters, page.count, skipped))
    if rows.is_every:
        total = _counted(connection, search)
    elif found and len(found) < page.count:
        total = skipped + len(found)  # the page is the last one
    else:
        (total,) = connection.all(count_sql(rows), rows.parameters)[0]
    return Found(total, _records(connection, search, _rows(connection, [pk for (pk,) in found])))


def _counted(connection: Connection, search: Search) -> int:
    row = connection.one(COUNTED, (search.tenant, search.query.resource_type.name))
    return row[0] if row else 0


def _candidates(connection: Connection, search: Search, rows: Rows) -> Sequence[int]:
    """Row keys of an inexact set, if they are not too many to look at."""
    most = search.looked_at
    if not rows.is_every or _counted(connection, search) <= most:
        found = connection.all(page_sql(rows), (*rows.parameters, most + 1, 0))
        if len(found) <= most:
            return [pk for (pk,) in found]
    names = ", ".join(sorted({name for name in rows.unserved if name}))
    raise TooMany(
        f"filter: no index serves {names}, and more than {most} resources would have to be looked at; "
        "add a condition on an attribute people look up by, such as an equality on a name or an id"
    )


def _of_candidates(connection: Connection, search: Search, pks: Sequence[int], *, exact: bool) -> Found:
    """The page among candidates, each looked at unless it is known to match."""
    if exact:
        rows = _rows(connection, pks[search.window])
        return Found(len(pks), _records(connection, search, rows))
    total, page = 0, search.window
    kept: list[Row] = []
    for row in _matching(connection, search, pks):
        if page.start <= total < page.stop:
            kept.append(row)
        total += 1
    return Found(total, _records(connection, search, kept))


def _matching(connection: Connection, search: Search, pks: Sequence[int]) -> Iterator[Row]:
    condition, resource_type = search.query.filter, search.query.resource_type
    if condition is None:
        return
    members = _looks_at(condition, resource_type.memberships)
    groups = _looks_at(condition, resource_type.derived)
    remaining = iter(pks)
    while batch := list(islice(remaining, BATCH)):
        rows = _rows(connection, batch)
        for row, record in zip(rows, _joined(connection, search, rows, members, groups), strict=True):
            if matches(condition, view(record, resource_type)):
                yield row


def _looks_at(node: ResolvedFilter, name: str | None) -> bool:
    """Whether a filter tests that attribute."""
    match node:
        case Test(path) | HasValue(path) | Element(path, _):
            return mentions(path, name)
        case NotAny(term):
            return _looks_at(term, name)
        case AllOf(terms) | AnyOf(terms):
            return any(_looks_at(term, name) for term in terms)


def _rows(connection: Connection, pks: Sequence[int]) -> list[Row]:
    return connection.all(reads.RESOURCES, (reads.listed(pks),)) if pks else []


def _records(connection: Connection, search: Search, rows: list[Row]) -> list[Record]:
    return _joined(connection, search, rows, search.members, search.groups)


def _joined(
    connection: Connection, search: Search, rows: list[Row], members: bool, groups: bool
) -> list[Record]:
    """The records of rows, with members and groups if wanted and if the type has them."""
    resource_type = search.query.resource_type
    pks = [row[0] for row in rows]
    found_members = _related(
        connection, search, reads.MEMBERS_OF_MANY, pks, members and resource_type.memberships
    )
    found_groups = _related(connection, search, reads.GROUPS_OF_MANY, pks, groups and resource_type.derived)
    return [
        reads.record(row, resource_type, search.layout, found_members.get(row[0]), found_groups.get(row[0]))
        for row in rows
    ]


def _related(
    connection: Connection, search: Search, sql: str, pks: Sequence[int], wanted: object
) -> Mapping[int, tuple[Member, ...]]:
    if not wanted or not pks:
        return {}
    return reads.others_of_many(connection, sql, search.tenant, pks, search.most)
