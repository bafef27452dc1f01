"""Another key for every secret of a database; each step may be the last one of a process, and the next goes on."""

import asyncio
from functools import partial
from typing import NamedTuple

from rollbook.storage.key_files import add_key
from rollbook.storage.keyring import Keyring, new_key
from rollbook.storage.sql.connection import Backend, Connection, Row
from rollbook.storage.sql.secrets import IN_CLEAR, Place, SqlSecrets, by_key

NEXT = """
    SELECT tenant, name, value FROM secret WHERE (tenant, name) > (?, ?) AND key <> ? ORDER BY tenant, name LIMIT ?
"""
RESEAL = "UPDATE secret SET key = ?, value = ? WHERE tenant = ? AND name = ? AND value = ?"
FORGET = "DELETE FROM secret WHERE key = ?"
REVOKE = "UPDATE token SET revoked = ? WHERE revoked IS NULL"

BATCH = 100
"""Secrets that are sealed anew in one transaction."""

_BEGIN = Place(-1, "")


class Rotated(NamedTuple):
    """The key that seals now, whether it was made for this, and how many secrets were sealed anew."""

    key: str
    is_new: bool
    secrets: int


async def rotate(database: Backend, secrets: SqlSecrets) -> Rotated:
    """Seal every secret by the last key. If all are already, and there is a file to write it to, by a new one.

    May run beside servers, and beside itself: keys are added before they seal and never taken away, so that whoever
    reads them behind what they have sealed has them all. What somebody else has set in between is left for another round.

    Raises:
        KeyUnknown: keys that are needed are not here, or none can be added; nothing was changed then.
    """
    ring = await secrets.all_keys()
    used = await database.read(by_key)
    is_done = used.keys() == {ring.sealing} and not await secrets.are_in_clear()
    file = secrets.source.file
    is_new = is_done and file is not None
    if is_new and file is not None:
        await asyncio.to_thread(add_key, file, new_key())
    for name in IN_CLEAR:
        await secrets.take_over(name)
    return await _resealed(database, secrets, is_new=is_new)


async def _resealed(database: Backend, secrets: SqlSecrets, *, is_new: bool) -> Rotated:
    """Page by page, each by the key that is the last one then: another rotation may have added one meanwhile."""
    ring, done, after = await secrets.all_keys(), 0, _BEGIN
    while True:
        rows = await database.read(partial(_next, sealing=ring.sealing, after=after))
        former, ring = (
            ring,
            await secrets.all_keys(),
        )  # behind the rows, so that none is of a key not known yet
        if ring.sealing != former.sealing:
            after = _BEGIN
        elif not rows:
            return Rotated(ring.sealing, is_new, done)
        else:
            done += await asyncio.to_thread(database.wiping, partial(_reseal, ring=ring, rows=rows))
            after = Place(rows[-1][0], rows[-1][1])


def _next(connection: Connection, sealing: str, after: Place) -> list[Row]:
    return connection.all(NEXT, (*after, sealing, BATCH))


def _reseal(connection: Connection, ring: Keyring, rows: list[Row]) -> int:
    """Seal secrets anew that are still what was read; how many it were."""
    done = 0
    for tenant, name, text in rows:
        place = Place(tenant, name)
        value = ring.seal(str(place), ring.open(str(place), text))
        done += connection.run(RESEAL, (ring.sealing, value, *place, text))
    return done


async def forget(database: Backend, key: str, at: int) -> tuple[int, int]:
    """Give up the secrets of a key that is lost; how many they were, and how many tokens ended with the pepper."""

    def give_up(connection: Connection) -> tuple[int, int]:
        lost = connection.one(
            "SELECT 1 FROM secret WHERE tenant = 0 AND name = 'token-pepper' AND key = ?", (key,)
        )
        ended = connection.run(REVOKE, (at,)) if lost is not None else 0
        return connection.run(FORGET, (key,)), ended

    return await asyncio.to_thread(database.wiping, give_up)
