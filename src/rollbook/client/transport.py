"""One HTTP exchange: what goes out, what comes back, and the way over pyqwest.

Knows nothing of SCIM. Whatever keeps an answer from arriving whole becomes `TargetUnavailable` here.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast
from urllib.parse import urlsplit

import pyqwest

from rollbook.protocol.errors import TargetRefused, TargetUnavailable


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request ready to be sent; `url` is absolute and percent-encoded."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A whole answer; headers are asked for in lower case, the first of several values counts."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""


class Transport(Protocol):
    """Sends one request and returns its answer; never repeats and never follows a redirect."""

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer.

        Raises:
            TargetUnavailable: no whole answer came; whether the request was carried out is unknown.
            TargetRefused: the answer is larger than this transport takes.
        """

    async def close(self) -> None:
        """Let go of all connections."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds: seconds to connect, seconds for a whole exchange, bytes of a decoded answer (T-65), exchanges at once (C-1-06)."""

    connect: float = 10.0
    total: float = 30.0
    answer_bytes: int = 32 * 1024 * 1024
    at_once: int = 64


DEFAULT_LIMITS = Limits()


class PyqwestTransport:
    """A transport over pyqwest with connections of its own, to be shared by all calls to one service."""

    def __init__(
        self,
        limits: Limits = DEFAULT_LIMITS,
        *,
        ca: bytes | None = None,
        certificate: tuple[bytes, bytes] | None = None,
        proxy: str | None = None,
        addresses: Mapping[str, Sequence[str]] | None = None,
        idle_connections: int = 8,
    ) -> None:
        """`ca` is PEM text of authorities to trust beside those of the system, `certificate` one of our own and its key.

        `addresses` are connected to by host, in place of what a resolver says. Without a `proxy` the usual variables
        (HTTPS_PROXY, NO_PROXY) hold.
        """
        self._limits = limits
        self._turns = asyncio.Semaphore(limits.at_once)
        self._transport = pyqwest.HTTPTransport(
            tls_ca_cert=ca,
            tls_include_system_certs=True,  # pyqwest trusts nobody unless told
            tls_cert=certificate[0] if certificate else None,
            tls_key=certificate[1] if certificate else None,
            proxy=proxy,
            dns_overrides=addresses,
            connect_timeout=limits.connect,
            timeout=limits.total,
            pool_max_idle_per_host=idle_connections,
            follow_redirects=False,  # a redirect must not carry our credentials away (C-1-08)
            enable_cookie_store=False,
            enable_otel=False,
        )

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer, read up to the limit."""
        outgoing = pyqwest.Request(
            request.method, request.url, pyqwest.Headers(request.headers.items()), request.content or None
        )
        try:
            async with self._turns:
                return await self._exchange(outgoing)
        except TimeoutError as error:
            raise TargetUnavailable(f"no answer within {self._limits.total:g} s") from error
        except (OSError, pyqwest.ReadError, pyqwest.WriteError, pyqwest.RemoteProtocolError) as error:
            raise TargetUnavailable(f"no answer: {_cause(error)}") from error

    async def _exchange(self, outgoing: pyqwest.Request) -> HttpResponse:
        answer = await self._transport.execute(outgoing)
        try:
            content = await self._read(answer)
        except BaseException:  # also when this task is cancelled: nothing more of it may come in
            await answer.aclose()
            raise
        # Case does not count in these headers, and the first of several values is theirs too.
        return HttpResponse(answer.status, cast("Mapping[str, str]", answer.headers), content)

    async def _read(self, answer: pyqwest.Response) -> bytes:
        """The body. Where its length is said, its end is not waited for: each wait costs as much as a small request (bench/client.py)."""
        length = _length(answer.headers)
        if answer.status in {204, 304} or length == 0:
            return b""
        content = bytearray()
        async for chunk in answer.content:
            if len(chunk) == length and length <= self._limits.answer_bytes:
                return bytes(chunk)
            content += chunk
            if len(content) > self._limits.answer_bytes:
                raise TargetRefused(
                    f"the answer is larger than {self._limits.answer_bytes} bytes", http_status=answer.status
                )
            if len(content) == length:
                break
        return bytes(content)

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.aclose()


@dataclass(frozen=True, slots=True)
class Call:
    """One exchange as it is told to people: no header, no body, and no query, which may hold personal data (C-1-05).

    `status` is None if no whole answer came.
    """

    method: str
    path: str
    status: int | None
    seconds: float


class WatchedTransport:
    """A transport that tells somebody of every exchange."""

    def __init__(self, transport: Transport, watch: Callable[[Call], None]) -> None:
        self._transport = transport
        self._watch = watch

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer of the other transport."""
        begun, status = time.perf_counter(), None
        try:
            answer = await self._transport.send(request)
            status = answer.status
            return answer
        finally:
            path = urlsplit(request.url).path
            self._watch(Call(request.method, path, status, time.perf_counter() - begun))

    async def close(self) -> None:
        """Close the other transport."""
        await self._transport.close()


def _length(headers: pyqwest.Headers) -> int | None:
    """How long the body is, None if that is not said, or is said of another form of it."""
    told = headers.get("content-length", "")
    if "content-encoding" in headers or not told.isdecimal() or len(told) > 15:
        return None
    return int(told)


def _cause(error: Exception) -> str:
    # pyqwest quotes the URL, and a URL may hold a filter with personal data (C-1-05): keep what follows it.
    text = str(error)
    return text.rpartition("): ")[2] if "for url (" in text else text
