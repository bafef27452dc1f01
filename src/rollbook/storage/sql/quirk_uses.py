"""Statements on the quirks that tokens' clients need."""

from collections.abc import Sequence

from rollbook.storage.base import QuirkUse
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.dialects import SQLITE

COLUMNS = "tenant, token, quirk, uses, first, last"
ADD = f"""
    INSERT INTO quirk_use ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant, token, quirk) DO UPDATE SET
        uses = quirk_use.uses + excluded.uses,
        last = {SQLITE.greater.format(one="quirk_use.last", other="excluded.last")}
"""
ALL = f"SELECT {COLUMNS} FROM quirk_use WHERE tenant = ? ORDER BY token, quirk"


def add(connection: Connection, uses: Sequence[QuirkUse]) -> None:
    """Add to what was counted before."""
    connection.many(ADD, uses)


def all_of(connection: Connection, tenant: int) -> list[QuirkUse]:
    """Everything counted for a tenant, by token."""
    return [QuirkUse(*row) for row in connection.all(ALL, (tenant,))]
