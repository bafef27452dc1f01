"""`rollbook import`: resources from JSON lines or CSV."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from rollbook.cli.transfer import AsJson, Database, Format, FormatOption, format_of, kind_of, opened_store

if TYPE_CHECKING:
    from rollbook.operations.importing import LineFile, Progress
    from rollbook.protocol.errors import RequestError
    from rollbook.storage.sql.store import SqlStore

SHOWN = 20
"""Refused lines that are told on the terminal; the report has all."""


class Conflict(StrEnum):
    """See `operations.importing.OnConflict`."""

    FAIL = "fail"
    SKIP = "skip"
    UPDATE = "update"


def import_(
    file: Annotated[str, typer.Argument(help="JSON lines or CSV, .gz too; - for standard input.")],
    database: Database = None,
    format: FormatOption = None,
    type_name: Annotated[str, typer.Option("--type", help="What the rows of a CSV file are.")] = "User",
    on_conflict: Annotated[
        Conflict, typer.Option(help="What to do with a line whose resource is there already.")
    ] = Conflict.FAIL,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try it on a copy of the database.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Import nothing if any line is refused; tries a copy first.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write each refused line there, as JSON lines.", metavar="FILE")
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew where an earlier import of the file did not end.")
    ] = False,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="A setting of the tenant, as for serve; may be repeated.", metavar="NAME=VALUE"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put resources in from a file. Bad lines are told and left out; ends with 1 if there were any.

    An import that was cut off goes on where it was when it is started again with the same file.
    """
    import asyncio

    with _spooled(file) as path, _Watch(path, report).running() as watch:
        asked = _Asked(path, format, type_name, on_conflict, restart, setting or [])
        code = asyncio.run(_import(database, asked, watch, dry_run=dry_run, strict=strict))
    watch.tell(dry_run=dry_run, nothing_done=code is not None, as_json=as_json)
    if watch.problems:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Asked:
    path: Path
    format: Format | None
    type_name: str
    on_conflict: Conflict
    restart: bool
    settings: list[str]


@dataclass
class _Watch:
    """What people see of an import."""

    path: Path
    report: Path | None
    problems: int = 0
    first: list[tuple[int, str]] = field(default_factory=list)
    last: "Progress | None" = None
    resumed: int = 0
    _written: IO[str] | None = None
    _bar: Callable[["Progress"], None] = lambda _: None

    @contextmanager
    def running(self) -> Iterator["_Watch"]:
        """While the import runs: the report is open, the bar is drawn on a terminal."""
        with _bar(self.path) as self._bar:
            if self.report is None:
                yield self
                return
            with self.report.open("w", encoding="utf-8") as self._written:
                yield self

    def progress(self, progress: "Progress") -> None:
        """So far it has come."""
        self.last = progress
        self._bar(progress)

    def problem(self, line: int, error: "RequestError") -> None:
        """A line was refused."""
        self.problems += 1
        if len(self.first) < SHOWN:
            self.first.append((line, error.detail))
        if self._written is not None:
            scim_type = getattr(error, "scim_type", None)
            json.dump({"line": line, "scimType": scim_type, "detail": error.detail}, self._written)
            self._written.write("\n")

    def forget(self) -> None:
        """Before the same file is gone through once more."""
        self.problems, self.first, self.last = 0, [], None

    def tell(self, *, dry_run: bool, nothing_done: bool, as_json: bool) -> None:
        """What came of it."""
        from dataclasses import asdict

        found: dict[str, Any] = asdict(self.last) if self.last else {}
        counts = {name: found.get(name, 0) for name in ("created", "updated", "skipped", "refused", "joined")}
        if as_json:
            problems = [{"line": line, "detail": detail} for line, detail in self.first]
            print(
                json.dumps(
                    {
                        **counts,
                        "dryRun": dry_run,
                        "imported": not nothing_done and not dry_run,
                        "problems": problems,
                    }
                )
            )
            return
        for line, detail in self.first:
            typer.echo(f"{self.path.name}, line {line}: {detail}", err=True)
        if self.problems > len(self.first):
            more = f"; see {self.report}" if self.report else "; --report FILE writes them all"
            typer.echo(f"… and {self.problems - len(self.first)} more{more}", err=True)
        words = {
            "created": "created", "updated": "updated", "skipped": "left as they are", "joined": "members added",
            "refused": "refused",
        }  # fmt: skip
        said = ", ".join(f"{counts[name]} {word}" for name, word in words.items() if counts[name])
        print(f"{'on a copy: ' if dry_run or nothing_done else ''}{said or 'nothing to import'}")
        if nothing_done:
            print("nothing was imported, since --strict wants every line to be right")


async def _import(
    database: str | None, asked: _Asked, watch: _Watch, *, dry_run: bool, strict: bool
) -> int | None:
    """Import; a number if a strict one was given up."""
    async with opened_store(database) as store:
        if dry_run or strict:
            async with store.database.copied() as copied:
                copy = store.twin(copied)
                await copy.open()
                await _into(copy, asked, watch)
            if dry_run:
                return None
            if watch.problems:
                return 1
            watch.forget()
        from rollbook.app import now
        from rollbook.cli.acts import act
        from rollbook.desk.telling import telling

        conflicts = str(asked.on_conflict)
        told = act(store, "import", "import", file=asked.path.name, onConflict=conflicts)
        async with telling(store, told, now):
            await _into(store, asked, watch)
    return None


async def _into(store: "SqlStore", asked: _Asked, watch: _Watch) -> None:
    from rollbook.app import by
    from rollbook.operations.import_files import fingerprint
    from rollbook.operations.importing import Importer, OnConflict, Options, Progress
    from rollbook.operations.password_check import PasswordCheck
    from rollbook.operations.passwords import PasswordHasher
    from rollbook.operations.tenants import told_before
    from rollbook.settings import choose_password_check, tenant_settings
    from rollbook.storage.ids import new_id
    from rollbook.storage.sql.tenants import SqlTenants
    from rollbook.storage.tenants import DEFAULT

    record = await SqlTenants(store.database).by_number(store.home)
    settings = tenant_settings([*(told_before(record) if record else ()), *asked.settings])
    options = Options(
        by("rollbook import"),
        settings.rules,
        settings.accepted,
        OnConflict(asked.on_conflict),
        settings.password_length,
    )
    judge = choose_password_check(os.environ)
    passwords = PasswordHasher(check=PasswordCheck(judge) if judge else None)
    of = "" if store.home == DEFAULT else f"{store.home} "
    key = f"import {of}{fingerprint(asked.path)}"
    importer = Importer(store, store.home, options, passwords, new_id, watch, key)
    try:
        begun = Progress() if asked.restart else await importer.present()
        if begun.is_begun:
            typer.echo(f"going on at line {begun.line}, where an earlier import of this file ended", err=True)
        await importer.run(_line_file(asked, store), begun)
    finally:
        passwords.close()


def _line_file(asked: _Asked, store: "SqlStore") -> "LineFile":
    from rollbook.operations.import_files import JsonLines, Table

    if format_of(asked.path, asked.format) is Format.JSONL:
        return JsonLines(asked.path, store.catalog)
    table = Table(asked.path, kind_of(store, asked.type_name))
    table.columns()
    return table


@contextmanager
def _spooled(file: str) -> Iterator[Path]:
    """The file; standard input is written to one first, since it is gone through twice."""
    import shutil
    import tempfile

    from rollbook.settings import SettingsError

    if file != "-":
        if not Path(file).is_file():
            raise SettingsError(f"{file}: there is no such file")
        yield Path(file)
        return
    with tempfile.TemporaryDirectory(prefix="rollbook-import-") as directory:
        path = Path(directory) / "standard-input"
        with path.open("wb") as spool:
            shutil.copyfileobj(sys.stdin.buffer, spool)
        yield path


@contextmanager
def _bar(path: Path) -> Iterator[Callable[["Progress"], None]]:
    """A bar by bytes of the file, on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    # Of a packed file nobody knows how long it is.
    total = None if path.suffix == ".gz" else path.stat().st_size
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[said]}"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("resources", total=total, said="")

        def draw(progress: "Progress") -> None:
            name = "resources" if progress.stage == 1 else "members"
            done = progress.created + progress.updated + progress.skipped
            said = f"{done:,} resources" if progress.stage == 1 else f"{progress.joined:,} members"
            bar.update(task, description=name, completed=progress.offset, said=said)

        yield draw
