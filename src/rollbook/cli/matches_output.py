"""What `rollbook matches` prints."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from rollbook.cli.plan_text import moment, printable
from rollbook.cli.provision_json import print_json
from rollbook.cli.provision_output import console_of, line_on
from rollbook.desk.matches import Decided, Waiting
from rollbook.protocol.values import JsonValue


def show_waiting(found: Sequence[Waiting], *, as_json: bool) -> None:
    """Records and the people they may be."""
    if as_json:
        print_json({"matches": [asdict(one) for one in found]})
        return
    out = console_of()
    for one in found:
        where = f"record {printable(one.key)} of {one.source}"
        line_on(out, f"{printable(one.label)}  {where}, since {moment(one.since)}", "bold")
        line_on(out, f"  {printable(one.reason)}")
        for candidate in one.candidates:
            line_on(out, f"  ? {printable(candidate.label)}  {candidate.id}", "yellow")
            if candidate.agree:
                line_on(out, f"      the same: {', '.join(candidate.agree)}")
            for attribute, old, new in candidate.differ:
                line_on(out, f"      {attribute}: {_text(old)} there, {_text(new)} in the record")
        line_on(
            out,
            f"  decide: rollbook matches join {one.source} {printable(one.key)} USER, or new, or ignore",
            "dim",
        )
    if not found:
        line_on(out, "nothing waits for a decision")


def show_decided(decided: Decided) -> None:
    """A decision and what came of it."""
    out = console_of()
    line_on(out, printable(decided.told))
    report = decided.report
    if report is None:
        return
    if report.error:
        line_on(out, f"  {printable(report.error)}; it is done when the source is pulled next", "yellow")
    for problem in report.report.problems if report.report else ():
        line_on(out, f"  ! {printable(problem.reason)}", "red")


def _text(value: JsonValue) -> str:
    return "(no value)" if value is None else printable(json.dumps(value, ensure_ascii=False))
