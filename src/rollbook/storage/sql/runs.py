"""Runs over sources and targets: when they began, and what came of them."""

from collections.abc import Mapping

import orjson

from rollbook.storage.links import Run
from rollbook.storage.sql.connection import Connection

KEPT = 10_000
"""Runs that are remembered per tenant: years of hourly runs over one target."""


def begin(conn: Connection, tenant: int, kind: str, subject: str, now: int) -> Run:
    """Note that a run begins."""
    row = conn.one("SELECT coalesce(max(number), 0) + 1 FROM run WHERE tenant = ?", (tenant,))
    run = Run(row[0] if row else 1, kind, subject, now)
    conn.run(
        "INSERT INTO run (tenant, number, kind, subject, started, counts) VALUES (?, ?, ?, ?, ?, '{}')",
        (tenant, run.number, kind, subject, now),
    )
    conn.run("DELETE FROM run WHERE tenant = ? AND number <= ?", (tenant, run.number - KEPT))
    return run


def end(
    conn: Connection, tenant: int, run: Run, now: int, counts: Mapping[str, int], error: str | None
) -> None:
    """Note how a run ended."""
    conn.run(
        "UPDATE run SET ended = ?, counts = ?, error = ? WHERE tenant = ? AND number = ?",
        (
            now,
            orjson.dumps({str(name): count for name, count in counts.items()}).decode(),
            error,
            tenant,
            run.number,
        ),
    )


def last(conn: Connection, tenant: int, kind: str, subject: str) -> Run | None:
    """The latest run of a kind over a source or target."""
    row = conn.one(
        "SELECT number, kind, subject, started, ended, counts, error FROM run"
        " WHERE tenant = ? AND kind = ? AND subject = ? ORDER BY number DESC LIMIT 1",
        (tenant, kind, subject),
    )
    if row is None:
        return None
    values = list(row)
    values[5] = orjson.loads(row[5])
    return Run(*values)
