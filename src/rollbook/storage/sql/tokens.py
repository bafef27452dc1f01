"""Statements on bearer tokens and on what the service keeps for itself."""

from rollbook.storage.base import TokenRecord
from rollbook.storage.sql.connection import Connection

COLUMNS = "id, tenant, name, digest, created, expires, account, revoked"
TOKEN = f"SELECT {COLUMNS} FROM token WHERE id = ?"
TOKENS = f"SELECT {COLUMNS} FROM token WHERE tenant = ? ORDER BY created, id"
ADD = f"INSERT INTO token ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
SETTING = "SELECT value FROM setting WHERE name = ?"
KEEP = "INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
DROP = "DELETE FROM setting WHERE name = ?"
SET = """
    INSERT INTO setting (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


def token(connection: Connection, id: str) -> TokenRecord | None:
    """The token of that id, or None."""
    row = connection.one(TOKEN, (id,))
    return TokenRecord(*row) if row else None


def tokens(connection: Connection, tenant: int) -> list[TokenRecord]:
    """All tokens of a tenant, oldest first."""
    return [TokenRecord(*row) for row in connection.all(TOKENS, (tenant,))]


def add_token(connection: Connection, token: TokenRecord) -> None:
    """Keep a new token."""
    connection.run(
        ADD,
        (
            token.id, token.tenant, token.name, token.digest,
            token.created, token.expires, token.user, token.revoked,
        ),
    )  # fmt: skip


def setting(connection: Connection, name: str) -> str | None:
    """The value of that name, or None."""
    row = connection.one(SETTING, (name,))
    return str(row[0]) if row else None


def drop_setting(connection: Connection, name: str) -> None:
    """Forget the value of that name."""
    connection.run(DROP, (name,))


def keep_setting(connection: Connection, name: str, value: str) -> str:
    """Set a value unless there is one; returns the one that holds."""
    connection.run(KEEP, (name, value))
    return setting(connection, name) or value
