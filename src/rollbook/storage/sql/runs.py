"""Runs over sources and targets: when they began, and what came of them."""

from collections.abc import Mapping, Sequence

import orjson

from rollbook.storage.runs import Delivered, Run
from rollbook.storage.sql import deliveries
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.link_part import SqlLinkPart

KEPT = 10_000
"""Runs that are remembered per tenant: years of hourly runs over one target."""

_BEYOND = 2**62
"""Above every number of a run."""

_COLUMNS = "number, kind, subject, started, ended, counts, error, batch, from_change, to_change"
LATEST = f"SELECT {_COLUMNS} FROM run WHERE tenant = ? AND number < ? ORDER BY number DESC LIMIT ?"
OF_BATCH = f"SELECT {_COLUMNS} FROM run WHERE tenant = ? AND batch = ? ORDER BY number"
LAST_CHANGE = "SELECT coalesce(max(sequence), 0) FROM change WHERE tenant = ?"


class SqlRuns(SqlLinkPart):
    """`Runs` in the same database as the change log."""

    async def begin_run(
        self, tenant: int, kind: str, subject: str, now: int, batch: int | None = None
    ) -> Run:
        """Note that a run begins; the first one of a command begins a batch."""
        return await self._database.write(tenant, lambda conn: begin(conn, tenant, kind, subject, now, batch))

    async def begin_run_once(self, tenant: int, kind: str, subject: str, now: int, since: int) -> Run | None:
        """Note that a run begins, unless one of that kind and subject has begun since then: None."""

        def work(conn: Connection) -> Run | None:
            before = last(conn, tenant, kind, subject)
            if before is not None and before.started >= since:
                return None
            return begin(conn, tenant, kind, subject, now)

        return await self._database.write(tenant, work)

    async def runs(self, tenant: int, limit: int, before: int | None = None) -> Sequence[Run]:
        """The latest runs, newest first; those with numbers below one, if it is named."""
        return await self._database.read(lambda conn: latest(conn, tenant, limit, before))

    async def batch(self, tenant: int, number: int) -> Sequence[Run]:
        """The runs of the batch with that number, in order."""
        return await self._database.read(lambda conn: of_batch(conn, tenant, number))

    async def end_run(
        self, tenant: int, run: Run, now: int, counts: Mapping[str, int], error: str | None
    ) -> None:
        """Note how it ended."""
        await self._database.write(tenant, lambda conn: end(conn, tenant, run, now, counts, error))

    async def last_run(self, tenant: int, kind: str, subject: str) -> Run | None:
        """The latest run of that kind, or None."""
        return await self._database.read_now(lambda conn: last(conn, tenant, kind, subject))

    async def delivered(
        self, tenant: int, run: int, after: Delivered | None, limit: int
    ) -> Sequence[Delivered]:
        """What a run did, in order."""
        return await self._database.read(lambda conn: deliveries.of_run(conn, tenant, run, after, limit))

    async def deliveries_of(self, tenant: int, id: str, limit: int) -> Sequence[Delivered]:
        """What was done for a resource at all targets, newest first."""
        return await self._database.read(lambda conn: deliveries.of_resource(conn, tenant, id, limit))

    async def forget_deliveries(self, tenant: int, target: int, older_than: int) -> bool:
        """Forget some of what was done before then; whether there may be more."""
        return await self._database.write(
            tenant, lambda conn: deliveries.forget_old(conn, tenant, target, older_than), long=True
        )


def begin(conn: Connection, tenant: int, kind: str, subject: str, now: int, batch: int | None = None) -> Run:
    """Note that a run begins."""
    row = conn.one("SELECT coalesce(max(number), 0) + 1 FROM run WHERE tenant = ?", (tenant,))
    number = row[0] if row else 1
    ((change,),) = conn.all(LAST_CHANGE, (tenant,))
    run = Run(number, kind, subject, now, batch=batch or number, from_change=change)
    conn.run(
        "INSERT INTO run (tenant, number, kind, subject, started, counts, batch, from_change)"
        " VALUES (?, ?, ?, ?, ?, '{}', ?, ?)",
        (tenant, run.number, kind, subject, now, run.batch, change),
    )
    conn.run("DELETE FROM run WHERE tenant = ? AND number <= ?", (tenant, run.number - KEPT))
    return run


def end(
    conn: Connection, tenant: int, run: Run, now: int, counts: Mapping[str, int], error: str | None
) -> None:
    """Note how a run ended."""
    ((change,),) = conn.all(LAST_CHANGE, (tenant,))
    figures = orjson.dumps({str(name): count for name, count in counts.items()}).decode()
    conn.run(
        "UPDATE run SET ended = ?, counts = ?, error = ?, to_change = ? WHERE tenant = ? AND number = ?",
        (now, figures, error, change, tenant, run.number),
    )


def last(conn: Connection, tenant: int, kind: str, subject: str) -> Run | None:
    """The latest run of a kind over a source or target."""
    row = conn.one(
        f"SELECT {_COLUMNS} FROM run WHERE tenant = ? AND kind = ? AND subject = ? ORDER BY number DESC LIMIT 1",
        (tenant, kind, subject),
    )
    return None if row is None else _run(row)


def latest(conn: Connection, tenant: int, limit: int, before: int | None = None) -> list[Run]:
    """The latest runs, newest first; those with numbers below one, if it is named."""
    return [_run(row) for row in conn.all(LATEST, (tenant, before or _BEYOND, limit))]


def of_batch(conn: Connection, tenant: int, number: int) -> list[Run]:
    """The runs of a batch, in order."""
    return [_run(row) for row in conn.all(OF_BATCH, (tenant, number))]


def _run(row: Row) -> Run:
    values = list(row)
    values[5] = orjson.loads(row[5])
    return Run(*values)
