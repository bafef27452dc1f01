"""Counts the changes of tenants and of their definitions, so that whoever holds older ones does not write by them."""

from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.tokens import SET
from rollbook.storage.tenants import DEFAULT

EDITION = "definitions-edition"
"""The setting that counts them all; each tenant's row has the count at its own last change."""

PRESENT_EDITION = f"SELECT value FROM setting WHERE name = '{EDITION}'"
PRESENT_STATE = f"SELECT ({PRESENT_EDITION}), (SELECT version_num FROM alembic_version)"
OF_TENANT = "SELECT edition FROM tenant WHERE number = ?"
NOTICE = "UPDATE tenant SET edition = ? WHERE number = ?"
CHANGED = "SELECT number FROM tenant WHERE edition > ?"


def edition(connection: Connection) -> int:
    """How often tenants or their definitions have changed in a database."""
    row = connection.one(PRESENT_EDITION)
    return int(row[0]) if row else 0


def edition_and_revision(connection: Connection) -> tuple[int, str | None]:
    """The same, and the revision that the database is at, in one look: before each transaction that writes."""
    row = connection.one(PRESENT_STATE)
    return (int(row[0] or 0), row[1]) if row else (0, None)


def edition_of(connection: Connection, tenant: int) -> int:
    """The count at the last change of a tenant; one without a row of its own has the default's definitions."""
    row = connection.one(OF_TENANT, (tenant,)) or connection.one(OF_TENANT, (DEFAULT,))
    return int(row[0]) if row else 0


def changed_since(connection: Connection, seen: int) -> list[int]:
    """The tenants that have changed since the count was that."""
    return [number for (number,) in connection.all(CHANGED, (seen,))]


def next_edition(connection: Connection) -> int:
    """Count one more change."""
    number = edition(connection) + 1
    connection.run(SET, (EDITION, str(number)))
    return number


def notice(connection: Connection, tenant: int) -> bool:
    """Let every process look at a tenant anew before it writes there again; True."""
    connection.run(NOTICE, (next_edition(connection), tenant))
    return True
