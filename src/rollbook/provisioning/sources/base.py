"""What the engine asks of a place people come from, and what every such place promises.

A reading is a walk over all records of one moment. It is complete only if it came to its end and nothing
suggests that records were lost on the way; from one that is not, nobody is taken to have left (T-71).

Some sources can also tell what has changed since a mark, a text of their own that an earlier reading ended with. Then only
those go who are said to be gone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from rollbook.protocol.errors import ServiceError
from rollbook.provisioning.names import suggest


class SourceError(ServiceError):
    """The source as a whole cannot be used now; nothing was changed because of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record: where it begins, its key, and its text by column."""

    line: int
    key: str
    record: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A record that is left out, and why. `key` is whose it seems to be, None if nothing tells."""

    line: int
    reason: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Same:
    """A record that is there and has not changed since the mark; no more is said of it."""

    line: int
    key: str


@dataclass(frozen=True, slots=True)
class Gone:
    """A record that the source says it has no more."""

    line: int
    key: str


Found: TypeAlias = Row | RowProblem | Same | Gone


class Hold(Protocol):
    """Of a reading that only one process may apply at a time: whether that is still this one."""

    async def renew(self) -> None:
        """Stay the one; to be asked before anything is written.

        Raises:
            SourceError: another process is by now.
        """

    def check(self) -> None:
        """The same at the last moment, where nothing can be waited for.

        Raises:
            SourceError: another process may be by now.
        """


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of a source a reading has.

    Args:
        since: the mark it begins at, None if everything was read.
        partial: whether a record that is not in it says nothing. Not so where a source names all that are there (`Same`).
        mark: where a later reading of changes begins, None if the source cannot tell.
        remark: why it has more than was asked for, for people.
        hold: what tells whether it may still be applied, None if it always may.
    """

    since: str | None = None
    partial: bool = False
    mark: str | None = None
    remark: str | None = None
    hold: Hold | None = None


EVERYTHING = Extent()


class Reading(Protocol):
    """An open source; it gives the same records each time they are asked for."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns every record has."""

    @property
    def extent(self) -> Extent:
        """How much of the source it has."""

    def rows(self) -> Iterator[Found]:
        """Every record in order, from the start; those that cannot be used as problems.

        Raises:
            SourceError: the reading is not complete, or the source changed meanwhile.
        """

    def settle(self, failed: frozenset[str]) -> None:
        """All of it was applied, except for the records with these keys; nothing to do for most."""

    def close(self) -> None:
        """Let go of the source."""


class Source(Protocol):
    """A place people come from."""

    @property
    def label(self) -> str:
        """The source as people know it, for messages: a path, an address."""

    def columns(self) -> tuple[str, ...]:
        """The columns its records have now, for checking a configuration.

        Raises:
            SourceError: as for `open`, but for columns that are missing.
        """

    def open(self, since: str | None = None) -> Reading:
        """Begin a reading: of everything, or of what has changed since a mark, if the source can tell. Any doubt means everything.

        Raises:
            SourceError: it cannot be opened, or is not what the configuration says.
        """


def missing_columns(columns: Sequence[str], needed: Sequence[str]) -> list[str]:
    """A sentence for each column that is needed and not there, with the one that may be meant."""
    told = []
    for column in needed:
        if column in columns:
            continue
        near = suggest(column, columns)
        told.append(f'no column "{column}"' + (f'; did you mean "{near}"?' if near else ""))
    return told
