"""An ASGI application behind a real socket, in a thread of its own: for commands that speak HTTP themselves.

Knows HTTP/1.1 as far as our client speaks it: lengths, no chunks; one request after another on a connection.
An application that raises gets its connection closed without an answer.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from rollbook.testing.asgi_transport import AsgiApp, Message


@contextmanager
def served(app: AsgiApp) -> Iterator[str]:
    """The base address, such as `http://127.0.0.1:40123`, while the application is served."""
    loop = asyncio.new_event_loop()
    listening: list[asyncio.Server] = []

    async def start() -> None:
        listening.append(await asyncio.start_server(lambda r, w: _connection(app, r, w), "127.0.0.1", 0))

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(start(), loop).result(10)  # the caller may be in a loop of its own
    try:
        yield f"http://127.0.0.1:{listening[0].sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(_stop(listening[0]), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _stop(server: asyncio.Server) -> None:
    server.close()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _connection(app: AsgiApp, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await _exchange(app, reader, writer):
            pass
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, asyncio.CancelledError):
        pass
    finally:
        writer.close()


async def _exchange(app: AsgiApp, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = [(name.strip().lower().encode(), value.strip().encode("latin-1")) for name, _, value in pairs]
    length = int(dict(headers).get(b"content-length", b"0"))
    body = await reader.readexactly(length)
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": headers,
    }
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    await _answer(messages, writer)
    return True


async def _answer(messages: list[Message], writer: asyncio.StreamWriter) -> None:
    content = b"".join(message.get("body", b"") for message in messages[1:])
    lines = [f"HTTP/1.1 {messages[0]['status']} x", f"content-length: {len(content)}"]
    lines += [f"{name.decode()}: {value.decode('latin-1')}" for name, value in messages[0]["headers"]]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + content)
    await writer.drain()
