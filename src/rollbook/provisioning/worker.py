"""Runs: every target by itself, all at once (architecture 8).

One target that is down and one person whose data is bad hold up nobody else (I-20).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from rollbook.provisioning import model
from rollbook.provisioning.brake import Approval
from rollbook.provisioning.guard import Presence
from rollbook.provisioning.line import Line
from rollbook.provisioning.orders import Order, Report, Stop, Watch
from rollbook.provisioning.reach import reach_digest
from rollbook.provisioning.targets.base import Target
from rollbook.provisioning.work import Engine

Connect = Callable[[model.Target], Target]


@dataclass(frozen=True)
class _Start:
    """What a run takes up beyond what is due."""

    unpark: bool
    now: bool
    alone: bool
    approvals: tuple[Approval, ...]
    batch: int | None
    removes: Mapping[str, frozenset[str]]
    only: str | None = None


class Worker:
    """Works off the links of targets until nothing is due, or only what is not worth waiting for."""

    def __init__(
        self,
        engine: Engine,
        connect: Connect,
        *,
        patience: float = 60.0,
        watch: Watch = lambda _: None,
    ) -> None:
        """`patience` is how many seconds in a row a run waits for a target or for another attempt."""
        self._engine = engine
        self._connect = connect
        self._patience = patience
        self._watch = watch

    async def run(
        self,
        targets: Sequence[model.Target],
        *,
        unpark: bool = False,
        now: bool = False,
        alone: bool = False,
        approvals: Iterable[Approval] = (),
        batch: int | None = None,
        removes: Mapping[str, frozenset[str]] = MappingProxyType({}),
    ) -> list[Report]:
        """One run over all targets at once.

        `unpark` tries again what was given up, `now` what waits for a later time. `alone` says that nobody
        else works on these targets: what is claimed was claimed by a worker that has ended. `approvals` are departures
        that somebody agreed to. `batch` is the first run of the command that this belongs to. `removes` has, by target,
        the hub ids of those whose accounts go for good if they have left.

        Raises:
            StoreUnavailable: our own database cannot be used; links under way are taken up again later.
        """
        try:
            async with asyncio.TaskGroup() as group:
                start = _Start(unpark, now, alone, tuple(approvals), batch, removes)
                tasks = [group.create_task(self._run(target, start)) for target in targets]
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None
        return [task.result() for task in tasks]

    async def one(self, target: model.Target, id: str, *, batch: int | None = None) -> Report:
        """Bring one hub resource up to date at a target, now.

        Raises:
            StoreUnavailable: as for `run`.
        """
        start = _Start(unpark=False, now=False, alone=False, approvals=(), batch=batch, removes={}, only=id)
        try:
            return await self._run(target, start)
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None

    async def _run(self, target: model.Target, start: _Start) -> Report:
        engine, report = self._engine, Report(target.name)
        await engine.keep_time()
        started = engine.now()
        kind = "apply" if start.only is None else "try"
        run = await engine.links.begin_run(engine.tenant, kind, target.name, started, start.batch)
        report.run = run.number
        try:
            await self._work(target, report, start)
        finally:
            ended = engine.now()
            report.seconds = (ended - started) / 1000
            await engine.links.end_run(engine.tenant, run, ended, report.counts, report.stopped)
        return report

    async def _work(self, target: model.Target, report: Report, start: _Start) -> None:
        engine = self._engine
        try:
            far = self._connect(target)
        except ValueError as error:
            report.stopped, report.hint = str(error), "correct the target's url in rollbook.yaml"
            return
        try:
            progress = await engine.links.open_target(
                engine.tenant,
                target.name,
                reach_digest(target, engine.catalog, engine.today),
                flat=target.is_flat,
            )
            if progress.stopped is not None:
                report.stopped, report.hint = progress.stopped, f"rollbook resume {target.name}"
                return
            gone = start.removes.get(target.name, frozenset())
            order = Order(report.run, self._patience, self._watch, start.approvals, gone)
            line = Line(engine, target, far, progress, report, order)
            if start.unpark:
                await engine.links.unpark(engine.tenant, progress.number, engine.now())
            if start.now or start.alone:
                await engine.links.bring_forward(
                    engine.tenant, progress.number, engine.now(), claimed=start.alone
                )
            if start.only is not None:
                await line.one(start.only)
                return
            await line.work()
            await line.sum_up()
        finally:
            await far.close()


class Session:
    """Work on one target again and again: connections stay open, and what the target can do is asked once."""

    def __init__(self, engine: Engine, target: model.Target, connect: Connect, watch: Watch) -> None:
        self._engine = engine
        self._target = target
        self._connect = connect
        self._watch = watch
        self._far: Target | None = None
        self._presence = Presence()

    async def work(self, run: int) -> Report:
        """Do what is due now, and wait for nothing; it counts as part of that run.

        Raises:
            StoreUnavailable: our own database cannot be used.
        """
        engine, target, report = self._engine, self._target, Report(self._target.name, run=run)
        try:
            if self._far is None:
                self._far = self._connect(target)
            digest = reach_digest(target, engine.catalog, engine.today)
            progress = await engine.links.open_target(engine.tenant, target.name, digest, flat=target.is_flat)
            if progress.stopped is not None:  # somebody paused it a moment ago
                report.stopped, report.stop = progress.stopped, Stop.AWAY
                return report
            order = Order(run, 0.0, self._watch, presence=self._presence)
            line = Line(engine, target, self._far, progress, report, order)
            await line.work()
            await line.sum_up()
        except ValueError as error:
            report.stopped, report.stop = str(error), Stop.REFUSED
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None
        if report.stop in {Stop.REFUSED, Stop.OUT_OF_ORDER}:
            await self.close()  # the next time everything is asked anew
        return report

    async def close(self) -> None:
        """Let go of all connections."""
        far, self._far = self._far, None
        if far is not None:
            await far.close()


def first_of(errors: BaseException) -> BaseException:
    """The first error that is not a group of others."""
    while isinstance(errors, BaseExceptionGroup):
        errors = errors.exceptions[0]
    return errors
