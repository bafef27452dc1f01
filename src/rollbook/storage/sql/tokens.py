"""Statements on bearer tokens and on what the service keeps for itself."""

from collections.abc import Mapping

from rollbook.storage.base import TokenRecord
from rollbook.storage.sql.connection import Connection

COLUMNS = "id, tenant, name, digest, created, expires, account, revoked, rights, used, origin"
OF_CLIENT = "client "
"""How the origin of tokens begins that the token endpoint has made."""
TOKEN = f"SELECT {COLUMNS} FROM token WHERE id = ?"
TOKENS = (
    f"SELECT {COLUMNS} FROM token WHERE tenant = ? AND origin IN ('', 'certificate') ORDER BY created, id"
)
ADD = f"INSERT INTO token ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
REVOKE = """
    UPDATE token SET revoked = ?
    WHERE tenant = ? AND id = ? AND revoked IS NULL AND (expires IS NULL OR expires > ?)
"""
END = """
    UPDATE token SET expires = CASE WHEN expires < ? THEN expires ELSE ? END
    WHERE tenant = ? AND id = ? AND revoked IS NULL AND (expires IS NULL OR expires > ?)
"""
USED = "UPDATE token SET used = ? WHERE id = ? AND (used IS NULL OR used < ?)"
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
    """All tokens of a tenant that a command has made, oldest first."""
    return [TokenRecord(*row) for row in connection.all(TOKENS, (tenant,))]


def add_token(connection: Connection, token: TokenRecord) -> None:
    """Keep a new token."""
    connection.run(
        ADD,
        (
            token.id, token.tenant, token.name, token.digest,
            token.created, token.expires, token.user, token.revoked, token.rights, token.used, token.origin,
        ),
    )  # fmt: skip


def revoke(connection: Connection, tenant: int, id: str, at: int) -> bool:
    """End a token; whether there was one to end."""
    return connection.run(REVOKE, (at, tenant, id, at)) > 0


def rotate(connection: Connection, token: TokenRecord, former: str, until: int) -> bool:
    """Keep a token, and let the one it replaces end; whether that one was there."""
    if connection.run(END, (until, until, token.tenant, former, token.created)) == 0:
        return False
    add_token(connection, token)
    return True


def note_uses(connection: Connection, uses: Mapping[str, int]) -> None:
    """Keep when tokens were last used; several processes note it, and the last time holds."""
    connection.many(USED, [(at, identifier, at) for identifier, at in sorted(uses.items())])


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
