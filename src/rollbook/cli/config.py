"""`rollbook config`: check rollbook.yaml, and print its JSON Schema for editors."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rollbook.protocol.catalog import Catalog

app = typer.Typer(help="Check the configuration; print its schema.", no_args_is_help=True)

ConfigFile = Annotated[Path, typer.Option("--config", help="The configuration file.", metavar="FILE")]


@app.command()
def schema() -> None:
    """Print the JSON Schema of rollbook.yaml, for editors."""
    import json

    from rollbook.provisioning.config.shape import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@app.command()
def check(
    config: ConfigFile = Path("rollbook.yaml"),
    schemas: Annotated[
        Path | None, typer.Option(help="Further Schema and ResourceType files (*.json).", metavar="DIR")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="The server's database, which knows its schemas.", metavar="URL")
    ] = None,
    secrets: Annotated[
        bool, typer.Option("--secrets/--no-secrets", help="Whether secrets must be there, too.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find every mistake in the configuration at once; files of sources that are there are looked into."""
    import json
    from dataclasses import asdict

    from rollbook.cli.errors import MISCONFIGURED
    from rollbook.provisioning.config import ConfigError, check_config

    found = check_config(config, _catalog(schemas, database), os.environ, secrets=secrets)
    problems = tuple(problem for problem in found if secrets or problem.code != "RB113")
    if as_json:
        print(json.dumps({"file": str(config), "problems": [asdict(problem) for problem in problems]}))
    elif problems:
        typer.echo(ConfigError(problems).render(), err=True)
    else:
        print(f"{config}: no mistakes found")
    if problems:
        raise typer.Exit(MISCONFIGURED)


def _catalog(schemas: Path | None, database: str | None) -> "Catalog":
    """What the hub serves: by the directory named, else by its database if there is one already."""
    import asyncio

    from rollbook.app import load_catalog, opened, prepare_store
    from rollbook.protocol.catalog import core_catalog
    from rollbook.settings import Settings, choose_database

    named = load_catalog(schemas)
    if named is not None:
        return named
    url, origin = choose_database(database, os.environ)
    settings = Settings(database=url, database_origin=origin)
    store = prepare_store(settings)
    if store.database.is_new:
        return core_catalog()

    async def read() -> "Catalog":
        async with opened(settings, store):
            return store.catalog

    return asyncio.run(read())
