"""The section `tables`: entries that stand in the file, or in a CSV file beside it."""

import codecs
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rollbook.provisioning.config.document import Document, Place
from rollbook.provisioning.config.shape import is_in_file
from rollbook.provisioning.names import suggest
from rollbook.provisioning.sources.base import Row, SourceError
from rollbook.provisioning.sources.csv_file import CsvFile, CsvReading
from rollbook.provisioning.tables import Tables

MOST_ENTRIES = 100_000
"""Of one table: it is held in memory."""


def read_tables(document: Document, folder: Path) -> Tables:
    """Every table of the file; what is wrong with one is reported, and it is there all the same, for its name."""
    section = document.data.get("tables") if isinstance(document.data, dict) else None
    found: dict[str, Mapping[str, str]] = {}
    for name, raw in section.items() if isinstance(section, dict) else ():
        if is_in_file(raw):
            found[name] = _from_file(document, ("tables", name), raw, folder)
        elif isinstance(raw, dict):
            found[name] = {key: value for key, value in raw.items() if isinstance(value, str)}
    return Tables(found)


def _from_file(document: Document, place: Place, raw: Mapping[str, Any], folder: Path) -> Mapping[str, str]:
    key, value, encoding = raw.get("key"), raw.get("value"), raw.get("encoding")
    if not (
        isinstance(key, str) and key and isinstance(value, str) and value and isinstance(raw["file"], str)
    ):
        return {}  # the shape says what is wrong
    try:
        codecs.lookup(encoding or "utf-8")
    except (LookupError, TypeError):
        mark = document.value((*place, "encoding"))
        document.report("RB105", f"{encoding} is no encoding", mark, "such as utf-8 or cp1252")
        return {}
    delimiter = raw.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        return {}
    file = CsvFile(folder / raw["file"], key, encoding=encoding, delimiter=delimiter)
    try:
        if not _has_columns(document, place, (key, value), file.columns()):
            return {}
        return _entries(file, value)
    except SourceError as error:
        document.report("RB115", "the table cannot be read", document.value((*place, "file")), error.detail)
        return {}


def _has_columns(document: Document, place: Place, wanted: tuple[str, str], columns: tuple[str, ...]) -> bool:
    for at, name in zip(("key", "value"), wanted, strict=True):
        if name not in columns:
            near = suggest(name, columns)
            note = f"did you mean: {near}" if near else f"it has: {', '.join(columns)[:300]}"
            mark = document.value((*place, at))
            document.report("RB114", f"the table's file has no column {name}", mark, "", note)
    return set(wanted) <= set(columns)


def _entries(file: CsvFile, value: str) -> Mapping[str, str]:
    reading = file.open()
    try:
        return _read(reading, file.label, value)
    finally:
        reading.close()


def _read(reading: CsvReading, label: str, value: str) -> Mapping[str, str]:
    """The entries.

    Raises:
        SourceError: a row cannot be used, a key stands twice with two values, or there are too many.
    """
    found: dict[str, str] = {}
    for row in reading.rows():
        if not isinstance(row, Row):
            raise SourceError(f"{label}, line {row.line}: {row.reason}")
        text = row.record[value]
        if found.setdefault(row.key, text) != text:
            raise SourceError(f"{label}, line {row.line}: {row.key} stands twice, with two values")
        if len(found) > MOST_ENTRIES:
            raise SourceError(f"{label} has more than {MOST_ENTRIES:,} entries")
    return found
