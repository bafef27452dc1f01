"""/Me: the endpoints of one resource, the caller's own (RFC 7644 §3.11). Location is always its permanent URI."""

from collections.abc import Awaitable, Callable

from rollbook.operations import access
from rollbook.operations.me import own_type
from rollbook.protocol.errors import UnsupportedFeature
from rollbook.server.endpoints import Resources
from rollbook.server.exchange import Exchange, Handler
from rollbook.server.responses import Answer


def handlers() -> dict[str, Handler]:
    """The handler of each method; POST would be self-registration, which is not offered (P-3.11-05)."""
    return {
        "GET": _as_own(Resources.read),
        "PUT": _as_own(Resources.replace),
        "PATCH": _as_own(Resources.patch),
        "DELETE": _as_own(Resources.delete),
        "POST": _register,
    }


def _as_own(handle: Callable[[Resources, Exchange], Awaitable[Answer]]) -> Handler:
    async def handler(exchange: Exchange) -> Answer:
        resource_type = await own_type(exchange.context)
        caller, request = exchange.context.caller, exchange.request
        request.id = caller.user or ""
        access.check(caller, request.scope["method"], request.id)
        return await handle(Resources(resource_type), exchange)

    return handler


async def _register(_: Exchange) -> Answer:
    raise UnsupportedFeature("nobody can register themselves here; create users with POST to their endpoint")
