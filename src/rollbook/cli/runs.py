"""`rollbook runs` and `rollbook undo`: what was done, and taking it back."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rollbook.cli.provision import DEFAULT_CONFIG, ConfigFile, Database, Json, Schemas, run_work

if TYPE_CHECKING:
    from rollbook.desk.desk import Desk

_MOST = 2**63 - 1
"""What a database takes for a number."""

Number = Annotated[int, typer.Argument(help="The number of the run.", metavar="RUN", min=1, max=_MOST)]


def runs(
    number: Annotated[
        int | None,
        typer.Argument(help="Show what this run did, item by item.", metavar="RUN", min=1, max=_MOST),
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    limit: Annotated[int, typer.Option(help="Runs to show, newest first.", min=1, max=10_000)] = 20,
    as_json: Json = False,
) -> None:
    """List the latest runs, or what one of them did."""
    from rollbook.cli import runs_output as output

    async def work(desk: "Desk") -> int:
        if number is None:
            output.show_runs(await desk.links.runs(desk.engine.tenant, limit), as_json=as_json)
        else:
            await output.show_run(desk, number, as_json=as_json)
        return 0

    run_work(work, config, database, schemas)


def undo(
    number: Number,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would happen, and change nothing.")
    ] = False,
) -> None:
    """Take back what a run did, in the hub and at the targets, with all that the same command did.

    What somebody has changed since stays as it is, and is named. Exit codes: 0 done or nothing to do, 1 something could
    not be done, 2 it was only shown, 3 it cannot be meant.
    """
    from rollbook.cli import provision_output as output
    from rollbook.cli import runs_output
    from rollbook.cli.errors import FAILED, PENDING
    from rollbook.desk import undoing
    from rollbook.desk.reports import Applied

    async def work(desk: "Desk") -> int:
        plan, done = await undoing.plan_undo(desk, number)
        runs_output.show_undo(plan, done)
        planned = await undoing.preview_undo(desk, plan, output.plan_printer(as_json=False))
        await runs_output.show_what_stays(desk, plan, done, planned)
        if planned.failed:
            return FAILED
        if not plan.steps and not planned.pending:
            print("nothing to take back")
            return 0
        if dry_run or not (yes or _agreed()):
            return PENDING
        names = sorted({preview.target for preview in planned.targets})
        async with desk.telling("undo", names, undoes=plan.number) as told:
            with output.progress() as watch:
                reports = await undoing.undo(desk, plan, planned, watch)
            undone = Applied((), reports)
            told.ended(undone, desk.batch)
        output.show_apply(undone, as_json=False)
        print(f"run {plan.number} is taken back, by run {desk.batch}")
        return FAILED if undone.failed else 0

    run_work(work, config, database, schemas)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        typer.echo("nothing was changed; say --yes to do it", err=True)
        return False
    return typer.confirm("Take it back?")
