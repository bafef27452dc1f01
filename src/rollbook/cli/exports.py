"""`rollbook export`: resources as JSON lines or CSV."""

import gzip
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, cast

import typer

from rollbook.cli.transfer import (
    FORMULA,
    AsJson,
    Database,
    Format,
    FormatOption,
    format_of,
    kind_of,
    opened_store,
)

if TYPE_CHECKING:
    from rollbook.protocol.schema import ResourceType
    from rollbook.storage.sql.store import SqlStore


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
        told = {"counts": counts, "withoutSecrets": left_out, "formulas": asked.formulas.total()}
        told["withoutColumn"] = dict(asked.lacking)
        typer.echo(json.dumps(told), err=file == "-")
        return
    said = ", ".join(f"{number} of type {name}" for name, number in counts.items()) or "nothing"
    typer.echo(f"exported: {said}", err=True)
    if left_out:
        typer.echo(f"left out: passwords of {left_out}; --secrets writes their hashes", err=True)
    if asked.lacking:
        typer.echo(
            f"left out: {_what(asked.lacking)}; --columns takes more, JSON lines have everything",
            err=True,
        )
    if asked.formulas:
        typer.echo(
            f"take care: {asked.formulas.total()} cells begin as formulas do ({_named(asked.formulas)}); they are written as they"
            " are, for an import. Let no spreadsheet open the file otherwise than as text",
            err=True,
        )


def _named(formulas: Counter[str]) -> str:
    return ", ".join(f"{number} in {title}" for title, number in formulas.most_common(3))


def _what(lacking: Counter[str]) -> str:
    return ", ".join(f"{name} of {number}" for name, number in sorted(lacking.items()))


@dataclass(frozen=True)
class _Wanted:
    file: str
    format: Format | None
    types: list[str]
    filter: str | None
    columns: str | None
    secrets: bool
    formulas: Counter[str] = field(default_factory=Counter)
    """By column of a CSV file, cells that a spreadsheet may take for formulas: people choose their names (T-69)."""
    lacking: Counter[str] = field(default_factory=Counter)
    """By attribute, resources of which the columns of a CSV file do not have everything."""


async def _export(database: str | None, asked: _Wanted) -> tuple[dict[str, int], int]:
    from rollbook.app import tenant_called
    from rollbook.operations.exporting import export as write_all
    from rollbook.protocol.filter_parser import parse_filter
    from rollbook.protocol.quirks import Leniency
    from rollbook.protocol.resolve import resolve
    from rollbook.settings import Settings
    from rollbook.storage.sql.tenants import SqlTenants

    async with opened_store(database, makes=False) as store:
        table = format_of(Path(asked.file), asked.format) is Format.CSV
        names = asked.types or (["User"] if table else [kind.name for kind in store.catalog.resource_types])
        kinds = [kind_of(store, name) for name in names]
        leniency = Leniency()
        tree = parse_filter(asked.filter, leniency) if asked.filter else None
        wishes = [
            (kind, None if tree is None else resolve(tree, kind, leniency, of_several=len(kinds) > 1))
            for kind in kinds
        ]
        await _tell(store, asked, names)
        with _output(asked.file) as out, _count() as progress:
            write = _rows(out, kinds, asked) if table else out.write
            told = (await tenant_called(SqlTenants(store.database), Settings().home)).settings
            done = await write_all(
                store, store.home, wishes, write, progress, secrets=asked.secrets, settings=told
            )
    return dict(done.counts), done.left_out


async def _tell(store: "SqlStore", asked: _Wanted, names: list[str]) -> None:
    """Say in the audit log what is about to be taken out; a database that takes no writes gives it all the same."""
    from rollbook.cli.acts import act
    from rollbook.desk.telling import tell
    from rollbook.protocol.errors import StoreUnavailable

    try:
        told = act(store, "export", "export", types=names, filter=asked.filter, secrets=asked.secrets)
        await tell(store, told)
    except StoreUnavailable as error:
        typer.echo(f"not told in the audit log: {error.detail}", err=True)


def _rows(out: IO[bytes], kinds: "list[ResourceType]", asked: _Wanted) -> Callable[[bytes], object]:
    """What writes a line as a row of a CSV file, after the titles."""
    import csv
    import io

    from rollbook.operations.columns import USUAL, read_columns, to_cells, without_column
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
        if read_head(body):
            row([column.title for column in columns])
            return
        cells = to_cells(columns, body)
        asked.lacking.update(without_column(columns, body))
        asked.formulas.update(
            column.title for column, cell in zip(columns, cells, strict=True) if cell.startswith(FORMULA)
        )
        row(cells)

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
    building.unlink(
        missing_ok=True
    )  # what a killed export has left, or a link that somebody laid there (T-90)
    number = os.open(building, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)  # people's data: owner only
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
