"""The layouts of tenants: each is loaded when it is first needed, and given up when its definitions have changed."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from rollbook.protocol.catalog import Catalog
from rollbook.storage.sql import layout, migrate
from rollbook.storage.sql.connection import Backend, Connection
from rollbook.storage.sql.editions import changed_since, edition, edition_and_revision, edition_of
from rollbook.storage.sql.index import Layout
from rollbook.storage.tenants import DEFAULT

MOST = 50_000
"""Tenants whose layouts are held; what they share is held once."""


class Layouts:
    """What a process knows of the definitions of tenants. Used in the event loop, but for `is_current`."""

    def __init__(self, database: Backend) -> None:
        self._database = database
        self._known: dict[int, Layout] = {}
        self._shared: dict[tuple[int, str], Layout] = {}
        self._home = DEFAULT
        self._seen = 0
        self._noted = 0
        self.listeners: list[Callable[[Sequence[int] | None], None]] = []
        """Told which tenants have changed, whoever looked; None if there may be others, such as one that is gone by now."""

    async def open(self, wanted: Catalog | None) -> None:
        """Load the default tenant's, by that catalog or by the one the database keeps."""
        self._known = {DEFAULT: await layout.fit(self._database, DEFAULT, wanted)}
        self._seen = await self._database.read_now(edition)
        self._database.guard = self._note

    def _note(self, connection: Connection) -> None:
        """Note the count of changes in a transaction, once for all that share it.

        Raises:
            Outdated: the database was brought up to a version that this program does not know: it writes nothing more (FE-31).
        """
        self._noted, revision = edition_and_revision(connection)
        if revision is not None:
            migrate.is_current(revision)

    @property
    def home(self) -> Layout | None:
        """That of the tenant which is at home here, which is always at hand; None before it is loaded."""
        return self._known.get(self._home)

    async def settle(self, tenant: int) -> None:
        """Have a tenant at home; without, it is the default one."""
        await self.of(tenant)
        self._home = tenant

    async def of(self, tenant: int) -> Layout:
        """A tenant's layout, as of the last time that anybody looked.

        Raises:
            StoreUnavailable: its resources do not fit its definitions any more; says which.
        """
        while (found := self._known.get(tenant)) is None:
            seen = self._seen
            loaded = await layout.fit(self._database, tenant, None)
            if seen == self._seen:  # else what was loaded may be older than what has been seen since
                self._keep(tenant, loaded)
        return found

    def is_current(self, connection: Connection, tenant: int, known: Layout) -> bool:
        """Whether a layout is still the tenant's, within a transaction that writes."""
        if (
            self._noted == self._seen and self._known.get(tenant) is known
        ):  # not one given up since it was asked for
            return True
        return edition_of(connection, tenant) == known.edition

    async def follow(self) -> list[int]:
        """Give up the layouts of tenants that have changed, and say which; those always at hand are loaded anew."""
        seen = self._seen
        # Of one moment, so that nothing falls between; and never behind the long reads of tenants.
        count, changed = await self._database.read_now(
            lambda connection: (edition(connection), changed_since(connection, seen)), snapshot=True
        )
        if count == seen:
            return []
        gone = set(changed)
        anew = {
            tenant: await layout.fit(self._database, tenant, None)
            for tenant in sorted({DEFAULT, self._home} & gone)
        }
        self._known = {tenant: known for tenant, known in self._known.items() if tenant not in gone} | anew
        # Each change counts one: if there are fewer tenants, one has changed twice, or has no row any more.
        told = changed if len(changed) == count - seen else None
        self._seen = count
        for tell in self.listeners:
            tell(told)
        return changed

    def _keep(self, tenant: int, known: Layout) -> None:
        """Hold a layout, with the catalog and indexes that others of the same definitions hold already."""
        shared = self._shared.setdefault((id(known.catalog), known.epoch), known)
        if len(self._known) >= MOST:
            self._known = {held: self._known[held] for held in {DEFAULT, self._home} & self._known.keys()}
            self._shared.clear()
        self._known[tenant] = replace(shared, edition=known.edition)
