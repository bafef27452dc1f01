"""One endpoint as an ASGI app, and one request on its way through a handler: HTTP → handler → answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from rollbook.operations import access
from rollbook.operations.context import Caller, Context, Services, Tenant
from rollbook.operations.tokens import Verifier
from rollbook.protocol.errors import DefinitionsChanged, MethodNotAllowed, Unauthorized
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.values import JsonValue
from rollbook.server.attendance import Attendance, Waiting
from rollbook.server.auth import authenticate
from rollbook.server.limits import Limiter, Turn
from rollbook.server.peers import peer
from rollbook.server.refusals import Asker, asked, astray
from rollbook.server.requests import (
    Most,
    Receive,
    Request,
    Scope,
    Send,
    answer_type,
    parameters,
    parsed,
    read_json_body,
)
from rollbook.server.responses import Answer, Site, send_answer
from rollbook.server.sites import Sites
from rollbook.server.watching import note, note_token
from rollbook.storage.tenants import DEFAULT


class Access(Enum):
    """Who may ask an endpoint; what they may ask is `operations.access`'s to say."""

    DISCOVERY = "anybody, or whoever has a valid token: as the tenant's setting open-discovery says (A-61)"
    TOKEN = "whoever has a valid token"  # noqa: S105 - not a token
    OWN = "whoever has a valid token, about what their token is for"


@dataclass(frozen=True)
class Shell:
    """What every endpoint of a tenant shares."""

    services: Services
    tenant: Tenant
    verifier: Verifier
    sites: Sites
    limiter: Limiter = field(default_factory=Limiter)
    attendance: Attendance = field(default_factory=Attendance)

    @property
    def offers_basic(self) -> bool:
        """Whether strangers may be told that Basic is taken: not where they must not learn that there is this tenant."""
        settings = self.tenant.settings
        return settings.basic and (settings.open_discovery or self.tenant.number == DEFAULT)

    @cached_property
    def nobody(self) -> Caller:
        """The caller of endpoints that are open to all."""
        return Caller(self.tenant, "anonymous")


SHELL = "rollbook.shell"
"""Where a request's scope has the `Shell` of the tenant that is asked."""


@dataclass(slots=True)
class Exchange:
    """One authenticated request on its way through a handler."""

    request: Request
    context: Context
    site: Site
    parameters: Mapping[str, str]
    turn: Turn
    waiting: Waiting
    is_current: Callable[[], bool]
    """Whether no tenant and no token has changed since it was looked at who asks."""

    async def begin(self) -> None:
        """What was sent is there: wait for the turn. What may write is not given up after that.

        Raises:
            DefinitionsChanged: it was long in coming, and who asks may have lost the right meanwhile: it is asked once more (T-14).
        """
        self.waiting.begin()
        await self.turn.take(searches=_searches(self.request))
        if not _only_reads(self.request.scope):
            if not self.is_current():
                raise DefinitionsChanged(
                    "tokens or tenants were changed just now, and nothing was done; ask again"
                )
            self.waiting.end()

    async def json(self, most: Most | None = None) -> JsonValue:
        """The body; `most` is for endpoints with a limit of their own. Raises as `read_json` does.

        To parse it is work as well: it is done when it is this request's turn.
        """
        raw = await read_json_body(self.request, self.context.limits, most)
        await self.begin()
        return parsed(raw, decimals=self.context.caller.tenant.catalog.has_decimals)


def _searches(request: Request) -> bool:
    return not request.id and _only_reads(request.scope)


def _only_reads(scope: Scope) -> bool:
    return scope["method"] in {"GET", "HEAD"} or scope["path"].endswith("/.search")


_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

Handler = Callable[[Exchange], Awaitable[Answer]]


class Endpoint:
    """An ASGI app for one path of every tenant with the same definitions: picks the handler by method, authenticates, answers."""

    def __init__(self, handlers: Mapping[str, Handler], access: Access = Access.OWN) -> None:
        self.access = access
        self.handlers = dict(handlers)
        if "GET" in self.handlers:
            self.handlers["HEAD"] = self.handlers["GET"]
        self.allow = (*self.handlers, "OPTIONS")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        shell: Shell = scope[SHELL]
        note(scope, shell.tenant.name)
        method = scope["method"]
        site = shell.sites.site(scope, shell.tenant)
        request = Request(scope, receive, site.base, scope["path_params"].get("id", ""))
        if method == "OPTIONS":
            await send_answer(send, Answer(204, headers=((b"allow", ", ".join(self.allow).encode()),)))
            return
        generation = shell.verifier.generation
        caller = await self._caller(shell, request)
        note_token(scope, caller.token_id)
        if caller is not shell.nobody:
            bound = caller.rights.is_bound
            asked(scope, Asker(shell.tenant.number, caller.name, caller.token_id, bound))
        turn = shell.limiter.arrive(caller, is_known=caller is not shell.nobody)
        try:
            await self._answer(
                shell, request, caller, turn, send, lambda: generation == shell.verifier.generation
            )
        finally:
            turn.give_back()

    async def _answer(
        self,
        shell: Shell,
        request: Request,
        caller: Caller,
        turn: Turn,
        send: Send,
        is_current: Callable[[], bool],
    ) -> None:
        method = request.scope["method"]
        if self.access is Access.OWN:
            access.check(caller, method, request.id)
        handler = self.handlers.get(method)
        if handler is None:
            raise MethodNotAllowed(
                f"{method} is not offered here, only {', '.join(self.allow)}", allow=self.allow
            )
        media_type = answer_type(request)
        context = Context(shell.services, caller, Leniency(caller.profile))
        site = shell.sites.site(request.scope, shell.tenant)
        waiting = Waiting(shell.attendance, request.receive)
        try:
            exchange = Exchange(
                request, context, site, parameters(request, context.limits), turn, waiting, is_current
            )
            if method not in _WITH_BODY:
                await exchange.begin()
            answer = await handler(exchange)
            waiting.end()
            if context.leniency.used and shell.tenant.settings.explain:
                names = ", ".join(sorted(context.leniency.used))
                answer.headers = (*answer.headers, (b"rollbook-accepted-as", names.encode()))
            answer.headers += turn.headers
            await send_answer(send, answer, media_type, head=method == "HEAD")
        except asyncio.CancelledError:
            reason = waiting.reason()
            if reason is None:
                raise
            raise reason from None
        finally:  # operations of a bulk request are carried out while it is answered
            waiting.end()
            if context.leniency.used:
                shell.services.note_quirks(caller, context.leniency.used, shell.services.now())

    async def _caller(self, shell: Shell, request: Request) -> Caller:
        if self.access is Access.DISCOVERY and shell.tenant.settings.open_discovery:
            return shell.nobody
        try:
            credential = await authenticate(request, shell.verifier, shell.services.now(), shell.tenant)
        except Unauthorized as error:
            error.offers_basic = shell.offers_basic
            raise
        if credential.tenant != shell.tenant.number:
            astray(request.scope, credential)
        return credential.caller(shell.tenant, peer(request.scope) or None)
