"""How far each source was read: what an incremental reading begins at."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SourceMark:
    """`mark` is the source's own word for a moment; `digest` is of the configuration it was made by.

    `full_at` is when everything was read last, in milliseconds since 1970.
    """

    digest: str
    mark: str
    full_at: int


class SourceMarks(Protocol):
    """One mark for each source. Every method may raise `StoreUnavailable`."""

    async def mark(self, tenant: int, source: str) -> SourceMark | None:
        """The mark, None if the source was never read to one."""

    async def keep_mark(self, tenant: int, source: str, mark: SourceMark | None) -> None:
        """Put it in place of the former one; None forgets it."""
