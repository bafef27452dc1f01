"""What every operation is given: the store, what is served, the limits, the clock, and who asks."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

from rollbook.operations.cursors import Cursors
from rollbook.operations.passwords import PasswordHasher
from rollbook.operations.pieces import Pieces
from rollbook.operations.rights import ALL, Rights, bound
from rollbook.operations.tenant_settings import Limits, TenantSettings
from rollbook.operations.veil import Veil
from rollbook.operations.withheld import veil_of
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.declared import FOREIGN
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.patch import Allowance
from rollbook.protocol.quirks import PROFILES, Leniency, Profile, Quirk
from rollbook.protocol.resolved import NOTHING, ResolvedFilter
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonValue, is_heavy
from rollbook.storage.base import Author, Rules, Store, TokenStore
from rollbook.storage.sight import Sight
from rollbook.storage.sql.readers import Readers
from rollbook.storage.tenants import DEFAULT

DEFAULT_TENANT = DEFAULT
"""Number of the tenant served under /scim/v2."""


_MOST_BOUNDS = 1_000

T = TypeVar("T")


@dataclass(frozen=True)
class Tenant:
    """One tenant: what it serves, and what it has been told. One object, kept frozen."""

    number: int
    catalog: Catalog
    settings: TenantSettings = TenantSettings()
    edition: int = 0
    """Grows with every change of it or of its definitions."""
    name: str = "default"

    @cached_property
    def foreign(self) -> frozenset[str]:
        """Lower-case URNs that say a body is something else: messages, and the base schemas of all types (A-02)."""
        return FOREIGN.union(kind.schema.id.lower() for kind in self.catalog.resource_types)

    @cached_property
    def _bounds(self) -> dict[tuple[str, str], ResolvedFilter]:
        return {}

    @cached_property
    def _sights(self) -> dict[str, Sight]:
        return {}

    @cached_property
    def _veils(self) -> dict[tuple[frozenset[str], frozenset[str], str], Veil]:
        return {}

    def veil(self, rights: Rights, kind: ResourceType) -> Veil:
        """What is held back of resources of a type from a caller with these rights."""
        key = (rights.without, rights.hold, kind.name)
        if key not in self._veils:
            if len(self._veils) >= _MOST_BOUNDS:
                self._veils.clear()
            self._veils[key] = veil_of(kind, self.catalog, rights.without, rights.hold)
        return self._veils[key]

    def unlabelled(self, rights: Rights) -> frozenset[str]:
        """Names of the types whose resources a caller with these rights knows by no label where others refer to them."""
        kinds = self.catalog.resource_types if rights.without else ()
        return frozenset(kind.name for kind in kinds if self.veil(rights, kind).hides_label)

    def sight(self, rights: Rights) -> Sight | None:
        """What a caller with these rights sees of what others refer to, None for all of it; its types do not count here."""
        within = rights.within
        if within is None:
            return None if rights.own is None else Sight(maker=rights.own)
        if within not in self._sights:
            if len(self._sights) >= _MOST_BOUNDS:
                self._sights.clear()
            kinds = self.catalog.resource_types
            self._sights[within] = Sight({kind.name: self._seen(rights, kind) for kind in kinds})
        found = self._sights[within]
        return found if rights.own is None else replace(found, maker=rights.own)

    def _seen(self, rights: Rights, kind: ResourceType) -> ResolvedFilter:
        try:
            return self.bound(rights, kind) or NOTHING
        except InvalidValue:  # of a type that the bound was not made for
            return NOTHING

    def bound(self, rights: Rights, kind: ResourceType) -> ResolvedFilter | None:
        """What resources of a type must match for a caller with these rights, None for all of them."""
        if rights.within is None:
            return None
        key = (rights.within, kind.name)
        if key not in self._bounds:
            if len(self._bounds) >= _MOST_BOUNDS:
                self._bounds.clear()
            self._bounds[key] = bound(rights, kind) or NOTHING
        return self._bounds[key]


@dataclass(frozen=True)
class Caller:
    """Who asks: the tenant, name and public id of the token, the id of the user it acts for, if any, and from where."""

    tenant: Tenant
    name: str
    user: str | None = None
    token_id: str = ""
    rights: Rights = ALL
    origin: str | None = None
    """The address they ask from."""

    @property
    def identity(self) -> str:
        """Changes whenever another may ask, or the same with other rights (P-9865-2-18, -19)."""
        return f"{self.token_id} {self.name} {self.user or ''} {self.rights.text}"

    @property
    def profile(self) -> Profile:
        """Whose quirks are accepted of this caller: its own, or else the tenant's."""
        named = self.rights.profile
        return self.tenant.settings.accepted if named is None else PROFILES[named]


@dataclass(frozen=True)
class Services:
    """Everything an operation reaches the outside world through. `now` is milliseconds since 1970, UTC.

    `note_quirks` counts the quirks that a request needed, at a time.
    """

    store: Store
    tokens: TokenStore
    now: Callable[[], int]
    new_id: Callable[[], str]
    passwords: PasswordHasher
    cursors: Cursors
    note_quirks: Callable[["Caller", Iterable[Quirk], int], None]
    pieces: Pieces = field(default_factory=Pieces)
    aside: Readers = field(default_factory=lambda: Readers(2, 1, name="aside"))
    """Threads for work that cannot be done in pieces; one tenant has one of them at most."""


async def at_once() -> None:
    """The turn of a request that waits for no other."""


@dataclass(frozen=True, slots=True)
class Context:
    """One request's view: services, caller, the quirks it may use, and what its patches may cost together.

    `turn` is awaited before the store is asked to write, and what follows it asks at once: operations of a bulk
    request wait there for those before them.
    """

    services: Services
    caller: Caller
    leniency: Leniency = field(default_factory=Leniency)
    allowance: Allowance = field(default_factory=Allowance)
    turn: Callable[[], Awaitable[None]] = at_once

    @property
    def limits(self) -> Limits:
        """What this request may bring and ask for at most."""
        return self.caller.tenant.settings.limits

    @property
    def tenant(self) -> int:
        """The number every store call is bound to."""
        return self.caller.tenant.number

    @property
    def rules(self) -> Rules:
        """What the tenant asks of references between resources, which are to what the caller sees."""
        rules, sight = self.caller.tenant.settings.rules, self.sight
        return rules if sight is None else replace(rules, sight=sight)

    @property
    def sight(self) -> Sight | None:
        """What the caller sees, None for everything."""
        return self.caller.tenant.sight(self.caller.rights)

    async def decided(self, body: JsonValue, work: Callable[[], T]) -> T:
        """What `work` makes of a body: of a large one in a thread, where the event loop does not wait for it."""
        if not is_heavy(body):
            return work()
        return await self.aside(work)

    async def aside(self, work: Callable[[], T]) -> T:
        """Run it in a thread; of one tenant one thing at a time."""
        return await self.services.aside.run(lambda _: work(), self.tenant, unbounded=True)

    def some(self, things: Sequence[T]) -> AsyncIterator[Sequence[T]]:
        """The same things, some at a time, for work that may be long: others have their turns in between."""
        return self.services.pieces.some(self.tenant, things)

    def veil(self, kind: ResourceType) -> Veil:
        """What is held back from the caller of resources of a type."""
        return self.caller.tenant.veil(self.caller.rights, kind)

    def author(self) -> Author:
        """Who writes, and when, for the change log."""
        caller = self.caller
        own = caller.rights.own
        return Author(caller.name, self.services.now(), caller.token_id or None, caller.origin, maker=own)
