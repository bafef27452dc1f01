"""The history of resources over a store: read, brought back, forgotten."""

from collections.abc import Sequence

from rollbook.protocol.errors import NotFound
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import Author, LogEntry, Rules
from rollbook.storage.sql import history, log, removal
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.history import LATEST, Deleted, Version
from rollbook.storage.sql.index import Layout
from rollbook.storage.sql.journal import SqlJournal
from rollbook.storage.sql.log import version_number
from rollbook.storage.sql.restore import Lost, restore
from rollbook.storage.sql.store import SqlStore
from rollbook.storage.sql.writes import Target, present


class _Tried(Exception):
    """Carries what a change would have done out of its transaction, which is undone."""

    def __init__(self, lost: Lost) -> None:
        super().__init__()
        self.lost = lost


class Archive:
    """What the resources of a tenant were."""

    def __init__(self, store: SqlStore, tenant: int) -> None:
        self._store = store
        self._tenant = tenant

    async def versions(self, id: str, before: int = LATEST, limit: int = 100) -> Sequence[LogEntry]:
        """Changes of a resource, newest first, with sequence numbers below that one; those forgotten are left out."""
        return await self._store.database.read(
            lambda connection: history.entries(connection, self._tenant, id, before, limit)
        )

    async def deleted(self, kind: ResourceType, limit: int) -> Sequence[Deleted]:
        """The resources of a type that were deleted last, newest first."""
        return await self._store.database.read(
            lambda connection: history.deleted(connection, self._tenant, kind.name, limit)
        )

    async def version(self, id: str, number: int) -> Version | None:
        """The resource as it stood at a version; None if it had none of that number, or it was forgotten.

        Without a document it ended with that version, and what it was then is forgotten.
        """
        before, gone = LATEST, None
        while found := await self.versions(id, before, history.PAGE):
            for entry in found:
                if version_number(entry.version) == number:
                    if entry.operation != "delete":
                        stood = await self.at(entry)
                        return None if stood.document is None else stood
                    gone = entry  # it ended with that version
            before = found[-1].sequence
        return None if gone is None else await self.at(gone)

    async def at(self, entry: LogEntry) -> Version:
        """The resource as it stood after a change; no document if it was deleted by that, or it is forgotten."""
        return await self._store.database.read(
            lambda connection: history.version_at(connection, self._tenant, entry)
        )

    async def restore(
        self, kind: ResourceType, wanted: Version, author: Author, rules: Rules, *, dry_run: bool = False
    ) -> Lost:
        """Bring a version back as one new change; what of it cannot come back. A dry run is undone at its end.

        The password stays what it is. One that was deleted gets its id again, has no password, and goes on with
        its version numbers.

        Raises:
            Uniqueness: a value is another resource's by now.
            InvalidValue: it would not be valid by the definitions that hold now.
            NotFound: there is nothing of that version to bring back.
        """
        own = wanted.entry.id
        if wanted.document is None:
            raise NotFound(f"{kind.name} {own} was deleted at that version; choose an earlier one")
        target = Target(self._tenant, kind, own, None)

        def work(connection: Connection, known: Layout) -> Lost:
            lost = restore(connection, known, target, wanted, author, rules)
            if dry_run:
                raise _Tried(lost)
            return lost

        try:
            return await self._store.run(self._tenant, kind, work)
        except _Tried as tried:
            return tried.lost

    async def erase(self, kind: ResourceType, id: str, author: Author, rules: Rules) -> int:
        """Delete a resource if it is there, and all that it was; how many former documents went. The log keeps the fact.

        One that was erased before is left as it is.

        Raises:
            NotFound: no resource of that type and id is known.
        """

        def work(connection: Connection, known: Layout) -> int:
            target = Target(self._tenant, kind, id, None)
            if present(connection, known, target) is not None:
                removal.delete(connection, known, target, author, rules)
            last = history.entries(connection, self._tenant, id, LATEST, 1)
            if not last or last[0].resource_type != kind.name:
                raise NotFound(f"no {kind.name} {id} is known")
            if last[0].detail.get("erased"):
                return 0
            gone = log.Entry(kind.name, id, "delete", last[0].version, {"erased": True})
            log.append(connection, self._tenant, author, [gone])
            return history.forget(connection, self._tenant, id)

        return await self._store.run(self._tenant, kind, work)

    async def compact(self, older_than: int, author: Author, journal: SqlJournal) -> int:
        """Forget what is older than a moment, in small steps; how many rows went.

        The audit log is sealed before: of the change log nothing goes that is not, and what goes is told there.
        """
        await journal.seal(author.at)
        is_more, gone = True, 0
        while is_more:
            is_more, some = await self._store.database.write(
                self._tenant,
                lambda connection: history.compact(connection, self._tenant, older_than, author),
                long=True,
            )
            gone += some
        return gone
