"""Reads the rows of the specification, and says how many of them have a test."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent

ALL = ("MUST", "MUST NOT", "HOUSE")
"""Levels of which every row that is not deferred must have a test."""

MOST = ("SHOULD", "SHOULD NOT")
"""Levels of which 95 % of the rows must have one."""

SHARE = 0.95


@dataclass(frozen=True)
class Row:
    """One requirement: a level of the RFC's, or HOUSE for our choice and CLIENT for what a server must be ready for."""

    id: str
    section: str
    level: str
    requirement: str
    reference: str
    test: str


@cache
def rows() -> tuple[Row, ...]:
    """Every row, in the order of the specification."""
    with (HERE / "rows.csv").open(encoding="utf-8", newline="") as file:
        return tuple(Row(**row) for row in csv.DictReader(file))


@cache
def deferred() -> Mapping[str, str]:
    """The rows that are not built yet, or on purpose not: id → what they wait for."""
    with (HERE / "deferred.csv").open(encoding="utf-8", newline="") as file:
        return {row["id"]: row["waits for"] for row in csv.DictReader(file)}


@dataclass(frozen=True)
class Count:
    """Of some rows: how many there are, have a test, and are deferred."""

    rows: int
    tested: int
    deferred: int

    @property
    def share(self) -> float:
        """The share of those to be tested that are; 1 if there are none."""
        due = self.rows - self.deferred
        return self.tested / due if due else 1.0


def count(chosen: Iterable[Row], tested: Iterable[str]) -> Count:
    """How many of the rows have a test; a deferred one that has a test counts as tested."""
    known, each = set(tested), list(chosen)
    with_test = [row for row in each if row.id in known]
    waiting = [row for row in each if row.id not in known and row.id in deferred()]
    return Count(len(each), len(with_test), len(waiting))


def closing(tested: Iterable[str]) -> str:
    """How many rows there are, have a test, wait and have none, in a line."""
    whole = count(rows(), tested)
    return (
        f"{whole.rows} rows: {whole.tested} with a test, {whole.deferred} deferred,"
        f" {whole.rows - whole.tested - whole.deferred} without"
    )


def shortcomings(tested: Iterable[str]) -> list[str]:
    """What keeps the specification from being covered, in words; nothing if it is."""
    known = set(tested)
    ids = {row.id for row in rows()}
    found = [f"{name}: no such row" for name in sorted((known | deferred().keys()) - ids)]
    found += [
        f"{row.id} ({row.level}) has no test: {row.requirement}"
        for row in rows()
        if row.level in ALL and row.id not in known and row.id not in deferred()
    ]
    share = count((row for row in rows() if row.level in MOST), known).share
    if share < SHARE:
        found.append(f"only {share:.0%} of the {' and '.join(MOST)} rows have a test, {SHARE:.0%} must")
    return found
