"""Which absolute URI a request was sent to: what every issued URI starts with (A-46, T-50)."""

from dataclasses import dataclass, field

from rollbook.operations.context import Tenant
from rollbook.operations.tenant_settings import Feature
from rollbook.server.requests import Scope
from rollbook.server.responses import Site

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass
class Sites:
    """Chooses the origin of issued URIs, such as `https://scim.example.com`.

    It is `public_url` if set, else the Host header if its name is allowed, else `fallback`; no other Host is
    ever used. `path` is the service path that follows it.
    """

    path: str
    fallback: str
    public_url: str | None = None
    hosts: frozenset[str] = LOOPBACK_NAMES
    _known: dict[tuple[str, bytes], Site] = field(default_factory=dict)

    def site(self, scope: Scope, tenant: Tenant) -> Site:
        """The site of one request."""
        asked = scope["scheme"], _host(scope)
        found = self._known.get(asked)
        if found is None:
            if len(self._known) > 256:  # ports of a Host header come from callers
                self._known.clear()
            etags = tenant.settings.offers(Feature.ETAG)
            found = self._known[asked] = Site(self.base(scope), tenant.catalog, etags)
        return found

    def base(self, scope: Scope) -> str:
        """The absolute URI of the service for one request."""
        return self.origin(scope) + self.path

    def origin(self, scope: Scope) -> str:
        """What URIs begin with that are issued in answer to a request."""
        return self._origin(scope, _host(scope))

    def _origin(self, scope: Scope, host: bytes) -> str:
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        text = host.decode("latin-1").lower()
        name, port = _split(text)
        if name in self.hosts and (not port or (port.isascii() and port.isdigit())):
            return f"{scope['scheme']}://{text}"
        return self.fallback


def _host(scope: Scope) -> bytes:
    return next((value for name, value in scope["headers"] if name == b"host"), b"")


def _split(host: str) -> tuple[str, str]:
    if host.startswith("["):
        name, _, rest = host.partition("]")
        return f"{name}]", rest.removeprefix(":")
    name, _, port = host.partition(":")
    return name, port
