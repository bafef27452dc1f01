"""Lines of the audit log to a log server: messages of RFC 5424, over UDP, TCP (a line each, RFC 6587 §3.4.2) or a local socket."""

import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import SysLogHandler
from urllib.parse import urlsplit

from rollbook.cli.journal_lines import Told, as_line
from rollbook.settings import SettingsError

AUDIT = 13
"""The facility "log audit" (RFC 5424 §6.2.1)."""

MOST_BYTES = 8_000
"""A message that would be longer is sent without its detail."""

_LEVELS = {"refused": logging.WARNING, "failed": logging.ERROR}
_SCHEMES = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
_NOT_PRINTED = re.compile(r"[^!-~]")
SECONDS = 10.0


class _Handler(SysLogHandler):
    """Says what goes wrong, in place of printing it."""

    append_nul = False

    def createSocket(self) -> None:  # noqa: N802 - logging's name
        """Connect, and do not wait for ever."""
        super().createSocket()
        made: socket.socket | None = getattr(self, "socket", None)
        if made is not None and made.family is not socket.AF_UNIX:
            made.settimeout(SECONDS)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Let the caller know."""
        del record
        raise  # noqa: PLE0704 - called while the error is handled


class _Formatter(logging.Formatter):
    """A line as HEADER, no structured data, and JSON as the message."""

    def __init__(self, ends: str) -> None:
        super().__init__()
        self._ends = ends
        self._host = _NOT_PRINTED.sub("-", socket.gethostname())[:255] or "-"

    def format(self, record: logging.LogRecord) -> str:
        """The message without its priority."""
        told: Told = record.__dict__["told"]
        name = _NOT_PRINTED.sub("-", told["act"])[:32] or "-"
        head = f"1 {told['when']} {self._host} rollbook {os.getpid()} {name} - "
        text = as_line(told)
        if len(text) > MOST_BYTES:
            text = as_line(
                {key: value for key, value in told.items() if key != "detail"} | {"shortened": True}
            )
        return f"{head}{text}{self._ends}"


@contextmanager
def sender(address: str) -> Iterator[Callable[[Told], None]]:
    """What sends a line to that address.

    Raises:
        SettingsError: it is none, or nobody listens there.
    """
    kind, place = _place(address)
    try:
        handler = _Handler(place, AUDIT, kind)
    except OSError as error:
        raise SettingsError(f"--syslog {address}: {error.strerror or error}") from None
    handler.setFormatter(
        _Formatter("\n" if kind is socket.SOCK_STREAM and not isinstance(place, str) else "")
    )

    def send(told: Told) -> None:
        level = _LEVELS.get(told["outcome"], logging.INFO)
        record = logging.makeLogRecord(
            {"levelno": level, "levelname": logging.getLevelName(level), "told": told}
        )
        try:
            handler.emit(record)
        except OSError as error:
            raise SettingsError(
                f"--syslog {address}: {error.strerror or error}; line {told['line']} was not sent: go on with"
                f" --after {told['line'] - 1}"
            ) from None

    try:
        yield send
    finally:
        handler.close()


def _place(address: str) -> tuple[socket.SocketKind | None, str | tuple[str, int]]:
    if address.startswith("/"):
        return None, address
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in _SCHEMES:
        raise SettingsError(
            f"--syslog {address!r}: write udp://host:514, tcp://host:601, or a socket such as /dev/log"
        )
    return _SCHEMES[parts.scheme], (host, port or (514 if parts.scheme == "udp" else 601))
