"""A run is taken back: what that means, what targets would see of it, and doing it."""

from rollbook.desk.applying import deliver
from rollbook.desk.desk import Desk
from rollbook.desk.errors import DeskError
from rollbook.desk.planning import preview
from rollbook.desk.reports import Planned, PlanWatch
from rollbook.provisioning.orders import Report, Watch
from rollbook.provisioning.undo import Undo, UndoPlan
from rollbook.storage.runs import Run
from rollbook.storage.sql.archive import Archive
from rollbook.storage.sql.links import SqlLinks
from rollbook.storage.sql.store import SqlStore


async def plan_undo(desk: Desk, number: int) -> tuple[UndoPlan, list[Run]]:
    """What taking a run back means, with all that the same command did.

    Raises:
        DeskError: there is no such run.
    """
    runs = list(await desk.links.batch(desk.store.home, number))
    if not runs:
        latest = [run.batch for run in await desk.links.runs(desk.store.home, 1)]
        told = f"the latest is {latest[0]}" if latest else "there was none yet"
        raise DeskError(f"there is no run {number}; {told}, see rollbook runs")
    return await _undo(desk.store).plan(runs), runs


async def preview_undo(desk: Desk, plan: UndoPlan, watch: PlanWatch) -> Planned:
    """What the targets would see of an undo; the hub's part is carried out on a copy."""
    planned = Planned()
    targets = [target for target in desk.targets() if target.name in plan.made or plan.steps]
    async with desk.store.database.copied() as database:
        copy = desk.store.twin(database)
        await copy.open()
        await _undo(copy).carry_out(plan, desk.now())
        await preview(desk, copy, targets, planned, watch, plan.made)
    return planned


async def undo(desk: Desk, plan: UndoPlan, planned: Planned, watch: Watch) -> list[Report]:
    """Take a run back: the hub first, then every target that the plan found something for."""
    links, home = desk.links, desk.store.home
    run = await links.begin_run(home, "undo", str(plan.number), desk.now())
    desk.batch = run.batch
    await _undo(desk.store).carry_out(plan, desk.now(), run=run.number, origin=desk.origin)
    await links.end_run(home, run, desk.now(), {"resources": len(plan.steps)}, None)
    due = {preview.target for preview in planned.targets if preview.pending}
    approvals = [wave.approval for one in planned.targets for wave in one.braked]
    targets = [target for target in desk.targets() if target.name in due]
    return await deliver(desk, targets, watch, approvals=approvals, removes=plan.made)


def _undo(store: SqlStore) -> Undo:
    archive = Archive(store, store.home)
    return Undo(store.home, store.catalog, store, SqlLinks(store.database), archive)
