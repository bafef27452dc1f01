"""The server as it follows its definitions: when they change, routes and catalog are made anew, and no request fails."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from rollbook.protocol.errors import DefinitionsChanged
from rollbook.server.requests import AsgiApp, Message, Receive, Scope, Send

EVERY_SECONDS = 1.0
"""How often a server looks whether somebody has changed the definitions."""

MOST_TIMES = 5
"""How often a write is asked for while the definitions go on changing under it."""

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Live:
    """ASGI app: passes requests on to one that serves the definitions it was last told of.

    A write that was decided by older ones is refused by the store; then what has changed is told, and the write asked
    for once more, with the same body.
    """

    def __init__(self, app: AsgiApp, follow: Callable[[], Awaitable[object]]) -> None:
        self.app = app
        self._follow = follow
        self._following = asyncio.Lock()

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        if scope["method"] in _READING:
            return self.app(scope, receive, send)
        return self._write(scope, receive, send)

    async def _write(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(receive)
        for _ in range(MOST_TIMES - 1):
            try:
                await self.app(dict(scope), body.receive, send)
            except DefinitionsChanged:
                await self.follow()
                body.rewind()
            else:
                return
        await self.app(scope, body.receive, send)

    async def follow(self) -> None:
        """Serve the definitions that hold by now."""
        async with self._following:
            await self._follow()

    async def watch(self) -> None:
        """Follow for as long as this runs; while the store cannot tell, go on as before."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            with suppress(Exception):
                await self.follow()


class _Body:
    """The messages of a request body, which can be received once more."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._received: list[Message] = []
        self._next = 0

    async def receive(self) -> Message:
        """The next message: again those received before, then new ones."""
        if self._next == len(self._received):
            self._received.append(await self._receive())
        self._next += 1
        return self._received[self._next - 1]

    def rewind(self) -> None:
        """Begin anew."""
        self._next = 0
