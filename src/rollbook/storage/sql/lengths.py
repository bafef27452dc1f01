"""Which writes take long, as far as can be told beforehand: those run in a thread where statements hold up the event loop."""

from rollbook.storage.base import Rules
from rollbook.storage.sql import reads, removal
from rollbook.storage.sql.connection import Backend
from rollbook.storage.sql.index import Layout
from rollbook.storage.sql.writes import Target

LONG = 200
"""Memberships that a write may touch on the event loop."""

ROWS_EACH = 10
"""Memberships that take as long to write as a resource does."""


async def is_large(database: Backend, tenant: int, id: str) -> bool:
    """Whether a resource has more members, or is in more groups."""
    return database.holds_the_loop and await database.read_now(
        lambda connection: reads.is_large(connection, tenant, id, LONG)
    )


async def is_referred_to_much(database: Backend, known: Layout, what: Target, rules: Rules) -> bool:
    """Whether more resources refer to it, which have to change with its removal."""
    return database.holds_the_loop and await database.read_now(
        lambda connection: removal.is_referred_to_much(connection, known, what, rules, LONG)
    )
