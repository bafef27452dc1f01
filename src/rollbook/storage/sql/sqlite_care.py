"""Looking after a SQLite file: backup, restore, vacuum."""

import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.sql import files, migrate, parts
from rollbook.storage.sql.after_restore import settle
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.dialects import WORDS
from rollbook.storage.sql.sqlite import SqliteConnection

T = TypeVar("T")


def backup(path: Path, file: Path) -> None:
    """Write a copy of one moment; others go on reading and writing the while.

    Raises:
        StoreUnavailable: there is such a file already, or the disk refuses.
    """
    _check_free(file)
    connection = files.opened(path)
    building = file.with_name(f"{file.name}.new-{secrets.token_hex(4)}")
    try:
        os.close(os.open(building, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # people's data: owner only
        connection.run("VACUUM INTO ?", (str(building),))
        _flush(building)
        building.rename(file)
        _flush(file.parent)
    finally:
        connection.close()
        building.unlink(missing_ok=True)


def restore(path: Path, file: Path, *, replace: bool) -> Path | None:
    """Put a backup in the place of a database; where the former one is kept, if there was one.

    Versions of resources go on from a new epoch, so that none is given twice (A-31).

    Raises:
        StoreUnavailable: the backup is not one, is damaged or newer than this program; or the database is there
            and `replace` does not say so, or is in use.
    """
    if path.exists() and not replace:
        raise StoreUnavailable(f"{path} exists; say --replace to put the backup in its place")
    if not path.parent.is_dir():
        raise StoreUnavailable(f"{path}: there is no directory {path.parent}; create it first")
    building = path.with_name(f"{path.name}.new-{secrets.token_hex(4)}")
    lock = files.serve_lock(path)
    try:
        _checked_copy(file, building)
        kept = _kept_aside(path) if path.exists() else None
        building.replace(path)
        _flush(path.parent)
    finally:
        lock.release()
        for leftover in (building, Path(f"{building}-wal"), Path(f"{building}-shm")):
            leftover.unlink(missing_ok=True)
    return kept


def vacuum(path: Path) -> tuple[int, int]:
    """Give the space of what was deleted back; bytes of the file before and after."""
    connection = files.opened(path)
    try:
        before = path.stat().st_size
        if connection.one("SELECT 1 FROM sqlite_schema WHERE name = 'part'") is not None:
            connection.run(parts.MERGE)
        connection.all("VACUUM")
        connection.all("PRAGMA wal_checkpoint(TRUNCATE)")
        return before, path.stat().st_size
    finally:
        connection.close()


def wiping(path: Path, work: Callable[[Connection], T]) -> T:
    """Run `work` in a transaction, beside others; what it deletes is left neither in the file nor in the log.

    Where others read for longer than a while, the log is emptied later, when it is written anew from its beginning.
    """
    connection = files.opened(path)
    try:
        connection.all("PRAGMA secure_delete = ON")
        connection.run("BEGIN IMMEDIATE")
        done = work(connection)
        connection.run("COMMIT")
        connection.all("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    return done


def _check_free(file: Path) -> None:
    if file.exists():
        raise StoreUnavailable(f"{file} exists; name another file")
    if not file.absolute().parent.is_dir():
        raise StoreUnavailable(f"{file}: there is no directory {file.parent}; create it first")


def _checked_copy(file: Path, building: Path) -> None:
    """Copy a backup that is sound, with the next epoch."""
    source = files.opened(file)
    try:
        migrate.is_current(migrate.revision(source))
        faults = [str(row[0]) for row in source.all("PRAGMA quick_check(3)") if row[0] != "ok"]
        if faults:
            raise StoreUnavailable(f"{file} is damaged: {'; '.join(faults)}")
        os.close(os.open(building, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        source.run("VACUUM INTO ?", (str(building),))
    finally:
        source.close()
    copy = SqliteConnection(building)
    try:
        migrate.upgrade(copy, WORDS["sqlite"])
        copy.run("BEGIN IMMEDIATE")
        settle(copy)
        copy.run("COMMIT")
    finally:
        copy.close()
    _flush(building)


def _kept_aside(path: Path) -> Path:
    """Give a database, with all that was written to it, a second name: so there is one at any moment."""
    connection = SqliteConnection(path)
    try:
        ((is_busy, *_),) = connection.all("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
    if is_busy or Path(f"{path}-wal").exists():
        raise StoreUnavailable(f"{path} is in use by another program; stop it first")
    kept = path.with_name(f"{path.name}.before-restore-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    try:
        os.link(path, kept)
    except OSError:  # a file system without links
        shutil.copy2(path, kept)
        _flush(kept)
    return kept


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
