"""`Issuers` over SQL."""

from collections.abc import Sequence

from rollbook.protocol.errors import NotFound, Uniqueness
from rollbook.storage.issuers import IssuerRecord
from rollbook.storage.sql.connection import Connection, Database, Duplicate
from rollbook.storage.sql.editions import notice

COLUMNS = "tenant, name, url, audience, created, told"
OF_URL = f"SELECT {COLUMNS} FROM issuer WHERE url = ?"
OF_TENANT = f"SELECT {COLUMNS} FROM issuer WHERE tenant = ? ORDER BY name"
ADD = f"INSERT INTO issuer ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"
CHANGE = "UPDATE issuer SET url = ?, audience = ?, told = ? WHERE tenant = ? AND name = ?"
REMOVE = "DELETE FROM issuer WHERE tenant = ? AND name = ?"
NAMED = "SELECT 1 FROM issuer WHERE tenant = ? AND name = ?"
OTHER = "SELECT 1 FROM issuer WHERE url = ? AND audience = ? AND NOT (tenant = ? AND name = ?)"


class SqlIssuers:
    """Issuers in the same database as the tenants whose tokens they make."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_url(self, url: str) -> Sequence[IssuerRecord]:
        """All entries with that issuer."""
        rows = await self._database.read_now(lambda connection: connection.all(OF_URL, (url,)))
        return [IssuerRecord(*row) for row in rows]

    async def of_tenant(self, tenant: int) -> Sequence[IssuerRecord]:
        """Those of a tenant, by name."""
        rows = await self._database.read(lambda connection: connection.all(OF_TENANT, (tenant,)))
        return [IssuerRecord(*row) for row in rows]

    async def put(self, record: IssuerRecord, *, new: bool) -> None:
        """Keep an entry."""
        own = (record.tenant, record.name)

        def keep(connection: Connection) -> None:
            if connection.one(OTHER, (record.url, record.audience, *own)) is not None:
                raise _taken()
            if (connection.one(NAMED, own) is None) != new:
                raise _named(record.name) if new else NotFound(f"there is no issuer {record.name!r}")
            try:
                if new:
                    connection.run(ADD, (*own, record.url, record.audience, record.created, record.told))
                else:
                    connection.run(CHANGE, (record.url, record.audience, record.told, *own))
            except Duplicate:  # by another process in this moment
                raise _taken() from None
            notice(connection, record.tenant)

        await self._database.write(record.tenant, keep)

    async def remove(self, tenant: int, name: str) -> bool:
        """Take an entry away."""

        def drop(connection: Connection) -> bool:
            return connection.run(REMOVE, (tenant, name)) > 0 and notice(connection, tenant)

        return await self._database.write(tenant, drop)


def _named(name: str) -> Uniqueness:
    return Uniqueness(f"there is an issuer {name!r} already; change it with: rollbook issuer set {name}")


def _taken() -> Uniqueness:
    return Uniqueness(
        "this issuer with this audience is known already, here or to another tenant: give each tenant an audience of its own"
    )
