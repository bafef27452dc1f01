"""Files of lines: JSON lines and CSV, plain or gzipped; each can be begun again where a line begins."""

import csv
import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import orjson

from rollbook.operations.columns import Column, read_columns, to_body
from rollbook.operations.importing import Read
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import InvalidSyntax, RequestError
from rollbook.protocol.schema import ResourceType

LONGEST = 128 * 1024 * 1024
"""Bytes of a line: a group of a million members is half of it."""

_START = 1024 * 1024


def fingerprint(path: Path) -> str:
    """What tells a file from others, also when it was moved: its size, and what it begins and ends with."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_START))
        file.seek(max(0, size - _START))
        digest.update(file.read(_START))
    return digest.hexdigest()[:32]


def opened(path: Path) -> IO[bytes]:
    """The file, unpacked on the way if it ends in .gz."""
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


@dataclass(frozen=True)
class JsonLines:
    """A file with a JSON object on each line; empty lines mean nothing."""

    path: Path
    catalog: Catalog

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def lines(self, offset: int, number: int) -> Iterator[Read]:
        """The lines from an offset on."""
        marks = tuple(
            f'"{kind.memberships}"'.lower().encode()
            for kind in self.catalog.resource_types
            if kind.memberships
        )
        with opened(self.path) as file:
            file.seek(offset)
            while line := file.readline(LONGEST + 1):
                offset += len(line)
                if line.strip():
                    is_with_members = any(mark in line.lower() for mark in marks)
                    yield Read(number, offset, len(line), _parsed(line), is_with_members)
                number += 1


def _parsed(line: bytes) -> object:
    if len(line) > LONGEST:
        return InvalidSyntax(f"the line has more than {LONGEST} bytes; is the file JSON lines?")
    try:
        return orjson.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        return InvalidSyntax(f"not JSON: {error}; each line must be one JSON object")


@dataclass(frozen=True)
class Table:
    """A CSV file, whose first line says which attributes the columns are."""

    path: Path
    kind: ResourceType

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def columns(self) -> list[Column]:
        """What the first line names.

        Raises:
            InvalidPath: a title is no attribute.
        """
        with opened(self.path) as file:
            titles = next(csv.reader([_text(file.readline())]), [])
        return read_columns(titles, self.kind)

    def lines(self, offset: int, number: int) -> Iterator[Read]:
        """The rows from an offset on; a row may have several lines, and is told by its first."""
        columns = self.columns()
        with opened(self.path) as file:
            place = _Place(file)
            if offset == 0:
                place.skip()
                number += 1
            else:
                place.go(offset)
            reader = csv.reader(place, strict=True)
            while True:
                try:
                    cells = next(reader, None)
                    body = None if cells is None else self._body(columns, cells)
                except (csv.Error, UnicodeError) as error:
                    cells, body = [""], InvalidSyntax(f"not CSV in UTF-8: {error}")
                if cells is None:
                    return
                if cells:
                    yield Read(number, place.offset, 200, body, is_with_members=False)
                number += place.taken()

    def _body(self, columns: list[Column], cells: list[str]) -> object:
        if cells and len(cells) != len(columns):
            return InvalidSyntax(f"{len(cells)} cells, but the first line has {len(columns)} columns")
        try:
            return to_body(columns, cells, self.kind) if cells else None
        except RequestError as error:
            return error


class _Place:
    """The lines of a file as text, and how far they have been taken."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._taken = 0
        self.offset = 0

    def skip(self) -> None:
        self.offset += len(self._file.readline())

    def go(self, offset: int) -> None:
        self._file.seek(offset)
        self.offset = offset

    def taken(self) -> int:
        """Lines since the last time."""
        taken, self._taken = self._taken, 0
        return taken

    def __iter__(self) -> "_Place":
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            raise StopIteration
        self.offset += len(line)
        self._taken += 1
        return _text(line)


def _text(line: bytes) -> str:
    return line.removeprefix(b"\xef\xbb\xbf").decode()
