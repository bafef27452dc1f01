"""The database's clock, for all that several machines have to agree on: leases, waits, turns (FE-15).

It is asked now and then; in between what has passed is measured, by a clock that nobody sets. A file is used on one machine,
whose own clock is that of its processes.
"""

import time
from collections.abc import Callable

from rollbook.storage.sql.connection import Backend

ASKED_SECONDS = 10.0
"""How long what was measured is believed: a server whose clock is set is followed within that time."""


def passing() -> float:
    """Seconds that have passed, whatever clocks are set to, on machines that slept too."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class DatabaseClock:
    """What time it is where the database is."""

    def __init__(
        self, database: Backend, machine: Callable[[], int], passing: Callable[[], float] = passing
    ) -> None:
        """`machine` is the clock of this machine, in milliseconds: for files, and before anybody was asked."""
        self._database = database
        self._machine = machine
        self._passing = passing
        self._told: tuple[int, float] | None = None
        """What the database said, and when."""
        self._asked = -ASKED_SECONDS

    def now(self) -> int:
        """The time in milliseconds since 1970."""
        if self._told is None:
            return self._machine()
        told, at = self._told
        return told + int((self._passing() - at) * 1000)

    async def keep(self) -> None:
        """Ask the database, unless it was asked just now.

        Raises:
            StoreUnavailable: it cannot be asked.
        """
        before = self._passing()
        if before - self._asked < ASKED_SECONDS:
            return
        told = await self._database.time()
        after = self._passing()
        self._asked = after
        self._told = None if told is None else (told, (before + after) / 2)
