"""Identifiers of resources: UUIDv7 text, ordered by time, never used twice (RFC 9562 §5.7).

The clock and the random source are read here and nowhere below, so that `protocol` stays pure.
"""

import os
import threading
import time
import uuid
from collections.abc import Callable

_RANDOM_BITS = 62
_COUNTER_BITS = 12
_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)


class IdSource:
    """Makes ids that grow strictly within this process, also while the clock stands or steps back.

    The 12 bits after the milliseconds count within one millisecond, from a random start in their lower half;
    when they run out, the time is taken one further (RFC 9562 §6.2, method 1).
    """

    def __init__(
        self,
        milliseconds: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._milliseconds = milliseconds
        self._random_bytes = random_bytes
        self._lock = threading.Lock()
        self._last = -1
        """Milliseconds and counter of the id made last, as one number."""

    def new_id(self) -> str:
        """The next id; hexadecimal and dashes only, so it never contains `bulkId` (RFC 7644 §3.7.2)."""
        random = int.from_bytes(self._random_bytes(10), "big")
        seed = (random >> _RANDOM_BITS) & (2 ** (_COUNTER_BITS - 1) - 1)
        with self._lock:
            self._last = stamp = max(self._milliseconds() << _COUNTER_BITS | seed, self._last + 1)
        head = (stamp >> _COUNTER_BITS) << 80 | (stamp & (2**_COUNTER_BITS - 1)) << 64
        return str(uuid.UUID(int=head | _VERSION_AND_VARIANT | random & (2**_RANDOM_BITS - 1)))


_SOURCE = IdSource()


def new_id() -> str:
    """A new id from this process's source."""
    return _SOURCE.new_id()
