"""The limit: a Starlette route that returns a constant Response, on the server Rollbook uses. PORT SIZE…"""

import asyncio
import sys

from bench.peers.granian_server import serve
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

METHODS = ["GET", "POST", "PATCH"]


def route(size: int) -> Route:
    body = b"x" * size

    async def answer(_: Request) -> Response:
        return Response(body, media_type="application/scim+json")

    return Route(f"/{size}", answer, methods=METHODS)


if __name__ == "__main__":
    port, *sizes = map(int, sys.argv[1:])
    asyncio.run(serve(Starlette(routes=[route(size) for size in sizes]), port))
