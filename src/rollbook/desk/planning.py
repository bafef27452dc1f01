"""What an apply would do: seen at sources and targets, and carried out on a copy of the hub only."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from rollbook.desk.desk import Desk
from rollbook.desk.pulls import pull_shown, rehearse
from rollbook.desk.reports import Planned, PlanWatch, SourceReport
from rollbook.provisioning import model
from rollbook.provisioning.preview import Preview, Previewer
from rollbook.provisioning.targets.scim import connect
from rollbook.provisioning.worker import first_of
from rollbook.storage.sql.store import SqlStore


async def plan(
    desk: Desk, names: Iterable[str], watch: PlanWatch, *, read_sources: bool, full: bool = False
) -> Planned:
    """What apply would do. Changes of sources are carried out on a copy of the hub, and lost with it.

    With `full` what everybody should have is worked out anew, not only for those that have changed.
    """
    targets = desk.targets(names)
    planned = Planned()
    for source in desk.config.sources.values() if read_sources else ():
        watch.source(source)
        planned.sources.append(await rehearse(desk, source, watch.person))
        watch.source_end(planned.sources[-1])
    if any(source.report and source.report.changes for source in planned.sources):
        async with desk.store.database.copied() as database:
            copy = desk.store.twin(database)
            await copy.open()
            planned.sources = [await _carry_out(desk, copy, shown, watch) for shown in planned.sources]
            await preview(desk, copy, targets, planned, watch, full=full)
    else:
        await preview(desk, desk.store, targets, planned, watch, full=full)
    return planned


async def _carry_out(desk: Desk, copy: SqlStore, shown: SourceReport, watch: PlanWatch) -> SourceReport:
    """Do on a copy of the hub what was shown; returns that, or why it cannot be done any more."""
    if shown.report is None:
        return shown
    done = await pull_shown(desk, copy, desk.config.sources[shown.source], shown.report.content)
    if done.report is not None:
        return shown
    watch.source_end(done)
    return done


async def preview(
    desk: Desk,
    store: SqlStore,
    targets: Sequence[model.Target],
    planned: Planned,
    watch: PlanWatch,
    removes: Mapping[str, frozenset[str]] = MappingProxyType({}),
    *,
    full: bool = False,
) -> None:
    """What targets would see of the hub, or of a copy of it; goes to the figures of `planned`."""
    for target in targets:
        watch.target(target)
        try:
            far = connect(target)
        except ValueError as error:
            planned.targets.append(Preview(target.name, stopped=str(error)))
            continue
        gone = removes.get(target.name, frozenset())
        previewer = Previewer(desk.engine_on(store), target, far, gone, full=full)
        try:
            async for item in previewer.items():
                watch.item(item)
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None
        finally:
            await far.close()
        planned.targets.append(previewer.preview)
