"""What the provisioning commands do, without printing any of it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from rollbook.app import here, now, opened
from rollbook.cli import acts
from rollbook.cli.reviewed import Reviewed
from rollbook.provisioning import model
from rollbook.provisioning.audit import AuditOrder, AuditReport, audit_target
from rollbook.provisioning.brake import DAY, Approval
from rollbook.provisioning.config import load_config
from rollbook.provisioning.directory import pull, pull_one
from rollbook.provisioning.hub import Hub
from rollbook.provisioning.items import Item
from rollbook.provisioning.line import Report, Watch
from rollbook.provisioning.names import suggest
from rollbook.provisioning.preview import Preview, Previewer
from rollbook.provisioning.reach import reach_digest
from rollbook.provisioning.report import PersonChange, PullReport
from rollbook.provisioning.sitting import Sitting
from rollbook.provisioning.sources import source_of
from rollbook.provisioning.sources.base import SourceError
from rollbook.provisioning.sources.webhook import Within
from rollbook.provisioning.status import SourceStatus, TargetStatus, target_status
from rollbook.provisioning.targets.scim import connect
from rollbook.provisioning.undo import Undo, UndoPlan
from rollbook.provisioning.work import Engine
from rollbook.provisioning.worker import Worker, first_of
from rollbook.settings import Settings, SettingsError, choose_database, choose_lease
from rollbook.storage.base import Act
from rollbook.storage.ids import new_id
from rollbook.storage.links import Drifted, Run
from rollbook.storage.sql.archive import Archive
from rollbook.storage.sql.arrivals import SqlArrivals
from rollbook.storage.sql.links import SqlLinks
from rollbook.storage.sql.matches import SqlMatches
from rollbook.storage.sql.source_marks import SqlSourceMarks
from rollbook.storage.sql.source_records import SqlSourceRecords
from rollbook.storage.sql.store import SqlStore

Named = TypeVar("Named")

_PAGE = 500


@dataclass(frozen=True)
class SourceReport:
    """What a pull did, or why it could not."""

    source: str
    report: PullReport | None
    error: str | None = None
    seconds: float = 0.0
    run: int | None = None
    """The number of the run, None for a rehearsal."""

    @property
    def failed(self) -> bool:
        """Whether anybody was left out; an attribute left empty is a warning only."""
        report = self.report
        return report is None or report.unlisted > 0 or any(not one.warning for one in report.problems)


@dataclass(frozen=True)
class Applied:
    """What an apply did at sources and targets."""

    sources: Sequence[SourceReport]
    targets: Sequence[Report]

    @property
    def run(self) -> int | None:
        """The number by which all of it can be looked at and undone."""
        numbers = [*(one.run for one in self.sources), *(one.run for one in self.targets)]
        return next((number for number in numbers if number), None)

    @property
    def failed(self) -> bool:
        """Whether anything is left undone."""
        return any(source.failed for source in self.sources) or any(target.failed for target in self.targets)


@dataclass
class Planned:
    """The figures of a plan."""

    sources: list[SourceReport] = field(default_factory=list)
    targets: list[Preview] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether a source or a target could not be looked at."""
        return any(source.report is None for source in self.sources) or any(
            preview.stopped for preview in self.targets
        )

    @property
    def pending(self) -> bool:
        """Whether apply would change anything."""
        return any(source.report and source.report.changes for source in self.sources) or any(
            preview.pending for preview in self.targets
        )


@dataclass(frozen=True)
class Told:
    """What the audit log is told of at the end of an apply."""

    telling: acts.Telling

    def ended(self, done: Applied, run: int | None = None) -> None:
        """It came to this, as that run."""
        self.telling.run = run or done.run
        if done.failed:
            self.telling.outcome = "failed"


class PlanWatch(Protocol):
    """Whoever is told of a plan while it is made."""

    def source(self, source: model.Source) -> None:
        """A source is looked at."""

    def person(self, change: PersonChange) -> None:
        """What a pull would do."""

    def source_end(self, report: SourceReport) -> None:
        """That was the source."""

    def target(self, target: model.Target) -> None:
        """A target is looked at."""

    def item(self, item: Item) -> None:
        """What a run would do."""


class Desk:
    """The configuration and the open hub."""

    def __init__(self, config: model.Config, store: SqlStore) -> None:
        self.config = config
        self._store = store
        longest = max((target.timeout for target in config.targets.values()), default=0.0)
        self._lease = int(choose_lease(os.environ, longest) * 1000)
        self.accept: frozenset[str] = frozenset()
        """Keys of records that may be another person than before (T-70)."""
        self.batch: int | None = None
        """The number of the first run this has made; all others belong to it."""
        self.reviewed: Reviewed | None = None
        """What a plan was made of that was agreed to."""

    @property
    def store(self) -> SqlStore:
        """The hub."""
        return self._store

    @property
    def links(self) -> SqlLinks:
        """What is known of the targets."""
        return SqlLinks(self._store.database)

    @property
    def engine(self) -> Engine:
        """What work on the hub is given."""
        return self._engine(self._store)

    def sources(self, names: Iterable[str] = ()) -> list[model.Source]:
        """The sources of those names, all if none is named."""
        return _chosen("source", self.config.sources, names)

    def targets(self, names: Iterable[str] = ()) -> list[model.Target]:
        """The targets of those names, all if none is named."""
        return _chosen("target", self.config.targets, names)

    async def tell(self, command: str, names: Iterable[str], **detail: Any) -> None:
        """Tell the audit log what a command has done to targets."""
        await acts.tell(self._store, self._act(command, names, detail))

    @asynccontextmanager
    async def telling(self, command: str, names: Iterable[str], **detail: Any) -> AsyncIterator["Told"]:
        """Tell the audit log that something is begun with targets, and what came of it."""
        async with acts.telling(self._store, self._act(command, names, detail)) as telling:
            yield Told(telling)

    def _act(self, command: str, names: Iterable[str], detail: Mapping[str, Any]) -> Act:
        named = ", ".join(target.name for target in self.targets(names))
        told = {name: value for name, value in detail.items() if value not in (None, False, "")}
        return acts.act(self._store, command, f"target.{command}", "target", named, **told)

    async def numbers(self, names: Iterable[str]) -> list[int]:
        """The numbers of targets; those that nothing was done at yet are made known."""
        engine, found = self.engine, []
        for target in self.targets(names):
            digest = reach_digest(target, engine.catalog, engine.today)
            found.append(
                (
                    await engine.links.open_target(engine.tenant, target.name, digest, flat=target.is_flat)
                ).number
            )
        return found

    async def pull(self, names: Iterable[str], *, whole: bool = True) -> list[SourceReport]:
        """Read sources into the hub, everything or what has changed; one that fails stops no other."""
        return [
            await self._pull(
                self._store,
                source,
                lambda _: None,
                dry_run=False,
                whole=whole,
                reviewed=self.reviewed.sources.get(source.name) if self.reviewed is not None else None,
            )
            for source in self.sources(names)
        ]

    async def apply(
        self,
        names: Iterable[str],
        watch: Watch,
        *,
        read_sources: bool,
        retry: bool,
        approvals: Sequence[Approval] = (),
    ) -> Applied:
        """Read the sources, then bring targets up to date. A source that fails leaves the hub as it is.

        What was reviewed goes out as a whole or not at all: a source that fails then ends it.

        Raises:
            SettingsError: what was reviewed is not what the hub has any more.
        """
        targets = self.targets(names)
        if self.reviewed is not None:
            await self.reviewed.check_hub(self._store, targets, "nothing was done")
        sources = await self.pull([]) if read_sources else []
        if self.reviewed is not None:
            if any(one.report is None for one in sources):
                return Applied(sources, [])
            pulled = [one.source for one in sources]
            await self.reviewed.check_hub(self._store, targets, "nothing was sent", pulled)
        return Applied(sources, await self.deliver(targets, watch, retry=retry, approvals=approvals))

    async def deliver(
        self,
        targets: Sequence[model.Target],
        watch: Watch,
        *,
        retry: bool = False,
        approvals: Sequence[Approval] = (),
        removes: Mapping[str, frozenset[str]] = MappingProxyType({}),
    ) -> list[Report]:
        """Bring targets up to date with the hub, and forget what was done there too long ago."""
        worker = Worker(self.engine, connect, watch=watch)
        lock, alone = self._store.database.work_lock()
        try:
            reports = await worker.run(
                targets,
                unpark=retry,
                now=True,
                alone=alone,
                approvals=approvals,
                batch=self.batch,
                removes=removes,
            )
        finally:
            lock.release()
        await self._forget_old(targets)
        return reports

    async def _forget_old(self, targets: Sequence[model.Target]) -> None:
        older_than = now() - self.config.keep_days * DAY
        for target in targets:
            progress = await self.links.target(self._store.home, target.name)
            while progress and await self.links.forget_deliveries(
                self._store.home, progress.number, older_than
            ):
                pass

    async def plan(
        self, names: Iterable[str], watch: PlanWatch, *, read_sources: bool, full: bool = False
    ) -> Planned:
        """What apply would do. Changes of sources are carried out on a copy of the hub, and lost with it.

        With `full` what everybody should have is worked out anew, not only for those that have changed.
        """
        targets = self.targets(names)
        planned = Planned()
        for source in self.config.sources.values() if read_sources else ():
            watch.source(source)
            planned.sources.append(await self._pull(self._store, source, watch.person, dry_run=True))
            watch.source_end(planned.sources[-1])
        if any(source.report and source.report.changes for source in planned.sources):
            async with self._store.database.copied() as database:
                copy = self._store.twin(database)
                await copy.open()
                planned.sources = [await self._pull_shown(copy, shown, watch) for shown in planned.sources]
                await self._preview(copy, targets, planned, watch, full=full)
        else:
            await self._preview(self._store, targets, planned, watch, full=full)
        return planned

    async def _pull_shown(self, copy: SqlStore, shown: SourceReport, watch: PlanWatch) -> SourceReport:
        """Do on a copy of the hub what was shown; returns that, or why it cannot be done any more."""
        if shown.report is None:
            return shown
        source, content = self.config.sources[shown.source], shown.report.content
        done = await self._pull(copy, source, lambda _: None, dry_run=False, reviewed=content)
        if done.report is not None:
            return shown
        watch.source_end(done)
        return done

    async def undoing(self, number: int) -> tuple[Undo, UndoPlan, list[Run]]:
        """What taking a run back means, with all that the same command did.

        Raises:
            SettingsError: there is no such run.
        """
        runs = list(await self.links.batch(self._store.home, number))
        if not runs:
            latest = [run.batch for run in await self.links.runs(self._store.home, 1)]
            told = f"the latest is {latest[0]}" if latest else "there was none yet"
            raise SettingsError(f"there is no run {number}; {told}, see rollbook runs")
        undo = self._undo(self._store)
        return undo, await undo.plan(runs), runs

    def _undo(self, store: SqlStore) -> Undo:
        archive = Archive(store, store.home)
        return Undo(store.home, store.catalog, store, SqlLinks(store.database), archive)

    async def audit(self, names: Iterable[str], watch: PlanWatch, *, fix: bool = False) -> list[AuditReport]:
        """Every account of targets against what it should be, whatever they are believed to hold.

        What is to be overwritten, with `fix` all that differs, is due afterwards.
        """
        policy = model.DriftPolicy(model.Drift.OVERWRITE) if fix else None
        reports = []
        for target in self.targets(names):
            watch.target(target)
            order = AuditOrder(now() + 1, policy, at_any_hour=True, watch=watch.item)
            try:
                report = await audit_target(self.engine, target, connect, order)
                reason = "somebody else is at an audit of it"
            except ValueError as error:
                report, reason = None, str(error)
            reports.append(report or AuditReport(target.name, Preview(target.name, stopped=reason)))
        return reports

    async def drift(self, names: Iterable[str]) -> AsyncIterator[tuple[str, Drifted]]:
        """What audits have found different at targets and left as it is."""
        for target in self.targets(names):
            progress, after = await self.links.target(self._store.home, target.name), 0
            while progress and (
                page := await self.links.drift(self._store.home, progress.number, after, _PAGE)
            ):
                after = page[-1].key
                for one in page:
                    yield target.name, one

    async def preview_undo(self, plan: UndoPlan, watch: PlanWatch) -> Planned:
        """What the targets would see of an undo; the hub's part is carried out on a copy."""
        planned = Planned()
        targets = [target for target in self.targets() if target.name in plan.made or plan.steps]
        async with self._store.database.copied() as database:
            copy = self._store.twin(database)
            await copy.open()
            await self._undo(copy).carry_out(plan, now())
            await self._preview(copy, targets, planned, watch, plan.made)
        return planned

    async def undo(self, plan: UndoPlan, planned: Planned, watch: Watch) -> list[Report]:
        """Take a run back: the hub first, then every target that the plan found something for."""
        run = await self.links.begin_run(self._store.home, "undo", str(plan.number), now())
        self.batch = run.batch
        await self._undo(self._store).carry_out(plan, now(), run=run.number, origin=here())
        await self.links.end_run(self._store.home, run, now(), {"resources": len(plan.steps)}, None)
        due = {preview.target for preview in planned.targets if preview.pending}
        approvals = [
            Approval(one.departures.number, one.departures.plan) for one in planned.targets if one.departures
        ]
        targets = [target for target in self.targets() if target.name in due]
        return await self.deliver(targets, watch, approvals=approvals, removes=plan.made)

    async def status(self, names: Iterable[str]) -> tuple[list[SourceStatus], list[TargetStatus]]:
        """How sources and targets stand."""
        links, catalog = SqlLinks(self._store.database), self._store.catalog
        sources = [
            SourceStatus(
                name, await links.last_run(self._store.home, "pull", name), await self.undecided(name)
            )
            for name in self.config.sources
        ]
        targets = [
            await target_status(self._store, links, catalog, self._store.home, target, now())
            for target in self.targets(names)
        ]
        return sources, targets

    def _engine(self, store: SqlStore) -> Engine:
        links = SqlLinks(store.database)
        return Engine(store.home, store.catalog, store, links, now, asyncio.sleep, self._lease)

    async def _pull(
        self,
        store: SqlStore,
        source: model.Source,
        watch: Callable[[PersonChange], None],
        *,
        dry_run: bool,
        whole: bool = True,
        reviewed: int | None = None,
    ) -> SourceReport:
        links, started = SqlLinks(store.database), now()
        is_real = not dry_run and store is self._store
        run = None
        if is_real:
            run = await links.begin_run(store.home, "pull", source.name, started, self.batch)
            self.batch = run.batch
        hub = _hub_of(store, run)
        report: PullReport | None = None
        error: str | None = None
        try:
            report = await pull(
                source,
                source_of(source, _within(store, applies=not dry_run)),
                hub,
                dry_run=dry_run,
                accept=self.accept,
                observe=watch,
                marks=SqlSourceMarks(store.database),
                whole=whole,
                reviewed=reviewed,
            )
        except SourceError as failure:
            error = failure.detail
        if run is not None:
            await links.end_run(store.home, run, now(), _figures(report), error)
        number = run.number if run is not None else None
        return SourceReport(source.name, report, error, (now() - started) / 1000, number)

    async def pull_when_due(self, source: model.Source, since: int) -> str | None:
        """Pull what has changed in a source, unless somebody has since then; why it failed, None if it did not."""
        links, started = self.links, now()
        run = await links.begin_run_once(self._store.home, "pull", source.name, started, since)
        if run is None:
            return None
        figures, error = await self._pull_changes(source, run)
        await links.end_run(self._store.home, run, now(), figures, error)
        return error

    async def has_arrivals(self, source: model.Source) -> bool:
        """Whether something has come for a source that no pull has seen."""
        return await SqlArrivals(self._store.database).has_new(self._store.home, source.name)

    async def pull_arrivals(self, source: model.Source, sitting: Sitting) -> str | None:
        """Apply what has come for a source, as part of a run; why it failed, None if it did not."""
        if sitting.run is None:
            sitting.run = await self.links.begin_run(self._store.home, "pull", source.name, now())
        figures, error = await self._pull_changes(source, sitting.run)
        sitting.counts.update(figures)
        await self.links.end_run(self._store.home, sitting.run, now(), sitting.counts, error)
        return error

    async def _pull_changes(self, source: model.Source, run: Run) -> tuple[dict[str, int], str | None]:
        try:
            place, marks = source_of(source, _within(self._store)), SqlSourceMarks(self._store.database)
            report = await pull(source, place, _hub_of(self._store, run), marks=marks, whole=False)
        except SourceError as failure:
            return {}, failure.detail
        return _figures(report), None

    @property
    def hub(self) -> Hub:
        """The hub as a pull writes it."""
        return _hub_of(self._store)

    @property
    def matches(self) -> SqlMatches:
        """Records nobody is sure of."""
        return SqlMatches(self._store.database)

    async def undecided(self, source: str) -> int:
        """How many records of a source wait for somebody to decide whose they are."""
        return await self.matches.count_open(self._store.home, source)

    async def pull_one(self, source: model.Source, key: str) -> SourceReport:
        """Read one record into the hub; no rows if there is none of that key."""
        started = now()
        run = await self.links.begin_run(self._store.home, "read", source.name, started, self.batch)
        self.batch = run.batch
        report: PullReport | None = None
        error: str | None = None
        try:
            report = await pull_one(source, source_of(source), _hub_of(self._store, run), key)
        except SourceError as failure:
            error = failure.detail
        await self.links.end_run(self._store.home, run, now(), _figures(report), error)
        return SourceReport(source.name, report, error, (now() - started) / 1000, run.number)

    async def _preview(
        self,
        store: SqlStore,
        targets: Sequence[model.Target],
        planned: Planned,
        watch: PlanWatch,
        removes: Mapping[str, frozenset[str]] = MappingProxyType({}),
        *,
        full: bool = False,
    ) -> None:
        for target in targets:
            watch.target(target)
            try:
                far = connect(target)
            except ValueError as error:
                planned.targets.append(Preview(target.name, stopped=str(error)))
                continue
            gone = removes.get(target.name, frozenset())
            previewer = Previewer(self._engine(store), target, far, gone, full=full)
            try:
                async for item in previewer.items():
                    watch.item(item)
            except BaseExceptionGroup as errors:
                raise first_of(errors) from None
            finally:
                await far.close()
            planned.targets.append(previewer.preview)


@asynccontextmanager
async def opened_desk(
    config: Path, database: str | None, schemas: Path | None, environment: Mapping[str, str]
) -> AsyncIterator[Desk]:
    """The hub, open, and its configuration.

    Raises:
        ConfigError: with every mistake in the file.
    """
    url, origin = choose_database(database, environment)
    settings = Settings(database=url, database_origin=origin, schemas=schemas)
    async with opened(settings) as store:
        yield Desk(load_config(config, store.catalog, environment), store)


def _within(store: SqlStore, *, applies: bool = True) -> Within:
    loop = asyncio.get_running_loop()
    return Within(SqlArrivals(store.database), store.home, now, loop, applies)


def _hub_of(store: SqlStore, run: Run | None = None) -> Hub:
    records, matches = SqlSourceRecords(store.database), SqlMatches(store.database)
    number = None if run is None else run.number
    return Hub(store, records, store.catalog, store.home, now, new_id, matches, number, here())


def _chosen(kind: str, known: Mapping[str, Named], names: Iterable[str]) -> list[Named]:
    wanted = list(dict.fromkeys(names)) or list(known)
    for name in wanted:
        if name not in known:
            near = suggest(name, known)
            advice = f"did you mean {near}?" if near else f"there are: {', '.join(known) or 'none'}"
            raise SettingsError(f"there is no {kind} {name!r} in the configuration; {advice}")
    return [known[name] for name in wanted]


def _figures(report: PullReport | None) -> dict[str, int]:
    if report is None:
        return {}
    names = ("rows", "created", "changed", "unchanged", "disabled", "deleted", "kept", "held")
    beside = {name: getattr(report, name) for name in ("unmatched", "uncertain", "ignored")}
    return {name: getattr(report, name) for name in names} | {
        **{name: count for name, count in beside.items() if count},
        "problems": len(report.problems) + report.unlisted,
    }
