"""What the provisioning commands print: for people with Rich, for scripts as JSON with `--json`."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from rollbook.cli.plan_text import SYMBOLS, difference_rows, mapped_names, moment, printable, shown
from rollbook.cli.provision_work import Applied, Planned, SourceReport
from rollbook.protocol.values import JsonObject
from rollbook.provisioning import model
from rollbook.provisioning.differences import Difference
from rollbook.provisioning.items import Action, Item
from rollbook.provisioning.line import Report, Watch
from rollbook.provisioning.preview import Preview
from rollbook.provisioning.report import PersonChange
from rollbook.provisioning.status import SourceStatus, TargetStatus

_STYLES = {"+": "green", "~": "yellow", "-": "red", "!": "bold red", "=": "dim"}


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = 200  # nobody's screen: tables need not fold
    return console


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)


class TextPlan:
    """Prints a plan as it is made: by source and target, then person, then attribute."""

    def __init__(self) -> None:
        self._console = _console()
        self._changes = 0

    def source(self, source: model.Source) -> None:
        """Begin a source."""
        _line(self._console, f"source {source.name} ({source.type}, {printable(source.path)})", "bold")

    def person(self, change: PersonChange) -> None:
        """One person of a source."""
        self._changes += 1
        action = Action(change.action.value)
        rows = [] if action is Action.CHANGE else [action.value]
        rows += difference_rows(change.differences)
        rows += [f"joins {printable(group)}" for group in change.joins]
        rows += [f"leaves {printable(group)}" for group in change.leaves]
        self._entry(SYMBOLS[action], change.name or change.key, rows)

    def source_end(self, report: SourceReport) -> None:
        """The figures of a source."""
        _source_end(self._console, report, "to ")

    def target(self, target: model.Target) -> None:
        """Begin a target."""
        _line(self._console, "")
        _line(self._console, f"{target.name} ({target.url})", "bold")
        _line(self._console, f"  gets {', '.join(mapped_names(target.users))}; all else is withheld", "dim")
        if self._changes:
            _line(self._console, "  as it would be after the changes of the sources above", "dim")

    def item(self, item: Item) -> None:
        """One person or group of a target."""
        rows = []
        if item.action not in {Action.CHANGE, Action.COMPLETE, Action.PARK, Action.WAIT}:
            rows.append(f"{item.action.value}  {item.reason}" if item.reason else item.action.value)
        if item.failure is not None:
            rows.append(f"refused: {printable(item.failure)}")
        if item.hint is not None:
            rows.append(f"try: {printable(item.hint)}")
        rows += difference_rows(item.differences)
        if item.added or item.removed:
            rows.append(f"members  +{item.added} -{item.removed}")
        self._entry(SYMBOLS[item.action], item.label, rows)

    def end(self, planned: Planned) -> None:
        """The last lines."""
        for preview in planned.targets:
            if preview.stopped:
                _line(self._console, f"{preview.target}: {printable(preview.stopped)}", "bold red")
                _line(self._console, f"  try: {preview.hint}" if preview.hint else "")
        _line(self._console, "")
        _line(self._console, plan_line(planned.targets), "bold")

    def _entry(self, symbol: str, label: str, rows: Sequence[str]) -> None:
        first, *others = rows or [""]
        _line(self._console, f"  {symbol} {printable(label):<24} {first}", _STYLES[symbol])
        for row in others:
            _line(self._console, f"    {'':<24} {row}")


class JsonPlan:
    """Gathers a plan and prints it as one JSON object."""

    def __init__(self) -> None:
        self._people: list[JsonObject] = []
        self._items: list[JsonObject] = []
        self._sources: dict[str, list[JsonObject]] = {}
        self._targets: dict[str, list[JsonObject]] = {}

    def source(self, source: model.Source) -> None:
        """Begin a source."""
        self._people = self._sources[source.name] = []

    def person(self, change: PersonChange) -> None:
        """One person of a source."""
        self._people.append(
            {
                "key": change.key,
                "name": change.name,
                "action": change.action.value,
                "differences": _differences(change.differences),
                "joins": list(change.joins),
                "leaves": list(change.leaves),
            }
        )

    def source_end(self, report: SourceReport) -> None:
        """The figures are printed with all others."""

    def target(self, target: model.Target) -> None:
        """Begin a target."""
        self._items = self._targets[target.name] = []

    def item(self, item: Item) -> None:
        """One person or group of a target."""
        self._items.append(_item(item))

    def end(self, planned: Planned) -> None:
        """Print."""
        sources = [
            {**_source(report), "changes": self._sources.get(report.source, [])} for report in planned.sources
        ]
        targets = [
            {
                "target": preview.target,
                "stopped": preview.stopped,
                "hint": preview.hint,
                "counts": dict(preview.counts),
                "items": self._targets.get(preview.target, []),
            }
            for preview in planned.targets
        ]
        _print_json({"pending": planned.pending, "sources": sources, "targets": targets})


def plan_printer(*, as_json: bool) -> "TextPlan | JsonPlan":
    """Who prints a plan."""
    return JsonPlan() if as_json else TextPlan()


def plan_line(previews: Sequence[Preview]) -> str:
    """The sum of a plan over its targets."""
    counts = {action: sum(preview.counts[action] for preview in previews) for action in Action}
    changes = counts[Action.CHANGE] + counts[Action.COMPLETE]
    return (
        f"Plan: {counts[Action.CREATE]} to create, {changes} to change, {counts[Action.DISABLE]} to disable,"
        f" {counts[Action.DELETE]} to delete, {counts[Action.PARK]} refused."
    )


def show_pull(reports: Sequence[SourceReport], *, as_json: bool) -> None:
    """What pulls did."""
    if as_json:
        _print_json({"sources": [_source(report) for report in reports]})
        return
    console = _console()
    for report in reports:
        _source_end(console, report)


def show_apply(done: Applied, *, as_json: bool) -> None:
    """What an apply did: sources, targets, then everything that could not be done."""
    if as_json:
        _print_json(
            {
                "sources": [_source(report) for report in done.sources],
                "targets": [_report(report) for report in done.targets],
                "writes": sum(report.writes for report in done.targets),
            }
        )
        return
    console = _console()
    for source in done.sources:
        _source_end(console, source)
    console.print(_apply_table(done.targets))
    for report in done.targets:
        _failures(console, report)


def show_status(sources: Sequence[SourceStatus], targets: Sequence[TargetStatus], *, as_json: bool) -> None:
    """How sources and targets stand."""
    if as_json:
        _print_json(
            {"sources": [asdict(item) for item in sources], "targets": [asdict(item) for item in targets]}
        )
        return
    console = _console()
    for source in sources:
        run = source.last_run
        told = f"last pulled {moment(run.started)}" if run else "never pulled: rollbook pull"
        _line(
            console,
            f"source {source.source}: {told}" + (f"; failed: {run.error}" if run and run.error else ""),
        )
    console.print(_status_table(targets))
    for target in targets:
        for link in target.problems:
            _line(console, f"! {target.target}  {printable(link.label)}  {printable(link.reason)}", "red")
            _line(console, f"  try: {link.hint}" if link.hint else "")
        if target.paused_until is not None:
            _line(
                console,
                f"{target.target} is left alone until {moment(target.paused_until)}: {target.paused_because}",
            )


@contextmanager
def progress() -> Iterator[Watch]:
    """Bars on stderr while a run lasts, if somebody is looking at it."""
    console = _console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:.0f}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        tasks: dict[str, Any] = {}

        def watch(item: Item) -> None:
            if item.target not in tasks:
                tasks[item.target] = bars.add_task(item.target, total=None)
            bars.advance(tasks[item.target])

        yield watch


def _source_end(console: Console, source: SourceReport, tense: str = "") -> None:
    report = source.report
    if report is None:
        _line(console, f"source {source.source}: {printable(source.error or '')}", "bold red")
        return
    words = (
        ("create", "change", "disable", "delete") if tense else ("created", "changed", "disabled", "deleted")
    )
    counts = (report.created, report.changed, report.disabled, report.deleted)
    told = ", ".join(f"{count} {tense}{word}" for word, count in zip(words, counts, strict=True))
    _line(console, f"source {source.source}: {report.rows} rows, {told}, {report.unchanged} unchanged")
    for problem in report.problems:
        place = f"line {problem.line}: " if problem.line is not None else ""
        whose = f"record {printable(problem.person)}: " if problem.person else ""
        mark, style = ("?", "yellow") if problem.warning else ("!", "red")
        _line(console, f"  {mark} {place}{whose}{printable(problem.reason)}", style)
    if report.unlisted:
        _line(console, f"  ! and {report.unlisted} more", "red")


def _apply_table(reports: Sequence[Report]) -> Table:
    table = Table(
        "target", "created", "changed", "disabled", "deleted", "members", "waiting", "parked", "time"
    )
    for report in reports:
        counts = report.counts
        table.add_row(
            report.target,
            str(counts[Action.CREATE]),
            str(counts[Action.CHANGE]),
            str(counts[Action.DISABLE]),
            str(counts[Action.DELETE]),
            f"+{counts['members added']} -{counts['members removed']}",
            str(counts[Action.WAIT]),
            str(counts[Action.PARK]),
            f"{report.seconds:.1f} s",
        )
    return table


def _status_table(targets: Sequence[TargetStatus]) -> Table:
    table = Table(
        "target", "in step", "left", "to do", "waiting", "parked", "log behind", "last run", box=None
    )
    for target in targets:
        run = target.last_run
        figures = (target.done, target.left, target.ready, target.waiting, target.parked, target.behind)
        table.add_row(target.target, *map(str, figures), moment(run.started) if run else "never")
    return table


def _failures(console: Console, report: Report) -> None:
    if report.stopped:
        _line(console, f"! {report.target} stopped early: {printable(report.stopped)}", "bold red")
        _line(console, f"  try: {report.hint}" if report.hint else "")
    if report.held:
        _line(
            console,
            f"! {report.target}: another run has {report.held} in its hands; see: rollbook status",
            "red",
        )
    for item in report.failures:
        again = " (tried again later)" if item.action is Action.WAIT else ""
        _line(console, f"! {report.target}  {item.resource_type} {printable(item.label)}{again}", "red")
        _line(console, f"  {printable(item.failure or '')}")
        _line(console, f"  try: {item.hint}" if item.hint else "")


def _differences(differences: Sequence[Difference]) -> list[JsonObject]:
    return [
        {"attribute": item.attribute, "old": shown(item, item.old), "new": shown(item, item.new)}
        for item in differences
    ]


def _item(item: Item) -> JsonObject:
    return {**asdict(item), "action": item.action.value, "differences": _differences(item.differences)}


def _source(source: SourceReport) -> JsonObject:
    found: JsonObject = {"source": source.source, "error": source.error, "seconds": source.seconds}
    if source.report is not None:
        report = source.report
        names = ("rows", "created", "changed", "unchanged", "disabled", "deleted", "kept", "held", "unlisted")
        found |= {name: getattr(report, name) for name in names}
        found["problems"] = [asdict(problem) for problem in report.problems]
    return found


def _report(report: Report) -> JsonObject:
    return {
        "target": report.target,
        "counts": {str(name): count for name, count in report.counts.items()},
        "writes": report.writes,
        "seconds": report.seconds,
        "held": report.held,
        "stopped": report.stopped,
        "hint": report.hint,
        "failures": [_item(item) for item in report.failures],
    }


def _print_json(value: JsonObject) -> None:
    json.dump(value, sys.stdout, ensure_ascii=False, indent=2)
    sys.stdout.write("\n")
