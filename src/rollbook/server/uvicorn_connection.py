"""A connection of uvicorn that keeps to our limits and hands its client's certificate on (T-20, T-46 to T-48).

uvicorn bounds neither the head of a request nor the time that it takes; both are bounded here, by one deadline and one count.
"""

import asyncio
from collections.abc import Callable

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from rollbook.server.certificates import CERTIFICATE
from rollbook.server.listening import HEAD_SECONDS

HEAD_BYTES = 65_536
"""The longest head of a request."""

FRAMING_BYTES = 16_384
"""How much the sizes, extensions and trailer of a chunked body may take, beside a quarter of the body itself: what is sent in chunks
of a few bytes costs far more to read than what it says."""

MOST_HEADERS = 100

MOST_WAITING = 100
"""How many requests may stand in line behind the one that is being answered: one part of what is read may hold thousands."""

REST_SECONDS = 2
"""How long the rest of a body is read, and thrown away, after its request was answered: an end at once would lose the answer."""

_BUFFER = 65_536
"""How much of an answer may wait for a client before the next part is held back."""


class State(ServerState):
    """What the connections of a server share."""

    def __init__(self) -> None:
        super().__init__()
        self.is_ending = False
        """Whether each connection ends with the answer to the request that it has begun."""


class Refusal(Exception):
    """A request that is not passed on; the parser gives it up with this."""


class Connection(HttpToolsProtocol):
    """One connection, over TLS.

    Whenever its client is waited for, a deadline runs that nothing but a whole head puts off: for the first request and for the
    next one; a shorter one for the rest of a body that was answered without it.
    """

    server_state: State

    def __init__(self, config: Config, state: State, secured: Callable[[], None]) -> None:
        super().__init__(config, state, {})
        self._secured = secured
        self._certificate: bytes | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._is_in_head = self._is_in_body = False
        self._stretch, self._held, self._taken = 0, 0, 0
        self._status = 400

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done: what the client showed was checked in it."""
        self._secured()
        super().connection_made(transport)  # type: ignore[arg-type]  # it is a transport to read and write
        self.transport.set_write_buffer_limits(high=_BUFFER)
        shown = transport.get_extra_info("ssl_object")
        self._certificate = None if shown is None else shown.getpeercert(binary_form=True)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits for it is told by uvicorn."""
        self._cancel_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and count what makes no whole head and is no part of a body: that has a limit."""
        if self.transport.is_closing():
            return
        stretch, taken = self._stretch, self._taken
        super().data_received(data)
        if self._stretch == stretch:
            self._held += len(data) - (self._taken - taken)
        most = FRAMING_BYTES + self._taken // 4 if self._is_in_body else HEAD_BYTES
        if self._held > most and not self.transport.is_closing():
            self._status = 413 if self._is_in_body else 431
            self.send_400_response("")

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's words are not ours
        """Refuse what is no request; in the middle of another answer, or behind its own, only the connection ends."""
        if self._is_open():
            lines = [STATUS_LINE[self._status]]
            lines += [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
            lines.append(b"server: rollbook\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.write(b"".join(lines))
            if self._is_in_body:  # who waits for the rest of it is told that nobody is there any more
                self.cycle.disconnected = True
                self.cycle.message_event.set()
        self.transport.close()

    def on_message_begin(self) -> None:
        """The head of a request begins."""
        super().on_message_begin()
        self._is_in_head = True
        if self._certificate is not None:
            self.scope[CERTIFICATE] = self._certificate  # type: ignore[literal-required]  # a place of ours

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is none, as the request is being answered by then."""
        if not self._is_in_head:
            return
        if len(self.headers) >= MOST_HEADERS:
            self._give_up(431)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """A head is whole: the request is begun, or stands in line behind the one before."""
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > HEAD_BYTES:
            self._give_up(431)
        version = self.parser.get_http_version()
        if version not in {"1.0", "1.1"}:
            self._give_up(505)
        if version == "1.1" and all(name != b"host" for name, _ in self.headers):
            self._give_up(400)
        if len(self.pipeline) >= MOST_WAITING:
            self._give_up(429)
        self._is_in_head, self._is_in_body = False, True
        self._begin_stretch()
        self._cancel_deadline()
        super().on_headers_complete()
        # After an upgrade that was not made the parser reads no further.
        if self.server_state.is_ending or self.parser.should_upgrade():
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._taken += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A body has ended."""
        self._is_in_body = False
        self._begin_stretch()
        super().on_message_complete()
        if not self._is_busy():
            self._wait()

    def on_response_complete(self) -> None:
        """A request is answered: the client may go on, within the deadline."""
        super().on_response_complete()
        if self._is_busy() or self.transport.is_closing():
            return
        if self._is_in_body and self.expect_100_continue:
            self.transport.close()  # nobody could tell a body that is not sent from the next request
        else:
            self._wait(REST_SECONDS if self._is_in_body else HEAD_SECONDS)

    def _is_busy(self) -> bool:
        last: RequestResponseCycle | None = self.cycle
        return last is not None and not last.response_complete

    def _is_open(self) -> bool:
        """Whether nothing is being answered, but for the request whose body comes in, and that not yet."""
        if self._is_in_body:
            return not self.pipeline and not self.cycle.response_started
        return not self._is_busy()

    def _begin_stretch(self) -> None:
        """A head or a body has ended, and something else begins."""
        self._stretch += 1
        self._held = self._taken = 0

    def _give_up(self, status: int) -> None:
        self._status = status
        raise Refusal

    def _wait(self, seconds: float = HEAD_SECONDS) -> None:
        self._cancel_deadline()
        self._deadline = self.loop.call_later(seconds, self.transport.close)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
