"""Statements on tenants: their rows, and their going, table by table."""

from collections.abc import Sequence

import orjson

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import Conflict, NotFound, PreconditionFailed, Uniqueness
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Act, Author
from rollbook.storage.sql import acts, log, transfer
from rollbook.storage.sql.connection import ALONE, Backend, Connection, Duplicate, Row
from rollbook.storage.sql.editions import next_edition
from rollbook.storage.sql.index import TENANT_SHIFT
from rollbook.storage.sql.journal_forgotten import CREATING
from rollbook.storage.sql.journal_forgotten import DELETING as DELETING_ACT
from rollbook.storage.sql.layout import UNUSED, fitted
from rollbook.storage.sql.tokens import SET, setting
from rollbook.storage.tenants import DEFAULT, TenantRecord, TenantState

COLUMNS = "number, name, state, created, settings, host, edition"
BY_NAME = f"SELECT {COLUMNS} FROM tenant WHERE name = ?"
BY_HOST = f"SELECT {COLUMNS} FROM tenant WHERE host = ?"
BY_NUMBER = f"SELECT {COLUMNS} FROM tenant WHERE number = ?"
PAGE = f"SELECT {COLUMNS} FROM tenant WHERE name > ? ORDER BY name LIMIT ?"
DELETING = f"SELECT {COLUMNS} FROM tenant WHERE state = 'deleting' ORDER BY number LIMIT 100"
ADD = """
    INSERT INTO tenant (number, name, host, state, created, settings, definitions, indexed, edition)
    VALUES (?, ?, ?, 'open', ?, ?, '', '{}', ?)
"""
CHANGE = "UPDATE tenant SET state = ?, settings = ?, host = ?, edition = ? WHERE number = ?"
OTHER_AT_HOST = "SELECT 1 FROM tenant WHERE host = ? AND number <> ?"
DROP = "DELETE FROM tenant WHERE number = ?"
PARTS = (
    "DELETE FROM part WHERE rowid IN (SELECT pk FROM resource WHERE pk BETWEEN ? AND ? ORDER BY pk LIMIT ?)"
)
RESOURCES = (
    "DELETE FROM resource WHERE pk IN (SELECT pk FROM resource WHERE pk BETWEEN ? AND ? ORDER BY pk LIMIT ?)"
)

HELD = "SELECT 1 FROM link WHERE tenant = ? AND state = 'claimed' AND due > ? LIMIT 1"
"""Accounts that a worker has in hand: what it finds missing while the tenant goes it would take for people who left."""

LAST_TENANT = "last-tenant"
"""The setting with the highest number that was ever given to a tenant."""

ROWS = 2_000
"""Rows of a tenant that go in one transaction."""


class SqlTenants:
    """`Tenants` over a database."""

    def __init__(self, database: Backend) -> None:
        self._database = database

    async def by_name(self, name: str) -> TenantRecord | None:
        """The tenant of that name, or None."""
        return await self._database.read_now(lambda connection: _one(connection, BY_NAME, name))

    async def by_host(self, host: str) -> TenantRecord | None:
        """The tenant served under that host name, or None."""
        return await self._database.read_now(lambda connection: _one(connection, BY_HOST, host))

    async def by_number(self, number: int) -> TenantRecord | None:
        """The tenant of that number, or None."""
        return await self._database.read_now(lambda connection: _one(connection, BY_NUMBER, number))

    async def page(self, after: str, limit: int) -> Sequence[TenantRecord]:
        """Tenants by name, those behind `after`."""
        rows = await self._database.read(lambda connection: connection.all(PAGE, (after, limit)))
        return [_record(row) for row in rows]

    async def deleting(self) -> Sequence[TenantRecord]:
        """Tenants whose deletion was begun and is not finished."""
        rows = await self._database.read(lambda connection: connection.all(DELETING))
        return [_record(row) for row in rows]

    async def create(
        self,
        name: str,
        at: int,
        catalog: Catalog,
        settings: Sequence[str] = (),
        host: str | None = None,
        author: Author | None = None,
    ) -> TenantRecord:
        """A new tenant that serves that catalog."""

        def add(connection: Connection) -> TenantRecord:
            number = int(setting(connection, LAST_TENANT) or DEFAULT) + 1
            _check_free(connection, BY_NAME, name, "name")
            if host is not None:
                _check_free(connection, BY_HOST, host, "host")
            connection.run(SET, (LAST_TENANT, str(number)))
            try:
                connection.run(ADD, (number, name, host, at, _text(settings), next_edition(connection)))
            except Duplicate:
                raise Uniqueness(f"tenant {name!r} is being made by somebody else; try again") from None
            fitted(connection, number, catalog)
            log.count(connection, number, 0)
            _tell(connection, author, CREATING, number, name, {"settings": list(settings), "host": host})
            return _required(connection, number)

        return await self._database.write(ALONE, add)

    async def change(
        self,
        number: int,
        *,
        state: TenantState,
        settings: Sequence[str],
        host: str | None,
        edition: int | None = None,
        author: Author | None = None,
    ) -> TenantRecord:
        """Say anew what a tenant is told, if it is that edition still."""

        def set_(connection: Connection) -> TenantRecord:
            known = _required(connection, number)
            _check_edition(known, edition)
            if known.state is TenantState.DELETING:
                raise Conflict("the tenant is being deleted, which cannot be called off")
            if host is not None and connection.one(OTHER_AT_HOST, (host, number)) is not None:
                raise Uniqueness(f"host {host!r} is another tenant's")
            connection.run(CHANGE, (state.value, _text(settings), host, next_edition(connection), number))
            detail: JsonObject = {"state": state.value, "settings": list(settings), "host": host}
            _tell(connection, author, _name_of(known.state, state), number, known.name, detail)
            return _required(connection, number)

        return await self._database.write(ALONE, set_)

    async def delete(
        self, number: int, at: int = 0, author: Author | None = None, *, edition: int | None = None
    ) -> bool:
        """Take away a part of a tenant; whether anything is left. It is begun if the tenant is that edition still."""
        if number == DEFAULT:
            raise Conflict("the default tenant cannot be deleted; disable it")

        def begin(connection: Connection) -> bool:
            known = _one(connection, BY_NUMBER, number)
            if known is None or known.state is TenantState.DELETING:
                return False
            _check_edition(known, edition)
            held = connection.one(HELD, (number, at))
            if held is not None:
                raise Conflict(
                    f"a worker is at work for tenant {known.name}: stop it, then delete; what a killed one held is free in a minute or two"
                )
            values = (
                TenantState.DELETING.value,
                _text(known.settings),
                None,
                next_edition(connection),
                number,
            )
            connection.run(CHANGE, values)
            # Its credentials are the first to go.
            for table in ("token", "issuer", "oauth_client"):
                connection.run(f"DELETE FROM {table} WHERE tenant = ?", (number,))
            _tell(connection, author or Author("rollbook", at), DELETING_ACT, number, known.name, {})
            return True

        if await self._database.write(ALONE, begin):
            return True
        return await self._database.write(
            number, lambda connection: _take_away(connection, number), long=True
        )


def _tell(
    connection: Connection, author: Author | None, name: str, number: int, called: str, detail: JsonObject
) -> None:
    if author is not None:
        acts.add(connection, [Act(author, number, name, "tenant", called, detail=detail)])


def _name_of(before: TenantState, after: TenantState) -> str:
    if before is after:
        return "tenant.set"
    return "tenant.enable" if after is TenantState.OPEN else "tenant.disable"


def _take_away(connection: Connection, number: int) -> bool:
    """Delete some rows of a tenant, at last its own; whether anything is left."""
    left = ROWS
    # What is known of targets goes before the people do, so that nobody is ever taken for one who left.
    for table in reversed(transfer.tables()):
        if "tenant" in table.columns and left > 0:
            left -= _delete(connection, table, number, left)
    if left <= 0:
        return True
    row = connection.one("SELECT definitions FROM tenant WHERE number = ?", (number,))
    connection.run(DROP, (number,))
    if row:
        connection.run(UNUSED, (row[0], row[0]))
    return False


def _delete(connection: Connection, table: transfer.Table, number: int, most: int) -> int:
    """Delete at most so many rows of a table, with what is found by parts of their texts; how many it were."""
    if table.name == "resource":  # lie by their own keys, which carry the tenant
        within = (number << TENANT_SHIFT, ((number + 1) << TENANT_SHIFT) - 1, most)
        if connection.has_parts:
            connection.run(PARTS, within)
        return connection.run(RESOURCES, within)
    key = ", ".join(table.key)
    picked = f"SELECT {key} FROM {table.name} WHERE tenant = ? ORDER BY {key} LIMIT ?"
    return connection.run(f"DELETE FROM {table.name} WHERE ({key}) IN ({picked})", (number, most))


def _check_edition(known: TenantRecord, edition: int | None) -> None:
    if edition is not None and known.edition != edition:
        raise PreconditionFailed(f"tenant {known.name} is another by now; read it again")


def _check_free(connection: Connection, by: str, text: str, what: str) -> None:
    found = _one(connection, by, text)
    if found is None:
        return
    if found.state is TenantState.DELETING:
        raise Uniqueness(
            f"{what} {text!r} is free when tenant {found.name} is deleted; rollbook tenant delete {found.name} goes on with that"
        )
    raise Uniqueness(f"{what} {text!r} is another tenant's")


def _one(connection: Connection, by: str, key: str | int) -> TenantRecord | None:
    row = connection.one(by, (key,))
    return _record(row) if row else None


def _required(connection: Connection, number: int) -> TenantRecord:
    found = _one(connection, BY_NUMBER, number)
    if found is None:
        raise NotFound("there is no such tenant")
    return found


def _record(row: Row) -> TenantRecord:
    number, name, state, created, settings, host, edition = row
    return TenantRecord(
        number, name, TenantState(state), created, tuple(orjson.loads(settings)), host, edition
    )


def _text(settings: Sequence[str]) -> str:
    return orjson.dumps(list(settings)).decode()
