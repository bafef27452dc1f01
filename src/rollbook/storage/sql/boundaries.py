"""Where pages by index ended lately: clients walk them in order, and the next one begins there (architecture §6).

A page far into a large result is then reached by key, not by counting all before it. What was remembered serves for a
minute: if somebody writes meanwhile, a walk goes on behind the last resource that it was shown, so that it neither
skips nor repeats one. Without it, in another process for example, the page is counted to in the index.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from rollbook.storage.places import Place

SECONDS = 60.0
"""How long a boundary serves."""

KEPT = 4_096
"""Boundaries that are remembered, the latest ones; each is some hundred bytes."""


class Boundaries:
    """Places by query and index: the resource at that index, counted from 1, stands there. For any number of threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[Hashable, int], tuple[float, Place]] = OrderedDict()

    def find(self, query: Hashable, index: int) -> Place | None:
        """The place of the resource at that index, None if it is not known, or not any more."""
        known = self._known.get((query, index))
        if known is None or self._clock() - known[0] > SECONDS:
            return None
        return known[1]

    def keep(self, query: Hashable, index: int, place: Place) -> None:
        """Remember where the resource at an index stands."""
        key = (query, index)
        with self._lock:
            self._known[key] = (self._clock(), place)
            self._known.move_to_end(key)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
