"""What is done bit by bit, for a target or for a source, and is one run to people."""

from collections import Counter
from dataclasses import dataclass, field

from rollbook.storage.runs import Run

IDLE_MILLISECONDS, LONGEST_MILLISECONDS = 60_000, 900_000
"""A run lasts until there was nothing to do for so long, or it has lasted that long."""


@dataclass
class Sitting:
    """Work that counts as one run, which begins with the first of it."""

    begun: int
    last: int
    run: Run | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def is_over(self, now: int) -> bool:
        """Whether what comes next begins another one."""
        return now - self.last > IDLE_MILLISECONDS or now - self.begun > LONGEST_MILLISECONDS
