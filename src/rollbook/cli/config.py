"""`rollbook config`: check rollbook.yaml, show it as it is followed, and print its JSON Schema for editors."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rollbook.protocol.catalog import Catalog

app = typer.Typer(help="Check the configuration; show it; print its schema.", no_args_is_help=True)

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

    from rollbook.app import now
    from rollbook.cli.errors import MISCONFIGURED
    from rollbook.provisioning.config import ConfigError
    from rollbook.provisioning.config.check import looked_into, problems_of
    from rollbook.provisioning.credentials import warnings_of

    loaded = looked_into(config, catalog_of(schemas, database), os.environ, secrets=secrets)
    problems = tuple(one for one in problems_of(loaded) if secrets or one.code != "RB113")
    warnings = list(warnings_of(loaded.config.targets.values(), now())) if loaded.config else []
    if as_json:
        told = [asdict(problem) for problem in problems]
        print(json.dumps({"file": str(config), "problems": told, "warnings": warnings}))
    elif problems:
        typer.echo(ConfigError(problems).render(), err=True)
    else:
        print(f"{config}: no mistakes found")
        for warning in warnings:
            print(f"note: {warning}")
    if problems:
        raise typer.Exit(MISCONFIGURED)


@app.command()
def show(
    config: ConfigFile = Path("rollbook.yaml"),
    schemas: Annotated[
        Path | None, typer.Option(help="Further Schema and ResourceType files (*.json).", metavar="DIR")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="The server's database, which knows its schemas.", metavar="URL")
    ] = None,
    origin: Annotated[bool, typer.Option("--origin", help="Say of each value where it is from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the whole configuration as it is followed: with defaults, and with what profiles say. No secret is looked up."""
    import json

    from rollbook.cli.config_output import lines_of, origins_of
    from rollbook.cli.errors import MISCONFIGURED
    from rollbook.provisioning.config import ConfigError
    from rollbook.provisioning.config.effective import nested, settings_of
    from rollbook.provisioning.config.load import load

    loaded = load(config, catalog_of(schemas, database), os.environ, secrets=False)
    problems = tuple(problem for problem in loaded.document.problems if problem.code != "RB113")
    if problems:
        typer.echo(ConfigError(problems).render(), err=True)
        raise typer.Exit(MISCONFIGURED)
    settings = settings_of(loaded, os.environ)
    if as_json:
        told = {"file": str(config), "config": nested(settings)}
        print(json.dumps(told | ({"origin": origins_of(settings)} if origin else {}), ensure_ascii=False))
        return
    for line in lines_of(settings, origin=origin):
        print(line)


def catalog_of(schemas: Path | None, database: str | None) -> "Catalog":
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
