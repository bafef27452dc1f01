"""What the hub keeps about each record of a source: whose it is, and what was last made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from rollbook.protocol.values import JsonObject


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """A record of a source and the hub's user it feeds.

    `digest` is of the document last made of it, empty if that has to be looked at again. `groups` are the
    groups made of it. `missing_since` is set once the record is gone from a complete reading. `said` is what it
    said last of attributes that other sources fill too, None for those it has no value of. `joined` tells what
    found the user, empty if the record made it or nothing is known.
    """

    key: str
    id: str
    digest: str
    groups: tuple[str, ...] = ()
    missing_since: int | None = None
    said: JsonObject | None = None
    joined: str = ""


class Feed(NamedTuple):
    """A record, and the source it is of."""

    source: str
    record: SourceRecord


class SourceRecords(Protocol):
    """The records of every source. A user is fed by one record of a source at most.

    Every method may raise `StoreUnavailable`.
    """

    async def find(self, tenant: int, source: str, keys: Sequence[str]) -> Mapping[str, SourceRecord]:
        """Those of the keys that are known, missing ones too."""

    async def keys_of(self, tenant: int, source: str, ids: Sequence[str]) -> Mapping[str, str]:
        """The key of each of these users that the source feeds."""

    async def feeds(
        self, tenant: int, sources: Sequence[str], ids: Sequence[str]
    ) -> Mapping[str, Sequence[Feed]]:
        """The records of these sources that feed each of these users, missing ones too."""

    async def keep(self, tenant: int, source: str, records: Sequence[SourceRecord]) -> None:
        """Add records, or replace those of the same key; all of them or none.

        Raises:
            Uniqueness: a user is fed by another record already.
        """

    async def drop(self, tenant: int, source: str, keys: Sequence[str]) -> None:
        """Forget records."""

    async def count(self, tenant: int, source: str) -> int:
        """How many records are known and not missing."""

    async def after(self, tenant: int, source: str, key: str, limit: int) -> Sequence[SourceRecord]:
        """Records that are not missing with keys above `key`, in order."""

    async def groups(self, tenant: int, source: str, names: Sequence[str]) -> Mapping[str, str]:
        """The ids of those of the named groups that the source has made."""

    async def keep_group(self, tenant: int, source: str, name: str, id: str) -> None:
        """Remember the id of a group that the source makes, in place of an earlier one of that name."""
