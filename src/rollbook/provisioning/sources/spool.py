"""Sources that cannot be read twice: their records are put aside once, and read from there.

A pull looks at every record twice, and both times it must see the same. What a database, a directory or a server shows changes
meanwhile, so that the records of one walk are written to a temporary file that has no name and goes with its handle.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

import orjson

from rollbook.provisioning.sources.base import Found, Row, RowProblem, SourceError, missing_columns

LONGEST_VALUE = 131_072
"""Characters of one value; the limit of a field in a CSV file too."""

Fields = dict[str, str]
Problem = str


class Spooled:
    """The records of a walk that came to its end. Every record has every column; a value it lacks is empty."""

    def __init__(self, label: str, key: str, needed: Sequence[str]) -> None:
        self._label = label
        self._key = key
        self._needed = needed
        self._columns: dict[str, None] = {}
        self._file = tempfile.TemporaryFile(prefix="rollbook-source-")  # noqa: SIM115 - closed by close
        self._count = 0

    def fill(self, records: Iterable[Fields | Problem]) -> "Spooled":
        """Put all records aside; a text in place of one says why it cannot be used.

        Raises:
            SourceError: the walk did not come to its end, there is none, or no record has a column that rules read.
        """
        try:
            for record in records:
                self._count += 1
                if isinstance(record, dict):
                    self._columns.update(dict.fromkeys(record))
                self._file.write(orjson.dumps(record) + b"\n")
            self._check()
        except BaseException:
            self.close()
            raise
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Every name that any record has."""
        return tuple(self._columns)

    def rows(self) -> Iterator[Found]:
        """Every record in order; `line` counts them from 1."""
        empty = dict.fromkeys(self._columns, "")
        self._file.seek(0)
        for number, line in enumerate(self._file, start=1):
            found = orjson.loads(line)
            yield RowProblem(number, found) if isinstance(found, str) else self._row(number, empty | found)

    def close(self) -> None:
        """Let go of the file, and with it of what is in it."""
        with suppress(OSError):
            self._file.close()

    def _row(self, number: int, record: Fields) -> Found:
        key = record.get(self._key, "").strip()
        if not key:
            return RowProblem(number, f'nothing in the key column "{self._key}"')
        too_long = next((name for name, value in record.items() if len(value) > LONGEST_VALUE), None)
        if too_long is not None:
            return RowProblem(number, f'"{too_long}" has more than {LONGEST_VALUE} characters', key)
        if any("\0" in value for value in record.values()):
            return RowProblem(number, "a value holds a zero byte", key)
        return Row(number, key, record)

    def _check(self) -> None:
        if not self._count:
            raise SourceError(f"{self._label} has no records; nobody is taken to have left because of that")
        missing = missing_columns(self.columns, tuple(dict.fromkeys((self._key, *self._needed))))
        if missing and self._columns:
            raise SourceError(
                f"{self._label} has {'; '.join(missing)} (it has: {', '.join(self.columns)[:300]})"
            )


class SpooledSource:
    """A `Source` whose records come from one walk."""

    def __init__(
        self, label: str, key: str, needed: Sequence[str], walk: Callable[[], Iterable[Fields | Problem]]
    ) -> None:
        self._label = label
        self._key = key
        self._needed = tuple(needed)
        self._walk = walk

    @property
    def label(self) -> str:
        """The source as people know it."""
        return self._label

    def columns(self) -> tuple[str, ...]:
        """The columns its records have now.

        Raises:
            SourceError: it cannot be read.
        """
        reading = Spooled(self._label, self._key, ()).fill(self._walk())
        reading.close()
        return reading.columns

    def open(self) -> Spooled:
        """Read everything.

        Raises:
            SourceError: it cannot be read to its end, or is not what the configuration says.
        """
        return Spooled(self._label, self._key, self._needed).fill(self._walk())
