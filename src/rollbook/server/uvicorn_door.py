"""The door to the server that asks for certificates: who may stand in it, and TLS for who comes in (T-47).

A connection costs memory before anybody is known to stand behind it, so those whose handshake is not done are counted.
"""

import asyncio
import math
import ssl
from asyncio.sslproto import SSLProtocol
from collections import Counter
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Protocol

import structlog

from rollbook.server.limits import network_of
from rollbook.server.listening import HEAD_SECONDS

log = structlog.get_logger("rollbook.server")

MOST_ARRIVING = 512
"""How many connections may be in their handshake. Who is honest is done within moments, so that the oldest makes room for one more."""

MOST_OF_ONE = 128
"""How many of them may be of one address; what comes above is closed, as only its own are in its way."""

TOLD_SECONDS = 60.0

GOODBYE_SECONDS = 5.0
"""How long a connection that ends may take for it."""


class Enter(Protocol):
    """What makes a connection, given what it calls when its handshake is done; and the context that it is asked by."""

    def __call__(self, done: Callable[[], None]) -> tuple[asyncio.Protocol, ssl.SSLContext]:
        """Make one."""


class Door:
    """Who has connected, in order, and has not finished the handshake."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._arriving: dict[asyncio.Transport, str] = {}
        self._of: Counter[str] = Counter()
        self._clock = clock
        self._told, self._closed = -math.inf, 0

    def arrive(self, transport: asyncio.Transport) -> bool:
        """Let a connection in, or not."""
        name = transport.get_extra_info("peername")
        network = network_of(name[0]) if name else ""
        if self._of[network] >= MOST_OF_ONE:
            self._tell(network)
            return False
        if len(self._arriving) >= MOST_ARRIVING:
            oldest = next(iter(self._arriving))
            self._tell(self._arriving[oldest])
            self.leave(oldest)
            oldest.abort()
        self._arriving[transport] = network
        self._of[network] += 1
        return True

    def leave(self, transport: asyncio.Transport) -> None:
        """A handshake is done, or will never be; more than once is once."""
        network = self._arriving.pop(transport, None)
        if network is not None:
            self._of[network] -= 1
            if not self._of[network]:
                del self._of[network]

    def _tell(self, network: str) -> None:
        self._closed += 1
        if self._clock() - self._told < TOLD_SECONDS:
            return
        self._told, closed, self._closed = self._clock(), self._closed, 0
        log.warning("too many connections have not finished their handshake", address=network, closed=closed)


class Arrival(asyncio.Protocol):
    """A connection that has just been made."""

    def __init__(self, door: Door, enter: Enter) -> None:
        self._door, self._enter = door, enter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with TLS, if there is room."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(transport)
        if not self._door.arrive(transport):
            transport.abort()
            return
        leave = partial(self._door.leave, transport)
        connection, context = self._enter(leave)
        secured = Secured(leave, connection, context)
        transport.set_protocol(secured)
        secured.connection_made(transport)


class Secured(SSLProtocol):
    """TLS of a connection, with a small buffer.

    asyncio's own is of 256 KiB for each connection from its first moment on, and no parameter changes that; this attribute of the
    class does. It is what is read at once: one record of TLS, so that a client's bytes are also taken in small turns.
    """

    max_size = 16_384

    def __init__(
        self, leave: Callable[[], None], connection: asyncio.Protocol, context: ssl.SSLContext
    ) -> None:
        super().__init__(
            asyncio.get_running_loop(),
            connection,
            context,
            None,  # type: ignore[arg-type]  # nobody waits: what becomes of a handshake is its connection's
            server_side=True,
            ssl_handshake_timeout=HEAD_SECONDS,
            ssl_shutdown_timeout=GOODBYE_SECONDS,
        )
        self.leave = leave

    def connection_lost(self, exc: BaseException | None) -> None:
        """It has ended, in its handshake or after it."""
        self.leave()
        super().connection_lost(exc)
