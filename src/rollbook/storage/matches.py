"""Records of which nobody can be sure whose they are, and what people have decided about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from rollbook.protocol.values import JsonObject


class Verdict(StrEnum):
    """What somebody decided about a record."""

    JOIN = "join"
    NEW = "new"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision: what, by whom, when (milliseconds since 1970), and the user a record is joined to."""

    verdict: Verdict
    author: str
    at: int
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A record that may be one of several users', or of one that is not sure.

    `document` is what the record would make; it is not kept once the case is decided. `basis` stands for the rules, and
    for what the record has of what they compare.
    """

    key: str
    since: int
    reason: str
    candidates: tuple[str, ...] = ()
    document: JsonObject | None = None
    decision: Decision | None = None
    basis: str = ""


class Matches(Protocol):
    """The cases of every source. Every method may raise `StoreUnavailable`."""

    async def cases(self, tenant: int, source: str, keys: Sequence[str]) -> Mapping[str, Case]:
        """Those of the keys that there is a case or a decision of."""

    async def open_cases(self, tenant: int, source: str, after: str, limit: int) -> Sequence[Case]:
        """Cases that nobody has decided, with keys above `after`, in order."""

    async def open_anywhere(
        self, tenant: int, after: tuple[str, str], limit: int
    ) -> Sequence[tuple[str, Case]]:
        """Cases of every source that nobody has decided, beyond a source and key, in order."""

    async def count_open(self, tenant: int, source: str) -> int:
        """How many nobody has decided."""

    async def park(self, tenant: int, source: str, cases: Sequence[Case]) -> None:
        """Add cases, or say anew what they are about; since when they wait, and decisions, stay as they are."""

    async def decide(self, tenant: int, source: str, key: str, decision: Decision | None) -> bool:
        """Decide a case, or take a decision back; False if there is no such case."""

    async def close_cases(self, tenant: int, source: str, keys: Sequence[str]) -> None:
        """Forget those of these cases that nobody has decided."""
