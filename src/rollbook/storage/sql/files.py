"""The database file: made whole or not at all, recognised, brought up to date, served by one process."""

import errno
import os
import secrets
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.key_files import beside
from rollbook.storage.sql import migrate
from rollbook.storage.sql.dialects import WORDS
from rollbook.storage.sql.sqlite import LOWEST_SQLITE, SqliteConnection, sqlite_version

APPLICATION_ID = 0x526F6C6C
"""`Roll`: how a file says whose it is (SQLite's application_id)."""

_SCHEMES = "sqlite:///relative.db or sqlite:////absolute/path.db"


def database_path(url: str) -> Path:
    """The file that a database URL names.

    Raises:
        StoreUnavailable: the URL is of another form; says which are known.
    """
    scheme, _, rest = url.partition("://")
    if scheme != "sqlite" or not rest.startswith("/") or not rest[1:] or rest[1:].startswith(":"):
        raise StoreUnavailable(f"database URL {url!r} is not known here; write {_SCHEMES}")
    return Path(rest[1:])


def prepare(path: Path) -> bool:
    """Make the database if there is none, bring it up to date if it is old; whether it was made.

    Raises:
        StoreUnavailable: the file is not ours, damaged, newer than this program, or cannot be written.
    """
    _check_library()
    made = not path.exists() and _make(path)
    connection = opened(path)
    try:
        migrate.upgrade(connection, WORDS["sqlite"])
        connection.all("PRAGMA journal_mode = WAL")  # a restored copy may have lost it
    finally:
        connection.close()
    return made


def _check_library() -> None:
    if sqlite_version() < LOWEST_SQLITE:
        found, wanted = (".".join(map(str, version)) for version in (sqlite_version(), LOWEST_SQLITE))
        raise StoreUnavailable(
            f"SQLite {found} can lose committed data (WAL reset bug); {wanted} or later is needed: "
            "pip install --upgrade apsw"
        )


def _make(path: Path) -> bool:
    """Build the database beside its place and move it there whole; False if another process was quicker."""
    if not path.parent.is_dir():
        raise StoreUnavailable(f"{path}: there is no directory {path.parent}; create it first")
    key = beside(path).file
    if key and key.exists():  # made after the database, whose secrets it opens
        raise StoreUnavailable(
            f"{path} is missing, but its key {key.name} is there: a database was here, and no empty one takes its place. "
            "Put it back (rollbook database restore), or, to start anew, take the key away"
        )
    building = path.with_name(f"{path.name}.new-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        os.close(os.open(building, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # people's data: owner only
        connection = SqliteConnection(building, create=True)
        connection.all(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.all("PRAGMA journal_mode = WAL")
        connection.run("BEGIN IMMEDIATE")
        connection.all(migrate.snapshot())
        connection.run("INSERT INTO setting (name, value) VALUES ('epoch', ?)", (secrets.token_hex(4),))
        connection.run("COMMIT")
        connection.close()
        return _move(building, path)
    finally:
        for leftover in (building, Path(f"{building}-wal"), Path(f"{building}-shm")):
            leftover.unlink(missing_ok=True)


def _move(building: Path, path: Path) -> bool:
    try:
        os.link(building, path)  # unlike a rename, it never replaces what is there
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        building.rename(path)
    with suppress(OSError):
        directory = os.open(path.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
    return True


def opened(path: Path) -> SqliteConnection:
    """A connection to a file that is ours.

    Raises:
        StoreUnavailable: it is not, or cannot be opened.
    """
    connection = _open(path)
    try:
        _check_ours(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def revision(path: Path) -> str:
    """The revision of a file that is ours."""
    connection = opened(path)
    try:
        return migrate.revision(connection)
    finally:
        connection.close()


def _open(path: Path) -> SqliteConnection:
    try:
        if path.stat().st_size == 0:
            raise StoreUnavailable(
                f"{path} is empty, which a database of Rollbook never is: restore a backup, "
                "or remove the file to start anew"
            )
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    return SqliteConnection(path)


def _check_ours(connection: SqliteConnection, path: Path) -> None:
    row = connection.one("PRAGMA application_id")
    if row is None or row[0] != APPLICATION_ID:
        raise StoreUnavailable(f"{path} belongs to another program; name another file with --database")


_PROBE = b"\0" * 65536
"""More than a write of a request or two needs."""

_REFUSALS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "the directory may not be written",
}


def refuses_writes(path: Path) -> str | None:
    """What keeps files beside a database from being written, in words that name none; None if nothing does."""
    try:
        with tempfile.TemporaryFile(dir=path.absolute().parent, buffering=0) as file:
            if file.write(_PROBE) < len(_PROBE):  # room for some of it only
                return "the disk is full"
            os.fsync(file.fileno())
    except OSError as error:
        return _REFUSALS.get(error.errno or 0, "the disk reports an error")
    return None


class FileLock:
    """Held by a process; gone with it, however it ends."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def release(self) -> None:
        """Let another process serve."""
        self._file.close()


def serve_lock(path: Path) -> FileLock:
    """Become the serving process of a database, by a lock on the file `<database>.serve.lock`.

    The database's own file must not be opened for this: closing it would drop SQLite's locks.

    Raises:
        StoreUnavailable: another process serves it.
    """
    held = path.with_name(path.name + ".serve.lock")
    try:
        file = held.open("a", encoding="ascii")
    except OSError as error:
        raise StoreUnavailable(
            f"{held}: {error.strerror}; create it first, or name another file with --database"
            if not path.parent.is_dir()
            else f"{held}: {error.strerror}"
        ) from error
    if not _lock(file):
        file.close()
        raise StoreUnavailable(
            f"{path} is served by another process already. One process serves a SQLite file: stop the other "
            "one, name another file with --database, or use PostgreSQL for several processes"
        )
    return FileLock(file)


def work_lock(path: Path) -> tuple[FileLock, bool]:
    """Say that this process works on the targets of a database; and whether no other process does.

    Who is alone knows that whatever is still claimed was claimed by a process that has ended.
    """
    file = path.with_name(path.name + ".work.lock").open("a", encoding="ascii")
    alone = _lock(file)
    _share(file)
    return FileLock(file), alone


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[str]) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _share(file: IO[str]) -> None:
        """Locks are not shared here: later ones are not alone, and wait for leases to end."""
        del file
else:
    import fcntl

    def _lock(file: IO[str]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _share(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_SH)
