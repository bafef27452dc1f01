"""A database in memory that does everything at once, in one thread: what a seed decides happens in the same order each time."""

from collections.abc import Callable
from typing import TypeVar

from rollbook.storage.key_files import NOWHERE
from rollbook.storage.sql import migrate
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.signing import Signer
from rollbook.storage.sql.sqlite import SqliteConnection, memory_connection

T = TypeVar("T")


class MemoryDatabase:
    """`Database` over one connection to a database that is nowhere on disk."""

    has_one_server = True
    holds_the_loop = True
    usual_keys = NOWHERE

    def __init__(self) -> None:
        self.guard: Callable[[Connection], None] | None = None
        self.signer = Signer()
        self._connection: SqliteConnection | None = None

    async def open(self) -> None:
        """Make it."""
        self._connection = memory_connection()
        self._connection.all(migrate.snapshot())

    async def close(self) -> None:
        """Forget it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def connection(self) -> SqliteConnection:
        """The connection."""
        assert self._connection is not None
        return self._connection

    async def write(self, tenant: int, work: Callable[[Connection], T], *, long: bool = False) -> T:
        """Do it in a transaction of its own."""
        connection = self.connection
        connection.run("BEGIN IMMEDIATE")
        try:
            if self.guard is not None:
                self.guard(connection)
            found = work(connection)
        except BaseException:
            connection.run("ROLLBACK")
            raise
        connection.run("COMMIT")
        return found

    async def read_now(self, work: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        """Read."""
        return work(self.connection)

    async def read(
        self, work: Callable[[Connection], T], *, tenant: int | None = None, unbounded: bool = False
    ) -> T:
        """Read."""
        return work(self.connection)
