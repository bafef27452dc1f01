"""How the history of a resource is told: rows of a table or of JSON. No password is in any of it (T-32)."""

import json
from typing import TYPE_CHECKING, Any

import typer

from rollbook.cli.history_subject import Subject

if TYPE_CHECKING:
    from rollbook.storage.base import LogEntry
    from rollbook.storage.sql.history import Version
    from rollbook.storage.sql.restore import Lost

TOLD = 10
"""Names that are told of a long list."""

_LOST = (
    ("members", "members are gone"),
    ("references", "references lead to what is gone"),
    ("attributes", "attributes are not defined any more"),
)


async def row_of(found: Subject, entry: "LogEntry", *, values: bool) -> dict[str, Any]:
    """What is told of one version; with old and new values if they are wanted."""
    from rollbook.protocol.compare import render_date_time
    from rollbook.storage.sql.log import version_number

    named = entry.detail.get("members", {})
    row: dict[str, Any] = {
        "version": version_number(entry.version),
        "when": render_date_time(entry.at),
        "who": entry.author,
        "operation": "erase" if entry.detail.get("erased") else entry.operation,
        "attributes": entry.detail.get("attributes", []),
        "membersAdded": len(named.get("add", ())),
        "membersRemoved": len(named.get("remove", ())),
    }
    if values and entry.operation == "update" and row["attributes"]:
        row["changes"] = await _changes(found, entry)
    return row


async def _changes(found: Subject, entry: "LogEntry") -> dict[str, Any]:
    """Attribute → old and new value; none where one of both is forgotten."""
    earlier = await found.archive.versions(found.id, entry.sequence, 1)
    former = (await found.archive.at(earlier[0])).document if earlier else None
    latter = (await found.archive.at(entry)).document
    return {} if former is None or latter is None else _changed(found, former, latter)


async def difference(found: Subject, wanted: "Version") -> dict[str, Any]:
    """Attribute → what it is and what it would be; members by number."""
    latest = (await found.archive.versions(found.id, limit=1))[0]
    present = await found.archive.at(latest)
    changes = _changed(found, present.document, wanted.document)
    come, gone = set(wanted.members) - set(present.members), set(present.members) - set(wanted.members)
    if come or gone:
        changes[str(found.kind.memberships)] = {"added": len(come), "removed": len(gone)}
    return changes


def _changed(found: Subject, before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    from rollbook.storage.documents import changed_attributes

    old, new = _open(found, before), _open(found, after)
    return {name: {"from": _at(old, name), "to": _at(new, name)} for name in changed_attributes(old, new)}


def _open(found: Subject, document: dict[str, Any] | None) -> dict[str, Any]:
    """A document without its password and whatever else is never returned."""
    from rollbook.protocol.projection import DEFAULT, project

    kind = found.kind
    shown = project(document or {}, kind, DEFAULT, frozenset(path.text for path in kind.paths()))
    return {name: value for name, value in shown.items() if name != kind.secret}


def _at(document: dict[str, Any], name: str) -> Any:
    urn, colon, local = name.rpartition(":")
    return document.get(urn, {}).get(local) if colon else document.get(name)


def whole(found: Subject, version: "Version") -> dict[str, Any]:
    """The resource as it was at a version."""
    if version.document is None:
        return {"id": found.id, "deleted": True}
    shown = {"id": found.id, **_open(found, version.document)}
    if found.kind.memberships:
        shown[found.kind.memberships] = [{"value": member} for member in version.members]
    return shown


def text_of(changes: dict[str, Any]) -> list[str]:
    """A line for each attribute."""
    lines = []
    for name, change in changes.items():
        if "added" in change:
            lines.append(f"{name}: {change['added']} come, {change['removed']} go")
        else:
            lines.append(f"{name}: {_short(change['from'])} → {_short(change['to'])}")
    return lines


def _short(value: Any) -> str:
    return "–" if value is None else json.dumps(value, ensure_ascii=False)


def print_versions(rows: list[dict[str, Any]]) -> None:
    """A table of versions."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table("version", "when", "who", "what", Column("changed", overflow="fold"))
    for row in rows:
        changed = "\n".join(_parts(row)) or "–"
        table.add_row(
            str(row["version"]), row["when"], escape(row["who"]), row["operation"], escape(changed)
        )  # fmt: skip
    Console().print(table if rows else "nothing is known any more")


def _parts(row: dict[str, Any]) -> list[str]:
    names = [", ".join(row["attributes"])] if row["attributes"] else []
    if row["membersAdded"] or row["membersRemoved"]:
        names.append(f"members +{row['membersAdded']} −{row['membersRemoved']}")
    return names + text_of(row.get("changes", {}))


def print_deleted(rows: list[dict[str, Any]]) -> None:
    """A table of resources that were deleted."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table(Column("id", no_wrap=True), "name", "last version", "when", "who")
    for row in rows:
        table.add_row(*(escape(str(value or "–")) for value in row.values()))
    Console().print(table if rows else "nobody was deleted of whom anything is kept")


def print_lost(lost: "Lost") -> None:
    """Say what did not come back, on stderr."""
    for field, reason in _LOST:
        names = getattr(lost, field)
        if names:
            told = ", ".join(names[:TOLD]) + (" …" if len(names) > TOLD else "")
            typer.echo(f"not brought back, since these {reason}: {told}", err=True)
