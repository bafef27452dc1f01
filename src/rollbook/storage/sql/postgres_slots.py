"""Connections of the event loop, kept for whoever comes next."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from rollbook.storage.patience import Patience
from rollbook.storage.sql.postgres_connection import NearConnection


class Slots:
    """Near connections, made when they are needed, at most so many; the one used last is used next."""

    def __init__(self, number: int, connect: Callable[[], Awaitable[NearConnection]]) -> None:
        self._connect = connect
        self._free: asyncio.LifoQueue[NearConnection | None] = asyncio.LifoQueue()
        for _ in range(number):
            self._free.put_nowait(None)

    @property
    def free(self) -> int:
        """How many can be had at once."""
        return self._free.qsize()

    @asynccontextmanager
    async def taken(self, patience: Patience, *, fresh: bool = False) -> AsyncIterator[NearConnection]:
        """A connection for oneself; a new one if so asked, or if there is none that can be used.

        Raises:
            StoreUnavailable: none was there, or could be made, in time.
        """
        kept = await self._next(patience)
        try:
            if kept is not None and (fresh or not kept.is_sound):
                former, kept = kept, None
                await former.close()
            if kept is None:
                async with patience.waiting():
                    kept = await self._connect()
            yield kept
        finally:
            usable = kept if kept is not None and kept.is_sound else None
            # At once: a caller that is cancelled while it closes still gives it back.
            self._free.put_nowait(usable)
            if kept is not None and usable is None:
                await kept.close()

    async def _next(self, patience: Patience) -> NearConnection | None:
        """One that is free, or the room for one."""
        if not self._free.empty():
            return self._free.get_nowait()
        async with patience.waiting():
            return await self._free.get()

    async def close(self) -> None:
        """Let go of those that are free."""
        while not self._free.empty():
            kept = self._free.get_nowait()
            if kept is not None:
                await kept.close()
