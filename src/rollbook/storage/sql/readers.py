"""Threads for long reads: a tenant has a part of them at most, and a read that nobody waits for any more is stopped.

Whoever gives up waiting is cancelled, as everywhere in asyncio: what had not begun never begins, and what runs is told.
"""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from rollbook.protocol.errors import StoreUnavailable

T = TypeVar("T")

READ_SECONDS = 30.0
"""How long a read may last: an open snapshot keeps the database from clearing away what is dead (FS-12)."""

PROCESSOR_SECONDS = 10.0
"""How much of this machine's processor it may use, of which others need some, too: on a busy one that takes longer."""

STOPPED = "the search took too long and was stopped; narrow the filter, or ask for less at once"

AGAIN_SECONDS = 0.05
"""Pause before a statement is interrupted again: between two of them there is nothing to interrupt."""


class TooMuchWork(StoreUnavailable):
    """A read was stopped because it took more than one may; the same one would be stopped again."""


class Reading:
    """One long read: whether anybody still waits for it, and how long it may go on.

    What it does looks here again and again (`require`, `is_over`); what cannot look is interrupted (`interrupted_by`).
    """

    def __init__(self, *, unbounded: bool = False) -> None:
        self.is_given_up = False
        self._clock = self._processor = math.inf
        self._unbounded = unbounded
        self._interrupt: Callable[[], None] | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Its time runs from here on, in the thread that reads.

        Raises:
            StoreUnavailable: nobody waits any more.
        """
        if not self._unbounded:
            self._clock = time.monotonic() + READ_SECONDS
            self._processor = time.thread_time() + PROCESSOR_SECONDS
        self.require()

    def is_over(self) -> bool:
        """Whether it has to stop; asked in the thread that reads."""
        return self.is_given_up or time.thread_time() > self._processor or time.monotonic() > self._clock

    def require(self) -> None:
        """Go on only if it may.

        Raises:
            StoreUnavailable: nobody waits any more, or its time is over. TooMuchWork: it has used too much processor.
        """
        if self.is_given_up:
            raise StoreUnavailable("the read was given up; ask again")
        if time.thread_time() > self._processor:
            raise TooMuchWork(STOPPED)
        if time.monotonic() > self._clock:
            raise StoreUnavailable(STOPPED)

    @contextmanager
    def interrupted_by(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Within this, in the reading thread, `interrupt` is how another thread stops it. It is not called after that."""
        self._interrupt = interrupt
        try:
            self.require()  # given up just before, it was not interrupted
            yield
        finally:
            with self._lock:
                self._interrupt = None

    def stop(self) -> None:
        """Nobody waits any more; called on the event loop."""
        self.is_given_up = True
        if self._interrupt is not None:
            asyncio.get_running_loop().run_in_executor(None, self._insist)

    def _insist(self) -> None:
        while True:
            with self._lock:
                if self._interrupt is None:
                    return
                self._interrupt()
            time.sleep(AGAIN_SECONDS)


@dataclass(slots=True, eq=False)
class _Share:
    places: asyncio.Semaphore
    users: int = 0


class Readers:
    """So many threads, and of them so many at once for a tenant; belongs to one event loop."""

    def __init__(self, number: int, each: int, *, name: str = "store-read") -> None:
        self._each = each
        self._pool = ThreadPoolExecutor(number, thread_name_prefix=name)
        self._shares: dict[int, _Share] = {}
        self._under_way: set[Reading] = set()
        self._is_closed = False

    @property
    def started(self) -> int:
        """How many threads there are by now; each is made when it is first needed."""
        return len(self._pool._threads)  # noqa: SLF001 - nothing else tells

    async def run(
        self, work: Callable[[Reading], T], tenant: int | None = None, *, unbounded: bool = False
    ) -> T:
        """Run it in a thread; for a tenant, only so many at once."""
        reading = Reading(unbounded=unbounded)
        if tenant is None:
            return await self._run(work, reading, lambda: None)
        share = self._shares.get(tenant)
        if share is None:
            share = self._shares[tenant] = _Share(asyncio.Semaphore(self._each))
        share.users += 1
        try:
            await share.places.acquire()
        except asyncio.CancelledError:
            self._leave(tenant, share)
            raise

        def leave() -> None:
            share.places.release()
            self._leave(tenant, share)

        return await self._run(work, reading, leave)

    def _leave(self, tenant: int, share: _Share) -> None:
        share.users -= 1
        if not share.users:
            del self._shares[tenant]

    async def _run(self, work: Callable[[Reading], T], reading: Reading, done: Callable[[], None]) -> T:
        """`done` is called when the thread is free again, even if nobody waits for that."""
        loop = asyncio.get_running_loop()
        if self._is_closed:
            done()
            raise StoreUnavailable("the database is closed")

        def finished() -> None:
            self._under_way.discard(reading)
            done()

        self._under_way.add(reading)
        future = self._pool.submit(_begin, work, reading)
        future.add_done_callback(lambda _: _tell(loop, finished))
        try:
            result: T = await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            reading.stop()
            raise
        return result

    async def close(self) -> None:
        """Stop what runs, refuse what waits, and end the threads."""
        self._is_closed = True
        for reading in self._under_way:
            reading.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)


def _tell(loop: asyncio.AbstractEventLoop, finished: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop may have ended before the thread
        loop.call_soon_threadsafe(finished)


def _begin(work: Callable[[Reading], T], reading: Reading) -> T:
    reading.begin()
    return work(reading)
