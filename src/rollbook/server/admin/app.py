"""The way into /admin/v1: who asks is settled first, then everything else (I-08, T-09).

Whoever has no valid token is asked for one, whatever the path; whoever has one that is for something else finds nothing, whatever the path.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rollbook.operations.administration import Administrator, administrator
from rollbook.operations.tokens import Credential
from rollbook.protocol.errors import Forbidden
from rollbook.server.admin.desk import Desk
from rollbook.server.auth import authenticate
from rollbook.server.refusals import Asker, asked, astray
from rollbook.server.requests import JSON, AsgiApp, Receive, Request, Scope, Send
from rollbook.server.responses import Answer, send_answer
from rollbook.server.tenants import Door, TenantDoors
from rollbook.server.watching import note_token
from rollbook.storage.tenants import TenantState


@dataclass(eq=False)
class Admin:
    """ASGI app: everything under `PREFIX`."""

    desk: Desk
    doors: TenantDoors
    follow: Callable[[], Awaitable[object]]
    """Lets this process serve what has just been changed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive, "")
        credential, who = await self._settled(request)
        note_token(scope, credential.token_id)
        door = await self.doors.of(credential.tenant)
        if not door.admits(scope):
            raise Forbidden("requests of this tenant are not answered at this address")
        if door.state is not TenantState.OPEN:
            raise Forbidden("this tenant is switched off; whoever runs the server can switch it on again")
        turn = self.doors.limiter.arrive(credential.caller(door.shell.tenant))
        try:
            answer = await self._answered(request, who, door)
            answer.headers += turn.headers
        finally:
            turn.give_back()
        await send_answer(send, answer, JSON, head=scope["method"] == "HEAD")

    async def _settled(self, request: Request) -> tuple[Credential, Administrator]:
        """Who asks. What was remembered of their token is not enough: here it has to hold at this moment."""
        at = self.desk.now()
        credential = await authenticate(request, self.doors.verifier, at)
        astray(request.scope, credential)  # as long as it is not certain
        who = administrator(credential)
        reaches_one = not who.runs_the_server
        asked(request.scope, Asker(credential.tenant, credential.name, credential.token_id, reaches_one))
        await self.doors.verifier.check(credential, at)
        return credential, who

    async def _answered(self, request: Request, who: Administrator, door: Door) -> Answer:
        from rollbook.server.admin.answering import answered  # what it loads is for those who administer only

        return await answered(self.desk, request, who, door.shell.tenant, self.follow)


@dataclass(eq=False)
class Beside:
    """ASGI app: /admin is for one app, all else for the other."""

    admin: AsgiApp
    others: AsgiApp

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        path: str = scope["path"]
        return (self.admin if path == "/admin" or path.startswith("/admin/") else self.others)(
            scope, receive, send
        )
