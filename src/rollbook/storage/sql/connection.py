"""What the rest of this package, and the engine, may ask of a database; each driver's module provides it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

T = TypeVar("T")

Parameter: TypeAlias = str | int | float | bytes | None
Parameters: TypeAlias = Sequence[Parameter]
Row: TypeAlias = tuple[Any, ...]
"""One row of an answer. Any, because its columns are known where the SQL text is."""


class Connection(Protocol):
    """One connection, used by one thread at a time, inside or outside a transaction."""

    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of the answer."""

    def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row of the answer, or None."""

    def run(self, sql: str, parameters: Parameters = ()) -> int:
        """Run a statement without an answer; returns the number of rows it changed."""

    def many(self, sql: str, rows: Iterable[Parameters]) -> None:
        """Run a statement once for each set of parameters."""


class Database(Protocol):
    """Transactions. Every method may raise `StoreUnavailable`."""

    async def write(self, work: Callable[[Connection], T], *, long: bool = False) -> T:
        """Run `work` in a transaction of its own fate, and return once it is durable.

        What `work` raises undoes what it did and comes out here. A caller that is cancelled undoes nothing.
        `long` is for work of more than some milliseconds: it may then not hold up the event loop.
        """

    def read_now(self, work: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        """Run reads of a few rows by key, at once, in the event loop's thread.

        Each statement sees the newest state, unless a `snapshot` is asked for.
        """

    async def read(self, work: Callable[[Connection], T], *, unbounded: bool = False) -> T:
        """Run reads that may take longer, on one snapshot, without holding up the event loop.

        Within a time limit, unless they are a command's and `unbounded`.
        """
