"""`Arrivals` over SQL."""

from collections.abc import Sequence

import orjson

from rollbook.storage.arrivals import REMEMBERED, Arrival, Taken
from rollbook.storage.sql.connection import Connection, Database
from rollbook.storage.sql.dialects import SQLITE
from rollbook.storage.sql.reads import listed

WAITING = """
    SELECT key, body, sequence FROM arrival
    WHERE tenant = ? AND source = ? AND sequence > ? ORDER BY sequence LIMIT ?
"""
HAS_NEW = "SELECT 1 FROM arrival WHERE tenant = ? AND source = ? AND tried = 0 LIMIT 1"

FORGET = """
    DELETE FROM arrived WHERE tenant = ? AND source = ? AND at <= (
        SELECT max(at) FROM (
            SELECT at FROM arrived WHERE tenant = ? AND source = ? AND at < ? ORDER BY at LIMIT 100
        ) AS oldest
    )
"""
_WAS_TAKEN = "SELECT 1 FROM arrived WHERE tenant = ? AND source = ? AND id = ?"
_REMEMBER = "INSERT INTO arrived (tenant, source, id, at) VALUES (?, ?, ?, ?)"
_COUNT = "SELECT count(*) FROM arrival WHERE tenant = ? AND source = ?"
WAITING_OF = f"SELECT count(*) FROM arrival WHERE tenant = ? AND source = ? AND key {SQLITE.among_texts}"
_LAST = "SELECT coalesce(max(sequence), 0) FROM arrival WHERE tenant = ? AND source = ?"
_KEEP = """
    INSERT INTO arrival (tenant, source, key, sequence, body, tried) VALUES (?, ?, ?, ?, ?, 0)
    ON CONFLICT (tenant, source, key) DO UPDATE
    SET sequence = excluded.sequence, body = excluded.body, tried = 0
"""
_DROP = "DELETE FROM arrival WHERE tenant = ? AND source = ? AND key = ? AND sequence = ?"
_TRIED = "UPDATE arrival SET tried = tried + 1 WHERE tenant = ? AND source = ? AND key = ? AND sequence = ?"

_CLAIM = """
    INSERT INTO source_lease (tenant, source, holder, until) VALUES (?, ?, ?, ?)
    ON CONFLICT (tenant, source) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE source_lease.until <= ?
"""
_RENEW = "UPDATE source_lease SET until = ? WHERE tenant = ? AND source = ? AND holder = ?"
_RELEASE = "DELETE FROM source_lease WHERE tenant = ? AND source = ? AND holder = ?"


class SqlArrivals:
    """Arrivals in the same database as what is made of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(
        self, tenant: int, source: str, message: str, arrivals: Sequence[Arrival], now: int, most: int
    ) -> Taken:
        """Keep a message's records durably, all or none; of each key the newest. At most `most` keys wait."""

        def work(conn: Connection) -> Taken:
            if conn.one(_WAS_TAKEN, (tenant, source, message)):
                return Taken.REPEATED
            ((count,),) = conn.all(_COUNT, (tenant, source))
            ((waiting,),) = conn.all(WAITING_OF, (tenant, source, listed([one.key for one in arrivals])))
            if len(arrivals) > waiting and count + len(arrivals) - waiting > most:
                return Taken.FULL
            ((last,),) = conn.all(_LAST, (tenant, source))
            # By the clock, so that a place is not given again once all that wait are gone.
            first = max(last + 1, now * 1000)
            rows = [
                (tenant, source, one.key, first + index, _body(one)) for index, one in enumerate(arrivals)
            ]
            conn.many(_KEEP, rows)
            conn.run(_REMEMBER, (tenant, source, message, now))
            conn.run(FORGET, (tenant, source, tenant, source, now - REMEMBERED))
            return Taken.NEW

        return await self._database.write(tenant, work, long=True)

    async def waiting(self, tenant: int, source: str, after: int, limit: int) -> Sequence[Arrival]:
        """Those with a place above `after`, in order."""
        rows = await self._database.read(lambda conn: conn.all(WAITING, (tenant, source, after, limit)))
        return [Arrival(key, None if body is None else orjson.loads(body), at) for key, body, at in rows]

    async def has_new(self, tenant: int, source: str) -> bool:
        """Whether any waits that no pull has seen."""
        return await self._database.read_now(lambda conn: conn.one(HAS_NEW, (tenant, source))) is not None

    async def settle(self, tenant: int, source: str, seen: Sequence[Arrival], failed: frozenset[str]) -> None:
        """Forget those that were applied; failed keys stay. What came meanwhile is untouched."""
        gone = [(tenant, source, one.key, one.sequence) for one in seen if one.key not in failed]
        stay = [(tenant, source, one.key, one.sequence) for one in seen if one.key in failed]

        def work(conn: Connection) -> None:
            conn.many(_DROP, gone)
            conn.many(_TRIED, stay)

        await self._database.write(tenant, work, long=True)

    async def claim(self, tenant: int, source: str, holder: str, now: int, until: int) -> bool:
        """Become the one who applies a source's arrivals until then; False if somebody else is."""

        def work(conn: Connection) -> bool:
            return conn.run(_CLAIM, (tenant, source, holder, until, now)) > 0

        return await self._database.write(tenant, work)

    async def renew(self, tenant: int, source: str, holder: str, until: int) -> bool:
        """Stay the one, until then; False if somebody else is by now."""
        return await self._database.write(
            tenant, lambda conn: conn.run(_RENEW, (until, tenant, source, holder)) > 0
        )

    async def release(self, tenant: int, source: str, holder: str) -> None:
        """Be it no longer."""
        await self._database.write(tenant, lambda conn: conn.run(_RELEASE, (tenant, source, holder)))


def _body(one: Arrival) -> bytes | None:
    return None if one.record is None else orjson.dumps(one.record)
