"""The store over SQL: each method is one transaction, of statements that other modules own."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import DefinitionsChanged, RequestError, StoreUnavailable, TooMany
from rollbook.protocol.query import Query, Walk
from rollbook.protocol.resolved import ResolvedFilter
from rollbook.protocol.resource import Change, Member, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import is_heavy
from rollbook.storage.base import (
    USUAL,
    Act,
    Author,
    Decide,
    Found,
    Insert,
    LogEntry,
    Record,
    Rules,
    Updated,
)
from rollbook.storage.key_files import KeySource
from rollbook.storage.sight import Sight
from rollbook.storage.sql import acts, layout, load, reads, redefine, removal, writes
from rollbook.storage.sql.boundaries import Boundaries
from rollbook.storage.sql.check import check_invariants
from rollbook.storage.sql.connection import ALONE, Backend, Connection
from rollbook.storage.sql.epochs import renew_epoch
from rollbook.storage.sql.index import Layout
from rollbook.storage.sql.layouts import Layouts
from rollbook.storage.sql.lengths import LONG, ROWS_EACH, is_large, is_referred_to_much
from rollbook.storage.sql.load import Joined, Loaded, Mark
from rollbook.storage.sql.readers import TooMuchWork
from rollbook.storage.sql.reads import BY_ID, BY_IDS, EVERYTHING, FEW, TooLong, Wanted, Whole
from rollbook.storage.sql.redefine import Progress, Survey, quietly
from rollbook.storage.sql.search import LOOKED_AT, Search, find, is_look_up, look_up, scan
from rollbook.storage.sql.secrets import SqlSecrets
from rollbook.storage.sql.signing_start import start
from rollbook.storage.sql.token_shelf import SqlTokens
from rollbook.storage.tenants import DEFAULT

T = TypeVar("T")

_NOT_OPEN = "the database is not open"


class SqlStore(SqlTokens):
    """`Store` and `TokenStore` over a database, which is open to others that keep tables beside.

    Without a catalog the default tenant is served by the one the database keeps, as the others are.
    """

    def __init__(
        self,
        database: Backend,
        catalog: Catalog | None = None,
        *,
        looked_at: int = LOOKED_AT,
        home: int = DEFAULT,
        keys: KeySource | None = None,
    ) -> None:
        super().__init__(database)
        self.home = home
        """Number of the tenant that this store is about, for those who work for one."""
        self.secrets = SqlSecrets(database, keys or database.usual_keys)
        """What is kept sealed, by keys that are not in the database."""
        self._wanted = catalog
        self._looked_at = looked_at
        self._layouts = Layouts(database)
        self._boundaries = Boundaries()

    async def open(self) -> None:
        """Make or update the database, connect, and index what has to be."""
        await self.database.open()
        try:
            await self._layouts.open(self._wanted)
            await self._layouts.settle(self.home)
        except BaseException:
            await self.database.close()
            raise
        self.database.signer.begin_by(partial(start, self.database, self.secrets))

    async def close(self) -> None:
        """Finish writes under way and let go of every connection."""
        await self.database.close()

    async def layout(self, tenant: int, *types: ResourceType) -> Layout:
        """The layout of a tenant, to write resources of those types by.

        Raises:
            DefinitionsChanged: the caller decided by other definitions than this store has by now.
        """
        self._require_open()
        known = await self._layouts.of(tenant)
        for kind in types:
            present = known.catalog.resource_type(kind.name)
            if present is not kind and present != kind:
                raise _changed()
        return known

    async def _write(
        self, tenant: int, known: Layout, work: Callable[[Connection, Layout], T], *, long: bool = False
    ) -> T:
        """Run a write by that layout, unless the definitions are others by the time it is its turn."""

        def checked(connection: Connection) -> T:
            if not self._layouts.is_current(connection, tenant, known):
                raise _changed()
            return work(connection, known)

        return await self.database.write(tenant, checked, long=long)

    async def run(self, tenant: int, kind: ResourceType, work: Callable[[Connection, Layout], T]) -> T:
        """Run statements on resources of a type in a transaction, by the definitions that hold."""
        return await self._write(tenant, await self.layout(tenant, kind), work, long=True)

    async def follow(self) -> Sequence[int]:
        """Take over what others have changed of tenants and their definitions; the numbers of those tenants."""
        return await self._layouts.follow()

    def subscribe(self, tell: Callable[[Sequence[int] | None], None]) -> None:
        """Tell the numbers of tenants that have changed, whenever that is noticed; None for any of them."""
        self._layouts.listeners.append(tell)

    async def catalog_of(self, tenant: int) -> Catalog:
        """What is served of a tenant."""
        return (await self.layout(tenant)).catalog

    async def survey(
        self, catalog: Catalog, progress: Progress = quietly, *, tenant: int | None = None
    ) -> Survey:
        """What would no longer be valid by other definitions; looks at every resource of a type they change."""
        of = self.home if tenant is None else tenant
        known = await self.layout(of)
        return await self.database.read(
            lambda connection: redefine.survey(connection, of, known, catalog, progress), unbounded=True
        )

    async def redefine(
        self, survey: Survey, author: Author, *, drop: bool, progress: Progress = quietly
    ) -> int:
        """Serve other definitions from now on, if nothing but dropped values was found; how many resources changed.

        Raises:
            Conflict: something would no longer be valid; or values would be dropped and `drop` does not say so.
            DefinitionsChanged: they are not those any more that the survey compared with.
        """
        before = await self.layout(survey.tenant)

        def take(connection: Connection) -> int:
            changed = redefine.take(connection, before, survey, author, drop=drop, progress=progress)[1]
            acts.add(connection, [Act(author, survey.tenant, "schema.change", detail={"resources": changed})])
            return changed

        changed = await self.database.write(ALONE, take, long=True)
        await self.follow()
        return changed

    async def settle(self, tenant: int) -> None:
        """Let this store be about a tenant: a command works for one."""
        self._require_open()
        await self._layouts.settle(tenant)
        self.home = tenant

    def twin(self, database: Backend) -> "SqlStore":
        """A store over a copy of this one's database, not yet open, about the same tenant."""
        return SqlStore(database, looked_at=self._looked_at, home=self.home, keys=self.secrets.source)

    def _require_open(self) -> Layout:
        if self._layouts.home is None:
            raise StoreUnavailable(f"{self.database.name}: {_NOT_OPEN}", public=_NOT_OPEN)
        return self._layouts.home

    @property
    def catalog(self) -> Catalog:
        """What is served of the tenant that is at home here, known once the store is open."""
        return self._require_open().catalog

    @property
    def epoch(self) -> str:
        """What the versions given out begin with."""
        return self._require_open().epoch

    async def get(
        self,
        tenant: int,
        resource_type: ResourceType,
        id: str,
        rules: Rules = USUAL,
        *,
        members: bool = True,
        groups: bool = True,
    ) -> Record | None:
        """The resource, or None, with its members and groups if asked for."""
        known = await self.layout(tenant)

        def read(connection: Connection, *, near: bool) -> Record | None:
            wanted = Wanted.of(resource_type, members=members, groups=groups, indirect=rules.indirect_groups)
            whole = Whole(known, tenant, resource_type, wanted, near)
            found = whole.read(connection, BY_ID, (tenant, id))
            return found[0] if found else None

        with suppress(TooLong):
            return await self.database.read_now(lambda connection: read(connection, near=True))
        return await self.database.read(lambda connection: read(connection, near=False), tenant=tenant)

    async def get_many(
        self,
        tenant: int,
        resource_type: ResourceType,
        ids: Sequence[str],
        rules: Rules = USUAL,
        *,
        members: bool = True,
        groups: bool = True,
    ) -> Mapping[str, Record]:
        """Those of the resources that exist and are of that type, by id."""
        wanted = Wanted.of(resource_type, members=members, groups=groups, indirect=rules.indirect_groups)
        whole = Whole(await self.layout(tenant), tenant, resource_type, wanted, near=False)

        def read(connection: Connection) -> dict[str, Record]:
            found = whole.read(connection, BY_IDS, (tenant, reads.listed(ids)))
            return {record.id: record for record in found}

        return await self.database.read(read, tenant=tenant)

    async def search(
        self, tenant: int, query: Query, rules: Rules = USUAL, *, members: bool = True, groups: bool = True
    ) -> Found:
        """One page of matches."""
        wanted = Wanted.of(
            query.resource_type, members=members, groups=groups, indirect=rules.indirect_groups
        )
        known = await self.layout(tenant)
        search = Search(known, tenant, query, wanted, self._looked_at, self._boundaries)
        plan = await self.database.read_now(search.plan)
        with suppress(TooLong):
            if is_look_up(query, plan):
                return await self.database.read_now(lambda connection: look_up(connection, search, plan))
            return await self.database.read_now(
                lambda connection: find(connection, search, plan, near=True), snapshot=True
            )
        try:
            return await self.database.read(
                lambda connection: find(connection, search, plan, near=False), tenant=tenant
            )
        except TooMuchWork as error:
            raise TooMany(error.detail) from error

    async def referred(
        self, tenant: int, ids: Sequence[str], sight: Sight | None = None
    ) -> Mapping[str, Member]:
        """Those resources of the tenant that exist and are seen, by id, as references to them are shown."""

        def read(connection: Connection) -> dict[str, Member]:
            return reads.referred(connection, tenant, ids, sight)

        return (
            await self.database.read_now(read)
            if len(ids) <= FEW
            else await self.database.read(read, tenant=tenant)
        )

    async def insert(
        self,
        tenant: int,
        resource_type: ResourceType,
        id: str,
        change: Change,
        author: Author,
        rules: Rules = USUAL,
    ) -> Record:
        """Create a resource."""
        known = await self.layout(tenant, resource_type)
        heavy = is_heavy(change.document)
        make = partial(writes.new, known, resource_type, id, change)
        made = None if heavy else make()
        return await self._write(
            tenant,
            known,
            lambda connection, known: writes.insert(
                connection, known, tenant, made or connection.aside(make), author, rules
            ),
            long=heavy or len(change.add_members) > LONG,
        )

    async def insert_together(
        self, tenant: int, inserts: Sequence[Insert], author: Author, rules: Rules = USUAL
    ) -> Sequence[Record]:
        """Create resources that may refer to each other, in one transaction."""
        known = await self.layout(tenant, *(one.resource_type for one in inserts))
        each = [writes.new(known, one.resource_type, one.id, one.change) for one in inserts]
        members = sum(len(one.change.add_members) for one in inserts)
        return await self._write(
            tenant,
            known,
            lambda connection, known: writes.insert_together(connection, known, tenant, each, author, rules),
            long=members + len(inserts) * ROWS_EACH > LONG,
        )

    async def update(
        self,
        tenant: int,
        resource_type: ResourceType,
        id: str,
        decide: Decide,
        scope: Scope,
        author: Author,
        rules: Rules = USUAL,
        *,
        if_match: Callable[[str], bool] | None = None,
        heavy: bool = False,
    ) -> Updated | None:
        """Apply what `decide` says of the present state, in one transaction."""
        what = writes.Target(tenant, resource_type, id, if_match)
        known = await self.layout(tenant, resource_type)
        work = writes.Update(what, decide, scope, author, rules, heavy=heavy)
        long = heavy or len(scope.ids) > LONG or (scope.all and await is_large(self.database, tenant, id))
        if not long and self.database.holds_the_loop:
            with suppress(TooLong):
                return await self._write(tenant, known, replace(work, near=True))
        return await self._write(tenant, known, work, long=True)

    async def delete(
        self,
        tenant: int,
        resource_type: ResourceType,
        id: str,
        author: Author,
        rules: Rules = USUAL,
        *,
        if_match: Callable[[str], bool] | None = None,
    ) -> bool:
        """Remove a resource, leaving a tombstone in the log."""
        what = writes.Target(tenant, resource_type, id, if_match)
        known = await self.layout(tenant, resource_type)
        return await self._write(
            tenant,
            known,
            lambda connection, known: removal.delete(connection, known, what, author, rules),
            long=await is_large(self.database, tenant, id)
            or await is_referred_to_much(self.database, known, what, rules),
        )

    async def load(
        self, tenant: int, batch: Sequence[Loaded], author: Author, rules: Rules, mark: Mark
    ) -> Sequence[RequestError | None]:
        """Create many resources, without members, and set a setting in one transaction; why each was not created."""
        known = await self.layout(
            tenant, *{each.resource_type.name: each.resource_type for each in batch}.values()
        )
        return await self._write(
            tenant,
            known,
            lambda connection, known: load.put(connection, known, tenant, batch, author, rules, mark),
            long=True,
        )

    async def join(
        self, tenant: int, joined: Joined, author: Author, rules: Rules, mark: Mark | None
    ) -> Sequence[str]:
        """Add members to a resource that was loaded; those that are new. See `load.join`."""
        return await self._write(
            tenant,
            await self.layout(tenant, joined.resource_type),
            lambda connection, known: load.join(connection, known, tenant, joined, author, rules, mark),
            long=True,
        )

    async def scan(
        self,
        tenant: int,
        wanted: Sequence[tuple[ResourceType, ResolvedFilter | None]],
        see: Callable[[ResourceType, Record], None],
    ) -> None:
        """Show every resource of those types that matches, with its members, of one moment; `see` is called in a thread."""
        known = await self.layout(tenant)

        def read(connection: Connection) -> None:
            for kind, condition in wanted:
                along = Wanted.of(kind, members=True, groups=False, indirect=False)
                query = Query(kind, condition, Walk(0))
                search = Search(known, tenant, query, along, EVERYTHING, self._boundaries)
                for record in scan(connection, search):
                    see(kind, record)

        await self.database.read(read, unbounded=True)

    async def was_member(self, tenant: int, id: str) -> bool:
        """Whether the resource is a member of anything, or was once."""
        return await self.database.read_now(lambda connection: reads.was_member(connection, tenant, id))

    async def changes(self, tenant: int, after: int, limit: int) -> Sequence[LogEntry]:
        """Log entries with a sequence number above `after`, in order, at most `limit`."""
        return await self.database.read(lambda connection: reads.changes(connection, tenant, after, limit))

    async def last_change(self, tenant: int) -> int:
        """The highest sequence number, 0 if there is none."""
        return await self.database.read_now(lambda connection: reads.last_change(connection, tenant))

    async def numbers(self, tenant: int) -> Mapping[str, int]:
        """How many resources there are of each type that has any."""
        return await self.database.read_now(lambda connection: reads.numbers(connection, tenant))

    async def holds_anything(self) -> bool:
        """Whether any tenant has resources."""
        return await self.database.read_now(reads.holds_anything)

    async def check(self) -> Sequence[str]:
        """The invariants that do not hold, in words; looks at everything."""
        layouts: dict[int, Layout] = {}

        def layout_of(connection: Connection, tenant: int) -> Layout:
            if tenant not in layouts:
                layouts[tenant] = layout.present(connection, tenant)
            return layouts[tenant]

        return await self.database.read(
            lambda connection: check_invariants(connection, partial(layout_of, connection)), unbounded=True
        )

    async def take_epoch(self, epoch: str) -> None:
        """Give versions out under that name: for a store without resources that takes over another's."""
        await self.database.write(ALONE, lambda connection: renew_epoch(connection, epoch))
        await self.follow()


def _changed() -> DefinitionsChanged:
    return DefinitionsChanged("the schemas were changed just now, and what was asked was not done; ask again")
