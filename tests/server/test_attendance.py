"""Who is given up while they wait: clients that leave, and all that only read when the server ends."""

import asyncio

import pytest

from rollbook.protocol.errors import RequestTimeout, StoreUnavailable
from rollbook.server.attendance import LOOK_SECONDS, Attendance, Waiting
from rollbook.server.requests import Message

pytestmark = pytest.mark.anyio

LONG = LOOK_SECONDS * 3


class Client:
    """The far side as the server's `receive` tells of it."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.asked = 0

    async def receive(self) -> Message:
        """The end of the body once, then nothing until it leaves."""
        self.asked += 1
        if self.asked == 1:
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}


async def _served(attendance: Attendance, client: Client, seconds: float, *, writes: bool = False) -> str:
    waiting = Waiting(attendance, client.receive)
    waiting.begin()
    try:
        if writes:
            waiting.end()
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        reason = waiting.reason()
        if reason is None:
            raise
        raise reason from None
    finally:
        waiting.end()
    return "answered"


async def test_fs_18_who_leaves_is_given_up() -> None:
    """FS-18: what takes long ends when its client leaves, and the task that served it can be used again."""
    attendance, client = Attendance(), Client()
    task = asyncio.ensure_future(_served(attendance, client, 60))
    await asyncio.sleep(LONG)
    client.left.set()
    with pytest.raises(RequestTimeout, match="went away"):
        await task
    assert task.cancelling() == 0
    assert not attendance._waiting


async def test_fs_18_what_has_begun_to_write_is_finished() -> None:
    """FS-18: a write goes on, whoever leaves and even when the server ends."""
    attendance, client = Attendance(), Client()
    task = asyncio.ensure_future(_served(attendance, client, LONG, writes=True))
    client.left.set()
    attendance.end()
    assert await task == "answered"
    assert client.asked == 0


async def test_a_quick_request_listens_to_nobody() -> None:
    """Who is answered at once is not watched, and nothing is left of it."""
    attendance, client = Attendance(), Client()
    assert await _served(attendance, client, 0) == "answered"
    await asyncio.sleep(LONG)
    assert (client.asked, attendance._waiting) == (0, set())


async def test_fs_24_at_the_end_all_that_waits_is_refused() -> None:
    """FS-24: those that take long are told at once, those that come later when they have taken long, too."""
    attendance, clients = Attendance(), [Client() for _ in range(5)]
    tasks = [asyncio.ensure_future(_served(attendance, client, 60)) for client in clients]
    await asyncio.sleep(LONG)
    attendance.end()
    late = asyncio.ensure_future(_served(attendance, Client(), 60))
    answers = await asyncio.gather(*tasks, late, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 6


async def test_another_cancellation_passes() -> None:
    """What is cancelled by others is not told as a client that left."""
    task = asyncio.ensure_future(_served(Attendance(), Client(), 60))
    await asyncio.sleep(LONG)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_server_that_repeats_itself_is_not_asked_for_ever() -> None:
    """A `receive` that says the same again and again tells nothing of the client."""
    asked = 0

    async def receive() -> Message:
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b"", "more_body": False}

    client = Client()
    client.receive = receive  # type: ignore[method-assign]
    assert await _served(Attendance(), client, LONG) == "answered"
    assert asked == 2
