"""Whether a database can be served from: it answers, has the tables of this program, and takes writes.

Said in few words of our own, since whoever asks need not be anybody we know.
"""

from collections.abc import Awaitable, Callable, Mapping

from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.sql import migrate
from rollbook.storage.sql.connection import Backend

OK = "ok"


def checks(database: Backend) -> Mapping[str, Callable[[], Awaitable[str]]]:
    """What to look at, by name; each costs a few rows at most."""

    async def answers() -> str:
        await database.read_now(lambda connection: connection.one("SELECT 1"))
        return OK

    async def is_current() -> str:
        revision = await database.read_now(migrate.revision)
        try:
            return OK if migrate.is_current(revision) else "the database is of an older version"
        except StoreUnavailable:
            return "the database is of a newer version"

    async def takes_writes() -> str:
        return await database.takes_writes() or OK

    return {"database": answers, "migrations": is_current, "disk": takes_writes}
