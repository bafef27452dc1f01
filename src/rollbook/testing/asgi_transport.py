"""A client's transport into an ASGI application in the same process: no socket, no thread."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

from rollbook.client import HttpRequest, HttpResponse
from rollbook.protocol.errors import TargetUnavailable

Message = MutableMapping[str, Any]
AsgiApp = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


class AsgiTransport:
    """Runs the application once per request; `ConnectionError` and `TimeoutError` from it mean no answer."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The application's answer."""
        answer = _Answer()
        body = [request.content]

        async def receive() -> Message:
            await asyncio.sleep(0)
            if body:
                return {"type": "http.request", "body": body.pop(), "more_body": False}
            return {"type": "http.disconnect"}

        try:
            await self._app(_scope(request), receive, answer.take)
        except (ConnectionError, TimeoutError) as error:
            raise TargetUnavailable(f"no answer: {error}") from error
        return HttpResponse(answer.status, answer.headers, bytes(answer.content))

    async def close(self) -> None:
        """Nothing is held."""


class _Answer:
    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.content = bytearray()

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            for name, value in message.get("headers", ()):
                self.headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
        else:
            self.content += message.get("body", b"")


def _scope(request: HttpRequest) -> dict[str, Any]:
    parts = urlsplit(request.url)
    headers = {"host": parts.netloc, "content-length": str(len(request.content)), **request.headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": parts.scheme,
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": (parts.hostname or "", parts.port or 80),
        "state": {},
    }
