"""The part of a check that is about the end of the audit log: what no seal is over yet, and that nothing is missing there (T-87).

Lines and their number were signed when they were written, so nothing has to be sealed for that.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from rollbook.storage.journal import SealKeys, Verdict
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.journal_faults import (
    ALTERED,
    COUNT_ALTERED,
    COUNT_GONE,
    INSERTED,
    NEWEST_REMOVED,
    NO_SUCH_KEY,
    REMOVED,
    REMOVED_UNSEALED,
    UNSIGNED,
    log_of,
    place_of,
)
from rollbook.storage.sql.journal_forgotten import THERE, Forgotten
from rollbook.storage.sql.seals import ACT_COLUMNS, CHANGE_COLUMNS
from rollbook.storage.sql.signing import ACTS, act_text, change_text, count_text, holds, key_of

PAGE = 1_000

BEYOND = "SELECT min(number), max(number) FROM act WHERE number > ?"
COUNTED = "SELECT tenant, change FROM sequence"
IS_THERE = "SELECT 1 FROM change WHERE tenant = ? AND sequence = ?"
TALLIES = "SELECT log, lines, stamp FROM tally ORDER BY log"
UNSEALED = (
    f"SELECT {CHANGE_COLUMNS}, stamp FROM change WHERE tenant = ? AND sequence > ? ORDER BY sequence LIMIT ?"
)
UNSEALED_ACTS = f"""
    SELECT id, {ACT_COLUMNS}, place, stamp FROM act WHERE number IS NULL AND id > ? ORDER BY id LIMIT ?
"""
PLACES = "SELECT place, count(*) FROM act WHERE place > ? GROUP BY place ORDER BY place LIMIT ?"


def signed_text(log: int, row: Row) -> bytes:
    """What was signed of a line; a row of acts has its place and its stamp behind what it tells."""
    return change_text(log, row) if log else act_text(row[13] or 0, row[1:])


@dataclass
class Tail:
    """Looks at the end of every log. `places` says how far each is sealed."""

    connection: Connection
    keys: SealKeys
    places: dict[int, int]
    forgotten: Forgotten
    found: Verdict
    tallies: dict[int, tuple[int, bytes | None]] = field(default_factory=dict)

    def look(self) -> None:
        """Nothing may be missing at the end, nor have a number already, nor be other than it was signed."""
        end = self.found.head.number
        first, last = self.connection.all(BEYOND, (end,))[0]
        if first is not None:
            self.found.note(first, last, INSERTED)
        counted: dict[int, int] = dict(self.connection.all(COUNTED))
        self.tallies = {log: (lines, stamp) for log, lines, stamp in self.connection.all(TALLIES)}
        for tenant, changes in counted.items():
            self._look_for_newest(tenant, changes)
        is_signed = self.found.signed_from is not None or any(stamp for _, stamp in self.tallies.values())
        if not is_signed or not self.keys.signs(self.keys.current):
            return
        tenants = {number for (number,) in self.connection.all(THERE)}
        for log in sorted({ACTS, *tenants, *counted, *self.forgotten.created, *self.tallies}):
            if log not in self.forgotten.tenants:
                self._look_at_count(log, counted.get(log, 0))
        self._look_at_places()
        self._look_at_acts()

    def _note(self, what: str) -> None:
        """Add a fault of a line that has no number yet."""
        self.found.note(self.found.head.number, self.found.head.number, what)

    def _look_for_newest(self, tenant: int, changes: int) -> None:
        """The newest change is never forgotten; a tenant that is being deleted, or was broken off in that, has lost it."""
        changes = max(changes, self.tallies.get(tenant, (0, None))[0])
        if tenant in self.forgotten.tenants or changes == 0:
            return
        if self.connection.one(IS_THERE, (tenant, changes)) is None:
            self._note(f"{NEWEST_REMOVED}: {place_of(tenant, changes)}")

    def _look_at_count(self, log: int, changes: int) -> None:
        """How many lines a log has was signed; as many are there, or sealed."""
        lines, stamp = self.tallies.get(log, (0, None))
        key = key_of(stamp)
        if stamp is None:
            self._note(f"{COUNT_GONE}: {log_of(log)}")
        elif key != self.keys.current:
            self._note(f"{NO_SUCH_KEY}: {log_of(log)}")
        elif (
            not holds(self.keys, stamp, count_text(log, lines))
            or (log != ACTS and changes < lines)
            or (log != ACTS and self.places.get(log, 0) > lines)
        ):
            self._note(f"{COUNT_ALTERED}: {log_of(log)}")
        if log != ACTS:
            self._look_at_changes(log)

    def _look_at_changes(self, tenant: int) -> None:
        after = self.places.get(tenant, 0)
        while rows := self.connection.all(UNSEALED, (tenant, after, PAGE)):
            for row in rows:
                self._look_at_line(tenant, row[0], row)
                if row[0] != after + 1:
                    self._note(f"{REMOVED_UNSEALED}: {place_of(tenant, after + 1)}")
                after = row[0]

    def _look_at_acts(self) -> None:
        after = ""
        while rows := self.connection.all(UNSEALED_ACTS, (after, PAGE)):
            for row in rows:
                self._look_at_line(ACTS, row[14] or 0, row[1:])
            after = rows[-1][0]

    def _look_at_line(self, log: int, number: int, row: Row) -> None:
        if row[-1] is None:
            self._note(f"{UNSIGNED}: {place_of(log, number)}")
        elif not holds(self.keys, row[-1], signed_text(log, row)):
            self._note(f"{ALTERED}: {place_of(log, number)}")

    def _look_at_places(self) -> None:
        """Acts have numbers of their own, in the order in which they were written: each is there once, or forgotten."""
        before = 0
        for place, times in self._places():
            if times > 1:
                self._note(f"{INSERTED}: {place_of(ACTS, place)}")
            self._look_between_places(before + 1, place)
            before = place
        self._look_between_places(before + 1, self.tallies.get(ACTS, (0, None))[0] + 1)

    def _look_between_places(self, first: int, end: int) -> None:
        missing = (place for place in range(first, end) if not self.forgotten.has_place(place))
        if (place := next(missing, None)) is not None:
            self._note(f"{REMOVED}: {place_of(ACTS, place)}")

    def _places(self) -> Iterator[Row]:
        after = 0
        while rows := self.connection.all(PLACES, (after, PAGE)):
            yield from rows
            after = rows[-1][0]
