"""`rollbook pause`, `resume`, `retry`, `reset` and `report`: targets by name."""

import csv
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from rollbook.cli.provision import DEFAULT_CONFIG, ConfigFile, Database, Json, Schemas, run_work

if TYPE_CHECKING:
    from rollbook.desk.desk import Desk

OneOrMore = Annotated[list[str], typer.Argument(help="Targets.", metavar="TARGET…")]
OrAll = Annotated[list[str] | None, typer.Argument(help="Targets.", metavar="TARGET…")]
All = Annotated[bool, typer.Option("--all", help="Every target of the configuration.")]
One = Annotated[str, typer.Argument(help="The target.", metavar="TARGET")]


def pause(
    targets: OrAll = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    everything: All = False,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks at the status.")] = "",
) -> None:
    """Send nothing more to targets until resume; runs that are under way notice within a second."""
    told = f"paused by hand{': ' if reason else ''}{reason}"

    async def work(desk: "Desk") -> int:
        names = _named(desk, targets, everything=everything)
        for number in await desk.numbers(names):
            await desk.links.stop(desk.engine.tenant, number, told)
        await desk.tell("pause", names, reason=reason)
        again = "--all" if everything else " ".join(names)
        print(f"{', '.join(names)}: paused; go on with: rollbook resume {again}")
        return 0

    run_work(work, config, database, schemas)


def resume(
    targets: OrAll = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    everything: All = False,
) -> None:
    """Let work on targets go on; also where a target has asked for a pause of its own."""

    async def work(desk: "Desk") -> int:
        names = _named(desk, targets, everything=everything)
        for number in await desk.numbers(names):
            await desk.links.stop(desk.engine.tenant, number, None)
            await desk.links.pause(desk.engine.tenant, number, 0, None)
        await desk.tell("resume", names)
        print(f"{', '.join(names)}: work goes on with the next apply")
        return 0

    run_work(work, config, database, schemas)


def _named(desk: "Desk", targets: list[str] | None, *, everything: bool) -> list[str]:
    """The names of targets, of all only if that was said.

    Raises:
        SettingsError: neither was said, or both, or a name is not known.
    """
    if everything == bool(targets):
        from rollbook.settings import SettingsError

        raise SettingsError("name the targets, or say --all")
    return [target.name for target in desk.targets(targets or [])]


def retry(
    targets: OneOrMore,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    as_json: Json = False,
) -> None:
    """Try again what was given up or waits, now; sources are not read."""
    from rollbook.cli import provision_output as output
    from rollbook.desk.applying import apply

    async def work(desk: "Desk") -> int:
        async with desk.telling("retry", targets) as told:
            with output.progress() as watch:
                done = await apply(desk, targets, watch, read_sources=False, retry=True)
            told.ended(done)
        output.show_apply(done, as_json=as_json)
        return 1 if done.failed else 0

    run_work(work, config, database, schemas)


def reset(
    targets: OneOrMore,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    accounts: Annotated[
        bool,
        typer.Option("--accounts", help="Nor which accounts they have: for a target that was emptied."),
    ] = False,
) -> None:
    """Believe nothing of what targets hold: the next apply asks for every account. Nothing is sent now.

    With --accounts everybody is looked for anew by the attributes that find them, and made where nobody is found.
    """

    async def work(desk: "Desk") -> int:
        for number in await desk.numbers(targets):
            await desk.links.reset(desk.engine.tenant, number, accounts=accounts)
        await desk.tell("reset", targets, accounts=accounts)
        print(f"{', '.join(targets)}: the next apply compares everybody; see it first with: rollbook plan")
        return 0

    run_work(work, config, database, schemas)


def audit(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Targets; all if none is named.", metavar="TARGET…")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    fix: Annotated[bool, typer.Option("--fix", help="Make right what differs.")] = False,
    as_json: Json = False,
) -> None:
    """Compare every account with what it should be: what somebody changed at the target is found.

    What becomes of it is what drift says of the target: it is reported (rollbook drift), overwritten, or taken over into the hub.
    Exit codes: 0 nothing differs or all is mended, 1 something could not be done, 2 something differs and stays so.
    """
    from rollbook.cli import provision_output as output
    from rollbook.cli.errors import FAILED, PENDING
    from rollbook.desk import audits
    from rollbook.desk.applying import apply
    from rollbook.desk.reports import Planned

    async def work(desk: "Desk") -> int:
        printer = output.plan_printer(as_json=as_json and not fix, sensitive=desk.config.sensitive)
        async with desk.telling("audit", targets or [], fix=fix):
            reports = await audits.audit(desk, targets or [], printer, fix=fix)
        found = Planned(targets=[report.preview for report in reports])
        if as_json and not fix:
            printer.end(found)
        else:
            output.show_audit(reports)
        failed = found.failed or any(report.counts["failed"] for report in reports)
        names = [
            report.target for report in reports if report.counts["overwritten"] or report.counts["taken over"]
        ]
        if names:
            with output.progress() as watch:
                done = await apply(desk, names, watch, read_sources=False, retry=False)
            if fix or not as_json:
                output.show_apply(done, as_json=as_json)
            failed |= done.failed
        left = any(report.counts["left"] for report in reports)
        return FAILED if failed else PENDING if left else 0

    run_work(work, config, database, schemas)


def drift(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Targets; all if none is named.", metavar="TARGET…")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """List what audits have found different at targets and left as it is. Asks the hub, not the targets.

    Exit codes: 0 nothing, 2 something differs.
    """
    from rollbook.cli import drift_output as output
    from rollbook.cli.errors import PENDING
    from rollbook.desk import audits

    async def work(desk: "Desk") -> int:
        return PENDING if await output.show(audits.drift(desk, targets or []), as_json=as_json) else 0

    run_work(work, config, database, schemas)


def report(
    target: One,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    schemas: Schemas = None,
    values: Annotated[
        bool, typer.Option("--values", help="With the values, which are personal data.")
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """List which attributes of whom a target holds through Rollbook. Asks the hub, not the target."""
    from rollbook.cli import target_report as made

    async def work(desk: "Desk") -> int:
        (wanted,) = desk.targets([target])
        rows = made.rows(desk, wanted, values=values)
        if as_json:
            await made.print_json_lines(rows)
        elif as_csv:
            await made.print_csv(rows, wanted, csv.writer(sys.stdout), desk)
        else:
            await made.print_text(rows, wanted, desk)
        return 0

    run_work(work, config, database, schemas)
