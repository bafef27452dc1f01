"""Connections to PostgreSQL through psycopg 3; this and `postgres` are the only modules that know the driver.

There are two kinds with one face. `NearConnection` belongs to the event loop: work on it is ordinary code in a
greenlet, which leaves the loop to others whenever it waits for the database. A thread in its place has to win back
Python's lock after each statement: 11,000 reads per second against 19,000. `FarConnection` is for threads, where
long reads are.
"""

import asyncio
import contextvars
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypeVar, cast

import psycopg
from greenlet import getcurrent, greenlet
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ConnStatus, TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper

from rollbook.protocol.errors import InvalidValue, StoreUnavailable
from rollbook.storage.sql.connection import Duplicate, Parameters, Row
from rollbook.storage.sql.dialects import POSTGRES, translation
from rollbook.storage.sql.readers import STOPPED, Reading
from rollbook.storage.sql.signing import Signer

T = TypeVar("T")
Driver = TypeVar("Driver", "psycopg.Connection[Any]", "psycopg.AsyncConnection[Any]")

STATEMENTS = 512
"""Statements kept prepared in each connection: all of ours, and room for filters that come again."""

CONNECT_SECONDS = 5
LOCK_MILLISECONDS = 10_000
"""How long a write waits for others of its tenant, in this process or another."""

IDLE_MILLISECONDS = 60_000
"""How long a transaction may do nothing before the server ends it: its process is frozen, or cut off."""

UNANSWERED_MILLISECONDS = 20_000
"""How long what was sent may go unacknowledged by the server's machine, before the connection counts as lost."""

_OPTIONS = {
    "lock_timeout": str(LOCK_MILLISECONDS),
    "idle_in_transaction_session_timeout": str(IDLE_MILLISECONDS),
    "jit": "off",  # its compilation costs more than any statement of ours
    "join_collapse_limit": "1",  # the order of joins is that of the text, as in SQLite: what is small is written first
    "enable_hashjoin": "off",  # what is joined is looked up row by row: a hash would take in all members of a group
    "enable_mergejoin": "off",
    "enable_seqscan": "off",  # every statement has its index, and a table without statistics looks small
}

FULL = (
    "the database server takes no more connections; raise max_connections there, or serve by fewer processes"
)
NO_DATABASE = "there is no such database; create it first (createdb)"
NOT_LET_IN = "the database server refuses user or password"
_WORDS: tuple[tuple[type[psycopg.Error], str], ...] = (
    (errors.QueryCanceled, STOPPED),
    (errors.LockNotAvailable, "the database is busy: other writes hold it; try again"),
    (errors.DeadlockDetected, "the database is busy: other writes hold it; try again"),
    (errors.SerializationFailure, "the database is busy: other writes hold it; try again"),
    (errors.DiskFull, "the disk of the database server is full; free some space, nothing needs a restart"),
    (errors.TooManyConnections, FULL),
    (errors.ReadOnlySqlTransaction, "the database cannot be written: it is read-only, perhaps a standby"),
    (errors.InsufficientPrivilege, "the database user may not do this; it has to own the tables"),
    (errors.InvalidCatalogName, NO_DATABASE),
    (errors.InvalidPassword, NOT_LET_IN),
    (errors.OutOfMemory, "memory of the database server is exhausted"),
    (errors.IdleInTransactionSessionTimeout, "the transaction stood still for too long; nothing was written"),
    (psycopg.OperationalError, "the database server cannot be reached, or ended the connection"),
    (psycopg.InterfaceError, "the connection to the database server is closed"),
)
"""What the driver raises for reasons outside this program, the first that fits. Anything else is our mistake."""

_CONNECTING = (
    ("too many clients", FULL),
    ("too many connections", FULL),
    ("remaining connection slots", FULL),
    ("authentication failed", NOT_LET_IN),
    ('role "', NOT_LET_IN),
    ('" does not exist', NO_DATABASE),
)
"""While it connects the driver says what is wrong in the server's words only; in other languages than English nothing fits."""

BECAUSE_OF_OTHERS = (errors.DeadlockDetected, errors.SerializationFailure)
"""What the server gives up for the sake of other transactions, and may work the next time."""

translated_sql = lru_cache(maxsize=4096)(translation(POSTGRES))


_PLAIN_INSERT = re.compile(r"\s*INSERT INTO (\w+) \(([\w, ]+)\)\s*VALUES \([?, ]+\)\s*\Z")

ROWS = 200
"""Rows that are copied before others have their turn on the event loop."""

COPIED = 20
"""Rows from which on they are copied rather than inserted: several times as fast for thousands."""


@lru_cache(maxsize=64)
def copy_sql(sql: str) -> str | None:
    """The COPY that does what an INSERT of one row of parameters does for many; None for any other statement."""
    found = _PLAIN_INSERT.match(sql)
    return None if found is None else f"COPY {found[1]} ({found[2]}) FROM STDIN"


class NoConnectionLeft(StoreUnavailable):
    """The server takes no more connections now; those that are there go on."""


def translated(error: psycopg.Error, name: str) -> Exception:
    """Our error for the driver's, or the driver's own if no outside reason explains it."""
    if isinstance(error, errors.UniqueViolation):
        return Duplicate(str(error))
    if isinstance(error, errors.DataError) and "NUL" in str(error):
        return InvalidValue("U+0000 is part of no text here; leave it out (S-20)")
    words = next((words for kind, words in _WORDS if isinstance(error, kind)), None)
    if words is None:
        return error
    told = str(error).strip().partition("\n")[0] if type(error) is psycopg.OperationalError else ""
    words = next((better for part, better in _CONNECTING if part in told), words)
    kind = NoConnectionLeft if words is FULL else StoreUnavailable
    return kind(f"{name}: {words}{f' ({told})' if told else ''}", public=words)


def arguments(url: str, schema: str | None = None) -> dict[str, Any]:
    """What a connection is made with. Options of the URL come after ours, and win.

    Raises:
        StoreUnavailable: the URL cannot be read.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error as error:
        raise StoreUnavailable(f"the database URL cannot be read: {str(error).strip()}") from None
    own = _OPTIONS if schema is None else {**_OPTIONS, "search_path": schema}
    options = " ".join(f"-c {name}={value}" for name, value in own.items())
    return {
        "application_name": "rollbook",
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": 30,
        "tcp_user_timeout": UNANSWERED_MILLISECONDS,
        **given,
        "options": f"{options} {given.get('options', '')}".strip(),
        "autocommit": True,
        "prepare_threshold": 0,
    }


def public_name(url: str) -> str:
    """A URL without its password."""
    given = conninfo_to_dict(url)
    where = f"{given.get('host', 'localhost')}{':' if 'port' in given else ''}{given.get('port', '')}"
    return f"postgresql://{given.get('user', '')}@{where}/{given.get('dbname', '')}".replace("//@", "//")


def _prepared(driver: Driver) -> Driver:
    """A new connection, made ours: what cursors take from it has to be there before them."""
    driver.prepared_max = STATEMENTS
    # One type for all numbers: by default it follows their size, and each type is another statement to prepare.
    driver.adapters.register_dumper(int, Int8BinaryDumper)
    return driver


class _PostgresConnection(ABC):
    """What both kinds have in common."""

    lies_by_row_key = False
    has_parts = False

    def __init__(self, driver: "psycopg.Connection[Any] | psycopg.AsyncConnection[Any]", name: str) -> None:
        self.name = name
        self._state = driver.pgconn
        self.reading: Reading | None = None
        self.signer = Signer()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Errors of the driver come out as ours."""
        try:
            yield
        except psycopg.Error as error:
            raise translated(error, self.name) from error

    @abstractmethod
    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of the answer."""

    def each(self, sql: str, parameters: Parameters = ()) -> Iterator[Row]:
        """The same one after the other; libpq has them all by then."""
        return iter(self.all(sql, parameters))

    def one(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row of the answer, or None."""
        rows = self.all(sql, parameters)
        return rows[0] if rows else None

    def go_on(self) -> None:
        """Raise if what is read for is over."""
        if self.reading is not None:
            self.reading.require()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, be it a failed one."""
        return self._state.transaction_status in {TransactionStatus.INTRANS, TransactionStatus.INERROR}

    @property
    def is_alive(self) -> bool:
        """Whether the server is at its other end, as far as is known."""
        return self._state.status != ConnStatus.BAD

    @property
    def is_sound(self) -> bool:
        """Whether the next one can use it: it is open, and nothing of the last one is left."""
        return self._state.transaction_status == TransactionStatus.IDLE


class NearConnection(_PostgresConnection):
    """`Connection` for work in a greenlet of the event loop; see `on_loop`."""

    def __init__(self, driver: "psycopg.AsyncConnection[Any]", name: str) -> None:
        super().__init__(driver, name)
        self.driver = _prepared(driver)
        self._cursor = psycopg.AsyncRawCursor(driver)
        self._cursor.format = psycopg.pq.Format.BINARY

    @classmethod
    async def connect(cls, how: dict[str, Any], name: str, signer: Signer | None = None) -> "NearConnection":
        """A new connection; with a signer, one to write by."""
        try:
            connection = cls(await psycopg.AsyncConnection.connect(**how), name)
        except psycopg.Error as error:
            raise translated(error, name) from error
        connection.signer = signer or connection.signer
        return connection

    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of the answer."""
        return _awaited(self._all(sql, parameters))

    async def _all(self, sql: str, parameters: Parameters) -> list[Row]:
        try:  # for speed not `_in_words`: every read comes here
            await self._cursor.execute(translated_sql(sql), parameters, prepare=True)
            return await self._cursor.fetchall() if self._cursor.description else []
        except psycopg.Error as error:
            raise translated(error, self.name) from error

    def run(self, sql: str, parameters: Parameters = ()) -> int:
        """Run a statement without an answer; returns the number of rows it changed."""
        self.all(sql, parameters)
        return self._cursor.rowcount

    def many(self, sql: str, rows: Iterable[Parameters]) -> None:
        """Run a statement once for each set of parameters."""
        _awaited(self._many(sql, list(rows)))

    async def _many(self, sql: str, rows: list[Parameters]) -> None:
        copy = copy_sql(sql) if len(rows) >= COPIED else None
        with self._in_words():
            if copy is None:
                await self._cursor.executemany(translated_sql(sql), rows)
                return
            async with self._cursor.copy(copy) as target:
                for number, row in enumerate(rows, 1):
                    await target.write_row(row)
                    if not number % ROWS:
                        await asyncio.sleep(0)

    def aside(self, work: Callable[[], T]) -> T:
        """Run it in a thread, and leave the event loop to others meanwhile."""
        return _awaited(asyncio.to_thread(work))

    def script(self, sql: str) -> list[Row]:
        """Run several statements of constant text at once; the rows of the last one."""
        return _awaited(self._script(sql))

    async def _script(self, sql: str) -> list[Row]:
        with self._in_words():
            async with psycopg.AsyncRawCursor(self.driver) as cursor:
                await cursor.execute(sql, prepare=False)
                while cursor.nextset():
                    pass
                return await cursor.fetchall() if cursor.description else []

    async def close(self) -> None:
        """Let go of it; an open transaction is undone."""
        await self.driver.close()


class FarConnection(_PostgresConnection):
    """`Connection` for one thread at a time."""

    def __init__(self, how: dict[str, Any], name: str) -> None:
        try:
            self.driver = _prepared(psycopg.connect(**how))
        except psycopg.Error as error:
            raise translated(error, name) from error
        super().__init__(self.driver, name)
        self._cursor = psycopg.RawCursor(self.driver)
        self._cursor.format = psycopg.pq.Format.BINARY

    def all(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Every row of the answer."""
        self.go_on()  # the server has a limit for each statement, not for what is read by many
        with self._in_words():
            self._cursor.execute(translated_sql(sql), parameters, prepare=True)
            return self._cursor.fetchall() if self._cursor.description else []

    def run(self, sql: str, parameters: Parameters = ()) -> int:
        """Run a statement without an answer; returns the number of rows it changed."""
        self.all(sql, parameters)
        return self._cursor.rowcount

    def many(self, sql: str, rows: Iterable[Parameters]) -> None:
        """Run a statement once for each set of parameters."""
        kept = list(rows)
        copy = copy_sql(sql) if len(kept) >= COPIED else None
        with self._in_words():
            if copy is None:
                self._cursor.executemany(translated_sql(sql), kept)
                return
            with self._cursor.copy(copy) as target:
                for row in kept:
                    target.write_row(row)

    def aside(self, work: Callable[[], T]) -> T:
        """Run it here, which is a thread."""
        return work()

    def script(self, sql: str) -> None:
        """Run several statements of constant text at once."""
        with self._in_words():
            self.driver.execute(sql.encode(), prepare=False)

    def interrupt(self) -> None:
        """Let the statement fail that runs; from another thread. It may hit the next one: not to be used again then."""
        with suppress(psycopg.Error):
            self.driver.cancel_safe(timeout=CONNECT_SECONDS)

    def close(self) -> None:
        """Let go of it; an open transaction is undone."""
        self.driver.close()


def _awaited(waiting: Awaitable[T]) -> T:
    """Leave the event loop to others until that is done; only within `on_loop`."""
    return cast(T, getcurrent().parent.switch(waiting))


async def on_loop(work: Callable[[NearConnection], T], connection: NearConnection) -> T:
    """Run work in the event loop's thread; wherever it waits for the connection, so does this coroutine alone."""
    inner = greenlet(work)
    inner.gr_context = contextvars.copy_context()
    step = inner.switch(connection)
    while not inner.dead:
        try:
            answer = await step
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the work
            step = inner.throw(error)
        else:
            step = inner.switch(answer)
    return cast(T, step)
