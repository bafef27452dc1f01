"""What the rest of this package, and the engine, may ask of a database; each driver's module provides it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from rollbook.storage.key_files import KeySource
from rollbook.storage.sql.signing import Signer

T = TypeVar("T")

Parameter: TypeAlias = str | int | float | bytes | None
Parameters: TypeAlias = Sequence[Parameter]
Row: TypeAlias = tuple[Any, ...]
"""One row of an answer. Any, because its columns are known where the SQL text is."""


class Duplicate(Exception):
    """A statement would have given a key twice, and did nothing; nobody outside this package sees it."""


class Connection(Protocol):
    """One connection, used by one thread at a time, inside or outside a transaction."""

    lies_by_row_key: bool
    """Whether resources lie in the order of their row keys, rather than of tenant and row key."""

    has_parts: bool
    """Whether parts of texts are a table that has to be written (`parts`)."""

    signer: Signer
    """What signs lines of the audit log that are written here."""

    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of the answer."""

    def each(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        """The same one after the other, for whoever may not want them all; where the driver can do that, it holds one at a time."""

    def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row of the answer, or None."""

    def run(self, sql: str, parameters: Parameters = ()) -> int:
        """Run a statement without an answer; returns the number of rows it changed."""

    def many(self, sql: str, rows: Iterable[Parameters]) -> None:
        """Run a statement once for each set of parameters."""

    def aside(self, work: Callable[[], T]) -> T:
        """Run work that takes long and asks the database nothing, so that no event loop waits for it."""

    def go_on(self) -> None:
        """Between statements, for work that takes long without any.

        Raises:
            StoreUnavailable: it is a read that has to stop.
        """


OF_NO_TENANT = 0
"""In place of a tenant: the rows that are written belong to the service itself."""

ALONE = -1
"""In place of a tenant: no other write of any tenant runs beside this one."""


class Database(Protocol):
    """Transactions. Every method may raise `StoreUnavailable`."""

    signer: Signer
    """What signs lines of the audit log; it is settled before anything is written."""

    async def write(self, tenant: int, work: Callable[[Connection], T], *, long: bool = False) -> T:
        """Run `work` in a transaction of its own fate, and return once it is durable.

        Writes of one tenant happen one after the other, whoever asks for them: those of this process in the order
        in which they were asked for. What `work` raises undoes what it did and comes out here. A caller that is
        cancelled undoes nothing. `work` may run more than once. `long` is for work of more than some
        milliseconds: it may then not hold up the event loop.
        """

    async def read_now(self, work: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        """Run reads of a few rows by key, in the event loop's thread.

        Each statement sees the newest state, unless a `snapshot` is asked for.
        """

    async def read(
        self, work: Callable[[Connection], T], *, tenant: int | None = None, unbounded: bool = False
    ) -> T:
        """Run reads that may take longer, on one snapshot, without holding up the event loop.

        Within a time limit, unless they are a command's and `unbounded`. Of those for a `tenant`, whose clients may ask
        for any number, a few run at once. A caller that is cancelled stops its read.
        """


class Backend(Database, Protocol):
    """A database with its life: where it is, who may serve it, how a copy is made."""

    guard: Callable[[Connection], None] | None
    """Called at the beginning of each transaction that writes; what it raises is the fate of all that share it."""

    has_one_server: bool
    """Whether one process may serve it at a time."""

    holds_the_loop: bool
    """Whether statements hold up the event loop, so that long writes have to say that they are."""

    @property
    def name(self) -> str:
        """What people are told it is; no secrets."""

    @property
    def usual_keys(self) -> KeySource:
        """Where the keys of its secrets are if nobody says so."""

    @property
    def is_new(self) -> bool:
        """Whether opening it will make it."""

    async def open(self) -> None:
        """Make or update the database if that is its way, and connect."""

    async def close(self) -> None:
        """Finish the writes that wait, then let go of every connection. May be called twice."""

    async def takes_writes(self) -> str | None:
        """What keeps it from taking writes, in words for anybody; None if nothing does. Holds up no write."""

    async def time(self) -> int | None:
        """What time it is there, in milliseconds since 1970; None if it has no clock but that of the machine that uses it."""

    def serve_lock(self) -> "Lock":
        """Become a process that serves it; raises if this database has one only, and there is one."""

    def work_lock(self) -> tuple["Lock", bool]:
        """Say that this process works on targets; and whether it is certain that no other does."""

    def snapshot(self) -> AbstractContextManager[Connection]:
        """A connection of a command's own that sees one moment."""

    def alone(self) -> AbstractContextManager[Connection]:
        """A connection of a command's own in a transaction, which is committed unless something is raised."""

    def wiping(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction of its own, and see that nothing it takes away is left in the files, as far as it is ours to see."""

    def migrate(self) -> tuple[str | None, str]:
        """Make the tables, or bring them up to date; from which revision, None for none, and to which."""

    def backup(self, file: Path) -> None:
        """Write a copy of one moment to a file that must not exist."""

    def restore(self, file: Path, *, replace: bool) -> Path | None:
        """Put such a copy in the place of this database; where the former one is kept, if it is."""

    def vacuum(self) -> tuple[int, int]:
        """Give back the space of what is deleted; bytes before and after."""

    def copied(self) -> AbstractAsyncContextManager["Backend"]:
        """A copy of the present state to try things on, to be opened; gone at the end."""


class Lock(Protocol):
    """Held by a process until it lets go, or ends."""

    def release(self) -> None:
        """Let go."""


class NoLock:
    """Where nothing has to be held."""

    def release(self) -> None:
        """Nothing to do."""
