"""Compares all accounts of a target with what they should be, and does with each difference what was decided for it.

Page by page, so that it costs the same memory for any number; how far it has come is in the database, so that whoever
comes next goes on with one that was broken off. What is to be overwritten is marked, and goes out as everything does.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from rollbook.client import ScimResource
from rollbook.protocol.errors import RequestError, StoreUnavailable, TargetError, Unauthorized
from rollbook.protocol.resource import Scope
from rollbook.provisioning import model
from rollbook.provisioning.differences import Difference
from rollbook.provisioning.drift import REPORT, by_policy, copied_from, detail_of, take_over
from rollbook.provisioning.expressions import Subject
from rollbook.provisioning.items import Item
from rollbook.provisioning.line import FAILURES_IN_A_ROW
from rollbook.provisioning.model import Drift, DriftPolicy, Leave, MappingError
from rollbook.provisioning.plan import plan
from rollbook.provisioning.preview import Preview
from rollbook.provisioning.reach import reach_digest
from rollbook.provisioning.retry import explain, hint, judge
from rollbook.provisioning.targets.base import Target
from rollbook.provisioning.targets.governed import Governed, LeftAlone
from rollbook.provisioning.targets.rates import Rates, seconds_for
from rollbook.provisioning.wanted import kinds_of
from rollbook.provisioning.work import Engine, Work, describe, leave_of, read_wish, situation_of, want_of
from rollbook.provisioning.worker import first_of
from rollbook.storage.audits import Audit, Drifted
from rollbook.storage.base import Author
from rollbook.storage.links import Link, Progress, State

LEASE_MILLISECONDS = 10 * 60_000
"""How long an audit is somebody's who shows no sign of life."""

_PAGE = 100
_PAGE_SECONDS = 200.0
_LOOK_MILLISECONDS = 500
_SETTLED = frozenset({State.DONE, State.LEFT})


@dataclass
class AuditReport:
    """What an audit has found. `left` are accounts that differ and stay so, `pending` those that are still to be delivered."""

    target: str
    preview: Preview
    counts: Counter[str] = field(default_factory=Counter)
    run: int = 0

    @property
    def stopped(self) -> str | None:
        """Why it ended early: the next one goes on where it was."""
        return self.preview.stopped


@dataclass(frozen=True)
class _Found:
    """One account that differs, and what is to happen: values to take over, what is left, whether the rest is overwritten."""

    link: Link
    item: Item
    takes: tuple[Difference, ...] = ()
    left: tuple[Difference, ...] = ()
    overwrites: bool = False
    members: bool = False
    stays: bool = False
    """Whether something is left."""


@dataclass(frozen=True)
class AuditOrder:
    """How an audit is asked for: unless one has begun since a moment; with another policy; in quiet hours too."""

    since: int
    policy: DriftPolicy | None = None
    at_any_hour: bool = False
    watch: Callable[[Item], None] = lambda _: None


async def audit_target(
    engine: Engine, target: model.Target, connect: Callable[[model.Target], Target], order: AuditOrder
) -> AuditReport | None:
    """Audit a target, or go on with an audit that was broken off; None if somebody is at it, or has been.

    Raises:
        StoreUnavailable: our own database cannot be used; it is gone on with later.
        ValueError: the target's URL is none.
    """
    links, tenant = engine.links, engine.tenant
    await engine.keep_time()
    digest = reach_digest(target, engine.catalog, engine.today)
    progress = await links.open_target(tenant, target.name, digest, flat=target.is_flat)
    now = engine.now()
    audit = await links.begin_audit(tenant, progress.number, now, order.since, now + LEASE_MILLISECONDS)
    if audit is None:
        return None
    run = await links.begin_run(tenant, "audit", target.name, now)
    report = AuditReport(target.name, Preview(target.name), run=run.number)
    far = connect(target)
    try:
        await _Auditor(engine, target, far, progress, order, report).run(audit)
    except BaseExceptionGroup as errors:
        raise first_of(errors) from None
    finally:
        await far.close()
        counts = {"compared": report.preview.compared.total(), **report.counts}
        await links.end_run(tenant, run, engine.now(), counts, report.stopped)
    return report


class _Auditor:
    """One audit under way."""

    def __init__(
        self,
        engine: Engine,
        target: model.Target,
        far: Target,
        progress: Progress,
        order: AuditOrder,
        report: AuditReport,
    ) -> None:
        self._engine = engine
        self._target = target
        self._number = progress.number
        self._order = order
        self._policy = order.policy or target.drift or REPORT
        self._report = report
        self._kinds = kinds_of(target, engine.catalog)
        self._ranks = {name: kind.rank for name, kind in self._kinds.items()}
        rates = Rates(target.rate, engine.now, engine.sleep, engine.turns_of(progress.number))
        self._far = Governed(far, target.concurrency, self._is_open, lambda _: None, rates)
        self._looked = 0
        self._in_a_row = 0
        """Accounts in a row about which the target gave no answer that makes sense."""
        self._unread: set[int] = set()
        """The keys of those of a page about which nothing is known."""

    async def run(self, audit: Audit) -> None:
        """Page by page to the end, or until the target is not to be called."""
        links, tenant, number = self._engine.links, self._engine.tenant, self._number
        size = _page_size(self._target)
        while page := await links.accounts(tenant, number, audit.after, size):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._look(link)) for link in page]
            if self._report.stopped is not None:
                await links.end_audit(tenant, number, audit, through=False)
                return
            looks = [found for task in tasks if (found := task.result()) is not None]
            left = [await self._settle(found) for found in looks]
            reached = replace(audit, after=page[-1].key)
            until = self._engine.now() + LEASE_MILLISECONDS
            read = [link.key for link in page if link.key not in self._unread]
            self._unread.clear()
            kept = await links.keep_audit(tenant, number, reached, read, [one for one in left if one], until)
            if kept is None:
                self._stop("somebody else has gone on with it")
                return
            audit = kept
            await self._mark(looks)
        await links.end_audit(tenant, number, audit, through=True)

    async def _look(self, link: Link) -> _Found | None:
        if self._report.stopped is not None or link.resource_type not in self._kinds:
            return None
        try:
            return await self._compare(link)
        except StoreUnavailable:
            raise
        except LeftAlone:
            return None
        except MappingError:
            self._report.counts["pending"] += 1
        except (TargetError, Unauthorized, RequestError) as error:
            self._unread.add(link.key)
            await self._failed(error)
        return None

    async def _compare(self, link: Link) -> _Found | None:
        """What differs at the target although it was right once; what is still to be delivered is no drift."""
        engine, kind = self._engine, self._kinds[link.resource_type]
        wish = await read_wish(engine, kind, link.id)
        leave = leave_of(link, wish.left, self._target, kind, engine.now())
        if wish.left is not None and leave is not Leave.DISABLE:
            return None
        accounts = await engine.links.remote_ids(engine.tenant, self._number, sorted(wish.references))
        work = Work(link, kind, want_of(kind, wish, accounts, leave))
        if link.state not in _SETTLED or link.confirmed != work.want.digest or link.remote_id is None:
            self._report.counts["pending"] += 1
            return None
        account = await self._far.read(kind, link.remote_id)
        self._in_a_row = 0
        step = plan(situation_of(work, None if account is None else account.body))
        item = describe(self._target, work, step, await self._moved(work, account))
        self._report.preview.compared[link.resource_type] += 1
        self._report.preview.counts[item.action] += 1
        if not item.changes:
            return None
        self._report.counts["differ"] += 1
        self._order.watch(item)
        return self._decided(work, item, gone=account is None)

    async def _moved(self, work: Work, account: ScimResource | None) -> tuple[int, int]:
        """How many members a group lacks at the target, and how many of ours it has too many."""
        links, tenant, link = self._engine.links, self._engine.tenant, work.link
        readable = work.kind.members and link.members_read and self._target.profile.members_readable
        if account is None or work.want.wish.left is not None or not readable:
            return 0, 0
        there = set(await self._far.read_members(work.kind, account.id))
        known = set(await links.known_members(tenant, self._number, link))
        extra = await links.count_accounts(tenant, self._number, sorted(there - known))
        return len(known - there), extra

    def _decided(self, work: Work, item: Item, *, gone: bool) -> _Found:
        policy = self._policy
        if gone:
            overwrites = policy.default is Drift.OVERWRITE
            return _Found(work.link, item, overwrites=overwrites, members=overwrites, stays=not overwrites)
        parts = by_policy(policy, item.differences)
        may = work.want.wish.left is None and work.kind.subject is Subject.USER
        takes = tuple(
            one
            for one in parts[Drift.TAKE_OVER]
            if may and copied_from(work.kind.mapping, one.path) is not None
        )
        left = tuple(
            one for one in item.differences if one not in takes and policy.of(one.path) is not Drift.OVERWRITE
        )
        moved = bool(item.added or item.removed)
        members = moved and policy.members is Drift.OVERWRITE
        fixed = work.want.wish.left is None and item.reason is not None  # what nobody can change there
        stays = bool(left) or fixed or (moved and not members)
        return _Found(work.link, item, takes, left, bool(parts[Drift.OVERWRITE]) or members, members, stays)

    async def _settle(self, found: _Found) -> Drifted | None:
        """Take over what is to be, and say what is kept of it."""
        left, failure = found.left, None
        if found.takes:
            failure = await self._take_over(found)
            left = (*left, *found.takes) if failure else left
        if not (found.stays or failure):
            return None
        self._report.counts["left"] += 1
        link = found.link
        detail = detail_of(found.item, left, failure)
        return Drifted(link.key, link.id, link.resource_type, self._engine.now(), detail)

    async def _take_over(self, found: _Found) -> str | None:
        """Give the hub the target's values; why not, None if it did."""
        engine, kind = self._engine, self._kinds[found.link.resource_type]
        pairs = [(copied_from(kind.mapping, one.path), one) for one in found.takes]
        taken = [(path, one) for path, one in pairs if path is not None]
        author = Author(f"target {self._target.name}", engine.now())
        try:
            await engine.store.update(
                engine.tenant,
                kind.resource_type,
                found.link.id,
                take_over(kind.resource_type, taken),
                Scope(),
                author,
            )
        except StoreUnavailable:
            raise
        except RequestError as error:
            return f"cannot be taken over: {explain(error)}"
        self._report.counts["taken over"] += 1
        return None

    async def _mark(self, looks: Sequence[_Found]) -> None:
        links, tenant = self._engine.links, self._engine.tenant
        for found in looks:
            if found.overwrites:
                self._report.counts["overwritten"] += 1
            if found.overwrites or found.takes:  # what is believed of the target is not true in either case
                await links.mark(
                    tenant,
                    self._number,
                    self._ranks,
                    found.link.id,
                    self._engine.now(),
                    members=found.members,
                )

    async def _failed(self, error: Exception) -> None:
        """Go on with the next account, unless the target is not to be called, or seems to be out of order (C-8-01, C-8-02)."""
        self._report.counts["failed"] += 1
        verdict = judge(error, 0, self._engine.now(), 0.0)
        self._in_a_row += verdict.far_side
        if verdict.pause is not None:
            await self._engine.links.pause(self._engine.tenant, self._number, verdict.pause, verdict.reason)
        if verdict.stop or verdict.pause is not None or self._in_a_row >= FAILURES_IN_A_ROW:
            self._stop(explain(error), hint(error))
        elif self._report.preview.hint is None:
            self._report.preview.hint = explain(error)

    def _stop(self, reason: str, advice: str | None = None) -> None:
        preview = self._report.preview
        if preview.stopped is None:
            preview.stopped, preview.hint = reason, advice

    async def _is_open(self) -> bool:
        """Whether the target may be called now; asked of the database now and then only."""
        now = self._engine.now()
        if now - self._looked >= _LOOK_MILLISECONDS:
            self._looked = now
            progress = await self._engine.links.target(self._engine.tenant, self._target.name)
            quiet = (
                None if self._order.at_any_hour or not self._target.quiet else self._target.quiet.until(now)
            )
            if progress is not None and progress.stopped is not None:
                self._stop(progress.stopped, f"rollbook resume {self._target.name}")
            elif progress is not None and progress.paused_until > now:
                self._stop(progress.error or "the target asks to be left alone", "run it again later")
            elif quiet is not None:
                self._stop("quiet hours")
        return self._report.stopped is None


def _page_size(target: model.Target) -> int:
    """So many accounts that reading them is well within the lease, whatever the target's rate."""
    seconds = seconds_for(target.rate, 1) or 0.0
    return max(1, min(_PAGE, int(_PAGE_SECONDS / seconds))) if seconds else _PAGE


def is_due(target: model.Target, progress: Progress | None, begun: int, now: int) -> int | None:
    """When the audit of a target is due, given when somebody began to wait for it; None while it must not be."""
    if target.audit is None or progress is None or progress.stopped is not None:
        return None
    busy = progress.audit_until > now or progress.paused_until > now
    if busy or (target.quiet and target.quiet.until(now) is not None):
        return None
    if progress.audit_after is not None:
        return now
    return target.audit.after(progress.audited, begun)
