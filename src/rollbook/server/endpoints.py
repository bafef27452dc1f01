"""What each SCIM endpoint does with each method: HTTP → operation → answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from rollbook.operations import access, resources, search
from rollbook.operations.context import Context, Services, Tenant
from rollbook.operations.tokens import Verifier
from rollbook.protocol.errors import MethodNotAllowed, NotFound, UnsupportedFeature
from rollbook.protocol.match import matches
from rollbook.protocol.messages import list_response_bytes
from rollbook.protocol.projection import DEFAULT, Projection, parse_projection, wants
from rollbook.protocol.query import parse_page
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.versions import if_match, if_none_match
from rollbook.server.auth import authenticate
from rollbook.server.requests import Receive, Request, Scope, Send, answer_type, parameters, read_json
from rollbook.server.responses import (
    Answer,
    Site,
    projected_bytes,
    resource_document,
    resource_headers,
    send_answer,
)
from rollbook.server.sites import Sites
from rollbook.storage.base import Record

Handler = Callable[["Exchange"], Awaitable[Answer]]


@dataclass(frozen=True)
class Shell:
    """What every endpoint of a tenant shares."""

    services: Services
    tenant: Tenant
    verifier: Verifier
    sites: Sites


@dataclass(slots=True)
class Exchange:
    """One authenticated request on its way through a handler."""

    request: Request
    context: Context
    site: Site
    parameters: Mapping[str, str]


class Endpoint:
    """An ASGI app for one path: picks the handler by method, authenticates, answers."""

    def __init__(self, shell: Shell, handlers: Mapping[str, Handler], *, is_open: bool = False) -> None:
        self.shell = shell
        self.is_open = is_open
        self.handlers = dict(handlers)
        if "GET" in self.handlers:
            self.handlers["HEAD"] = self.handlers["GET"]
        self.allow = (*self.handlers, "OPTIONS")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        shell = self.shell
        method = scope["method"]
        site = shell.sites.site(scope, shell.tenant.catalog)
        request = Request(scope, receive, site.base, scope["path_params"].get("id", ""))
        if method == "OPTIONS":
            await send_answer(send, Answer(204, headers=((b"allow", ", ".join(self.allow).encode()),)))
            return
        caller = None
        if not self.is_open:
            caller = await authenticate(request, shell.verifier, shell.services.now())
            access.check(caller, method, request.id)
        handler = self.handlers.get(method)
        if handler is None:
            raise MethodNotAllowed(
                f"{method} is not offered here, only {', '.join(self.allow)}", allow=self.allow
            )
        media_type = answer_type(request)
        context = Context(
            shell.services, caller or shell.verifier.nobody, Leniency(shell.tenant.settings.accepted)
        )
        exchange = Exchange(request, context, site, parameters(request, shell.services.limits))
        answer = await handler(exchange)
        await send_answer(send, answer, media_type, head=method == "HEAD")


@dataclass(frozen=True)
class Resources:
    """The handlers of one resource type's two endpoints."""

    resource_type: ResourceType

    async def create(self, exchange: Exchange) -> Answer:
        """POST to the type (RFC 7644 §3.3)."""
        body = await read_json(exchange.request, exchange.context.services.limits)
        projection = self._projection(exchange)
        written = await resources.create(exchange.context, self.resource_type, body)
        return self._answer(exchange, 201, written.record, projection, written.paths)

    async def read(self, exchange: Exchange) -> Answer:
        """GET one (RFC 7644 §3.4.1)."""
        projection = self._projection(exchange)
        filter_text = exchange.parameters.get("filter")
        record = await self._read(exchange, projection, everything=filter_text is not None)
        if filter_text is not None:
            self._check_filter(exchange, record, filter_text)
        known = exchange.request.header(b"if-none-match")
        # Derived values move without the version, so an answer that shows them is never a 304.
        shows_derived = bool(record.groups) or bool(record.members)
        if known is not None and not shows_derived and if_none_match(known, record.version):
            return Answer(304, headers=resource_headers(record, exchange.site))
        return self._answer(exchange, 200, record, projection)

    async def list(self, exchange: Exchange) -> Answer:
        """GET a page (RFC 7644 §3.4.2)."""
        given, limits = exchange.parameters, exchange.context.services.limits
        projection = self._projection(exchange)
        page = parse_page(
            given.get("startIndex"), given.get("count"), default=limits.default_page, most=limits.page
        )
        condition = search.read_filter(
            exchange.context, self.resource_type, given.get("filter"), exchange.site.base
        )
        found = await search.search(
            exchange.context, self.resource_type, condition, page, **self._include(projection)
        )
        items = [
            projected_bytes(record, self.resource_type, exchange.site, projection) for record in found.records
        ]
        return Answer(200, list_response_bytes(found.total, page.start_index, items))

    async def replace(self, exchange: Exchange) -> Answer:
        """PUT (RFC 7644 §3.5.1)."""
        body = await read_json(exchange.request, exchange.context.services.limits)
        projection = self._projection(exchange)
        written = await resources.replace(
            exchange.context, self.resource_type, exchange.request.id, body, self._if_match(exchange)
        )
        record = await self._whole(exchange, written.record, projection)
        return self._answer(exchange, 200, record, projection, written.paths)

    async def patch(self, exchange: Exchange) -> Answer:
        """PATCH (RFC 7644 §3.5.2): 200 with the resource, or 204 where that would mean all members (A-21)."""
        body = await read_json(exchange.request, exchange.context.services.limits)
        projection = self._projection(exchange)
        written = await resources.patch(
            exchange.context, self.resource_type, exchange.request.id, body, self._if_match(exchange)
        )
        if self.resource_type.memberships is not None and projection.is_default:
            return Answer(204, headers=resource_headers(written.record, exchange.site))
        record = await self._whole(exchange, written.record, projection)
        return self._answer(exchange, 200, record, projection, written.paths)

    async def delete(self, exchange: Exchange) -> Answer:
        """DELETE (RFC 7644 §3.6)."""
        await resources.delete(
            exchange.context, self.resource_type, exchange.request.id, self._if_match(exchange)
        )
        return Answer(204)

    def _projection(self, exchange: Exchange) -> Projection:
        given = exchange.parameters
        wanted, unwanted = given.get("attributes"), given.get("excludedAttributes")
        if wanted is None and unwanted is None:
            return DEFAULT
        return parse_projection(
            _names(wanted), _names(unwanted), self.resource_type, exchange.context.leniency
        )

    def _include(self, projection: Projection) -> dict[str, bool]:
        memberships, derived = self.resource_type.memberships, self.resource_type.derived
        return {
            "members": memberships is not None and wants(projection, memberships),
            "groups": derived is not None and wants(projection, derived),
        }

    async def _read(self, exchange: Exchange, projection: Projection, *, everything: bool = False) -> Record:
        include = {"members": True, "groups": True} if everything else self._include(projection)
        return await resources.read(exchange.context, self.resource_type, exchange.request.id, **include)

    async def _whole(self, exchange: Exchange, record: Record, projection: Projection) -> Record:
        return await self._read(exchange, projection) if self._include(projection)["members"] else record

    def _check_filter(self, exchange: Exchange, record: Record, text: str) -> None:
        condition = search.read_filter(exchange.context, self.resource_type, text, exchange.site.base)
        document = resource_document(record, self.resource_type, exchange.site)
        if condition is not None and not matches(condition, document):
            raise NotFound("the resource does not match the filter (A-42)")

    def _answer(
        self,
        exchange: Exchange,
        status: int,
        record: Record,
        projection: Projection,
        written: frozenset[str] = frozenset(),
    ) -> Answer:
        body = projected_bytes(record, self.resource_type, exchange.site, projection, written)
        return Answer(status, body, resource_headers(record, exchange.site))

    @staticmethod
    def _if_match(exchange: Exchange) -> resources.Precondition:
        return if_match(exchange.request.header(b"if-match"))


async def unsupported(exchange: Exchange) -> Answer:
    """A part of SCIM this server does not offer (P-3.2-06)."""
    raise UnsupportedFeature(f"{exchange.request.scope['path']} is not supported by this server")


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name for part in text.split(",") if (name := part.strip())]
