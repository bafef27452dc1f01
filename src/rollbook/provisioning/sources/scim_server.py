"""People from another SCIM server: all users, by cursor where it has one, by index otherwise (client.md 7)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

from rollbook.client import CursorWalk, ScimClient, ScimResource, Walk
from rollbook.protocol.errors import ScimError
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.sources.base import SourceError
from rollbook.provisioning.sources.flat import flat
from rollbook.provisioning.sources.spool import Fields, Problem, SpooledSource

PAGE = 200

_NEVER_READ = frozenset({"schemas", "meta", "password"})


def scim_server(
    connect: Callable[[], ScimClient], url: str, filter: str | None, key: str, needed: tuple[str, ...]
) -> SpooledSource:
    """The users of a server, or those a filter finds."""
    return SpooledSource(url, key, needed, lambda: _records(connect, url, filter))


def _records(connect: Callable[[], ScimClient], url: str, filter: str | None) -> Iterator[Fields | Problem]:
    # A source is read in a thread, which has a loop of its own for as long as the walk takes.
    loop = asyncio.new_event_loop()
    client = connect()
    try:
        capabilities = loop.run_until_complete(client.discover())
        walk = client.iterate(
            capabilities.endpoints["User"], filter, page_size=PAGE, cursor=capabilities.cursor
        )
        found = aiter(walk)
        while (one := loop.run_until_complete(_next(found))) is not None:
            yield _record(one)
        _check(walk, url)
    except ScimError as error:
        raise SourceError(f"{url}: {error.detail}") from None
    finally:
        loop.run_until_complete(client.close())
        loop.close()


async def _next(found: AsyncIterator[ScimResource]) -> ScimResource | None:
    return await anext(found, None)


def _check(walk: Walk | CursorWalk, url: str) -> None:
    if not walk.complete:
        raise SourceError(
            f"{url}: the list ended before its totalResults, or repeated itself; it is not known to be complete, so nobody"
            " is taken to have left"
        )


def _record(found: ScimResource) -> Fields | Problem:
    shown: JsonObject = {name: value for name, value in found.body.items() if name.lower() not in _NEVER_READ}
    try:
        return flat(shown) | {"id": found.id}
    except ValueError as error:
        return str(error)
