"""Answers as they are sent: whole, or part by part."""

import pytest

from rollbook.protocol.errors import NotFound
from rollbook.server.errors import ErrorBoundary
from rollbook.server.requests import Message, Receive, Scope, Send
from rollbook.server.responses import Answer, Stream, send_answer

pytestmark = pytest.mark.anyio


class Parts:
    """A body of some parts that notes how far it came, and can fail at one of them."""

    def __init__(self, *parts: bytes, failing_at: int | None = None) -> None:
        self.parts = parts
        self.failing_at = failing_at
        self.made = 0
        self.is_closed = False

    async def stream(self) -> Stream:
        """The parts, one after the other."""
        try:
            for number, part in enumerate(self.parts):
                if number == self.failing_at:
                    raise NotFound("the part is missing")
                self.made += 1
                yield part
        finally:
            self.is_closed = True


class Sent(list[Message]):
    """What was sent; the client goes away once it has so many messages."""

    def __init__(self, most: int = 100) -> None:
        super().__init__()
        self.most = most

    async def __call__(self, message: Message) -> None:
        """Take a message."""
        if len(self) == self.most:
            raise ConnectionResetError
        self.append(message)

    @property
    def body(self) -> bytes:
        """The body as far as it came."""
        return b"".join(message.get("body", b"") for message in self)


async def serve(parts: Parts, sent: Sent, method: str = "GET") -> None:
    """Send a stream from below the error boundary."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send_answer(send, Answer(200, parts.stream()), head=method == "HEAD")

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    await ErrorBoundary(app)({"method": method}, receive, sent)


async def test_a_whole_body_says_its_length() -> None:
    """A body of known length is one message."""
    sent = Sent()
    await send_answer(sent, Answer(200, b"{}"))
    assert (b"content-length", b"2") in sent[0]["headers"]
    assert [message["body"] for message in sent[1:]] == [b"{}"]


async def test_a_stream_is_sent_as_it_is_made() -> None:
    """Each part is a message before the next is made; no length is said, the end is."""
    parts, sent = Parts(b"one", b"two"), Sent()
    made_when_sent: list[int] = []

    async def noting(message: Message) -> None:
        made_when_sent.append(parts.made)
        await sent(message)

    await send_answer(noting, Answer(200, parts.stream()))
    assert [(message["body"], message["more_body"]) for message in sent[1:]] == [
        (b"one", True),
        (b"two", True),
        (b"", False),
    ]
    assert made_when_sent == [1, 1, 2, 2]
    assert [name for name, _ in sent[0]["headers"]] == [b"content-type"]
    assert parts.is_closed


async def test_an_empty_stream_is_an_empty_body() -> None:
    """A stream without parts is answered and ended."""
    sent = Sent()
    await serve(Parts(), sent)
    assert (sent[0]["status"], sent.body, sent[-1]["more_body"]) == (200, b"", False)


async def test_head_makes_the_first_part_only() -> None:
    """HEAD has the status and headers of GET, and no body is made for it."""
    parts, sent = Parts(b"one", b"two"), Sent()
    await serve(parts, sent, "HEAD")
    assert (sent[0]["status"], sent.body, parts.made, parts.is_closed) == (200, b"", 1, True)


async def test_an_error_before_the_first_part_is_an_error_answer() -> None:
    """As long as nothing was sent, the client gets the error and its status (P-3.12-01)."""
    parts, sent = Parts(b"one", failing_at=0), Sent()
    await serve(parts, sent)
    assert sent[0]["status"] == 404
    assert b"the part is missing" in sent.body


async def test_an_error_after_the_first_part_leaves_the_body_without_its_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The error reaches the server, which cuts the connection, and the log; no second answer is begun."""
    parts, sent = Parts(b"one", b"two", failing_at=1), Sent()
    with pytest.raises(NotFound):
        await serve(parts, sent)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"]
    assert "answer cut off" in capsys.readouterr().out


async def test_a_client_that_goes_away_closes_the_stream(capsys: pytest.CaptureFixture[str]) -> None:
    """FS-18: what a stream holds is let go of at once."""
    parts = Parts(b"one", b"two", b"three")
    with pytest.raises(ConnectionResetError):
        await serve(parts, Sent(2))
    assert (parts.made, parts.is_closed) == (2, True)
