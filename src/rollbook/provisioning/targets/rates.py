"""Calls are spread as a target's rate limits want them, before it has to say so (C-8-01).

All workers share a limit: its turns lie in time one after the other, and each worker takes some of them at once from the
database. Times here are microseconds since 1970.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from rollbook.provisioning.profile import Rate

TAKEN_AT_ONCE = 200_000
"""Turns of so long are taken together: five writes a second and worker, however many calls they are for."""

Reserve = Callable[[str, int, int], Awaitable[int]]
"""Given a limit's name, a moment and a length: the beginning of a stretch of that length, not before then, that nobody else has."""


class _Limit:
    """The turns that this process has of one limit."""

    def __init__(self, rate: Rate, reserve: Reserve) -> None:
        self.rate = rate
        self._reserve = reserve
        self._name = _name(rate)
        self._step = -(-rate.per * 1000 // rate.requests)
        self._number = max(1, min(TAKEN_AT_ONCE // self._step, rate.requests))
        self._late = (rate.most_at_once - 1) * self._step
        """A turn may be used so much later: after a rest some calls go out together."""
        self._next = self._end = 0
        self._taking = asyncio.Lock()

    async def turn(self, now: int) -> int:
        """The moment of the next turn, perhaps a little in the past."""
        async with self._taking:
            self._next = max(self._next, now - self._late)
            if self._next + self._step > self._end:
                length = self._number * self._step
                self._next = await self._reserve(self._name, now - self._late, length)
                self._end = self._next + length
            turn, self._next = self._next, self._next + self._step
            return turn


class Rates:
    """All limits of one target. A request takes from each that counts it, and waits for the slowest."""

    def __init__(
        self,
        rates: Sequence[Rate],
        now: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        reserve: Reserve,
    ) -> None:
        """`now` is in milliseconds, as everywhere."""
        self._limits = [_Limit(rate, reserve) for rate in rates]
        self._now = now
        self._sleep = sleep

    async def wait(self, method: str, resource: str) -> None:
        """Wait until such a request may be sent.

        Raises:
            StoreUnavailable: nobody can say whether it may.
        """
        counting = [limit for limit in self._limits if limit.rate.counts(method, resource)]
        now = self._now() * 1000
        latest = max([await limit.turn(now) for limit in counting], default=now)
        wait = latest - self._now() * 1000
        if wait > 0:
            await self._sleep(wait / 1_000_000)


def seconds_for(rates: Sequence[Rate], writes: int) -> float | None:
    """About how long so many writes of users will take, None if nothing limits them."""
    found = [rate.per * writes / rate.requests / 1000 for rate in rates if rate.counts("POST", "User")]
    return max(found, default=None)


def _name(rate: Rate) -> str:
    """What tells a limit from others of its target; one that is changed begins anew."""
    what = " ".join((*sorted(rate.methods), rate.resource or "")).strip()
    return f"{rate.requests} in {rate.per} {what}".strip()
