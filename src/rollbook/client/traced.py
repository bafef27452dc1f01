"""Spans around what goes out. Knows no library of traces: whoever wires it brings how spans are made."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Protocol
from urllib.parse import urlsplit

from rollbook.client.transport import HttpRequest, HttpResponse, Transport


class Span(Protocol):
    """Begins a span of a name, with attributes from closed sets: no ids, no values (T-94)."""

    def __call__(
        self, name: str, /, **about: str
    ) -> AbstractContextManager[Callable[[str, str | int], None]]:
        """The span while it lasts; what is given can be told more attributes."""


def no_span(_name: str, /, **_about: str) -> AbstractContextManager[Callable[[str, str | int], None]]:
    """Where nobody traces."""
    return nullcontext(_nothing)


def _nothing(_name: str, _value: str | int) -> None:
    pass


class TracedTransport:
    """A transport with a span around each exchange; `headers` says who asks, if the other side may know."""

    def __init__(
        self, transport: Transport, span: Span, target: str, headers: Callable[[], Mapping[str, str]]
    ) -> None:
        self._transport = transport
        self._span = span
        self._target = target
        self._headers = headers

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The answer of the other transport. Paths have ids in them: the host is told, and not the path."""
        host = urlsplit(request.url).hostname or ""
        about = {
            "rollbook.target": self._target,
            "http.request.method": request.method,
            "server.address": host,
        }
        with self._span(f"{request.method} {self._target}", **about) as tell:
            named = replace(request, headers={**request.headers, **self._headers()})
            answer = await self._transport.send(named)
            tell("http.response.status_code", answer.status)
            return answer

    async def close(self) -> None:
        """Close the other transport."""
        await self._transport.close()
