"""Walks a set of resources in an order that indexes have: from the beginning, or from any place of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeAlias

from rollbook.protocol.query import Walk
from rollbook.storage.base import Found, Record
from rollbook.storage.places import Place, pack, unpack
from rollbook.storage.sql.connection import Connection, Parameter
from rollbook.storage.sql.ordering import Stretch, number_in, walk
from rollbook.storage.sql.reads import Whole
from rollbook.storage.sql.row_sets import Rows

_BY_KEY, _BY_PK = itemgetter(0, 1), itemgetter(1)


_Step: TypeAlias = tuple[Stretch, tuple[Parameter, int, Record]]
"""A resource on the way: the stretch, and in it the key, the row key and the record."""


def _place(step: _Step) -> Place:
    stretch, (key, pk, _) = step
    return stretch.place(key, pk)


@dataclass(frozen=True, slots=True)
class Walker:
    """The resources of a set in an order, which is given by its stretches, ascending."""

    connection: Connection
    whole: Whole
    rows: Rows
    stretches: Sequence[Stretch]

    def page(
        self, skipped: int, count: int, at: Place | None, *, ascending: bool
    ) -> tuple[list[Record], Place | None]:
        """At most `count` resources after so many, or beyond the place of the last of these; and where the page ends."""
        found = self._beyond(at, count, ascending=ascending, skipped=0 if at else skipped)
        return [row[2] for _, row in found], _place(found[-1]) if found else None

    def step(self, asked: Walk, total: Callable[[], int], *, ascending: bool) -> Found:
        """A step of a walk; one resource more than asked for tells whether it goes on (P-9865-2-03, -04)."""
        at = None if asked.position is None else unpack(asked.position)
        onwards = ascending != asked.backwards
        found = self._beyond(at, asked.count + 1, ascending=onwards) if asked.count else []
        goes_on = len(found) > asked.count
        found = found[: asked.count][:: -1 if asked.backwards else 1]
        counted = total() if asked.counts else None
        if not found:
            return Found(counted, ())
        first, last = _place(found[0]), _place(found[-1])
        came_from = at is not None and self._is_any_beyond(last if asked.backwards else first, not onwards)
        has_before, has_after = (goes_on, came_from) if asked.backwards else (came_from, goes_on)
        records = [row[2] for _, row in found]
        return Found(counted, records, pack(first) if has_before else None, pack(last) if has_after else None)

    def _beyond(self, at: Place | None, limit: int, *, ascending: bool, skipped: int = 0) -> list[_Step]:
        """The next resources in one direction, beyond a place or after so many."""
        found: list[_Step] = []
        for stretch, start in self._onwards(at, ascending=ascending):
            more = self._read(stretch, start, limit - len(found), ascending=ascending, skipped=skipped)
            found += more
            if len(found) >= limit:
                break
            skipped = 0 if found or not skipped else skipped - self._number_in(stretch)
        return found

    def _onwards(self, at: Place | None, *, ascending: bool) -> list[tuple[Stretch, Place | None]]:
        """The stretches that lie in one direction of a place, and the place in that which has it."""
        parts = self.stretches if ascending else self.stretches[::-1]
        if at is None:
            return [(part, None) for part in parts]
        # Those without a value come last.
        ahead = [part for part in parts if part.missing in {at.missing, ascending}]
        return [(part, at if part.missing == at.missing else None) for part in ahead]

    def _read(
        self, stretch: Stretch, at: Place | None, limit: int, *, ascending: bool, skipped: int
    ) -> list[_Step]:
        statement = walk(stretch, self.rows, at, forwards=ascending, limit=limit, offset=skipped)
        rows = self.whole.read_listed(self.connection, statement.sql, statement.parameters)
        # SQL promises the order of the inner SELECT, not of what is joined to it.
        rows.sort(key=_BY_KEY if stretch.key else _BY_PK, reverse=not ascending)
        return [(stretch, row) for row in rows]

    def _number_in(self, stretch: Stretch) -> int:
        statement = number_in(stretch, self.rows)
        ((number,),) = self.connection.all(statement.sql, statement.parameters)
        return int(number)

    def _is_any_beyond(self, place: Place, ascending: bool) -> bool:
        for stretch, start in self._onwards(place, ascending=ascending):
            statement = walk(stretch, self.rows, start, forwards=ascending, limit=1)
            if self.connection.one(statement.sql, statement.parameters) is not None:
                return True
        return False
