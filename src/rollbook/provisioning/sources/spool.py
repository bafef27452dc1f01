"""Sources that cannot be read twice: their records are put aside once, and read from there.

A pull looks at every record twice, and both times it must see the same. What a database, a directory or a server shows changes
meanwhile, so that the records of one walk are written to a temporary file that has no name and goes with its handle.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import orjson

from rollbook.provisioning.sources.base import (
    Extent,
    Found,
    Gone,
    Row,
    RowProblem,
    Same,
    SourceError,
    missing_columns,
)

LONGEST_VALUE = 131_072
"""Characters of one value; the limit of a field in a CSV file too."""

Fields = dict[str, str]
Problem = str


@dataclass(frozen=True, slots=True)
class There:
    """In a walk over changes: the record of that key is there as it was."""

    key: str


@dataclass(frozen=True, slots=True)
class Left:
    """In a walk over changes: the record of that key is gone."""

    key: str


Item: TypeAlias = Fields | Problem | There | Left


@dataclass
class Course:
    """One walk: where it is to begin, and what it says of itself on the way, at the latest when it ends.

    `plain` asks for the way of reading that works everywhere, with no mark at its end.
    """

    since: str | None = None
    plain: bool = False
    partial: bool = False
    mark: str | None = None
    remark: str | None = None


class Anew(Exception):
    """What a walk has given so far is worth nothing: everything is to be read; says why."""

    def __init__(self, reason: str, *, plain: bool = False) -> None:
        super().__init__(reason)
        self.plain = plain


Walk: TypeAlias = Callable[[Course], Iterable[Item]]

_MOST_ATTEMPTS = 3
"""From the mark, from the start, and from the start the plain way."""


class Spooled:
    """The records of a walk that came to its end. Every record has every column; a value it lacks is empty."""

    def __init__(self, label: str, key: str, needed: Sequence[str]) -> None:
        self._label = label
        self._key = key
        self._needed = tuple(dict.fromkeys((key, *needed)))
        self._columns: dict[str, None] = {}
        self._file = tempfile.TemporaryFile(prefix="rollbook-source-")  # noqa: SIM115 - closed by close
        self._count = 0
        self._course = Course()

    def fill(self, records: Iterable[Item], course: Course | None = None) -> "Spooled":
        """Put all records aside; a text in place of one says why it cannot be used.

        Raises:
            SourceError: the walk did not come to its end, there is none, or no record has a column that rules read.
        """
        try:
            for record in records:
                self._count += 1
                if isinstance(record, dict):
                    self._columns.update(dict.fromkeys(record))
                self._file.write(_line(record))
            self._course = course or self._course
            self._check()
        except BaseException:
            self.close()
            raise
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Every name that any record has."""
        return tuple(self._columns)

    @property
    def extent(self) -> Extent:
        """What the walk said of itself."""
        course = self._course
        return Extent(course.since, course.partial, course.mark, course.remark)

    def rows(self) -> Iterator[Found]:
        """Every record in order; `line` counts them from 1."""
        empty = dict.fromkeys((*self._columns, *self._needed), "")
        self._file.seek(0)
        for number, line in enumerate(self._file, start=1):
            match orjson.loads(line):
                case str() as reason:
                    yield RowProblem(number, reason)
                case [str() as key, bool() as there]:
                    yield Same(number, key) if there else Gone(number, key)
                case found:
                    yield self._row(number, empty | found)

    def settle(self, failed: frozenset[str]) -> None:
        """Nothing: what was put aside goes when it is closed."""

    def close(self) -> None:
        """Let go of the file, and with it of what is in it."""
        with suppress(OSError):
            self._file.close()

    def _row(self, number: int, record: Fields) -> Found:
        key = record.get(self._key, "").strip()
        if not key:
            return RowProblem(number, f'nothing in the key column "{self._key}"')
        reason = unusable(record)
        return Row(number, key, record) if reason is None else RowProblem(number, reason, key)

    def _check(self) -> None:
        if self._course.partial or self._course.since is not None:
            return  # of few records, none may have a value that others have
        if not self._count:
            raise SourceError(f"{self._label} has no records; nobody is taken to have left because of that")
        missing = missing_columns(self.columns, self._needed)
        if missing and self._columns:
            raise SourceError(
                f"{self._label} has {'; '.join(missing)} (it has: {', '.join(self.columns)[:300]})"
            )


def unusable(record: Fields) -> str | None:
    """Why a record with a key cannot be used, None if it can."""
    too_long = next((name for name, value in record.items() if len(value) > LONGEST_VALUE), None)
    if too_long is not None:
        return f'"{too_long}" has more than {LONGEST_VALUE} characters'
    if any("\0" in value for value in record.values()):
        return "a value holds a zero byte"
    return None


def _line(record: Item) -> bytes:
    match record:
        case There(key):
            return orjson.dumps([key, True]) + b"\n"
        case Left(key):
            return orjson.dumps([key, False]) + b"\n"
        case _:
            return orjson.dumps(record) + b"\n"


class SpooledSource:
    """A `Source` whose records come from one walk."""

    def __init__(self, label: str, key: str, needed: Sequence[str], walk: Walk) -> None:
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
        reading = self._read(Course(), ())
        reading.close()
        return reading.columns

    def open(self, since: str | None = None) -> Spooled:
        """Read everything, or what has changed since a mark.

        Raises:
            SourceError: it cannot be read to its end, or is not what the configuration says.
        """
        return self._read(Course(since), self._needed)

    def _read(self, course: Course, needed: Sequence[str]) -> Spooled:
        for _ in range(_MOST_ATTEMPTS):
            try:
                return Spooled(self._label, self._key, needed).fill(self._walk(course), course)
            except Anew as why:
                course = Course(plain=why.plain, remark=f"{why}; everything was read")
        raise SourceError(f"{self._label}: {course.remark}")
