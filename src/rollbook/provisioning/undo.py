"""Taking a run back: the hub becomes what it was before, and the targets follow as they follow everything.

Nothing is sent that a target's mapping does not name, and nothing is guessed: what somebody changed since stays as it is,
and is told. Accounts that the run made go, whatever a target's leave policy is.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import RequestError
from rollbook.protocol.schema import ResourceType
from rollbook.provisioning.items import Action
from rollbook.provisioning.wanted import label_of
from rollbook.storage.base import USUAL, Author, LogEntry, Store
from rollbook.storage.documents import view
from rollbook.storage.links import LinkStore
from rollbook.storage.runs import Run
from rollbook.storage.sql.archive import Archive
from rollbook.storage.sql.history import Version

_PAGE = 1000


class Back(StrEnum):
    """How a resource of the hub becomes what it was."""

    RESTORE = "restore"
    REVIVE = "bring back"
    REMOVE = "remove"


@dataclass(frozen=True)
class HubStep:
    """One resource to be made what it was; `version` is what it was, None for one that was not there."""

    way: Back
    resource_type: ResourceType
    id: str
    label: str
    version: Version | None


@dataclass(frozen=True)
class Kept:
    """Something that a run did and that stays, and why."""

    label: str
    reason: str


@dataclass
class UndoPlan:
    """What taking a batch of runs back means in the hub, and what of it cannot be taken back.

    `made` has the hub ids whose accounts the runs made, by target.
    """

    number: int
    steps: list[HubStep] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    made: dict[str, frozenset[str]] = field(default_factory=dict)


def author_of(run: Run) -> str:
    """Who the change log says made the changes of a run in the hub."""
    known = {"pull": "source", "read": "source", "audit": "target"}  # an audit takes over what a target has
    return f"{known.get(run.kind, run.kind)} {run.subject}"


@dataclass(frozen=True)
class Undo:
    """Plans and carries out the hub's part of an undo."""

    tenant: int
    catalog: Catalog
    store: Store
    links: LinkStore
    archive: Archive

    async def plan(self, runs: Sequence[Run]) -> UndoPlan:
        """What taking these runs back would do."""
        found = UndoPlan(runs[0].batch or runs[0].number)
        touched: dict[tuple[str, str], list[LogEntry]] = {}
        for run in runs:
            async for entry in self._changes(run):
                touched.setdefault((entry.resource_type, entry.id), []).append(entry)
        for (type_name, own), entries in touched.items():
            step = await self._step(type_name, own, entries)
            if isinstance(step, HubStep):
                found.steps.append(step)
            else:
                found.kept.append(step)
        found.steps.sort(key=_order)
        for run in runs:
            if run.kind == "apply":
                found.made[run.subject] = frozenset([own async for own in self._made(run)])
        return found

    async def carry_out(
        self, plan: UndoPlan, now: int, *, run: int | None = None, origin: str | None = None
    ) -> None:
        """Make the hub what it was; what cannot be done is added to what stays. `run` is this one's number."""
        author = Author(f"undo {plan.number}", now, origin=origin, run=run)
        for step in plan.steps:
            try:
                await self._carry_out(step, author)
            except RequestError as error:
                plan.kept.append(Kept(step.label, error.detail))

    async def _carry_out(self, step: HubStep, author: Author) -> None:
        if step.version is None:
            await self.store.delete(self.tenant, step.resource_type, step.id, author)
        else:
            await self.archive.restore(step.resource_type, step.version, author, USUAL)

    async def _changes(self, run: Run) -> AsyncIterator[LogEntry]:
        """What a run changed in the hub, in order."""
        if run.from_change is None or run.to_change is None:
            return
        after, author = run.from_change, author_of(run)
        while after < run.to_change:
            page = await self.store.changes(self.tenant, after, min(_PAGE, run.to_change - after))
            if not page:
                return
            after = page[-1].sequence
            for entry in page:
                if entry.author == author:
                    yield entry

    async def _made(self, run: Run) -> AsyncIterator[str]:
        after = None
        while page := await self.links.delivered(self.tenant, run.number, after, _PAGE):
            after = page[-1]
            for one in page:
                if one.action == Action.CREATE:
                    yield one.id

    async def _step(self, type_name: str, id: str, entries: Sequence[LogEntry]) -> HubStep | Kept:
        """Cases: 1. changed since; 2. it was not there before; 3. what it was is forgotten; 4. it comes back."""
        kind = self.catalog.resource_type(type_name)
        label = f"{type_name} {await self._label(id)}"
        if kind is None:
            return Kept(label, f"{type_name} is not defined any more")
        (newest,) = await self.archive.versions(id, limit=1)
        if newest.sequence != entries[-1].sequence:
            return Kept(label, f"changed since by {newest.author}; that stays")
        before = await self.archive.versions(id, entries[0].sequence, 1)
        gone = newest.operation == "delete"
        if entries[0].operation == "create" or (before and before[0].operation == "delete"):
            return (
                Kept(label, "made and removed by the same run")
                if gone
                else HubStep(Back.REMOVE, kind, id, label, None)
            )
        version = await self.archive.at(before[0]) if before else None
        if version is None or version.document is None:
            return Kept(label, "what it was is not kept any more")
        named = f"{type_name} {label_of(version.document) or id}"
        return HubStep(Back.REVIVE if gone else Back.RESTORE, kind, id, named, version)

    async def _label(self, id: str) -> str:
        for kind in self.catalog.resource_types:
            record = await self.store.get(self.tenant, kind, id, members=False, groups=False)
            if record is not None:
                return label_of(view(record, kind)) or id
        return id


def _order(step: HubStep) -> tuple[int, int]:
    """Those who come back before the groups they were in; those who go, last."""
    return (2 if step.way is Back.REMOVE else 0), int(step.resource_type.memberships is not None)
