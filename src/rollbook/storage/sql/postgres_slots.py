"""Connections of the event loop, kept for whoever comes next."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from rollbook.storage.patience import Patience
from rollbook.storage.sql.postgres_connection import NearConnection, NoConnectionLeft

IDLE_SECONDS = 60.0
"""How long a connection is kept that nobody uses: others may lack it, since the server has only so many."""

AGAIN_SECONDS = 0.1
"""Pause before a server that takes no more connections is asked for one again."""


class _Kept(NamedTuple):
    connection: NearConnection
    since: float


class Slots:
    """Near connections, made when they are needed, at most so many; the one used last is used next."""

    def __init__(self, number: int, connect: Callable[[], Awaitable[NearConnection]]) -> None:
        self._connect = connect
        self._free: asyncio.LifoQueue[_Kept | None] = asyncio.LifoQueue()
        self._looked = time.monotonic()
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
        found = await self._next(patience)
        kept = None if found is None else found.connection
        try:
            if kept is not None and (fresh or not kept.is_sound):
                former, kept = kept, None
                await former.close()
            if kept is None:
                kept = await self._made(patience, fresh=fresh)
            yield kept
        finally:
            usable = kept if kept is not None and kept.is_sound else None
            now = time.monotonic()
            # At once: a caller that is cancelled while it closes still gives it back.
            self._free.put_nowait(None if usable is None else _Kept(usable, now))
            idle = self._idle(now)
            if kept is not None and usable is None:
                await kept.close()
            for each in idle:
                await each.close()

    async def _next(self, patience: Patience) -> _Kept | None:
        """One that is free, or the room for one."""
        if not self._free.empty():
            return self._free.get_nowait()
        async with patience.waiting():
            return await self._free.get()

    async def _made(self, patience: Patience, *, fresh: bool) -> NearConnection:
        """A new connection; while the server has none left, one that somebody gives back will do, unless it has to be `fresh`."""
        while True:
            try:
                async with patience.waiting():
                    return await self._connect()
            except NoConnectionLeft:
                if not fresh and (other := self._given_back()) is not None:
                    return other
                if patience.left <= AGAIN_SECONDS:
                    raise
            async with patience.waiting():
                await asyncio.sleep(AGAIN_SECONDS)

    def _given_back(self) -> NearConnection | None:
        """A connection that is free, in exchange for the room for one."""
        waiting = self._all_free()
        found = next((each for each in waiting if each is not None and each.connection.is_sound), None)
        for each in reversed(waiting):
            self._free.put_nowait(None if each is found else each)
        return None if found is None else found.connection

    def _idle(self, now: float) -> list[NearConnection]:
        """Those that nobody has used for long, taken out once in a while; the room for them stays."""
        if now - self._looked < IDLE_SECONDS:
            return []
        self._looked, idle = now, []
        for each in reversed(self._all_free()):
            is_idle = each is not None and now - each.since >= IDLE_SECONDS
            if each is not None and is_idle:
                idle.append(each.connection)
            self._free.put_nowait(None if is_idle else each)
        return idle

    def _all_free(self) -> list[_Kept | None]:
        return [self._free.get_nowait() for _ in range(self._free.qsize())]

    async def close(self) -> None:
        """Let go of those that are free."""
        for kept in self._all_free():
            if kept is not None:
                await kept.connection.close()
