"""What the provisioning commands print: for people with Rich, for scripts as JSON with `--json`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from rollbook.cli.plan_text import SYMBOLS, difference_rows, mapped_names, moment, printable
from rollbook.cli.provision_json import JsonPlan, print_json, report_json, source_json
from rollbook.desk.reports import Applied, Planned, SourceReport
from rollbook.provisioning import model
from rollbook.provisioning.audit import AuditReport
from rollbook.provisioning.brake import how_to_approve
from rollbook.provisioning.items import Action, Item
from rollbook.provisioning.orders import Report, Watch
from rollbook.provisioning.preview import Preview
from rollbook.provisioning.report import PersonChange
from rollbook.provisioning.status import SourceStatus, TargetStatus

_STYLES = {"+": "green", "~": "yellow", "-": "red", "!": "bold red", "=": "dim"}


def console_of(*, stderr: bool = False) -> Console:
    """Where to print; as wide as it takes if nobody's screen is there."""
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = 200  # nobody's screen: tables need not fold
    return console


def line_on(console: Console, text: str, style: str = "") -> None:
    """Print one line as it is, folded by the screen only."""
    console.print(Text(text, style=style), soft_wrap=True)


class TextPlan:
    """Prints a plan as it is made: by source and target, then person, then attribute."""

    def __init__(self, sensitive: frozenset[str] = frozenset()) -> None:
        self._console = console_of()
        self._changes = 0
        self._sensitive = sensitive

    def source(self, source: model.Source) -> None:
        """Begin a source."""
        line_on(self._console, f"source {source.name} ({source.type}, {printable(source.path)})", "bold")

    def person(self, change: PersonChange) -> None:
        """One person of a source."""
        self._changes += 1
        action = Action(change.action.value)
        rows = [] if action is Action.CHANGE else [action.value]
        rows += difference_rows(change.differences, self._sensitive)
        rows += [f"joins {printable(group)}" for group in change.joins]
        rows += [f"leaves {printable(group)}" for group in change.leaves]
        self._entry(SYMBOLS[action], change.name or change.key, rows)

    def source_end(self, report: SourceReport) -> None:
        """The figures of a source."""
        _source_end(self._console, report, "to ")

    def target(self, target: model.Target) -> None:
        """Begin a target."""
        line_on(self._console, "")
        line_on(self._console, f"{target.name} ({target.url})", "bold")
        line_on(self._console, f"  gets {', '.join(mapped_names(target.users))}; all else is withheld", "dim")
        if self._changes:
            line_on(self._console, "  as it would be after the changes of the sources above", "dim")

    def item(self, item: Item) -> None:
        """One person or group of a target."""
        silent = {Action.CHANGE, Action.COMPLETE, Action.PARK, Action.WAIT, Action.NOTHING}
        words = ("" if item.action in silent else item.action.value, item.reason or "")
        rows = ["  ".join(filter(None, words))] if any(words) else []
        if item.failure is not None:
            rows.append(f"refused: {printable(item.failure)}")
        if item.hint is not None:
            rows.append(f"try: {printable(item.hint)}")
        rows += difference_rows(item.differences, item.sensitive)
        if item.added or item.removed:
            rows.append(f"members  +{item.added} -{item.removed}")
        self._entry(SYMBOLS[item.action], item.label, rows)

    def end(self, planned: Planned) -> None:
        """The last lines."""
        for preview in planned.targets:
            if preview.stopped:
                line_on(self._console, f"{preview.target}: {printable(preview.stopped)}", "bold red")
                line_on(self._console, f"  try: {preview.hint}" if preview.hint else "")
            if preview.held:
                text = f"{preview.target}: {printable(preview.held)}; nothing goes out until: rollbook resume {preview.target}"
                line_on(self._console, text, "bold yellow")
            if preview.vanished:
                line_on(self._console, f"{preview.target}: a run would stop: {preview.vanished}", "bold red")
                text = f"  if they are to be made anew: rollbook reset {preview.target} --accounts; else put the target right"
                line_on(self._console, text)
            for refused in preview.braked:
                line_on(self._console, f"{preview.target}: the brake: {refused.refusal}", "bold red")
            if preview.braked:
                line_on(self._console, f"  if it is right: {how_to_approve(preview.braked)}")
            if preview.seconds is not None and preview.seconds >= _WORTH_TELLING:
                text = f"{preview.target}: about {in_words(preview.seconds)} by its rate limit"
                line_on(self._console, text)
        line_on(self._console, "")
        line_on(self._console, plan_line(planned.targets), "bold")

    def _entry(self, symbol: str, label: str, rows: Sequence[str]) -> None:
        first, *others = rows or [""]
        line_on(self._console, f"  {symbol} {printable(label):<24} {first}", _STYLES[symbol])
        for row in others:
            line_on(self._console, f"    {'':<24} {row}")


_WORTH_TELLING = 10.0
"""Seconds."""


def in_words(seconds: float) -> str:
    """A length of time for people: the two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {left} min"
    return f"{minutes} min" if minutes >= 10 else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def plan_printer(*, as_json: bool, sensitive: frozenset[str] = frozenset()) -> "TextPlan | JsonPlan":
    """Who prints a plan."""
    return JsonPlan(sensitive) if as_json else TextPlan(sensitive)


def plan_line(previews: Sequence[Preview]) -> str:
    """The sum of a plan over its targets."""
    counts = {action: sum(preview.counts[action] for preview in previews) for action in Action}
    changes = counts[Action.CHANGE] + counts[Action.COMPLETE]
    return (
        f"Plan: {counts[Action.CREATE]} to create, {changes} to change, {counts[Action.DISABLE]} to disable,"
        f" {counts[Action.DELETE]} to delete, {counts[Action.PARK]} refused."
    )


def show_audit(reports: Sequence[AuditReport]) -> None:
    """How much was compared, how much of it differs, and what becomes of it."""
    console = console_of()
    for report in reports:
        preview, counts = report.preview, report.counts
        if preview.stopped:
            line_on(console, f"{preview.target}: {printable(preview.stopped)}", "bold red")
            continue
        users, groups = (preview.compared.get(name, 0) for name in ("User", "Group"))
        text = f"{preview.target}: {users} accounts and {groups} groups compared, {counts['differ']} differ"
        line_on(console, text, "bold yellow" if counts["differ"] else "bold")
        for name, words in _BECOMES.items():
            if counts[name]:
                line_on(console, f"  {counts[name]} {words.format(target=preview.target)}")


_BECOMES = {
    "overwritten": "to be made right",
    "taken over": "taken over into the hub",
    "left": "left as they are: rollbook drift {target}",
    "pending": "not compared: they are still to be delivered, or given up",
    "failed": "could not be read",
}


def show_pull(reports: Sequence[SourceReport], *, as_json: bool) -> None:
    """What pulls did."""
    if as_json:
        print_json({"sources": [source_json(report) for report in reports]})
        return
    console = console_of()
    for report in reports:
        _source_end(console, report)


def show_apply(done: Applied, *, as_json: bool) -> None:
    """What an apply did: sources, targets, then everything that could not be done."""
    if as_json:
        print_json(
            {
                "sources": [source_json(report) for report in done.sources],
                "targets": [report_json(report) for report in done.targets],
                "writes": sum(report.writes for report in done.targets),
                "run": done.run,
            }
        )
        return
    console = console_of()
    for source in done.sources:
        _source_end(console, source)
    console.print(_apply_table(done.targets))
    for report in done.targets:
        _failures(console, report)
    if done.run:
        line_on(
            console,
            f"run {done.run}; look at it: rollbook runs {done.run}; take it back: rollbook undo {done.run}",
            "dim",
        )


def show_status(sources: Sequence[SourceStatus], targets: Sequence[TargetStatus], *, as_json: bool) -> None:
    """How sources and targets stand."""
    if as_json:
        print_json(
            {"sources": [asdict(item) for item in sources], "targets": [asdict(item) for item in targets]}
        )
        return
    console = console_of()
    for source in sources:
        run = source.last_run
        told = f"last pulled {moment(run.started)}" if run else "never pulled: rollbook pull"
        line_on(
            console,
            f"source {source.source}: {told}" + (f"; failed: {run.error}" if run and run.error else ""),
        )
        if source.uncertain:
            waits = f"  {source.uncertain} wait for somebody to decide whose they are: rollbook matches"
            line_on(console, waits, "yellow")
    console.print(_status_table(targets))
    for target in targets:
        if target.warning is not None:
            line_on(console, f"{target.target}: {target.warning}", "yellow")
        for link in target.problems:
            line_on(console, f"! {target.target}  {printable(link.label)}  {printable(link.reason)}", "red")
            line_on(console, f"  try: {link.hint}" if link.hint else "")
        if target.paused_until is not None:
            line_on(
                console,
                f"{target.target} is left alone until {moment(target.paused_until)}: {target.paused_because}",
            )


@contextmanager
def progress() -> Iterator[Watch]:
    """Bars on stderr while a run lasts, if somebody is looking at it."""
    console = console_of(stderr=True)
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
        line_on(console, f"source {source.source}: {printable(source.error or '')}", "bold red")
        return
    words = (
        ("create", "change", "disable", "delete") if tense else ("created", "changed", "disabled", "deleted")
    )
    read = "changes read" if report.partial else "rows"
    counts = (report.created, report.changed, report.disabled, report.deleted)
    told = ", ".join(f"{count} {tense}{word}" for word, count in zip(words, counts, strict=True))
    line_on(console, f"source {source.source}: {report.rows} {read}, {told}, {report.unchanged} unchanged")
    if report.unmatched:
        line_on(console, f"  {report.unmatched} records match nobody; this source creates nobody")
    if report.ignored:
        line_on(console, f"  {report.ignored} records are left out, as somebody decided")
    if report.uncertain:
        line_on(console, f"  {report.uncertain} wait for a decision: rollbook matches", "yellow")
    for problem in report.problems:
        place = f"line {problem.line}: " if problem.line is not None else ""
        whose = f"record {printable(problem.person)}: " if problem.person else ""
        mark, style = ("?", "yellow") if problem.warning else ("!", "red")
        line_on(console, f"  {mark} {place}{whose}{printable(problem.reason)}", style)
    if report.unlisted:
        line_on(console, f"  ! and {report.unlisted} more", "red")


def _apply_table(reports: Sequence[Report]) -> Table:
    names = ("target", "created", "changed", "disabled", "deleted", "members", "waiting", "parked", "time")
    table = Table(*names, box=None)
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
        line_on(console, f"! {report.target} stopped early: {printable(report.stopped)}", "bold red")
        line_on(console, f"  try: {report.hint}" if report.hint else "")
    if report.held:
        line_on(
            console,
            f"! {report.target}: another run has {report.held} in its hands; see: rollbook status",
            "red",
        )
    for item in report.failures:
        again = " (tried again later)" if item.action is Action.WAIT else ""
        line_on(console, f"! {report.target}  {item.resource_type} {printable(item.label)}{again}", "red")
        line_on(console, f"  {printable(item.failure or '')}")
        line_on(console, f"  try: {item.hint}" if item.hint else "")
