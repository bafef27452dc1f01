"""Runs what `compile` made: pages with exact totals; documents are looked at where no index serves, within limits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rollbook.protocol.errors import TooMany
from rollbook.protocol.match import matches
from rollbook.protocol.query import Query
from rollbook.protocol.resolved import AllOf, AnyOf, Element, HasValue, NotAny, ResolvedFilter, Test
from rollbook.storage.base import Found, Record
from rollbook.storage.documents import mentions, view
from rollbook.storage.sql import reads
from rollbook.storage.sql.compile import Plan, compile_filter
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.index import Layout
from rollbook.storage.sql.reads import EVERYTHING, TooLong, Whole
from rollbook.storage.sql.row_sets import Rows, Scope

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
    """One search of one tenant; `looked_at` is the most documents it may look at for want of an index."""

    layout: Layout
    tenant: int
    query: Query
    members: bool
    groups: bool
    looked_at: int

    def plan(self, connection: Connection) -> Plan:
        """How to find the matches."""

        def has_long(number: int) -> bool:
            return connection.one(HAS_LONG, (self.tenant, -number)) is not None

        index = self.layout.index(self.query.resource_type.name)
        return compile_filter(self.query.filter, Scope(self.tenant, self.layout, index, has_long))

    def whole(self, most: int) -> Whole:
        """How the page's resources are read."""
        return Whole(self.layout, self.query.resource_type, self.members, self.groups, most)

    @property
    def window(self) -> slice:
        """The page, as places in the list of all matches."""
        start = self.query.page.start_index - 1
        return slice(start, start + self.query.page.count)


def look_up(connection: Connection, search: Search, plan: Plan) -> Found:
    """The resource found by its key, in one statement.

    Raises:
        TooLong: it has many members.
    """
    rows = plan.rows
    found = search.whole(FEW).read(connection, f"r.pk IN ({rows.select})", rows.parameters)
    return Found(len(found), found[search.window])


def find(connection: Connection, search: Search, plan: Plan, *, near: bool) -> Found:
    """One page of matches, and how many there are.

    Raises:
        TooMany: more documents than allowed would have to be looked at.
        TooLong: it was to be done on the event loop (`near`), and would not be quick.
    """
    whole = search.whole(FEW if near else EVERYTHING)
    few = None if plan.narrow is None else _few(connection, plan.narrow)
    if plan.narrow is not None and few is not None:
        return _of_candidates(connection, search, whole, few, exact=plan.narrow.exact)
    if near and not _is_near_page(plan.rows, search.query):
        raise TooLong("neither a look-up nor a first page")
    if plan.rows.exact:
        return _of_exact(connection, search, whole, plan.rows)
    candidates = _candidates(connection, search, plan.rows)
    return _of_candidates(connection, search, whole, candidates, exact=False)


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


def _of_exact(connection: Connection, search: Search, whole: Whole, rows: Rows) -> Found:
    """The page of a set that needs no look at documents."""
    page = search.query.page
    skipped = page.start_index - 1
    found = whole.read(
        connection, f"r.pk IN ({page_sql(rows)}) ORDER BY r.pk", (*rows.parameters, page.count, skipped)
    )
    if rows.is_every:
        total = _counted(connection, search)
    elif found and len(found) < page.count:
        total = skipped + len(found)  # the page is the last one
    else:
        (total,) = connection.all(count_sql(rows), rows.parameters)[0]
    return Found(total, found)


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


def _of_candidates(
    connection: Connection, search: Search, whole: Whole, pks: Sequence[int], *, exact: bool
) -> Found:
    """The page among candidates, each looked at unless it is known to match."""
    if not exact:
        pks = list(_matching(connection, search, pks))
    return Found(len(pks), _read(connection, whole, pks[search.window]))


def _matching(connection: Connection, search: Search, pks: Sequence[int]) -> Iterator[int]:
    """Those of the candidates that match, seen in their documents."""
    condition, resource_type = search.query.filter, search.query.resource_type
    if condition is None:
        return
    whole = replace(
        search.whole(LOOKED_AT),
        members=_looks_at(condition, resource_type.memberships),
        groups=_looks_at(condition, resource_type.derived),
    )
    for at in range(0, len(pks), BATCH):
        batch = pks[at : at + BATCH]
        for pk, record in zip(batch, _read(connection, whole, batch), strict=True):
            if matches(condition, view(record, resource_type)):
                yield pk


def _looks_at(node: ResolvedFilter, name: str | None) -> bool:
    """Whether a filter tests that attribute."""
    match node:
        case Test(path) | HasValue(path) | Element(path, _):
            return mentions(path, name)
        case NotAny(term):
            return _looks_at(term, name)
        case AllOf(terms) | AnyOf(terms):
            return any(_looks_at(term, name) for term in terms)


def _read(connection: Connection, whole: Whole, pks: Sequence[int]) -> list[Record]:
    return whole.read(connection, reads.BY_KEYS, (reads.listed(pks),)) if pks else []
