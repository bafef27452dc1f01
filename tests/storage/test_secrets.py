"""Secrets at rest: the same in every store, sealed in those that last, each at its place (I-32)."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.postgres_server import KEY, empty, tools_first

from rollbook.app import prepare_store
from rollbook.operations import tokens
from rollbook.protocol.catalog import core_catalog
from rollbook.settings import Settings
from rollbook.storage.key_files import KeySource, add_key, make_file
from rollbook.storage.keyring import Keyring, KeyUnknown, derive, key_id, new_key, read_keys
from rollbook.storage.memory import MemoryStore
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.rotation import Rotated, rotate
from rollbook.storage.sql.secrets import SqlSecrets, by_key
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore

pytestmark = pytest.mark.anyio

FORMS: tuple[Callable[[bytes], bytes], ...] = (
    bytes,
    lambda raw: raw.hex().encode(),
    lambda raw: raw.hex().upper().encode(),
)
CLEAR = {"token-pepper": bytes(range(32)), "cursor-key": bytes(range(100, 164))}


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MemoryStore | SqlStore]:
    """A store of each kind, new."""
    if request.param == "memory":
        yield MemoryStore(core_catalog())
        return
    async with _opened(_url(request, tmp_path)) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind, new."""
    return _url(request, tmp_path)


def _url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/rollbook.db"
    empty(database := request.getfixturevalue("postgres_database"))
    return str(database)


class _opened:  # noqa: N801 - reads as the function it stands for
    def __init__(self, url: str) -> None:
        self._store = prepare_store(Settings(database=url, database_origin="the test"))

    async def __aenter__(self) -> SqlStore:
        await self._store.open()
        return self._store

    async def __aexit__(self, *_: object) -> None:
        await self._store.close()


async def test_a_store_keeps_secrets(store: MemoryStore | SqlStore) -> None:
    """Kept once and for all, set, forgotten; a tenant's are its own; derived ones are always the same."""
    secrets = store.secrets
    assert await secrets.get("a") is None
    assert await secrets.kept("a", b"one") == b"one"
    assert await secrets.kept("a", b"two") == b"one"
    assert await secrets.get("a", 7) is None
    await secrets.put("a", b"seven", 7)
    await secrets.put("a", b"eight", 7)
    assert (await secrets.get("a"), await secrets.get("a", 7)) == (b"one", b"eight")
    await secrets.drop("a", 7)
    assert await secrets.get("a", 7) is None
    assert await secrets.derived("audit") == await secrets.derived("audit")
    assert await secrets.derived("audit") != await secrets.derived("other")
    assert len(await secrets.derived("audit")) == 32


def _in_clear(connection: Connection) -> None:
    for name, value in CLEAR.items():
        connection.run("INSERT INTO setting (name, value) VALUES (?, ?)", (name, value.hex()))


async def test_i_32_nothing_on_disk_is_a_secret(tmp_path: Path) -> None:
    """Database, log, backup: none has the pepper, the key of cursors or another secret, nor the key; also while it is open."""
    url = f"sqlite:///{tmp_path}/rollbook.db"
    async with _opened(url) as store:
        raw = [
            await tokens.pepper(store),
            await tokens.cursor_key(store),
            await store.secrets.derived("audit"),
        ]
        await store.secrets.put("oauth/client", b"a-secret-of-a-client", 7)
        raw += [b"a-secret-of-a-client", await store.secrets.kept("root", b"")]
        keys = (tmp_path / "rollbook.db.key").read_bytes().split()[-1]
        store.database.backup(tmp_path / "backup")
        _assert_without(tmp_path, [*raw, keys], ".key")
    _assert_without(tmp_path, [*raw, keys], ".key")
    assert (tmp_path / "rollbook.db.key").stat().st_mode & 0o777 == 0o600


def _assert_without(folder: Path, secrets: list[bytes], but: str) -> None:
    files = {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != but}
    assert {"rollbook.db", "backup"} <= set(files)
    assert [
        name for name, data in files.items() for raw in secrets for form in FORMS if form(raw) in data
    ] == []


async def test_i_32_a_dump_of_postgresql_has_none(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pg_dump writes opens nothing; of what stood in clear nothing is left, neither there nor in the tables' files."""
    monkeypatch.setenv("PATH", tools_first())
    empty(postgres_database)
    async with _opened(postgres_database) as store:
        await store.database.write(0, _in_clear)
        raw = [await tokens.pepper(store), await tokens.cursor_key(store)]
        assert raw == [*CLEAR.values()]
        assert not await store.secrets.are_in_clear()
    dump = subprocess.run(  # noqa: ASYNC221 - nothing else runs here
        ["pg_dump", f"--dbname={postgres_database}"], capture_output=True, check=True
    ).stdout
    assert b"token-pepper" in dump  # the name of what is sealed
    assert [raw for raw in (*raw, KEY.encode()) for form in FORMS if form(raw) in dump] == []


async def test_i_32_earlier_databases_are_taken_over(tmp_path: Path) -> None:
    """What an earlier version kept in clear is sealed at its next use, is what it was, and is left in no file."""
    url = f"sqlite:///{tmp_path}/rollbook.db"
    async with _opened(url) as store:
        await store.database.write(0, _in_clear)
    form = CLEAR["token-pepper"].hex().encode()
    assert form in (tmp_path / "rollbook.db").read_bytes()  # it was there to be found
    async with _opened(url) as store:
        assert await tokens.pepper(store) == CLEAR["token-pepper"]
        assert await tokens.cursor_key(store) == CLEAR["cursor-key"]
        assert await store.setting("token-pepper") is None
        store.database.backup(tmp_path / "backup")
        _assert_without(tmp_path, [*CLEAR.values()], ".key")
    async with _opened(url) as store:
        assert await tokens.pepper(store) == CLEAR["token-pepper"]


async def test_i_32_a_value_opens_at_its_place_only(url: str) -> None:
    """Copied to another name or tenant, or altered, a sealed value does not open."""
    async with _opened(url) as store:
        await store.secrets.put("client", b"seven's", 7)

        def copy(connection: Connection) -> None:
            value = "SELECT key, value FROM secret WHERE tenant = 7 AND name = 'client'"
            for tenant, name in ((8, "client"), (7, "other"), (0, "client")):
                connection.run(
                    f"INSERT INTO secret (tenant, name, key, value) SELECT {tenant}, '{name}', key, value FROM ({value}) AS found"
                )

        await store.database.write(0, copy)
        for tenant, name in ((8, "client"), (7, "other"), (0, "client")):
            with pytest.raises(KeyUnknown, match="moved there from another place"):
                await store.secrets.get(name, tenant)
        assert await store.secrets.get("client", 7) == b"seven's"


def test_i_32_what_is_altered_does_not_open() -> None:
    """Each part of a sealed value is looked at; other algorithms, and compression, are refused."""
    ring = Keyring((new_key(),))
    text = ring.seal("0/a", b"value")
    assert ring.open("0/a", text) == b"value"
    assert key_id(text) == ring.sealing
    parts = text.split(".")
    for place in (2, 3, 4):
        changed = [*parts]
        changed[place] = ("A" if changed[place][0] != "A" else "B") + changed[place][1:]
        with pytest.raises(KeyUnknown):
            ring.open("0/a", ".".join(changed))
    for other in ("", "x", "a.b.c.d.e", text[:-1], Keyring((new_key(),)).seal("0/a", b"value")):
        with pytest.raises(KeyUnknown):
            ring.open("0/a", other)


def test_keys_are_read_and_nothing_is_repeated() -> None:
    """Lines, spaces and remarks; what is no whole key is told by its place only."""
    one, two = new_key(), new_key()
    assert read_keys(f"# ours\n{one.text}  # first\n\n{two.text}\n", "here") == (one, two)
    for wrong in (one.text[:-1], one.text + "x", "hunter2", one.text.swapcase(), "é"):
        with pytest.raises(KeyUnknown, match="here, line 2") as refused:
            read_keys(f"{two.text}\n{wrong}", "here")
        assert wrong not in refused.value.detail
    with pytest.raises(KeyUnknown, match="no key in it"):
        read_keys("# nothing\n", "here")
    assert repr(one).count(one.text) == 0
    assert derive(b"k" * 32, "a") != derive(b"k" * 32, "b")


def test_files_of_keys_lose_none(tmp_path: Path) -> None:
    """A file is made once, for its owner; a key is added behind, also where a line was never ended."""
    file = tmp_path / "keys"
    first, second = new_key(), new_key()
    assert make_file(file, first)
    assert not make_file(file, second)
    file.write_text(file.read_text().rstrip("\n"))
    add_key(file, second)
    assert read_keys(file.read_text(), "keys") == (first, second)
    assert file.stat().st_mode & 0o777 == 0o600


async def test_i_32_rotation_beside_a_server(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sealed anew is what it was; who runs meanwhile reads the keys anew, also to seal."""
    file = tmp_path / "keys"
    make_file(file, new_key())
    monkeypatch.delenv("ROLLBOOK_KEY", raising=False)
    monkeypatch.setenv("ROLLBOOK_KEY_FILE", str(file))
    async with _opened(url) as server, _opened(url) as command:
        pepper = await tokens.pepper(server)
        for number in range(250):
            await server.secrets.put("client", str(number).encode(), number + 1)
        done = await rotate(command.database, command.secrets)
        assert (done.is_new, done.secrets) == (True, 252)
        assert await server.secrets.get("client", 200) == b"199"
        assert await tokens.pepper(server) == pepper
        await server.secrets.put("later", b"later")
        assert await command.secrets.get("later") == b"later"
        again = await rotate(command.database, command.secrets)
        assert (again.is_new, again.secrets) == (True, 253)
        assert len(read_keys(file.read_text(), "keys")) == 3


@pytest.mark.parametrize("pause", ["before it seals", "between its pages"])
async def test_i_32_rotations_beside_each_other(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pause: str
) -> None:
    """Rotations in the middle of another: all come to their end, everything is sealed by the last key, nothing is lost."""
    file = tmp_path / "keys"
    make_file(file, new_key())
    monkeypatch.delenv("ROLLBOOK_KEY", raising=False)
    monkeypatch.setenv("ROLLBOOK_KEY_FILE", str(file))
    async with _opened(url) as one, _opened(url) as two:
        for number in range(250):
            await one.secrets.put("client", str(number).encode(), number + 1)
        loop, wiping, others = asyncio.get_running_loop(), one.database.wiping, list[Rotated]()

        def meanwhile(work: Callable[[Connection], int]) -> int:
            done = wiping(work) if pause == "between its pages" else None
            for _ in range(0 if others else 2):  # the first ends what is begun, the second adds a key
                other = asyncio.run_coroutine_threadsafe(rotate(two.database, two.secrets), loop)
                others.append(other.result(60))
            return wiping(work) if done is None else done

        one.database.wiping = meanwhile  # type: ignore[method-assign,assignment]  # somebody else's moment
        first = await rotate(one.database, one.secrets)
        last = read_keys(file.read_text(), "keys")[-1].id
        assert (first.key, others[1].key, others[1].is_new) == (last, last, True)
        assert await one.database.read(by_key) == {last: 251}
        assert await two.secrets.get("client", 250) == b"249"


async def test_i_32_a_key_is_added_while_others_are_looked_for(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks for the keys while somebody rotates has them all: nobody is told that one is missing."""
    file = tmp_path / "keys"
    make_file(file, new_key())
    monkeypatch.delenv("ROLLBOOK_KEY", raising=False)
    monkeypatch.setenv("ROLLBOOK_KEY_FILE", str(file))
    async with _opened(url) as one, _opened(url) as two:
        await one.secrets.put("a", b"a")
        read, is_done = one.database.read, list[Rotated]()

        async def before(work: Callable[[Connection], Any], **how: Any) -> Any:
            if work is by_key and not is_done:
                is_done.append(await rotate(two.database, two.secrets))
            return await read(work, **how)

        one.database.read = before  # type: ignore[method-assign]  # somebody else's moment
        await one.secrets.put("b", b"b")
        is_done.clear()
        assert len((await one.secrets.all_keys()).ids) == 3
        assert await two.secrets.get("b") == b"b"


async def test_i_32_a_value_set_during_rotation_is_not_lost(tmp_path: Path) -> None:
    """A secret that somebody sets between reading and sealing anew stays what they set."""
    database = SqliteFile(tmp_path / "rollbook.db")
    source = KeySource("test", lambda: keys[0])
    keys = [new_key().text]
    store = SqlStore(database, keys=source)
    await store.open()
    await store.secrets.put("a", b"old")
    keys[0] = f"{keys[0]} {new_key().text}"
    wiping = database.wiping

    def meanwhile(work: Callable[[Connection], int]) -> int:
        ring = Keyring(read_keys(keys[0].split()[0], "old"))
        with database.alone() as connection:
            connection.run("UPDATE secret SET value = ? WHERE name = 'a'", (ring.seal("0/a", b"new"),))
        return wiping(work)

    database.wiping = meanwhile  # type: ignore[method-assign,assignment]  # somebody else's moment
    assert (await rotate(database, store.secrets)).secrets == 1  # what keys are derived from
    database.wiping = wiping  # type: ignore[method-assign]
    assert await store.secrets.get("a") == b"new"
    assert (await rotate(database, store.secrets)).secrets == 1
    assert await store.secrets.get("a") == b"new"
    await store.close()


async def test_i_32_several_at_once_make_one(tmp_path: Path) -> None:
    """Processes that begin together on a new database agree on key and secrets."""
    url = f"sqlite:///{tmp_path}/rollbook.db"
    async with _opened(url) as one, _opened(url) as two:
        assert isinstance(one.secrets, SqlSecrets)
        assert await one.secrets.kept("a", b"1") == await two.secrets.kept("a", b"2") == b"1"
        assert (one.secrets.made is None, two.secrets.made is None) == (False, True)


async def test_i_32_postgresql_wants_a_key(postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one nothing new is kept; a database of an earlier version goes on in clear, and is sealed once there is a key."""
    monkeypatch.delenv("ROLLBOOK_KEY")
    empty(postgres_database)
    async with _opened(postgres_database) as store:
        with pytest.raises(KeyUnknown, match="rollbook key create FILE"):
            await tokens.pepper(store)
        await store.database.write(0, _in_clear)
        assert await tokens.pepper(store) == CLEAR["token-pepper"]
        assert len(await store.secrets.derived("audit")) == 32
        assert await store.secrets.are_in_clear()
        derived = await store.secrets.derived("audit")
    monkeypatch.setenv("ROLLBOOK_KEY", KEY)
    async with _opened(postgres_database) as store:
        await rotate(store.database, store.secrets)
        assert not await store.secrets.are_in_clear()
        assert await tokens.pepper(store) == CLEAR["token-pepper"]
        assert await store.secrets.derived("audit") == derived
    monkeypatch.setenv("ROLLBOOK_KEY", new_key().text)
    async with _opened(postgres_database) as store:
        with pytest.raises(KeyUnknown, match=read_keys(KEY, "")[0].id):
            await tokens.pepper(store)
    assert os.environ["ROLLBOOK_KEY"] != KEY
