"""Lines of the audit log are signed where they are written, by a key that is not in the database (T-87).

A stamp is the name of the key, and an HMAC over all that the line tells and its number in its log: the change log of a
tenant, or the acts. How many lines a log has is signed in the same transaction, so that none goes from its end either.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from rollbook.storage.journal import DIGEST_BYTES, SealKeys

ACTS = 0
"""The log of acts; every other number is the tenant's whose changes it has."""

COUNT = """
    INSERT INTO tally (log, lines, stamp) VALUES (?, ?, ?)
    ON CONFLICT (log) DO UPDATE SET lines = excluded.lines, stamp = excluded.stamp
"""

Fields = Any
"""Columns of a row, as the database has them."""


def change_text(tenant: int, row: Fields) -> bytes:
    """What stands for a row of a change log (`seals.CHANGE_COLUMNS`), the same from every database."""
    return orjson.dumps(["change", tenant, *row[:7], _words(row[7]), *row[8:11]])


def act_text(place: int, row: Fields) -> bytes:
    """The same of an act; `row` is what `seals.ACT_COLUMNS` names behind the line's number."""
    return orjson.dumps(["act in place", place, *row[:11], _words(row[11])])


def _words(detail: bytes) -> str:
    """Text, also of what somebody has made unreadable."""
    return bytes(detail).decode("utf-8", "backslashreplace")


def count_text(log: int, lines: int) -> bytes:
    """What stands for the number of lines of a log."""
    return orjson.dumps(["count", log, lines])


def stamp(keys: SealKeys, text: bytes) -> bytes:
    """What is kept with a line."""
    return keys.current.encode() + keys.digest(keys.current, text)


def key_of(kept: bytes | None) -> str | None:
    """The name of the key that a stamp was made by."""
    return None if kept is None else bytes(kept)[:-DIGEST_BYTES].decode("ascii", "replace")


def holds(keys: SealKeys, kept: bytes | None, text: bytes) -> bool:
    """Whether that stamp is of that text."""
    key = key_of(kept)
    if kept is None or key is None or not keys.signs(key) or not keys.knows(key):
        return False
    return hmac.compare_digest(keys.digest(key, text), bytes(kept)[-DIGEST_BYTES:])


class Signer:
    """What a database signs by, once `begin` has said so; before, and where there is no key, it signs nothing."""

    def __init__(self) -> None:
        self.keys: SealKeys | None = None
        self._begin: Callable[[], Awaitable[SealKeys | None]] | None = None
        self._task: asyncio.Task[None] | None = None

    def begin_by(self, begin: Callable[[], Awaitable[SealKeys | None]]) -> None:
        """Say how to get the keys; it may read and write the database, and is asked before the first other write."""
        self._begin = begin

    @property
    def is_settled(self) -> bool:
        """Whether nothing has to be waited for."""
        return self._begin is None

    async def settled(self) -> None:
        """Wait until it is known by which key lines are signed, unless it is this that waits for what it writes itself.

        Raises:
            StoreUnavailable: the database cannot be asked; the next one who waits tries again.
        """
        if self._begin is None:
            return
        if self._task is None:
            self._task = asyncio.create_task(self._settle(self._begin))
            self._task.add_done_callback(_noticed)
        if self._task is not asyncio.current_task():
            await asyncio.shield(self._task)

    async def _settle(self, begin: Callable[[], Awaitable[SealKeys | None]]) -> None:
        try:
            self.keys = await begin()
            self._begin = None
        finally:
            self._task = None

    def stamp(self, text: bytes) -> bytes | None:
        """What is kept with a line; None without a key."""
        return None if self.keys is None else stamp(self.keys, text)


def _noticed(task: "asyncio.Task[None]") -> None:
    """Whoever waited was told; nobody may have."""
    if not task.cancelled():
        task.exception()
