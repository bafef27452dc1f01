"""People from a CSV file: streamed, in the encoding that is named, with the line of every bad row.

Nothing is guessed. A file that is empty, cut, another kind of file or without the columns the rules read
stops the run; a single bad row is left out by name.
"""

import codecs
import csv
import io
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from rollbook.provisioning.sources.base import (
    EVERYTHING,
    Extent,
    Row,
    RowProblem,
    SourceError,
    missing_columns,
)

LONGEST_FIELD = 131_072
"""Characters in a field; the csv module's own limit. Beyond it a quotation mark was most likely left open."""

_LONGEST_LINE = 1_048_576
"""Characters read at once: a line without end must not fill the memory."""

_DELIMITERS = {";": "';'", "\t": '"\\t"', "|": "'|'", ",": "','"}


class CsvFile:
    """A CSV file with a header line."""

    def __init__(
        self,
        path: Path,
        key: str,
        *,
        needed: tuple[str, ...] = (),
        encoding: str | None = None,
        delimiter: str = ",",
    ) -> None:
        self._path = path
        self._key = key
        self._needed = tuple(dict.fromkeys((key, *needed)))
        name = codecs.lookup(encoding or "utf-8").name
        self._encoding = "utf-8-sig" if name == "utf-8" else name
        self._delimiter = delimiter

    @property
    def label(self) -> str:
        """The path."""
        return str(self._path)

    def columns(self) -> tuple[str, ...]:
        """The columns of the file, whatever is needed of them.

        Raises:
            SourceError: as for `open`, but for columns that are missing.
        """
        reading = self._open(())
        reading.close()
        return reading.columns

    def open(self, since: str | None = None) -> "CsvReading":  # noqa: ARG002 - a file tells no changes
        """Open the file and read its header.

        Raises:
            SourceError: no such file, no text in this encoding, no header, or columns are missing.
        """
        return self._open(self._needed)

    def _open(self, needed: tuple[str, ...]) -> "CsvReading":
        try:
            if not self._path.is_file():
                reason = "is not a file" if self._path.exists() else "does not exist"
                raise SourceError(f"{self._path} {reason}")
            file = self._path.open("rb")
        except OSError as error:
            raise SourceError(f"{self._path} cannot be opened: {error.strerror}") from error
        try:
            return CsvReading(file, self.label, self._key, needed, self._encoding, self._delimiter)
        except BaseException:
            file.close()
            raise


class _Cells(Protocol):
    """What the csv module calls a reader."""

    @property
    def line_num(self) -> int:
        """How many lines were read."""

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


class CsvReading:
    """An open CSV file. It is read through one handle, so that a file put in its place changes nothing."""

    def __init__(
        self, file: BinaryIO, label: str, key: str, needed: tuple[str, ...], encoding: str, delimiter: str
    ) -> None:
        self._file = file
        self._label = label
        self._key = key
        self._encoding = encoding
        self._delimiter = delimiter
        self._ends_with_line = True
        self._opened = self._state()
        self._check_kind()
        self._columns = self._header(needed)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names in the header line."""
        return self._columns

    @property
    def extent(self) -> Extent:
        """The whole file."""
        return EVERYTHING

    def rows(self) -> Iterator[Row | RowProblem]:
        """Every row below the header, blank lines left out."""
        lines = self._lines()
        last: Row | RowProblem | None = None
        try:
            reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
            self._next(reader)
            for last in self._rows(reader):
                yield last
        finally:
            lines.close()
        if isinstance(last, RowProblem) and not self._ends_with_line:
            raise SourceError(
                f"{self._label} ends in the middle of line {last.line}; it was cut ({last.reason})"
            )
        if self._state() != self._opened:
            raise SourceError(f"{self._label} was changed while it was read; try again when it is finished")

    def settle(self, failed: frozenset[str]) -> None:
        """Nothing: the file stays as it is."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rows(self, reader: "_Cells") -> Iterator[Row | RowProblem]:
        key_at = self._columns.index(self._key)
        while True:
            line = reader.line_num + 1
            try:
                cells = self._next(reader)
            except csv.Error as error:
                if "unexpected end" in str(error):
                    raise SourceError(
                        f'{self._label}, line {line}: the file ends inside a quoted field; it was cut, or a " is missing'
                    ) from None
                yield RowProblem(line, f"not CSV: {error}")
                continue
            if cells is None:
                return
            if cells:
                yield self._row(line, cells, key_at)

    def _row(self, line: int, cells: list[str], key_at: int) -> Row | RowProblem:
        key = cells[key_at].strip() if key_at < len(cells) else ""
        if len(cells) != len(self._columns):
            reason = f"{len(cells)} fields where the header has {len(self._columns)}"
            # Only in the first column is the key where it should be, whatever was lost or added behind it.
            return RowProblem(line, reason, key or None if key_at == 0 else None)
        if not key:
            return RowProblem(line, f'nothing in the key column "{self._key}"')
        unreadable = _unreadable(cells)
        if unreadable is not None:
            name = self._columns[unreadable]
            reason = f'"{name}" holds bytes or characters that are no {self._encoding_name} text'
            return RowProblem(line, reason, None if unreadable == key_at else key)
        return Row(line, key, dict(zip(self._columns, cells, strict=True)))

    def _next(self, reader: "_Cells") -> list[str] | None:
        try:
            return next(reader, None)
        except UnicodeError:
            raise SourceError(
                f"{self._label}, line {reader.line_num + 1}: not {self._encoding_name} text; name the file's encoding:"
                " encoding: cp1252, for example"
            ) from None
        except OSError as error:
            raise SourceError(f"{self._label} cannot be read: {error.strerror}") from error

    def _lines(self) -> Generator[str, None, None]:
        """The file's text line by line, from the start; very long lines in pieces."""
        self._file.seek(0)
        text = io.TextIOWrapper(self._file, self._encoding, errors=self._on_error, newline="")
        last = ""
        try:
            while line := text.readline(_LONGEST_LINE):
                last = line
                yield line
        finally:
            text.detach()
        self._ends_with_line = last.endswith(("\n", "\r"))

    @property
    def _on_error(self) -> str:
        # Only where ASCII stays ASCII can a bad byte be carried to the field it stands in.
        return (
            "surrogateescape"
            if "utf-16" not in self._encoding and "utf-32" not in self._encoding
            else "strict"
        )

    @property
    def _encoding_name(self) -> str:
        return "UTF-8" if self._encoding == "utf-8-sig" else self._encoding

    def _header(self, needed: tuple[str, ...]) -> tuple[str, ...]:
        lines = self._lines()
        try:
            cells = self._next(csv.reader(lines, delimiter=self._delimiter, strict=True))
        except csv.Error as error:
            raise SourceError(f"{self._label}, line 1: the header is not CSV: {error}") from None
        finally:
            lines.close()
        columns = tuple(cell.strip() for cell in cells or ())
        missing = missing_columns(columns, needed)
        if missing:
            raise SourceError(f"{self._label} has {'; '.join(missing)}{self._other_delimiter(columns)}")
        twice = [column for column in needed if columns.count(column) > 1]
        if twice:
            raise SourceError(f'{self._label} has the column "{twice[0]}" more than once')
        return columns

    def _other_delimiter(self, columns: tuple[str, ...]) -> str:
        if len(columns) != 1:
            return f" (it has: {', '.join(columns)[:300]})"
        likely = [shown for mark, shown in _DELIMITERS.items() if mark in columns[0]]
        return f" (its columns seem to be separated otherwise: delimiter: {likely[0]})" if likely else ""

    def _check_kind(self) -> None:
        start = self._file.read(512)
        plain = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        if b"\0" in start[:4] and not self._encoding.startswith(("utf-16", "utf-32")):
            raise SourceError(
                f"{self._label} holds zero bytes; if it is text, name its encoding, such as utf-16"
            )
        if not plain:
            raise SourceError(f"{self._label} is empty; nobody is taken to have left because of that")
        if plain.startswith((b"<!doctype", b"<html", b"<?xml")):
            raise SourceError(
                f"{self._label} is a web page or XML, not CSV; was it fetched without signing in?"
            )
        if plain.startswith((b"pk\x03\x04", b"\xd0\xcf\x11\xe0")):
            raise SourceError(f"{self._label} is a spreadsheet or archive; export it as CSV")

    def _state(self) -> tuple[int, int]:
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns


def _unreadable(cells: list[str]) -> int | None:
    """Which cell holds what is no text of the encoding, or a zero byte; None if all are text."""
    for index, cell in enumerate(cells):
        if cell.isascii():
            if "\0" in cell:
                return index
            continue
        try:
            cell.encode()
        except UnicodeEncodeError:
            return index
    return None
