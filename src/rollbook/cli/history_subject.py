"""Who is meant by `rollbook history`, `restore` and `erase`: found by id or by name, of one type, in an open store."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

import typer

if TYPE_CHECKING:
    from rollbook.protocol.schema import ResourceType
    from rollbook.storage.sql.archive import Archive
    from rollbook.storage.sql.store import SqlStore

NAMES = ("userName", "displayName", "externalId")
"""What a resource may be called by; displayName where there is no userName."""


class Subject(NamedTuple):
    """A resource that is there or was, and its history; without an id the whole type."""

    kind: "ResourceType"
    id: str
    archive: "Archive"


Work = Callable[[Subject], Awaitable[None]]


def on_subject(who: str, database: str | None, type_name: str, by: str | None, work: Work) -> None:
    """Run work on the resource that is meant.

    Raises:
        SettingsError: there is no such database or type, or more than one resource is called so.
        NotFound: none is.
    """
    import asyncio

    async def go() -> None:
        async with _opened(database, type_name) as (store, found):
            await work(found._replace(id=await _id(store, found, who, by)))

    asyncio.run(go())


def on_type(database: str | None, type_name: str, work: Work) -> None:
    """Run work on a whole type."""
    import asyncio

    async def go() -> None:
        async with _opened(database, type_name) as (_, found):
            await work(found)

    asyncio.run(go())


@asynccontextmanager
async def _opened(database: str | None, type_name: str) -> AsyncIterator[tuple["SqlStore", Subject]]:
    from rollbook.app import opened, prepare_store
    from rollbook.settings import Settings, choose_database
    from rollbook.storage.sql.archive import Archive

    url, origin = choose_database(database, os.environ)
    settings = Settings(database=url, database_origin=origin)
    store = prepare_store(settings)
    if store.database.is_new:
        raise misused(f"there is no database {store.database.name}; name it with --database")
    async with opened(settings, store):
        kind = store.catalog.resource_type(type_name)
        if kind is None:
            known = ", ".join(kind.name for kind in store.catalog.resource_types)
            raise misused(f"--type {type_name}: there are {known}")
        yield store, Subject(kind, "", Archive(store, store.home))


async def _id(store: "SqlStore", found: Subject, who: str, by: str | None) -> str:
    """The id that is meant: of a resource that is there or was, or of the one with that name."""
    from rollbook.protocol.errors import NotFound

    ways = ["id", *_names(found.kind)]
    if by is not None and by not in ways:
        raise misused(f"--by {by}: a {found.kind.name} is found by {', '.join(ways)}")
    others = await found.archive.versions(who, limit=1)
    if others and others[0].resource_type != found.kind.name:
        raise misused(f"{who} is a {others[0].resource_type}; say --type {others[0].resource_type}")
    meant = {who: "id"} if others and by in {None, "id"} else {}
    for name in ways[1:] if by is None else {by} - {"id"}:
        for identifier in await _called(store, found.kind, name, who):
            meant.setdefault(identifier, name)
    if len(meant) > 1:
        told = ", ".join(f"{identifier} by its {name}" for identifier, name in meant.items())
        raise misused(f"{who} may be {told}; name one by its id with --by id, or say --by {'|'.join(ways)}")
    if not meant:
        raise NotFound(
            f"there is no {found.kind.name} {who}, and none is known that was;"
            " who was deleted is found by the id, see rollbook history --deleted"
        )
    ((identifier, name),) = meant.items()
    if name != "id":
        typer.echo(f"{found.kind.name} {identifier}, by its {name}", err=True)
    return identifier


def _names(kind: "ResourceType") -> list[str]:
    there = [name for name in NAMES if kind.find(name) is not None]
    return [name for name in there if name != "displayName" or "userName" not in there]


async def _called(store: "SqlStore", kind: "ResourceType", name: str, who: str) -> list[str]:
    """The ids of the first few resources with that name."""
    from rollbook.protocol.filter_parser import parse_filter
    from rollbook.protocol.query import Page, Query
    from rollbook.protocol.quirks import Leniency
    from rollbook.protocol.resolve import resolve

    leniency = Leniency()
    condition = resolve(parse_filter(f"{name} eq {json.dumps(who)}", leniency), kind, leniency)
    query = Query(kind, condition, Page(1, 3))
    found = await store.search(store.home, query, members=False, groups=False)
    return [record.id for record in found.records]


def misused(text: str) -> Exception:
    """The error for what was asked in a way that cannot be meant."""
    from rollbook.settings import SettingsError

    return SettingsError(text)
