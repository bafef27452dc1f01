"""Targets at /admin/v1: how they stand, paused and resumed, and what was given up there.

Of what the hub knows: no configuration is read here, and no target is called. Whoever keeps targets in step follows within seconds.
"""

from rollbook.protocol.compare import render_date_time
from rollbook.protocol.errors import InvalidCursor, NotFound
from rollbook.provisioning.status import target_figures, told
from rollbook.server.admin.rows import TENANT, Made, Row, Visit
from rollbook.server.admin.runs import run_of
from rollbook.server.admin.shapes import Pause, Reset, Retried, StuckList, StuckResource, Target, TargetList
from rollbook.storage.links import Progress


async def list_targets(visit: Visit) -> Made:
    """GET all that anything was ever done at."""
    found = await visit.desk.links.targets(visit.tenant.number)
    return Made(TargetList(targets=[await _target(visit, progress) for progress in found]))


async def show(visit: Visit) -> Made:
    """GET one."""
    return Made(await _target(visit, await _progress(visit)))


async def pause(visit: Visit) -> Made:
    """POST: nothing more is sent there until resume; runs that are under way notice within a second."""
    asked: Pause = visit.body
    progress = await _progress(visit)
    reason = f"paused by hand{': ' if asked.reason else ''}{asked.reason}"
    await visit.desk.links.stop(visit.tenant.number, progress.number, reason)
    await visit.tell("target.pause", "target", progress.name, reason=asked.reason)
    return await show(visit)


async def resume(visit: Visit) -> Made:
    """POST: work goes on; also where the target has asked for a pause of its own."""
    progress = await _progress(visit)
    await visit.desk.links.stop(visit.tenant.number, progress.number, None)
    await visit.desk.links.pause(visit.tenant.number, progress.number, 0, None)
    await visit.tell("target.resume", "target", progress.name)
    return await show(visit)


async def retry(visit: Visit) -> Made:
    """POST: what was given up or waits is tried again, by whoever keeps the target in step; brakes hold as ever."""
    progress, at, links = await _progress(visit), visit.desk.now(), visit.desk.links
    number = await links.unpark(visit.tenant.number, progress.number, at)
    await links.bring_forward(visit.tenant.number, progress.number, at, claimed=False)
    await visit.tell("target.retry", "target", progress.name, resources=number)
    return Made(Retried(resources=number))


async def reset(visit: Visit) -> Made:
    """POST: nothing of what the target holds is believed any more; whoever keeps it in step compares everybody, and brakes hold as ever."""
    asked: Reset = visit.body
    progress = await _progress(visit)
    await visit.desk.links.reset(visit.tenant.number, progress.number, accounts=asked.accounts)
    await visit.tell("target.reset", "target", progress.name, accounts=asked.accounts)
    return await show(visit)


async def problems(visit: Visit) -> Made:
    """GET what was given up."""
    after = 0
    if visit.cursor:
        if not (visit.cursor.isascii() and visit.cursor.isdigit() and len(visit.cursor) <= 18):
            raise InvalidCursor("this cursor is none of this list; begin again without one")
        after = int(visit.cursor)
    progress, tenant = await _progress(visit), visit.tenant.number
    found = await visit.desk.links.parked(tenant, progress.number, visit.limit + 1, after)
    page = found[: visit.limit]
    catalog = await visit.desk.store.catalog_of(tenant)
    stuck = []
    for link in page:
        one = await told(visit.desk.store, catalog, tenant, link)
        shown = visit.sees_everybody
        stuck.append(
            StuckResource(
                resource_type=one.resource_type,
                id=one.id,
                label=one.label if shown else None,
                reason=one.reason if shown else None,
                hint=one.hint if shown else None,
            )
        )
    more = str(page[-1].key) if len(found) > len(page) else None
    return Made(StuckList(problems=stuck, next_cursor=more))


async def _progress(visit: Visit) -> Progress:
    found = await visit.desk.links.target(visit.tenant.number, visit.path["name"])
    if found is None:
        raise NotFound(f"nothing was ever done at a target {visit.path['name'][:80]!r}")
    return found


async def _target(visit: Visit, progress: Progress) -> Target:
    store, tenant, at = visit.desk.store, visit.tenant.number, visit.desk.now()
    catalog = await store.catalog_of(tenant)
    found = await target_figures(store, visit.desk.links, catalog, tenant, progress.name, at, 0)
    return Target(
        name=progress.name,
        done=found.done,
        left=found.left,
        ready=found.ready,
        waiting=found.waiting,
        parked=found.parked,
        behind=found.behind,
        stopped=progress.stopped,
        paused_until=None if found.paused_until is None else render_date_time(found.paused_until),
        paused_because=found.paused_because,
        last_run=None if found.last_run is None else run_of(found.last_run, whole=visit.sees_everybody),
    )


_GROUP = "Targets"
_ONE = f"{TENANT}/targets/{{name}}"

ROWS = (
    Row("GET", f"{TENANT}/targets", "listTargets", _GROUP, "List targets, and how they stand", list_targets, answer=TargetList),
    Row("GET", _ONE, "readTarget", _GROUP, "Show how a target stands", show, answer=Target),
    Row("POST", f"{_ONE}/pause", "pauseTarget", _GROUP, "Send nothing more to a target until resume", pause, Pause, Target),
    Row("POST", f"{_ONE}/resume", "resumeTarget", _GROUP, "Let work on a target go on", resume, answer=Target),
    Row("POST", f"{_ONE}/retry", "retryTarget", _GROUP, "Try again what was given up or waits", retry, answer=Retried),
    Row("POST", f"{_ONE}/reset", "resetTarget", _GROUP, "Believe nothing of what a target holds: everybody there is compared anew", reset, Reset, Target),
    Row("GET", f"{_ONE}/problems", "listProblems", _GROUP, "List what was given up at a target, and why", problems, answer=StuckList, is_paged=True),
)  # fmt: skip
