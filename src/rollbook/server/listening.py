"""The socket and TLS: Granian, told what we want of it, and certificates that change while it runs.

A pair of files is checked before it is used, and copied: what the server reads is what was checked, however the files
change meanwhile. A new pair is given to a second listener on the same socket, and the first finishes what it has begun.
"""

import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from granian import net
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from rollbook.server.requests import AsgiApp

log = structlog.get_logger("rollbook.server")

EVERY_SECONDS = 2.0
"""How often the files are looked at."""

HEAD_SECONDS = 10
"""How long a client may take for the head of a request (T-47)."""


BACKLOG = 1024

FILE_SECONDS = 5.0
"""How long the copy of a key exists."""

DRAIN_SECONDS = 3.0
"""How long connections are served on that were made just before a certificate changes, before idle ones are closed."""


class TlsError(Exception):
    """A certificate and key that cannot be served with; the text says why and what to do."""


@dataclass(frozen=True)
class Pair:
    """Certificates and the key of the first of them, checked, in the forms that the server reads."""

    certificates: bytes
    key: bytes
    until: datetime


def read_pair(cert: Path, key: Path, now: datetime) -> Pair:
    """A certificate and its key.

    Raises:
        TlsError: not readable, not a pair, or not in its time.
    """
    try:
        chain, private = cert.read_bytes(), key.read_bytes()
    except OSError as error:
        raise TlsError(f"{error.filename}: {error.strerror}") from None
    try:
        first = x509.load_pem_x509_certificates(chain)[0]
    except ValueError:
        raise TlsError(
            f"{cert}: no certificate in PEM form (-----BEGIN CERTIFICATE-----), the server's own first"
        ) from None
    try:
        loaded = serialization.load_pem_private_key(private, None)
    except TypeError:
        raise TlsError(
            f"{key}: the key has a password; take it off: openssl pkey -in {key.name} -out plain.pem"
        ) from None
    except Exception:  # noqa: BLE001 - the library raises several kinds; each means that it is none
        raise TlsError(f"{key}: no private key in PEM form") from None
    whole = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if loaded.public_key().public_bytes(*whole) != first.public_key().public_bytes(*whole):
        raise TlsError(f"{key} is not the key of the first certificate in {cert}")
    _check_time(cert, first, now)
    # The server reads PKCS#8 only; whatever form the key has becomes that.
    pkcs8 = loaded.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Pair(chain, pkcs8, first.not_valid_after_utc)


def _check_time(cert: Path, first: x509.Certificate, now: datetime) -> None:
    if now >= first.not_valid_after_utc:
        raise TlsError(f"{cert} has expired on {first.not_valid_after_utc:%Y-%m-%d}; renew it")
    if now < first.not_valid_before_utc:
        raise TlsError(f"{cert} is not valid before {first.not_valid_before_utc:%Y-%m-%d %H:%M} UTC")


class Listener(Server):
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
                self._socket = _listening(host, port)

    def renew(self, pair: Pair) -> None:
        """Serve new connections with another certificate; those that there are go on until their requests are answered."""
        self._take(pair)
        self.reload()  # type: ignore[no-untyped-call]  # granian has no types for it

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


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.create_server((host.strip("[]"), port), family=family, backlog=BACKLOG, reuse_port=True)
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    found.setblocking(False)
    return found


@dataclass
class TlsWatch:
    """Gives a listener the pair of two files whenever they have changed, or when `look` is set.

    A pair that cannot be served with is told in the log, and the former one goes on.
    """

    cert: Path
    key: Path
    renew: Callable[[Pair], None]
    served: Pair
    look: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Watch for as long as this runs."""
        seen: tuple[object, ...] = ()
        while True:
            asked = await _set_within(self.look, EVERY_SECONDS)
            self.look.clear()
            stamp = self._stamp()
            if (asked or stamp != seen) and self._renew():
                seen = stamp

    def _stamp(self) -> tuple[object, ...]:
        return (_stamp_of(self.cert), _stamp_of(self.key))

    def _renew(self) -> bool:
        """Whether these files have been dealt with: what keeps a good pair from being served may pass, and is tried again."""
        try:
            pair = read_pair(self.cert, self.key, datetime.now(UTC))
        except TlsError as error:
            log.error("the certificate is not taken; the former one goes on", reason=str(error))  # noqa: TRY400
            return True
        if pair != self.served:
            try:
                self.renew(pair)
            except Exception as error:  # noqa: BLE001 - a full disk, for example: the watch goes on
                log.error("the certificate cannot be served yet; the former one goes on", reason=str(error))  # noqa: TRY400
                return False
            self.served = pair
            log.info("a new certificate is served", until=pair.until.isoformat())
        return True


def _stamp_of(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
