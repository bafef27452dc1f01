"""The history of resources over a store: read, brought back, forgotten."""

from collections.abc import Sequence

from rollbook.protocol.errors import NotFound
from rollbook.protocol.resource import Change, Member, Present, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Author, LogEntry, Rules
from rollbook.storage.sql import history, log, removal
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.history import LATEST, Version
from rollbook.storage.sql.index import Layout
from rollbook.storage.sql.load import Joined, Kept, Loaded, Mark
from rollbook.storage.sql.store import SqlStore
from rollbook.storage.sql.writes import Target, present

MARK = Mark("restored", "")
"""A load marks how far it is; a restore is one."""


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

    async def version(self, id: str, number: int) -> Version | None:
        """The resource as it stood at a version; None if it had none of that number, or it was forgotten."""
        before, gone = LATEST, None
        while found := await self.versions(id, before):
            for entry in found:
                if _number(entry.version) == number:
                    if entry.operation != "delete":
                        return await self.at(entry)
                    gone = entry  # it ended with that version
            before = found[-1].sequence
        return None if gone is None else await self.at(gone)

    async def at(self, entry: LogEntry) -> Version:
        """The resource as it stood after a change."""
        return await self._store.database.read(
            lambda connection: history.version_at(connection, self._tenant, entry)
        )

    async def restore(self, kind: ResourceType, wanted: Version, author: Author, rules: Rules) -> list[str]:
        """Bring a version back as a new change; ids of members that cannot come back, since they are gone.

        Of a resource that is there the password stays as it is. One that was deleted gets its id again, and goes on
        with its version numbers.

        Raises:
            Uniqueness: a value is another resource's by now.
            NotFound: there is nothing of that version to bring back.
        """
        own, document = wanted.entry.id, wanted.document
        if document is None:
            raise NotFound(f"{kind.name} {own} was deleted at that version; choose an earlier one")
        known = await self._known(wanted.members)
        members = tuple(Member(member) for member in wanted.members if member in known)
        there = await self._store.get(self._tenant, kind, own, members=False, groups=False)
        if there is None:
            await self._revive(kind, own, document, members, author, rules)
        else:
            await self._turn_back(kind, own, document, members, author, rules)
        return [member for member in wanted.members if member not in known]

    async def _known(self, ids: Sequence[str]) -> set[str]:
        return set(await self._store.referred(self._tenant, ids)) if ids else set()

    async def _turn_back(
        self,
        kind: ResourceType,
        id: str,
        document: JsonObject,
        members: Sequence[Member],
        author: Author,
        rules: Rules,
    ) -> None:
        wanted = {member.value for member in members}

        def decide(now: Present) -> Change:
            secret = kind.secret
            kept = {name: value for name, value in document.items() if name != secret}
            if secret is not None and secret in now.document:
                kept[secret] = now.document[secret]
            come = tuple(member for member in members if member.value not in now.members)
            gone = tuple(member for member in now.members if member not in wanted)
            return Change(kept, come, gone)

        scope = Scope(all=kind.memberships is not None)
        await self._store.update(self._tenant, kind, id, decide, scope, author, rules)

    async def _revive(
        self,
        kind: ResourceType,
        id: str,
        document: JsonObject,
        members: Sequence[Member],
        author: Author,
        rules: Rules,
    ) -> None:
        (last,) = await self.versions(id, limit=1)
        made = Loaded(kind, id, document, Kept(_number(last.version) + 1, author.at, author.at))
        (refused,) = await self._store.load(self._tenant, [made], author, rules, MARK)
        await self._store.drop_setting(MARK.name)
        if refused is not None:
            raise refused
        if members:
            await self._store.join(self._tenant, Joined(kind, id, members, is_kept=True), author, rules, None)

    async def erase(self, kind: ResourceType, id: str, author: Author, rules: Rules) -> int:
        """Delete a resource if it is there, and all that it was; how many former documents went. The log keeps the fact."""

        def work(connection: Connection, known: Layout) -> int:
            target = Target(self._tenant, kind, id, None)
            if present(connection, known, target) is not None:
                removal.delete(connection, known, target, author, rules)
            last = history.entries(connection, self._tenant, id, LATEST, 1)
            if not last:
                return 0
            gone = log.Entry(kind.name, id, "delete", last[0].version, {"erased": True})
            log.append(connection, self._tenant, author, [gone])
            return history.forget(connection, self._tenant, id)

        return await self._store.run(self._tenant, kind, work)

    async def compact(self, older_than: int) -> int:
        """Forget what is older than a moment, in small steps; how many rows went."""
        after: int | None = 0
        gone = 0
        while after is not None:
            start = after
            after, some = await self._store.database.write(
                self._tenant,
                lambda connection, start=start: history.compact(connection, self._tenant, start, older_than),  # type: ignore[misc]
                long=True,
            )
            gone += some
        return gone


def _number(version: str) -> int:
    """The number in the text of a version."""
    return int(version.rpartition("-")[2].rstrip('"'))
