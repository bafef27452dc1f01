"""What several workers of one target agree on by the store: turns within its limits, and who warns people."""

from typing import Protocol


class Agreements(Protocol):
    """Part of a `LinkStore`; `target` is a target's number."""

    async def take_turns(self, tenant: int, target: int, limit: str, start: int, length: int) -> int:
        """The beginning of a stretch of time, not before `start`, that no other worker has for that limit.

        Both in microseconds, since 1970 and long.
        """

    async def take_warning(self, tenant: int, target: int, warning: str, now: int, until: int) -> bool:
        """Take a warning to give it to people; False if it is the last they were given, or somebody has taken one.

        If it is not noted, nobody has it any more after `until`.
        """

    async def note_warning(self, tenant: int, target: int, warning: str) -> None:
        """People were given it."""
