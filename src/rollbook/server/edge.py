"""The outermost of the server: what holds for every answer, whoever gives it, and for everybody who asks."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

from rollbook.operations.networks import Network
from rollbook.operations.tokens import token_id
from rollbook.protocol.errors import InvalidSyntax
from rollbook.server.errors import error_answer
from rollbook.server.limits import FailedLogins, presented
from rollbook.server.oauth import TOKEN_PATH
from rollbook.server.peers import peer, settle
from rollbook.server.requests import AsgiApp, Message, Receive, Scope, Send
from rollbook.server.responses import Answer, send_answer

STALLED_SECONDS = 30.0
"""How long a part of an answer may wait for whoever does not read."""

_NOSNIFF = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")
_NOTHING = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_PAGE = (b"content-security-policy", _PAGE_POLICY.encode())
_NO_REFERRER = (b"referrer-policy", b"no-referrer")
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_SERVER = (b"server", b"rollbook")
"""Without a version; it stands in the place of the HTTP server's own."""


class Edge:
    """ASGI middleware around all others."""

    def __init__(
        self, app: AsgiApp, trusted: Sequence[Network] = (), failed: FailedLogins | None = None
    ) -> None:
        self._app = app
        self._trusted = trusted
        self._failed = FailedLogins() if failed is None else failed

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Pass the request on."""
        settle(scope, self._trusted)

        def sending(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = secured(message.get("headers") or [], scope["scheme"])
                if message["status"] == 401:
                    return self._refuse(scope, message, send)
            elif message.get("more_body"):
                return _send_in_time(message, send)
            return send(message)

        if not is_plainly_framed(scope["headers"]):
            return send_answer(sending, _refused())
        return self._app(scope, receive, sending)

    async def _refuse(self, scope: Scope, message: Message, send: Send) -> None:
        """Answer a wrong credential, later the more of them there are; one without any is no guess (T-08)."""
        guess = presented(scope)
        if guess is None and scope["path"].endswith(TOKEN_PATH):
            guess = ""  # a secret in the body
        if guess is not None:
            wait = self._failed.wait(peer(scope), token_id(guess))
            if wait > 0:
                await asyncio.sleep(wait)
        await send(message)


def is_plainly_framed(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a head says in the one usual way where its body ends: nobody in front may have read it otherwise (T-48)."""
    for name, value in headers:
        if name == b"transfer-encoding" and value.lower() != b"chunked":
            return False
        if name == b"content-length" and value[:1] == b"0" != value:
            return False
    return True


def _refused() -> Answer:
    answer = error_answer(
        InvalidSyntax(
            "write Content-Length as a plain number, or Transfer-Encoding as chunked alone (RFC 9112 section 6)"
        )
    )
    answer.headers += ((b"connection", b"close"),)
    return answer


async def _send_in_time(message: Message, send: Send) -> None:
    """Send a part of a long answer; whoever does not read it is cut off (T-47)."""
    async with asyncio.timeout(STALLED_SECONDS):
        await send(message)


def secured(headers: list[tuple[bytes, bytes]], scheme: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with those that keep browsers and caches from misusing it; its own go before ours."""
    own = dict(headers)
    is_page = own.get(b"content-type", b"").startswith(b"text/html")
    wanted = [_SERVER, _NOSNIFF, _NO_STORE, _PAGE if is_page else _NOTHING]
    if is_page:
        wanted.append(_NO_REFERRER)
    if scheme == "https":
        wanted.append(_HSTS)
    return [*headers, *(each for each in wanted if each[0] not in own)]
