"""Whether the audit log is what it was: seals one after the other, each line that they are over, and what is behind them (T-87)."""

import hmac
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rollbook.storage.journal import DIGEST_BYTES, Head, SealKeys, Verdict
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.journal_faults import (
    ALTERED,
    HEAD_GONE,
    INSERTED,
    NO_SUCH_KEY,
    REMOVED,
    REMOVED_EARLY,
    SEAL_ALTERED,
    SEAL_INSERTED,
    SEAL_REMOVED,
    SEALED_UNSIGNED,
    UNSIGNED,
    WITHOUT_KEY,
    place_of,
)
from rollbook.storage.sql.journal_forgotten import Forgotten, first_signed, read_forgotten
from rollbook.storage.sql.journal_lines import waiting
from rollbook.storage.sql.journal_tail import Tail, signed_text
from rollbook.storage.sql.seals import ACT_COLUMNS, CHANGE_COLUMNS, NONE, Seal, seal_hash, unsigned_act_text
from rollbook.storage.sql.signing import change_text

PAGE = 100

SEALS = "SELECT number, lines, log, first, last, at, key, digests, hash FROM seal WHERE number > ? ORDER BY number LIMIT ?"
CHANGES = f"SELECT {CHANGE_COLUMNS}, stamp FROM change WHERE tenant = ? AND sequence > ? AND sequence <= ? ORDER BY sequence"
ACTS = f"SELECT {ACT_COLUMNS}, place, stamp FROM act WHERE number > ? AND number <= ? ORDER BY number"

Progress = Callable[[int], None]
"""Told how many lines are looked at."""


def check(connection: Connection, keys: SealKeys, kept: str | None, progress: Progress) -> Verdict:
    """Walk the whole log; `kept` is the text or the hash of a head that somebody has kept elsewhere."""
    return _Walk(connection, keys, kept, progress).verdict()


@dataclass
class _Walk:
    connection: Connection
    keys: SealKeys
    kept: str | None
    progress: Progress
    places: dict[int, int] = field(default_factory=dict)
    """How far each log is sealed."""
    is_found: bool = False
    """Whether the kept head was come by."""
    begun: int | None = None
    """When the first seals were made: what was missing by then, nobody can tell."""
    is_whole: bool = True
    """Whether no seal is missing, so far."""

    def verdict(self) -> Verdict:
        forgotten = read_forgotten(self.connection, self.keys)
        found, before, key = Verdict(Head(0, b"")), Head(0, b""), ""
        for seal in self._seals():
            self._look_at_seal(seal, before, key, found)
            self._look_at_lines(seal, forgotten, found)
            before, key = Head(seal.end, seal.hash), seal.key or key
            self.is_found |= self.kept is not None and _is_kept(self.kept, before)
            found.seals += 1
            found.lines += seal.lines
            self.progress(found.lines)
        found.head = before
        found.signed_from = first_signed(self.connection, self.keys)
        Tail(self.connection, self.keys, self.places, forgotten, found).look()
        if self.kept is not None and not self.is_found:
            found.note(found.head.number, found.head.number, HEAD_GONE)
        found.waiting = waiting(self.connection)
        return found

    def _seals(self) -> Iterator[Seal]:
        after = -1 << 62
        while rows := self.connection.all(SEALS, (after, PAGE)):
            for row in rows:
                yield Seal(*row)._replace(digests=bytes(row[7]), hash=bytes(row[8]))
            after = rows[-1][0]

    def _look_at_seal(self, seal: Seal, before: Head, key: str, found: Verdict) -> None:
        """Whether it hangs on to the one before."""
        if seal.number > before.number + 1:
            found.note(before.number + 1, seal.number - 1, SEAL_REMOVED)
            self.is_whole = False
            return  # what it hangs on to is gone
        if seal.number <= before.number:
            found.note(seal.number, seal.end, SEAL_INSERTED)
            return
        if not seal.key:
            found.without_key += seal.lines
            if key:
                found.note(seal.number, seal.end, WITHOUT_KEY)
        elif self.keys.signs(key) and self.keys.knows(key) and not self.keys.signs(seal.key):
            found.note(seal.number, seal.end, SEALED_UNSIGNED)
        if not self.keys.knows(seal.key):
            found.note(seal.number, seal.end, NO_SUCH_KEY)
        elif not hmac.compare_digest(seal_hash(self.keys, before.hash, seal), seal.hash):
            found.note(seal.number, seal.end, SEAL_ALTERED)

    def _look_at_lines(self, seal: Seal, forgotten: Forgotten, found: Verdict) -> None:
        """Whether the rows are those that it is over."""
        after = self.places.get(seal.log, 0)
        self.places[seal.log] = max(after, seal.last)
        self._look_between(seal, after, forgotten, found)
        if not self.keys.knows(seal.key) or len(seal.digests) != seal.lines * DIGEST_BYTES:
            return  # told already
        sql, about = (CHANGES, (seal.log,)) if seal.log else (ACTS, ())
        rows = {row[0]: row for row in self.connection.all(sql, (*about, after, seal.last))}
        for at in range(seal.lines):
            number, sequence = seal.number + at, seal.first + at
            row = rows.pop(sequence, None)
            if row is None:
                if forgotten.has(seal.log, sequence):
                    found.removed += 1
                else:
                    found.note(number, number, REMOVED)
                continue
            digest = seal.digests[at * DIGEST_BYTES : (at + 1) * DIGEST_BYTES]
            if (fault := self._judged(seal, row, digest)) is not None:
                found.note(number, number, fault)
        for sequence in rows:  # behind the last seal of this log, and before this one
            found.note(seal.number, seal.number, f"{INSERTED}: {place_of(seal.log, sequence)}")

    def _judged(self, seal: Seal, row: Row, digest: bytes) -> str | None:
        """What is wrong with a line that is there, None if nothing is."""
        is_signed = self.keys.signs(seal.key)
        if is_signed and digest == NONE:
            return UNSIGNED
        text = signed_text(seal.log, row) if is_signed else _text(seal.log, row)
        if not hmac.compare_digest(self.keys.digest(seal.key, text), digest):
            return ALTERED
        # What a line was signed with says nothing that its seal does not; who alters it alters the log all the same.
        return ALTERED if is_signed and not bytes(row[-1] or b"").endswith(digest) else None

    def _look_between(self, seal: Seal, after: int, forgotten: Forgotten, found: Verdict) -> None:
        """Changes are counted when they are written: none may be missing between two seals of a log."""
        self.begun = seal.at if self.begun is None else self.begun
        may_be_old = seal.at == self.begun and not self.keys.signs(seal.key)
        if not seal.log or may_be_old or not self.is_whole:
            return
        missing = (at for at in range(after + 1, seal.first) if not forgotten.has(seal.log, at))
        if (first := next(missing, None)) is not None:
            found.note(seal.number, seal.number, f"{REMOVED_EARLY}: {place_of(seal.log, first)}")


def _text(log: int, row: Row) -> bytes:
    return change_text(log, row) if log else unsigned_act_text(row[0], row)


def _is_kept(kept: str, head: Head) -> bool:
    number, _, text = kept.strip().lower().rpartition(":")
    return text == head.hash.hex() and number in {"", str(head.number)}
