"""What every kind of source promises, in one suite: its tests name a factory (`make_source`) that holds the records given."""

from collections.abc import Callable, Sequence
from contextlib import closing

import pytest

from rollbook.provisioning.sources.base import Reading, Row, RowProblem, Source, SourceError
from rollbook.provisioning.survey import survey

Make = Callable[..., Source]
"""Records, and the columns that rules read → a source with the key column `id` that has them."""

PEOPLE = [
    {"id": "1", "name": "Ada Łukasiewicz", "mail": "ada@example.com"},
    {"id": "2", "name": "李 Grace", "mail": "grace@example.com"},
    {"id": "3", "name": "Quo\"te, O'Neil", "mail": "quote@example.com"},
]


def _rows(reading: Reading) -> list[Row]:
    found = list(reading.rows())
    problems = [one for one in found if isinstance(one, RowProblem)]
    assert problems == []
    return [one for one in found if isinstance(one, Row)]


def _texts(rows: Sequence[Row]) -> list[dict[str, str]]:
    return [{name: row.record[name] for name in ("id", "name", "mail")} for row in rows]


def _look_through(source: Source) -> None:
    with closing(source.open()) as reading:
        survey(reading, source.label, 0.2)


def test_every_record_as_it_is(make_source: Make) -> None:
    """Each record once, with its key and its texts, whatever letters are in them."""
    reading = make_source(PEOPLE).open()
    try:
        rows = _rows(reading)
        assert sorted(_texts(rows), key=lambda one: one["id"]) == PEOPLE
        assert {row.key for row in rows} == {"1", "2", "3"}
        assert {"id", "name", "mail"} <= set(reading.columns)
    finally:
        reading.close()


def test_the_same_records_each_time(make_source: Make) -> None:
    """A reading may be walked through again, and begun again before it has ended."""
    reading = make_source(PEOPLE).open()
    try:
        next(iter(reading.rows()))
        assert list(reading.rows()) == list(reading.rows())
    finally:
        reading.close()


def test_a_value_that_is_not_there_is_empty(make_source: Make) -> None:
    """Every record has every column."""
    people = [PEOPLE[0], {"id": "2", "name": "No Mail"}]
    reading = make_source(people).open()
    try:
        assert {row.key: row.record["mail"] for row in _rows(reading)} == {"1": "ada@example.com", "2": ""}
    finally:
        reading.close()


def test_a_column_that_rules_read_must_be_there(make_source: Make) -> None:
    """A misspelt one stops the run, with the one that may be meant."""
    with pytest.raises(SourceError, match='no column "nmae"; did you mean "name"'):
        make_source(PEOPLE, needed=("nmae",)).open()


def test_nothing_is_no_reason_to_let_everybody_go(make_source: Make) -> None:
    """A source without a record is refused, not believed: when it is opened, or when it is looked through first."""
    source = make_source([])
    with pytest.raises(SourceError, match="nobody is taken to have left"):
        _look_through(source)


def test_columns_and_label_for_people(make_source: Make) -> None:
    """What a configuration is checked against, and what messages call it."""
    source = make_source(PEOPLE)
    assert {"id", "name", "mail"} <= set(source.columns())
    assert source.label
    assert "secret" not in source.label


def test_many_records(make_source: Make) -> None:
    """More than a page of them, none lost and none twice."""
    people = [{"id": str(n), "name": f"P {n}", "mail": f"p{n}@example.com"} for n in range(1_234)]
    reading = make_source(people).open()
    try:
        assert sorted(int(row.key) for row in _rows(reading)) == list(range(1_234))
    finally:
        reading.close()
