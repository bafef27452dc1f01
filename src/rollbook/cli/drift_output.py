"""What `rollbook drift` prints."""

import json
from collections.abc import AsyncIterator

from rich.console import Console

from rollbook.cli.plan_text import moment, printable
from rollbook.cli.provision_output import console_of, line_on
from rollbook.protocol.values import JsonObject
from rollbook.storage.audits import Drifted


async def show(found: AsyncIterator[tuple[str, Drifted]], *, as_json: bool) -> int:
    """Everything that differs, one after another; how many there are."""
    console, number, last = console_of(), 0, ""
    async for target, one in found:
        number += 1
        if as_json:
            print(json.dumps({"target": target, **_json(one)}, ensure_ascii=False))
            continue
        if target != last:
            line_on(console, target, "bold")
            last = target
        _show(console, one)
    if not number and not as_json:
        line_on(console, "no audit has left anything that differs")
    return number


def _json(one: Drifted) -> JsonObject:
    told = {name: value for name, value in one.detail.items() if name != "left"}
    return {"resourceType": one.resource_type, "id": one.id, "since": one.since, **told}


def _show(console: Console, one: Drifted) -> None:
    detail = one.detail
    label = printable(str(detail.get("label", one.id)))
    line_on(console, f"  {one.resource_type} {label}, found {moment(one.since)}")
    if detail.get("gone"):
        line_on(console, "      the account is gone there", "yellow")
        return
    for change in detail.get("changes", ()):
        name = str(change["attribute"]).rpartition(":")[2]
        there, wanted = (_value(change[side]) for side in ("old", "new"))
        line_on(console, f"      {name:<20} {there} there, {wanted} here")
    if detail.get("missing") or detail.get("extra"):
        text = f"{detail.get('missing', 0)} missing, {detail.get('extra', 0)} too many"
        line_on(console, f"      {'members':<20} {text}")
    if detail.get("reason"):
        line_on(console, f"      {printable(str(detail['reason']))}")
    if detail.get("failure"):
        line_on(console, f"      {printable(str(detail['failure']))}", "red")


def _value(value: object) -> str:
    return "(none)" if value is None else printable(json.dumps(value, ensure_ascii=False))
