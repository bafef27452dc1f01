"""Granian in this process with one event loop, as `rollbook serve` runs it."""

from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server


async def serve(app: Any, port: int) -> None:
    """Serve an ASGI application on the loopback interface until the process is ended."""
    server = Server(
        app, "127.0.0.1", port, interface=Interfaces.ASGINL, websockets=False, log_enabled=False, backlog=1024
    )
    await server.serve()
