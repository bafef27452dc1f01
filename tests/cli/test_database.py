"""`rollbook database`, on SQLite and PostgreSQL."""

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.cli import command
from tests.cli.command import within
from tests.postgres_server import database as new_database
from tests.postgres_server import empty, tools_first

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.resource import Change
from rollbook.storage.base import Author, Record, TokenRecord
from rollbook.storage.issuers import IssuerRecord
from rollbook.storage.sql import migrate
from rollbook.storage.sql.dialects import WORDS
from rollbook.storage.sql.files import APPLICATION_ID, serve_lock
from rollbook.storage.sql.issuers import SqlIssuers
from rollbook.storage.sql.links import SqlLinks
from rollbook.storage.sql.sqlite import SqliteConnection
from rollbook.storage.sql.store import SqlStore

BACKENDS = ("sqlite", "postgresql")
USER = core_catalog().resource_types[0]
AUTHOR = Author("test", 1_700_000_000_000)


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database that is not made yet, which the environment names."""
    monkeypatch.setenv("NO_COLOR", "1")
    if request.param == "sqlite":
        named = f"sqlite:///{tmp_path}/store.db"
        monkeypatch.setenv("ROLLBOOK_DATABASE", named)
        yield named
        return
    with new_database(request.getfixturevalue("postgres")) as named:
        monkeypatch.setenv("PATH", tools_first())
        monkeypatch.setenv("ROLLBOOK_DATABASE", named)
        yield named


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and messages of the command."""
    return command.run("database", *arguments)


def asked(*arguments: str) -> Any:
    """What the command says as JSON."""
    code, said, _ = run(*arguments, "--json")
    assert code == 0
    return json.loads(said)


def add(url: str, name: str) -> Record:
    """Insert a user of that name and id."""
    made = within(url, lambda store: store.insert(1, USER, name, Change({"userName": name}), AUTHOR))
    assert isinstance(made, Record)
    return made


def version(url: str, name: str) -> str | None:
    """The version of a user, None if there is none."""
    found = within(url, lambda store: store.get(1, USER, name))
    return found.version if found else None


def test_made_once(url: str) -> None:
    """The tables are made, then there is nothing to do."""
    assert run("migrate")[1].strip().endswith(f"made, at revision {migrate.head()}")
    assert asked("migrate")["from"] == asked("migrate")["to"] == migrate.head()
    assert run("check")[1].strip().endswith("everything holds")
    assert "secret" not in url


def test_a_backup_comes_back(url: str, tmp_path: Path) -> None:
    """What was there is there again, what came later is not, and no version is given out twice (A-31)."""
    run("migrate")
    former = add(url, "ann").version
    file = tmp_path / "backup"
    assert asked("backup", str(file))["bytes"] == file.stat().st_size
    assert file.stat().st_mode & 0o077 == 0
    add(url, "bob")
    code, _, words = run("restore", str(file))
    assert code == 1
    assert "--replace" in words
    kept = asked("restore", str(file), "--replace")["kept"]
    assert version(url, "bob") is None
    restored = version(url, "ann")
    assert restored not in {None, former}
    assert run("check")[0] == 0
    if url.startswith("sqlite"):
        assert version(f"sqlite:///{kept}", "bob") is not None


def test_a_backup_comes_back_in_an_empty_place(
    request: pytest.FixtureRequest, url: str, tmp_path: Path
) -> None:
    """On a new machine there is no former database: nothing has to be made before, and nothing is replaced."""
    run("migrate")
    add(url, "ann")
    file = tmp_path / "backup"
    asked("backup", str(file))
    with ExitStack() as stack:
        other = f"sqlite:///{tmp_path}/other.db"
        if not url.startswith("sqlite"):
            other = stack.enter_context(new_database(request.getfixturevalue("postgres")))
            code, _, words = run("backup", str(tmp_path / "nothing"), "--database", other)
            assert (code, "has no tables yet" in words, (tmp_path / "nothing").exists()) == (1, True, False)
        code, said, words = run("restore", str(file), "--database", other)
        assert (code, words) == (0, "")
        assert "look at them with: rollbook token list" not in said
        assert version(other, "ann") is not None
        assert run("check", "--database", other)[0] == 0


def _target(store: SqlStore) -> Awaitable[Any]:
    async def make() -> None:
        links = SqlLinks(store.database)
        progress = await links.open_target(1, "wiki", "digest")
        await links.mark(1, progress.number, {"User": 0}, "ann", 0)

    return make()


def test_t_95_a_restore_starts_nothing_by_itself(url: str, tmp_path: Path) -> None:
    """T-95: targets are stopped and believed nothing of; tokens that were revoked or made since the backup are named."""
    run("migrate")
    add(url, "ann")
    within(url, _target)
    early, late = (
        TokenRecord(name, 1, name, name.encode(), 0, 2**50, None, None) for name in ("early", "late")
    )
    within(url, lambda store: store.add_token(early))
    issuer = IssuerRecord(1, "login", "https://login.example.com", "scim", 0, "{}")
    within(url, lambda store: SqlIssuers(store.database).put(issuer, new=True))
    file = tmp_path / "backup"
    asked("backup", str(file))
    within(url, lambda store: store.revoke_token(1, "early", 5))
    within(url, lambda store: store.add_token(late))
    assert within(url, lambda store: SqlIssuers(store.database).remove(1, "login"))
    answer = asked("restore", str(file), "--replace")
    assert answer["grants"] == [{"kind": "issuer", "tenant": "default", "name": "login"}]
    told = answer["tokens"]
    assert told == {"known": True, "again": ["early"], "gone": ["late"]}
    progress = within(url, lambda store: SqlLinks(store.database).target(1, "wiki"))
    assert "a backup was restored" in progress.stopped
    assert progress.walked == 0
    code, said, _ = run("restore", str(file), "--replace")
    assert code == 0
    assert "rollbook resume --all" in said
    assert "revoke early" not in said  # it is as it was: the former database had it so, too


def test_fs_25_a_backup_under_load_is_whole(url: str, tmp_path: Path) -> None:
    """FS-25, T-95: of a database that is written to meanwhile a backup has one moment, and everything acknowledged before it."""
    run("migrate")
    written: list[str] = []
    stop = threading.Event()

    async def write(store: SqlStore) -> None:
        while not stop.is_set():
            names = [f"user{len(written) + more}" for more in range(20)]
            inserts = (store.insert(1, USER, each, Change({"userName": each}), AUTHOR) for each in names)
            await asyncio.gather(*inserts)
            written.extend(names)

    writing = threading.Thread(target=within, args=(url, write))
    writing.start()
    try:
        while len(written) < 100:
            time.sleep(0.01)
        before = list(written)
        file = tmp_path / "backup"
        asked("backup", str(file))
    finally:
        stop.set()
        writing.join()
    after = len(written)
    asked("restore", str(file), "--replace")
    assert run("check")[0] == 0
    count = within(url, lambda store: store.numbers(1))["User"]
    assert len(before) <= count <= after
    for name in (before[0], before[-1]):
        assert version(url, name) is not None


def test_an_older_backup_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier version wrote can be restored; its tables are made those of today."""
    url = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("ROLLBOOK_DATABASE", url)
    old = tmp_path / "old"
    connection = SqliteConnection(old, create=True)
    connection.all(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.all(migrate.migration_sql(WORDS["sqlite"], None, "0009"))
    connection.close()
    asked("restore", str(old))
    assert run("check")[0] == 0


def test_a_backup_replaces_no_file(url: str, tmp_path: Path) -> None:
    """A file that is there stays as it is."""
    run("migrate")
    (tmp_path / "there").write_text("mine")
    code, _, words = run("backup", str(tmp_path / "there"))
    assert code == 1
    assert "exists" in words
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize("content", [None, b"", b"nothing of ours" * 1000])
def test_what_is_no_backup_changes_nothing(url: str, tmp_path: Path, content: bytes | None) -> None:
    """The refusal comes before anything is touched."""
    run("migrate")
    add(url, "ann")
    before = version(url, "ann")
    if content is not None:
        (tmp_path / "wrong").write_bytes(content)
    code, _, words = run("restore", str(tmp_path / "wrong"), "--replace")
    assert code == 1
    assert words
    assert version(url, "ann") == before


def test_a_damaged_database_is_told(url: str) -> None:
    """`check` names what does not hold, and ends with 1."""
    run("migrate")
    add(url, "ann")
    within(url, lambda store: store.database.write(1, lambda conn: conn.run("DELETE FROM unique_value")))
    code, said, _ = run("check")
    assert code == 1
    assert "no unique value for attribute" in said
    assert json.loads(run("check", "--json")[1])["faults"]


def test_vacuum(url: str) -> None:
    """The space of what is gone is given back; nothing else changes."""
    run("migrate")
    add(url, "ann")
    sizes = asked("vacuum")
    assert sizes["after"] > 0
    assert version(url, "ann") is not None


def test_a_copy_has_everything(url: str, tmp_path: Path, postgres_database: str) -> None:
    """From either database to either: the same versions, tokens, and log; what is not empty is refused."""
    run("migrate")
    former = add(url, "ann").version
    token = TokenRecord("t", 1, "hr", b"digest", 1, None)
    within(url, lambda store: store.add_token(token))
    empty(postgres_database)
    for destination in (f"sqlite:///{tmp_path}/copy.db", postgres_database):
        assert asked("copy", destination)["rows"]["resource"] == 1
        assert version(destination, "ann") == former
        assert within(destination, lambda store: store.tokens(1)) == [token]
        changes = [within(each, lambda store: store.changes(1, 0, 10)) for each in (url, destination)]
        assert changes[0] == changes[1] != []
        assert run("check", "--database", destination)[0] == 0
        code, _, words = run("copy", destination)
        assert code == 1
        assert "is not empty" in words
        add(destination, "bob")


def test_an_old_one_is_not_copied(tmp_path: Path) -> None:
    """A copy changes nothing at its source: one of an earlier version is refused, with what to do."""
    path = tmp_path / "old.db"
    connection = SqliteConnection(path, create=True)
    connection.all(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.all(migrate.migration_sql(WORDS["sqlite"], None, "0003"))
    connection.close()
    code, _, words = run("copy", f"sqlite:///{tmp_path}/new.db", "--database", f"sqlite:///{path}")
    assert code == 1
    assert "rollbook database migrate" in words
    connection = SqliteConnection(path)
    assert migrate.revision(connection) == "0003"
    connection.close()


@pytest.mark.parametrize("command", ["check", "vacuum", "backup"])
def test_what_is_not_there(tmp_path: Path, command: str) -> None:
    """A command for a database that is missing makes none."""
    arguments = [command, "--database", f"sqlite:///{tmp_path}/none.db"]
    code, _, words = run(*arguments, *([str(tmp_path / "x")] if command == "backup" else []))
    assert code == 3
    assert "there is no database" in words
    assert list(tmp_path.iterdir()) == []


def test_a_served_file_is_not_replaced(tmp_path: Path) -> None:
    """FS-11: a restore under a running server would take its database away."""
    url = f"sqlite:///{tmp_path}/store.db"
    run("migrate", "--database", url)
    run("backup", str(tmp_path / "file"), "--database", url)
    lock = serve_lock(tmp_path / "store.db")
    code, _, words = run("restore", str(tmp_path / "file"), "--replace", "--database", url)
    lock.release()
    assert code == 1
    assert "served by another process" in words


def test_tools_that_are_missing(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without pg_dump the message says where it comes from, and no file is left."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    code, _, words = run("backup", str(tmp_path / "file"), "--database", postgres_database)
    assert code == 1
    assert "postgresql-client" in words
    assert list(tmp_path.iterdir()) == []
