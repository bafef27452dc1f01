"""Acts that change no resource, written where they happen: a line of the audit log as soon as it is sealed (`seals`)."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import orjson

from rollbook.storage.base import Act
from rollbook.storage.ids import new_id
from rollbook.storage.sql.connection import Connection, Parameters

T = TypeVar("T")

ADD = """
    INSERT INTO act (id, owner, at, author, credential, origin, run, act, type, subject, outcome, times, detail)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def add(connection: Connection, acts: Sequence[Act]) -> None:
    """Write acts, in the transaction of what was done."""
    connection.many(ADD, [_row(act) for act in acts])


def told(act: Act | None, work: Callable[[Connection], T]) -> Callable[[Connection], T]:
    """The work, which writes the act as well if it comes to anything that is true."""

    def both(connection: Connection) -> T:
        result = work(connection)
        if act is not None and (result is None or bool(result)):
            add(connection, [act])
        return result

    return both


def _row(act: Act) -> Parameters:
    by = act.author
    return (
        new_id(), act.tenant, by.at, by.name, by.credential, by.origin, by.run,
        act.name, act.type, act.subject, act.outcome, act.times, orjson.dumps(act.detail),
    )  # fmt: skip
