"""`SourceMarks` over SQL."""

from rollbook.storage.source_marks import SourceMark
from rollbook.storage.sql.connection import Connection, Database

_MARK = "SELECT digest, mark, full_at FROM source_mark WHERE tenant = ? AND source = ?"
_DROP = "DELETE FROM source_mark WHERE tenant = ? AND source = ?"
_KEEP = """
    INSERT INTO source_mark (tenant, source, digest, mark, full_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (tenant, source) DO UPDATE
    SET digest = excluded.digest, mark = excluded.mark, full_at = excluded.full_at
"""


class SqlSourceMarks:
    """Marks in the same database as what was made of the readings they end."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def mark(self, tenant: int, source: str) -> SourceMark | None:
        """The mark, None if the source was never read to one."""
        row = await self._database.read(lambda conn: conn.one(_MARK, (tenant, source)))
        return None if row is None else SourceMark(*row)

    async def keep_mark(self, tenant: int, source: str, mark: SourceMark | None) -> None:
        """Put it in place of the former one; None forgets it."""

        def work(conn: Connection) -> None:
            if mark is None:
                conn.run(_DROP, (tenant, source))
            else:
                conn.run(_KEEP, (tenant, source, mark.digest, mark.mark, mark.full_at))

        await self._database.write(tenant, work)
