"""Long work on the event loop is done in pieces: of all that is under way, one piece in a turn of the loop, the tenants' one after another.

Each by itself giving way would not do: thirty pages that are made at once, a millisecond of each in a turn, are thirty for whoever
asks for one user.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, Self, TypeVar

T = TypeVar("T")

PIECE_SECONDS = 0.001
"""How long a piece is: what another's request may have to wait for, and many times what it costs to wait for a turn."""

SOME = 20
"""Things between two looks at the clock."""


@dataclass
class Pieces:
    """The long work of a process; belongs to one event loop."""

    clock: Callable[[], float] = monotonic
    _waiting: dict[int, deque[asyncio.Future[None]]] = field(default_factory=dict)
    """By tenant; whose turn is next stands first."""
    _is_due: bool = False

    def some(self, tenant: int, things: Sequence[T]) -> AsyncIterator[Sequence[T]]:
        """The same things, some at a time; in between, as soon as a piece is done, whatever else waits has its turn."""
        return _Some(self, tenant, things)

    async def turn(self, tenant: int) -> None:
        """Wait until the tenant's next piece may be done."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._go_on)
        await turn

    def _go_on(self) -> None:
        """One goes on; whoever is left has to wait for the next turn of the loop."""
        is_one = False
        while self._waiting and not is_one:
            tenant = next(iter(self._waiting))
            queue = self._waiting.pop(tenant)
            turn = queue.popleft()
            if queue:
                self._waiting[tenant] = queue
            is_one = not turn.done()  # else its request was given up
            if is_one:
                turn.set_result(None)
        self._is_due = bool(self._waiting)
        if self._is_due:
            asyncio.get_running_loop().call_soon(self._go_on)


class _Some(Generic[T]):
    """What `Pieces.some` gives: no generator, which the event loop would have to keep a list of."""

    __slots__ = ("_at", "_end", "_pieces", "_tenant", "_things")

    def __init__(self, pieces: Pieces, tenant: int, things: Sequence[T]) -> None:
        self._pieces, self._tenant, self._things = pieces, tenant, things
        self._at, self._end = 0, pieces.clock() + PIECE_SECONDS

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[T]:
        start = self._at
        if start >= len(self._things):
            raise StopAsyncIteration
        if self._pieces.clock() > self._end:
            await self._pieces.turn(self._tenant)
            self._end = self._pieces.clock() + PIECE_SECONDS
        self._at = start + SOME
        return self._things[start : self._at]
