"""The lines of the audit log, in order, out of seals and what they are over; those that were forgotten are left out."""

from collections.abc import Iterator
from typing import NamedTuple

import orjson

from rollbook.protocol.values import JsonObject
from rollbook.storage.journal import Line
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.seals import ACT_COLUMNS, CHANGE_COLUMNS

PAGE = 50
"""Seals that are read together."""

_SEALS = "SELECT number, lines, log, first, last, at FROM seal WHERE"
BEGIN = "SELECT max(number) FROM seal WHERE number <= ?"
FORWARD = f"{_SEALS} number >= ? ORDER BY number LIMIT ?"
BACKWARD = f"{_SEALS} number <= ? ORDER BY number DESC LIMIT ?"
SINCE = "SELECT number FROM seal WHERE at >= ? ORDER BY at, number LIMIT 1"
CHANGES = f"SELECT {CHANGE_COLUMNS} FROM change WHERE tenant = ? AND sequence >= ? AND sequence <= ? ORDER BY sequence"
ACTS = f"SELECT {ACT_COLUMNS} FROM act WHERE number >= ? AND number <= ? ORDER BY number"
WAITING_ACTS = "SELECT count(*) FROM act WHERE number IS NULL"
WAITING_CHANGES = """
    SELECT coalesce(sum(s.change - coalesce(
        (SELECT max(p.last) FROM seal p WHERE p.log = s.tenant), 0
    )), 0) FROM sequence s
"""


class Page(NamedTuple):
    """Some lines, and the number to go on from; None at the end."""

    lines: list[Line]
    then: int | None


def after(connection: Connection, number: int) -> Page:
    """Lines with numbers above that one, in order."""
    row = connection.one(BEGIN, (number + 1,))
    begin = row[0] if row and row[0] is not None else 1
    seals = connection.all(FORWARD, (begin, PAGE))
    lines = [line for seal in seals for line in _lines(connection, seal) if line.number > number]
    return Page(lines, seals[-1][0] + seals[-1][1] - 1 if len(seals) == PAGE else None)


def before(connection: Connection, number: int) -> Page:
    """Lines with numbers below that one, the last of them first."""
    seals = connection.all(BACKWARD, (number - 1, PAGE))
    lines = [
        line for seal in seals for line in reversed(list(_lines(connection, seal))) if line.number < number
    ]
    return Page(lines, seals[-1][0] if len(seals) == PAGE else None)


def first_since(connection: Connection, at: int) -> int | None:
    """The first line that was sealed at a moment or later; all that happened since then come behind it."""
    row = connection.one(SINCE, (at,))
    return None if row is None else int(row[0])


def waiting(connection: Connection) -> int:
    """How many lines are not sealed yet, about."""
    return sum(int(connection.all(sql)[0][0]) for sql in (WAITING_ACTS, WAITING_CHANGES))


def _lines(connection: Connection, seal: Row) -> Iterator[Line]:
    number, _, log, first, last, sealed = seal
    if log:
        for row in connection.all(CHANGES, (log, first, last)):
            yield _of_change(number + row[0] - first, sealed, log, row)
    else:
        for row in connection.all(ACTS, (first, last)):
            yield _of_act(sealed, row)


def _of_change(number: int, sealed: int, tenant: int, row: Row) -> Line:
    _, kind, subject, operation, version, author, at, detail, credential, origin, run = row
    told = _detail(detail)
    act = "erase" if told.pop("erased", False) else operation
    return Line(
        number,
        sealed,
        at,
        tenant,
        author,
        credential,
        origin,
        run,
        act,
        kind,
        subject,
        "done",
        1,
        version,
        told,
    )


def _of_act(sealed: int, row: Row) -> Line:
    number, owner, at, author, credential, origin, run, act, kind, subject, outcome, times, detail = row
    told = _detail(detail)
    return Line(
        number,
        sealed,
        at,
        owner,
        author,
        credential,
        origin,
        run,
        act,
        kind,
        subject,
        outcome,
        times,
        None,
        told,
    )


def _detail(kept: bytes) -> JsonObject:
    """What a line tells beside; it is told, too, if somebody has made it unreadable."""
    try:
        told = orjson.loads(kept)
    except ValueError:
        told = None
    return told if isinstance(told, dict) else {"unreadable": True}
