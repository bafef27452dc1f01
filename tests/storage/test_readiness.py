"""What a database says of itself when it is asked whether it can be served from."""

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.postgres_server import database as new_database
from tests.postgres_server import make_tables

from rollbook.storage.sql import readiness
from rollbook.storage.sql.connection import Backend
from rollbook.storage.sql.databases import backend
from rollbook.storage.sql.files import refuses_writes

pytestmark = pytest.mark.anyio


async def _words(database: Backend) -> dict[str, str]:
    return {name: await check() for name, check in readiness.checks(database).items()}


def _files(path: Path) -> set[Path]:
    return set(path.iterdir())


async def test_a_file_that_is_well(tmp_path: Path) -> None:
    """A file that can be served from says so, and nothing is left beside it."""
    database = backend(f"sqlite:///{tmp_path}/rollbook.db")
    await database.open()
    try:
        before = _files(tmp_path)
        assert await _words(database) == {"database": "ok", "migrations": "ok", "disk": "ok"}
        assert _files(tmp_path) == before
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EIO, "the disk reports an error"),
    ],
)
def test_fs_06_fs_07_a_disk_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    """FS-06, FS-07: what keeps the disk from taking writes is said without a path."""

    def refuse(_: int) -> None:
        raise OSError(number, "refused", str(tmp_path))

    monkeypatch.setattr(os, "fsync", refuse)
    assert refuses_writes(tmp_path / "rollbook.db") == words


async def test_postgres_says_when_it_takes_no_writes(postgres: str) -> None:
    """A standby, or a database set to read only, is no place to write; older tables are not ours to serve."""
    with new_database(postgres) as url:
        make_tables(url)
        database = backend(url)
        await database.open()
        assert await _words(database) == {"database": "ok", "migrations": "ok", "disk": "ok"}
        await database.close()
        name = url.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        again: Any = backend(url)
        await again.open()
        words = await _words(again)
        assert words["disk"].startswith("the database takes no writes")
        await asyncio.to_thread(_older, url)
        assert (await _words(again))["migrations"] == "the database is of an older version"
        await again.close()


def _older(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("UPDATE alembic_version SET version_num = '0020'")
