"""`LinkStore` over SQL: marks, claims with lease and fence, outcomes, progress of targets (architecture 8)."""

from collections.abc import Mapping, Sequence

from rollbook.storage.links import Figures, Link, Outcome, Progress, Ranks, State
from rollbook.storage.runs import Entry
from rollbook.storage.sql import deliveries, link_marks, link_outcomes
from rollbook.storage.sql.agreements import SqlAgreements
from rollbook.storage.sql.audits import SqlAudits
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.dialects import SQLITE
from rollbook.storage.sql.link_members import SqlLinkMembers
from rollbook.storage.sql.link_outcomes import Account, keep_account
from rollbook.storage.sql.reads import FEW, above, listed
from rollbook.storage.sql.runs import SqlRuns

_COLUMNS = "pk, id, type, state, due, marked, fence, attempts, remote_id, sought, confirmed, disabled, members_read, error, left_at"

# Of a tenant that is being deleted nothing is taken up: people who are missing in it by now have not left.
_STAYS = "NOT EXISTS (SELECT 1 FROM tenant WHERE tenant.number = link.tenant AND tenant.state = 'deleting')"
# A link that is taken over from somebody whose lease has run out: whatever was sent may have arrived.
_TAKE = """
    UPDATE link SET state = 'claimed', due = ?, fence = fence + 1,
    confirmed = CASE WHEN state = 'claimed' THEN NULL ELSE confirmed END
"""
CLAIM = f"""
    {_TAKE}
    WHERE tenant = ? AND target = ? AND pk IN (
        SELECT pk FROM link
        WHERE tenant = ? AND target = ? AND rank = ? AND state IN ('ready', 'claimed') AND due <= ? AND due > ?
        ORDER BY due, pk LIMIT ?
    ) AND {_STAYS}
    RETURNING {_COLUMNS}
"""
WAITERS = f"""
    SELECT type, id FROM link WHERE tenant = ? AND target = ? AND pk IN (
        SELECT pk FROM link_wait WHERE tenant = ? AND target = ? AND waits_for {SQLITE.among_texts}
    )
    ORDER BY pk
"""
_LONG_AGO = -(2**62)
"""Before every due time, however far a clock was ahead when something was put first."""
UNMARKED = """
    SELECT 1 FROM change WHERE tenant = ? AND sequence > (
        SELECT position FROM target WHERE tenant = ? AND number = ?
    ) LIMIT 1
"""
CLAIM_ONE = f"""
    {_TAKE}
    WHERE tenant = ? AND target = ? AND id = ? AND state IN ('ready', 'claimed') AND due <= ? AND {_STAYS}
    RETURNING {_COLUMNS}
"""
TO_DO = f"""
    SELECT {_COLUMNS} FROM link
    WHERE tenant = ? AND target = ? AND rank = ? AND state IN ('ready', 'claimed') AND (due, pk) > (?, ?)
    AND remote_id IS {{account}}
    ORDER BY due, pk LIMIT ?
"""
BY_KEYS = f"SELECT {_COLUMNS} FROM link WHERE tenant = ? AND target = ? AND pk {SQLITE.among_numbers}"
# In order, or SQLite would walk through all links of the target instead of looking each up.
ACCOUNTS_OF = f"""
    SELECT id, remote_id FROM link
    WHERE tenant = ? AND target = ? AND id {SQLITE.among_texts} AND remote_id IS NOT NULL
    ORDER BY id
"""
DEPENDENTS = """
    SELECT type, id FROM link WHERE tenant = ? AND target = ? AND (
        pk IN (SELECT pk FROM link_reference WHERE tenant = ? AND target = ? AND refers_to = ?)
        OR pk IN (
            SELECT membership.container FROM resource
            JOIN membership ON membership.tenant = ? AND membership.member = resource.pk
            WHERE resource.tenant = ? AND resource.id = ?
        )
    )
    ORDER BY pk
"""
FLAT_DEPENDENTS = f"""
    {above("SELECT m.tenant, m.container FROM resource JOIN membership m ON m.tenant = resource.tenant AND m.member = resource.pk WHERE resource.tenant = ? AND resource.id = ?")}
    SELECT link.type, link.id FROM above {SQLITE.walk} link ON link.tenant = ? AND link.target = ? AND link.pk = above.pk
"""
_ALL = """
    SELECT pk, id FROM resource WHERE tenant = ? AND type = ? AND pk > ?
    UNION
    SELECT pk, id FROM link WHERE tenant = ? AND target = ? AND type = ? AND pk > ?
    ORDER BY 1 LIMIT ?
"""
_PENDING = """
    SELECT pk, id FROM resource WHERE tenant = ? AND type = ? AND pk > ?
    AND id IN (SELECT id FROM change WHERE tenant = ? AND sequence > ?)
    UNION
    SELECT pk, id FROM link WHERE tenant = ? AND target = ? AND type = ? AND pk > ?
    AND (state IN ('ready', 'claimed') OR (state = 'left' AND left_at IS NOT NULL AND due <= ?) OR id IN (SELECT id FROM change WHERE tenant = ? AND sequence > ?))
    ORDER BY 1 LIMIT ?
"""


class SqlLinks(SqlAgreements, SqlAudits, SqlRuns, SqlLinkMembers):
    """Links in the same database as the resources, so that marks and log position share a transaction."""

    async def target(self, tenant: int, name: str) -> Progress | None:
        """The progress of the target of that name, None if nothing was ever done there."""
        return await self._database.read_now(lambda conn: link_marks.progress(conn, tenant, name))

    async def targets(self, tenant: int) -> Sequence[Progress]:
        """The progress of all targets that anything was ever done at, by name."""
        return await self._database.read(lambda conn: link_marks.every_progress(conn, tenant))

    async def open_target(self, tenant: int, name: str, digest: str, *, flat: bool = False) -> Progress:
        """The same, made if need be; a new digest begins a walk over all resources."""
        found = await self._database.read_now(lambda conn: link_marks.progress(conn, tenant, name))
        if found is not None and (found.digest, found.flat) == (digest, flat):
            return found
        return await self._database.write(
            tenant, lambda conn: link_marks.open_target(conn, tenant, name, digest, flat=flat)
        )

    async def pause(self, tenant: int, target: int, until: int, error: str | None) -> None:
        """Leave the target alone until then, and say why."""
        sql = "UPDATE target SET paused_until = ?, error = ? WHERE tenant = ? AND number = ?"
        await self._database.write(tenant, lambda conn: conn.run(sql, (until, error, tenant, target)))

    async def follow(
        self, tenant: int, target: int, ranks: Ranks, now: int, limit: int, *, groups_count: bool = False
    ) -> bool:
        """Mark what the change log says, in one transaction with the position; whether there is more."""
        return await self._database.write(
            tenant,
            lambda conn: link_marks.follow(
                conn, tenant, target, ranks, now, limit, groups_count=groups_count
            ),
            long=True,
        )

    async def walk(self, tenant: int, target: int, ranks: Ranks, now: int, limit: int) -> bool:
        """Mark some more of all resources; whether there is more."""
        return await self._database.write(
            tenant, lambda conn: link_marks.walk(conn, tenant, target, ranks, now, limit), long=True
        )

    async def mark(
        self, tenant: int, target: int, ranks: Ranks, id: str, now: int, *, members: bool = False
    ) -> None:
        """Mark one resource, due at once, and believe nothing of what the target holds of it; nor of its members."""
        await self._database.write(
            tenant, lambda conn: link_marks.mark_anew(conn, tenant, target, id, now, ranks, members=members)
        )

    async def end_grace(self, tenant: int, target: int, now: int) -> int:
        """Mark those whose accounts are to be deleted by now; how many."""
        if not await self.is_grace_over(tenant, target, now):
            return 0
        return await self._database.write(
            tenant, lambda conn: link_marks.end_grace(conn, tenant, target, now), long=True
        )

    async def is_grace_over(self, tenant: int, target: int, now: int) -> bool:
        """Whether there are any."""
        sql = f"SELECT 1 FROM link WHERE {link_marks.GRACE_OVER} LIMIT 1"
        return await self._database.read_now(lambda conn: conn.one(sql, (tenant, target, now)) is not None)

    async def unpark(self, tenant: int, target: int, now: int) -> int:
        """Mark everything that is parked; how many."""
        return await self._database.write(
            tenant, lambda conn: link_marks.unpark(conn, tenant, target, now), long=True
        )

    async def bring_forward(self, tenant: int, target: int, now: int, *, claimed: bool) -> None:
        """Make everything due that waits for a later time; with `claimed`, also what others hold a lease on."""
        states = "('ready', 'claimed')" if claimed else "('ready')"
        sql = f"UPDATE link SET due = ? WHERE tenant = ? AND target = ? AND state IN {states} AND due > ?"
        await self._database.write(tenant, lambda conn: conn.run(sql, (now, tenant, target, now)), long=True)

    async def claim(
        self,
        tenant: int,
        target: int,
        rank: int,
        now: int,
        lease_until: int,
        limit: int,
        *,
        behind: bool = False,
    ) -> Sequence[Link]:
        """Take up links of that rank that are due: who leaves, who was changed just now, then the oldest; or those only."""
        after = now - link_marks.AHEAD // 2 if behind else _LONG_AGO

        def work(conn: Connection) -> list[Link]:
            rows = conn.all(CLAIM, (lease_until, tenant, target, tenant, target, rank, now, after, limit))
            return sorted(map(_link, rows), key=lambda link: link.key)

        return await self._database.write(tenant, work)

    async def put_first(self, tenant: int, target: int, keys: Sequence[int], now: int) -> None:
        """Let these be taken up before all others that are due."""
        await self._database.write(
            tenant, lambda conn: link_marks.put_first(conn, tenant, target, keys, now), long=True
        )

    async def has_changes(self, tenant: int, target: int) -> bool:
        """Whether the change log has something that was not marked yet."""
        return await self._database.read_now(
            lambda conn: conn.one(UNMARKED, (tenant, tenant, target)) is not None
        )

    async def claim_one(self, tenant: int, target: int, id: str, now: int, lease_until: int) -> Link | None:
        """Take up the link of one resource if it is due, None if it is not."""
        rows = await self._database.write(
            tenant, lambda conn: conn.all(CLAIM_ONE, (lease_until, tenant, target, id, now))
        )
        return _link(rows[0]) if rows else None

    async def next_due(self, tenant: int, target: int, ranks: Ranks) -> int | None:
        """When the next link of these types is due, None if none ever is."""
        sql = (
            "SELECT due FROM link WHERE tenant = ? AND target = ? AND rank = ?"
            " AND state IN ('ready', 'claimed') ORDER BY due LIMIT 1"
        )

        def work(conn: Connection) -> list[int]:
            rows = (conn.one(sql, (tenant, target, rank)) for rank in set(ranks.values()))
            return [row[0] for row in rows if row is not None]

        return min(await self._database.read_now(work), default=None)

    async def release(self, tenant: int, target: int, link: Link, due: int) -> bool:
        """Give a claimed link back, to be taken up again from `due` on; nothing is confirmed any more."""
        sql = (
            "UPDATE link SET state = 'ready', due = ?, confirmed = NULL"
            " WHERE tenant = ? AND target = ? AND pk = ? AND fence = ? AND state = 'claimed'"
        )
        parameters = (due, tenant, target, link.key, link.fence)
        return await self._database.write(tenant, lambda conn: conn.run(sql, parameters) > 0)

    async def expect_account(self, tenant: int, target: int, link: Link, sought: str | None) -> bool:
        """Record that an account is about to be made, and how to find it; None once that was refused."""
        sql = "UPDATE link SET sought = ? WHERE tenant = ? AND target = ? AND pk = ?"
        own = (sought, tenant, target, link.key)
        return await self._held(tenant, target, link, lambda conn: conn.run(sql, own))

    async def keep_remote_id(
        self,
        tenant: int,
        target: int,
        link: Link,
        remote_id: str | None,
        now: int,
        *,
        inherit: bool = False,
        disabled: bool = False,
    ) -> bool:
        """Record at once which account it is, or that there is none any more; wakes who refers to it."""
        account = Account(remote_id, inherit, disabled)
        return await self._held(
            tenant, target, link, lambda conn: keep_account(conn, tenant, target, link, account, now)
        )

    async def finish(self, tenant: int, target: int, link: Link, outcome: Outcome) -> bool:
        """Record the outcome; if the link was marked meanwhile it is ready again."""
        return await self._database.write(
            tenant, lambda conn: link_outcomes.finish(conn, tenant, target, link, outcome)
        )

    async def fail(self, tenant: int, target: int, link: Link, outcome: Outcome) -> bool:
        """Record a failure, or that it is to be tried again; nothing is confirmed any more."""
        return await self._database.write(
            tenant, lambda conn: link_outcomes.fail(conn, tenant, target, link, outcome)
        )

    async def drop(self, tenant: int, target: int, link: Link, now: int, entry: Entry | None = None) -> bool:
        """Forget the link; if it was marked meanwhile it is ready again instead."""
        return await self._held(
            tenant, target, link, lambda conn: link_outcomes.drop(conn, tenant, target, link, now, entry)
        )

    async def link(self, tenant: int, target: int, id: str) -> Link | None:
        """The link of a resource, or None."""
        sql = f"SELECT {_COLUMNS} FROM link WHERE tenant = ? AND target = ? AND id = ?"
        row = await self._database.read_now(lambda conn: conn.one(sql, (tenant, target, id)))
        return _link(row) if row else None

    async def holder(self, tenant: int, target: int, resource_type: str, remote_id: str) -> Link | None:
        """The link that an account belongs to, or None."""
        sql = f"SELECT {_COLUMNS} FROM link WHERE tenant = ? AND target = ? AND type = ? AND remote_id = ?"
        parameters = (tenant, target, resource_type, remote_id)
        row = await self._database.read_now(lambda conn: conn.one(sql, parameters))
        return _link(row) if row else None

    async def remote_ids(self, tenant: int, target: int, ids: Sequence[str]) -> Mapping[str, str]:
        """The accounts of those of the resources that have one."""
        parameters = (tenant, target, listed(ids))
        if not ids:
            return {}
        if len(ids) <= FEW:
            return await self._database.read_now(lambda conn: dict(conn.all(ACCOUNTS_OF, parameters)))
        return await self._database.read(lambda conn: dict(conn.all(ACCOUNTS_OF, parameters)))

    async def count_accounts(self, tenant: int, target: int, remote_ids: Sequence[str]) -> int:
        """How many of these accounts belong to a link."""
        sql = "SELECT 1 FROM link WHERE tenant = ? AND target = ? AND type IN ('User', 'Group') AND remote_id = ?"
        return await self._database.read(
            lambda conn: sum(conn.one(sql, (tenant, target, own)) is not None for own in remote_ids)
        )

    async def pending(
        self,
        tenant: int,
        progress: Progress | None,
        resource_type: str,
        after: int,
        limit: int,
        *,
        all: bool,
        now: int,
    ) -> Sequence[tuple[int, str, Link | None]]:
        """What work would look at, without marking it: (key, id, link) with keys above `after`, in order."""
        number = progress.number if progress else 0
        position = progress.position if progress else 0
        since = () if all else (tenant, position)
        over = () if all else (now,)
        parameters = (
            tenant,
            resource_type,
            after,
            *since,
            tenant,
            number,
            resource_type,
            after,
            *over,
            *since,
        )

        def work(conn: Connection) -> list[tuple[int, str, Link | None]]:
            rows = conn.all(_ALL if all else _PENDING, (*parameters, limit))
            links = conn.all(BY_KEYS, (tenant, number, listed([key for key, _ in rows])))
            found = {row[0]: _link(row) for row in links}
            return [(key, own, found.get(key)) for key, own in rows]

        return await self._database.read(work)

    async def waiters(self, tenant: int, target: int, waits_for: Sequence[str]) -> Sequence[tuple[str, str]]:
        """The (resource type, id) of resources that were given up until something happens to one of these."""
        rows = await self._database.read_now(
            lambda conn: conn.all(WAITERS, (tenant, target, tenant, target, listed(waits_for)))
        )
        return [(row[0], row[1]) for row in rows]

    async def has_waiters(self, tenant: int, target: int) -> bool:
        """Whether anything was given up until something happens to something else."""
        sql = "SELECT 1 FROM link_wait WHERE tenant = ? AND target = ? LIMIT 1"
        return await self._database.read_now(lambda conn: conn.one(sql, (tenant, target)) is not None)

    async def dependents(self, tenant: int, target: int, id: str) -> Sequence[tuple[str, str]]:
        """The (resource type, id) of resources with links whose documents name this one, or whose groups have it."""

        def work(conn: Connection) -> list[Row]:
            found = conn.all(DEPENDENTS, (tenant, target, tenant, target, id, tenant, tenant, id))
            row = conn.one("SELECT flat FROM target WHERE tenant = ? AND number = ?", (tenant, target))
            if row is not None and row[0]:
                found += conn.all(FLAT_DEPENDENTS, (tenant, id, tenant, target))
            return found

        rows = await self._database.read(work)
        return list(dict.fromkeys((row[0], row[1]) for row in rows))

    async def figures(self, tenant: int, target: int, now: int) -> Figures:
        """Counts for people."""

        def work(conn: Connection) -> Figures:
            counted = conn.all(
                "SELECT state, count(*) FROM link WHERE tenant = ? AND target = ? GROUP BY state",
                (tenant, target),
            )
            row = conn.one(
                "SELECT count(*) FROM link WHERE tenant = ? AND target = ? AND state = 'ready' AND due > ?",
                (tenant, target, now),
            )
            return Figures({State(state): count for state, count in counted}, row[0] if row else 0)

        return await self._database.read(work)

    async def parked(self, tenant: int, target: int, limit: int, after: int = 0) -> Sequence[Link]:
        """Links that nothing more happens to, and why, in order of their keys, from above one on."""
        sql = f"SELECT {_COLUMNS} FROM link WHERE tenant = ? AND target = ? AND state = 'parked' AND pk > ? ORDER BY pk LIMIT ?"
        rows = await self._database.read(lambda conn: conn.all(sql, (tenant, target, after, limit)))
        return [_link(row) for row in rows]

    async def waiting(self, tenant: int, target: int, limit: int) -> Sequence[Link]:
        """Links that failed and are tried again, and why they failed."""
        sql = (
            f"SELECT {_COLUMNS} FROM link WHERE tenant = ? AND target = ? AND state = 'ready'"
            " AND error IS NOT NULL ORDER BY rank, due, pk LIMIT ?"
        )
        rows = await self._database.read(lambda conn: conn.all(sql, (tenant, target, limit)))
        return [_link(row) for row in rows]

    async def to_do(
        self, tenant: int, target: int, rank: int, after: tuple[int, int], limit: int, *, accounts: bool
    ) -> Sequence[tuple[tuple[int, int], Link]]:
        """Links to be worked on that have an account, or have none, each with where it stands, from beyond a place on."""
        sql = TO_DO.format(account="NOT NULL" if accounts else "NULL")
        rows = await self._database.read(lambda conn: conn.all(sql, (tenant, target, rank, *after, limit)))
        return [((link.due, link.key), link) for link in map(_link, rows)]

    async def held(self, tenant: int, target: int, resource_type: str, most: int) -> int:
        """How many accounts of that type are ours and not switched off; counted up to so many."""
        parameters = (tenant, target, resource_type, most)
        ((number,),) = await self._database.read(lambda conn: conn.all(deliveries.HELD, parameters))
        return int(number)

    async def departed(self, tenant: int, target: int, resource_type: str, since: int) -> int:
        """How many accounts of that type were disabled or deleted since then."""
        parameters = (tenant, target, resource_type, since)
        ((number,),) = await self._database.read(lambda conn: conn.all(deliveries.DEPARTED, parameters))
        return int(number)

    async def arrived(self, tenant: int, target: int, resource_type: str, since: int) -> int:
        """How many accounts of that type were made since then."""
        parameters = (tenant, target, resource_type, since)
        ((number,),) = await self._database.read(lambda conn: conn.all(deliveries.ARRIVED, parameters))
        return int(number)

    async def count_arrivals(self, tenant: int, target: int, since: int) -> None:
        """New accounts count from then on only."""
        sql = "UPDATE target SET arrivals_from = ? WHERE tenant = ? AND number = ?"
        await self._database.write(tenant, lambda conn: conn.run(sql, (since, tenant, target)))

    async def approve(self, tenant: int, target: int, now: int) -> None:
        """Departures up to now count no more."""
        sql = "UPDATE target SET approved = ? WHERE tenant = ? AND number = ?"
        await self._database.write(tenant, lambda conn: conn.run(sql, (now, tenant, target)))

    async def stop(self, tenant: int, target: int, reason: str | None) -> None:
        """Do nothing at the target until somebody says so, and say why; None lets work go on."""
        sql = "UPDATE target SET stopped = ? WHERE tenant = ? AND number = ?"
        await self._database.write(tenant, lambda conn: conn.run(sql, (reason, tenant, target)))

    async def reset(self, tenant: int, target: int, *, accounts: bool = False) -> None:
        """Look at all resources anew, whatever the target is believed to hold, or which accounts it has."""
        await self._database.write(
            tenant, lambda conn: link_marks.reset(conn, tenant, target, accounts=accounts), long=True
        )

    async def accounts(self, tenant: int, target: int, after: int, limit: int) -> Sequence[Link]:
        """Links that have an account, in order of their keys, from above one on."""
        sql = (
            f"SELECT {_COLUMNS} FROM link WHERE tenant = ? AND target = ? AND pk > ?"
            " AND remote_id IS NOT NULL ORDER BY pk LIMIT ?"
        )
        rows = await self._database.read(lambda conn: conn.all(sql, (tenant, target, after, limit)))
        return [_link(row) for row in rows]


def _link(row: Row) -> Link:
    values = list(row)
    values[3], values[11], values[12] = State(row[3]), bool(row[11]), bool(row[12])
    return Link(*values)
