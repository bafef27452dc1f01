"""What serves: a socket, and on it one of two HTTP servers behind one small protocol.

Granian is the usual one. It does not hand clients' certificates on; where they count, uvicorn serves with a connection of ours.
"""

import socket
from typing import Protocol

from rollbook.server.tls import Pair

HEAD_SECONDS = 10
"""How long a client may take for the head of a request (T-47)."""

BACKLOG = 1024

DRAIN_SECONDS = 3.0
"""How long connections are served on that were made just before a certificate changes, before idle ones are closed."""


class Listener(Protocol):
    """A server on one port, for one process."""

    async def serve(self) -> object:
        """Answer requests until it is stopped and what was under way is answered."""

    def stop(self) -> None:
        """Begin no more; `serve` returns once all is answered."""

    async def renew(self, pair: Pair) -> None:
        """Serve new connections with other certificates; those that there are go on until their requests are answered."""

    def close(self) -> None:
        """Close the socket, once nothing is served any more."""


def open_socket(host: str, port: int) -> socket.socket:
    """A socket that listens; with others of its kind on the same port where systems can do that."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    shared = hasattr(socket, "SO_REUSEPORT")
    found = socket.create_server((host.strip("[]"), port), family=family, backlog=BACKLOG, reuse_port=shared)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    found.setblocking(False)
    return found
