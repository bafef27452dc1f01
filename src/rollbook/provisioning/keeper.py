"""Keeps targets in step for as long as it runs: `rollbook work`, and `rollbook serve` beside its requests.

Each target has a loop of its own, so that one that is down or slow delays no other (I-20). Sources are pulled when their
schedule says so, by whichever worker comes first.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial

from rollbook.protocol.errors import Outdated, StoreUnavailable
from rollbook.provisioning import model
from rollbook.provisioning.alerts import Alert, Alerter, Kind
from rollbook.provisioning.audit import AuditOrder, audit_target, is_due
from rollbook.provisioning.credentials import ADVICE, days_told, warning_of
from rollbook.provisioning.follower import Applies, Follower
from rollbook.provisioning.items import Action
from rollbook.provisioning.orders import Report, Stop, Watch
from rollbook.provisioning.reach import reach_digest
from rollbook.provisioning.sitting import Sitting
from rollbook.provisioning.wanted import kinds_of
from rollbook.provisioning.work import Engine
from rollbook.provisioning.worker import Connect, Session
from rollbook.storage.links import Progress

POLL_SECONDS = 0.25
"""How often a loop looks whether there is anything to do: a change is at its target within a second."""

STORE_SECONDS = 5.0
"""How long to wait when our own database cannot be used."""

BRAKED_MILLISECONDS = 30_000
"""How long before a target is looked at again whose run was stopped."""

QUARANTINE_MILLISECONDS = (300_000, 900_000, 3_600_000, 21_600_000)
"""How long a target is left alone that refuses our credentials, by how often it has."""

OUT_OF_ORDER_MILLISECONDS = (60_000, 120_000, 300_000, 900_000, 1_800_000)
"""The same for one that does not answer, or not in SCIM."""

MISTAKE_SECONDS = 60.0
"""How long to wait before work begins anew that a mistake of ours has ended."""

WARN_SECONDS = 60.0
"""How often it is looked whether credentials end soon."""

WARN_AGAIN = 300_000
"""Milliseconds before a warning that could not be given is given again; longer than all ways together take."""

AUDIT_SECONDS = 30.0
"""How often the loop of audits looks at the clock, at most."""

Pull = Callable[[model.Source, int], Awaitable[str | None]]
"""Pulls a source, unless another worker has done so since a moment; why it failed, None if it did not."""


class Keeper:
    """Loops over all sources and targets of a configuration."""

    def __init__(
        self,
        engine: Engine,
        config: model.Config,
        connect: Connect,
        pull: Pull,
        alerter: Alerter,
        watch: Watch = lambda _: None,
        undecided: Callable[[str], Awaitable[int]] | None = None,
        leaves: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`undecided` counts the records of a source that wait for somebody to decide whose they are.

        `leaves` says of a target whether it is left to somebody else at present: what an order does there is one run.
        """
        self._leaves = leaves
        self._undecided = undecided
        self._told_undecided: dict[str, int] = {}
        self._engine = engine
        self._config = config
        self._connect = connect
        self._pull = pull
        self._alerter = alerter
        self._watch = watch
        self._stopping = asyncio.Event()
        self._applies: Applies | None = None
        self._outdated: Outdated | None = None

    def follow(self, applies: Applies) -> None:
        """Also apply what arrives for sources of its own accord."""
        self._applies = applies

    def stop(self) -> None:
        """Ask every loop to end; what is under way is finished first."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until asked to stop.

        Raises:
            Outdated: the database was brought up to a newer version meanwhile; everything has come to its end (FE-31).
        """
        async with asyncio.TaskGroup() as group:
            for name, loop in self._loops():
                group.create_task(self._lasting(name, loop))
            await self._stopping.wait()
        if self._outdated is not None:
            raise self._outdated

    def _loops(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """Whose loop, and the loop."""
        for target in self._config.targets.values():
            yield target.name, partial(self._keep, target)
            if target.ends is not None:
                yield target.name, partial(self._warn_when_due, target)
            if target.audit is not None:
                yield target.name, partial(self._audit_when_due, target)
        for source in self._config.sources.values():
            if source.schedule is not None:
                yield source.name, partial(self._pull_when_due, source)
            if source.type == "webhook" and self._applies is not None:
                yield source.name, partial(self._follow, source, self._applies)

    async def _lasting(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """A loop that no mistake of ours ends: it must stop no other, nor itself for ever (I-20)."""
        while not self._stopping.is_set():
            try:
                await loop()
            except Outdated as error:
                self._outdated = error
                self.stop()
            except Exception as error:  # noqa: BLE001 - told by where it was; its words may be personal data
                where = traceback.extract_tb(error.__traceback__)[-1].name
                text = f"{type(error).__name__} at {where}; work begins anew in a minute"
                await self._alerter.tell(Alert(Kind.MISTAKE, name, text, "please report it"))
                await self._wait(MISTAKE_SECONDS)

    async def _keep(self, target: model.Target) -> None:
        """The loop of one target. Whatever happens in it, it goes on."""
        session = Session(self._engine, target, self._connect, self._watch)
        sitting: Sitting | None = None
        failures = 0
        try:
            while not self._stopping.is_set():
                try:
                    sitting, failures = await self._turn(target, session, sitting, failures)
                except Outdated:
                    raise
                except StoreUnavailable:
                    await self._wait(STORE_SECONDS)
                await self._wait(POLL_SECONDS)
        finally:
            await session.close()

    async def _turn(
        self, target: model.Target, session: Session, sitting: Sitting | None, failures: int
    ) -> tuple[Sitting | None, int]:
        """Do what is due; the sitting it belongs to, and how often the target has failed in a row."""
        await self._engine.keep_time()
        now = self._engine.now()
        if sitting is not None and sitting.is_over(now):
            sitting = None
        progress = await self._engine.links.target(self._engine.tenant, target.name)
        if not await self._is_due(target, progress):
            return sitting, failures
        sitting = sitting or Sitting(now, now)
        run = sitting.run or await self._engine.links.begin_run(
            self._engine.tenant, "apply", target.name, now
        )
        sitting.run = run
        report = await session.work(run.number)
        sitting.last = self._engine.now()
        sitting.counts.update({name: count for name, count in report.counts.items() if name in _DONE})
        await self._engine.links.end_run(
            self._engine.tenant, run, sitting.last, sitting.counts, report.stopped
        )
        return sitting, await self._draw_consequences(target, report, failures)

    async def _is_due(self, target: model.Target, progress: Progress | None) -> bool:
        engine, now = self._engine, self._engine.now()
        quiet = target.quiet.until(now) if target.quiet else None
        if quiet is not None or self._leaves(target.name):
            return False
        if progress is None:
            return True
        if progress.stopped is not None or progress.paused_until > now:
            return False
        if progress.digest != reach_digest(target, engine.catalog, engine.today):
            return True
        if progress.walked is not None or await engine.store.last_change(engine.tenant) > progress.position:
            return True
        if await engine.links.is_grace_over(engine.tenant, progress.number, now):
            return True
        ranks = {name: kind.rank for name, kind in kinds_of(target, engine.catalog).items()}
        due = await engine.links.next_due(engine.tenant, progress.number, ranks)
        return due is not None and due <= now

    async def _draw_consequences(self, target: model.Target, report: Report, failures: int) -> int:
        """Leave a target alone that has to be, and tell people; how often it has failed in a row by now."""
        name, why = target.name, report.stopped or ""
        parked = report.counts[Action.PARK]
        if parked:
            text, hint = f"{parked} could not be brought up to date", f"look at them: rollbook status {name}"
            await self._alerter.tell(Alert(Kind.PARKED, name, text, hint))
        match report.stop:
            case Stop.REFUSED:
                await self._leave_alone(name, QUARANTINE_MILLISECONDS, failures, f"quarantined: {why}")
                await self._alerter.tell(Alert(Kind.QUARANTINE, name, why, report.hint))
                return failures + 1
            case Stop.OUT_OF_ORDER:
                await self._leave_alone(name, OUT_OF_ORDER_MILLISECONDS, failures, why)
                if failures + 1 >= _TOLD_AFTER:
                    await self._alerter.tell(Alert(Kind.OUT_OF_ORDER, name, why, report.hint))
                return failures + 1
            case Stop.BRAKE:
                await self._alerter.tell(Alert(Kind.BRAKE, name, why, report.hint))
                await self._wait(BRAKED_MILLISECONDS / 1000)
            case Stop.CANARY:
                await self._alerter.tell(Alert(Kind.CANARY, name, why, report.hint))
                await self._wait(BRAKED_MILLISECONDS / 1000)
            case Stop.VANISHED:
                await self._alerter.tell(Alert(Kind.VANISHED, name, why, report.hint))
            case None if any(report.counts[action] for action in _WELL):
                if not parked:
                    await self._alerter.over(name, "work goes on")
                return 0
            case _:
                pass
        return failures

    async def _leave_alone(self, name: str, steps: tuple[int, ...], failures: int, why: str) -> None:
        progress = await self._engine.links.target(self._engine.tenant, name)
        if progress is not None:
            until = self._engine.now() + steps[min(failures, len(steps) - 1)]
            until = max(until, progress.paused_until)
            await self._engine.links.pause(self._engine.tenant, progress.number, until, why)

    async def _pull_when_due(self, source: model.Source) -> None:
        # From a moment that stays: counted from now, what was never done would never be due.
        schedule, failures, begun = source.schedule, 0, self._engine.now()
        while schedule is not None and not self._stopping.is_set():
            try:
                last = await self._engine.links.last_run(self._engine.tenant, "pull", source.name)
                due = schedule.after(last.started if last else None, begun)
                wait = (due - self._engine.now()) / 1000
                if wait > 0:
                    await self._wait(min(wait, _LONGEST_WAIT))
                    continue
                failed = await self._pull(source, due)
                failures = 0 if failed is None else failures + 1
                if failed is None:
                    await self._alerter.over(source.name, "it is read again")
                    await self._tell_undecided(source.name)
                elif failures > 1:  # a file that is just being written is whole the next time
                    await self._alerter.tell(Alert(Kind.SOURCE, source.name, failed))
            except StoreUnavailable:
                await self._wait(STORE_SECONDS)

    async def _follow(self, source: model.Source, applies: Applies) -> None:
        follower = Follower(source, applies, self._alerter, self._engine.now, self._wait)
        while not self._stopping.is_set():
            await follower.turn()

    async def _audit_when_due(self, target: model.Target) -> None:
        """The loop of a target's audits; whoever of several workers comes first does one."""
        begun = self._engine.now()
        while not self._stopping.is_set():
            try:
                now = self._engine.now()
                progress = await self._engine.links.target(self._engine.tenant, target.name)
                due = is_due(target, progress, begun, now)
                wait = AUDIT_SECONDS
                if due is not None and due > now:
                    wait = min((due - now) / 1000, AUDIT_SECONDS)
                elif due is not None and await self._audit(target, due):
                    wait = POLL_SECONDS
                await self._wait(wait)
            except StoreUnavailable:
                await self._wait(STORE_SECONDS)

    async def _warn_when_due(self, target: model.Target) -> None:
        """The loop that looks at the end of a target's credentials; each warning is given by one worker, once."""
        while not self._stopping.is_set():
            seconds = WARN_SECONDS
            with suppress(StoreUnavailable):
                progress = await self._engine.links.target(self._engine.tenant, target.name)
                if progress is None:
                    seconds = POLL_SECONDS  # the target's own loop is about to begin it
                else:
                    await self._warn(target, progress)
            await self._wait(seconds)

    async def _warn(self, target: model.Target, progress: Progress) -> None:
        engine, now = self._engine, self._engine.now()
        days, text = days_told(target.ends, now), warning_of(target, now)
        place, warning, again = (engine.tenant, progress.number), f"{target.ends} {days}", now + WARN_AGAIN
        if text is None or not await engine.links.take_warning(*place, warning, now, again):
            return
        # Noted behind: what could not be sent, or a worker has died over, is given again when its time is over.
        if await self._alerter.once(Alert(Kind.EXPIRES, target.name, text, ADVICE)):
            await engine.links.note_warning(*place, warning)

    async def _audit(self, target: model.Target, due: int) -> bool:
        """One audit; people are told of what it leaves. Whether it has come to its end."""
        try:
            report = await audit_target(self._engine, target, self._connect, AuditOrder(due))
        except ValueError:
            return False  # its URL is none: the loop of the target says so
        if report is None or report.stopped is not None:
            return False
        if report.counts["left"]:
            text = f"an audit has found {report.counts['left']} accounts or groups that differ"
            await self._alerter.tell(
                Alert(Kind.DRIFT, target.name, text, f"look at them: rollbook drift {target.name}")
            )
        return True

    async def _tell_undecided(self, name: str) -> None:
        """Tell people what waits for them, and again only when there is more of it: it may wait for weeks."""
        waiting = 0 if self._undecided is None else await self._undecided(name)
        subject, told = f"matches of {name}", self._told_undecided.get(name, 0)
        if not waiting:
            await self._alerter.over(subject, "nothing waits to be decided any more")
        elif waiting > told:
            text = f"{waiting} records wait for somebody to decide whose they are"
            hint = f"look at them: rollbook matches --source {name}"
            if not await self._alerter.tell(Alert(Kind.UNCERTAIN, subject, text, hint)):
                return  # people were told just now: what has come since is told when the hour is over
        self._told_undecided[name] = waiting

    async def _wait(self, seconds: float) -> None:
        """Wait, or until asked to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


_LONGEST_WAIT = 30.0
"""Seconds; then the clock is looked at again, which somebody may have moved."""

_TOLD_AFTER = 3
"""Failures in a row after which people are told: a restart of the target needs nobody."""

_WELL = (Action.CREATE, Action.CHANGE, Action.COMPLETE, Action.DISABLE, Action.DELETE, Action.NOTHING)
_DONE = frozenset({*_WELL, Action.KEEP, "members added", "members removed"})
