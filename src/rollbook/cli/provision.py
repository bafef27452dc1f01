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
    only_changes: Annotated[
        bool,
        typer.Option("--changes/--full", help="Read only what has changed, where a source can tell."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring the hub up to date with its sources."""
    from rollbook.cli import provision_output as output
    from rollbook.desk.desk import Desk
    from rollbook.desk.pulls import pull_sources

    async def work(desk: Desk) -> int:
        desk.accept = frozenset(accept or ())
        reports = await pull_sources(desk, sources or [], whole=not only_changes)
        output.show_pull(reports, as_json=as_json)
        return 1 if any(report.failed for report in reports) else 0

    run_work(work, config, database, schemas)


def plan(
    targets: Targets = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    read_sources: Pull = True,
    accept: Accept = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Work out anew what everybody should have, not only those who changed, and compare it with what was"
            " confirmed last; targets are asked only about differences.",
        ),
    ] = False,
    output_file: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Also write it to a file, for apply FILE.", metavar="FILE"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what apply would do, per person and attribute, and do nothing."""
    from tempfile import TemporaryFile

    from rollbook.cli import provision_output as output
    from rollbook.cli import saved_plan
    from rollbook.cli.errors import FAILED, PENDING
    from rollbook.desk import planning
    from rollbook.desk.agreed import waves_of
    from rollbook.desk.desk import Desk
    from rollbook.desk.plan_lines import Recorder

    async def work(desk: Desk) -> int:
        desk.accept = frozenset(accept or ())
        printer = output.plan_printer(as_json=as_json, sensitive=desk.config.sensitive)
        with TemporaryFile("w+", encoding="utf-8") as lines:
            kept = printer if output_file is None else Recorder(desk.config.sensitive, lines, printer)
            found = await planning.plan(desk, targets or [], kept, read_sources=read_sources, full=full)
            printer.end(found)
            if output_file is not None and not found.failed:
                chosen, waves = desk.targets(targets or []), waves_of(found)
                saved_plan.save(output_file, lines, chosen, waves, reads_sources=read_sources)
                typer.echo(f"to do exactly this: rollbook apply {output_file}", err=True)
        if found.failed:
            return FAILED
        return PENDING if found.pending else 0

    run_work(work, config, database, schemas)


def apply(
    targets: Annotated[
        list[str] | None,
        typer.Argument(help="Targets; all if none is named. Or the file of a plan.", metavar="TARGET…|FILE"),
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    read_sources: Pull = True,
    accept: Accept = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what was given up.")] = False,
    accept_deletions: Annotated[
        int | None,
        typer.Option(
            "--accept-deletions",
            help="How many accounts may be disabled or deleted although the brake says no.",
            min=1,
        ),
    ] = None,
    accept_arrivals: Annotated[
        int | None,
        typer.Option(
            "--accept-arrivals",
            help="How many accounts may be made or taken over although the brake says no.",
            min=1,
        ),
    ] = None,
    plan_hash: Annotated[
        list[str] | None,
        typer.Option("--plan", help="Exactly which ones: the name that plan gave them.", metavar="HASH"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read the sources, then bring the targets up to date.

    Given the file of a plan (plan -o FILE) it does exactly that, or nothing if the world has moved since.
    """
    from rollbook.cli import provision_output as output
    from rollbook.cli import saved_plan
    from rollbook.desk import applying
    from rollbook.desk.desk import Desk

    async def work(desk: Desk) -> int:
        desk.accept = frozenset(accept or ())
        names, reads = targets or [], read_sources
        saved = saved_plan.named(names, desk.config.targets)
        word = saved_plan.Word(accept_deletions, accept_arrivals, tuple(plan_hash or ()))
        approvals = saved_plan.approvals(saved, word)
        if saved is not None:
            names, reads = list(saved.targets), saved.reads_sources
            await saved.check(desk)
        detail = {**word.told, "retry": retry, "sources": reads}
        async with desk.telling("apply", names, **detail) as told:
            with output.progress() as watch:
                done = await applying.apply(
                    desk, names, watch, read_sources=reads, retry=retry, approvals=approvals
                )
            told.ended(done)
        output.show_apply(done, as_json=as_json)
        return 1 if done.failed else 0

    run_work(work, config, database, schemas)


def run(
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    as_json: Json = False,
) -> None:
    """Do one whole round: read all sources, bring all targets up to date. What a scheduler calls."""
    apply(None, config, database, schemas, as_json=as_json)


def status(
    targets: Targets = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    as_json: Json = False,
) -> None:
    """Show how sources and targets stand."""
    from rollbook.cli import provision_output as output
    from rollbook.desk.desk import Desk

    async def work(desk: Desk) -> int:
        output.show_status(*await desk.status(targets or []), as_json=as_json)
        return 0

    run_work(work, config, database, schemas)


for _command in (pull, apply, run, status):
    _command.__doc__ = f"{_command.__doc__}\n\n{_EXIT_CODES}"
plan.__doc__ = (
    f"{plan.__doc__}\n\n{_EXIT_CODES.replace('all done', 'nothing to do')[:-1]}, 2 changes are pending."
)


def run_work(work: Any, config: Path, database: str | None, schemas: Path | None) -> None:
    """Run work on the configuration and the open hub, and end with the exit code it gives."""
    import asyncio

    from rollbook.cli.opened import opened_desk
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
