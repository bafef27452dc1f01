"""`rollbook history`, `restore` and `erase`: what a resource was, brought back, forgotten."""

import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer

if TYPE_CHECKING:
    from rollbook.protocol.schema import ResourceType
    from rollbook.storage.base import LogEntry
    from rollbook.storage.sql.archive import Archive
    from rollbook.storage.sql.history import Version
    from rollbook.storage.sql.store import SqlStore

T = TypeVar("T")

Who = Annotated[
    str,
    typer.Argument(
        help="An id, a userName or an externalId; of another type its id or display name.", metavar="USER"
    ),
]
Database = Annotated[
    str | None, typer.Option(help="The server's database; ROLLBOOK_DATABASE says the same.", metavar="URL")
]
TypeName = Annotated[str, typer.Option("--type", help="Its resource type, if not a user.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Number = Annotated[int, typer.Option("--version", help="The number of the version.", min=1)]


class _Found(NamedTuple):
    store: "SqlStore"
    kind: "ResourceType"
    id: str
    archive: "Archive"


def history(
    who: Who,
    database: Database = None,
    type_name: TypeName = "User",
    limit: Annotated[int, typer.Option(help="Changes to show, newest first.", min=1, max=10_000)] = 20,
    number: Annotated[
        int | None,
        typer.Option("--version", help="Show the whole resource as it was at this version.", min=1),
    ] = None,
    values: Annotated[
        bool, typer.Option("--values", help="Show old and new values, which are personal data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what happened to a user: each version with who, when and what."""

    async def work(found: _Found) -> None:
        if number is not None:
            print(json.dumps(_whole(found, await _version(found, number)), indent=2, ensure_ascii=False))
            return
        rows = [
            await _row(found, entry, values=values)
            for entry in await found.archive.versions(found.id, limit=limit)
        ]
        if as_json:
            print(
                json.dumps(
                    {"type": found.kind.name, "id": found.id, "versions": rows}, indent=2, ensure_ascii=False
                )
            )
        else:
            _show(rows)

    _with(who, database, type_name, work)


def restore(
    who: Who,
    number: Number,
    database: Database = None,
    type_name: TypeName = "User",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring an earlier version back, as a new change. Who was deleted gets the same id again.

    The password stays as it is now.
    """

    async def work(found: _Found) -> None:
        from rollbook.app import now
        from rollbook.protocol.errors import NotFound
        from rollbook.storage.base import USUAL, Author

        wanted = await _version(found, number)
        if wanted.document is None:
            raise NotFound(
                f"{found.kind.name} {found.id} was deleted at version {number}; choose an earlier one"
            )
        changes = await _difference(found, wanted)
        lost: list[str] = []
        if not dry_run:
            lost = await found.archive.restore(found.kind, wanted, Author("rollbook restore", now()), USUAL)
        if as_json:
            print(
                json.dumps(
                    {
                        "id": found.id,
                        "version": number,
                        "changes": changes,
                        "missing": lost,
                        "dryRun": dry_run,
                    },
                    ensure_ascii=False,
                )
            )
            return
        for line in _lines(changes) or ["nothing differs"]:
            print(line)
        if lost:
            typer.echo(
                f"not brought back, since they are gone: {', '.join(lost[:10])}{' …' if len(lost) > 10 else ''}",
                err=True,
            )
        print(
            "nothing was changed"
            if dry_run
            else f"{found.kind.name} {found.id} is again what it was at version {number}"
        )

    _with(who, database, type_name, work)


def erase(
    who: Who,
    database: Database = None,
    type_name: TypeName = "User",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a person for good: with all that was kept of them. It cannot be undone.

    The log keeps that a resource of this id was erased, by whom and when. Backups are not touched.
    """

    async def work(found: _Found) -> None:
        from rollbook.app import now
        from rollbook.storage.base import USUAL, Author

        if not yes:
            if not sys.stdin.isatty():
                raise _settings_error("erasing cannot be undone; say --yes")
            typer.confirm(f"Erase {found.kind.name} {found.id}, and everything it ever was?", abort=True)
        number = await found.archive.erase(found.kind, found.id, Author("rollbook erase", now()), USUAL)
        if as_json:
            print(json.dumps({"id": found.id, "formerVersions": number}))
        else:
            print(f"{found.kind.name} {found.id} is erased, with {number} former versions")
            print("run rollbook database vacuum to overwrite what is left in free space of the file")

    _with(who, database, type_name, work)


def _with(who: str, database: str | None, type_name: str, work: Callable[[_Found], Awaitable[None]]) -> None:
    import asyncio

    from rollbook.app import opened, prepare_store
    from rollbook.operations.context import DEFAULT_TENANT
    from rollbook.settings import Settings, choose_database
    from rollbook.storage.sql.archive import Archive

    async def go() -> None:
        url, origin = choose_database(database, os.environ)
        settings = Settings(database=url, database_origin=origin)
        store = prepare_store(settings)
        if store.database.is_new:
            raise _settings_error(f"there is no database {store.database.name}; name it with --database")
        async with opened(settings, store):
            kind = store.catalog.resource_type(type_name)
            if kind is None:
                known = ", ".join(kind.name for kind in store.catalog.resource_types)
                raise _settings_error(f"--type {type_name}: there are {known}")
            archive = Archive(store, DEFAULT_TENANT)
            await work(_Found(store, kind, await _id(store, kind, archive, who), archive))

    asyncio.run(go())


async def _id(store: "SqlStore", kind: "ResourceType", archive: "Archive", who: str) -> str:
    """The id that is meant: of a resource that is there or was, else of the one with that name."""
    from rollbook.operations.context import DEFAULT_TENANT
    from rollbook.protocol.errors import NotFound
    from rollbook.protocol.filter_parser import parse_filter
    from rollbook.protocol.query import Page, Query
    from rollbook.protocol.quirks import Leniency
    from rollbook.protocol.resolve import resolve

    if await archive.versions(who, limit=1):
        return who
    for name in ("userName", "externalId", "displayName"):
        if kind.find(name) is None or (name == "displayName" and kind.find("userName")):
            continue
        leniency = Leniency()
        condition = resolve(parse_filter(f"{name} eq {json.dumps(who)}", leniency), kind, leniency)
        found = await store.search(
            DEFAULT_TENANT, Query(kind, condition, Page(1, 2)), members=False, groups=False
        )
        if len(found.records) > 1:
            ids = ", ".join(record.id for record in found.records)
            raise _settings_error(
                f"{found.total} resources have {name} {who}, {ids} among them; name one by its id"
            )
        if found.records:
            typer.echo(f"{kind.name} {found.records[0].id}, by its {name}", err=True)
            return found.records[0].id
    raise NotFound(
        f"there is no {kind.name} {who}, and none is known that was; deleted ones are found by their id"
    )


async def _version(found: _Found, number: int) -> "Version":
    from rollbook.protocol.errors import NotFound

    version = await found.archive.version(found.id, number)
    if version is None:
        raise NotFound(
            f"{found.kind.name} {found.id} has no version {number}, or it was forgotten; see rollbook history {found.id}"
        )
    return version


async def _row(found: _Found, entry: "LogEntry", *, values: bool) -> dict[str, Any]:
    from rollbook.protocol.compare import render_date_time

    named = entry.detail.get("members", {})
    row: dict[str, Any] = {
        "version": int(entry.version.rpartition("-")[2].rstrip('"')),
        "when": render_date_time(entry.at),
        "who": entry.author,
        "operation": "erase" if entry.detail.get("erased") else entry.operation,
        "attributes": entry.detail.get("attributes", []),
        "membersAdded": len(named.get("add", ())),
        "membersRemoved": len(named.get("remove", ())),
    }
    if values and entry.operation == "update" and row["attributes"]:
        after = await found.archive.at(entry)
        former = await _before(found, entry)
        row["changes"] = _changed(found, former.document if former else None, after.document)
    return row


async def _before(found: _Found, entry: "LogEntry") -> "Version | None":
    earlier = await found.archive.versions(found.id, entry.sequence, 1)
    return await found.archive.at(earlier[0]) if earlier else None


async def _difference(found: _Found, wanted: "Version") -> dict[str, Any]:
    """Attribute → what it is and what it would be; members by number."""
    latest = (await found.archive.versions(found.id, limit=1))[0]
    present = await found.archive.at(latest)
    changes = _changed(found, present.document, wanted.document)
    come, gone = set(wanted.members) - set(present.members), set(present.members) - set(wanted.members)
    if come or gone:
        changes[str(found.kind.memberships)] = {"added": len(come), "removed": len(gone)}
    return changes


def _changed(found: _Found, before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    from rollbook.storage.documents import changed_attributes

    old, new = _open(found, before), _open(found, after)
    return {name: {"from": _at(old, name), "to": _at(new, name)} for name in changed_attributes(old, new)}


def _open(found: _Found, document: dict[str, Any] | None) -> dict[str, Any]:
    """A document without its password."""
    return {name: value for name, value in (document or {}).items() if name != found.kind.secret}


def _at(document: dict[str, Any], name: str) -> Any:
    urn, colon, local = name.rpartition(":")
    return document.get(urn, {}).get(local) if colon else document.get(name)


def _whole(found: _Found, version: "Version") -> dict[str, Any]:
    whole = {"id": found.id, **_open(found, version.document)}
    if found.kind.memberships and version.document is not None:
        whole[found.kind.memberships] = [{"value": member} for member in version.members]
    return whole if version.document is not None else {"id": found.id, "deleted": True}


def _lines(changes: dict[str, Any]) -> list[str]:
    lines = []
    for name, change in changes.items():
        if "added" in change:
            lines.append(f"{name}: {change['added']} come, {change['removed']} go")
        else:
            lines.append(f"{name}: {_short(change['from'])} → {_short(change['to'])}")
    return lines


def _short(value: Any) -> str:
    return "–" if value is None else json.dumps(value, ensure_ascii=False)


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table("version", "when", "who", "what", Column("changed", overflow="fold"))
    for row in rows:
        parts = [", ".join(row["attributes"])] if row["attributes"] else []
        parts += (
            [f"members +{row['membersAdded']} −{row['membersRemoved']}"]
            if row["membersAdded"] or row["membersRemoved"]
            else []
        )
        parts += _lines(row.get("changes", {}))
        table.add_row(
            str(row["version"]),
            row["when"],
            escape(row["who"]),
            row["operation"],
            escape("\n".join(parts)) or "–",
        )
    Console().print(table if rows else "nothing is known any more")


def _settings_error(text: str) -> Exception:
    from rollbook.settings import SettingsError

    return SettingsError(text)
