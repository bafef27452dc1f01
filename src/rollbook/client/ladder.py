"""The rungs under every call: call → retry → media type → authenticate → send (client.md 1 and 8).

Adds address, credentials and marks to a request, renews credentials once after a 401, follows a redirect only within the same
origin. Tries again only if it was given a `Retry`, and then only what does nothing twice (C-5-01).
"""

import itertools
import time
import uuid
from collections.abc import Callable, Mapping
from urllib.parse import quote, urljoin, urlsplit

import orjson

from rollbook import __version__
from rollbook.client.answers import error_of, without
from rollbook.client.authentication import Authentication
from rollbook.client.retry import Retrying, may_repeat
from rollbook.client.transport import HttpRequest, HttpResponse, Transport
from rollbook.protocol.errors import TargetPending, TargetRefused
from rollbook.protocol.values import JsonValue

MEDIA_TYPE = "application/scim+json"
PLAIN_MEDIA_TYPE = "application/json"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_MOST_REDIRECTS = 3
_NONE: Mapping[str, str] = {}


class Ladder:
    """Calls to one service under one base URL."""

    def __init__(
        self,
        base_url: str,
        authentication: Authentication | None,
        transport: Transport,
        *,
        insecure_http: bool = False,
        media_type: str = MEDIA_TYPE,
        retrying: Retrying | None = None,
        now: Callable[[], float] = time.time,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.base_url = checked_base_url(base_url, insecure_http=insecure_http)
        self._authentication = authentication
        self._transport = transport
        self._media_type = media_type
        self._retrying = retrying
        self._now = now
        self._new_id = new_id or _numbered()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: JsonValue = None,
        headers: Mapping[str, str] = _NONE,
    ) -> HttpResponse:
        """The answer of success to one request, or 304 if a header asks for that; `path` begins with a slash and is percent-encoded.

        Raises:
            RequestError, TargetError: any other outcome.
        """
        content = b"" if body is None else orjson.dumps(body)

        async def send() -> HttpResponse:
            return await self._once(method, self._url(path, query), headers, content)

        if self._retrying is None:
            return await send()
        return await self._retrying.call(send, method, repeatable=may_repeat(method, path, body))

    async def _once(self, method: str, url: str, headers: Mapping[str, str], content: bytes) -> HttpResponse:
        kind = self._media_type
        answer = await self._authenticate(
            HttpRequest(method, url, self._headers(content, headers, kind), content)
        )
        unread = answer.status == 415 or (answer.status == 406 and method == "GET")
        if unread and kind == MEDIA_TYPE:  # nothing was done
            kind = PLAIN_MEDIA_TYPE
            again = HttpRequest(method, url, self._headers(content, headers, kind), content)
            answer = await self._authenticate(again)
        if answer.status == 202 and answer.headers.get("set-txn"):
            raise _pending(answer, self.base_url)
        if 200 <= answer.status < 300 or (answer.status == 304 and "if-none-match" in headers):
            self._media_type = kind
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

    def _headers(self, content: bytes, more: Mapping[str, str], kind: str) -> dict[str, str]:
        headers = {
            "accept": f"{MEDIA_TYPE}, application/json;q=0.9" if kind == MEDIA_TYPE else kind,
            "user-agent": f"Rollbook/{__version__}",
            "x-request-id": self._new_id(),
        }
        if content:
            headers["content-type"] = kind
        return {**headers, **more}

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
            following = _redirected(request, answer)
            if answer.status == 308:
                self._moved(request.url, following.url)
            request = following
        raise TargetRefused(f"more than {_MOST_REDIRECTS} redirects", http_status=answer.status)

    def _moved(self, old: str, new: str) -> None:
        """A permanent redirect of everything below the base URL: later requests go there at once (C-1-08)."""
        rest = old.removeprefix(self.base_url)
        if rest != old and new.endswith(rest):
            self.base_url = new.removesuffix(rest)


def _numbered() -> Callable[[], str]:
    """Ids that nobody else has: one by chance for this client, and a number."""
    own, numbers = uuid.uuid4().hex, itertools.count(1)
    return lambda: f"{own}-{next(numbers)}"


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
    """Whether two absolute URLs have scheme, host and port in common; what is no URL has nothing in common with one."""
    try:
        return _origin(one) == _origin(other)
    except ValueError:  # a port that is none, or half an IPv6 address
        return False


def joined(base: str, location: str) -> str:
    """Where a location leads that was given relative to a URL; itself if it is no URL."""
    try:
        return urljoin(base, location)
    except ValueError:
        return location


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _redirected(request: HttpRequest, answer: HttpResponse) -> HttpRequest:
    # Only 307 and 308 keep method and body, and only our own origin may see the credentials (C-1-08).
    target = joined(request.url, answer.headers.get("location", ""))
    if answer.status not in {307, 308} or target == request.url:
        raise TargetRefused(
            f"HTTP {answer.status}: a redirect that SCIM has no use for", http_status=answer.status
        )
    if not same_origin(target, request.url):
        raise TargetRefused("redirected to another host; not followed", http_status=answer.status)
    return HttpRequest(request.method, target, request.headers, request.content)


def _pending(answer: HttpResponse, base_url: str) -> TargetPending:
    transaction = answer.headers["set-txn"]
    place = joined(base_url + "/", answer.headers.get("location", ""))
    told = "location" in answer.headers and same_origin(place, base_url)
    return TargetPending(
        f"taken, but not done yet (transaction {transaction[:80]})",
        transaction=transaction,
        location=place if told else None,
    )
