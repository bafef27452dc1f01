"""Calls are spread as a target's rate limits want them, before it has to say so (C-8-01)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from rollbook.provisioning.profile import Rate


@dataclass
class _Bucket:
    """One limit: what is left of it, and as of when."""

    rate: Rate
    left: float
    at: int

    def take(self, now: int) -> float:
        """Take one; how many milliseconds to wait before it may be used."""
        rate = self.rate
        gained = max(now - self.at, 0) * rate.requests / rate.per
        self.left = min(self.left + gained, float(rate.most_at_once)) - 1.0
        self.at = now
        return max(-self.left, 0.0) * rate.per / rate.requests


class Rates:
    """All limits of one target. A request takes from each that counts it, and waits for the slowest."""

    def __init__(
        self, rates: Sequence[Rate], now: Callable[[], int], sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._buckets = [_Bucket(rate, float(rate.most_at_once), now()) for rate in rates]
        self._now = now
        self._sleep = sleep

    async def wait(self, method: str, resource: str) -> None:
        """Wait until such a request may be sent."""
        if not self._buckets:
            return
        now = self._now()
        waits = [bucket.take(now) for bucket in self._buckets if bucket.rate.counts(method, resource)]
        longest = max(waits, default=0.0)
        if longest > 0:
            await self._sleep(longest / 1000)


def seconds_for(rates: Sequence[Rate], writes: int) -> float | None:
    """About how long so many writes of users will take, None if nothing limits them."""
    found = [rate.per * writes / rate.requests / 1000 for rate in rates if rate.counts("POST", "User")]
    return max(found, default=None)
