"""Seals over the audit log: committed rows of the change logs and of acts become lines with numbers and a chain of hashes.

A line is signed when it is written (`signing`): a seal takes its digest from there, and so vouches for nothing that was
altered meanwhile. What earlier versions have written is not signed; its digests are worked out here. Sealing is done beside the writers, who know nothing of it. Rows are read outside any write; what is written is one small
row for up to `MOST` lines. Two processes that seal at once both begin behind the same line, whose number is a key: one
of them is refused. Rows of a tenant are sealed in the order of their sequence, which is that of their commits.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import orjson

from rollbook.storage.journal import DIGEST_BYTES, Head, SealKeys
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.signing import change_text, key_of

MOST = 256
"""Lines under one seal."""

SEALED_TOGETHER = 40
"""Seals that are made in one transaction."""

HEAD = "SELECT number, lines, key, hash FROM seal ORDER BY number DESC LIMIT 1"
PLACES = "SELECT s.tenant, (SELECT max(last) FROM seal WHERE log = s.tenant) FROM sequence s"
"""A look-up for each tenant: seals are many, and kept for good."""
LAST_OF = "SELECT coalesce(max(last), 0) FROM seal WHERE log = ?"
COUNTED = "SELECT tenant, change FROM sequence"
CHANGE_COLUMNS = "sequence, type, id, operation, version, author, at, detail, credential, origin, run"
CHANGES = f"""
    SELECT {CHANGE_COLUMNS}, stamp FROM change WHERE tenant = ? AND sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?
"""
ACT_COLUMNS = "number, owner, at, author, credential, origin, run, act, type, subject, outcome, times, detail"
WAITING = f"SELECT id, {ACT_COLUMNS}, stamp FROM act WHERE number IS NULL ORDER BY at, id LIMIT ?"
NUMBER = "UPDATE act SET number = ? WHERE id = ? AND number IS NULL"
ADD = """
    INSERT INTO seal (number, lines, log, first, last, at, key, digests, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (number) DO NOTHING
"""

NONE = bytes(DIGEST_BYTES)
"""In place of a digest: the line was not signed when it was written, and should have been."""


class Seal(NamedTuple):
    """A row: lines `number` and on, which are changes `first` to `last` of a tenant's log, or acts by their numbers (log 0)."""

    number: int
    lines: int
    log: int
    first: int
    last: int
    at: int
    key: str
    digests: bytes
    hash: bytes

    @property
    def end(self) -> int:
        """The last line."""
        return self.number + self.lines - 1


class Made(NamedTuple):
    """Seals to be written; the ids of acts by the number each gets; how far every tenant's log is sealed then."""

    seals: list[Seal]
    numbers: list[tuple[int, str]]
    places: dict[int, int]


class Start(NamedTuple):
    """Where sealing goes on: the head, the key of the last seal, and how far each tenant's log is sealed."""

    head: Head
    key: str
    places: dict[int, int]


def head(connection: Connection) -> tuple[Head, str]:
    """The last line that is sealed, and the name of the key of its seal."""
    row = connection.one(HEAD)
    return (Head(0, b""), "") if row is None else (Head(row[0] + row[1] - 1, bytes(row[3])), row[2])


def start(connection: Connection) -> Start:
    """Where sealing goes on."""
    last, key = head(connection)
    return Start(last, key, {tenant: last for tenant, last in connection.all(PLACES) if last is not None})


def unsigned_act_text(number: int, row: Row) -> bytes:
    """What stands for an act in seals of earlier versions; `row` has `ACT_COLUMNS`, of which the number may not be there yet."""
    return orjson.dumps(["act", number, *row[1:12], bytes(row[12]).decode("utf-8", "backslashreplace")])


def seal_hash(keys: SealKeys, before: bytes, seal: Seal) -> bytes:
    """What a seal hangs on to the one before it by."""
    about = orjson.dumps([*seal[:6], seal.key])
    return keys.digest(seal.key, before + about + seal.digests)


def make(connection: Connection, begin: Start, keys: SealKeys, at: int) -> Made:
    """The next seals over what is committed and not sealed; none if there is nothing."""
    made, before = Made([], [], dict(begin.places)), begin.head
    for log, rows in _waiting(connection, made.places):
        number = before.number + 1
        first = rows[0][0] if log else number
        if not log:
            made.numbers.extend((at_, row[0]) for at_, row in enumerate(rows, number))
        digests = b"".join(_digest(keys, log, at_, row) for at_, row in enumerate(rows, number))
        seal = Seal(number, len(rows), log, first, first + len(rows) - 1, at, keys.current, digests, b"")
        seal = seal._replace(hash=seal_hash(keys, before.hash, seal))
        made.seals.append(seal)
        before = Head(seal.end, seal.hash)
        if len(made.seals) == SEALED_TOGETHER:
            break
    return made


def _digest(keys: SealKeys, log: int, number: int, row: Row) -> bytes:
    """What a seal keeps of a line: what it was signed with, if that is due."""
    if keys.signs(keys.current):
        return bytes(row[-1])[-DIGEST_BYTES:] if key_of(row[-1]) == keys.current else NONE
    return keys.digest(keys.current, change_text(log, row) if log else unsigned_act_text(number, row[1:]))


def write(connection: Connection, made: Made) -> bool:
    """Write seals; False if somebody has sealed these lines meanwhile, and nothing was written.

    The caller undoes what was done if it is refused in the middle: seals are written in order, so that is at the first.
    """
    for seal in made.seals:
        if connection.run(ADD, seal) == 0:
            return False
    if made.numbers:
        connection.many(NUMBER, made.numbers)
    return True


def _waiting(connection: Connection, reached: dict[int, int]) -> Iterator[tuple[int, Sequence[Row]]]:
    """What is not sealed, as rows without a gap between their sequences: acts first, then the change log of each tenant.

    `reached` says how far that is sealed; it is brought forward as rows are told.
    """
    acts = connection.all(WAITING, (MOST,))
    if acts:
        yield 0, acts
    for tenant, counted in connection.all(COUNTED):
        while (place := reached.get(tenant, 0)) < counted:
            rows = connection.all(CHANGES, (tenant, place, counted, MOST))
            if not rows:  # forgotten before they were sealed, or gone with their tenant
                reached[tenant] = counted
                break
            for run in _runs(rows):
                reached[tenant] = run[-1][0]
                yield tenant, run


def _runs(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    begin = 0
    for at in range(1, len(rows)):
        if rows[at][0] != rows[at - 1][0] + 1:
            yield rows[begin:at]
            begin = at
    yield rows[begin:]
