"""What senders bring us of their own accord: kept until it is applied, the newest word on each key."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from rollbook.protocol.values import JsonObject

REMEMBERED = 7 * 86_400_000
"""Milliseconds for which a message that was taken is known again: senders try for a day or two."""


class Taken(Enum):
    """What became of a message."""

    NEW = "new"
    REPEATED = "repeated"
    """It was taken before, and has no effect."""
    FULL = "full"
    """Too much waits already; nothing was kept."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One record as it came, or None for one that is gone. `sequence` is its place in the order of all."""

    key: str
    record: JsonObject | None
    sequence: int = 0


class Arrivals(Protocol):
    """What waits for a pull, by source. Every method may raise `StoreUnavailable`."""

    async def take(
        self, tenant: int, source: str, message: str, arrivals: Sequence[Arrival], now: int, most: int
    ) -> Taken:
        """Keep a message's records durably, all or none; of each key the newest. At most `most` keys wait."""

    async def waiting(self, tenant: int, source: str, after: int, limit: int) -> Sequence[Arrival]:
        """Those with a place above `after`, in order."""

    async def has_new(self, tenant: int, source: str) -> bool:
        """Whether any waits that no pull has seen."""

    async def settle(self, tenant: int, source: str, seen: Sequence[Arrival], failed: frozenset[str]) -> None:
        """Forget those that were applied; failed keys stay. What came meanwhile is untouched."""

    async def claim(self, tenant: int, source: str, holder: str, now: int, until: int) -> bool:
        """Become the one who applies a source's arrivals until then; False if somebody else is."""

    async def renew(self, tenant: int, source: str, holder: str, until: int) -> bool:
        """Stay the one, until then; False if somebody else is by now."""

    async def release(self, tenant: int, source: str, holder: str) -> None:
        """Be it no longer."""
