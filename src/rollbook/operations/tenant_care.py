"""What is done to a tenant as a whole: made with its definitions, told otherwise, deleted to the last row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rollbook.operations.tenants import assigned, check_host, check_name, settings_of
from rollbook.protocol.catalog import Catalog, build_catalog
from rollbook.protocol.errors import Conflict, PreconditionFailed
from rollbook.protocol.values import JsonValue
from rollbook.storage.base import Author
from rollbook.storage.sql.store import SqlStore
from rollbook.storage.sql.tenants import SqlTenants
from rollbook.storage.tenants import TenantRecord, TenantState


@dataclass(frozen=True)
class TenantCare:
    """What is done to tenants of a database that is open; the audit log has `author` for it."""

    store: SqlStore
    tenants: SqlTenants
    author: Author | None = None

    async def create(
        self,
        name: str,
        at: int,
        *,
        settings: Sequence[str] = (),
        host: str | None = None,
        documents: Sequence[JsonValue] = (),
    ) -> TenantRecord:
        """A new tenant, served at once; `documents` are schemas and resource types beside the core.

        Raises:
            InvalidValue: the name, the host, a setting or a definition is none. Uniqueness: name or host is taken.
        """
        said = assigned((), settings)
        probe = TenantRecord(0, check_name(name), TenantState.OPEN, at, said)
        catalog = build_catalog(documents, settings_of(probe).adjustments)
        known = None if host is None else check_host(host)
        return await self.tenants.create(name, at, catalog, said, known, self.author)

    async def tell(
        self,
        record: TenantRecord,
        changes: Sequence[str],
        author: Author,
        *,
        host: str | None = None,
        state: TenantState | None = None,
    ) -> TenantRecord:
        """Change what a tenant is told: `NAME=VALUE` each, `NAME=` for as it is without; `host` "" takes that away.

        Raises:
            PreconditionFailed: the tenant is not any more as the record has it.
            InvalidValue: no such setting or host. Conflict: resources would not be valid any more; nothing was changed.
        """
        said = assigned(record.settings, changes)
        wanted = record.host if host is None else (check_host(host) if host else None)
        known, state = await self._defined(record, said, author), state or record.state
        return await self.tenants.change(
            record.number,
            state=state,
            settings=said,
            host=wanted,
            edition=known.edition,
            author=author,
        )

    async def switch(self, record: TenantRecord, state: TenantState) -> TenantRecord:
        """Open a tenant, or switch it off: then no request of it is answered, and nothing of it is gone."""
        return await self.tenants.change(
            record.number, state=state, settings=record.settings, host=record.host, author=self.author
        )

    async def delete(self, record: TenantRecord, watch: Callable[[int], object], at: int = 0) -> None:
        """Delete everything of a tenant, in many small steps; broken off, it goes on where it was. `watch` has the steps."""
        steps = 0
        while await self.tenants.delete(record.number, at, self.author):
            steps += 1
            watch(steps)

    async def finish_deleting(self) -> None:
        """Go on with what was broken off."""
        for record in await self.tenants.deleting():
            await self.delete(record, lambda _: None)

    async def _defined(self, record: TenantRecord, said: Sequence[str], author: Author) -> TenantRecord:
        """Let settings that define something take effect, if there are any such; the tenant as it is then."""
        probe = TenantRecord(record.number, record.name, record.state, record.created, tuple(said))
        catalog = await self.store.catalog_of(record.number)
        wanted = self._adjusted(catalog, probe)
        if wanted.adjusted == catalog.adjusted:
            return record
        survey = await self.store.survey(wanted, tenant=record.number)
        if not survey.is_lossless:
            names = ", ".join(sorted({f"{name}: {found.where}" for name, found in survey.counts}))
            raise Conflict(
                f"resources of tenant {record.name} would not be valid by these settings ({names}); nothing was changed"
            )
        await self.store.redefine(survey, author, drop=False)
        now = await self.tenants.by_number(record.number)
        if now is None or (now.settings, now.host, now.state) != (record.settings, record.host, record.state):
            raise PreconditionFailed(f"tenant {record.name} is another by now; read it again")
        return now

    @staticmethod
    def _adjusted(catalog: Catalog, record: TenantRecord) -> Catalog:
        return build_catalog(catalog.documents, settings_of(record).adjustments)
