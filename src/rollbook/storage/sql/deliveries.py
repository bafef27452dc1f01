"""What was done at targets: one row for each delivery that did something, or could not."""

from collections.abc import Sequence

import orjson

from rollbook.storage.links import Link
from rollbook.storage.runs import Delivered, Entry
from rollbook.storage.sql.connection import Connection, Parameter, Row

_COLUMNS = "target, at, pk, fence, run, id, type, action, detail"

ADD = f"""
    INSERT INTO delivery (tenant, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant, target, at, pk, fence) DO UPDATE SET action = excluded.action, detail = excluded.detail
"""
OF_RUN = f"""
    SELECT {_COLUMNS} FROM delivery WHERE tenant = ? AND run = ? AND (target, at, pk, fence) > (?, ?, ?, ?)
    ORDER BY target, at, pk, fence LIMIT ?
"""
OF_RESOURCE = f"SELECT {_COLUMNS} FROM delivery WHERE tenant = ? AND id = ? ORDER BY at DESC LIMIT ?"
_COUNT = "SELECT count(*) FROM delivery WHERE tenant = ? AND target = ? AND type = ? AND at > ?"
DEPARTED = f"{_COUNT} AND action IN ('disable', 'delete')"
ARRIVED = f"{_COUNT} AND action = 'create'"
# No more is counted than the question needs: whether so many leave too few behind.
HELD = """
    SELECT count(*) FROM (
        SELECT 1 FROM link WHERE tenant = ? AND target = ? AND type = ? AND remote_id IS NOT NULL AND disabled = 0
        LIMIT ?
    ) AS some_of_them
"""
FORGET = "DELETE FROM delivery WHERE tenant = ? AND id = ?"
FORGET_OLD = """
    DELETE FROM delivery WHERE tenant = ? AND target = ? AND at <= (
        SELECT max(at) FROM (
            SELECT at FROM delivery WHERE tenant = ? AND target = ? AND at < ? ORDER BY at LIMIT ?
        ) AS oldest
    )
"""

FORGOTTEN = 1_000
"""Rows that one transaction forgets."""


def add(conn: Connection, tenant: int, target: int, link: Link, entry: Entry | None) -> None:
    """Keep what was done for a link."""
    if entry is None:
        return
    own = (tenant, target, entry.at, link.key, link.fence)
    what = (entry.run, link.id, link.resource_type, entry.action, orjson.dumps(entry.detail))
    conn.run(ADD, (*own, *what))


def of_run(
    conn: Connection, tenant: int, run: int, after: Delivered | None, limit: int
) -> Sequence[Delivered]:
    """What a run did, in order."""
    place: tuple[Parameter, ...] = (0, 0, 0, 0) if after is None else after.place
    rows = conn.all(OF_RUN, (tenant, run, *place, limit))
    return [_delivered(row) for row in rows]


def of_resource(conn: Connection, tenant: int, id: str, limit: int) -> Sequence[Delivered]:
    """What was done for a resource at any target, newest first."""
    rows = conn.all(OF_RESOURCE, (tenant, id, limit))
    return [_delivered(row) for row in rows]


def forget_old(conn: Connection, tenant: int, target: int, older_than: int) -> bool:
    """Forget some of what is older than a moment; whether there may be more."""
    return conn.run(FORGET_OLD, (tenant, target, tenant, target, older_than, FORGOTTEN)) >= FORGOTTEN


def _delivered(row: Row) -> Delivered:
    target, at, key, fence, run, own, resource_type, action, detail = row
    return Delivered(target, at, key, fence, run, own, resource_type, action, orjson.loads(detail))
