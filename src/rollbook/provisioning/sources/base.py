"""What the engine asks of a place people come from, and what every such place promises.

A reading is a walk over all records of one moment. It is complete only if it came to its end and nothing
suggests that records were lost on the way; from one that is not, nobody is taken to have left (T-71).
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


Found: TypeAlias = Row | RowProblem


class Reading(Protocol):
    """An open source; it gives the same records each time they are asked for."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns every record has."""

    def rows(self) -> Iterator[Found]:
        """Every record in order, from the start; those that cannot be used as problems.

        Raises:
            SourceError: the reading is not complete, or the source changed meanwhile.
        """

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

    def open(self) -> Reading:
        """Begin a reading.

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
