"""Transactions on SQLite: shared commits, failures of one and of all, cancellation, waiting and closing."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from rollbook.protocol.errors import InvalidValue, StoreUnavailable
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.files import prepare
from rollbook.storage.sql.group_commit import BATCH
from rollbook.storage.sql.readers import Reading
from rollbook.storage.sql.sqlite import SqliteConnection, SqliteDatabase

pytestmark = pytest.mark.anyio


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    """An open database."""
    prepare(tmp_path / "rollbook.db")
    opened = SqliteDatabase(tmp_path / "rollbook.db")
    await opened.open()
    yield opened
    await opened.close()


def _insert(connection: Connection, name: str, value: str = "") -> int:
    return connection.run("INSERT INTO setting (name, value) VALUES (?, ?)", (name, value))


def _names(connection: Connection) -> list[str]:
    rows = connection.all("SELECT name FROM setting WHERE name <> 'epoch' ORDER BY name")
    return [name for (name,) in rows]


async def _write(database: SqliteDatabase, name: str, value: str = "", *, long: bool = False) -> int:
    return await database.write(1, lambda connection: _insert(connection, name, value), long=long)


def _driver(database: SqliteDatabase) -> apsw.Connection:
    assert database._writer is not None
    return database._writer._apsw


async def test_requests_that_wait_share_a_commit(database: SqliteDatabase) -> None:
    """Writes asked for together are committed together, at most so many at a time."""
    commits: list[int] = []

    def count() -> bool:
        commits.append(1)
        return False

    _driver(database).set_commit_hook(count)
    await asyncio.gather(*(_write(database, f"{number:04}") for number in range(BATCH + 1)))
    assert len(commits) == 2
    assert len(await database.read_now(_names)) == BATCH + 1


async def test_a_failed_request_is_undone_alone(database: SqliteDatabase) -> None:
    """FS-04: what one request did before it failed is undone; its neighbours' work is not."""

    def fail(connection: Connection) -> None:
        _insert(connection, "half")
        raise InvalidValue("no")

    outcomes = await asyncio.gather(
        _write(database, "before"), database.write(1, fail), _write(database, "after"), return_exceptions=True
    )
    assert outcomes[0] == outcomes[2] == 1
    assert isinstance(outcomes[1], InvalidValue)
    assert await database.read_now(_names) == ["after", "before"]


async def test_a_mistake_in_sql_is_not_called_an_outage(database: SqliteDatabase) -> None:
    """An error that no outside reason explains comes out as it is, and the connection goes on."""
    with pytest.raises(apsw.SQLError):
        await database.write(1, lambda connection: connection.run("INSERT INTO nowhere VALUES (1)"))
    await _write(database, "next")
    assert await database.read_now(_names) == ["next"]


async def test_a_failed_commit_fails_all_and_heals(database: SqliteDatabase) -> None:
    """FS-05: nobody is told of success, nothing is written, and the next write needs no restart."""
    _driver(database).set_commit_hook(lambda: True)
    outcomes = await asyncio.gather(*(_write(database, name) for name in "abc"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 3
    assert await database.read_now(_names) == []
    await _write(database, "next")
    assert await database.read_now(_names) == ["next"]


async def test_after_a_failed_commit_a_refusal_stays_a_refusal(database: SqliteDatabase) -> None:
    """A request that was at fault itself is told so, whatever became of the transaction."""

    def fail(_: Connection) -> None:
        raise InvalidValue("no")

    _driver(database).set_commit_hook(lambda: True)
    outcomes = await asyncio.gather(_write(database, "a"), database.write(1, fail), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable, InvalidValue]


class _File(apsw.VFSFile):
    """A file on a disk that can be full."""

    def __init__(self, disk: "_Disk", name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__(disk.platform, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.check()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.check_flush()
        super().xSync(flags)


class _Disk(apsw.VFS):
    """The platform's files, with a disk that can be full or fail to flush."""

    def __init__(self) -> None:
        self.is_full = False
        self.is_read_only = False
        self.fails_to_flush = False
        self.platform = apsw.vfs_names()[0]
        super().__init__("rollbook-test", self.platform, makedefault=True)

    def check(self) -> None:
        if self.is_full:
            raise apsw.FullError

    def check_flush(self) -> None:
        if self.fails_to_flush:
            raise apsw.IOError

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        if self.is_read_only:
            flags[0] = flags[0] & ~apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_READONLY
        file = _File(self, name, flags)
        flags[1] = flags[0]
        return file


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Disk]:
    """A disk for every database opened after this."""
    # The driver also reports errors of file methods here, when SQLite has no one to hand them to.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    made = _Disk()
    yield made
    made.unregister()


async def test_a_full_disk_refuses_writes_only(disk: _Disk, database: SqliteDatabase) -> None:
    """FS-06: writes answer 503 in words, reads go on, and it heals when there is space again."""
    await _write(database, "before")
    disk.is_full = True
    large = "x" * 100_000
    outcomes = await asyncio.gather(*(_write(database, name, large) for name in "ab"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 2
    assert "the disk is full" in str(outcomes[0])
    assert await database.read_now(_names) == ["before"]
    assert await database.read(_names) == ["before"]
    disk.is_full = False
    await _write(database, "after")
    assert await database.read_now(_names) == ["after", "before"]


def test_a_read_only_file_is_refused(disk: _Disk, tmp_path: Path) -> None:
    """FS-07: a database that cannot be written is refused at once, in one line."""
    prepare(tmp_path / "rollbook.db")
    disk.is_read_only = True
    with pytest.raises(StoreUnavailable, match="read-only") as refusal:
        SqliteConnection(tmp_path / "rollbook.db")
    assert "\n" not in refusal.value.detail


async def test_a_failed_flush_is_not_tried_again(disk: _Disk, database: SqliteDatabase) -> None:
    """FS-08: an error while flushing fails the transaction, and a new connection goes on."""
    old = database._writer
    disk.fails_to_flush = True
    with pytest.raises(StoreUnavailable, match="the disk reports an error"):
        await _write(database, "lost")
    disk.fails_to_flush = False
    await _write(database, "after")
    assert database._writer is not old
    assert "after" in await database.read_now(_names)


async def test_a_write_waits_for_another_process(database: SqliteDatabase, tmp_path: Path) -> None:
    """A command that writes beside the server delays a write, and the event loop goes on meanwhile."""
    other = SqliteConnection(tmp_path / "rollbook.db")
    other.run("BEGIN IMMEDIATE")
    waiting = asyncio.ensure_future(_write(database, "mine"))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    _insert(other, "theirs")
    other.run("COMMIT")
    assert await waiting == 1
    other.close()
    assert await database.read_now(_names) == ["mine", "theirs"]


async def test_long_work_leaves_the_event_loop(database: SqliteDatabase) -> None:
    """Work said to be long runs in a thread, other work does not."""
    threads = [await database.write(1, lambda _: threading.get_ident(), long=long) for long in (False, True)]
    assert threads[0] == threading.get_ident() != threads[1]
    assert await database.read(lambda _: threading.get_ident()) != threading.get_ident()


async def test_a_cancelled_write_is_whole(database: SqliteDatabase) -> None:
    """FS-18: once it was asked for, a write happens although nobody waits for it, and others are not held up."""
    tasks = [asyncio.ensure_future(_write(database, name)) for name in "abc"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert tasks[1].cancelled()
    assert await database.read_now(_names) == ["a", "b", "c"]


async def test_close_finishes_what_waits(database: SqliteDatabase, tmp_path: Path) -> None:
    """FS-24: writes under way are committed and answered; later ones are refused."""
    tasks = [asyncio.ensure_future(_write(database, f"{number:04}")) for number in range(2 * BATCH)]
    await asyncio.sleep(0)
    await database.close()
    assert await asyncio.gather(*tasks) == [1] * 2 * BATCH
    for refused in (_write(database, "late"), database.read(_names)):
        with pytest.raises(StoreUnavailable, match="closed"):
            await refused
    with pytest.raises(StoreUnavailable, match="closed"):
        await database.read_now(_names)
    assert not (tmp_path / "rollbook.db-wal").exists()
    connection = SqliteConnection(tmp_path / "rollbook.db")
    assert len(_names(connection)) == 2 * BATCH
    connection.close()


async def test_a_read_sees_one_state(database: SqliteDatabase) -> None:
    """A longer read, and a short one that asks for it, see no write that comes between their statements."""
    seen: list[list[str]] = []

    def read(connection: Connection) -> list[str]:
        first = _names(connection)
        other = SqliteConnection(database._path)
        _insert(other, f"new{len(seen)}")
        other.close()
        seen.append(first)
        assert _names(connection) == first
        return first

    assert await database.read(read) == []
    assert await database.read_now(read, snapshot=True) == ["new0"]


def test_a_read_is_stopped_in_time(tmp_path: Path) -> None:
    """FS-12: a statement that runs beyond its time fails in words, and the connection can be used again."""
    prepare(tmp_path / "rollbook.db")
    connection = SqliteConnection(tmp_path / "rollbook.db")
    endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    reading = Reading()
    reading.stop()
    connection.read_for(reading)
    with pytest.raises(StoreUnavailable, match="took too long"):
        connection.all(endless)
    connection.read_for(None)
    assert connection.one("SELECT 1") == (1,)
    connection.close()


async def test_a_failed_read_gives_its_connection_back(database: SqliteDatabase) -> None:
    """However many reads fail, the next one finds a connection without a transaction."""

    def fail(_: Connection) -> None:
        raise InvalidValue("no")

    for _ in range(10):
        with pytest.raises(InvalidValue):
            await database.read(fail)
        with pytest.raises(InvalidValue):
            await database.read_now(fail, snapshot=True)
    assert await database.read(_names) == await database.read_now(_names, snapshot=True) == []
