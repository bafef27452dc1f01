"""The route table: start reading here. Every request takes one of these ways."""

import re
from collections.abc import Awaitable

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.routing import BaseRoute, Route, Router

from rollbook.operations.context import Services, Tenant
from rollbook.operations.tenant_settings import Feature
from rollbook.operations.tokens import Verifier
from rollbook.protocol.errors import InvalidVersion, NotFound
from rollbook.server.bulk import send_bulk
from rollbook.server.discovery import Discovery
from rollbook.server.endpoints import Resources, unsupported
from rollbook.server.errors import ErrorBoundary
from rollbook.server.exchange import Access, Endpoint, Shell
from rollbook.server.me import handlers
from rollbook.server.openapi import PATH as OPENAPI_PATH
from rollbook.server.openapi import OpenApi
from rollbook.server.queries import Queries
from rollbook.server.requests import AsgiApp, Receive, Scope, Send
from rollbook.server.sites import Sites

PATH = "/scim/v2"
"""Where the default tenant is served."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def build_app(services: Services, tenant: Tenant, verifier: Verifier, sites: Sites) -> AsgiApp:
    """The whole server as one ASGI app: errors caught outermost, then routing, then endpoints."""
    return ErrorBoundary(routed(services, tenant, verifier, sites))


def routed(services: Services, tenant: Tenant, verifier: Verifier, sites: Sites) -> AsgiApp:
    """What is served by the definitions of the moment; what it raises is for an `ErrorBoundary` to answer."""
    shell = Shell(services, tenant, verifier, sites)
    described = OpenApi(tenant, services.limits)
    routes = [
        *tenant_routes(shell, sites.path),
        Route(OPENAPI_PATH, Endpoint(shell, {"GET": described.read}, _access_to_discovery(tenant))),
    ]
    router = Router(routes=routes, redirect_slashes=False, default=_no_endpoint)
    return PathForms(router, sites.path)


class IdConvertor(StringConvertor):
    """What stands for an id in a path: anything but the name of the other endpoint there."""

    regex = r"(?!\.search\Z)[^/]+"


register_url_convertor("id", IdConvertor())


def tenant_routes(shell: Shell, path: str) -> list[BaseRoute]:
    """Every route of one tenant under `path`; the two of each resource type first, being asked most."""
    catalog, settings = shell.tenant.catalog, shell.tenant.settings
    routes: list[BaseRoute] = []
    for resource_type in catalog.resource_types:
        resources, queries = Resources(resource_type), Queries((resource_type,))
        one = {
            "GET": resources.read,
            "PUT": resources.replace,
            "PATCH": resources.patch,
            "DELETE": resources.delete,
        }
        every = {"GET": queries.list, "POST": resources.create}
        routes += [
            Route(f"{path}{resource_type.endpoint}/{{id:id}}", Endpoint(shell, one)),
            Route(f"{path}{resource_type.endpoint}", Endpoint(shell, every)),
            Route(f"{path}{resource_type.endpoint}/.search", Endpoint(shell, {"POST": queries.search})),
        ]
    discovery = Discovery(shell.tenant, shell.services.limits)
    access = _access_to_discovery(shell.tenant)
    for name, handler in discovery.handlers.items():
        routes.append(Route(f"{path}/{name}", Endpoint(shell, {"GET": handler}, access)))
    everything = Queries(catalog.resource_types)
    nothing = dict.fromkeys(_METHODS, unsupported)
    me = handlers() if settings.offers(Feature.ME) else nothing
    bulk = {"POST": send_bulk} if settings.offers(Feature.BULK) else nothing
    return [
        *routes,
        Route(f"{path}/Me", Endpoint(shell, me, Access.TOKEN)),
        Route(f"{path}/Bulk", Endpoint(shell, bulk, Access.TOKEN)),
        Route(f"{path}/.search", Endpoint(shell, {"POST": everything.search})),
        Route(path, Endpoint(shell, {"GET": everything.list})),
    ]


def _access_to_discovery(tenant: Tenant) -> Access:
    return Access.OPEN if tenant.settings.open_discovery else Access.TOKEN


class PathForms:
    """ASGI middleware: the forms a path may have besides the one that is routed.

    A trailing slash is as good as none (P-3.2-07). Without a version in it the path means the newest; a version
    that is not served is refused (RFC 7644 §3.13).
    """

    def __init__(self, app: AsgiApp, path: str) -> None:
        self.app = app
        self.path = path
        parent, _, version = path.rpartition("/")
        self.parent = f"{parent}/" if _VERSION.match(version) else None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass the request on with the path that is routed."""
        path: str = scope["path"]
        if path.endswith("/") and len(path) > 1:
            path = scope["path"] = path[:-1]
        if self.parent is not None and not path.startswith(self.path) and path.startswith(self.parent):
            scope["path"] = self._versioned(path, self.parent)
        return self.app(scope, receive, send)

    def _versioned(self, path: str, parent: str) -> str:
        rest = path[len(parent) :]
        version = rest.partition("/")[0]
        if _VERSION.match(version):
            raise InvalidVersion(f"version {version[:20]} is not served here, only {self.path} (P-3.12-16)")
        return f"{self.path}/{rest}"


_VERSION = re.compile(r"v[0-9]+\Z", re.ASCII)


async def _no_endpoint(scope: Scope, _receive: Receive, _send: Send) -> None:
    raise NotFound(f"there is no endpoint {scope['path'][:100]!r}; SCIM is served under {PATH}")
