"""What `rollbook runs` and `rollbook undo` print."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from rollbook.cli.people_output import delivered_json
from rollbook.cli.plan_text import moment, printable
from rollbook.cli.provision_json import print_json
from rollbook.cli.provision_output import console_of, line_on
from rollbook.provisioning.undo import Back, UndoPlan
from rollbook.settings import SettingsError
from rollbook.storage.runs import Delivered, Run

if TYPE_CHECKING:
    from rollbook.desk.desk import Desk
    from rollbook.desk.reports import Planned

_PAGE = 500
_TOLD = 50

_WORDS = {
    Back.RESTORE: "~ becomes what it was",
    Back.REVIVE: "+ comes back",
    Back.REMOVE: "- goes again: the run made it",
}


def show_runs(found: Sequence[Run], *, as_json: bool) -> None:
    """The latest runs."""
    if as_json:
        print_json({"runs": [asdict(run) for run in found]})
        return
    table = Table("run", "of", "what", "at", "began", "took", "did", box=None)
    for run in found:
        took = "–" if run.ended is None else f"{(run.ended - run.started) / 1000:.1f} s"
        did = ", ".join(f"{count} {name}" for name, count in run.counts.items() if count) or "nothing"
        table.add_row(
            str(run.number),
            str(run.batch or run.number),
            run.kind,
            run.subject,
            moment(run.started),
            took,
            printable(run.error or did),
        )
    console_of().print(table)


async def show_run(desk: "Desk", number: int, *, as_json: bool) -> None:
    """What a run did at targets, with all that belongs to it.

    Raises:
        SettingsError: there is no such run.
    """
    links, tenant = desk.links, desk.engine.tenant
    batch = await links.batch(tenant, number)
    if not batch:
        raise SettingsError(f"there is no run {number}; see rollbook runs")
    out, rows = console_of(), []
    for run in batch:
        if not as_json:
            line_on(out, f"run {run.number}: {run.kind} {run.subject}, {moment(run.started)}", "bold")
        after: Delivered | None = None
        while page := await links.delivered(tenant, run.number, after, _PAGE):
            after = page[-1]
            for one in page:
                if as_json:
                    rows.append(delivered_json(one))
                else:
                    _show_delivered(out, one)
    if as_json:
        print_json({"runs": [asdict(run) for run in batch], "deliveries": rows})


def _show_delivered(out: Console, one: Delivered) -> None:
    label = printable(str(one.detail.get("label", one.id)))
    line_on(out, f"  {one.resource_type} {label}: {one.action}")
    for change in one.detail.get("changes", ()):
        name = str(change["attribute"]).rpartition(":")[2]
        line_on(out, f"      {name:<20} {_value(change['old'])} → {_value(change['new'])}")
    if "failure" in one.detail:
        line_on(out, f"      {printable(str(one.detail['failure']))}", "red")


def show_undo(plan: UndoPlan, done: Sequence[Run]) -> None:
    """What an undo means for the hub."""
    out = console_of()
    told = ", ".join(f"{run.kind} {run.subject}" for run in done)
    line_on(out, f"run {plan.number} of {moment(done[0].started)}: {told}", "bold")
    line_on(out, "in the hub" if plan.steps else "in the hub: nothing")
    for step in plan.steps[:_TOLD]:
        line_on(out, f"  {_WORDS[step.way][0]} {printable(step.label):<32} {_WORDS[step.way][2:]}")
    if len(plan.steps) > _TOLD:
        line_on(out, f"  and {len(plan.steps) - _TOLD} more")


async def show_what_stays(desk: "Desk", plan: UndoPlan, done: Sequence[Run], planned: "Planned") -> None:
    """What cannot be taken back, and why."""
    out = console_of()
    for kept in plan.kept[:_TOLD]:
        line_on(out, f"stays: {printable(kept.label)}: {kept.reason}", "yellow")
    if len(plan.kept) > _TOLD:
        line_on(out, f"stays: {len(plan.kept) - _TOLD} more", "yellow")
    known = set(desk.config.targets)
    at_targets = [run for run in done if run.kind == "apply" and any(run.counts.values())]
    for run in at_targets:
        if run.subject not in known:
            line_on(out, f"stays: {run.subject} is not in the configuration any more", "yellow")
    if at_targets and not plan.steps and not planned.pending:
        line_on(
            out,
            "what it did at targets followed rollbook.yaml, or changes in the hub that it did not make: take those back"
            " (the file, rollbook restore), and the next apply makes the targets follow",
            "yellow",
        )


def _value(value: object) -> str:
    return "(none)" if value is None else printable(str(value))
