"""Whose request it is: by the path `/t/{name}`, by a host name, or the default tenant's.

Who has no token of a tenant cannot tell it from one that there is not: both ask for a token first, whatever the path
and method, and a token of another tenant finds nothing at either (A-61, I-08).
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

from rollbook.operations.context import Services
from rollbook.operations.networks import within
from rollbook.operations.tenant_settings import Feature, TenantSettings
from rollbook.operations.tenants import is_name, tenant_of
from rollbook.operations.tokens import Credential, Verifier, no_such_tenant
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import Forbidden, MethodNotAllowed, NotFound
from rollbook.server.attendance import Attendance
from rollbook.server.auth import authenticate
from rollbook.server.exchange import SHELL, Shell
from rollbook.server.limits import Limiter
from rollbook.server.oauth import TOKEN_PATH, WELL_KNOWN, OauthDoor, metadata
from rollbook.server.peers import peer
from rollbook.server.refusals import astray
from rollbook.server.requests import AsgiApp, Receive, Request, Scope, Send
from rollbook.server.responses import send_answer
from rollbook.server.routes import PATH, routed
from rollbook.server.sites import Sites
from rollbook.storage.tenants import DEFAULT, DEFAULT_NAME, TenantRecord, Tenants, TenantState

PREFIX = "/t/"
MOST = 50_000
"""Tenants that are held ready; they share what they serve, so that each is small."""

CatalogOf = Callable[[int], Awaitable[Catalog]]
T = TypeVar("T")


@dataclass(frozen=True)
class Address:
    """Where the server can be reached; see `Sites`."""

    fallback: str
    public_url: str | None
    hosts: frozenset[str]

    def sites(self, path: str, host: str | None) -> Sites:
        """The sites of a tenant with a path below the address, or a host name of its own."""
        if host is None:
            return Sites(path, self.fallback, self.public_url, self.hosts)
        known = urlsplit(self.public_url or self.fallback)
        port = f":{known.port}" if known.port else ""
        return Sites(path, self.fallback, f"{known.scheme}://{host}{port}", frozenset())


class Door(NamedTuple):
    """The way to a tenant."""

    app: AsgiApp
    shell: Shell
    state: TenantState

    @property
    def is_open(self) -> bool:
        """Whether anybody may know that there is this tenant."""
        return self.state is TenantState.OPEN and self.shell.tenant.settings.open_discovery

    def admits(self, scope: Scope) -> bool:
        """Whether the tenant is asked from where it may be; who asks is not known yet."""
        networks = self.shell.tenant.settings.allow_from
        return not networks or within(peer(scope), networks)


@dataclass
class TenantDoors:
    """ASGI app: passes each request to the tenant that is asked, with its `Shell`.

    `changed` is told when tenants are others by now: their doors are made anew.
    """

    services: Services
    verifier: Verifier
    table: Tenants
    catalog_of: CatalogOf
    address: Address
    told: TenantSettings = TenantSettings()
    oauth: OauthDoor | None = None
    limiter: Limiter = field(default_factory=Limiter)
    attendance: Attendance = field(default_factory=Attendance)
    _doors: dict[str, Door | None] = field(default_factory=dict)
    _hosts: dict[str, str] = field(default_factory=dict)
    _routers: dict[tuple[int, bool, bool], tuple[Catalog, AsgiApp]] = field(default_factory=dict)
    _generation: int = 0

    def changed(self, tenants: Sequence[int] | None) -> None:
        """Forget what is known of these (None: of all), of names that nobody had, and which tokens are valid."""
        gone = set(tenants or ())
        self._doors = {
            name: door
            for name, door in self._doors.items()
            if tenants is not None and door and door.shell.tenant.number not in gone
        }
        self._hosts.clear()
        self.verifier.forget()
        self._generation += 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["path"]
        if path.startswith(WELL_KNOWN) and self.oauth is not None:
            await self._metadata(scope, send)
            return
        if path.startswith(PREFIX):
            name, _, rest = path[len(PREFIX) :].partition("/")
            scope["path"] = f"/{rest}"
            door = None if name == DEFAULT_NAME else await self._door(name)
            if door is not None and not door.admits(scope):
                door = None  # told from a tenant that there is not by nothing
        else:
            door = await self._at_name(scope)
        if scope["path"] == TOKEN_PATH and self.oauth is not None:
            shell = door.shell if door is not None and door.state is TenantState.OPEN else None
            known = None if path.startswith(PREFIX) else door
            issuer = f"{self._origin(scope, known)}{path.removesuffix(TOKEN_PATH)}"
            await self.oauth.token(scope, receive, send, shell, issuer)
            return
        if (
            door is None
            or (path.startswith(PREFIX) and not door.is_open)
            or door.state is not TenantState.OPEN
        ):
            credential = await self._credential(scope, receive, door)
            if door is None or credential.tenant != door.shell.tenant.number:
                astray(scope, credential)
            _let_in(credential, door)
        assert door is not None  # noqa: S101 - else nobody was let in
        scope[SHELL] = door.shell
        await door.app(scope, receive, send)

    async def _metadata(self, scope: Scope, send: Send) -> None:
        """Where the token endpoint is; the same for every name, whether or not it is a tenant's."""
        if scope["method"] not in {"GET", "HEAD"}:
            raise MethodNotAllowed("metadata are only read", allow=("GET", "HEAD"))
        path: str = scope["path"].rstrip("/")
        door = await self._at_name(scope) if path == WELL_KNOWN else None
        answer = metadata(path, self._origin(scope, door))
        await send_answer(send, answer, head=scope["method"] == "HEAD")

    def _origin(self, scope: Scope, door: Door | None) -> str:
        """What issued URIs begin with; of a tenant that was asked by its host's name, with that."""
        return (door.shell.sites if door else self.address.sites("", None)).origin(scope)

    async def _at_name(self, scope: Scope) -> Door | None:
        """The door of the tenant of a Host header; the default's too for whoever may not ask that tenant from where they are.

        Raises:
            Forbidden: nor may they ask the default tenant.
        """
        name = await self._at_host(scope)
        door = await self._door(name)
        if door is not None and name != DEFAULT_NAME and not door.admits(scope):
            door = await self.default()
        if door is not None and not door.admits(scope):
            raise Forbidden("requests from this address are not answered here")
        return door

    async def _credential(self, scope: Scope, receive: Receive, door: Door | None) -> Credential:
        tenant = None if door is None else door.shell.tenant
        return await authenticate(Request(scope, receive, ""), self.verifier, self.services.now(), tenant)

    async def default(self) -> Door:
        """The default tenant's door."""
        door = await self._door(DEFAULT_NAME)
        if door is None:
            raise NotFound("the database has no default tenant")
        return door

    async def of(self, tenant: int) -> Door:
        """The door of the tenant of that number.

        Raises:
            NotFound: there is none any more.
        """
        if tenant == DEFAULT:
            return await self.default()
        record = await self.table.by_number(tenant)
        door = None if record is None else await self._door(record.name)
        if door is None:
            raise no_such_tenant()
        return door

    async def _at_host(self, scope: Scope) -> str:
        """The name of the tenant of a Host header; the default's if it is nobody's."""
        value = next((value for name, value in scope["headers"] if name == b"host"), b"")
        host = value.decode("latin-1").partition(":")[0].lower()
        if not host or host in self.address.hosts:
            return DEFAULT_NAME
        known = self._hosts.get(host)
        if known is None:
            generation = self._generation
            found = await self.table.by_host(host)
            known = found.name if found else DEFAULT_NAME
            _remember(self._hosts, host, known, fresh=generation == self._generation)
        return known

    async def _door(self, name: str) -> Door | None:
        if name in self._doors:
            return self._doors[name]
        generation = self._generation
        record = await self.table.by_name(name) if is_name(name) else None
        is_known = record is not None and record.state is not TenantState.DELETING
        door = await self._made(record) if record and is_known else None
        _remember(self._doors, name, door, fresh=generation == self._generation)
        return door

    async def _made(self, record: TenantRecord) -> Door:
        tenant = tenant_of(record, await self.catalog_of(record.number), self.told)
        below = record.number == DEFAULT or record.host is not None
        path = PATH if below else f"{PREFIX}{record.name}{PATH}"
        sites = self.address.sites(path, record.host)
        shell = Shell(self.services, tenant, self.verifier, sites, self.limiter, self.attendance)
        return Door(self._router(tenant.catalog, tenant.settings), shell, record.state)

    def _router(self, catalog: Catalog, settings: TenantSettings) -> AsgiApp:
        """One for all tenants that serve the same; it is held with its catalog, which is told by its identity."""
        key = (id(catalog), settings.offers(Feature.ME), settings.offers(Feature.BULK))
        if key not in self._routers:
            if len(self._routers) >= 256:
                self._routers.clear()
            self._routers[key] = (catalog, routed(catalog, settings))
        return self._routers[key][1]


def _let_in(credential: Credential, door: Door | None) -> None:
    """Whether a token opens a tenant that is not open to all.

    Raises:
        NotFound: it is not this tenant's, or there is none. Forbidden: the tenant is switched off.
    """
    if door is None or credential.tenant != door.shell.tenant.number:
        raise no_such_tenant()
    if door.state is not TenantState.OPEN:
        raise Forbidden("this tenant is switched off; whoever runs the server can switch it on again")


def _remember(known: dict[str, T], key: str, value: T, *, fresh: bool) -> None:
    """Keep what was found, unless something has changed while it was looked for."""
    if fresh:
        if len(known) >= MOST:
            known.clear()
        known[key] = value
