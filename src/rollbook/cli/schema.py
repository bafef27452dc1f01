"""`rollbook schema`: the schemas and resource types that are served, kept in the database."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rollbook.protocol.catalog import Catalog
    from rollbook.storage.sql.redefine import Progress
    from rollbook.storage.sql.store import SqlStore

app = typer.Typer(help="Schemas and resource types of your own, kept in the database.", no_args_is_help=True)

Database = Annotated[
    str | None, typer.Option(help="The server's database; ROLLBOOK_DATABASE says the same.", metavar="URL")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Files = Annotated[
    list[Path],
    typer.Argument(help="Schema and ResourceType files in RFC form, or directories of them (*.json)."),
]
DropValues = Annotated[
    bool,
    typer.Option("--drop-values", help="Drop the values of attributes that no definition has any more."),
]


@app.command("list")
def list_definitions(
    name: Annotated[
        str | None, typer.Argument(help="The URN of a schema or the name of a resource type: print it.")
    ] = None,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """List what is served, or print one definition in the form of RFC 7643."""
    import asyncio

    from rollbook.cli import schema_output

    async def read() -> "tuple[Catalog, dict[str, int]]":
        async with _store(database) as store:
            return store.catalog, dict(await store.numbers(store.home))

    catalog, numbers = asyncio.run(read())
    if name is None:
        schema_output.show_catalog(catalog, numbers, as_json=as_json)
    else:
        schema_output.show_definition(catalog, name)


@app.command()
def check(files: Files, database: Database = None, as_json: AsJson = False) -> None:
    """Say what `add` would change, and which resources would no longer be valid; changes nothing."""
    _change(_adding(files), database, take=False, drop=False, as_json=as_json)


@app.command()
def add(
    files: Files, database: Database = None, drop_values: DropValues = False, as_json: AsJson = False
) -> None:
    """Add definitions, or replace those of the same URN or name; a running server follows within a second."""
    _change(_adding(files), database, take=True, drop=drop_values, as_json=as_json)


@app.command()
def remove(
    names: Annotated[list[str], typer.Argument(help="URNs of schemas, names of resource types.")],
    database: Database = None,
    drop_values: DropValues = False,
    as_json: AsJson = False,
) -> None:
    """Remove definitions; refused while resources need them."""
    from rollbook.operations.definitions import removed

    _change(lambda catalog: removed(catalog, names), database, take=True, drop=drop_values, as_json=as_json)


def _adding(files: list[Path]) -> "Callable[[Catalog], Catalog]":
    from rollbook.app import read_definitions
    from rollbook.operations.definitions import added

    documents = read_definitions(files)
    return lambda catalog: added(catalog, documents)


def _change(
    made: "Callable[[Catalog], Catalog]", database: str | None, *, take: bool, drop: bool, as_json: bool
) -> None:
    """Survey a change of definitions, say what it means, and take it if it may be taken."""
    import asyncio

    from rollbook.app import by
    from rollbook.cli import schema_output
    from rollbook.cli.errors import FAILED

    async def run() -> bool:
        async with _store(database) as store:
            before, after = store.catalog, made(store.catalog)
            with _progress() as progress:
                survey = await store.survey(after, progress)
            may_take = survey.is_lossless or (drop and survey.only_drops)
            changed = None
            if take and may_take and after.documents != before.documents:
                with _progress() as progress:
                    author = by("rollbook schema")
                    changed = await store.redefine(survey, author, drop=drop, progress=progress)
            schema_output.show_change(
                before, survey, taken=take and may_take, changed=changed, as_json=as_json
            )
            return may_take

    if not asyncio.run(run()):
        raise typer.Exit(FAILED)


@contextmanager
def _progress() -> "Iterator[Progress]":
    """A bar on standard error where a person watches."""
    import sys

    from rollbook.storage.sql.redefine import quietly

    if not sys.stderr.isatty():
        yield quietly
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("resources looked at"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


def _store(database: str | None) -> "AbstractAsyncContextManager[SqlStore]":
    from rollbook.app import opened
    from rollbook.settings import Settings, choose_database

    url, origin = choose_database(database, os.environ)
    return opened(Settings(database=url, database_origin=origin))
