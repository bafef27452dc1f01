"""`rollbook pull`, `plan`, `apply`, `status`: sources → hub → targets, from the command line."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

_EXIT_CODES = "Exit codes: 0 all done, 1 something could not be done, 3 the configuration is wrong."

ConfigFile = Annotated[
    Path, typer.Option("--config", help="The configuration file.", metavar="FILE", envvar="ROLLBOOK_CONFIG")
]
Database = Annotated[
    str | None, typer.Option(help="The hub's database; ROLLBOOK_DATABASE says the same.", metavar="URL")
]
Schemas = Annotated[
    Path | None, typer.Option(help="Further Schema and ResourceType files (*.json).", metavar="DIR")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Sources = Annotated[
    list[str] | None, typer.Argument(help="Sources; all if none is named.", metavar="SOURCE…")
]
Targets = Annotated[
    list[str] | None, typer.Argument(help="Targets; all if none is named.", metavar="TARGET…")
]
Accept = Annotated[
    list[str] | None,
    typer.Option(help="The key of a record that is another person now; once for each.", metavar="KEY"),
]
Pull = Annotated[bool, typer.Option("--pull/--no-pull", help="Whether sources are read first.")]

DEFAULT_CONFIG = Path("rollbook.yaml")


def pull(
    sources: Sources = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    accept: Accept = None,
    as_json: Json = False,
) -> None:
    """Bring the hub up to date with its sources."""
    from rollbook.cli import provision_output as output
    from rollbook.cli.provision_work import Desk

    async def work(desk: Desk) -> int:
        desk.accept = frozenset(accept or ())
        reports = await desk.pull(sources or [])
        output.show_pull(reports, as_json=as_json)
        return 1 if any(report.failed for report in reports) else 0

    _run(work, config, database, schemas)


def plan(
    targets: Targets = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    read_sources: Pull = True,
    accept: Accept = None,
    as_json: Json = False,
) -> None:
    """Show what apply would do, per person and attribute, and do nothing."""
    from rollbook.cli import provision_output as output
    from rollbook.cli.errors import FAILED, PENDING
    from rollbook.cli.provision_work import Desk

    async def work(desk: Desk) -> int:
        desk.accept = frozenset(accept or ())
        printer = output.plan_printer(as_json=as_json)
        found = await desk.plan(targets or [], printer, read_sources=read_sources)
        printer.end(found)
        if found.failed:
            return FAILED
        return PENDING if found.pending else 0

    _run(work, config, database, schemas)


def apply(
    targets: Targets = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    read_sources: Pull = True,
    accept: Accept = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what was given up.")] = False,
    as_json: Json = False,
) -> None:
    """Read the sources, then bring the targets up to date."""
    from rollbook.cli import provision_output as output
    from rollbook.cli.provision_work import Desk

    async def work(desk: Desk) -> int:
        desk.accept = frozenset(accept or ())
        with output.progress() as watch:
            done = await desk.apply(targets or [], watch, read_sources=read_sources, retry=retry)
        output.show_apply(done, as_json=as_json)
        return 1 if done.failed else 0

    _run(work, config, database, schemas)


def status(
    targets: Targets = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    as_json: Json = False,
) -> None:
    """Show how sources and targets stand."""
    from rollbook.cli import provision_output as output
    from rollbook.cli.provision_work import Desk

    async def work(desk: Desk) -> int:
        output.show_status(*await desk.status(targets or []), as_json=as_json)
        return 0

    _run(work, config, database, schemas)


for _command in (pull, apply, status):
    _command.__doc__ = f"{_command.__doc__}\n\n{_EXIT_CODES}"
plan.__doc__ = (
    f"{plan.__doc__}\n\n{_EXIT_CODES.replace('all done', 'nothing to do')[:-1]}, 2 changes are pending."
)


def _run(work: Any, config: Path, database: str | None, schemas: Path | None) -> None:
    import asyncio

    from rollbook.cli.provision_work import opened_desk
    from rollbook.settings import SettingsError

    if not config.is_file():
        raise SettingsError(f"{config}: there is no such file; name another one with --config")

    async def main() -> int:
        async with opened_desk(config, database, schemas, os.environ) as desk:
            code: int = await work(desk)
            return code

    try:
        code = asyncio.run(main())
    except KeyboardInterrupt:
        typer.echo("stopped; what was done is kept, run it again to go on", err=True)
        code = 130
    if code:
        raise typer.Exit(code)
