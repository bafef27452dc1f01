"""Databases made from the snapshot and by migration are the same, and every older one can be brought up to date."""

from pathlib import Path

import pytest

from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.sql import files, migrate
from rollbook.storage.sql.dialects import WORDS
from rollbook.storage.sql.migrations import versions
from rollbook.storage.sql.sqlite import SqliteConnection, memory_connection
from rollbook.storage.sql.transfer import tables

SQLITE_WORDS = WORDS["sqlite"]
REVISIONS = sorted(file.name[:4] for file in Path(versions.__path__[0]).glob("0*.py"))


def _migrated(path: Path, revision: str) -> SqliteConnection:
    connection = SqliteConnection(path, create=True)
    connection.all(f"PRAGMA application_id = {files.APPLICATION_ID}")
    connection.all(migrate.migration_sql(SQLITE_WORDS, None, revision))
    return connection


def test_the_snapshot_is_what_the_migrations_make() -> None:
    """The shipped snapshot is the migrated database; otherwise run the command that its head names."""
    connection = memory_connection()
    connection.all(migrate.migration_sql(SQLITE_WORDS, None))
    assert migrate.render_snapshot(connection) == migrate.snapshot()
    connection.close()


def test_a_database_from_the_snapshot_is_up_to_date() -> None:
    """A new database has the tables, indexes and revision of a migrated one."""
    fresh, migrated = memory_connection(), memory_connection()
    fresh.all(migrate.snapshot())
    migrated.all(migrate.migration_sql(SQLITE_WORDS, None))
    assert migrate.schema(fresh) == migrate.schema(migrated)
    assert migrate.revision(fresh) == migrate.revision(migrated) == migrate.head()
    assert not migrate.upgrade(fresh, SQLITE_WORDS)


@pytest.mark.parametrize("revision", REVISIONS)
def test_an_older_database_is_brought_up_to_date(tmp_path: Path, revision: str) -> None:
    """From every revision the same schema is reached, and data stay."""
    path = tmp_path / "old.db"
    connection = _migrated(path, revision)
    connection.run("INSERT INTO setting (name, value) VALUES ('epoch', 'kept')")
    connection.close()
    assert not files.prepare(path)
    connection, fresh = SqliteConnection(path), memory_connection()
    fresh.all(migrate.snapshot())
    assert sorted(migrate.schema(connection)) == sorted(migrate.schema(fresh))
    assert migrate.revision(connection) == migrate.head()
    assert connection.one("SELECT value FROM setting WHERE name = 'epoch'") == ("kept",)
    connection.close()


def test_a_failed_upgrade_changes_nothing(tmp_path: Path) -> None:
    """FS-10: an upgrade is one transaction."""
    path = tmp_path / "old.db"
    connection = _migrated(path, "0001")
    connection.run("CREATE TABLE link (in_the_way)")
    before = migrate.schema(connection)
    with pytest.raises(Exception, match="link"):
        migrate.upgrade(connection, SQLITE_WORDS)
    assert migrate.schema(connection) == before
    assert migrate.revision(connection) == "0001"
    connection.close()


def test_a_newer_database_is_refused() -> None:
    """The refusal names both revisions and what to do."""
    connection = memory_connection()
    connection.all(migrate.snapshot())
    connection.run("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(StoreUnavailable, match=f"revision 0999, this program knows up to {migrate.head()}"):
        migrate.upgrade(connection, SQLITE_WORDS)


def test_every_key_begins_with_the_tenant() -> None:
    """Architecture 5: tables of resources are keyed by tenant first, or by a row key that carries it."""
    connection = memory_connection()
    connection.all(migrate.snapshot())
    service_wide = {"alembic_version", "setting", "attribute", "token", "tenant", "definition"}
    service_wide |= {"issuer", "oauth_client"}  # asked before it is known whose it is
    service_wide |= {"act", "seal"}  # one log for the whole server, which outlasts its tenants
    indexes = connection.all(
        "SELECT m.name, l.name, i.name FROM sqlite_schema m JOIN pragma_index_list(m.name) l"
        " JOIN pragma_index_info(l.name) i ON i.seqno = 0 WHERE m.type = 'table'"
        " AND m.name NOT LIKE 'part%'"  # bounded to a tenant by row key
    )
    assert len(indexes) > 10
    wrong = [row for row in indexes if row[0] not in service_wide and row[2] != "tenant"]
    assert wrong == []


def test_tables_are_read_from_the_snapshot() -> None:
    """What is copied from database to database is every column of every table, in the order of its key."""
    connection = memory_connection()
    connection.all(migrate.snapshot())
    rows = connection.all(
        "SELECT m.name, i.name, i.pk FROM sqlite_schema m JOIN pragma_table_info(m.name) i WHERE m.type = 'table'"
        " AND m.name <> 'alembic_version' AND m.name NOT LIKE 'part%' ORDER BY m.rowid, i.cid"
    )
    made: dict[str, list[tuple[str, int]]] = {}
    for table, column, place in rows:
        made.setdefault(table, []).append((column, place))
    assert {table.name: table.columns for table in tables()} == {
        name: tuple(column for column, _ in columns) for name, columns in made.items()
    }
    assert {table.name: table.key for table in tables()} == {
        name: tuple(column for column, place in sorted(columns, key=lambda each: each[1]) if place)
        for name, columns in made.items()
    }


def test_snapshot_has_no_collation_of_the_platform() -> None:
    """T-57: an update of the operating system cannot reorder an index."""
    assert "COLLATE" not in migrate.snapshot().upper()
