"""The suite of sources on JSON lines, and what only they have."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.provisioning.sources.conformance import *  # noqa: F403 - the suite
from tests.provisioning.sources.conformance import Make

from rollbook.provisioning.sources.base import Row, RowProblem, Source, SourceError
from rollbook.provisioning.sources.flat import flat
from rollbook.provisioning.sources.json_lines import json_lines


@pytest.fixture
def make_source(tmp_path: Path) -> Make:
    """A file with these records."""

    def make(records: Sequence[dict[str, str]], needed: tuple[str, ...] = ()) -> Source:
        path = tmp_path / "people.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in records), "utf-8")
        return json_lines(path, "id", needed)

    return make


@pytest.mark.parametrize(
    ("document", "record"),
    [
        ({"a": "x", "b": 1, "c": True, "d": None, "e": 1.5}, {"a": "x", "b": "1", "c": "true", "e": "1.5"}),
        ({"name": {"first": "Ada", "last": {"x": "L"}}}, {"name.first": "Ada", "name.last.x": "L"}),
        ({"tags": ["a", "b"]}, {"tags": "a\nb"}),
        ({"tags": []}, {}),
        (
            {"emails": [{"value": "h@x", "type": "home"}, {"value": "w@x", "type": "work", "primary": True}]},
            {"emails": "w@x", "emails.home": "h@x", "emails.work": "w@x"},
        ),
        ({"groups": [{"value": "1"}, {"value": "2"}]}, {"groups": "1\n2"}),
        (
            {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R&D"}},
            {"enterprise.department": "R&D"},
        ),
        ({"addresses": [{"city": "Oslo"}]}, {"addresses": '{"city":"Oslo"}'}),
    ],
)
def test_documents_are_made_flat(document: dict[str, object], record: dict[str, str]) -> None:
    """What is inside has a name with dots, what is many has lines."""
    assert flat(document) == record


def test_too_many_fields_are_refused() -> None:
    """A record with thousands of fields is no person."""
    with pytest.raises(ValueError, match="more than 2000 fields"):
        flat({f"f{n}": "x" for n in range(2_001)})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no records"),
        ("\n\n", "has no records"),
        ("[1]\n", "not a JSON object; write one object in each line"),
        ("<html>", "not a JSON object"),
        ('{"id": "1"}\n{"id": "2", "na', "ends in the middle of line 2; it was cut"),
        ('{"name": "x"}\n', 'no column "id"'),
    ],
)
def test_files_that_stop_the_run(tmp_path: Path, content: str, words: str) -> None:
    """T-71: an empty, cut or strange file is refused as a whole."""
    path = tmp_path / "people.jsonl"
    path.write_text(content, "utf-8")
    with pytest.raises(SourceError) as refused:
        json_lines(path, "id", ()).open()
    assert words in refused.value.detail


def test_a_bad_line_is_left_out_by_name(tmp_path: Path) -> None:
    """T-70: it stops nobody else."""
    path = tmp_path / "people.jsonl"
    path.write_text('{"id": 1}\nnonsense\n7\n{"id": ""}\n{"id": 2, "x": "a\\u0000"}\n{"id": 3}\n', "utf-8")
    reading = json_lines(path, "id", ()).open()
    found = list(reading.rows())
    reading.close()
    assert [row.key for row in found if isinstance(row, Row)] == ["1", "3"]
    assert [row.line for row in found if isinstance(row, RowProblem)] == [2, 3, 4, 5]


def test_no_such_file(tmp_path: Path) -> None:
    """It says so."""
    with pytest.raises(SourceError, match="does not exist"):
        json_lines(tmp_path / "none.jsonl", "id", ()).open()
