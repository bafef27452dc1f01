"""Creating without duplicates (client.md 5): look, create, and look again where the outcome is not known."""

from collections.abc import Awaitable, Callable, Sequence

from rollbook.client.answers import member
from rollbook.client.results import Created, ScimResource
from rollbook.protocol.errors import (
    Conflict,
    Forbidden,
    InvalidFilter,
    TargetPending,
    TargetUnavailable,
    UnsupportedFeature,
)
from rollbook.protocol.values import JsonObject

Find = Callable[[str, str, bool], Awaitable[tuple[ScimResource, ...]]]
"""Those with that value (second) of that attribute (first); the third says whether case counts."""

Create = Callable[[], Awaitable[Created]]
"""One POST."""

_NO_QUERY = (InvalidFilter, UnsupportedFeature, Forbidden)


async def look_up(find: Find, document: JsonObject, by: Sequence[str]) -> tuple[ScimResource, ...] | None:
    """Those that have the first of these attributes that anybody has in common with a document; None if no query could be asked."""
    asked = False
    for name in _usable(document, by):
        try:
            found = await find(name, member(document, name), name == "externalId")
        except _NO_QUERY:
            continue
        if found:
            return found
        asked = True
    return () if asked else None


async def create_once(find: Find, create: Create, document: JsonObject, by: Sequence[str]) -> Created:
    """The resource that a document describes, which is there exactly once afterwards.

    Cases: 1. it is there; 2. created; 3. somebody else was quicker, or it is hidden; 4. no answer: looked for before a second
    POST, and given up if that cannot be asked (C-5-01).

    Raises:
        Conflict: several are like it, or one that no query shows.
    """
    found = await look_up(find, document, by)
    if found:
        return Created(_only(found), new=False)
    try:
        return await create()
    except Conflict:
        found = await look_up(find, document, by)
        if not found:
            raise
        return Created(_only(found), new=False)
    except TargetPending:
        raise  # a second POST would make a second one
    except TargetUnavailable:
        found = await look_up(find, document, by)
        if found is None:
            raise
    return Created(_only(found), new=True) if found else await create()


def _usable(document: JsonObject, by: Sequence[str]) -> list[str]:
    given = [name for name in by if isinstance(member(document, name), str) and member(document, name)]
    # The name of a group tells it from others, the name that is shown of a person does not.
    return [name for name in given if name != "displayName" or member(document, "userName") is None]


def _only(found: Sequence[ScimResource]) -> ScimResource:
    if len(found) > 1:
        ids = ", ".join(one.id[:40] for one in found[:3])
        raise Conflict(f"several are like it ({ids}); nothing was changed")
    return found[0]
