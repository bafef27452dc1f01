"""Work that outlives the request that began it."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

from rollbook.storage.patience import of_no_request


async def _done(work: Awaitable[object]) -> None:
    with suppress(Exception), of_no_request():  # it is looked after every hour anyway (app.keep_forgetting)
        await work


class Background:
    """Work that outlives its request; what is broken off by the end of the process is gone on with later."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, work: Awaitable[object]) -> None:
        """Begin it."""
        task = asyncio.get_running_loop().create_task(_done(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait until all of it is done."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Break off what is left."""
        for task in self._tasks:
            task.cancel()
        await self.settle()
