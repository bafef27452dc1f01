"""CSV files: encodings, bad rows by line, and files that are not what they should be."""

from pathlib import Path

import pytest

from rollbook.provisioning.sources.base import Row, RowProblem, SourceError
from rollbook.provisioning.sources.csv_file import LONGEST_FIELD, CsvFile


def csv_file(folder: Path, content: bytes | str, **options: object) -> CsvFile:
    """A file with that content and the key column `id`."""
    path = folder / "people.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return CsvFile(path, "id", **options)  # type: ignore[arg-type]  # options of CsvFile


def read(folder: Path, content: bytes | str, **options: object) -> list[Row | RowProblem]:
    """Everything in a file with that content."""
    reading = csv_file(folder, content, **options).open()
    try:
        return list(reading.rows())
    finally:
        reading.close()


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("id,name\n1,Jürgen ß 李\n".encode(), None),
        ("id,name\n1,Jürgen ß 李\n".encode("utf-8-sig"), None),
        ("id,name\n1,Jürgen ß 李\n".encode("utf-8-sig"), "UTF-8"),
        ("id,name\r\n1,Jürgen ß 李\r\n".encode("utf-16"), "utf-16"),
        ("id,name\n1,Jürgen ß 李".encode("utf-16-le"), "UTF-16-LE"),
    ],
    ids=["utf-8", "bom", "bom-named", "utf-16", "utf-16-le"],
)
def test_encodings(tmp_path: Path, content: bytes, encoding: str | None) -> None:
    """UTF-8 with or without BOM by default, otherwise what is named."""
    assert read(tmp_path, content, encoding=encoding) == [Row(2, "1", {"id": "1", "name": "Jürgen ß 李"})]


def test_windows_encoding(tmp_path: Path) -> None:
    """A file in cp1252 is read when that is said."""
    assert read(tmp_path, "id,name\n1,Jürgen €\n".encode("cp1252"), encoding="cp1252") == [
        Row(2, "1", {"id": "1", "name": "Jürgen €"})
    ]


def test_an_encoding_is_never_guessed(tmp_path: Path) -> None:
    """A row that is not UTF-8 is a problem that names column and line; its neighbours are read."""
    content = "id,name\n1,Ann\n2,Jürgen\n3,Bea\n".encode("cp1252")
    first, second, third = read(tmp_path, content)
    assert second == RowProblem(3, '"name" holds bytes or characters that are no UTF-8 text', "2")
    assert (first, third) == (
        Row(2, "1", {"id": "1", "name": "Ann"}),
        Row(4, "3", {"id": "3", "name": "Bea"}),
    )


def test_wide_encodings_that_do_not_fit_stop(tmp_path: Path) -> None:
    """UTF-16 has no rows to go on with after a bad byte."""
    with pytest.raises(SourceError, match="not utf-16 text; name the file's encoding"):
        read(tmp_path, b"id,name\n1,Ann\n2", encoding="utf-16")


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ("1,Ann\n", [Row(2, "1", {"id": "1", "name": "Ann"})]),
        ("1,Ann", [Row(2, "1", {"id": "1", "name": "Ann"})]),
        ("\n1,Ann\n\n", [Row(3, "1", {"id": "1", "name": "Ann"})]),
        ('1,"A\nB, ""C"""\n2,x\n', [Row(2, "1", {"id": "1", "name": 'A\nB, "C"'}), Row(4, "2", {"id": "2", "name": "x"})]),
        (" 1 ,Ann\n", [Row(2, "1", {"id": " 1 ", "name": "Ann"})]),
        ("1\n2,x\n", [RowProblem(2, "1 fields where the header has 2", "1"), Row(3, "2", {"id": "2", "name": "x"})]),
        ("1,a,b\n2,x\n", [RowProblem(2, "3 fields where the header has 2", "1"), Row(3, "2", {"id": "2", "name": "x"})]),
        (",Ann\n", [RowProblem(2, 'nothing in the key column "id"')]),
        ('1,"Ann"x\n2,x\n', [RowProblem(2, "not CSV: ',' expected after '\"'"), Row(3, "2", {"id": "2", "name": "x"})]),
        ("1,a\0b\n", [RowProblem(2, '"name" holds bytes or characters that are no UTF-8 text', "1")]),
    ],
    ids=["plain", "no-end", "blank", "quoted", "spaces", "short", "long", "no-key", "quotes", "zero"],
)  # fmt: skip
def test_rows(tmp_path: Path, rows: str, found: list[Row | RowProblem]) -> None:
    """T-70: every bad row is a problem with its line; it stops nothing."""
    assert read(tmp_path, "id,name\n" + rows) == found


def test_a_doubtful_key_is_none(tmp_path: Path) -> None:
    """In a row of the wrong length only a first column is where it should be."""
    assert read(tmp_path, "name,id\nAnn\nBea,x,2\nCid,3\n")[:2] == [
        RowProblem(2, "1 fields where the header has 2"),
        RowProblem(3, "3 fields where the header has 2"),
    ]


def test_a_field_without_end_is_bounded(tmp_path: Path) -> None:
    """T-70: a field over the limit is a problem, and what follows is read on."""
    content = "id,name\n1," + "x" * (LONGEST_FIELD + 1) + "\n2,Bea\n"
    problem, row = read(tmp_path, content)
    assert isinstance(problem, RowProblem)
    assert "field larger than field limit" in problem.reason
    assert row == Row(3, "2", {"id": "2", "name": "Bea"})


def test_a_line_without_end_is_read_in_pieces(tmp_path: Path) -> None:
    """T-70: a line of many megabytes does not have to fit into memory."""
    content = "id,name\n" + "1," * 3_000_000 + "\n2,Bea\n"
    found = read(tmp_path, content)
    assert found[-1] == Row(found[-1].line, "2", {"id": "2", "name": "Bea"})
    assert all(isinstance(one, RowProblem) for one in found[:-1])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("  \n\n", "is empty"),
        ("\ufeff", "is empty"),
        ("<!DOCTYPE html>\n<html>", "web page or XML"),
        ('<?xml version="1.0"?>', "web page or XML"),
        (b"PK\x03\x04rest", "spreadsheet or archive"),
        ("id,name\n1,Ann\n".encode("utf-16"), "zero bytes"),
        ("ID,name\n1,Ann\n", 'no column "id"; did you mean "ID"?'),
        ("id;name\n1;Ann\n", "delimiter: ';'"),
        ("id\tname\n1\tAnn\n", 'delimiter: "\\\\t"'),
        ("a,b\n1,2\n", r"no column \"id\" \(it has: a, b\)"),
        ("id,id\n1,2\n", 'the column "id" more than once'),
        ('id,"na\n1,Ann\n', "line 1: the header is not CSV"),
    ],
    ids=[
        "empty", "blank", "only-bom", "html", "xml", "zip", "utf-16", "case", "semicolon", "tab", "other",
        "twice", "open-quote",
    ],
)  # fmt: skip
def test_what_is_not_the_file_is_refused_when_opened(tmp_path: Path, content: bytes | str, told: str) -> None:
    """FE-11, T-71: each says what the file seems to be, or what to set."""
    with pytest.raises(SourceError, match=told):
        csv_file(tmp_path, content).open()


def test_missing_columns_are_all_named(tmp_path: Path) -> None:
    """What rules read and the file has not, each with the column that may be meant."""
    with pytest.raises(SourceError) as refused:
        csv_file(tmp_path, "id,first_name,mail\n1,A,B\n", needed=("frist_name", "born")).open()
    assert 'no column "frist_name"; did you mean "first_name"?; no column "born"' in refused.value.detail


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('id,name\n1,Ann\n2,"Bea', "line 3: the file ends inside a quoted field"),
        ("id,name,x\n1,Ann,y\n2,Be", "ends in the middle of line 3"),
    ],
    ids=["in-quotes", "in-row"],
)
def test_a_cut_file_is_not_complete(tmp_path: Path, content: str, told: str) -> None:
    """T-71: records behind the cut are not taken to be gone."""
    with pytest.raises(SourceError, match=told):
        read(tmp_path, content)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """FE-11: half of the old and half of the new file is neither."""
    source = csv_file(tmp_path, "id,name\n" + "1,Ann\n" * 10_000)
    reading = source.open()
    rows = reading.rows()
    next(rows)
    with (tmp_path / "people.csv").open("a") as file:
        file.write("2,Bea\n")
    with pytest.raises(SourceError, match="was changed while it was read"):
        list(rows)
    reading.close()


def test_a_file_put_in_its_place_changes_nothing(tmp_path: Path) -> None:
    """The same records come a second time, from the file that was opened."""
    reading = csv_file(tmp_path, "id,name\n1,Ann\n").open()
    first = list(reading.rows())
    (tmp_path / "new.csv").write_text("id,name\n2,Bea\n")
    (tmp_path / "new.csv").replace(tmp_path / "people.csv")
    assert list(reading.rows()) == first
    reading.close()


@pytest.mark.parametrize(("name", "told"), [("nothing.csv", "does not exist"), (".", "is not a file")])
def test_no_file(tmp_path: Path, name: str, told: str) -> None:
    """The path and the reason are named."""
    with pytest.raises(SourceError, match=told):
        CsvFile(tmp_path / name, "id").open()


def test_columns_can_be_looked_at_without_needing_any(tmp_path: Path) -> None:
    """For checking a configuration before anything is pulled."""
    assert csv_file(tmp_path, "a; b\n1;2\n", delimiter=";").columns() == ("a", "b")
