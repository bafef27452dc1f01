"""Whether the audit log is what it was: seals one after the other, and each line that they are over (T-87).

Lines that were forgotten by rule are told by acts, which are lines themselves: `FORGETTING` names which went, and a tenant
that was deleted has taken its changes along.
"""

import hmac
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import orjson

from rollbook.protocol.values import JsonObject
from rollbook.storage.journal import Head, SealKeys, Verdict
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.journal_lines import waiting
from rollbook.storage.sql.seals import (
    ACT_COLUMNS,
    CHANGE_COLUMNS,
    DIGEST_BYTES,
    Seal,
    act_text,
    change_text,
    seal_hash,
)

FORGETTING = "audit.forget"
"""The act that tells which lines went."""

DELETING = "tenant.delete"

PAGE = 100

SEALS = "SELECT number, lines, log, first, last, at, key, digests, hash FROM seal WHERE number > ? ORDER BY number LIMIT ?"
TOLD = "SELECT owner, act, detail FROM act WHERE act IN (?, ?)"
CHANGES = f"SELECT {CHANGE_COLUMNS} FROM change WHERE tenant = ? AND sequence > ? AND sequence <= ? ORDER BY sequence"
ACTS = f"SELECT {ACT_COLUMNS} FROM act WHERE number > ? AND number <= ? ORDER BY number"
BEYOND = "SELECT min(number), max(number) FROM act WHERE number > ?"
COUNTED = "SELECT tenant, change FROM sequence"
THERE = "SELECT number FROM tenant WHERE state <> 'deleting'"
IS_THERE = "SELECT 1 FROM change WHERE tenant = ? AND sequence = ?"

Progress = Callable[[int], None]
"""Told how many lines are looked at."""

REMOVED, ALTERED = "removed", "altered"
REMOVED_EARLY = "removed before this line, and before it was sealed"
INSERTED = "inserted"
SEAL_ALTERED = "seal altered"
SEAL_REMOVED = "removed with their seals"
SEAL_INSERTED = "seal inserted"
NO_SUCH_KEY = "sealed by a key that is not here"
WITHOUT_KEY = "sealed without the key that seals before were made by"
NEWEST_REMOVED = "the newest changes removed"
HEAD_GONE = "the head that was kept is not in the log"


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers in order as first and last of each unbroken run."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


@dataclass
class _Forgotten:
    """What may be missing: runs of sequences of each log, and tenants that are gone."""

    runs: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    tenants: set[int] = field(default_factory=set)

    def has(self, log: int, sequence: int) -> bool:
        if log in self.tenants:
            return True
        runs = self.runs.get(log, [])
        at = bisect_right(runs, (sequence, 1 << 62)) - 1
        return at >= 0 and runs[at][0] <= sequence <= runs[at][1]


def _forgotten(connection: Connection) -> _Forgotten:
    found = _Forgotten()
    for owner, act, detail in connection.all(TOLD, (FORGETTING, DELETING)):
        if act == DELETING:
            found.tenants.add(owner)
            continue
        told = _read(detail)
        log = owner if told.get("of") == "changes" else 0
        found.runs.setdefault(log, []).extend((first, last) for first, last in told.get("lines", ()))
    found.tenants -= {number for (number,) in connection.all(THERE)}
    for runs in found.runs.values():
        runs.sort()
    return found


def _read(detail: bytes) -> JsonObject:
    try:
        told = orjson.loads(detail)
    except ValueError:
        told = None
    return told if isinstance(told, dict) else {}


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
        forgotten = _forgotten(self.connection)
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
        self._look_beyond(forgotten, found)
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
        if not self.keys.knows(seal.key):
            found.note(seal.number, seal.end, NO_SUCH_KEY)
        elif not hmac.compare_digest(seal_hash(self.keys, before.hash, seal), seal.hash):
            found.note(seal.number, seal.end, SEAL_ALTERED)

    def _look_at_lines(self, seal: Seal, forgotten: _Forgotten, found: Verdict) -> None:
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
            if not hmac.compare_digest(self.keys.digest(seal.key, _text(seal.log, row)), digest):
                found.note(number, number, ALTERED)
        for sequence in rows:  # behind the last seal of this log, and before this one
            found.note(seal.number, seal.number, f"{INSERTED}: {_place(seal.log, sequence)}")

    def _look_between(self, seal: Seal, after: int, forgotten: _Forgotten, found: Verdict) -> None:
        """Changes are counted when they are written: none may be missing between two seals of a log."""
        self.begun = seal.at if self.begun is None else self.begun
        if not seal.log or seal.at == self.begun or not self.is_whole:
            return
        missing = (at for at in range(after + 1, seal.first) if not forgotten.has(seal.log, at))
        if (first := next(missing, None)) is not None:
            found.note(seal.number, seal.number, f"{REMOVED_EARLY}: {_place(seal.log, first)}")

    def _look_beyond(self, forgotten: _Forgotten, found: Verdict) -> None:
        """What no seal is over: nothing may be missing at the end, nor have a number already."""
        end = found.head.number
        first, last = self.connection.all(BEYOND, (end,))[0]
        if first is not None:
            found.note(first, last, INSERTED)
        for tenant, counted in self.connection.all(COUNTED):
            if tenant in forgotten.tenants:
                continue  # being deleted, or broken off in that
            if counted > 0 and self.connection.one(IS_THERE, (tenant, counted)) is None:
                found.note(end, end, f"{NEWEST_REMOVED}: {_place(tenant, counted)}")
        if self.kept is not None and not self.is_found:
            found.note(end, end, HEAD_GONE)
        found.waiting = waiting(self.connection)


def _text(log: int, row: Row) -> bytes:
    return change_text(log, row) if log else act_text(row[0], row)


def _place(log: int, sequence: int) -> str:
    return f"change {sequence} of tenant number {log}" if log else f"act {sequence}"


def _is_kept(kept: str, head: Head) -> bool:
    number, _, text = kept.strip().lower().rpartition(":")
    return text == head.hash.hex() and number in {"", str(head.number)}
