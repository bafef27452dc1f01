"""The route table: start reading here. Every request takes one of these ways."""

import re
from collections.abc import Awaitable

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.routing import BaseRoute, Route, Router

from rollbook.operations.tenant_settings import Feature, TenantSettings
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import InvalidVersion, NotFound
from rollbook.server.bulk import send_bulk
from rollbook.server.discovery import Discovery
from rollbook.server.endpoints import Resources, unsupported
from rollbook.server.exchange import SHELL, Access, Endpoint
from rollbook.server.me import handlers
from rollbook.server.openapi import DOCUMENTS, PAGE, OpenApi
from rollbook.server.queries import Queries
from rollbook.server.requests import AsgiApp, Receive, Scope, Send

PATH = "/scim/v2"
"""Where the default tenant is served, and each other one below its own path."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def routed(catalog: Catalog, settings: TenantSettings) -> AsgiApp:
    """What is served of every tenant with these definitions and features, under `PATH` whatever the tenant's own path is.

    Requests carry their tenant's `Shell`; what is raised is for an `ErrorBoundary` to answer.
    """
    described = OpenApi()
    routes = [
        *tenant_routes(catalog, settings, PATH),
        *(Route(path, Endpoint({"GET": described.read}, Access.DISCOVERY)) for path in DOCUMENTS),
        Route(PAGE, Endpoint({"GET": described.page}, Access.DISCOVERY)),
    ]
    router = Router(routes=routes, redirect_slashes=False, default=_no_endpoint)
    return PathForms(router, PATH)


class IdConvertor(StringConvertor):
    """What stands for an id in a path: anything but the name of the other endpoint there."""

    regex = r"(?!\.search\Z)[^/]+"


register_url_convertor("id", IdConvertor())


def tenant_routes(catalog: Catalog, settings: TenantSettings, path: str) -> list[BaseRoute]:
    """Every route of a tenant under `path`; the two of each resource type first, being asked most."""
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
            Route(f"{path}{resource_type.endpoint}/{{id:id}}", Endpoint(one)),
            Route(f"{path}{resource_type.endpoint}", Endpoint(every)),
            Route(f"{path}{resource_type.endpoint}/.search", Endpoint({"POST": queries.search})),
        ]
    for name, handler in Discovery().handlers.items():
        routes.append(Route(f"{path}/{name}", Endpoint({"GET": handler}, Access.DISCOVERY)))
    everything = Queries(catalog.resource_types)
    nothing = dict.fromkeys(_METHODS, unsupported)
    me = handlers() if settings.offers(Feature.ME) else nothing
    bulk = {"POST": send_bulk} if settings.offers(Feature.BULK) else nothing
    return [
        *routes,
        Route(f"{path}/Me", Endpoint(me, Access.TOKEN)),
        Route(f"{path}/Bulk", Endpoint(bulk, Access.TOKEN)),
        Route(f"{path}/.search", Endpoint({"POST": everything.search})),
        Route(path, Endpoint({"GET": everything.list})),
    ]


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
    base: str = scope[SHELL].sites.base(scope)
    raise NotFound(f"there is no endpoint {scope['path'][:100]!r} here; SCIM is served under {base}")
