"""What the parts of a `LinkStore` over SQL have in common."""

from collections.abc import Callable

from rollbook.storage.links import Link, State
from rollbook.storage.sql.connection import Connection, Database


class SqlLinkPart:
    """A database, and work on links in it by whoever still has them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def _held(
        self,
        tenant: int,
        target: int,
        link: Link,
        work: Callable[[Connection], object],
        *,
        long: bool = False,
    ) -> bool:
        """Do the work if the worker still has the link (I-18)."""
        sql = "SELECT fence, state FROM link WHERE tenant = ? AND target = ? AND pk = ?"

        def fenced(conn: Connection) -> bool:
            if conn.one(sql, (tenant, target, link.key)) != (link.fence, State.CLAIMED):
                return False
            work(conn)
            return True

        return await self._database.write(tenant, fenced, long=long)
