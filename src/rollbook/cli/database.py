"""`rollbook database`: make, check, keep and bring back what a server stores."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rollbook.storage.sql.after_restore import TokenState
    from rollbook.storage.sql.store import SqlStore

app = typer.Typer(help="Make, check, back up and restore the database of a server.", no_args_is_help=True)

Database = Annotated[
    str | None,
    typer.Option(
        help="sqlite:///relative.db, sqlite:////absolute.db or postgresql://user@host/name;"
        " ROLLBOOK_DATABASE says the same.",
        metavar="URL",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def migrate(database: Database = None, as_json: AsJson = False) -> None:
    """Make the tables, or bring those of an older version up to date. Several at once do no harm."""
    store = _store(database)
    before, after = store.database.migrate()
    if as_json:
        print(json.dumps({"database": store.database.name, "from": before, "to": after}))
    elif before is None:
        print(f"{store.database.name}: made, at revision {after}")
    elif before == after:
        print(f"{store.database.name}: is at revision {after} already")
    else:
        print(f"{store.database.name}: brought from revision {before} to {after}")


@app.command()
def check(database: Database = None, as_json: AsJson = False) -> None:
    """Compare everything with everything: documents with indexes, members, counters and the change log.

    May run beside a server. Ends with 1 if something does not hold.
    """
    import asyncio

    from rich.console import Console

    store = _existing(database)

    async def run() -> list[str]:
        await store.open()
        try:
            return list(await store.check())
        finally:
            await store.close()

    with Console(stderr=True).status("looking at every resource …"):
        faults = asyncio.run(run())
    if as_json:
        print(json.dumps({"database": store.database.name, "faults": faults}))
    else:
        print("\n".join(faults) or f"{store.database.name}: everything holds")
    if faults:
        raise typer.Exit(1)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where to; must not exist.")],
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Write a copy of one moment, while a server goes on. PostgreSQL: by pg_dump, in its custom format."""
    from rich.console import Console

    from rollbook.cli import acts
    from rollbook.cli.database_keys import keys_of

    store = _existing(database)
    with Console(stderr=True).status(f"copying {store.database.name} …"):
        store.database.backup(file)
    acts.tell_beside(store, acts.act(store, "database backup", "database.backup", file=file.name))
    size, keys = file.stat().st_size, keys_of(store.database)
    if as_json:
        print(json.dumps({"database": store.database.name, "file": str(file), "bytes": size, "keys": keys}))
    else:
        print(f"{file}: {size / 1e6:.1f} MB; bring it back with: rollbook database restore {file}")
        if keys:
            print(
                f"its secrets are sealed by key {', '.join(keys)}, which is not in it ({store.secrets.source.name}): keep that, too, elsewhere"
            )


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `backup` wrote.")],
    database: Database = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of a database that is there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a backup back; the server must not run. A SQLite file that is replaced is kept beside it.

    Every resource is at another version afterwards, so that no client takes an old state for a new one. Targets are stopped, and
    tokens, issuers and clients that were revoked or removed after the backup are named.
    """
    from rich.console import Console

    from rollbook.cli import acts
    from rollbook.cli.database_keys import lost_keys
    from rollbook.storage.sql.after_restore import changed_since, grants, token_states

    store = _store(database)
    former = None if store.database.is_new else _tokens_before(store)
    granted = set() if former is None else grants(store.database)
    with Console(stderr=True).status(f"restoring {store.database.name} …"):
        kept = store.database.restore(file, replace=replace)
    acts.tell_beside(store, acts.act(store, "database restore", "database.restore", file=file.name))
    restored = token_states(store.database) or {}
    again, gone = changed_since(former, restored) if former is not None else ({}, {})
    back = sorted(grants(store.database) - granted)
    if as_json:
        told = {"database": store.database.name, "kept": str(kept) if kept else None}
        print(
            json.dumps(
                {
                    **told,
                    "tokens": {"known": former is not None, "again": list(again), "gone": list(gone)},
                    "grants": [each._asdict() for each in back],
                }
            )
        )
        return
    print(f"{store.database.name}: restored from {file}" + (f"; the former one is {kept}" if kept else ""))
    print(
        "targets are stopped: see what would be sent with rollbook plan, then let them go on with rollbook resume --all"
    )
    for own, token in again.items():
        print(f"token {own} ({token.name}) is valid as it was at the backup: rollbook token revoke {own}")
    for each in back:
        print(
            f"{each.kind} {each.name} is there again: rollbook --tenant {each.tenant} {each.kind} remove {each.name}"
        )
    for own, token in gone.items():
        print(f"token {own} ({token.name}) was made after the backup, and is gone")
    for line in lost_keys(store):
        print(line)
    if former is None and restored:
        print(
            "tokens that were revoked after the backup are valid again; look at them with: rollbook token list"
        )


def _tokens_before(store: "SqlStore") -> "dict[str, TokenState] | None":
    """The tokens of a database that is about to be replaced; None if it cannot be read, which may be why it is."""
    from rollbook.protocol.errors import StoreUnavailable
    from rollbook.storage.sql.after_restore import token_states

    try:
        return token_states(store.database)
    except StoreUnavailable:
        return None


@app.command()
def copy(
    to: Annotated[str, typer.Argument(help="URL of the database to copy to; must be empty.", metavar="URL")],
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Copy everything into another database, of the same kind or the other: tokens, the log and links too."""
    from rich.console import Console

    from rollbook.cli import acts
    from rollbook.cli.database_keys import lost_keys
    from rollbook.storage.sql import transfer
    from rollbook.storage.sql.store import SqlStore

    source, destination = _existing(database), _store(to)
    destination.database.migrate()
    with Console(stderr=True).status("copying …") as status:
        done = transfer.copy(
            source.database,
            destination.database,
            lambda table, rows: status.update(f"copying {table}: {rows:,} rows"),
        )
    # The copy has the secrets of the source, and its keys need not be where it looks for them yet.
    opened = SqlStore(destination.database, keys=source.secrets.source)
    for each, other in ((source, destination), (opened, source)):
        told = acts.act(each, "database copy", "database.copy")
        acts.tell_beside(each, replace(told, detail={"other": other.database.name}))
    if as_json:
        print(json.dumps({"from": source.database.name, "to": destination.database.name, "rows": done}))
    else:
        print(f"{destination.database.name}: {done['resource']} resources, {sum(done.values())} rows in all")
        for line in lost_keys(destination):
            print(line)


@app.command()
def compact(
    older_than: Annotated[str, typer.Option(help="What is older is forgotten: 365d, 12h, …", metavar="AGE")],
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Forget former versions of resources, and merge their changes, but for the last of each. May run beside a server."""
    import asyncio

    from rollbook.app import by
    from rollbook.storage.sql.archive import Archive
    from rollbook.storage.sql.journal import SqlJournal
    from rollbook.storage.sql.signing_start import line_keys

    store, author = _existing(database), by("rollbook database compact")
    before = author.at - _age(older_than)

    async def run() -> int:
        await store.open()
        try:
            journal = SqlJournal(store.database, await line_keys(store.secrets))
            return await Archive(store, store.home).compact(before, author, journal)
        finally:
            await store.close()

    gone = asyncio.run(run())
    if as_json:
        print(json.dumps({"database": store.database.name, "forgotten": gone}))
    else:
        print(f"{store.database.name}: {gone} rows forgotten")


def _age(text: str) -> int:
    """Milliseconds for `365d` or `12h`."""
    from rollbook.settings import SettingsError

    units = {"d": 86_400_000, "h": 3_600_000}
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and unit in units and int(number[:9]) < 100_000):
        raise SettingsError(f"--older-than {text!r}: write 365d or 12h")
    return int(number) * units[unit]


@app.command()
def vacuum(database: Database = None, as_json: AsJson = False) -> None:
    """Give back the space of what was deleted. SQLite: writers wait the while."""
    from rich.console import Console

    store = _existing(database)
    with Console(stderr=True).status(f"clearing {store.database.name} …"):
        before, after = store.database.vacuum()
    if as_json:
        print(json.dumps({"database": store.database.name, "before": before, "after": after}))
    else:
        print(f"{store.database.name}: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB now")


def _store(database: str | None) -> "SqlStore":
    from rollbook.app import prepare_store
    from rollbook.settings import Settings, choose_database

    url, origin = choose_database(database, os.environ)
    return prepare_store(Settings(database=url, database_origin=origin))


def _existing(database: str | None) -> "SqlStore":
    """The store, if there is anything to look at."""
    from rollbook.settings import SettingsError

    store = _store(database)
    if store.database.is_new:
        raise SettingsError(f"there is no database {store.database.name}; name it with --database")
    return store
