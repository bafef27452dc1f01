"""`python -m spec`: which rows of the specification have a test."""

import contextlib
import io
import sys
from collections import Counter
from collections.abc import Callable

import pytest
from rich.console import Console
from rich.table import Table

from spec.names import named
from spec.table import Row, closing, count, deferred, rows, shortcomings


class Collector:
    """A pytest plugin that notes which rows tests name; no test is run."""

    def __init__(self) -> None:
        self.ids: Counter[str] = Counter()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the rows of every test."""
        self.ids = named(session.items)


def collected() -> Counter[str]:
    """How many tests each row has.

    Raises:
        SystemExit: the tests cannot be collected.
    """
    collector, said = Collector(), io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider"], plugins=[collector])
    if code != 0:
        sys.exit(f"the tests cannot be collected:\n{said.getvalue()[-3000:]}")
    return collector.ids


def main() -> int:
    """Print the coverage; 1 if rows that must have a test have none."""
    tested = collected()
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(_table("section", lambda row: row.section, tested))
    console.print(_table("level", lambda row: row.level, tested))
    _print_untested(console, tested)
    short = shortcomings(tested)
    for line in short:
        console.print(f"! {line[:118]}", markup=False, highlight=False, style="red")
    console.print(closing(tested))
    return 1 if short else 0


def _table(title: str, group: Callable[[Row], str], tested: Counter[str]) -> Table:
    table = Table(title, "rows", "with a test", "deferred", "covered")
    for name in dict.fromkeys(map(group, rows())):
        counted = count((row for row in rows() if group(row) == name), tested)
        table.add_row(
            name, str(counted.rows), str(counted.tested), str(counted.deferred), f"{counted.share:.0%}"
        )
    return table


def _print_untested(console: Console, tested: Counter[str]) -> None:
    for row in rows():
        if row.id not in tested:
            reason = deferred().get(row.id)
            said = f"waits for {reason}" if reason else "no test"
            console.print(f"  {row.id} ({row.level}): {said}", markup=False, highlight=False)


if __name__ == "__main__":
    sys.exit(main())
