"""PostgreSQL as a backend: group commit per tenant, reads beside it, any number of processes on one database.

Writes of one tenant happen one after the other, here and in every other process: each transaction begins by taking
the tenant's lock, which ends with it. So all that holds on SQLite holds here, and the change log is in the order of
the commits. What waits for its turn shares the next transaction and its flush. Tenants do not wait for each other.
"""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.key_files import NOWHERE, KeySource
from rollbook.storage.patience import Patience, patience
from rollbook.storage.sql import postgres_care, postgres_schema
from rollbook.storage.sql.connection import Backend, Connection, Lock, NoLock
from rollbook.storage.sql.group_commit import BATCH, Request
from rollbook.storage.sql.postgres_connection import (
    FarConnection,
    NearConnection,
    arguments,
    on_loop,
    public_name,
)
from rollbook.storage.sql.postgres_schema import LOCKS
from rollbook.storage.sql.postgres_slots import Slots
from rollbook.storage.sql.postgres_transaction import BEGIN_ALONE, Transaction, measured
from rollbook.storage.sql.readers import READ_SECONDS, Readers, Reading
from rollbook.storage.sql.signing import Signer

T = TypeVar("T")

NEAR = 8
"""Connections for short reads; work on the event loop keeps no more of them busy."""

WRITERS = 4
"""Connections that write: so many tenants at once."""

FAR = 4
"""Threads with a connection each for long reads."""

EACH = 2
"""How many of them may work for one tenant, so that its heavy searches leave room for those of others (I-20)."""

_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ"
_READS_ONLY = "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool"
_OUTCOME = "SELECT pg_xact_status(CAST(? AS xid8))"

TRIES = 3
"""How often a transaction is tried that the database gave up because of others (FS-15)."""

_CLOSED = "the database is closed"
_FAILED = "the transaction failed; nothing was written"
_UNKNOWN = "the connection was lost during a commit; whether it happened is not known"

OUTCOME_TRIES = 25
OUTCOME_SECONDS = 0.2
"""How often, and with what pause, the server is asked what became of a commit that it did not answer."""


class PostgresDatabase:
    """`Backend` over a PostgreSQL database that has our tables; belongs to one event loop."""

    has_one_server = False
    holds_the_loop = False

    def __init__(self, url: str, schema: str | None = None) -> None:
        self._url, self._schema = url, schema
        self._how = arguments(url, schema)
        self._name = public_name(url)
        self._open = False
        self.guard: Callable[[Connection], None] | None = None
        self.signer = Signer()
        self._waiting: dict[int, list[Request[Any]]] = {}
        self._draining: set[asyncio.Task[None]] = set()
        self._near = Slots(NEAR, self._connect)
        self._writers = Slots(WRITERS, self._connect)
        self._reads = Readers(FAR, EACH)
        self._far = threading.local()
        self._all_far: list[FarConnection] = []

    def _connect(self) -> Any:
        return NearConnection.connect(self._how, self._name, self.signer)

    @property
    def name(self) -> str:
        """Where it is, without the password."""
        return self._name

    @property
    def usual_keys(self) -> KeySource:
        """Nowhere: what is beside one machine is not beside the others, and may be gone with a container."""
        return NOWHERE

    @property
    def is_new(self) -> bool:
        """A database is never made by opening it."""
        return False

    async def open(self) -> None:
        """Connect.

        Raises:
            StoreUnavailable: the database cannot be reached, or its tables are missing, older or newer than this program.
        """
        async with self._writers.taken(patience()) as connection:
            await on_loop(lambda near: postgres_schema.check_revision(near, self._name), connection)
        self._open = True

    async def close(self) -> None:
        """Finish the writes that wait, then let go of every connection."""
        self._open = False
        while self._draining:
            await asyncio.wait(self._draining)
        await self._near.close()
        await self._writers.close()
        await self._reads.close()
        while self._all_far:
            self._all_far.pop().close()

    async def takes_writes(self) -> str | None:
        """Whether it is no standby; its disk is for whoever runs it to watch."""
        row = await self.read_now(lambda connection: connection.one(_READS_ONLY))
        return (
            "the database takes no writes: it is a standby, or set to read only" if row and row[0] else None
        )

    async def time(self) -> int:
        """By the server's clock."""
        ((now,),) = await self.read_now(lambda connection: connection.all(postgres_schema.NOW))
        return int(now)

    def serve_lock(self) -> Lock:
        """Any number of processes may serve it."""
        return NoLock()

    def work_lock(self) -> tuple[Lock, bool]:
        """Any number of processes may work on targets; whether there are others nobody knows."""
        return NoLock(), False

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that sees one moment; raises `NoTables` if there are none."""
        with self._alone() as connection:
            postgres_schema.require_tables(connection, self._name)
            connection.script(_SNAPSHOT)
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A connection in a transaction that writes, and no other beside it."""
        with self._alone() as connection:
            connection.script(BEGIN_ALONE.format(locks=LOCKS, wait=""))
            yield connection
            connection.script("COMMIT")

    def wiping(self, work: Callable[[Connection], T]) -> T:
        """Run `work`; the tables of settings and secrets are then written anew, without what it has deleted."""
        with self._alone() as connection:
            connection.script(BEGIN_ALONE.format(locks=LOCKS, wait=""))
            done = work(connection)
            connection.script("COMMIT")
            postgres_care.wipe(connection)
        return done

    def migrate(self) -> tuple[str | None, str]:
        """Make the tables, or bring them up to date."""
        with self._alone() as connection:
            return postgres_schema.upgrade(connection)

    def backup(self, file: Path) -> None:
        """Write a copy of one moment."""
        with self._alone() as connection:
            postgres_care.backup(self._url, connection, file)

    def restore(self, file: Path, *, replace: bool) -> Path | None:
        """Put a copy in the place of the tables."""
        with self._alone() as connection:
            postgres_care.restore(self._url, connection, file, replace=replace)
        return None  # who wants to keep the former tables makes a backup of them

    def vacuum(self) -> tuple[int, int]:
        """Clear away what is dead."""
        with self._alone() as connection:
            return postgres_care.vacuum(connection)

    @asynccontextmanager
    async def copied(self) -> AsyncIterator[Backend]:
        """A copy in a schema of its own, gone at the end."""
        schema = f"rollbook_copy_{secrets.token_hex(8)}"
        await asyncio.to_thread(self._with_schema, postgres_schema.copy, schema)
        copy = PostgresDatabase(self._url, schema)
        try:
            yield copy
        finally:
            await copy.close()
            await asyncio.to_thread(self._with_schema, postgres_schema.drop_copy, schema)

    def _with_schema(self, work: Callable[[FarConnection, str], None], schema: str) -> None:
        with self._alone() as connection:
            work(connection, schema)

    @contextmanager
    def _alone(self) -> Iterator[FarConnection]:
        """A connection for a command."""
        connection = FarConnection(self._how, self._name)
        try:
            yield connection
        finally:
            connection.close()

    async def write(self, tenant: int, work: Callable[[Connection], T], *, long: bool = False) -> T:
        """Run `work` in a transaction it may share with others of its tenant."""
        if not self._open:
            raise self._closed()
        if not self.signer.is_settled:
            await self.signer.settled()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        waiting = self._waiting.get(tenant)
        if waiting is None:
            waiting = self._waiting[tenant] = []
            task = loop.create_task(self._drain(tenant, waiting))
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)
        waiting.append(Request(work, long, future, loop.time() + patience().left))
        return await future

    async def read_now(self, work: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        """Run reads of a few rows by key on the event loop."""
        if not self._open:
            raise self._closed()
        chosen, measure = _on_snapshot(work) if snapshot else work, patience()
        with suppress(_Lost):
            async with self._near.taken(measure) as connection:
                return await _unless_lost(chosen, connection)
        async with self._near.taken(measure, fresh=True) as connection:
            return await on_loop(chosen, connection)

    async def read(
        self, work: Callable[[Connection], T], *, tenant: int | None = None, unbounded: bool = False
    ) -> T:
        """Run longer reads on one snapshot in a thread."""
        if not self._open:
            raise self._closed()
        seconds = 0.0 if unbounded else READ_SECONDS
        return await self._reads.run(
            lambda reading: self._read(work, reading, seconds), tenant, unbounded=unbounded
        )

    def _read(self, work: Callable[[Connection], T], reading: Reading, seconds: float) -> T:
        connection: FarConnection | None = getattr(self._far, "connection", None)
        if connection is not None and connection.is_sound:
            try:
                return self._read_by(connection, work, reading, seconds)
            except StoreUnavailable:
                if connection.is_alive or reading.is_given_up:
                    raise
        if connection is not None:
            self._drop(connection)
        connection = self._far.connection = FarConnection(self._how, self._name)
        self._all_far.append(connection)
        return self._read_by(connection, work, reading, seconds)

    def _read_by(
        self, connection: FarConnection, work: Callable[[Connection], T], reading: Reading, seconds: float
    ) -> T:
        try:
            connection.reading = reading
            with reading.interrupted_by(connection.interrupt):
                return _read_far(connection, work, seconds)
        finally:
            connection.reading = None
            if reading.is_given_up:  # what was sent to interrupt it may still be on its way
                self._drop(connection)

    def _drop(self, connection: FarConnection) -> None:
        self._far.connection = None
        self._all_far.remove(connection)
        connection.close()

    def _closed(self) -> StoreUnavailable:
        return StoreUnavailable(f"{self._name}: {_CLOSED}", public=_CLOSED)

    async def _drain(self, tenant: int, waiting: list[Request[Any]]) -> None:
        """Commit batch after batch of a tenant until nobody waits."""
        batch: list[Request[Any]] = []
        try:
            while waiting:
                batch = waiting[:BATCH]
                del waiting[:BATCH]
                await self._commit_together(tenant, batch)
                for request in batch:
                    request.tell()
        finally:
            del self._waiting[tenant]
            for request in (*batch, *waiting):  # only if this task was cancelled at the very end
                request.future.cancel()

    async def _commit_together(self, tenant: int, batch: list[Request[Any]]) -> None:
        """One transaction for the batch. If it fails as a whole, nobody's write happened (FS-05)."""
        failure: Exception | None = None
        measure = measured(batch)
        for tried in range(TRIES):
            transaction = Transaction(tenant, batch, self.guard, measure)
            try:
                async with self._writers.taken(measure, fresh=tried > 0) as connection:
                    await on_loop(transaction.run, connection)
            except Exception as error:  # noqa: BLE001 - every caller must be told, whatever it was
                is_committing = transaction.is_committing
                failure = await self._outcome(transaction, error, measure) if is_committing else error
                if failure is not None and transaction.may_be_tried_again and measure.left:
                    continue
            else:
                return
            break
        if failure is not None:
            for request in batch:
                request.error = request.error or self._unavailable(failure)

    async def _outcome(
        self, transaction: "Transaction", error: Exception, measure: Patience
    ) -> Exception | None:
        """What became of a transaction whose COMMIT was not answered (FS-14); None if it is durable."""
        with suppress(StoreUnavailable):
            for _ in range(OUTCOME_TRIES):  # the server may not have noticed yet, and still be at it
                async with self._writers.taken(measure, fresh=True) as connection:
                    row = await on_loop(lambda near: near.one(_OUTCOME, (transaction.number,)), connection)
                if row is not None and row[0] == "committed":
                    return None
                if row is not None and row[0] == "aborted":
                    return error
                async with measure.waiting():
                    await asyncio.sleep(OUTCOME_SECONDS)
        return StoreUnavailable(f"{self._name}: {_UNKNOWN}", public=_UNKNOWN)

    def _unavailable(self, error: Exception | None) -> Exception:
        if isinstance(error, StoreUnavailable):
            return type(error)(error.detail, public=error.public)
        unavailable = StoreUnavailable(f"{self._name}: {_FAILED}", public=_FAILED)
        unavailable.__cause__ = error
        return unavailable


class _Lost(Exception):
    """The connection a read was begun on is gone: the server was restarted, say (FS-13)."""


async def _unless_lost(work: Callable[[NearConnection], T], connection: NearConnection) -> T:
    try:
        return await on_loop(work, connection)
    except StoreUnavailable as error:
        if connection.is_alive:
            raise
        raise _Lost from error


def _on_snapshot(work: Callable[[Connection], T]) -> Callable[[NearConnection], T]:
    def run(connection: NearConnection) -> T:
        connection.script(_SNAPSHOT)
        try:
            return work(connection)
        finally:
            if connection.in_transaction:
                connection.script("ROLLBACK")

    return run


def _read_far(connection: FarConnection, work: Callable[[Connection], T], seconds: float) -> T:
    connection.script(f"{_SNAPSHOT}; SET LOCAL statement_timeout = {seconds * 1000:.0f}")
    try:
        return work(connection)
    finally:
        if connection.is_alive:
            connection.script("ROLLBACK")
