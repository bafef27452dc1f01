"""Whose turn it is when several tenants ask at once.

A request is worked on in one piece on the event loop unless it has to wait, and the loop takes whatever has arrived in that
order: a tenant's thirty lists that came just before another's one request would all be made first. So only as much begins in
a turn of the loop as takes a moment, and of what is left each tenant has one in the next.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeAlias

Lane: TypeAlias = tuple[int, bool]
"""A tenant, and whether it searches: its long searches are in no way of its other requests."""

SHARE = 4
"""How many requests of a lane are worked on at once while other tenants ask, too. Few: a request of another waits behind them."""

CROWDED_SECONDS = 1.0
"""For how long after two tenants have asked in turn they share."""

MOMENT_SECONDS = 0.001
"""For how long requests begin as they come in one turn of the loop, when several tenants ask."""

MOMENT_ALONE_SECONDS = 0.02
"""The same when one does: to queue costs a tenth of a quick request, and only another tenant's first one waits for it."""

ALONE = 8
"""How many of those left begin in a turn if only one tenant asks: more wait less for each other, another tenant's first waits for them."""


@dataclass
class FairGate:
    """Lets requests in: of a tenant that is alone any number at once; of several `SHARE` each, and in turn.

    One tenant's thousand requests then stand in its own queue, not in front of another's one. Belongs to one event loop.
    """

    share: int = SHARE
    clock: Callable[[], float] = monotonic
    inside: dict[Lane, int] = field(default_factory=dict)
    queues: dict[Lane, deque[asyncio.Future[None]]] = field(default_factory=dict)
    _last: int = 0
    _crowded_until: float = -math.inf
    _moment_ends: float = math.inf
    _is_due: bool = False

    def is_free(self, lane: Lane) -> bool:
        """Whether a request may go on at once; then it is inside, and has to `leave`."""
        now = self.clock()
        if lane[0] != self._last:
            self._last = lane[0]
            self._crowded_until = now + CROWDED_SECONDS
        if not self._is_due:
            self._next_turn(now)
        if lane in self.queues or now > self._moment_ends or not self._has_place(lane, now):
            return False
        self.inside[lane] = self.inside.get(lane, 0) + 1
        return True

    async def wait(self, lane: Lane) -> None:
        """Wait for a place inside."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.queues.setdefault(lane, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(lane)
            raise

    def leave(self, lane: Lane) -> None:
        """Give the place back."""
        number = self.inside[lane] - 1
        if number:
            self.inside[lane] = number
        else:
            del self.inside[lane]
        if lane in self.queues and not self._is_due:
            self._next_turn(self.clock())

    def _has_place(self, lane: Lane, now: float) -> bool:
        return now >= self._crowded_until or self.inside.get(lane, 0) < self.share

    def _next_turn(self, now: float) -> None:
        self._moment_ends = now + (MOMENT_SECONDS if now < self._crowded_until else MOMENT_ALONE_SECONDS)
        self._is_due = True
        asyncio.get_running_loop().call_soon(self._let_in)

    def _let_in(self) -> None:
        """Those that wait, one of each lane; the rest have to wait for the next turn of the loop."""
        self._is_due = False
        if not self.queues:
            return
        now = self.clock()
        most = ALONE if now >= self._crowded_until else 1
        for lane in tuple(self.queues):
            for _ in range(most):
                self._let_next_in(lane, now)
        if any(self._has_place(lane, now) for lane in self.queues):
            self._next_turn(now)

    def _let_next_in(self, lane: Lane, now: float) -> None:
        queue = self.queues.get(lane)
        while queue and self._has_place(lane, now):
            turn = queue.popleft()
            if not queue:
                del self.queues[lane]
            if not turn.done():
                turn.set_result(None)
                self.inside[lane] = self.inside.get(lane, 0) + 1
                return
