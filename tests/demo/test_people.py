"""The HR exports: made by the script, and telling the story they should."""

from pathlib import Path

import pytest

from rollbook.demo import people
from rollbook.demo.expected import read_export

DATA = Path(people.__file__).with_name("data")


def test_exports_are_what_the_script_writes(tmp_path: Path) -> None:
    """The committed files are those the script makes, byte for byte."""
    people.write(tmp_path)
    for day in people.DAYS:
        name = f"day{day}.csv"
        assert (DATA / name).read_bytes() == (tmp_path / name).read_bytes(), (
            f"run: python -m {people.__name__}"
        )


@pytest.mark.parametrize("day", people.DAYS)
def test_every_export_is_consistent(day: int) -> None:
    """Addresses are unique, managers exist and are not oneself, and somebody has no manager."""
    rows = read_export(DATA / f"day{day}.csv")
    emails = [row["email"] for row in rows.values()]
    assert len(set(emails)) == len(emails)
    managers = {key: row["manager_id"] for key, row in rows.items()}
    assert all(manager == "" or (manager in rows and manager != key) for key, manager in managers.items())
    assert list(managers.values()).count("") == 1


def test_first_export_has_what_hr_data_has() -> None:
    """About 250 people: two of one name, other scripts, accents, people listed before their manager."""
    rows = read_export(DATA / "day1.csv")
    names = [f"{row['first_name']} {row['last_name']}" for row in rows.values()]
    order = list(rows)
    before = [
        key
        for key, row in rows.items()
        if row["manager_id"] and order.index(row["manager_id"]) > order.index(key)
    ]
    assert len(rows) == 250
    assert names.count("Anna Schmidt") == 2
    assert sum(not name.isascii() for name in names) > 50
    assert any("\u0590" <= letter <= "\u05ff" for name in names for letter in name), "right to left"
    assert len(before) > 50


@pytest.mark.parametrize(
    ("day", "key", "column", "old", "new"),
    [
        pytest.param(
            2, "10009", "email", "aylin.kaya@kestrel.example", "aylin.brandt@kestrel.example", id="marriage"
        ),
        pytest.param(2, "10023", "department", "Engineering", "Product", id="move"),
        pytest.param(3, "10012", "end_date", "", "2023-03-31", id="leaver"),
        pytest.param(4, "10012", "end_date", "2023-03-31", "", id="rehire"),
        pytest.param(4, "10023", "department", "Product", "Engineering", id="move back"),
    ],
)
def test_days_tell_the_story(day: int, key: str, column: str, old: str, new: str) -> None:
    """Somebody marries, moves, leaves, comes back."""
    before, after = (read_export(DATA / f"day{number}.csv")[key][column] for number in (day - 1, day))
    assert (before, after) == (old, new)


def test_a_row_without_a_key_is_in_one_export_only() -> None:
    """The second day has a row that nobody can be identified by; readers skip it."""
    lines = {day: (DATA / f"day{day}.csv").read_text("utf-8").count("\n,") for day in people.DAYS}
    assert lines == {1: 0, 2: 1, 3: 0, 4: 0}
    assert "" not in read_export(DATA / "day2.csv")


def test_one_row_vanishes() -> None:
    """One person is in the second export and not in the third."""
    second, third = (read_export(DATA / f"day{day}.csv") for day in (2, 3))
    assert second.keys() - third.keys() == {"10208"}
