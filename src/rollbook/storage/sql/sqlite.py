"""SQLite through apsw: connections, group commit, point reads; the only module that knows the driver.

One connection writes and shares each transaction among all requests that wait. Its statements, a few
microseconds each, run on the event loop and only the commit, which waits for the disk, in a thread: a thread
that runs statements must win back Python's lock after each of them, and under a busy loop wrote 64/s against
950/s this way. A second connection serves point reads on the loop; some more, with threads, longer reads.
"""

import asyncio
import contextlib
import queue
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import apsw

from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.sql.connection import Connection, Duplicate, Parameters, Row
from rollbook.storage.sql.group_commit import BATCH, Request
from rollbook.storage.sql.readers import STOPPED, Readers, Reading
from rollbook.storage.sql.signing import Signer

T = TypeVar("T")

BUSY_MILLISECONDS = 10_000
"""How long a write waits for another process; reads never wait in WAL mode."""

TURN_SECONDS = 0.001
"""How long a batch may run on the event loop before others have their turn."""

READERS = 4
"""Threads for longer reads; more would only share the same processor."""

EACH = 2
"""How many of them may work for one tenant, so that its heavy searches leave room for those of others (I-20)."""

STATEMENTS = 512
"""Statements kept prepared in each connection: all of ours, and room for filters that come again."""

_STEPS = 200_000
"""Steps of SQLite's machine, some milliseconds, between two looks at the clock."""

LOWEST_SQLITE = (3, 51, 3)
"""Older versions can lose committed transactions in WAL mode."""

_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16384",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA journal_size_limit = 67108864",
)

_TWICE = {apsw.SQLITE_CONSTRAINT_UNIQUE, apsw.SQLITE_CONSTRAINT_PRIMARYKEY, apsw.SQLITE_CONSTRAINT_ROWID}

_WORDS: tuple[tuple[type[apsw.Error], str], ...] = (
    (apsw.BusyError, "the database is busy: another program holds it; try again"),
    (apsw.LockedError, "the database is busy: another program holds it; try again"),
    (apsw.FullError, "the disk is full; free some space, nothing needs a restart"),
    (apsw.ReadOnlyError, "the database cannot be written: its file or directory is read-only"),
    (apsw.CantOpenError, "the database file cannot be opened; check that it exists and may be written"),
    (apsw.NotADBError, "the file is not a SQLite database"),
    (apsw.CorruptError, "the database file is damaged; restore a backup"),
    (apsw.IOError, "the disk reports an error"),
    (apsw.InterruptError, STOPPED),
    (apsw.NoMemError, "memory is exhausted"),
    (apsw.ConnectionClosedError, "the database is closed"),
)
"""What the driver raises for reasons outside this program. Anything else is our mistake and passes."""

_CLOSED = "the database is closed"
_FAILED = "the transaction failed; nothing was written"


def translated(error: apsw.Error, path: Path) -> Exception:
    """Our error for the driver's, or the driver's own if no outside reason explains it."""
    if isinstance(error, apsw.ConstraintError) and getattr(error, "extendedresult", 0) in _TWICE:
        return Duplicate(str(error))
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), None)
    return error if words is None else StoreUnavailable(f"{path}: {words}", public=words)


class SqliteConnection:
    """`Connection` over apsw. Not in a transaction unless someone began one."""

    lies_by_row_key = True
    has_parts = True

    def __init__(self, path: Path, *, create: bool = False, signer: Signer | None = None) -> None:
        self._path = path
        self.signer = signer or Signer()
        self._reading: Reading | None = None
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
        try:
            self._apsw = apsw.Connection(str(path), flags=flags, statementcachesize=STATEMENTS)
        except apsw.Error as error:
            raise translated(error, path) from error
        self._execute = self._apsw.execute
        try:
            self._prepare()
        except apsw.Error as error:
            with contextlib.suppress(apsw.Error):
                self._apsw.close()
            raise translated(error, path) from error

    def _prepare(self) -> None:
        self._apsw.set_busy_timeout(BUSY_MILLISECONDS)
        # Without this guarantee SQLite prepares many statements anew each time a parameter changes.
        self._apsw.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        for pragma in _PRAGMAS:
            self._apsw.execute(pragma).fetchall()
        if self._apsw.readonly("main"):  # SQLite then opens it for reading, and says nothing
            raise apsw.ReadOnlyError

    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of the answer."""
        try:
            return self._execute(sql, parameters).fetchall()
        except apsw.Error as error:
            raise translated(error, self._path) from error

    def each(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        """The same one after the other."""
        try:
            with contextlib.closing(self._execute(sql, parameters)) as cursor:
                yield from cursor
        except apsw.Error as error:
            raise translated(error, self._path) from error

    def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row of the answer, or None."""
        rows = self.all(sql, parameters)
        return rows[0] if rows else None

    def run(self, sql: str, parameters: Parameters = ()) -> int:
        """Run a statement without an answer; returns the number of rows it changed."""
        try:
            self._execute(sql, parameters)
            return self._apsw.changes()
        except apsw.Error as error:
            raise translated(error, self._path) from error

    def many(self, sql: str, rows: Iterable[Parameters]) -> None:
        """Run a statement once for each set of parameters."""
        try:
            self._apsw.executemany(sql, rows)
        except apsw.Error as error:
            raise translated(error, self._path) from error

    def aside(self, work: Callable[[], T]) -> T:
        """Run it here: long writes are in a thread by then."""
        return work()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._apsw.in_transaction

    def begin_at_once(self) -> bool:
        """Begin a write transaction without waiting; False if another process is writing."""
        self._apsw.set_busy_timeout(0)
        try:
            self._execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            return False
        except apsw.Error as error:
            raise translated(error, self._path) from error
        finally:
            self._apsw.set_busy_timeout(BUSY_MILLISECONDS)
        return True

    def read_for(self, reading: Reading | None) -> None:
        """Let statements fail once that is over; it is asked every few milliseconds."""
        self._reading = reading
        self._apsw.set_progress_handler(None if reading is None else reading.is_over, _STEPS)

    def go_on(self) -> None:
        """Raise if what is read for is over."""
        if self._reading is not None:
            self._reading.require()

    def close(self) -> None:
        """Let go of the file; an open transaction is undone."""
        try:
            self._apsw.close()
        except apsw.Error as error:
            raise translated(error, self._path) from error


def memory_connection() -> SqliteConnection:
    """A connection to a new database that is nowhere on disk."""
    return SqliteConnection(Path(":memory:"), create=True)


class SqliteDatabase:
    """`Database` over one SQLite file that exists and is up to date; belongs to one event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = False
        self.holds_the_loop = True
        self.signer = Signer()
        self.guard: Callable[[Connection], None] | None = None
        """Called at the beginning of each transaction; what it raises is the fate of all that share it."""
        self.batch = BATCH
        """Most requests that share a transaction."""
        self._waiting: list[Request[Any]] = []
        self._draining: asyncio.Task[None] | None = None
        self._writer: SqliteConnection | None = None
        self._near: SqliteConnection | None = None
        self._idle: queue.SimpleQueue[SqliteConnection] = queue.SimpleQueue()
        self._commits = ThreadPoolExecutor(1, thread_name_prefix="store-commit")
        self._reads = Readers(READERS, EACH)

    async def open(self) -> None:
        """Connect."""
        self._writer = SqliteConnection(self._path, signer=self.signer)
        self._near = SqliteConnection(self._path)
        for _ in range(READERS):
            self._idle.put(SqliteConnection(self._path))
        self._open = True

    async def close(self) -> None:
        """Finish the writes that wait, then let go of every connection. May be called twice."""
        self._open = False
        while self._draining is not None and not self._draining.done():
            await asyncio.wait([self._draining])
        await asyncio.get_running_loop().run_in_executor(None, self._commits.shutdown)
        await self._reads.close()
        while not self._idle.empty():
            self._idle.get().close()
        for connection in (self._near, self._writer):  # the writer last: it empties the write-ahead log
            if connection is not None:
                connection.close()
        self._near = self._writer = None

    async def write(self, tenant: int, work: Callable[[Connection], T], *, long: bool = False) -> T:
        """Run `work` in a transaction it shares with others, of any tenant, behind a savepoint of its own."""
        del tenant  # all writes are one queue here
        if not self._open:
            raise self._closed()
        if not self.signer.is_settled:
            await self.signer.settled()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append(Request(work, long, future))
        if self._draining is None or self._draining.done():
            self._draining = loop.create_task(self._drain())
        return await future

    async def read_now(self, work: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        """Run reads of a few rows by key, at once, in the event loop's thread."""
        if self._near is None:
            raise self._closed()
        return _on_snapshot(self._near, work) if snapshot else work(self._near)

    async def read(
        self, work: Callable[[Connection], T], *, tenant: int | None = None, unbounded: bool = False
    ) -> T:
        """Run longer reads on one snapshot in a thread."""
        if not self._open:
            raise self._closed()
        return await self._reads.run(lambda reading: self._read(work, reading), tenant, unbounded=unbounded)

    def _closed(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self._path}: {_CLOSED}", public=_CLOSED)

    def _read(self, work: Callable[[Connection], T], reading: Reading) -> T:
        connection = self._idle.get()
        connection.read_for(reading)
        try:
            return _on_snapshot(connection, work)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, apsw.InterruptError):
                reading.require()  # says why
            raise
        finally:
            connection.read_for(None)
            self._idle.put(connection)

    async def _drain(self) -> None:
        """Commit batch after batch until nobody waits."""
        batch: list[Request[Any]] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self.batch], self._waiting[self.batch :]
                await self._commit_together(batch)
                for request in batch:
                    request.tell()
        finally:
            for request in (*batch, *self._waiting):  # only if this task was cancelled at the very end
                request.future.cancel()

    async def _commit_together(self, batch: list[Request[Any]]) -> None:
        """One transaction for the batch. If it fails as a whole, nobody's write happened (FS-05)."""
        try:
            connection = self._writer = self._writer or SqliteConnection(self._path, signer=self.signer)
            await self._begin(connection)
            if self.guard is not None:
                self.guard(connection)
            await self._run_each(connection, batch)
            await self._in_thread(connection.run, "COMMIT")
        except Exception as error:  # noqa: BLE001 - every caller must be told, whatever it was
            for request in batch:
                request.error = request.error or self._unavailable(error)
            self._renew()

    async def _begin(self, connection: SqliteConnection) -> None:
        if not connection.begin_at_once():  # another process is writing: wait for it, but not here
            await self._in_thread(connection.run, "BEGIN IMMEDIATE")

    async def _run_each(self, connection: SqliteConnection, batch: list[Request[Any]]) -> None:
        turn = time.monotonic() + TURN_SECONDS
        for request in batch:
            if request.long:
                await self._in_thread(request.run, connection)
            else:
                request.run(connection)
            if time.monotonic() > turn:
                await asyncio.sleep(0)
                turn = time.monotonic() + TURN_SECONDS

    async def _in_thread(self, work: Callable[..., object], *arguments: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._commits, work, *arguments)

    def _unavailable(self, error: Exception) -> Exception:
        if isinstance(error, StoreUnavailable):
            return type(error)(error.detail, public=error.public)
        unavailable = StoreUnavailable(f"{self._path}: {_FAILED}", public=_FAILED)
        unavailable.__cause__ = error
        return unavailable

    def _renew(self) -> None:
        """After a failed commit or flush nothing of the old connection is trusted; the next write opens one."""
        if self._writer is not None:
            with contextlib.suppress(StoreUnavailable):
                self._writer.close()
            self._writer = None


def _on_snapshot(connection: SqliteConnection, work: Callable[[Connection], T]) -> T:
    connection.run("BEGIN")
    try:
        return work(connection)
    finally:
        if connection.in_transaction:  # some errors end it
            connection.run("ROLLBACK")


def sqlite_version() -> tuple[int, ...]:
    """The version of the SQLite library in use."""
    return tuple(map(int, apsw.sqlite_lib_version().split(".")))
