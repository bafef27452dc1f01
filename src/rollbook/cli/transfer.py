"""What `rollbook import` and `rollbook export` share: formats, and the store of a command."""

import os
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from rollbook.protocol.schema import ResourceType
    from rollbook.storage.sql.store import SqlStore

T = TypeVar("T")


class Format(StrEnum):
    """How resources are written."""

    JSONL = "jsonl"
    CSV = "csv"


Database = Annotated[
    str | None, typer.Option(help="The server's database; ROLLBOOK_DATABASE says the same.", metavar="URL")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="By the file's name if not said: .csv, else JSON lines.")
]


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How cells begin that a spreadsheet takes for formulas."""


def format_of(path: Path, given: Format | None) -> Format:
    """The format that was asked for, or that the name of the file says."""
    if given is not None:
        return given
    name = path.name.removesuffix(".gz")
    return Format.CSV if name.endswith(".csv") else Format.JSONL


def kind_of(store: "SqlStore", name: str) -> "ResourceType":
    """The resource type of that name.

    Raises:
        SettingsError: there is none.
    """
    from rollbook.settings import SettingsError

    found = store.catalog.resource_type(name)
    if found is None:
        known = ", ".join(kind.name for kind in store.catalog.resource_types)
        raise SettingsError(f"--type {name}: there are {known}")
    return found


def opened_store(database: str | None, *, makes: bool = True) -> Any:
    """The store that is named, open for as long as a block lasts; a new one only if that `makes` sense."""
    from rollbook.app import opened, prepare_store
    from rollbook.settings import Settings, SettingsError, choose_database

    url, origin = choose_database(database, os.environ)
    settings = Settings(database=url, database_origin=origin)
    store = prepare_store(settings)
    if not makes and store.database.is_new:
        raise SettingsError(f"there is no database {store.database.name}; name it with --database")
    return opened(settings, store)


def on_store(database: str | None, work: "Callable[[SqlStore], Awaitable[T]]", *, makes: bool = False) -> T:
    """What work on the store that is named comes to."""
    import asyncio

    from rollbook.cli.acts import say_key

    async def go() -> T:
        async with opened_store(database, makes=makes) as store:
            done = await work(store)
            say_key(store)
            return done

    return asyncio.run(go())
