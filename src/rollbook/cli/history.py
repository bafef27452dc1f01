"""`rollbook history`, `restore` and `erase`: what a resource was, brought back, forgotten."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rollbook.cli.history_output import (
    difference,
    print_deleted,
    print_lost,
    print_versions,
    row_of,
    text_of,
    whole,
)
from rollbook.cli.history_subject import Subject, misused, on_subject, on_type

if TYPE_CHECKING:
    from rollbook.storage.sql.history import Version

Who = Annotated[
    str,
    typer.Argument(
        help="An id, a userName or an externalId; of another type its id, displayName or externalId.",
        metavar="USER",
    ),
]
Database = Annotated[
    str | None, typer.Option(help="The server's database; ROLLBOOK_DATABASE says the same.", metavar="URL")
]
TypeName = Annotated[str, typer.Option("--type", help="Its resource type, if not a user.")]
By = Annotated[
    str | None,
    typer.Option(help="What USER is, if more than one is called so: id, userName, …", metavar="ATTRIBUTE"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Number = Annotated[int, typer.Option("--version", help="The number of the version.", min=1)]


def history(
    who: Annotated[
        str | None,
        typer.Argument(
            help="An id, a userName or an externalId; of another type its id, displayName or externalId.",
            metavar="USER",
        ),
    ] = None,
    database: Database = None,
    type_name: TypeName = "User",
    by: By = None,
    limit: Annotated[int, typer.Option(help="Changes to show, newest first.", min=1, max=10_000)] = 20,
    number: Annotated[
        int | None,
        typer.Option("--version", help="Show the whole resource as it was at this version.", min=1),
    ] = None,
    values: Annotated[
        bool, typer.Option("--values", "--diff", help="Show old and new values, which are personal data.")
    ] = False,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="List who was deleted last, to bring them back by their id.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what happened to a user: each version with who, when and what."""
    if (who is None) is not deleted:
        raise misused("name one user, or say --deleted")
    if who is None:
        on_type(database, type_name, lambda found: _deleted(found, limit, as_json=as_json))
        return

    async def work(found: Subject) -> None:
        if number is not None:
            print(json.dumps(whole(found, await _version(found, number)), indent=2, ensure_ascii=False))
            return
        entries = await found.archive.versions(found.id, limit=limit)
        rows = [await row_of(found, entry, values=values) for entry in entries]
        if as_json:
            answer = {"type": found.kind.name, "id": found.id, "versions": rows}
            print(json.dumps(answer, indent=2, ensure_ascii=False))
        else:
            print_versions(rows)

    on_subject(who, database, type_name, by, work)


async def _deleted(found: Subject, limit: int, *, as_json: bool) -> None:
    from rollbook.protocol.compare import render_date_time
    from rollbook.storage.documents import label
    from rollbook.storage.sql.log import version_number

    rows = [
        {
            "id": one.id,
            "name": one.document.get("userName") or label(one.document, found.kind),
            "version": version_number(one.version),
            "when": render_date_time(one.at),
            "who": one.author,
        }
        for one in await found.archive.deleted(found.kind, limit)
    ]
    if as_json:
        print(json.dumps({"type": found.kind.name, "deleted": rows}, indent=2, ensure_ascii=False))
    else:
        print_deleted(rows)


def restore(
    who: Who,
    number: Number,
    database: Database = None,
    type_name: TypeName = "User",
    by: By = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring an earlier version back, as a new change. Who was deleted gets the same id again.

    The password stays as it is now; who was deleted has none.
    """

    async def work(found: Subject) -> None:
        from rollbook.app import by
        from rollbook.storage.base import USUAL

        wanted = await _version(found, number)
        changes = await difference(found, wanted)
        author = by("rollbook restore")
        lost = await found.archive.restore(found.kind, wanted, author, USUAL, dry_run=dry_run)
        answer: dict[str, Any] = {
            "id": found.id,
            "version": number,
            "changes": changes,
            "missing": list(lost.members),
            "broken": list(lost.references),
            "undefined": list(lost.attributes),
            "dryRun": dry_run,
        }
        if as_json:
            print(json.dumps(answer, ensure_ascii=False))
            return
        print("\n".join(text_of(changes)) or "nothing differs")
        print_lost(lost)
        done = f"{found.kind.name} {found.id} is again what it was at version {number}"
        print("nothing was changed" if dry_run else done)

    on_subject(who, database, type_name, by, work)


def erase(
    who: Who,
    database: Database = None,
    type_name: TypeName = "User",
    by: By = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete a person for good: with all that was kept of them. It cannot be undone.

    The log keeps that a resource of this id was erased, by whom and when. Backups are not touched.
    """

    async def work(found: Subject) -> None:
        from rollbook.app import by
        from rollbook.storage.base import USUAL

        if not yes:
            _ask(found)
        number = await found.archive.erase(found.kind, found.id, by("rollbook erase"), USUAL)
        if as_json:
            print(json.dumps({"id": found.id, "formerVersions": number}))
        else:
            print(f"{found.kind.name} {found.id} is erased, with {number} former versions")
            print("run rollbook database vacuum to overwrite what is left in free space of the file")

    on_subject(who, database, type_name, by, work)


def _ask(found: Subject) -> None:
    if not sys.stdin.isatty():
        raise misused("erasing cannot be undone; say --yes")
    typer.echo(
        f"{found.kind.name} {found.id} is deleted, and so is everything it ever was, what sources said of it and what\n"
        "it was looked up by at targets. The log keeps the id, and who erased it when. Backups are not touched."
    )
    typer.confirm("Erase it? It cannot be undone.", abort=True)


async def _version(found: Subject, number: int) -> "Version":
    from rollbook.protocol.errors import NotFound

    version = await found.archive.version(found.id, number)
    if version is None:
        raise NotFound(
            f"{found.kind.name} {found.id} has no version {number}, or it was forgotten; see rollbook history {found.id}"
        )
    return version
