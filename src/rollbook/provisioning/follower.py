"""Applies what arrives for a source of its own accord, promptly, for as long as a worker runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from rollbook.protocol.errors import StoreUnavailable
from rollbook.provisioning import model
from rollbook.provisioning.alerts import Alert, Alerter, Kind
from rollbook.provisioning.sitting import Sitting

POLL_SECONDS = 0.25
"""How often to look whether anything has come: it is applied within a second."""

FAILED_SECONDS = 30.0
"""How long to wait after a pull that failed: what has come waits meanwhile."""

_TOLD_AFTER = 5
"""Failures in a row after which people are told: longer than the lease of a process that died."""


class Applies(Protocol):
    """Whoever pulls what has arrived."""

    async def has_arrivals(self, source: model.Source) -> bool:
        """Whether something has come for a source that no pull has seen."""

    async def pull_arrivals(self, source: model.Source, sitting: Sitting) -> str | None:
        """Apply what has come for a source, as part of a run; why it failed, None if it did not."""


@dataclass
class Follower:
    """The loop of one source."""

    source: model.Source
    applies: Applies
    alerter: Alerter
    now: Callable[[], int]
    wait: Callable[[float], Awaitable[None]]
    _sitting: Sitting | None = None
    _failures: int = 0

    async def turn(self) -> None:
        """Apply what there is, and wait."""
        try:
            if await self.applies.has_arrivals(self.source):
                await self._pull()
            else:
                self._failures = 0
        except StoreUnavailable:
            self._failures += 1
        await self.wait(FAILED_SECONDS if self._failures else POLL_SECONDS)

    async def _pull(self) -> None:
        now = self.now()
        if self._sitting is None or self._sitting.is_over(now):
            self._sitting = Sitting(now, now)
        self._sitting.last = now
        failed = await self.applies.pull_arrivals(self.source, self._sitting)
        if failed is None:
            self._failures = 0
            await self.alerter.over(self.source.name, "what comes is applied again")
            return
        self._failures += 1
        if self._failures > _TOLD_AFTER:
            await self.alerter.tell(Alert(Kind.SOURCE, self.source.name, failed))
