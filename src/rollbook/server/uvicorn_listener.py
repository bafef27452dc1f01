"""uvicorn, where clients show certificates: it can hand them on, which Granian cannot (T-20)."""

import asyncio
import logging
import socket
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import structlog
import uvicorn

from rollbook.server.edge import STALLED_SECONDS
from rollbook.server.listening import DRAIN_SECONDS, HEAD_SECONDS, open_socket
from rollbook.server.requests import AsgiApp, Message, Receive, Scope, Send
from rollbook.server.tls import Authorities, Pair
from rollbook.server.uvicorn_connection import Connection, State
from rollbook.server.uvicorn_door import Arrival, Door

log = structlog.get_logger("rollbook.server")

PART = 65_536


class UvicornListener(uvicorn.Server):
    """uvicorn, listening as we want it: over TLS, asking for certificates, with our own connections and signals."""

    def __init__(self, app: AsgiApp, host: str, port: int, pair: Pair) -> None:
        super().__init__(
            uvicorn.Config(
                paced(app),
                interface="asgi3",
                http=Connection,
                ws="none",
                lifespan="off",
                proxy_headers=False,  # else it would believe whatever comes from this machine (T-06)
                server_header=False,
                access_log=False,
                log_config=None,
                log_level=logging.CRITICAL,
                timeout_keep_alive=HEAD_SECONDS,
            )
        )
        self.server_state: State = State()
        self._context = server_context(pair)
        self._socket = open_socket(host, port)
        self._door = Door()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the command's."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - it has its own
        """Begin to accept connections."""
        arrival = partial(Arrival, self._door, self._enter)
        self.servers = [await asyncio.get_running_loop().create_server(arrival, sock=self._socket)]
        self.started = True

    def stop(self) -> None:
        """Begin no more; `serve` returns once all is answered."""
        self.server_state.is_ending = True
        self.should_exit = True

    async def renew(self, pair: Pair) -> None:
        """Ask new connections by another context, and end those that came by the former one: some may be revoked by now.

        A context is never changed: one that is new knows nobody's session, so that nobody is taken at their former word.
        """
        self._context = server_context(pair)
        loop = asyncio.get_running_loop()
        # Twice: a handshake that had begun ends within its own time.
        for seconds in (DRAIN_SECONDS, HEAD_SECONDS + DRAIN_SECONDS):
            loop.call_later(seconds, self._end_former)

    def close(self) -> None:
        """Close the socket, once nothing is served any more."""
        self._socket.close()

    def _enter(self, done: Callable[[], None]) -> tuple[Connection, ssl.SSLContext]:
        return Connection(self.config, self.server_state, done), self._context

    def _end_former(self) -> None:
        for connection in list(self.server_state.connections):
            if connection.transport.get_extra_info("sslcontext") is not self._context:
                connection.shutdown()


def server_context(pair: Pair) -> ssl.SSLContext:
    """TLS from 1.2 on, HTTP/1.1 only, and certificates of clients as `pair` says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory(prefix="rollbook-tls-") as directory:
        certificates, key = Path(directory, "certificates.pem"), Path(directory, "key.pem")
        certificates.write_bytes(pair.certificates)
        key.touch(0o600)
        key.write_bytes(pair.key)
        context.load_cert_chain(certificates, key)
        if pair.clients is not None:
            _ask(context, pair.clients, Path(directory, "revoked.pem"))
    return context


def _ask(context: ssl.SSLContext, clients: Authorities, revoked: Path) -> None:
    """Ask for certificates; each authority that is named is trusted for itself, whoever has signed it."""
    context.load_verify_locations(cadata=clients.certificates.decode("ascii"))
    context.verify_mode = ssl.CERT_REQUIRED if clients.is_required else ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if clients.revoked:
        revoked.write_bytes(clients.revoked)
        context.load_verify_locations(revoked)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN
    context.sslobject_class = _Handshake


class _Handshake(ssl.SSLObject):
    """TLS of one connection. Why a certificate is refused is told in the log only: TLS has few words for the client."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            log.info("a client's certificate is refused", reason=error.verify_message)
            raise


def paced(app: AsgiApp) -> AsgiApp:
    """Send long answers in parts, each in its time, so that none waits whole in memory for a client that reads slowly (T-47)."""

    def call(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        async def sending(message: Message) -> None:
            body = message.get("body", b"")
            if len(body) > PART:
                last = (len(body) - 1) // PART * PART
                for at in range(0, last, PART):
                    part = {"type": message["type"], "body": body[at : at + PART], "more_body": True}
                    async with asyncio.timeout(STALLED_SECONDS):
                        await send(part)
                message = {**message, "body": body[last:]}
            async with asyncio.timeout(STALLED_SECONDS):
                await send(message)

        return app(scope, receive, sending)

    return call
