"""Runs what `compile` and `ordering` made: pages in order, exact totals.

Where an index serves the filter and the order, the page is walked in the index. Otherwise the candidates are
few, or few enough to look at their documents (`candidates`).
"""

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from rollbook.protocol.errors import TooMany
from rollbook.protocol.query import Page, Query, Walk
from rollbook.storage.base import Found, Record
from rollbook.storage.places import Place, is_descending
from rollbook.storage.sql import candidates
from rollbook.storage.sql.boundaries import Boundaries
from rollbook.storage.sql.compile import Plan, compile_filter
from rollbook.storage.sql.connection import Connection, Parameter
from rollbook.storage.sql.dialects import R_TENANT
from rollbook.storage.sql.index import Layout
from rollbook.storage.sql.ordering import Stretch, stretches
from rollbook.storage.sql.reads import TooLong, Wanted, Whole
from rollbook.storage.sql.row_sets import Rows, Scope
from rollbook.storage.sql.walks import Walker

COUNTED = "SELECT resources FROM counter WHERE tenant = ? AND type = ?"
HAS_LONG = "SELECT 1 FROM value WHERE tenant = ? AND attribute = ? LIMIT 1"

LOOKED_AT = 50_000
"""Documents a query may have to look at for want of an index (T-43)."""

FEW = 256
"""Rows up to which looking at their documents costs less than asking another set, or walking an index."""

SOME = 5_000
"""The same for an order: a set of more is found soon enough by walking the index in order."""

SCANNED, SCANNED_CONTAINERS = 500, 10
"""Resources read together in a scan; of those that may have many members, fewer."""

NEAR_PAGE = 100
NEAR_INDEX = 1000
"""Pages of everything that are read on the event loop: of at most so many, beginning at most so far in."""


PAGE_BYTES, NEAR_BYTES = 32 * 1024 * 1024, 1024 * 1024
"""Of the documents of a page, and of one that is read on the event loop."""


class Search(NamedTuple):
    """One search of one tenant; `looked_at` is the most documents it may look at for want of an index.

    `boundaries` has the ends of pages that were read before.
    """

    layout: Layout
    tenant: int
    query: Query
    wanted: Wanted
    looked_at: int
    boundaries: Boundaries
    most_bytes: int | None = PAGE_BYTES

    def boundary(self, rows: Rows, index: int) -> Place | None:
        """Where the resource at an index of the query's result stands, if that is known."""
        return self.boundaries.find(self._key(rows), index) if index else None

    def keep_boundary(self, rows: Rows, index: int, place: Place | None) -> None:
        """Remember where the resource at that index stands."""
        if place is not None:
            self.boundaries.keep(self._key(rows), index, place)

    def _key(self, rows: Rows) -> Hashable:
        order = self.query.order
        by = None if order is None else (order.path.text, order.descending)
        return (
            self.layout.edition, self.tenant, self.query.resource_type.name, rows.check, rows.check_parameters, by,
        )  # fmt: skip

    def scope(self, connection: Connection) -> Scope:
        """What filter and order are compiled for."""

        def has_long(number: int) -> bool:
            return connection.one(HAS_LONG, (self.tenant, -number)) is not None

        index = self.layout.index(self.query.resource_type.name)
        return Scope(self.tenant, self.layout, index, has_long, self.wanted.indirect, connection.has_parts)

    def plan(self, connection: Connection) -> Plan:
        """How to find the matches."""
        return compile_filter(self.query.filter, self.scope(connection), self.query.maker)

    def whole(self, *, near: bool) -> Whole:
        """How the page's resources are read."""
        most = NEAR_BYTES if near else self.most_bytes
        return Whole(self.layout, self.tenant, self.query.resource_type, self.wanted, near, most)


def look_up(connection: Connection, search: Search, plan: Plan) -> Found:
    """The resource found by its key, in one statement.

    Raises:
        TooLong: it has many members.
    """
    rows, page = plan.rows, search.query.page
    found = search.whole(near=True).read(
        connection, f"{R_TENANT} = ? AND r.pk IN ({rows.select})", (search.tenant, *rows.parameters)
    )
    start = page.start_index - 1 if isinstance(page, Page) else 0
    return Found(len(found), found[start : start + page.count])


def is_look_up(query: Query, plan: Plan) -> bool:
    """Whether `look_up` serves: at most one match, and no position among it."""
    return plan.is_look_up and (isinstance(query.page, Page) or query.page.position is None)


def find(connection: Connection, search: Search, plan: Plan, *, near: bool) -> Found:
    """One page of matches, and how many there are.

    Raises:
        TooMany: more documents than allowed would have to be looked at.
        TooLong: it was to be done on the event loop (`near`), and would not be quick.
    """
    if near and plan.by_parts:
        raise TooLong("parts of texts")
    whole = search.whole(near=near)
    few = None if plan.narrow is None else _at_most(connection, search, plan.narrow, FEW)
    if plan.narrow is not None and few is not None:
        return candidates.found(connection, search.query, whole, few, exact=plan.narrow.exact)
    parts = stretches(search.query.order, search.scope(connection))
    if near and not (parts and _is_near_page(plan.rows, search)):
        raise TooLong("neither a look-up nor a first page")
    if plan.rows.exact and parts:
        some = None if search.query.order is None else _some(connection, search, plan.rows)
        if some is not None:
            return candidates.found(connection, search.query, whole, some, exact=True)
        return _walked(connection, search, whole, plan.rows, parts)
    looked_at = _to_look_at(connection, search, plan.rows)
    return candidates.found(connection, search.query, whole, looked_at, exact=plan.rows.exact)


def scan(connection: Connection, search: Search) -> Iterator[Record]:
    """Every match in order of creation, whatever it takes to find them; a page of them in memory at a time."""
    position: bytes | None = None
    kind = search.query.resource_type
    size = SCANNED_CONTAINERS if kind.memberships else SCANNED
    while True:
        query = search.query._replace(page=Walk(size, position, counts=False))
        step = search._replace(query=query, most_bytes=None)
        found = find(connection, step, step.plan(connection), near=False)
        yield from found.records
        position = found.after
        if position is None:
            return


def _is_near_page(rows: Rows, search: Search) -> bool:
    page = search.query.page
    if not (rows.is_every and rows.exact and page.count <= NEAR_PAGE):
        return False
    if isinstance(page, Walk) or page.start_index <= NEAR_INDEX:
        return True
    return search.boundary(rows, page.start_index - 1) is not None


def pks_sql(rows: Rows, tenant: int, most: int) -> tuple[str, tuple[Parameter, ...]]:
    """The SELECT of at most so many row keys of a set, ascending, each once."""
    if rows.ordered:
        return f"{rows.select} ORDER BY pk LIMIT ?", (*rows.parameters, most)
    select = (
        f"SELECT r.pk FROM resource r WHERE {R_TENANT} = ? AND r.pk IN ({rows.select}) ORDER BY r.pk LIMIT ?"
    )
    return select, (tenant, *rows.parameters, most)


def count_sql(rows: Rows) -> str:
    """The SELECT of the number of different row keys."""
    return f"SELECT count({'*' if rows.ordered else 'DISTINCT pk'}) FROM ({rows.select}) AS found"


def _at_most(connection: Connection, search: Search, rows: Rows, most: int) -> Sequence[int] | None:
    """All row keys of a set, None if they are more than that."""
    found = connection.all(*pks_sql(rows, search.tenant, most + 1))
    return [pk for (pk,) in found] if len(found) <= most else None


def _some(connection: Connection, search: Search, rows: Rows) -> Sequence[int] | None:
    return None if rows.is_every else _at_most(connection, search, rows, SOME)


def _to_look_at(connection: Connection, search: Search, rows: Rows) -> Sequence[int]:
    """Row keys of all whose documents have to be looked at, if these are not too many."""
    most = search.looked_at
    found = None
    if not rows.is_every or _counted(connection, search) <= most:
        found = _at_most(connection, search, rows, most)
    if found is not None:
        return found
    names = ", ".join(sorted({name for name in rows.unserved if name}))
    what = (
        f"filter: no index serves {names}"
        if names
        else f"sortBy: no index has the order by {_sorted_by(search)}"
    )
    raise TooMany(
        f"{what}, and more than {most} resources would have to be looked at; "
        "add a condition on an attribute people look up by, such as an equality on a name or an id"
    )


def _sorted_by(search: Search) -> str:
    return search.query.order.path.text if search.query.order else ""


def _counted(connection: Connection, search: Search) -> int:
    row = connection.one(COUNTED, (search.tenant, search.query.resource_type.name))
    return row[0] if row else 0


def _walked(
    connection: Connection, search: Search, whole: Whole, rows: Rows, parts: Sequence[Stretch]
) -> Found:
    """The page of a set that indexes have in order."""
    page, ascending = search.query.page, not is_descending(search.query)
    walker = Walker(connection, whole, rows, parts)
    if isinstance(page, Walk):
        return walker.step(page, lambda: _total(connection, search, rows), ascending=ascending)
    skipped = page.start_index - 1
    at = search.boundary(rows, skipped)
    records, end = walker.page(skipped, page.count, at, ascending=ascending)
    search.keep_boundary(rows, skipped + len(records), end)
    if not rows.is_every and records and len(records) < page.count:
        return Found(skipped + len(records), records)  # the page is the last one
    return Found(_total(connection, search, rows), records)


def _total(connection: Connection, search: Search, rows: Rows) -> int:
    if rows.is_every:
        return _counted(connection, search)
    ((total,),) = connection.all(count_sql(rows), rows.parameters)
    return int(total)
