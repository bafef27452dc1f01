"""Long reads: whose turn it is, who gives up, and when one has to stop; on both databases where the driver has a part in it."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.postgres_server import empty

from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.sql import readers
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.files import prepare
from rollbook.storage.sql.postgres import PostgresDatabase
from rollbook.storage.sql.readers import Readers, Reading, TooMuchWork
from rollbook.storage.sql.sqlite import SqliteDatabase

pytestmark = pytest.mark.anyio

ENDLESS = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


class Held:
    """Works that go on until they are let go of."""

    def __init__(self) -> None:
        self.running = 0
        self.begun = 0
        self.go = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, reading: Reading) -> str:
        """Work in a reading thread."""
        with self._lock:
            self.begun += 1
            self.running += 1
        while not (self.go.wait(0.01) or reading.is_over()):
            pass
        with self._lock:
            self.running -= 1
        reading.require()
        return "done"


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - threads set no event of the loop
            await asyncio.sleep(0.01)


async def test_i_20_one_tenant_leaves_threads_for_others() -> None:
    """I-20: however many long reads a tenant asks for, two run at once, and another tenant's one is done meanwhile."""
    pool, held = Readers(4, 2), Held()
    tasks = [asyncio.ensure_future(pool.run(held, 1)) for _ in range(20)]
    await _until(lambda: held.running == 2)
    assert await pool.run(lambda _: "other", 2) == "other"
    assert held.begun == 2
    held.go.set()
    assert await asyncio.gather(*tasks) == ["done"] * 20
    await _until(lambda: not pool._shares)
    await pool.close()


async def test_fs_18_who_waits_no_more_leaves_the_queue() -> None:
    """FS-18: a read that is given up never begins, or is told to end; its place is the next one's, once it has ended."""
    pool, held = Readers(4, 2), Held()
    tasks = [asyncio.ensure_future(pool.run(held, 1)) for _ in range(20)]
    await _until(lambda: held.running == 2)
    for task in tasks[:19]:
        task.cancel()
    await _until(lambda: held.begun == 3 and held.running == 1)
    held.go.set()
    assert await tasks[19] == "done"
    assert held.begun == 3
    await pool.close()


async def test_fs_24_the_end_stops_what_runs_and_refuses_what_waits() -> None:
    """FS-24: nobody waits for an answer when threads end."""
    pool, held = Readers(1, 1), Held()
    tasks = [asyncio.ensure_future(pool.run(held, tenant)) for tenant in (1, 1, 2)]
    await _until(lambda: held.running == 1)
    await pool.close()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * 3
    assert held.begun == 1


@pytest.mark.parametrize(
    ("limit", "raised"), [("PROCESSOR_SECONDS", TooMuchWork), ("READ_SECONDS", StoreUnavailable)]
)
async def test_t_42_a_read_has_its_limits(
    monkeypatch: pytest.MonkeyPatch, limit: str, raised: type[Exception]
) -> None:
    """T-42, FS-12: what uses too much of the processor is told apart from what waits too long; a command's read has neither limit."""
    monkeypatch.setattr(readers, limit, 0.05)

    def work(reading: Reading) -> str:
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            reading.require()
        return "done"

    pool = Readers(1, 1)
    with pytest.raises(StoreUnavailable, match="narrow the filter") as found:
        await pool.run(work)
    assert type(found.value) is raised
    assert await pool.run(work, unbounded=True) == "done"
    await pool.close()


@pytest.fixture(params=["sqlite", "postgres"])
async def database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[SqliteDatabase | PostgresDatabase]:
    """An open database of either kind."""
    opened: SqliteDatabase | PostgresDatabase
    if request.param == "sqlite":
        prepare(tmp_path / "rollbook.db")
        opened = SqliteDatabase(tmp_path / "rollbook.db")
    else:
        url = request.getfixturevalue("postgres_database")
        empty(url)
        opened = PostgresDatabase(url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.mark.parametrize("unbounded", [False, True])
async def test_fs_18_a_statement_is_stopped_when_nobody_waits(
    database: SqliteDatabase | PostgresDatabase, *, unbounded: bool
) -> None:
    """FS-18: an endless statement ends with whoever asked for it, and the threads answer others as before."""
    ended: list[type[BaseException]] = []

    def endless(connection: Connection) -> None:
        try:
            connection.all(ENDLESS)
        except BaseException as error:
            ended.append(type(error))
            raise

    tasks = [asyncio.ensure_future(database.read(endless, unbounded=unbounded)) for _ in range(4)]
    await asyncio.sleep(0.5)
    for task in tasks:
        task.cancel()
    await _until(lambda: len(ended) == 4)
    assert set(ended) == {StoreUnavailable}
    assert await database.read(lambda connection: connection.one("SELECT 1")) == (1,)


async def test_t_42_a_statement_is_stopped_in_words(
    database: SqliteDatabase | PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T-42: a statement beyond the time says what to do, and nothing of where the database is."""
    monkeypatch.setattr(readers, "READ_SECONDS", 0.2)
    monkeypatch.setattr("rollbook.storage.sql.postgres.READ_SECONDS", 0.2)
    with pytest.raises(StoreUnavailable) as found:
        await database.read(lambda connection: connection.all(ENDLESS))
    assert found.value.public == readers.STOPPED
