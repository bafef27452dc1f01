"""Spans of requests and of what they ask of the database. Knows no library of traces: whoever wires it brings how spans are made."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from rollbook.server.requests import AsgiApp, Message, Receive, Scope, Send
from rollbook.server.watching import WATCHED, Watched, known_method

T = TypeVar("T")


class Told(Protocol):
    """A span that lasts."""

    def rename(self, name: str) -> None:
        """Its name is known by now."""

    def __call__(self, name: str, value: str | int) -> None:
        """Tell an attribute."""


Begin = Callable[[str, dict[str, str] | None], AbstractContextManager[Told]]
"""Begins a span; the headers, if there are any, may say of which trace of the caller's it is part."""


class Traced:
    """ASGI middleware: a span for each request, named by its route's template: no ids, no values, no query (T-94)."""

    def __init__(self, app: AsgiApp, begin: Begin) -> None:
        self._app = app
        self._begin = begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        watched = scope.setdefault(WATCHED, Watched())
        method = known_method(scope["method"])
        caller = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name == b"traceparent"
        }
        with self._begin(method, caller) as told:

            def sending(message: Message) -> Awaitable[None]:
                if message["type"] == "http.response.start":
                    told("http.response.status_code", message["status"])
                return send(message)

            try:
                await self._app(scope, receive, sending)
            finally:
                told.rename(f"{method} {watched.route}")
                told("http.request.method", method)
                told("http.route", watched.route)
                told("rollbook.tenant", watched.tenant)


def trace_database(
    database: Any,
    span: Callable[[str], AbstractContextManager[object]],
    span_within: Callable[[str], AbstractContextManager[object]],
) -> None:
    """Put a span around whatever is asked of a database from now on; around reads only within another span."""
    for kind, begin in (("read_now", span_within), ("read", span_within), ("write", span)):
        setattr(database, kind, _traced(getattr(database, kind), f"database {kind}", begin))


def _traced(
    work: Callable[..., Awaitable[T]], name: str, span: Callable[[str], AbstractContextManager[object]]
) -> Callable[..., Awaitable[T]]:
    async def traced(*arguments: Any, **options: Any) -> T:
        with span(name):
            return await work(*arguments, **options)

    return traced
