"""Acts that change no resource, written where they happen, numbered and signed: lines of the audit log (`seals`, `signing`)."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import orjson

from rollbook.storage.base import Act
from rollbook.storage.ids import new_id
from rollbook.storage.sql.connection import Connection, Parameters
from rollbook.storage.sql.signing import ACTS, Signer, act_text, count_text

T = TypeVar("T")

ADD = """
    INSERT INTO act (id, owner, at, author, credential, origin, run, act, type, subject, outcome, times, detail, place, stamp)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
NEXT = """
    INSERT INTO tally (log, lines) VALUES (?, ?)
    ON CONFLICT (log) DO UPDATE SET lines = tally.lines + excluded.lines RETURNING lines
"""
"""Acts of all tenants have one order, so that none can go with all that tells of its tenant; they are few."""
STAMP = "UPDATE tally SET stamp = ? WHERE log = ?"


def add(connection: Connection, acts: Sequence[Act]) -> None:
    """Write acts, in the transaction of what was done."""
    if not acts:
        return
    ((last,),) = connection.all(NEXT, (ACTS, len(acts)))
    signer, first = connection.signer, last - len(acts) + 1
    connection.many(ADD, [_row(signer, place, act) for place, act in enumerate(acts, first)])
    stamp = signer.stamp(count_text(ACTS, last))
    if stamp is not None:
        connection.run(STAMP, (stamp, ACTS))


def told(act: Act | None, work: Callable[[Connection], T]) -> Callable[[Connection], T]:
    """The work, which writes the act as well if it comes to anything that is true."""

    def both(connection: Connection) -> T:
        result = work(connection)
        if act is not None and (result is None or bool(result)):
            add(connection, [act])
        return result

    return both


def _row(signer: Signer, place: int, act: Act) -> Parameters:
    by = act.author
    row = (
        act.tenant, by.at, by.name, by.credential, by.origin, by.run,
        act.name, act.type, act.subject, act.outcome, act.times, orjson.dumps(act.detail),
    )  # fmt: skip
    return (new_id(), *row, place, signer.stamp(act_text(place, row)))
