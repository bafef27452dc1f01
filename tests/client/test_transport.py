"""The pyqwest transport against sockets of this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from rollbook.client import HttpRequest, Limits, PyqwestTransport
from rollbook.protocol.errors import TargetRefused, TargetUnavailable

pytestmark = pytest.mark.anyio

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(answer: bytes, *, stay: bool = False) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A listener that takes one request head, answers with fixed bytes, and closes unless told to stay."""
    heads: list[bytes] = []
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if stay:
            await done.wait()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", heads
        done.set()


async def test_answers_come_whole() -> None:
    """Status, lower-case header names and body arrive; the request line is what was given."""
    async with server(b"HTTP/1.1 201 Created\r\nX-Some: a\r\nContent-Length: 3\r\n\r\nabc") as (url, heads):
        transport = PyqwestTransport()
        answer = await transport.send(
            HttpRequest("GET", f"{url}/v2/a%2Fb?filter=a%20eq%20%22%2B%22", {"x-mark": "1"})
        )
        await transport.close()
    assert (answer.status, answer.headers["x-some"], answer.content) == (201, "a", b"abc")
    assert heads[0].startswith(b"GET /v2/a%2Fb?filter=a%20eq%20%22%2B%22 HTTP/1.1\r\n")
    assert b"x-mark: 1\r\n" in heads[0]


async def test_redirects_are_not_followed() -> None:
    """A redirect is an answer like any other: nothing is sent to where it points (C-1-08)."""
    async with (
        server(b"HTTP/1.1 200 OK\r\n\r\n") as (elsewhere, heads),
        server(f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n".encode()) as (
            url,
            _,
        ),
    ):
        transport = PyqwestTransport()
        answer = await transport.send(HttpRequest("GET", url, {"authorization": "Bearer secret"}))
        await transport.close()
    assert answer.status == 302
    assert heads == []


@pytest.mark.parametrize(
    "answer",
    [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"],
    ids=["closed", "not-http", "cut"],
)
async def test_answers_that_do_not_come_whole(answer: bytes) -> None:
    """A connection that closes early is no answer; the error does not repeat the URL (C-1-05)."""
    async with server(answer) as (url, _):
        transport = PyqwestTransport()
        with pytest.raises(TargetUnavailable) as raised:
            await transport.send(HttpRequest("GET", f"{url}/v2?filter=userName%20eq%20%22marker%22"))
        await transport.close()
    assert "marker" not in raised.value.detail


async def test_nobody_listens() -> None:
    """A refused connection is named as such."""
    transport = PyqwestTransport()
    with pytest.raises(TargetUnavailable, match="refused"):
        await transport.send(HttpRequest("GET", "http://127.0.0.1:1/v2/Users?filter=marker"))
    await transport.close()


async def test_t_65_silence_has_an_end() -> None:
    """A service that takes the request and says nothing is given up after the time limit."""
    async with server(b"", stay=True) as (url, _):
        transport = PyqwestTransport(Limits(total=0.05))
        with pytest.raises(TargetUnavailable, match=r"0\.05 s"):
            await transport.send(HttpRequest("GET", url))
        await transport.close()


async def test_t_65_answers_have_a_size() -> None:
    """An answer beyond the limit is refused, whether its length is announced or not."""
    async with server(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000) as (url, _):
        transport = PyqwestTransport(Limits(answer_bytes=1000))
        with pytest.raises(TargetRefused, match="1000 bytes"):
            await transport.send(HttpRequest("GET", url))
        await transport.close()


async def test_c_1_06_so_many_at_once() -> None:
    """No more exchanges at the same time than the limit; the others wait for their turn."""
    busy: list[int] = [0, 0]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        busy[0] += 1
        busy[1] = max(busy)
        await asyncio.sleep(0.02)
        busy[0] -= 1
        writer.write(b"HTTP/1.1 204 None\r\nConnection: close\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        transport = PyqwestTransport(Limits(at_once=3))
        await asyncio.gather(*(transport.send(HttpRequest("GET", url)) for _ in range(12)))
        await transport.close()
    assert busy == [0, 3]
