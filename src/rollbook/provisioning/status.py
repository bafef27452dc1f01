"""How sources and targets stand: figures for the command line and, later, the console. Reads only."""

from dataclasses import dataclass, replace

from rollbook.protocol.catalog import Catalog
from rollbook.provisioning import model
from rollbook.provisioning.credentials import warning_of
from rollbook.provisioning.wanted import record_label
from rollbook.storage.base import Store
from rollbook.storage.links import Link, LinkStore, State
from rollbook.storage.runs import Run


@dataclass(frozen=True)
class ParkedLink:
    """Somebody nothing more happens to at a target, why, and what to try."""

    resource_type: str
    id: str
    label: str
    reason: str
    hint: str | None


@dataclass(frozen=True)
class TargetStatus:
    """Figures of one target. `behind` is how many rows of the change log it has not looked at."""

    target: str
    done: int = 0
    left: int = 0
    ready: int = 0
    waiting: int = 0
    parked: int = 0
    behind: int = 0
    paused_until: int | None = None
    paused_because: str | None = None
    last_run: Run | None = None
    problems: tuple[ParkedLink, ...] = ()
    credentials_end: int | None = None
    """When its credentials end, as far as anybody says."""
    warning: str | None = None
    """What is said of that by now."""


@dataclass(frozen=True)
class SourceStatus:
    """One source and its last pull."""

    source: str
    last_run: Run | None = None
    uncertain: int = 0
    """Records that wait for somebody to decide whose they are."""


async def target_status(
    store: Store,
    links: LinkStore,
    catalog: Catalog,
    tenant: int,
    configured: model.Target,
    now: int,
    *,
    limit: int = 20,
) -> TargetStatus:
    """The figures of a target, with at most `limit` of those that failed; all zero if nothing was done there yet."""
    found = await target_figures(store, links, catalog, tenant, configured.name, now, limit)
    return replace(found, credentials_end=configured.ends, warning=warning_of(configured, now))


async def target_figures(
    store: Store, links: LinkStore, catalog: Catalog, tenant: int, target: str, now: int, limit: int
) -> TargetStatus:
    """The same of a target whose configuration is not known here."""
    last_run = await links.last_run(tenant, "apply", target)
    progress = await links.target(tenant, target)
    if progress is None:
        return TargetStatus(target, behind=await store.last_change(tenant), last_run=last_run)
    figures = await links.figures(tenant, progress.number, now)
    paused = progress.paused_until > now
    ready = figures.states.get(State.READY, 0) + figures.states.get(State.CLAIMED, 0)
    return TargetStatus(
        target,
        done=figures.states.get(State.DONE, 0),
        left=figures.states.get(State.LEFT, 0),
        ready=ready - figures.waiting,
        waiting=figures.waiting,
        parked=figures.states.get(State.PARKED, 0),
        behind=await store.last_change(tenant) - progress.position,
        paused_until=progress.paused_until if paused else None,
        paused_because=progress.error if paused else None,
        last_run=last_run,
        problems=await _parked(store, links, catalog, tenant, progress.number, limit),
    )


async def _parked(
    store: Store, links: LinkStore, catalog: Catalog, tenant: int, number: int, limit: int
) -> tuple[ParkedLink, ...]:
    stuck = await links.parked(tenant, number, limit)
    failed = [*stuck, *await links.waiting(tenant, number, limit - len(stuck))]
    return tuple([await told(store, catalog, tenant, link) for link in failed])


async def told(store: Store, catalog: Catalog, tenant: int, link: Link) -> ParkedLink:
    """What people are told of somebody who is stuck."""
    resource_type = catalog.resource_type(link.resource_type)
    record = None
    if resource_type is not None:
        record = await store.get(tenant, resource_type, link.id, members=False)
    label = record_label(record, resource_type) if record and resource_type else None
    reason, _, hint = (link.error or "").partition("\n")
    return ParkedLink(link.resource_type, link.id, label or link.id, reason, hint or None)
