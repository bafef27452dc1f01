"""A desk: the configuration and the open hub, and what is looked up there."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from rollbook.desk.errors import DeskError
from rollbook.desk.telling import Telling, tell, telling
from rollbook.provisioning import model
from rollbook.provisioning.hub import Hub
from rollbook.provisioning.names import suggest
from rollbook.provisioning.reach import reach_digest
from rollbook.provisioning.status import SourceStatus, TargetStatus, target_status
from rollbook.provisioning.work import Engine
from rollbook.storage.base import Act, Author
from rollbook.storage.ids import new_id
from rollbook.storage.runs import Run
from rollbook.storage.sql.clock import DatabaseClock
from rollbook.storage.sql.links import SqlLinks
from rollbook.storage.sql.matches import SqlMatches
from rollbook.storage.sql.source_records import SqlSourceRecords
from rollbook.storage.sql.store import SqlStore

if TYPE_CHECKING:
    from rollbook.desk.reviewed import Reviewed

Named = TypeVar("Named")


@dataclass(frozen=True)
class Sitter:
    """Who sits at a desk: what the audit log calls what is done there, and the clock.

    `author` says who writes, given what is done (apply, undo …); `lease`: for how many milliseconds work that is taken up is theirs.
    """

    author: Callable[[str], Author]
    now: Callable[[], int]
    lease: int


class Desk:
    """The configuration and the open hub."""

    def __init__(self, config: model.Config, store: SqlStore, sitter: Sitter) -> None:
        self.config = config
        self.store = store
        self.sitter = sitter
        self.now = sitter.now
        self.clock = DatabaseClock(store.database, sitter.now)
        """By which work is taken up."""
        self.accept: frozenset[str] = frozenset()
        """Keys of records that may be another person than before (T-70)."""
        self.batch: int | None = None
        """The number of the first run this has made; all others belong to it."""
        self.reviewed: Reviewed | None = None
        """What a plan was made of that was agreed to."""

    @property
    def origin(self) -> str | None:
        """From where what is done here is done."""
        return self.sitter.author("").origin

    @property
    def links(self) -> SqlLinks:
        """What is known of the targets."""
        return SqlLinks(self.store.database)

    @property
    def matches(self) -> SqlMatches:
        """Records nobody is sure of."""
        return SqlMatches(self.store.database)

    @property
    def engine(self) -> Engine:
        """What work on the hub is given."""
        return self.engine_on(self.store)

    def engine_on(self, store: SqlStore) -> Engine:
        """The same for a copy of the hub."""
        links = SqlLinks(store.database)
        return Engine(
            store.home,
            store.catalog,
            store,
            links,
            self.clock.now,
            asyncio.sleep,
            self.sitter.lease,
            keep_time=self.clock.keep,
        )

    @property
    def hub(self) -> Hub:
        """The hub as a pull writes it."""
        return self.hub_on(self.store)

    def hub_on(self, store: SqlStore, run: Run | None = None) -> Hub:
        """The hub, or a copy of it, as a run writes it."""
        records, matches = SqlSourceRecords(store.database), SqlMatches(store.database)
        number = None if run is None else run.number
        return Hub(store, records, store.catalog, store.home, self.now, new_id, matches, number, self.origin)

    def sources(self, names: Iterable[str] = ()) -> list[model.Source]:
        """The sources of those names, all if none is named."""
        return _chosen("source", self.config.sources, names)

    def targets(self, names: Iterable[str] = ()) -> list[model.Target]:
        """The targets of those names, all if none is named."""
        return _chosen("target", self.config.targets, names)

    async def tell(self, command: str, names: Iterable[str], **detail: Any) -> None:
        """Tell the audit log what was done to targets."""
        await tell(self.store, self._act(command, names, detail))

    def telling(
        self, command: str, names: Iterable[str], **detail: Any
    ) -> AbstractAsyncContextManager[Telling]:
        """Tell the audit log that something is begun with targets, and what came of it."""
        return telling(self.store, self._act(command, names, detail), self.now)

    def _act(self, command: str, names: Iterable[str], detail: Mapping[str, Any]) -> Act:
        named = ", ".join(target.name for target in self.targets(names))
        told = {name: value for name, value in detail.items() if value not in (None, False, "")}
        author, home = self.sitter.author(command), self.store.home
        return Act(author, home, f"target.{command}", "target", named, detail=told)

    async def numbers(self, names: Iterable[str]) -> list[int]:
        """The numbers of targets; those that nothing was done at yet are made known."""
        engine, found = self.engine, []
        for target in self.targets(names):
            digest = reach_digest(target, engine.catalog, engine.today)
            known = await engine.links.open_target(engine.tenant, target.name, digest, flat=target.is_flat)
            found.append(known.number)
        return found

    async def undecided(self, source: str) -> int:
        """How many records of a source wait for somebody to decide whose they are."""
        return await self.matches.count_open(self.store.home, source)

    async def status(self, names: Iterable[str]) -> tuple[list[SourceStatus], list[TargetStatus]]:
        """How sources and targets stand."""
        links, catalog, home = self.links, self.store.catalog, self.store.home
        sources = [
            SourceStatus(name, await links.last_run(home, "pull", name), await self.undecided(name))
            for name in self.config.sources
        ]
        targets = [
            await target_status(self.store, links, catalog, home, target, self.now())
            for target in self.targets(names)
        ]
        return sources, targets


def _chosen(kind: str, known: Mapping[str, Named], names: Iterable[str]) -> list[Named]:
    wanted = list(dict.fromkeys(names)) or list(known)
    for name in wanted:
        if name not in known:
            near = suggest(name, known)
            advice = f"did you mean {near}?" if near else f"there are: {', '.join(known) or 'none'}"
            raise DeskError(f"there is no {kind} {name!r} in the configuration; {advice}")
    return [known[name] for name in wanted]
