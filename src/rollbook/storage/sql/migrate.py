"""Creates databases and brings older ones up to date; `python -m rollbook.storage.sql.migrate` for developers.

Alembic keeps the revisions and prints their SQL; it never opens a database, and it is imported only when
there is something to do, because that takes a second. New databases are made from a printed snapshot.
"""

import io
import sys
from functools import cache
from pathlib import Path

from rollbook.protocol.errors import Outdated, StoreUnavailable
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.dialects import WORDS, Words

_HERE = Path(__file__).parent
SNAPSHOT = _HERE / "snapshot_sqlite.sql"
_HEAD = "-- Revision: "


@cache
def snapshot() -> str:
    """The SQL text that makes a new SQLite database."""
    return SNAPSHOT.read_text("utf-8")


@cache
def head() -> str:
    """The newest revision this program knows."""
    return next(line.removeprefix(_HEAD) for line in snapshot().splitlines() if line.startswith(_HEAD))


def revision(connection: Connection) -> str:
    """The revision a database of ours is at."""
    row = connection.one("SELECT version_num FROM alembic_version")
    if row is None:
        raise StoreUnavailable("the database has no revision: it was not made by Rollbook, or is damaged")
    return str(row[0])


def upgrade(connection: Connection, words: Words) -> bool:
    """Bring a database of ours to the newest revision, in one transaction; whether there was anything to do.

    Raises:
        StoreUnavailable: it is newer than this program.
    """
    if is_current(revision(connection)):
        return False
    connection.run("BEGIN IMMEDIATE")
    try:
        present = revision(connection)  # another process may have been quicker
        if not is_current(present):
            connection.all(migration_sql(words, present))
        connection.run("COMMIT")
    except BaseException:
        connection.run("ROLLBACK")
        raise
    return True


def is_current(present: str) -> bool:
    """Whether a revision is the newest this program knows.

    Raises:
        Outdated: it is newer.
        StoreUnavailable: it is none of ours.
    """
    if present.isdecimal() and int(present) > int(head()):
        raise Outdated(
            f"the database is of a newer Rollbook (revision {present}, this program knows up to {head()}); "
            "install that version or a later one",
            public="the database is of a newer Rollbook than this server",
        )
    if present not in known():
        raise StoreUnavailable(
            f"the database says that it is of revision {present[:20]!r}, which no Rollbook has made: a development version"
            " made it, or it is damaged; take a backup, or another database"
        )
    return present == head()


@cache
def known() -> frozenset[str]:
    """Every revision this program knows."""
    files = (_HERE / "migrations" / "versions").glob("[0-9]*_*.py")
    return frozenset(file.name.partition("_")[0] for file in files)


def migration_sql(words: Words, start: str | None, end: str = "head") -> str:
    """The SQL that leads from a revision, None for an empty database, to a later one."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(_HERE / "migrations"))
    printed = io.StringIO()
    with EnvironmentContext(
        Config(),
        scripts,
        fn=lambda present, _: scripts._upgrade_revs(end, present),  # noqa: SLF001 - as alembic.command does
        as_sql=True,
        starting_rev=start,
        destination_rev=end,
    ) as environment:
        environment.configure(
            dialect_name=words.name, output_buffer=printed, transactional_ddl=False, literal_binds=True
        )
        environment.run_migrations()
    return printed.getvalue()


def render_snapshot(connection: Connection) -> str:
    """The snapshot, read from a migrated, otherwise empty SQLite database."""
    parts = [
        "-- What the migrations make of an empty database; written by",
        "-- python -m rollbook.storage.sql.migrate --snapshot",
        f"{_HEAD}{revision(connection)}",
    ]
    parts += [f"\n{sql};" for sql in schema(connection)]
    parts.append(f"\nINSERT INTO alembic_version (version_num) VALUES ('{revision(connection)}');")
    return "\n".join(parts) + "\n"


def schema(connection: Connection) -> list[str]:
    """Every statement that a SQLite database is made of, in the order of their making."""
    return [
        str(sql)
        for (sql,) in connection.all(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND tbl_name NOT IN"
            " (SELECT name FROM pragma_table_list WHERE type = 'shadow') ORDER BY rowid"
        )
    ]


def main(arguments: list[str]) -> int:
    """Write the snapshot (`--snapshot`), or print the SQL of all migrations."""
    from rollbook.storage.sql.sqlite import memory_connection

    sql = migration_sql(WORDS["sqlite"], None)
    if arguments == ["--snapshot"]:
        connection = memory_connection()
        connection.all(sql)
        SNAPSHOT.write_text(render_snapshot(connection), "utf-8")
    else:
        sys.stdout.write(sql)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
