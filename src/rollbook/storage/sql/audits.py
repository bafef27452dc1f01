"""How far the audit of a target has come, and what audits have found different and left as it is."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import orjson

from rollbook.storage.audits import Audit, Drifted
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.link_part import SqlLinkPart

_COLUMNS = "pk, id, type, since, detail"

FOUND = f"SELECT {_COLUMNS} FROM drift WHERE tenant = ? AND target = ? AND pk > ? ORDER BY pk LIMIT ?"
_KEEP = f"""
    INSERT INTO drift (tenant, target, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant, target, pk) DO UPDATE SET detail = excluded.detail
"""


class SqlAudits(SqlLinkPart):
    """`Audits` in the same database as the links."""

    async def begin_audit(
        self, tenant: int, target: int, now: int, since: int, lease_until: int
    ) -> Audit | None:
        """Begin an audit unless one has begun since then, or go on with one that was broken off."""
        return await self._database.write(
            tenant, lambda conn: begin(conn, tenant, target, now, since, lease_until)
        )

    async def keep_audit(
        self,
        tenant: int,
        target: int,
        audit: Audit,
        looked_at: Sequence[int],
        found: Sequence[Drifted],
        lease_until: int,
    ) -> Audit | None:
        """Record what it has found of some links, and how far it has come; None if it is another's by now."""

        def work(conn: Connection) -> bool:
            return keep(conn, tenant, target, audit, looked_at=looked_at, found=found, until=lease_until)

        kept = await self._database.write(tenant, work)
        return replace(audit, until=lease_until) if kept else None

    async def end_audit(self, tenant: int, target: int, audit: Audit, *, through: bool) -> None:
        """The audit is through, or is left for whoever comes next to go on with."""
        work = end if through else leave
        await self._database.write(tenant, lambda conn: work(conn, tenant, target, audit))

    async def drift(self, tenant: int, target: int, after: int, limit: int) -> Sequence[Drifted]:
        """What audits have found different and left, in order of the links' keys, from above one on."""
        return await self._database.read(lambda conn: found(conn, tenant, target, after, limit))

    async def drift_of(self, tenant: int, target: int, key: int) -> Drifted | None:
        """The same of one link."""
        return await self._database.read_now(lambda conn: found_of(conn, tenant, target, key))


def begin(conn: Connection, tenant: int, target: int, now: int, since: int, until: int) -> Audit | None:
    """Begin an audit, or go on with one that was broken off."""
    row = conn.one(
        "SELECT audited, audit_after, audit_until FROM target WHERE tenant = ? AND number = ?",
        (tenant, target),
    )
    if row is None or row[2] > now:
        return None
    audited, after, _ = row
    if after is None:
        if audited is not None and audited >= since:
            return None
        audited, after = now, 0
    conn.run(
        "UPDATE target SET audited = ?, audit_after = ?, audit_until = ? WHERE tenant = ? AND number = ?",
        (audited, after, until, tenant, target),
    )
    return Audit(audited, after, until)


def keep(
    conn: Connection,
    tenant: int,
    target: int,
    audit: Audit,
    *,
    looked_at: Iterable[int],
    found: Iterable[Drifted],
    until: int,
) -> bool:
    """Record what a page of links has come to, and how far the audit is; False if it is another's by now."""
    moved = conn.run(
        "UPDATE target SET audit_after = ?, audit_until = ? WHERE tenant = ? AND number = ? AND audit_until = ?",
        (audit.after, until, tenant, target, audit.until),
    )
    if not moved:
        return False
    different = {one.key: one for one in found}
    conn.many(
        "DELETE FROM drift WHERE tenant = ? AND target = ? AND pk = ?",
        [(tenant, target, key) for key in looked_at if key not in different],
    )
    conn.many(
        _KEEP,
        [
            (tenant, target, one.key, one.id, one.resource_type, one.since, orjson.dumps(one.detail))
            for one in different.values()
        ],
    )
    return True


def end(conn: Connection, tenant: int, target: int, audit: Audit) -> None:
    """The audit is through; what was found of links that are gone is forgotten."""
    conn.run(
        "UPDATE target SET audit_after = NULL, audit_until = 0 WHERE tenant = ? AND number = ? AND audit_until = ?",
        (tenant, target, audit.until),
    )
    conn.run(
        "DELETE FROM drift WHERE tenant = ? AND target = ? AND NOT EXISTS (SELECT 1 FROM link"
        " WHERE link.tenant = drift.tenant AND link.target = drift.target AND link.pk = drift.pk)",
        (tenant, target),
    )


def leave(conn: Connection, tenant: int, target: int, audit: Audit) -> None:
    """Whoever comes next goes on with it."""
    conn.run(
        "UPDATE target SET audit_until = 0 WHERE tenant = ? AND number = ? AND audit_until = ?",
        (tenant, target, audit.until),
    )


def found(conn: Connection, tenant: int, target: int, after: int, limit: int) -> Sequence[Drifted]:
    """What was found, in order of the links' keys, from above one on."""
    return [_drifted(row) for row in conn.all(FOUND, (tenant, target, after, limit))]


def found_of(conn: Connection, tenant: int, target: int, key: int) -> Drifted | None:
    """What was found of one link."""
    sql = f"SELECT {_COLUMNS} FROM drift WHERE tenant = ? AND target = ? AND pk = ?"
    row = conn.one(sql, (tenant, target, key))
    return _drifted(row) if row else None


def forget(conn: Connection, tenant: int, target: int, key: int) -> None:
    """It is as it should be again."""
    conn.run("DELETE FROM drift WHERE tenant = ? AND target = ? AND pk = ?", (tenant, target, key))


def _drifted(row: Row) -> Drifted:
    return Drifted(row[0], row[1], row[2], row[3], orjson.loads(row[4]))
