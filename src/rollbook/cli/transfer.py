"""`rollbook import` and `rollbook export`: resources as JSON lines or CSV."""

import gzip
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, cast

import typer

if TYPE_CHECKING:
    from rollbook.operations.importing import LineFile, Progress
    from rollbook.protocol.errors import RequestError
    from rollbook.protocol.schema import ResourceType
    from rollbook.storage.sql.store import SqlStore

SHOWN = 20
"""Refused lines that are told on the terminal; the report has all."""


class Format(StrEnum):
    """How resources are written."""

    JSONL = "jsonl"
    CSV = "csv"


class Conflict(StrEnum):
    """See `operations.importing.OnConflict`."""

    FAIL = "fail"
    SKIP = "skip"
    UPDATE = "update"


Database = Annotated[
    str | None, typer.Option(help="The server's database; ROLLBOOK_DATABASE says the same.", metavar="URL")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FormatOption = Annotated[
    Format | None, typer.Option("--format", help="By the file's name if not said: .csv, else JSON lines.")
]


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
    from rollbook.storage.sql.store import SqlStore

    async with _store(database) as store:
        if dry_run or strict:
            async with store.database.copied() as copied:
                copy = SqlStore(copied)
                await copy.open()
                await _into(copy, asked, watch)
            if dry_run:
                return None
            if watch.problems:
                return 1
            watch.forget()
        await _into(store, asked, watch)
    return None


async def _into(store: "SqlStore", asked: _Asked, watch: _Watch) -> None:
    from rollbook.app import now
    from rollbook.operations.context import DEFAULT_TENANT
    from rollbook.operations.import_files import fingerprint
    from rollbook.operations.importing import Importer, OnConflict, Options, Progress
    from rollbook.operations.passwords import PasswordHasher
    from rollbook.settings import tenant_settings
    from rollbook.storage.base import Author
    from rollbook.storage.ids import new_id

    settings = tenant_settings(asked.settings)
    options = Options(
        Author("rollbook import", now()), settings.rules, settings.accepted, OnConflict(asked.on_conflict)
    )
    passwords = PasswordHasher()
    key = f"import {fingerprint(asked.path)}"
    importer = Importer(store, DEFAULT_TENANT, options, passwords, new_id, watch, key)
    try:
        begun = Progress() if asked.restart else await importer.present()
        if begun.is_begun:
            typer.echo(f"going on at line {begun.line}, where an earlier import of this file ended", err=True)
        await importer.run(_line_file(asked, store), begun)
    finally:
        passwords.close()


def _line_file(asked: _Asked, store: "SqlStore") -> "LineFile":
    from rollbook.operations.import_files import JsonLines, Table

    if _format(asked.path, asked.format) is Format.JSONL:
        return JsonLines(asked.path, store.catalog)
    table = Table(asked.path, _kind(store, asked.type_name))
    table.columns()
    return table


def _format(path: Path, given: Format | None) -> Format:
    if given is not None:
        return given
    name = path.name.removesuffix(".gz")
    return Format.CSV if name.endswith(".csv") else Format.JSONL


def _kind(store: "SqlStore", name: str) -> "ResourceType":
    from rollbook.settings import SettingsError

    found = store.catalog.resource_type(name)
    if found is None:
        known = ", ".join(kind.name for kind in store.catalog.resource_types)
        raise SettingsError(f"--type {name}: there are {known}")
    return found


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


def export(
    file: Annotated[str, typer.Argument(help="Where to; .gz packs it; - for standard output.")] = "-",
    database: Database = None,
    format: FormatOption = None,
    types: Annotated[
        list[str] | None,
        typer.Option("--type", help="A resource type; may be repeated. All, if none is named."),
    ] = None,
    filter: Annotated[str | None, typer.Option(help="Only what matches, in SCIM's filter language.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="Columns of a CSV file, separated by commas.", metavar="NAMES")
    ] = None,
    secrets: Annotated[
        bool, typer.Option("--secrets", help="With hashes of passwords; for an import elsewhere.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the resources of one moment, while a server goes on."""
    import asyncio

    asked = _Wanted(file, format, types or [], filter, columns, secrets)
    counts, left_out = asyncio.run(_export(database, asked))
    if as_json:
        typer.echo(json.dumps({"counts": counts, "withoutSecrets": left_out}), err=file == "-")
        return
    said = ", ".join(f"{number} of type {name}" for name, number in counts.items()) or "nothing"
    typer.echo(f"exported: {said}", err=True)
    if left_out:
        typer.echo(f"left out: passwords of {left_out}; --secrets writes their hashes", err=True)


@dataclass(frozen=True)
class _Wanted:
    file: str
    format: Format | None
    types: list[str]
    filter: str | None
    columns: str | None
    secrets: bool


async def _export(database: str | None, asked: _Wanted) -> tuple[dict[str, int], int]:
    from rollbook.operations.context import DEFAULT_TENANT
    from rollbook.operations.exporting import export as write_all
    from rollbook.protocol.filter_parser import parse_filter
    from rollbook.protocol.quirks import Leniency
    from rollbook.protocol.resolve import resolve

    async with _store(database, makes=False) as store:
        table = _format(Path(asked.file), asked.format) is Format.CSV
        names = asked.types or (["User"] if table else [kind.name for kind in store.catalog.resource_types])
        kinds = [_kind(store, name) for name in names]
        leniency = Leniency()
        tree = parse_filter(asked.filter, leniency) if asked.filter else None
        wishes = [
            (kind, None if tree is None else resolve(tree, kind, leniency, of_several=len(kinds) > 1))
            for kind in kinds
        ]
        with _output(asked.file) as out, _count() as progress:
            write = _rows(out, kinds, asked) if table else out.write
            done = await write_all(store, DEFAULT_TENANT, wishes, write, progress, secrets=asked.secrets)
    return dict(done.counts), done.left_out


def _rows(out: IO[bytes], kinds: "list[ResourceType]", asked: _Wanted) -> Callable[[bytes], object]:
    """What writes a line as a row of a CSV file, after the titles."""
    import csv
    import io

    from rollbook.operations.columns import USUAL, read_columns, to_cells
    from rollbook.operations.lines import read_head
    from rollbook.settings import SettingsError

    if len(kinds) != 1:
        raise SettingsError("a CSV file has resources of one type; name it with --type")
    titles = (
        next(csv.reader([asked.columns]))
        if asked.columns
        else [title for title in USUAL if kinds[0].find(title.partition("[")[0])]
    )
    columns = read_columns(titles, kinds[0])

    def row(cells: list[str]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        out.write(text.getvalue().encode())

    def write(line: bytes) -> None:
        body = json.loads(line)
        row([column.title for column in columns] if read_head(body) else to_cells(columns, body))

    return write


@contextmanager
def _output(file: str) -> Iterator[IO[bytes]]:
    """Where to write; a file is there whole, or not at all."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    building = path.with_name(f"{path.name}.part")
    number = os.open(building, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)  # people's data: owner only
    try:
        with os.fdopen(number, "wb") as raw:
            if path.suffix == ".gz":
                with cast("IO[bytes]", gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6)) as packed:
                    yield packed
            else:
                yield raw
        building.replace(path)
    finally:
        building.unlink(missing_ok=True)


@contextmanager
def _count() -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status("exporting …") as status:
        yield lambda done: status.update(f"exporting: {done:,} resources")


def _store(database: str | None, *, makes: bool = True) -> Any:
    from rollbook.app import opened, prepare_store
    from rollbook.settings import Settings, SettingsError, choose_database

    url, origin = choose_database(database, os.environ)
    settings = Settings(database=url, database_origin=origin)
    store = prepare_store(settings)
    if not makes and store.database.is_new:
        raise SettingsError(f"there is no database {store.database.name}; name it with --database")
    return opened(settings, store)
