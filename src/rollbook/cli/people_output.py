"""What the commands about one person print."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from rich.console import Console

from rollbook.cli.plan_text import SYMBOLS, difference_rows, moment, printable
from rollbook.cli.provision_json import item_json, print_json
from rollbook.cli.provision_output import console_of, line_on
from rollbook.client import Call
from rollbook.desk.people import Explanation, SourceView, Trial
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning.explain import RuleResult, TargetView
from rollbook.provisioning.items import Action, Item
from rollbook.provisioning.masking import masked
from rollbook.provisioning.model import Apply, Clear
from rollbook.storage.links import State
from rollbook.storage.runs import Delivered

_WIDE = 26
_LONGEST = 160

_STATES = {
    State.READY: "to be looked at",
    State.CLAIMED: "under way",
    State.DONE: "in step",
    State.LEFT: "has left",
    State.PARKED: "given up until something changes",
}


def show_explanation(found: Explanation, *, as_json: bool) -> None:
    """Why somebody is where they are."""
    if as_json:
        print_json(_explanation_json(found))
        return
    out = console_of()
    gone = " (deleted in the hub)" if found.is_deleted else ""
    line_on(out, f"{found.resource_type} {printable(found.label)}{gone}", "bold")
    line_on(out, f"  id {found.id}", "dim")
    for view in found.sources:
        line_on(out, _source_line(view))
    for one in found.given:
        giver = "(nobody)" if one.source is None else one.source
        line_on(out, f"  {printable(one.attribute):<{_WIDE}} {giver}  ({printable(one.why)})", "dim")
    if not found.sources:
        line_on(out, "no source feeds it: it came over SCIM, or by an import")
    for target in found.targets:
        _show_target(out, target)


def show_rules(
    sources: Sequence[SourceView],
    targets: Mapping[str, tuple[JsonObject, tuple[RuleResult, ...]]],
    sensitive: Collection[str],
    *,
    as_json: bool,
) -> None:
    """Input, rules and results."""
    if as_json:
        print_json(
            {
                "sources": [asdict(view) for view in sources],
                "targets": {
                    name: {"input": masked(document, sensitive), "rules": [asdict(rule) for rule in rules]}
                    for name, (document, rules) in targets.items()
                },
            }
        )
        return
    out = console_of()
    for view in sources:
        line_on(out, _source_line(view), "bold")
        if view.error:
            line_on(out, f"  {printable(view.error)}", "red")
        for name, value in (view.record or {}).items():
            line_on(out, f"  {printable(name):<{_WIDE}} {_text(value)}", "dim")
        _show_rules(out, view.rules)
    for name, (document, rules) in targets.items():
        line_on(out, f"target {name}", "bold")
        line_on(out, "  from the hub's", "dim")
        for attribute, value in masked(document, sensitive).items():
            line_on(out, f"  {printable(attribute):<{_WIDE}} {_text(value)}", "dim")
        _show_rules(out, rules)


def show_trial(trial: Trial, *, as_json: bool) -> None:
    """What was done for one person, step by step."""
    if as_json:
        print_json(
            {
                "source": None if trial.source is None else trial.source.source,
                **_explanation_json(trial.explanation),
                "items": {name: [item_json(one) for one in items] for name, items in trial.items.items()},
                "calls": {name: [asdict(one) for one in calls] for name, calls in trial.calls.items()},
                "stopped": {one.target: one.stopped for one in trial.reports if one.stopped},
            }
        )
        return
    out = console_of()
    found = trial.explanation
    line_on(out, f"{found.resource_type} {printable(found.label)}", "bold")
    if trial.source is not None:
        told = trial.source.error or "read"
        line_on(out, f"1. source {trial.source.source}: {printable(told)}")
        for problem in trial.source.report.problems if trial.source.report else ():
            line_on(out, f"   ! {printable(problem.reason)}", "red")
    stopped = {report.target: report for report in trial.reports if report.stopped}
    for target in found.targets:
        line_on(out, "")
        line_on(out, target.target, "bold")
        line_on(out, f"  scope    {_scope_words(target)}")
        _show_calls(out, trial.calls.get(target.target, ()))
        for item in trial.items.get(target.target, ()):
            _show_item(out, item)
        report = stopped.get(target.target)
        if report is not None:
            line_on(out, f"  ! {printable(report.stopped or '')}", "red")
            line_on(out, f"    try: {report.hint}" if report.hint else "")


def _show_target(out: Console, view: TargetView) -> None:
    line_on(out, "")
    line_on(out, f"{view.target}", "bold")
    line_on(out, f"  scope    {_scope_words(view)}")
    for term in view.scope:
        line_on(
            out,
            f"           {'✓' if term.holds else '✗'} {printable(term.text)}",
            "" if term.holds else "red",
        )
    line_on(out, f"  account  {_account_words(view)}")
    if view.flat_members is not None:
        line_on(out, f"  members  {view.flat_members} people, those in groups of this group too (flattened)")
    if view.link is not None and view.link.error:
        reason, _, advice = view.link.error.partition("\n")
        line_on(out, f"  failed   {printable(reason)}", "red")
        if advice:
            line_on(out, f"           try: {advice}")
    if view.stopped:
        line_on(out, f"  paused   {printable(view.stopped)}", "red")
    elif view.paused_until:
        because = f": {printable(view.paused_because)}" if view.paused_because else ""
        line_on(out, f"  paused   until {moment(view.paused_until)}{because}")
    _show_rules(out, view.rules)
    for one in view.deliveries:
        line_on(out, f"  {moment(one.at)}  run {one.run}  {_delivered_words(one)}", "dim")


def _show_rules(out: Console, rules: Iterable[RuleResult]) -> None:
    for rule in rules:
        if rule.error:
            line_on(out, f"  {rule.attribute:<{_WIDE}} failed: {printable(rule.error)}", "red")
        else:
            value = "(no value)" if rule.value is None else _text(rule.value)
            line_on(out, f"  {rule.attribute:<{_WIDE}} {value}")
        line_on(out, f"  {'':<{_WIDE}} {printable(rule.rule)}{_how(rule)}", "dim")


def _how(rule: RuleResult) -> str:
    """What beside the rule itself decided, and how its value is kept up."""
    words = [] if rule.when is None else [f"when is {'true' if rule.when else 'false'}"]
    words += ["the default is taken"] if rule.defaulted else []
    words += [] if rule.apply is Apply.ALWAYS else [f"apply: {rule.apply}"]
    words += [] if rule.clear is Clear.REMOVE else [f"clear: {rule.clear}"]
    return f"  ({', '.join(words)})" if words else ""


def _show_calls(out: Console, calls: Iterable[Call]) -> None:
    for call in calls:
        answer = "no answer" if call.status is None else str(call.status)
        line_on(
            out, f"  call     {call.method:<6} {call.path}  →  {answer}  {call.seconds * 1000:.0f} ms", "dim"
        )


def _show_item(out: Console, item: Item) -> None:
    words = (
        "nothing to do"
        if item.action is Action.NOTHING and not any((item.added, item.removed))
        else item.action.value
    )
    because = f", {item.reason}" if item.reason else ""
    line_on(out, f"  {SYMBOLS[item.action]} {printable(item.label)}: {words}{because}")
    for row in difference_rows(item.differences, item.sensitive):
        line_on(out, f"      {row}")
    if item.failure:
        line_on(out, f"      {printable(item.failure)}", "red")
    if item.hint:
        line_on(out, f"      try: {printable(item.hint)}")


def _source_line(view: SourceView) -> str:
    place = f", line {view.line}" if view.line else ""
    gone = f"; gone from the source since {moment(view.missing_since)}" if view.missing_since else ""
    by = f", joined by {printable(view.joined)}" if view.joined else ""
    return f"source {view.source}: record {printable(view.key)}{place}{by}{gone}"


def _scope_words(view: TargetView) -> str:
    if view.left is None:
        return "in scope" if view.scope else "in scope: everybody is"
    return f"has no business there: {view.left}"


def _account_words(view: TargetView) -> str:
    link = view.link
    if link is None:
        return "none, and nothing was done yet"
    state = _STATES[link.state]
    if link.remote_id is None:
        return f"none; {state}"
    off = ", switched off by us" if link.disabled else ""
    spared = f", will be deleted {moment(view.deleted_at)}" if view.deleted_at is not None else ""
    return f"{printable(link.remote_id)}{off}; {state}{spared}"


def _delivered_words(one: Delivered) -> str:
    changes = one.detail.get("changes", [])
    names = ", ".join(str(change["attribute"]).rpartition(":")[2] for change in changes)
    failed = f": {printable(str(one.detail['failure']))}" if "failure" in one.detail else ""
    return f"{one.action} {names}".rstrip() + failed


def _text(value: JsonValue) -> str:
    text = printable(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _explanation_json(found: Explanation) -> JsonObject:
    return {
        "type": found.resource_type,
        "id": found.id,
        "label": found.label,
        "deleted": found.is_deleted,
        "sources": [asdict(view) for view in found.sources],
        "given": [one._asdict() for one in found.given],
        "targets": [_view_json(view) for view in found.targets],
    }


def _view_json(view: TargetView) -> JsonObject:
    link = view.link
    return {
        "target": view.target,
        "inScope": view.left is None,
        "left": view.left,
        "scope": [asdict(term) for term in view.scope],
        "account": None if link is None else link.remote_id,
        "state": None if link is None else link.state.value,
        "deletedAt": _timestamp(view.deleted_at),
        "error": None if link is None else link.error,
        "stopped": view.stopped,
        "pausedUntil": _timestamp(view.paused_until),
        "rules": [asdict(rule) for rule in view.rules],
        "deliveries": [delivered_json(one) for one in view.deliveries],
    }


def delivered_json(one: Delivered) -> JsonObject:
    """A delivery as it is kept."""
    return {
        "at": _timestamp(one.at),
        "run": one.run,
        "type": one.resource_type,
        "id": one.id,
        "action": one.action,
        **one.detail,
    }


def _timestamp(milliseconds: int | None) -> str | None:
    """As SCIM writes a dateTime."""
    if milliseconds is None:
        return None
    when = datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    return when.replace("+00:00", "Z")
