"""The first look at a source: keys, bad rows, shrinkage."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.provisioning.sources.base import EVERYTHING, Found, Row, RowProblem, SourceError
from rollbook.provisioning.survey import Keys, check_shrinkage, survey


class Rows:
    """A reading of given rows."""

    columns = ("id",)
    extent = EVERYTHING

    def __init__(self, *found: Found) -> None:
        self._found = found

    def rows(self) -> Iterator[Found]:
        """The rows."""
        return iter(self._found)

    def settle(self, failed: frozenset[str]) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


def good(count: int) -> list[Found]:
    """Rows with keys of their own."""
    return [Row(line, str(line), {}) for line in range(2, count + 2)]


@given(st.lists(st.text(max_size=5)), st.text(max_size=5))
def test_keys_are_a_set(keys: list[str], other: str) -> None:
    """Sealed keys answer as a set does, and know what came twice."""
    known = Keys()
    for key in keys:
        known.add(key)
    repeated = known.seal()
    assert all(key in known for key in keys)
    assert (other in known) == (other in keys)
    assert (len(repeated) > 0) == (len(set(keys)) < len(keys))


def test_a_survey_counts() -> None:
    """Rows, keys, repeated keys and bad rows; a bad row's key is in the file all the same."""
    rows = [*good(3), Row(9, "2", {}), RowProblem(10, "bad", "x"), RowProblem(11, "bad")]
    found = survey(Rows(*rows), "file", 0.2)
    assert (found.rows, len(found.bad)) == (4, 2)
    assert [key for key in ("2", "3", "x", "y") if key in found.keys] == ["2", "3", "x"]
    assert [found.is_repeated(key) for key in ("2", "3")] == [True, False]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "a header and no rows"),
        ([RowProblem(2, "broken")], "1 of 1 rows cannot be used"),
        ([*good(10), *[RowProblem(20, "broken")] * 5], "5 of 15 rows cannot be used"),
    ],
)
def test_what_is_mostly_bad_stops_the_run(rows: list[Found], told: str) -> None:
    """FE-11: shifted columns or another file are not taken row by row; the first bad line is named."""
    with pytest.raises(SourceError, match=told):
        survey(Rows(*rows), "file", 0.2)


def test_a_few_bad_rows_stop_nothing() -> None:
    """Four of ten are four problems, not a broken file."""
    assert len(survey(Rows(*good(6), *[RowProblem(20, "broken")] * 4), "file", 0.2).bad) == 4


@pytest.mark.parametrize(
    ("known", "missing", "limit", "stops"),
    [
        (100, 20, 0.2, False),
        (100, 21, 0.2, True),
        (10, 4, 0.2, False),
        (10, 5, 0.2, True),
        (1000, 5, 0.0, True),
        (3, 3, 1.0, True),
        (1, 1, 0.2, False),
        (100, 99, 1.0, False),
    ],
)
def test_shrinkage(known: int, missing: int, limit: float, *, stops: bool) -> None:
    """Five or more above the share, or everybody, stop; one of one is a leaver."""
    if stops:
        with pytest.raises(SourceError, match=f"{missing} of {known}"):
            check_shrinkage("file", known, missing, limit)
    else:
        check_shrinkage("file", known, missing, limit)
