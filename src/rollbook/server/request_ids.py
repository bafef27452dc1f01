"""Each request has a name, in every line that is logged of it and in its answer; and, if asked for, a line of its own."""

import secrets
import time
from collections.abc import Awaitable

import structlog

from rollbook.server.peers import REQUEST_ID
from rollbook.server.requests import AsgiApp, Message, Receive, Scope, Send
from rollbook.server.watching import WATCHED, Watched, known_method
from rollbook.storage.patience import of_a_request

log = structlog.get_logger("rollbook.access")

HEADER = b"x-request-id"


def new_request_id() -> str:
    """A name that nobody can guess, and that says nothing."""
    return secrets.token_hex(8)


class RequestIds:
    """ASGI middleware just below the edge, which has said by then what a trusted proxy calls the request (T-49).

    `tells`: log a line of every request. It has the route and no path, no query and no body: nothing of anybody (T-94).
    """

    def __init__(self, app: AsgiApp, *, tells: bool = False) -> None:
        self._app = app
        self._tells = tells

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; what is cut off is told as a failure of ours."""
        name: str = scope.get(REQUEST_ID) or new_request_id()
        watched: Watched | None = scope.setdefault(WATCHED, Watched()) if self._tells else None
        status, begun = 500, time.perf_counter()

        def sending(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*(message.get("headers") or ()), (HEADER, name.encode())]
            return send(message)

        with structlog.contextvars.bound_contextvars(request_id=name), of_a_request():
            try:
                await self._app(scope, receive, sending)
            finally:
                if watched is not None:
                    _tell(watched, scope["method"], status, time.perf_counter() - begun)


def _tell(watched: Watched, method: str, status: int, seconds: float) -> None:
    log.info(
        "request",
        method=known_method(method),
        route=watched.route,
        status=status,
        ms=round(seconds * 1000, 1),
        tenant=watched.tenant,
        token=watched.token,
    )
