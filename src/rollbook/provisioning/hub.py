"""The hub as a pull writes it, or only pretends to: one interface, so that a preview takes the same way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rollbook.protocol import compare
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.filters import Operator
from rollbook.protocol.query import Page, Query
from rollbook.protocol.resolved import Test
from rollbook.protocol.resource import Change, Present, Scope
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonValue
from rollbook.provisioning.sources.base import Hold
from rollbook.storage.base import Author, Decide, Record, Store
from rollbook.storage.documents import decode
from rollbook.storage.matches import Case, Matches
from rollbook.storage.source_records import SourceRecord, SourceRecords


@dataclass(frozen=True)
class Hub:
    """Where a source's people go: the store of one tenant, with clock and ids."""

    store: Store
    records: SourceRecords
    catalog: Catalog
    tenant: int
    now: Callable[[], int]
    """Milliseconds since 1970, UTC."""
    new_id: Callable[[], str]
    matches: Matches | None = None
    """Cases nobody is sure of; needed where sources join by rules."""
    run: int | None = None
    """The number of the run that changes belong to, and from where it is done: for the audit log."""
    origin: str | None = None

    def type_named(self, name: str) -> ResourceType:
        """The resource type of that name."""
        found = self.catalog.resource_type(name)
        if found is None:
            raise ValueError(f"the catalog has no {name}")
        return found

    async def search(self, resource_type: ResourceType, attribute: str, value: str) -> Sequence[Record]:
        """The first two resources with that value of an attribute: enough to tell one from many."""
        path = resource_type.find(attribute)
        if path is None:
            return ()
        test = Test(path, Operator.EQ, compare.key(path.leaf, value))
        query = Query(resource_type, test, Page(1, 2))
        return (await self.store.search(self.tenant, query, members=False, groups=False)).records

    async def matching(
        self, resource_type: ResourceType, path: AttributePath, value: JsonValue, limit: int
    ) -> Sequence[Record]:
        """Resources with that value at an indexed path.

        Raises:
            InvalidValue: the value is not of the attribute's type.
        """
        test = Test(path, Operator.EQ, compare.key(path.leaf, value))
        query = Query(resource_type, test, Page(1, limit))
        return (await self.store.search(self.tenant, query, members=False, groups=False)).records


class Writer(Protocol):
    """What a pull does to the hub."""

    async def insert(self, resource_type: ResourceType, id: str, change: Change) -> None:
        """Create a resource."""

    async def update(
        self, resource_type: ResourceType, id: str, decide: Decide, members: frozenset[str] = frozenset()
    ) -> bool | None:
        """Change a resource, seeing these of its members; whether it changed, None if there is none."""

    async def delete(self, resource_type: ResourceType, id: str) -> bool:
        """Remove a resource; False if there is none."""

    async def keep(self, records: Sequence[SourceRecord]) -> None:
        """Remember records."""

    async def drop(self, keys: Sequence[str]) -> None:
        """Forget records."""

    async def keep_group(self, name: str, id: str) -> None:
        """Remember a group."""

    async def keep_of(self, source: str, records: Sequence[SourceRecord]) -> None:
        """Remember records of another source."""

    async def drop_of(self, source: str, keys: Sequence[str]) -> None:
        """Forget records of another source."""

    async def park(self, cases: Sequence[Case]) -> None:
        """Let cases wait for somebody to decide."""

    async def close_cases(self, keys: Sequence[str]) -> None:
        """Forget cases that nobody has decided."""


class LiveWriter:
    """Writes, as long as what was read may be applied."""

    def __init__(self, hub: Hub, source: str, hold: Hold | None = None) -> None:
        self._hub = hub
        self._source = source
        self._hold = hold

    async def _renew(self) -> None:
        if self._hold is not None:
            await self._hold.renew()

    def _author(self) -> Author:
        return Author(f"source {self._source}", self._hub.now(), origin=self._hub.origin, run=self._hub.run)

    async def insert(self, resource_type: ResourceType, id: str, change: Change) -> None:
        """Create a resource."""
        await self._renew()
        await self._hub.store.insert(self._hub.tenant, resource_type, id, change, self._author())

    async def update(
        self, resource_type: ResourceType, id: str, decide: Decide, members: frozenset[str] = frozenset()
    ) -> bool | None:
        """Change a resource, seeing these of its members; whether it changed, None if there is none."""
        hub, hold = self._hub, self._hold
        await self._renew()

        def held(present: Present) -> Change:
            if hold is not None:
                hold.check()
            return decide(present)

        updated = await hub.store.update(hub.tenant, resource_type, id, held, Scope(members), self._author())
        return None if updated is None else updated.changed

    async def delete(self, resource_type: ResourceType, id: str) -> bool:
        """Remove a resource; False if there is none."""
        await self._renew()
        return await self._hub.store.delete(self._hub.tenant, resource_type, id, self._author())

    async def keep(self, records: Sequence[SourceRecord]) -> None:
        """Remember records."""
        await self._renew()
        await self._hub.records.keep(self._hub.tenant, self._source, records)

    async def drop(self, keys: Sequence[str]) -> None:
        """Forget records."""
        await self._renew()
        await self._hub.records.drop(self._hub.tenant, self._source, keys)

    async def keep_group(self, name: str, id: str) -> None:
        """Remember a group."""
        await self._renew()
        await self._hub.records.keep_group(self._hub.tenant, self._source, name, id)

    async def keep_of(self, source: str, records: Sequence[SourceRecord]) -> None:
        """Remember records of another source."""
        await self._renew()
        await self._hub.records.keep(self._hub.tenant, source, records)

    async def drop_of(self, source: str, keys: Sequence[str]) -> None:
        """Forget records of another source."""
        await self._renew()
        await self._hub.records.drop(self._hub.tenant, source, keys)

    async def park(self, cases: Sequence[Case]) -> None:
        """Let cases wait for somebody to decide."""
        await self._renew()
        if cases and self._hub.matches is not None:
            await self._hub.matches.park(self._hub.tenant, self._source, cases)

    async def close_cases(self, keys: Sequence[str]) -> None:
        """Forget cases that nobody has decided."""
        await self._renew()
        if keys and self._hub.matches is not None:
            await self._hub.matches.close_cases(self._hub.tenant, self._source, keys)


class Rehearsal:
    """Reads and decides as `LiveWriter` does, and writes nothing."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def insert(self, resource_type: ResourceType, id: str, change: Change) -> None:
        """Nothing: the change was made, so it is valid."""

    async def update(
        self,
        resource_type: ResourceType,
        id: str,
        decide: Decide,
        members: frozenset[str] = frozenset(),  # noqa: ARG002 - the Writer interface
    ) -> bool | None:
        """What the change would do, on the document as it is; members are taken to be absent."""
        record = await self._hub.store.get(self._hub.tenant, resource_type, id, members=False, groups=False)
        if record is None:
            return None
        return not decide(Present(decode(record.body, record.extra))).is_empty

    async def delete(self, resource_type: ResourceType, id: str) -> bool:
        """Whether there is anything to remove."""
        record = await self._hub.store.get(self._hub.tenant, resource_type, id, members=False, groups=False)
        return record is not None

    async def keep(self, records: Sequence[SourceRecord]) -> None:
        """Nothing."""

    async def drop(self, keys: Sequence[str]) -> None:
        """Nothing."""

    async def keep_group(self, name: str, id: str) -> None:
        """Nothing."""

    async def keep_of(self, source: str, records: Sequence[SourceRecord]) -> None:
        """Nothing."""

    async def drop_of(self, source: str, keys: Sequence[str]) -> None:
        """Nothing."""

    async def park(self, cases: Sequence[Case]) -> None:
        """Nothing."""

    async def close_cases(self, keys: Sequence[str]) -> None:
        """Nothing."""
