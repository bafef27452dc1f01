"""Granian, told what we want of it, and certificates that change while it runs.

What the server reads is a copy of what was checked, however the files change meanwhile. A new pair is given to a second
listener on the same socket, and the first finishes what it has begun.
"""

import asyncio
import os
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from granian import net
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from rollbook.server.listening import BACKLOG, DRAIN_SECONDS, HEAD_SECONDS, open_socket
from rollbook.server.requests import AsgiApp
from rollbook.server.tls import Pair

FILE_SECONDS = 5.0
"""How long the copy of a key exists."""


class GranianListener(Server):
    """Granian, listening as we want it. With TLS it can take another certificate without losing a request."""

    def __init__(self, app: AsgiApp, host: str, port: int, pair: Pair | None) -> None:
        super().__init__(
            app,
            host,
            port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,  # heads of HTTP/2 have no time limit there (T-47); a proxy in front may speak it
            http1_settings=HTTP1Settings(header_read_timeout=HEAD_SECONDS * 1000),
            websockets=False,
            log_enabled=False,
            backlog=BACKLOG,
        )
        self.respawn_interval = DRAIN_SECONDS
        self._files: tempfile.TemporaryDirectory[str] | None = None
        self._socket: socket.socket | None = None
        self._accepting: int | None = None
        if pair is not None:
            self._take(pair)
            if _CAN_SHARE:
                self._socket = open_socket(host, port)

    def stop(self) -> None:
        """Begin no more; `serve` returns once all is answered."""
        super().stop()  # type: ignore[no-untyped-call]  # granian has no types for it

    async def renew(self, pair: Pair) -> None:
        """Serve new connections with another certificate; those that there are go on until their requests are answered."""
        self._take(pair)
        self.reload()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Close the socket, once nothing is served any more."""
        if self._files is not None:
            self._files.cleanup()
        if self._socket is not None:
            self._socket.close()

    def _take(self, pair: Pair) -> None:
        self._files = tempfile.TemporaryDirectory(prefix="rollbook-tls-")
        certificates, key = Path(self._files.name, "certificates.pem"), Path(self._files.name, "key.pem")
        certificates.write_bytes(pair.certificates)
        key.touch(0o600)
        key.write_bytes(pair.key)
        self.build_ssl_context(certificates, key, None, SSLProtocols.tls12, None, [], client_verify=False)
        # A worker reads them in its first step; after that nobody does.
        asyncio.get_running_loop().call_later(FILE_SECONDS, self._files.cleanup)

    def _init_shared_socket(self) -> None:
        if self._socket is None:
            super()._init_shared_socket()  # type: ignore[no-untyped-call]
        else:
            self._ssp = None

    def _spawn_worker(self, *given: Any, **named: Any) -> Any:
        """Start one that accepts connections. The former one accepts none from here on, and is ended by Granian later.

        Each has a descriptor of its own for one socket, so that no connection is lost that waits to be accepted. The
        former one's is made that of a socket that nobody can reach: it only finishes what it has accepted. Ended at
        once, it would close connections that were to send their request in this very moment.
        """
        former = self._accepting
        if self._socket is not None:
            self._accepting = os.dup(self._socket.fileno())
            self._shd = vars(net)["SocketHolder"](self._accepting, False, BACKLOG)
        worker = super()._spawn_worker(*given, **named)
        if former is not None:
            with socket.socket(socket.AF_UNIX) as nobody:
                nobody.bind("")
                nobody.listen(1)
                nobody.setblocking(False)
                os.dup2(nobody.fileno(), former)
        return worker


_CAN_SHARE = sys.platform == "linux"
"""Elsewhere Granian's own way has to do: a connection that is made in the moment of a reload may be closed."""
