"""Runs over sources and targets: when they were, what came of them, and what was done in them for whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rollbook.protocol.values import JsonObject


@dataclass(frozen=True, slots=True)
class Run:
    """One run over a source or a target, and what came of it; `ended` is None while it lasts."""

    number: int
    kind: str
    subject: str
    started: int
    ended: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
    batch: int | None = None
    """The number of the first run of the command that made it."""
    from_change: int | None = None
    to_change: int | None = None
    """The last numbers of the change log before and after it, for runs over sources."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept of a delivery: the run it belongs to, when, the action, and more as JSON without secrets."""

    run: int
    at: int
    action: str
    detail: JsonObject


@dataclass(frozen=True, slots=True)
class Delivered:
    """An entry as it is read: the target's number, when, the link's key and fence, the run, the resource, and what was done."""

    target: int
    at: int
    key: int
    fence: int
    run: int
    id: str
    resource_type: str
    action: str
    detail: JsonObject

    @property
    def place(self) -> tuple[int, int, int, int]:
        """Where it stands among those of its run."""
        return self.target, self.at, self.key, self.fence


class Runs(Protocol):
    """Part of a `LinkStore`."""

    async def begin_run(
        self, tenant: int, kind: str, subject: str, now: int, batch: int | None = None
    ) -> Run:
        """Note that a run begins; the first one of a command begins a batch."""

    async def begin_run_once(self, tenant: int, kind: str, subject: str, now: int, since: int) -> Run | None:
        """Note that a run begins, unless one of that kind and subject has begun since then: None."""

    async def runs(self, tenant: int, limit: int, before: int | None = None) -> Sequence[Run]:
        """The latest runs, newest first; those with numbers below one, if it is named."""

    async def batch(self, tenant: int, number: int) -> Sequence[Run]:
        """The runs of the batch with that number, in order."""

    async def end_run(
        self, tenant: int, run: Run, now: int, counts: Mapping[str, int], error: str | None
    ) -> None:
        """Note how it ended."""

    async def last_run(self, tenant: int, kind: str, subject: str) -> Run | None:
        """The latest run of that kind, or None."""

    async def delivered(
        self, tenant: int, run: int, after: Delivered | None, limit: int
    ) -> Sequence[Delivered]:
        """What a run did, in order."""

    async def deliveries_of(self, tenant: int, id: str, limit: int) -> Sequence[Delivered]:
        """What was done for a resource at all targets, newest first."""

    async def forget_deliveries(self, tenant: int, target: int, older_than: int) -> bool:
        """Forget some of what was done before then; whether there may be more."""
