"""Call an ASGI app in-process: a request in, a response out, no socket between."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from rollbook.server.requests import AsgiApp, Message


@dataclass(frozen=True)
class Response:
    """What came back. `headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class AsgiCaller:
    """Sends requests to an app, with a bearer token if it has one."""

    app: AsgiApp
    token: str | None = None

    async def __call__(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Response:
        """Send one request; `body` is JSON unless it is bytes already."""
        path, _, query = target.partition("?")
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {"host": "localhost:8080"} | ({"content-type": "application/scim+json"} if raw else {})
        if self.token is not None:
            given["authorization"] = f"Bearer {self.token}"
        given |= headers or {}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 8080),
        }
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start = next(message for message in sent if message["type"] == "http.response.start")
        content = b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body")
        got = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return Response(start["status"], got, content)
