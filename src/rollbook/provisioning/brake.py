"""The safety brake: a run that would take away, or make, too many accounts stops before its first call, and asks (I-13, T-70).

It looks at what is due, and asks the hub only, so that a run that is stopped has not touched the target.
"""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil
from types import MappingProxyType

from rollbook.protocol.values import JsonObject
from rollbook.provisioning import model
from rollbook.provisioning.model import BrakeLimit, Leave
from rollbook.provisioning.reach import groups_count
from rollbook.provisioning.wanted import Kind, hub_document, label_of, left_because
from rollbook.provisioning.work import Engine, leave_of
from rollbook.storage.links import Link, Progress

DAY = 86_400_000
"""In milliseconds."""

_PAGE = 500

_DIGESTS = 2**128

GET = "get"
"""What is done for whoever has no account, made or taken over."""


Agreed = Mapping[str, str]
"""Hub ids with their resource types."""


class Way(StrEnum):
    """Which way accounts go."""

    DEPARTURES = "departures"
    ARRIVALS = "arrivals"


OPTIONS = {Way.DEPARTURES: "--accept-deletions", Way.ARRIVALS: "--accept-arrivals"}
"""Of the command that says that they are right."""


@dataclass(frozen=True)
class Approval:
    """What somebody agreed to: so many departures or arrivals, and exactly those of a plan."""

    number: int
    plan: str


@dataclass
class Wave:
    """Whose accounts a run would disable or delete, or who would get one, and why it may not, None if it may."""

    target: str
    way: Way = Way.DEPARTURES
    ids: dict[str, str] = field(default_factory=dict, repr=False)
    """The hub ids, each with its resource type."""
    keys: set[int] = field(default_factory=set, repr=False)
    """The keys of their links; a plan knows none of whoever has no link yet."""
    verbs: set[str] = field(default_factory=set)
    refusal: str | None = None
    _digest: int = field(default=0, repr=False)

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.ids)

    def add(self, link: Link, verb: str, person: str | None = None) -> None:
        """Count one; the order does not matter. `person` tells somebody whom a plan may know under another id than the run."""
        if link.id in self.ids:
            return
        self.ids[link.id] = link.resource_type
        self.keys.add(link.key)
        self.verbs.add(verb)
        text = f"{self.target}\0{verb}\0{link.resource_type}\0{person or link.id}".encode()
        number = int.from_bytes(hashlib.blake2b(text, digest_size=16).digest())
        # Added, as two who are new may be told by the same; departures are told by ids, and plans of versions before had this.
        self._digest = self._digest ^ number if person is None else (self._digest + number) % _DIGESTS

    @property
    def plan(self) -> str:
        """A name for exactly these."""
        return f"{self._digest:032x}"[:12] if self.number else ""

    @property
    def approval(self) -> Approval:
        """What lets them happen."""
        return Approval(self.number, self.plan)

    @property
    def options(self) -> str:
        """The same as options of a command."""
        return f"{OPTIONS[self.way]} {self.number} --plan {self.plan}"


@dataclass(frozen=True)
class Waves:
    """Both of a target."""

    departures: Wave
    arrivals: Wave

    @classmethod
    def none(cls, target: str) -> "Waves":
        """Nobody yet."""
        return cls(Wave(target), Wave(target, Way.ARRIVALS))

    @property
    def refused(self) -> Sequence[Wave]:
        """Those that may not happen."""
        return [wave for wave in (self.departures, self.arrivals) if wave.refusal is not None]


def how_to_approve(refused: Sequence[Wave]) -> str:
    """The command that lets them happen."""
    return f"rollbook apply {refused[0].target} {' '.join(wave.options for wave in refused)}"


def departs(link: Link, left: str | None, leave: Leave, kind: Kind) -> bool:
    """Whether somebody's account would be disabled or deleted, as far as the hub and the link tell."""
    if left is None or link.remote_id is None:
        return False
    if leave is Leave.DISABLE:
        return not link.disabled and kind.resource_type.schema.attribute("active") is not None
    # Whose grace period is over was counted when it began.
    return leave is Leave.DELETE and not (link.disabled and link.left_at is not None)


def arrives(link: Link, left: str | None) -> bool:
    """Whether somebody would get an account, made or taken over."""
    return left is None and link.remote_id is None


def person_of(document: JsonObject | None) -> str:
    """Who is new, by what does not depend on when the hub was told: a plan is made on a copy of it, with ids of its own."""
    found = document or {}
    return f"{found.get('externalId')}\0{label_of(found)}"


@dataclass(frozen=True)
class Brake:
    """Decides for one target whether so many may go, and come."""

    engine: Engine
    target: model.Target
    kinds: Mapping[str, Kind]
    removes: frozenset[str] = frozenset()
    """The hub ids of those whose accounts go for good if they have left."""

    async def look(self, progress: Progress, only: str | None = None) -> Waves:
        """Who would go and come, of what is due now; or whether that one would."""
        found, limit = Waves.none(self.target.name), self.target.brake
        if limit is None:
            return found
        if self.target.leave.every != {Leave.KEEP} or self.removes:
            async for kind, link, document in self._due(progress, only, accounts=True):
                left = left_because(kind, document)
                leave = leave_of(link, left, self.target, kind, self.engine.now())
                leave = Leave.DELETE if link.id in self.removes else leave
                if departs(link, left, leave, kind):
                    found.departures.add(link, leave.value)
        if self.counts_arrivals(progress):
            async for kind, link, document in self._due(progress, only, accounts=False):
                if arrives(link, left_because(kind, document)):
                    found.arrivals.add(link, GET, person_of(document))
        return found

    def counts_arrivals(self, progress: Progress | None) -> bool:
        """Whether new accounts are counted by now: a target's first load, and its first days, are free."""
        limit = self.target.brake
        if limit is None or limit.arrivals is None or progress is None or progress.arrivals_from is None:
            return False
        return self.engine.now() >= progress.arrivals_from

    async def judge(
        self,
        progress: Progress | None,
        found: Waves,
        approvals: Collection[Approval] = (),
        agreed: Mapping[Way, Agreed] = MappingProxyType({}),
    ) -> Sequence[Wave]:
        """Those with the reason that are too many, nothing if the run may go on.

        `agreed` are those that an approval was for earlier in the run: some are done by now, and all of them count no more.
        """
        limit = self.target.brake
        if progress is None or limit is None:
            return []
        if found.departures.approval not in approvals:
            await self._judge_departures(progress, limit, found.departures, agreed.get(Way.DEPARTURES, {}))
        if found.arrivals.approval not in approvals:
            await self._judge_arrivals(progress, limit, found.arrivals, agreed.get(Way.ARRIVALS, {}))
        return found.refused

    async def _judge_departures(
        self, progress: Progress, limit: BrakeLimit, found: Wave, agreed: Agreed
    ) -> None:
        told = [
            await self._too_many(progress, limit, name, number, done)
            for name, number, done in _counts(found, agreed)
        ]
        reasons = [reason for reason in told if reason is not None]
        if reasons:
            found.refusal = (
                f"it would {' or '.join(sorted(found.verbs))} {' and '.join(reasons)}; more than {limit.share:.0%} in"
                f" {limit.days} days need somebody's word, and nothing was sent"
            )

    async def _judge_arrivals(
        self, progress: Progress, limit: BrakeLimit, found: Wave, agreed: Agreed
    ) -> None:
        told = [
            await self._too_many_new(progress, limit, name, number, done)
            for name, number, done in _counts(found, agreed)
        ]
        reasons = [reason for reason in told if reason is not None]
        if reasons and limit.arrivals is not None:
            found.refusal = (
                f"it would make or take over {' and '.join(reasons)}; more than {limit.arrivals.share:.0%} new ones in"
                f" {limit.days} days need somebody's word, and nothing was sent"
            )

    async def _too_many(
        self, progress: Progress, limit: BrakeLimit, name: str, leaving: int, done: int
    ) -> str | None:
        """How many go, in words, if so many are too many."""
        engine = self.engine
        since = max(engine.now() - limit.days * DAY, progress.approved)
        gone = await engine.links.departed(engine.tenant, progress.number, name, since)
        gone = max(gone - done, 0)
        total = leaving + gone
        enough = ceil(total / limit.share) + 1 if limit.share else total + 1
        held = await engine.links.held(engine.tenant, progress.number, name, enough)
        everyone = held <= leaving and leaving > 1
        if not everyone and (total < limit.least or total <= limit.share * (held + gone)):
            return None
        share = f"all {leaving}" if everyone else f"{leaving} of {_told(held, enough)}"
        before = f", after {gone} in the last {limit.days} days" if gone else ""
        return f"{share} {name} accounts{before}"

    async def _too_many_new(
        self, progress: Progress, limit: BrakeLimit, name: str, new: int, done: int
    ) -> str | None:
        """How many come, in words, if so many are too many beside those that were there before."""
        engine, most = self.engine, limit.arrivals
        if most is None:
            return None
        since = max(engine.now() - limit.days * DAY, progress.arrivals_from or 0)
        made = await engine.links.arrived(engine.tenant, progress.number, name, since)
        made = max(made - done, 0)
        total = new + made
        enough = (ceil(total / most.share) if most.share else 0) + made + 1
        held = await engine.links.held(engine.tenant, progress.number, name, enough)
        if total < most.least or total <= most.share * max(held - made, 0):
            return None
        before = f", after {made} in the last {limit.days} days" if made else ""
        return f"{new} {name} accounts beside {_told(held, enough)}{before}"

    async def _due(
        self, progress: Progress, only: str | None, *, accounts: bool
    ) -> AsyncIterator[tuple[Kind, Link, JsonObject | None]]:
        """What is to be worked on and has an account, or has none; with the hub's resource, None if it is gone."""
        for kind in self.kinds.values():
            async for page in self._pages(progress, kind, only, accounts=accounts):
                documents = await self._documents(kind, page)
                for link in page:
                    yield kind, link, documents.get(link.id)

    async def _documents(self, kind: Kind, links: Sequence[Link]) -> Mapping[str, JsonObject]:
        """The hub's resources; without their groups, which cost most, where nothing depends on them."""
        store, name = self.engine.store, kind.resource_type
        ids = [link.id for link in links]
        found = await store.get_many(self.engine.tenant, name, ids, members=False, groups=groups_count(kind))
        return {own: hub_document(record, name) for own, record in found.items()}

    async def _pages(
        self, progress: Progress, kind: Kind, only: str | None, *, accounts: bool
    ) -> AsyncIterator[Sequence[Link]]:
        links, tenant, name = self.engine.links, self.engine.tenant, kind.resource_type.name
        if only is not None:
            one = await links.link(tenant, progress.number, only)
            if one is not None and one.resource_type == name and (one.remote_id is not None) is accounts:
                yield [one]
            return
        after = (-(2**62), -1)
        while True:
            page = await links.to_do(tenant, progress.number, kind.rank, after, _PAGE, accounts=accounts)
            yield [link for _, link in page if link.resource_type == name]
            if len(page) < _PAGE:
                return
            after = page[-1][0]


def _counts(found: Wave, agreed: Agreed) -> Sequence[tuple[str, int, int]]:
    """By resource type: how many there are beside those agreed to, and how many of these are done."""
    new = Counter(name for own, name in found.ids.items() if own not in agreed)
    done = Counter(name for own, name in agreed.items() if own not in found.ids)
    return [(name, number, done[name]) for name, number in new.items()]


def _told(held: int, enough: int) -> str:
    return f"more than {held}" if held >= enough else str(held)
