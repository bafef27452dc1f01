"""Transactions on PostgreSQL: shared commits, failures, lost connections, locks, copies, migrations at once."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import psycopg
import pytest
from tests.postgres_server import database as new_database
from tests.postgres_server import empty, make_tables

from rollbook.protocol.errors import InvalidValue, StoreUnavailable
from rollbook.storage.patience import of_a_request, patience
from rollbook.storage.sql import migrate
from rollbook.storage.sql.connection import ALONE, Connection
from rollbook.storage.sql.databases import backend
from rollbook.storage.sql.postgres import NEAR, TRIES, WRITERS, PostgresDatabase
from rollbook.storage.sql.postgres_connection import NearConnection, translated

pytestmark = pytest.mark.anyio

_XID = "SELECT CAST(pg_current_xact_id() AS text)"


@pytest.fixture
async def database(postgres_database: str) -> AsyncIterator[PostgresDatabase]:
    """An open database without settings but one."""
    empty(postgres_database)
    opened = PostgresDatabase(postgres_database)
    await opened.open()
    yield opened
    await opened.close()


def _insert(connection: Connection, name: str) -> str:
    connection.run("INSERT INTO setting (name, value) VALUES (?, '')", (name,))
    return str(connection.all(_XID)[0][0])


def _names(connection: Connection) -> list[str]:
    rows = connection.all("SELECT name FROM setting WHERE name <> 'epoch' ORDER BY name")
    return [name for (name,) in rows]


async def _write(database: PostgresDatabase, name: str, tenant: int = 1) -> str:
    return await database.write(tenant, lambda connection: _insert(connection, name))


def _end_connections(url: str) -> None:
    """What a restart of the server does to its clients (FS-13)."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'rollbook'"
        )


async def test_requests_of_a_tenant_share_a_commit(database: PostgresDatabase) -> None:
    """What waits for its turn is committed together; each tenant has transactions of its own."""
    numbers = await asyncio.gather(*(_write(database, f"{n:03}", tenant=1 + n % 2) for n in range(100)))
    assert len(set(numbers[0::2])) == len(set(numbers[1::2])) == 1
    assert numbers[0] != numbers[1]
    assert len(await database.read_now(_names)) == 100


async def test_a_failed_request_is_undone_alone(database: PostgresDatabase) -> None:
    """FS-04: the others in the transaction are neither lost nor failed, whether it was a refusal or a mistake in SQL."""

    def refuse(connection: Connection) -> None:
        _insert(connection, "half")
        raise InvalidValue("no")

    def mistake(connection: Connection) -> None:
        _insert(connection, "half")
        connection.all("SELECT nothing FROM nowhere")

    refused, mistaken, *names = await asyncio.gather(
        database.write(1, refuse),
        database.write(1, mistake),
        *(_write(database, name) for name in "ab"),
        return_exceptions=True,
    )
    assert isinstance(refused, InvalidValue)
    assert isinstance(mistaken, psycopg.errors.UndefinedTable)
    assert names[0] == names[1]
    assert await database.read_now(_names) == ["a", "b"]


async def test_what_waits_for_an_ended_connection_heals(
    database: PostgresDatabase, postgres_database: str
) -> None:
    """FS-13: after the server ended every connection, reads and writes go on with new ones at once."""
    await _write(database, "before")
    assert await database.read(_names) == await database.read_now(_names) == ["before"]
    _end_connections(postgres_database)
    assert await database.read_now(_names) == await database.read(_names) == ["before"]
    await _write(database, "after")
    assert await database.read_now(_names) == ["after", "before"]


@pytest.mark.parametrize("times", [1, TRIES])
async def test_a_connection_that_ends_within_a_write(
    database: PostgresDatabase, postgres_database: str, times: int
) -> None:
    """FS-13: nothing is half there; the write is done by another connection, or refused after some tries."""
    ended = 0

    def work(connection: Connection) -> None:
        nonlocal ended
        _insert(connection, "once")
        if ended < times:
            ended += 1
            _end_connections(postgres_database)
            connection.all("SELECT 1")

    if times < TRIES:
        await database.write(1, work)
    else:
        with pytest.raises(StoreUnavailable, match="cannot be reached, or ended the connection"):
            await database.write(1, work)
    assert await database.read_now(_names) == (["once"] if times < TRIES else [])


@pytest.mark.parametrize("committed", [True, False])
async def test_a_commit_without_an_answer(
    database: PostgresDatabase, postgres_database: str, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FS-14: the server is asked what became of the transaction, and the caller is told the truth."""
    script = NearConnection.script
    cut: list[str] = []

    def cutting(self: NearConnection, sql: str) -> object:
        if sql != "COMMIT" or cut:
            return script(self, sql)
        cut.append(sql)
        if committed:
            script(self, sql)
        _end_connections(postgres_database)
        return script(self, "SELECT 1")

    monkeypatch.setattr(NearConnection, "script", cutting)
    if committed:
        await _write(database, "there")
    else:
        with pytest.raises(StoreUnavailable):
            await _write(database, "lost")
    assert cut
    assert await database.read_now(_names) == (["there"] if committed else [])


async def test_a_cancelled_write_is_whole(database: PostgresDatabase) -> None:
    """FS-18: once it was asked for, a write happens although nobody waits for it."""
    tasks = [asyncio.ensure_future(_write(database, name)) for name in "abc"]
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert await database.read_now(_names) == ["a", "b", "c"]


async def test_a_cancelled_read_leaves_a_sound_connection(database: PostgresDatabase) -> None:
    """FS-18: no connection is lost, and none answers the next one with what the last one asked."""
    slow = [
        asyncio.ensure_future(database.read_now(lambda conn: conn.all("SELECT pg_sleep(5)")))
        for _ in range(20)
    ]
    await asyncio.sleep(0.05)
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    found = await asyncio.gather(
        *(
            database.read_now(lambda conn, n=n: conn.one("SELECT CAST(? AS bigint)", (n,)))  # type: ignore[misc]
            for n in range(50)
        )
    )
    assert found == [(number,) for number in range(50)]


async def test_work_alone_waits_for_all_tenants(database: PostgresDatabase) -> None:
    """While definitions change nobody writes, in whatever process, and who was writing is waited for."""
    order: list[str] = []

    def slow(connection: Connection) -> None:
        connection.all("SELECT pg_sleep(0.2)")
        order.append("tenant")

    first = asyncio.ensure_future(database.write(7, slow))
    await asyncio.sleep(0.05)
    alone = asyncio.ensure_future(database.write(ALONE, lambda _: order.append("alone")))
    await asyncio.sleep(0.05)
    await database.write(8, lambda _: order.append("later"))
    await asyncio.gather(first, alone)
    assert order == ["tenant", "alone", "later"]


async def test_long_reads_leave_the_loop(database: PostgresDatabase) -> None:
    """Short reads and writes are on the event loop, long reads in threads, on one state."""
    loop = threading.get_ident()
    assert await database.read_now(lambda _: threading.get_ident()) == loop
    assert await database.write(1, lambda _: threading.get_ident()) == loop
    assert await database.read(lambda _: threading.get_ident()) != loop


async def test_a_copy_is_apart(database: PostgresDatabase, postgres_database: str) -> None:
    """What is done to a copy is not done to the database, and nothing of it is left."""
    await _write(database, "a")
    async with database.copied() as copy:
        await copy.open()
        assert await copy.read_now(_names) == ["a"]
        await copy.write(1, lambda connection: _insert(connection, "b"))
        assert await copy.read_now(_names) == ["a", "b"]
    assert await database.read_now(_names) == ["a"]
    left = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'rollbook_copy%'"
    assert await database.read_now(lambda connection: connection.one(left)) == (0,)


async def test_migrations_at_once(postgres: str) -> None:
    """Several processes that migrate a new database make it once."""
    with new_database(postgres) as url:
        with ThreadPoolExecutor(4) as threads:
            done = list(threads.map(lambda _: PostgresDatabase(url).migrate(), range(4)))
        assert sorted(done, key=str) == [(migrate.head(), migrate.head())] * 3 + [(None, migrate.head())]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (None, "has no tables yet; run: rollbook database migrate"),
        ("UPDATE alembic_version SET version_num = '0001'", "is at revision 0001, this program needs"),
        ("UPDATE alembic_version SET version_num = '0999'", "of a newer Rollbook"),
        ("UPDATE alembic_version SET version_num = '0002b'", "which no Rollbook has made"),
    ],
)
async def test_a_database_that_does_not_fit_is_refused(
    postgres: str, statement: str | None, words: str
) -> None:
    """FS-09: PostgreSQL is made and migrated by command only; a server says so."""
    with new_database(postgres) as url:
        unfit = PostgresDatabase(url)
        if statement is not None:
            unfit.migrate()
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(statement.encode())
        with pytest.raises(StoreUnavailable, match=words):
            await unfit.open()
        await unfit.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:secret@127.0.0.1:1/x", "cannot be reached"),
        ("postgresql://u:secret@/x?host=/nowhere", "cannot be reached"),
        ("postgresql://u:secret@h/x?nonsense=1", "cannot be read"),
    ],
)
async def test_what_cannot_be_reached(url: str, words: str) -> None:
    """The refusal says what is wrong, and never the password."""
    with pytest.raises(StoreUnavailable, match=words) as refused:
        await backend(url).open()
    assert "secret" not in str(refused.value)


async def test_fs_21_a_pool_that_is_exhausted(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FS-21: while every connection is busy others are refused in time and in words; then all goes on by itself."""
    monkeypatch.setattr("rollbook.storage.patience.WAIT_SECONDS", 0.05)
    async with AsyncExitStack() as busy:
        for _ in range(NEAR):
            await busy.enter_async_context(database._near.taken(patience()))
        with pytest.raises(StoreUnavailable, match="busy"):
            await database.read_now(_names)
        for _ in range(WRITERS):
            await busy.enter_async_context(database._writers.taken(patience()))
        with pytest.raises(StoreUnavailable, match="busy"):
            await _write(database, "refused")
    await _write(database, "after")
    assert await database.read_now(_names) == ["after"]
    assert database._near.free == NEAR


async def test_fs_21_a_server_that_has_no_connection_left(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FS-21: what is there goes on in turn, a burst is no refusal; without any the refusal says what is lacking, and all heals by itself."""
    connect = database._connect
    words = "FATAL:  sorry, too many clients already"

    async def refused() -> NearConnection:
        raise translated(psycopg.OperationalError(words), "postgresql://here")

    await database.read_now(_names)
    database._near._connect = refused
    await asyncio.gather(*(database.read_now(_names) for _ in range(NEAR)))
    monkeypatch.setattr("rollbook.storage.patience.WAIT_SECONDS", 0.3)
    async with database._near.taken(patience()):
        with pytest.raises(StoreUnavailable, match="takes no more connections"):
            await database.read_now(_names)
    assert await database.read_now(_names) == []
    database._near._connect = connect
    await asyncio.gather(*(database.read_now(_names) for _ in range(NEAR)))
    assert database._near.free == NEAR


async def test_fs_21_idle_connections_are_let_go(
    database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FS-21: what a burst has opened is there for other processes a minute later, and one is enough for what is asked now."""
    ours = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'rollbook'"

    async def count() -> int:
        ((found,),) = await database.read_now(lambda connection: connection.all(ours))
        return int(found)

    before = await count()
    async with AsyncExitStack() as burst:
        for _ in range(NEAR):
            await burst.enter_async_context(database._near.taken(patience()))
    assert await count() == before + NEAR - 1
    monkeypatch.setattr("rollbook.storage.sql.postgres_slots.IDLE_SECONDS", 0.05)
    await asyncio.sleep(0.1)
    await database.read_now(_names)
    for _ in range(500):  # the server takes a moment to see that a connection has ended
        if await count() <= before:
            break
        await asyncio.sleep(0.02)
    assert await count() <= before
    assert database._near.free == NEAR


async def test_fs_21_all_waits_of_a_request_have_one_measure(
    database: PostgresDatabase, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FS-21: while the database does not let anybody in, a request of several reads and a write waits as long as for one."""
    monkeypatch.setattr("rollbook.storage.patience.WAIT_SECONDS", 0.4)
    monkeypatch.setattr("rollbook.storage.sql.postgres_transaction.LEAST_SECONDS", 0.2)
    connect = database._connect

    async def never() -> NearConnection:
        await asyncio.sleep(60)
        raise AssertionError("nobody waits for so long")

    async def refused(*work: Callable[[], Awaitable[object]]) -> float:
        began = time.monotonic()
        with of_a_request():
            for each in work:
                with pytest.raises(StoreUnavailable, match="does not answer"):
                    await each()
        return time.monotonic() - began

    async def read() -> object:
        return await database.read_now(_names)

    async def write() -> object:
        return await _write(database, "refused")

    await read()
    for slots in (database._near, database._writers):
        slots._connect = never
    _end_connections(postgres_database)
    assert 0.4 <= await refused(read, read, read, write) < 1.2  # four waits of 0.4 s would be longer
    for slots in (database._near, database._writers):
        slots._connect = connect
    await _write(database, "after")
    assert await database.read_now(_names) == ["after"]


async def test_fs_21_a_lock_is_waited_for_no_longer(
    database: PostgresDatabase, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FS-21: whoever has waited before waits less for others of its tenant, and whoever has waited behind them, too."""
    monkeypatch.setattr("rollbook.storage.patience.WAIT_SECONDS", 0.5)
    monkeypatch.setattr("rollbook.storage.sql.postgres_transaction.LEAST_SECONDS", 0.2)
    other = PostgresDatabase(postgres_database)
    await other.open()
    with other.alone():
        began = time.monotonic()
        first = asyncio.ensure_future(_write(database, "first"))
        await asyncio.sleep(0.1)
        second = asyncio.ensure_future(_write(database, "second"))
        answers = await asyncio.gather(first, second, return_exceptions=True)
        assert time.monotonic() - began < 2.0
    assert [type(each) for each in answers] == [StoreUnavailable, StoreUnavailable]
    await _write(database, "after")
    assert await database.read_now(_names) == ["after"]
    await other.close()


def test_t_57_no_text_is_ordered_by_the_platform(postgres: str) -> None:
    """T-57: every text that is in an index, or may be compared, has the collation "C": an update of the system reorders nothing."""
    with new_database(postgres) as url, psycopg.connect(url) as connection:
        make_tables(url)
        found = connection.execute(
            "SELECT c.relname, a.attname, l.collname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " JOIN pg_collation l ON l.oid = a.attcollation JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am m ON m.oid = c.relam"
            " WHERE n.nspname = 'public' AND m.amname IN ('heap', 'btree') AND a.attnum > 0 AND NOT a.attisdropped"
        ).fetchall()
    assert len(found) > 20
    assert [
        each for each in found if each[2] != "C" and each[0] != "alembic_version" and "alembic" not in each[0]
    ] == []
