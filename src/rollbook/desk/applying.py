"""Targets are brought up to date: after the sources were read, with what was agreed to, or with nothing but the hub."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from rollbook.desk.desk import Desk
from rollbook.desk.pulls import pull_sources
from rollbook.desk.reports import Applied
from rollbook.provisioning import model
from rollbook.provisioning.brake import DAY, Approval
from rollbook.provisioning.orders import Report, Watch
from rollbook.provisioning.targets.scim import connect
from rollbook.provisioning.worker import Worker


async def apply(
    desk: Desk,
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
        DeskError: what was reviewed is not what the hub has any more.
    """
    targets = desk.targets(names)
    if desk.reviewed is not None:
        await desk.reviewed.check_hub(desk.store, targets, "nothing was done")
    sources = await pull_sources(desk, []) if read_sources else []
    if desk.reviewed is not None:
        if any(one.report is None for one in sources):
            return Applied(sources, [])
        pulled = [one.source for one in sources]
        await desk.reviewed.check_hub(desk.store, targets, "nothing was sent", pulled)
    return Applied(sources, await deliver(desk, targets, watch, retry=retry, approvals=approvals))


async def deliver(
    desk: Desk,
    targets: Sequence[model.Target],
    watch: Watch,
    *,
    retry: bool = False,
    approvals: Sequence[Approval] = (),
    removes: Mapping[str, frozenset[str]] = MappingProxyType({}),
) -> list[Report]:
    """Bring targets up to date with the hub, and forget what was done there too long ago."""
    worker = Worker(desk.engine, connect, watch=watch)
    lock, alone = desk.store.database.work_lock()
    try:
        reports = await worker.run(
            targets,
            unpark=retry,
            now=True,
            alone=alone,
            approvals=approvals,
            batch=desk.batch,
            removes=removes,
        )
    finally:
        lock.release()
    await _forget_old(desk, targets)
    return reports


async def _forget_old(desk: Desk, targets: Sequence[model.Target]) -> None:
    older_than, home = desk.now() - desk.config.keep_days * DAY, desk.store.home
    for target in targets:
        progress = await desk.links.target(home, target.name)
        while progress and await desk.links.forget_deliveries(home, progress.number, older_than):
            pass
