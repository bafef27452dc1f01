"""What a database that comes from a backup must not go on with as if nothing had happened (T-95)."""

from typing import NamedTuple

from rollbook.storage.sql import link_marks, migrate
from rollbook.storage.sql.connection import Backend, Connection
from rollbook.storage.sql.epochs import renew_epoch

STOPPED = (
    "a backup was restored: look at what would be sent (rollbook plan), then let it go on (rollbook resume)"
)
_TARGETS = "SELECT tenant, number FROM target ORDER BY tenant, number"
_STOP = "UPDATE target SET stopped = coalesce(stopped, ?) WHERE tenant = ? AND number = ?"
_TOKENS = "SELECT id, tenant, name, revoked, expires FROM token ORDER BY tenant, created, id"
_GRANTS = """
SELECT 'issuer', t.name, g.name FROM issuer g JOIN tenant t ON t.number = g.tenant
UNION ALL
SELECT 'client', t.name, g.id FROM oauth_client g JOIN tenant t ON t.number = g.tenant
"""


class Grant(NamedTuple):
    """An `issuer` or a `client`, by the name of its tenant and its own."""

    kind: str
    tenant: str
    name: str


class TokenState(NamedTuple):
    """Of a token: whose it is, and until when it holds; `ended` is when it was revoked."""

    tenant: int
    name: str
    ended: int | None
    expires: int | None


def settle(connection: Connection) -> None:
    """Give versions out under another name, stop every target, and believe nothing of what they hold; in the caller's transaction."""
    renew_epoch(connection)
    for tenant, number in connection.all(_TARGETS):
        link_marks.reset(connection, tenant, number, accounts=False)
        connection.run(_STOP, (STOPPED, tenant, number))


def token_states(database: Backend) -> dict[str, TokenState] | None:
    """Every token by its id; None if the database is of another version, and they cannot be told."""
    with database.snapshot() as connection:
        if not migrate.is_current(migrate.revision(connection)):
            return None
        return {row[0]: TokenState(*row[1:]) for row in connection.all(_TOKENS)}


def grants(database: Backend) -> set[Grant]:
    """Everything but tokens by which somebody is let in; none if the database is of another version."""
    with database.snapshot() as connection:
        if not migrate.is_current(migrate.revision(connection)):
            return set()
        return {Grant(*row) for row in connection.all(_GRANTS)}


def changed_since(
    former: dict[str, TokenState], restored: dict[str, TokenState]
) -> tuple[dict[str, TokenState], dict[str, TokenState]]:
    """Tokens that had been revoked, or given another end, after the backup, and are as they were; and those made since, which are gone."""
    again = {
        own: now
        for own, now in restored.items()
        if own in former and (now.ended, now.expires) != (former[own].ended, former[own].expires)
    }
    return again, {own: state for own, state in former.items() if own not in restored}
