"""The safety brake: a run that would take away too many accounts stops before its first call, and asks (I-13).

It looks at what is due and has an account, and asks the hub only, so that a run that is stopped has not touched the target.
"""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field
from math import ceil

from rollbook.provisioning import model
from rollbook.provisioning.model import BrakeLimit, Leave
from rollbook.provisioning.wanted import Kind, left_because
from rollbook.provisioning.work import Engine, document_of, leave_of
from rollbook.storage.links import Link, Progress

DAY = 86_400_000
"""In milliseconds."""

_PAGE = 500


@dataclass(frozen=True)
class Approval:
    """What somebody agreed to: so many departures, and exactly those of a plan."""

    number: int
    plan: str


@dataclass
class Departures:
    """Whose accounts a run would disable or delete, and why it may not, None if it may."""

    target: str
    keys: set[int] = field(default_factory=set, repr=False)
    """The keys of their links."""
    counts: Counter[str] = field(default_factory=Counter)
    """How many of each resource type."""
    verbs: set[str] = field(default_factory=set)
    refusal: str | None = None
    _digest: int = field(default=0, repr=False)

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.keys)

    def add(self, link: Link, leave: Leave) -> None:
        """Count one; the order does not matter."""
        if link.key in self.keys:
            return
        self.keys.add(link.key)
        self.counts[link.resource_type] += 1
        self.verbs.add(leave.value)
        text = f"{self.target}\0{leave}\0{link.resource_type}\0{link.id}".encode()
        self._digest ^= int.from_bytes(hashlib.blake2b(text, digest_size=16).digest())

    @property
    def plan(self) -> str:
        """A name for exactly these departures."""
        return f"{self._digest:032x}"[:12] if self.number else ""

    @property
    def how_to_approve(self) -> str:
        """The command that lets them happen."""
        return f"rollbook apply {self.target} --accept-deletions {self.number} --plan {self.plan}"


def departs(link: Link, left: str | None, leave: Leave, kind: Kind) -> bool:
    """Whether somebody's account would be disabled or deleted, as far as the hub and the link tell."""
    if left is None or link.remote_id is None:
        return False
    if leave is Leave.DISABLE:
        return not link.disabled and kind.resource_type.schema.attribute("active") is not None
    # Whose grace period is over was counted when it began.
    return leave is Leave.DELETE and not (link.disabled and link.left_at is not None)


@dataclass(frozen=True)
class Brake:
    """Decides for one target whether so many may go."""

    engine: Engine
    target: model.Target
    kinds: Mapping[str, Kind]
    removes: frozenset[str] = frozenset()
    """The hub ids of those whose accounts go for good if they have left."""

    async def look(self, progress: Progress, only: str | None = None) -> Departures:
        """Who would go, of what is due now; or whether that one would."""
        found = Departures(self.target.name)
        if self.target.brake is None or (self.target.leave.every == {Leave.KEEP} and not self.removes):
            return found
        for kind in self.kinds.values():
            async for link in self._due(progress, kind, only):
                left = await self._left(kind, link)
                leave = leave_of(link, left, self.target, kind, self.engine.now())
                leave = Leave.DELETE if link.id in self.removes else leave
                if departs(link, left, leave, kind):
                    found.add(link, leave)
        return found

    async def judge(
        self, progress: Progress | None, found: Departures, approvals: Collection[Approval] = ()
    ) -> Departures | None:
        """The departures with the reason if they are too many, None if the run may go on."""
        limit = self.target.brake
        if progress is None or limit is None or Approval(found.number, found.plan) in approvals:
            return None
        reasons = [
            reason
            for name, number in found.counts.items()
            if (reason := await self._too_many(progress, limit, name, number)) is not None
        ]
        if not reasons:
            return None
        found.refusal = (
            f"it would {' or '.join(sorted(found.verbs))} {' and '.join(reasons)}; more than {limit.share:.0%} in"
            f" {limit.days} days need somebody's word, and nothing was sent"
        )
        return found

    async def _too_many(self, progress: Progress, limit: BrakeLimit, name: str, leaving: int) -> str | None:
        """How many go, in words, if so many are too many."""
        engine = self.engine
        since = max(engine.now() - limit.days * DAY, progress.approved)
        gone = await engine.links.departed(engine.tenant, progress.number, name, since)
        total = leaving + gone
        enough = ceil(total / limit.share) + 1 if limit.share else total + 1
        held = await engine.links.held(engine.tenant, progress.number, name, enough)
        everyone = held <= leaving and leaving > 1
        if not everyone and (total < limit.least or total <= limit.share * (held + gone)):
            return None
        share = f"all {leaving}" if everyone else f"{leaving} of {'more than ' * (held >= enough)}{held}"
        before = f", after {gone} in the last {limit.days} days" if gone else ""
        return f"{share} {name} accounts{before}"

    async def _left(self, kind: Kind, link: Link) -> str | None:
        return left_because(kind, await document_of(self.engine, kind, link.id))

    async def _due(self, progress: Progress, kind: Kind, only: str | None) -> AsyncIterator[Link]:
        if only is not None:
            one = await self.engine.links.link(self.engine.tenant, progress.number, only)
            if one is not None and one.resource_type == kind.resource_type.name:
                yield one
            return
        after = (-(2**62), -1)
        while True:
            page = await self.engine.links.with_accounts(
                self.engine.tenant, progress.number, kind.rank, after, _PAGE
            )
            for _, link in page:
                if link.resource_type == kind.resource_type.name:
                    yield link
            if len(page) < _PAGE:
                return
            after = page[-1][0]
