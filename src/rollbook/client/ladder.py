"""The rungs under every call: call → authenticate → send (client.md 1).

Adds address, credentials and marks to a request, renews credentials once after a 401, follows a redirect
only within the same origin. Does not retry: whoever called knows whether a repeat is safe (C-5-01).
"""

import time
import uuid
from collections.abc import Callable, Mapping
from urllib.parse import quote, urljoin, urlsplit

import orjson

from rollbook import __version__
from rollbook.client.answers import error_of, without
from rollbook.client.authentication import Authentication
from rollbook.client.transport import HttpRequest, HttpResponse, Transport
from rollbook.protocol.errors import TargetRefused
from rollbook.protocol.values import JsonValue

MEDIA_TYPE = "application/scim+json"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_MOST_REDIRECTS = 3


class Ladder:
    """Calls to one service under one base URL."""

    def __init__(
        self,
        base_url: str,
        authentication: Authentication | None,
        transport: Transport,
        *,
        insecure_http: bool = False,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.base_url = checked_base_url(base_url, insecure_http=insecure_http)
        self._authentication = authentication
        self._transport = transport
        self._now = now
        self._new_id = new_id

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: JsonValue = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """The answer of success to one request; `path` begins with a slash and is percent-encoded.

        Raises:
            RequestError, TargetError: any other outcome.
        """
        content = b"" if body is None else orjson.dumps(body)
        request = HttpRequest(method, self._url(path, query), self._headers(content, headers), content)
        answer = await self._authenticate(request)
        if 200 <= answer.status < 300:
            return answer
        raise error_of(answer, self._now())

    async def close(self) -> None:
        """Close the transport, and what credentials have of their own."""
        await self._transport.close()
        closing = getattr(self._authentication, "close", None)
        if closing is not None:
            await closing()

    def _url(self, path: str, query: Mapping[str, str] | None) -> str:
        url = self.base_url + path
        if not query:
            return url
        pairs = (f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query.items())
        return f"{url}?{'&'.join(pairs)}"

    def _headers(self, content: bytes, more: Mapping[str, str] | None) -> dict[str, str]:
        headers = {
            "accept": f"{MEDIA_TYPE}, application/json;q=0.9",
            "user-agent": f"Rollbook/{__version__}",
            "x-request-id": self._new_id(),
        }
        if content:
            headers["content-type"] = MEDIA_TYPE
        return headers | dict(more or {})

    async def _authenticate(self, request: HttpRequest) -> HttpResponse:
        if self._authentication is None:
            return await self._send(request)
        signed = await self._signed(request, self._authentication)
        answer = await self._send(signed)
        if answer.status == 401 and await self._authentication.renew():
            signed = await self._signed(request, self._authentication)
            answer = await self._send(signed)
        secret = signed.headers["authorization"].partition(" ")[2]
        return answer if 200 <= answer.status < 300 else without(answer, secret)

    async def _signed(self, request: HttpRequest, authentication: Authentication) -> HttpRequest:
        headers = {**request.headers, "authorization": await authentication.header()}
        return HttpRequest(request.method, request.url, headers, request.content)

    async def _send(self, request: HttpRequest) -> HttpResponse:
        for _ in range(_MOST_REDIRECTS + 1):
            answer = await self._transport.send(request)
            if answer.status not in {301, 302, 303, 307, 308}:
                return answer
            request = _redirected(request, answer)
        raise TargetRefused(f"more than {_MOST_REDIRECTS} redirects", http_status=answer.status)


def checked_base_url(text: str, *, insecure_http: bool) -> str:
    """The base URL without its last slash.

    Raises:
        ValueError: not an absolute http(s) URL, or one that credentials must not be sent to (C-1-01, C-1-02).
    """
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"the base URL must begin with https:// and name a host, not {text[:60]!r}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the base URL must not hold a user name or password (RFC 7644 §7.1)")
    if parts.query or parts.fragment:
        raise ValueError("the base URL must not have a query or a fragment")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not insecure_http:
        raise ValueError(f"{parts.hostname} is another machine: its base URL must begin with https://")
    return text.rstrip("/")


def same_origin(one: str, other: str) -> bool:
    """Whether two absolute URLs have scheme, host and port in common."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _redirected(request: HttpRequest, answer: HttpResponse) -> HttpRequest:
    # Only 307 and 308 keep method and body, and only our own origin may see the credentials (C-1-08).
    target = urljoin(request.url, answer.headers.get("location", ""))
    if answer.status not in {307, 308} or target == request.url:
        raise TargetRefused(
            f"HTTP {answer.status}: a redirect that SCIM has no use for", http_status=answer.status
        )
    if not same_origin(request.url, target):
        raise TargetRefused("redirected to another host; not followed", http_status=answer.status)
    return HttpRequest(request.method, target, request.headers, request.content)
