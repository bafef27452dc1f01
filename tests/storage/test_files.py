"""The database file: made whole, recognised, refused in words, served by one process."""

import subprocess
import sys
from pathlib import Path

import pytest

from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.sql import migrate
from rollbook.storage.sql.files import database_path, prepare, serve_lock
from rollbook.storage.sql.sqlite import SqliteConnection


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///data/rollbook.db", "data/rollbook.db"), ("sqlite:////var/lib/r.db", "/var/lib/r.db")],
)
def test_url_names_a_file(url: str, path: str) -> None:
    """Three slashes lead to a relative path, four to an absolute one."""
    assert database_path(url) == Path(path)


@pytest.mark.parametrize(
    "url",
    ["", "rollbook.db", "sqlite://", "sqlite:///", "sqlite://host/x", "sqlite:///:memory:", "mysql:///x"],
)
def test_other_urls_are_refused(url: str) -> None:
    """A URL of another form is refused with those that are known."""
    with pytest.raises(StoreUnavailable, match=r"sqlite:///relative\.db"):
        database_path(url)


def test_a_new_database_is_made_once(tmp_path: Path) -> None:
    """The first call makes the file, the second finds it; nothing else stays behind."""
    path = tmp_path / "rollbook.db"
    assert prepare(path)
    assert not prepare(path)
    assert [file.name for file in tmp_path.iterdir()] == ["rollbook.db"]
    connection = SqliteConnection(path)
    assert connection.one("PRAGMA journal_mode") == ("wal",)
    assert migrate.revision(connection) == migrate.head()
    connection.close()


def test_two_databases_have_different_epochs(tmp_path: Path) -> None:
    """A-31: versions of a database made anew are not those of its predecessor."""
    epochs = set()
    for name in ("a.db", "b.db"):
        prepare(tmp_path / name)
        connection = SqliteConnection(tmp_path / name)
        epochs.add(connection.one("SELECT value FROM setting WHERE name = 'epoch'"))
        connection.close()
    assert len(epochs) == 2


def _foreign(path: Path) -> None:
    connection = SqliteConnection(path, create=True)
    connection.run("CREATE TABLE other (x)")
    connection.close()


def _newer(path: Path) -> None:
    prepare(path)
    connection = SqliteConnection(path)
    connection.run("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def _truncated(path: Path) -> None:
    prepare(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def _text(path: Path) -> None:
    path.write_text("name,mail\n" * 1000)


def _lost(path: Path) -> None:
    path.with_name(f"{path.name}.key").write_text("rb_key_")


def _no_directory(path: Path) -> None:
    path.parent.rmdir()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (Path.touch, "is empty"),
        (_foreign, "belongs to another program"),
        (_newer, "newer Rollbook"),
        (_truncated, "damaged"),
        (_text, "not a SQLite database"),
        (_no_directory, "there is no directory"),
        (_lost, r"a database was here, .*rollbook database restore"),
        (Path.mkdir, "cannot be opened"),
    ],
)
def test_what_is_not_our_database_is_refused(tmp_path: Path, damage: object, words: str) -> None:
    """FS-09: a file that is not a sound database of ours is named, not replaced."""
    path = tmp_path / "data" / "rollbook.db"
    path.parent.mkdir()
    assert callable(damage)
    damage(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreUnavailable, match=words) as refusal:
        prepare(path)
    assert "\n" not in refusal.value.detail
    assert (path.read_bytes() if path.is_file() else None) == before


def test_one_process_serves_a_file(tmp_path: Path) -> None:
    """FS-11: a second server is refused with advice, until the first is gone, however it ended."""
    path = tmp_path / "rollbook.db"
    program = (
        "import sys; from pathlib import Path; from rollbook.storage.sql.files import serve_lock;"
        "lock = serve_lock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StoreUnavailable, match="PostgreSQL"):
            serve_lock(path)
        other.kill()
    lock = serve_lock(path)
    with pytest.raises(StoreUnavailable, match="already"):
        serve_lock(path)
    lock.release()
    serve_lock(path).release()
