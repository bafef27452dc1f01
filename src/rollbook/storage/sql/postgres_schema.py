"""Our tables in a PostgreSQL database: made and migrated by command, checked at every start, copied to try things on."""

import secrets
from typing import Protocol

from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.sql import migrate
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.dialects import WORDS

_HAS_TABLES = "SELECT to_regclass('alembic_version') IS NOT NULL"
LOCKS = 0x526F6C6C
"""`Roll`: the class of our advisory locks; the second number is a tenant's, or 0 for the definitions."""

_LOCK = f"SELECT pg_advisory_xact_lock({LOCKS}, 0)"
_TABLES = """
    SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename
"""
_SCHEMA = "SELECT current_schema()"
NOW = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"
"""What time it is at the server."""


class Scripted(Connection, Protocol):
    """A connection that also runs several statements at once."""

    def script(self, sql: str) -> object:
        """Run statements of constant text."""


class NoTables(StoreUnavailable):
    """The database is there, and has no tables of ours yet."""


def require_tables(connection: Connection, name: str) -> None:
    """Raise `NoTables` if our tables are not there; says what to do."""
    if not has_tables(connection):
        raise NoTables(f"{name} has no tables yet; run: rollbook database migrate --database URL")


def has_tables(connection: Connection) -> bool:
    """Whether our tables are there."""
    row = connection.one(_HAS_TABLES)
    return row is not None and bool(row[0])


def check_revision(connection: Connection, name: str) -> None:
    """Whether the tables are those this program knows.

    Raises:
        StoreUnavailable: they are missing, older or newer; says what to do.
    """
    require_tables(connection, name)
    if not migrate.is_current(migrate.revision(connection)):
        raise StoreUnavailable(
            f"{name} is at revision {migrate.revision(connection)}, this program needs {migrate.head()}; "
            "make a backup, then run: rollbook database migrate --database URL"
        )


def upgrade(connection: Scripted) -> tuple[str | None, str]:
    """Make the tables, or bring them up to date, in one transaction; from which revision, and to which.

    Raises:
        StoreUnavailable: they are newer than this program.
    """
    connection.script("BEGIN")
    try:
        connection.all(_LOCK)
        present = migrate.revision(connection) if has_tables(connection) else None
        if present is None or not migrate.is_current(present):
            connection.script(migrate.migration_sql(WORDS["postgresql"], present))
        if present is None:
            connection.run("INSERT INTO setting (name, value) VALUES ('epoch', ?)", (secrets.token_hex(4),))
        connection.script("COMMIT")
    except BaseException:
        connection.script("ROLLBACK")
        raise
    return present, migrate.head()


def copy(connection: Scripted, schema: str) -> None:
    """Copy every table with its rows and indexes, on one snapshot, into a schema that is made for it."""
    connection.script("BEGIN ISOLATION LEVEL REPEATABLE READ")
    ((source,),) = connection.all(_SCHEMA)
    connection.script(f'CREATE SCHEMA "{schema}"')
    for (table,) in connection.all(_TABLES):
        connection.script(
            f'CREATE TABLE "{schema}"."{table}" (LIKE "{source}"."{table}" INCLUDING ALL);'
            f'INSERT INTO "{schema}"."{table}" SELECT * FROM "{source}"."{table}"'
        )
    connection.script("COMMIT")


def drop_copy(connection: Scripted, schema: str) -> None:
    """Take a copy away."""
    connection.script(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
