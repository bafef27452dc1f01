"""People from another SCIM server: all users, by cursor where it has one, by index otherwise (client.md 7)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

from rollbook.client import CursorWalk, ScimClient, ScimResource, Walk
from rollbook.protocol.compare import parse_date_time, render_date_time
from rollbook.protocol.errors import ScimError, TargetUnavailable
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.sources.base import SourceError
from rollbook.provisioning.sources.flat import flat
from rollbook.provisioning.sources.spool import Anew, Course, Fields, Problem, SpooledSource

PAGE = 200

_NEVER_READ = frozenset({"schemas", "meta", "password"})


def scim_server(
    connect: Callable[[], ScimClient],
    url: str,
    filter: str | None,
    key: str,
    needed: tuple[str, ...],
    overlap: int | None = None,
) -> SpooledSource:
    """The users of a server, or those a filter finds.

    With an `overlap` (milliseconds) changes are told by `meta.lastModified`, by the server's own clock (C-7-08). Nobody is seen to be gone by it.
    """
    return SpooledSource(url, key, needed, lambda course: _records(connect, url, filter, overlap, course))


def _records(
    connect: Callable[[], ScimClient], url: str, filter: str | None, overlap: int | None, course: Course
) -> Iterator[Fields | Problem]:
    # A source is read in a thread, which has a loop of its own for as long as the walk takes.
    newest = _begin(course, overlap)
    loop = asyncio.new_event_loop()
    client = connect()
    try:
        capabilities = loop.run_until_complete(client.discover())
        wanted = _since(filter, newest - (overlap or 0)) if course.partial else filter
        walk = client.iterate(
            capabilities.endpoints["User"], wanted, page_size=PAGE, cursor=capabilities.cursor
        )
        found = aiter(walk)
        while (one := loop.run_until_complete(_next(found))) is not None:
            newest = max(newest, _modified(one))
            yield _record(one)
        _check(walk, url)
        course.mark = str(newest) if newest and overlap is not None else None
    except ScimError as error:
        if course.partial and not isinstance(error, TargetUnavailable):
            raise Anew(f"the server does not find users by meta.lastModified ({error.detail})") from None
        raise SourceError(f"{url}: {error.detail}") from None
    finally:
        loop.run_until_complete(client.close())
        loop.close()


def _begin(course: Course, overlap: int | None) -> int:
    """The moment that changes are asked for since, 0 if everything is read."""
    if overlap is None or course.since is None:
        course.since = None
        return 0
    if not course.since.isdigit():
        raise Anew("the mark cannot be read")
    course.partial = True
    return int(course.since)


def _since(filter: str | None, moment: int) -> str:
    later = f'meta.lastModified gt "{render_date_time(moment)}"'
    return later if filter is None else f"({filter}) and {later}"


def _modified(found: ScimResource) -> int:
    """When it was changed last, in milliseconds since 1970; 0 if the server does not say."""
    meta = found.body.get("meta")
    modified = meta.get("lastModified") if isinstance(meta, dict) else None
    try:
        return parse_date_time(modified) if isinstance(modified, str) else 0
    except ValueError:
        return 0


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
