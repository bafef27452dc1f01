"""The route table: start reading here. Every request takes one of these ways."""

from starlette.routing import BaseRoute, Route, Router

from rollbook.operations.context import Services, Tenant
from rollbook.operations.tokens import Verifier
from rollbook.protocol.errors import NotFound
from rollbook.server.discovery import Discovery
from rollbook.server.endpoints import Endpoint, Resources, Shell, unsupported
from rollbook.server.errors import ErrorBoundary
from rollbook.server.requests import AsgiApp, Receive, Scope, Send
from rollbook.server.sites import Sites

PATH = "/scim/v2"
"""Where the default tenant is served."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def build_app(services: Services, tenant: Tenant, verifier: Verifier, sites: Sites) -> AsgiApp:
    """The whole server as one ASGI app: errors caught outermost, then routing, then endpoints."""
    shell = Shell(services, tenant, verifier, sites)
    router = Router(routes=tenant_routes(shell, sites.path), redirect_slashes=False, default=_no_endpoint)
    return ErrorBoundary(TrailingSlash(router))


def tenant_routes(shell: Shell, path: str) -> list[BaseRoute]:
    """Every route of one tenant under `path`; the two of each resource type first, being asked most."""
    routes: list[BaseRoute] = []
    for resource_type in shell.tenant.catalog.resource_types:
        handlers = Resources(resource_type)
        one = {
            "GET": handlers.read,
            "PUT": handlers.replace,
            "PATCH": handlers.patch,
            "DELETE": handlers.delete,
        }
        every = {"GET": handlers.list, "POST": handlers.create}
        routes += [
            Route(f"{path}{resource_type.endpoint}/.search", Endpoint(shell, {"POST": unsupported})),
            Route(f"{path}{resource_type.endpoint}/{{id}}", Endpoint(shell, one)),
            Route(f"{path}{resource_type.endpoint}", Endpoint(shell, every)),
        ]
    discovery = Discovery(shell.tenant.catalog, shell.services.limits)
    is_open = shell.tenant.settings.open_discovery
    for name, handler in discovery.handlers.items():
        routes.append(Route(f"{path}/{name}", Endpoint(shell, {"GET": handler}, is_open=is_open)))
    for name in ("/Me", "/Bulk", "/.search", ""):
        routes.append(Route(f"{path}{name}", Endpoint(shell, dict.fromkeys(_METHODS, unsupported))))
    return routes


class TrailingSlash:
    """ASGI middleware: a trailing slash is as good as none (P-3.2-07)."""

    def __init__(self, app: AsgiApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on without the slash."""
        path: str = scope["path"]
        if path.endswith("/") and len(path) > 1:
            scope["path"] = path[:-1]
        await self.app(scope, receive, send)


async def _no_endpoint(scope: Scope, _receive: Receive, _send: Send) -> None:
    raise NotFound(f"there is no endpoint {scope['path'][:100]!r}; SCIM is served under {PATH}")
