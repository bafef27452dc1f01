"""`Orders` over SQL."""

from collections.abc import Sequence

import orjson

from rollbook.protocol.errors import Conflict
from rollbook.protocol.values import JsonObject
from rollbook.storage.orders import Ending, Order, Orderer, OrderKind, OrderState
from rollbook.storage.sql.connection import Connection, Database, Row

MOST_OPEN = 100
"""Orders of a tenant that wait or are worked on."""

_BEYOND = 2**62
"""Above every number of an order."""

_COLUMNS = "number, kind, asked, state, author, credential, origin, created, begun, ended, attempts, run, progress, result, error"
ONE = f"SELECT {_COLUMNS} FROM work_order WHERE tenant = ? AND number = ?"
LATEST = f"SELECT {_COLUMNS} FROM work_order WHERE tenant = ? AND number < ? ORDER BY number DESC LIMIT ?"
OPEN = "SELECT count(*) FROM work_order WHERE tenant = ? AND is_open = 1"
NEXT = f"SELECT {_COLUMNS}, until FROM work_order WHERE tenant = ? AND is_open = 1 ORDER BY state, number LIMIT 1"
"""One that runs comes before all that wait."""

ADD = """
    INSERT INTO work_order (tenant, number, kind, asked, state, is_open, author, credential, origin, created, attempts, progress, result)
    VALUES (?, ?, ?, ?, 'waiting', 1, ?, ?, ?, ?, 0, '{}', '{}')
"""
CANCEL = """
    UPDATE work_order SET state = 'cancelled', is_open = 0, ended = ? WHERE tenant = ? AND number = ? AND state = 'waiting'
"""
TAKE = """
    UPDATE work_order SET state = 'running', holder = ?, until = ?, begun = coalesce(begun, ?), attempts = attempts + 1
    WHERE tenant = ? AND number = ?
"""
_OWN = "WHERE tenant = ? AND number = ? AND state = 'running' AND holder = ?"
HOLD = f"UPDATE work_order SET until = ? {_OWN}"
NOTE = f"UPDATE work_order SET run = coalesce(run, ?), progress = coalesce(?, progress) {_OWN}"
GIVE_BACK = (
    f"UPDATE work_order SET state = 'waiting', holder = NULL, until = NULL, attempts = attempts - 1 {_OWN}"
)
FREE = "UPDATE work_order SET until = 0 WHERE tenant = ? AND is_open = 1 AND state = 'running'"
END = f"UPDATE work_order SET state = ?, is_open = 0, holder = NULL, until = NULL, ended = ?, result = ?, error = ? {_OWN}"
SEE = """
    INSERT INTO work_seen (tenant, at) VALUES (?, ?) ON CONFLICT (tenant) DO UPDATE SET at = excluded.at
"""
DROP_LINES = "DELETE FROM work_line WHERE tenant = ? AND work_order = ? AND number > ?"
ADD_LINE = "INSERT INTO work_line (tenant, work_order, number, line) VALUES (?, ?, ?, ?)"
LINES = """
    SELECT number, line FROM work_line WHERE tenant = ? AND work_order = ? AND number > ? ORDER BY number LIMIT ?
"""
_ENDED = "SELECT number FROM work_order WHERE tenant = ? AND is_open = 0 AND ended < ?"
FORGET_LINES = f"DELETE FROM work_line WHERE tenant = ? AND work_order IN ({_ENDED})"
FORGET = "DELETE FROM work_order WHERE tenant = ? AND is_open = 0 AND ended < ?"
_NAMELESS = (
    "DELETE FROM work_line WHERE tenant = ?",
    "UPDATE work_order SET asked = '{}', error = NULL WHERE tenant = ? AND is_open = 0",
)
"""Whom they are about they say by names only: who is to be forgotten may be in any of them."""


class SqlOrders:
    """Orders in the same database as what they are about."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, tenant: int, kind: OrderKind, asked: JsonObject, by: Orderer, now: int) -> Order:
        """A new one."""

        def put(connection: Connection) -> Order:
            ((waiting,),) = connection.all(OPEN, (tenant,))
            if waiting >= MOST_OPEN:
                raise Conflict(f"{waiting} orders wait already; cancel some, or see that a worker runs")
            ((last,),) = connection.all(
                "SELECT coalesce(max(number), 0) FROM work_order WHERE tenant = ?", (tenant,)
            )
            values = (kind.value, _text(asked), by.name, by.credential, by.origin, now)
            connection.run(ADD, (tenant, last + 1, *values))
            return Order(last + 1, kind, asked, OrderState.WAITING, by, now)

        return await self._database.write(tenant, put)

    async def order(self, tenant: int, number: int) -> Order | None:
        """The one of that number."""
        row = await self._database.read_now(lambda connection: connection.one(ONE, (tenant, number)))
        return None if row is None else _order(row)

    async def page(self, tenant: int, limit: int, before: int | None = None) -> Sequence[Order]:
        """The latest, newest first; those with numbers below one, if it is named."""
        values = (tenant, before or _BEYOND, limit)
        rows = await self._database.read_now(lambda connection: connection.all(LATEST, values))
        return [_order(row) for row in rows]

    async def cancel(self, tenant: int, number: int, now: int) -> bool:
        """End one that waits; False if it does not."""
        return await self._database.write(tenant, lambda conn: conn.run(CANCEL, (now, tenant, number)) > 0)

    async def last_seen(self, tenant: int) -> int | None:
        """When a worker last looked for orders."""
        row = await self._database.read_now(
            lambda connection: connection.one("SELECT at FROM work_seen WHERE tenant = ?", (tenant,))
        )
        return None if row is None else int(row[0])

    async def see(self, tenant: int, now: int) -> None:
        """A worker looks for orders now."""
        await self._database.write(tenant, lambda connection: connection.run(SEE, (tenant, now)))

    async def take(self, tenant: int, holder: str, now: int, until: int) -> Order | None:
        """The next order, which is `holder`'s until then; None while there is none, or another is at work on one."""
        if await self._database.read_now(lambda connection: _due(connection, tenant, now)) is None:
            return None

        def claim(connection: Connection) -> Order | None:
            number = _due(connection, tenant, now)
            if number is None:
                return None
            connection.run(TAKE, (holder, until, now, tenant, number))
            row = connection.one(ONE, (tenant, number))
            return None if row is None else _order(row)

        return await self._database.write(tenant, claim)

    async def hold(self, tenant: int, number: int, holder: str, until: int) -> bool:
        """Go on to have it until then."""
        return await self._own(HOLD, (until,), tenant, number, holder)

    async def note(
        self,
        tenant: int,
        number: int,
        holder: str,
        *,
        run: int | None = None,
        progress: JsonObject | None = None,
    ) -> bool:
        """Keep what goes on from it after this worker has died."""
        return await self._own(
            NOTE, (run, None if progress is None else _text(progress)), tenant, number, holder
        )

    async def give_back(self, tenant: int, number: int, holder: str) -> bool:
        """Let the next worker go on with it."""
        return await self._own(GIVE_BACK, (), tenant, number, holder)

    async def free(self, tenant: int) -> None:
        """Nobody is at work on an order any more: what runs may be taken at once."""
        await self._database.write(tenant, lambda connection: connection.run(FREE, (tenant,)))

    async def end(self, tenant: int, number: int, holder: str, ending: Ending, now: int) -> bool:
        """It came to this."""
        values = (ending.state.value, now, _text(ending.result), ending.error)
        return await self._own(END, values, tenant, number, holder)

    async def _own(
        self, statement: str, values: tuple[int | str | None, ...], tenant: int, number: int, holder: str
    ) -> bool:
        row = (*values, tenant, number, holder)
        return await self._database.write(tenant, lambda connection: connection.run(statement, row) > 0)

    async def write_lines(self, tenant: int, number: int, after: int, lines: Sequence[JsonObject]) -> None:
        """Keep lines of what it is about, the first with the number after that; what was kept from there on goes."""
        rows = [(tenant, number, after + 1 + place, _text(line)) for place, line in enumerate(lines)]

        def put(connection: Connection) -> None:
            connection.run(DROP_LINES, (tenant, number, after))
            connection.many(ADD_LINE, rows)

        await self._database.write(tenant, put, long=True)

    async def lines(
        self, tenant: int, number: int, after: int, limit: int
    ) -> Sequence[tuple[int, JsonObject]]:
        """Lines with numbers above one, in order."""
        values = (tenant, number, after, limit)
        rows = await self._database.read(lambda connection: connection.all(LINES, values))
        return [(row[0], orjson.loads(row[1])) for row in rows]

    async def forget(self, tenant: int, lines_before: int, orders_before: int) -> None:
        """Forget lines of orders that ended before a moment, and orders that ended before another."""

        def drop(connection: Connection) -> None:
            for before in (lines_before, orders_before):
                connection.run(FORGET_LINES, (tenant, tenant, before))
            connection.run(FORGET, (tenant, orders_before))

        await self._database.write(tenant, drop, long=True)


def forget_names(connection: Connection, tenant: int) -> None:
    """Forget whom orders were about, and what stood in their way."""
    for statement in _NAMELESS:
        connection.run(statement, (tenant,))


def _due(connection: Connection, tenant: int, now: int) -> int | None:
    """The number of the order that may be taken: one at a time, and what somebody has died at first."""
    row = connection.one(NEXT, (tenant,))
    if row is None or (row[3] == OrderState.RUNNING and row[-1] > now):
        return None
    return int(row[0])


def _order(row: Row) -> Order:
    number, kind, asked, state, author, credential, origin, created, begun, ended, attempts, run, *rest = row
    progress, result, error = rest
    return Order(
        number,
        OrderKind(kind),
        orjson.loads(asked),
        OrderState(state),
        Orderer(author, credential, origin),
        created,
        begun,
        ended,
        attempts,
        run,
        orjson.loads(progress),
        orjson.loads(result),
        error,
    )


def _text(value: JsonObject) -> str:
    return orjson.dumps(value).decode()
