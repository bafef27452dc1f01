"""A SQLite file as a backend: made if it is missing, migrated at the start, served by one process, copied whole."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

from rollbook.storage.key_files import KeySource, beside
from rollbook.storage.sql import files, migrate, sqlite_care
from rollbook.storage.sql.connection import Backend, Connection
from rollbook.storage.sql.files import FileLock
from rollbook.storage.sql.sqlite import SqliteConnection, SqliteDatabase

T = TypeVar("T")


class SqliteFile(SqliteDatabase):
    """`Backend` over a file that need not exist yet."""

    has_one_server = True

    @property
    def path(self) -> Path:
        """The file."""
        return self._path

    @property
    def name(self) -> str:
        """The file, as people named it."""
        return str(self._path)

    @property
    def usual_keys(self) -> KeySource:
        """A file beside it, which copies of the database do not take along."""
        return beside(self._path)

    @property
    def is_new(self) -> bool:
        """Whether opening it will make it."""
        return not self._path.exists()

    async def open(self) -> None:
        """Make or update the file, and connect."""
        files.prepare(self._path)
        try:
            await super().open()
        except BaseException:
            await self.close()
            raise

    async def takes_writes(self) -> str | None:
        """Whether there is room on the disk, and leave to write: a small file is written beside the database."""
        return await asyncio.to_thread(files.refuses_writes, self._path)

    async def time(self) -> None:
        """A file has none."""

    def serve_lock(self) -> FileLock:
        """Become the one process that serves the file."""
        return files.serve_lock(self._path)

    def work_lock(self) -> tuple[FileLock, bool]:
        """Say that this process works on targets; and whether no other does."""
        return files.work_lock(self._path)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection that sees one moment."""
        connection = files.opened(self._path)
        try:
            connection.run("BEGIN")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A connection in a transaction that writes."""
        connection = files.opened(self._path)
        try:
            connection.run("BEGIN IMMEDIATE")
            yield connection
            connection.run("COMMIT")
        finally:
            connection.close()

    def wiping(self, work: Callable[[Connection], T]) -> T:
        """Run `work`; what it deletes is written over, and the log that has it still is emptied."""
        return sqlite_care.wiping(self._path, work)

    def migrate(self) -> tuple[str | None, str]:
        """Make the file, or bring it up to date."""
        before = None if self.is_new else files.revision(self._path)
        files.prepare(self._path)
        return before, migrate.head()

    def backup(self, file: Path) -> None:
        """Write a copy of one moment."""
        sqlite_care.backup(self._path, file)

    def restore(self, file: Path, *, replace: bool) -> Path | None:
        """Put a copy in the place of the file."""
        return sqlite_care.restore(self._path, file, replace=replace)

    def vacuum(self) -> tuple[int, int]:
        """Make the file as small as it can be."""
        return sqlite_care.vacuum(self._path)

    @asynccontextmanager
    async def copied(self) -> AsyncIterator[Backend]:
        """A copy beside it, for its owner only; not open yet, and gone at the end."""
        with tempfile.TemporaryDirectory(
            prefix=".rollbook-plan-", dir=self._path.absolute().parent
        ) as directory:
            path = Path(directory) / "copy.db"
            await asyncio.to_thread(_copy, self._path, path)
            copy = SqliteFile(path)
            try:
                yield copy
            finally:
                await copy.close()


def _copy(path: Path, destination: Path) -> None:
    connection = SqliteConnection(path)
    try:
        connection.run("VACUUM INTO ?", (str(destination),))
    finally:
        connection.close()
