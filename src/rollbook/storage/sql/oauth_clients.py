"""`OauthClients` over SQL."""

from collections.abc import Sequence

from rollbook.storage.base import Act, TokenRecord
from rollbook.storage.oauth_clients import Assertion, ClientRecord, Issuing
from rollbook.storage.sql import acts, tokens
from rollbook.storage.sql.connection import Connection, Database
from rollbook.storage.sql.editions import notice

COLUMNS = "id, tenant, name, created, rights, seconds, digest, expires, former, former_until, keys"
ONE = f"SELECT {COLUMNS} FROM oauth_client WHERE id = ?"
OF_TENANT = f"SELECT {COLUMNS} FROM oauth_client WHERE tenant = ? ORDER BY created, id"
ADD = f"INSERT INTO oauth_client ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
CHANGE = """
    UPDATE oauth_client SET digest = ?, expires = ?, former = ?, former_until = ?, keys = ? WHERE tenant = ? AND id = ?
"""
REMOVE = "DELETE FROM oauth_client WHERE tenant = ? AND id = ?"
END_TOKENS = "DELETE FROM token WHERE tenant = ? AND origin = ?"
FORGET = "DELETE FROM used_assertion WHERE tenant = ? AND client = ? AND until <= ?"
USE = "INSERT INTO used_assertion (tenant, client, jti, until) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
FORGET_ALL = "DELETE FROM used_assertion WHERE tenant = ? AND client = ?"
ENDED = "DELETE FROM token WHERE tenant = ? AND origin = ? AND expires <= ?"
BEYOND = """
    DELETE FROM token WHERE tenant = ? AND origin = ? AND id NOT IN (
        SELECT id FROM token WHERE tenant = ? AND origin = ? ORDER BY created DESC, id LIMIT ?
    )
"""


def origin(id: str) -> str:
    """What a token of that client has as its origin."""
    return f"{tokens.OF_CLIENT}{id}"


class SqlClients:
    """Clients in the same database as their tokens."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def client(self, id: str) -> ClientRecord | None:
        """The client of that id, or None."""
        return await self._database.read_now(lambda connection: _one(connection, id))

    async def of_tenant(self, tenant: int) -> Sequence[ClientRecord]:
        """Those of a tenant, oldest first."""
        rows = await self._database.read(lambda connection: connection.all(OF_TENANT, (tenant,)))
        return [ClientRecord(*row) for row in rows]

    async def add(self, client: ClientRecord) -> None:
        """Keep a new client."""
        values = (
            client.id, client.tenant, client.name, client.created, client.rights, client.seconds,
            client.digest, client.expires, client.former, client.former_until, client.keys,
        )  # fmt: skip
        await self._database.write(client.tenant, lambda connection: connection.run(ADD, values))

    async def change(self, client: ClientRecord) -> bool:
        """Keep other secrets or keys of a client."""
        values = (
            client.digest, client.expires, client.former, client.former_until, client.keys,
            client.tenant, client.id,
        )  # fmt: skip

        def put(connection: Connection) -> bool:
            return connection.run(CHANGE, values) > 0 and notice(connection, client.tenant)

        return await self._database.write(client.tenant, put)

    async def remove(self, tenant: int, id: str) -> bool:
        """Take a client away, with all its tokens."""

        def drop(connection: Connection) -> bool:
            if connection.run(REMOVE, (tenant, id)) == 0:
                return False
            connection.run(END_TOKENS, (tenant, origin(id)))
            connection.run(FORGET_ALL, (tenant, id))
            return notice(connection, tenant)

        return await self._database.write(tenant, drop)

    async def issue(
        self, client: ClientRecord, token: TokenRecord, assertion: Assertion | None, most: int, act: Act
    ) -> Issuing:
        """Keep a token of a client."""
        of = (client.tenant, origin(client.id))

        def keep(connection: Connection) -> Issuing:
            if _one(connection, client.id) != client:
                return Issuing.GONE
            if assertion is not None:
                connection.run(FORGET, (client.tenant, client.id, token.created))
                if connection.run(USE, (client.tenant, client.id, assertion.jti, assertion.until)) == 0:
                    return Issuing.USED
            connection.run(ENDED, (*of, token.created))
            connection.run(BEYOND, (*of, *of, most - 1))
            tokens.add_token(connection, token)
            acts.add(connection, [act])
            return Issuing.DONE

        return await self._database.write(client.tenant, keep)


def _one(connection: Connection, id: str) -> ClientRecord | None:
    row = connection.one(ONE, (id,))
    return ClientRecord(*row) if row else None
