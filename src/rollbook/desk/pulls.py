"""Sources are read into the hub: all of them, one record, what has arrived, and for a plan only to see."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rollbook.desk.desk import Desk
from rollbook.desk.reports import SourceReport, figures
from rollbook.provisioning import model
from rollbook.provisioning.directory import pull, pull_one
from rollbook.provisioning.report import PersonChange, PullReport
from rollbook.provisioning.sitting import Sitting
from rollbook.provisioning.sources import source_of
from rollbook.provisioning.sources.base import SourceError
from rollbook.provisioning.sources.webhook import Within
from rollbook.storage.runs import Run
from rollbook.storage.sql.arrivals import SqlArrivals
from rollbook.storage.sql.links import SqlLinks
from rollbook.storage.sql.source_marks import SqlSourceMarks
from rollbook.storage.sql.store import SqlStore


async def pull_sources(desk: Desk, names: Iterable[str], *, whole: bool = True) -> list[SourceReport]:
    """Read sources into the hub, everything or what has changed; one that fails stops no other."""
    agreed = desk.reviewed.sources if desk.reviewed is not None else {}
    return [
        await _pull(
            desk,
            desk.store,
            source,
            lambda _: None,
            dry_run=False,
            whole=whole,
            reviewed=agreed.get(source.name),
        )
        for source in desk.sources(names)
    ]


async def rehearse(desk: Desk, source: model.Source, watch: Callable[[PersonChange], None]) -> SourceReport:
    """What a pull would do; the hub stays as it is."""
    return await _pull(desk, desk.store, source, watch, dry_run=True)


async def pull_shown(desk: Desk, copy: SqlStore, source: model.Source, content: int) -> SourceReport:
    """Do on a copy of the hub what was shown, if the source still says it."""
    return await _pull(desk, copy, source, lambda _: None, dry_run=False, reviewed=content)


async def _pull(
    desk: Desk,
    store: SqlStore,
    source: model.Source,
    watch: Callable[[PersonChange], None],
    *,
    dry_run: bool,
    whole: bool = True,
    reviewed: int | None = None,
) -> SourceReport:
    links, started = SqlLinks(store.database), desk.now()
    is_real = not dry_run and store is desk.store
    run = None
    if is_real:
        run = await links.begin_run(store.home, "pull", source.name, started, desk.batch)
        desk.batch = run.batch
    report: PullReport | None = None
    error: str | None = None
    try:
        report = await pull(
            source,
            source_of(source, _within(desk, store, applies=not dry_run)),
            desk.hub_on(store, run),
            dry_run=dry_run,
            accept=desk.accept,
            observe=watch,
            marks=SqlSourceMarks(store.database),
            whole=whole,
            reviewed=reviewed,
        )
    except SourceError as failure:
        error = failure.detail
    if run is not None:
        await links.end_run(store.home, run, desk.now(), figures(report), error)
    number = run.number if run is not None else None
    return SourceReport(source.name, report, error, (desk.now() - started) / 1000, number)


async def pull_record(desk: Desk, source: model.Source, key: str) -> SourceReport:
    """Read one record into the hub; no rows if there is none of that key."""
    started = desk.now()
    run = await desk.links.begin_run(desk.store.home, "read", source.name, started, desk.batch)
    desk.batch = run.batch
    report: PullReport | None = None
    error: str | None = None
    try:
        report = await pull_one(source, source_of(source), desk.hub_on(desk.store, run), key)
    except SourceError as failure:
        error = failure.detail
    await desk.links.end_run(desk.store.home, run, desk.now(), figures(report), error)
    return SourceReport(source.name, report, error, (desk.now() - started) / 1000, run.number)


@dataclass(frozen=True)
class Intake:
    """What whoever keeps targets in step does with sources, by schedules and by what arrives."""

    desk: Desk

    async def pull_when_due(self, source: model.Source, since: int) -> str | None:
        """Pull what has changed in a source, unless somebody has since then; why it failed, None if it did not."""
        desk = self.desk
        run = await desk.links.begin_run_once(desk.store.home, "pull", source.name, desk.now(), since)
        if run is None:
            return None
        done, error = await self._pull_changes(source, run)
        await desk.links.end_run(desk.store.home, run, desk.now(), done, error)
        return error

    async def has_arrivals(self, source: model.Source) -> bool:
        """Whether something has come for a source that no pull has seen."""
        store = self.desk.store
        return await SqlArrivals(store.database).has_new(store.home, source.name)

    async def pull_arrivals(self, source: model.Source, sitting: Sitting) -> str | None:
        """Apply what has come for a source, as part of a run; why it failed, None if it did not."""
        links, home, now = self.desk.links, self.desk.store.home, self.desk.now
        if sitting.run is None:
            sitting.run = await links.begin_run(home, "pull", source.name, now())
        done, error = await self._pull_changes(source, sitting.run)
        sitting.counts.update(done)
        await links.end_run(home, sitting.run, now(), sitting.counts, error)
        return error

    async def _pull_changes(self, source: model.Source, run: Run) -> tuple[dict[str, int], str | None]:
        store = self.desk.store
        try:
            place, marks = source_of(source, _within(self.desk, store)), SqlSourceMarks(store.database)
            report = await pull(source, place, self.desk.hub_on(store, run), marks=marks, whole=False)
        except SourceError as failure:
            return {}, failure.detail
        return figures(report), None


def _within(desk: Desk, store: SqlStore, *, applies: bool = True) -> Within:
    loop = asyncio.get_running_loop()
    return Within(SqlArrivals(store.database), store.home, desk.now, loop, applies)
