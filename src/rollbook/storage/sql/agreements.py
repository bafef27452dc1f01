"""`Agreements` over SQL: each is one transaction, so that of several workers one comes first."""

from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.link_part import SqlLinkPart

TAKE_TURNS = """
    INSERT INTO turn (tenant, target, name, until) VALUES (?, ?, ?, ?)
    ON CONFLICT (tenant, target, name) DO UPDATE
    SET until = CASE WHEN turn.until > ? THEN turn.until + ? ELSE ? END
    RETURNING until
"""
WARNED = "SELECT warned FROM target WHERE tenant = ? AND number = ?"
WARN = "UPDATE target SET warned = ? WHERE tenant = ? AND number = ?"

_TAKEN = "taken until "


class SqlAgreements(SqlLinkPart):
    """What workers agree on."""

    async def take_turns(self, tenant: int, target: int, limit: str, start: int, length: int) -> int:
        """The beginning of a stretch of time, not before `start`, that no other worker has for that limit."""
        parameters = (tenant, target, limit, start + length, start, length, start + length)
        ((until,),) = await self._database.write(tenant, lambda conn: conn.all(TAKE_TURNS, parameters))
        return int(until) - length

    async def take_warning(self, tenant: int, target: int, warning: str, now: int, until: int) -> bool:
        """Take a warning to give it to people; False if it is the last they were given, or somebody has taken one."""
        return await self._database.write(
            tenant, lambda conn: _take_warning(conn, tenant, target, warning, now, until)
        )

    async def note_warning(self, tenant: int, target: int, warning: str) -> None:
        """People were given it."""
        await self._database.write(tenant, lambda conn: conn.run(WARN, (warning, tenant, target)))


def _take_warning(conn: Connection, tenant: int, target: int, warning: str, now: int, until: int) -> bool:
    row = conn.one(WARNED, (tenant, target))
    if row is None or row[0] == warning or _taken_until(row[0] or "") > now:
        return False
    return bool(conn.run(WARN, (f"{_TAKEN}{until}", tenant, target)))


def _taken_until(noted: str) -> int:
    return int(noted.removeprefix(_TAKEN)) if noted.startswith(_TAKEN) else 0
