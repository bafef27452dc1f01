"""Sources are streamed: what is in memory does not grow with the number of records."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from rollbook.provisioning.sources.base import Source, SourceError
from rollbook.provisioning.sources.csv_file import CsvFile
from rollbook.provisioning.sources.json_lines import json_lines
from rollbook.provisioning.sources.spool import Course, Item, SpooledSource
from rollbook.provisioning.sources.sql import sql
from rollbook.provisioning.survey import survey

COUNT = 10_000
WIDE = "x" * 300
MOST = 1_000_000
"""Bytes; all records together are three times that."""


def _csv(folder: Path) -> Source:
    rows = "".join(f"{n},{WIDE}\n" for n in range(COUNT))
    (folder / "people.csv").write_text(f"id,note\n{rows}", "utf-8")
    return CsvFile(folder / "people.csv", "id")


def _json(folder: Path) -> Source:
    lines = "".join(json.dumps({"id": str(n), "note": WIDE}) + "\n" for n in range(COUNT))
    (folder / "people.jsonl").write_text(lines, "utf-8")
    return json_lines(folder / "people.jsonl", "id", ())


def _sql(folder: Path) -> Source:
    url = f"sqlite:///{folder / 'hr.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE people (id integer, note text)"))
        rows = [{"id": n, "note": WIDE} for n in range(COUNT)]
        connection.execute(text("INSERT INTO people VALUES (:id, :note)"), rows)
    engine.dispose()
    return sql(url, "SELECT id, note FROM people", "id", ())


def _walk(_: Path) -> Source:
    """What LDAP, SCIM, another Rollbook and webhooks have in common: a walk that is put aside."""

    def walk(_: Course) -> Iterator[Item]:
        for number in range(COUNT):
            yield {"id": str(number), "note": WIDE + str(number)}

    return SpooledSource("the place", "id", (), walk)


@pytest.mark.parametrize("make", [_csv, _json, _sql, _walk])
def test_memory_is_bounded(tmp_path: Path, make: Callable[[Path], Source]) -> None:
    """Opened, looked through, and walked once more."""
    source = make(tmp_path)
    source.open().close()  # libraries are loaded by now
    tracemalloc.start()
    try:
        with closing(source.open()) as reading:
            assert survey(reading, source.label, 0.2).rows == COUNT
            assert sum(1 for _ in reading.rows()) == COUNT
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


def test_a_walk_that_breaks_off_is_no_reading() -> None:
    """T-71: whatever it had given, nothing of it is used."""

    def walk(_: Course) -> Iterator[Item]:
        yield {"id": "1"}
        raise SourceError("the place: broke off")

    with pytest.raises(SourceError, match="broke off"):
        SpooledSource("the place", "id", (), walk).open()
