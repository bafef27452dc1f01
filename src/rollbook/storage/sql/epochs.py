"""The epoch of a database: part of every version it gives out, and another one after a backup was restored (A-31)."""

import secrets

from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.editions import next_edition
from rollbook.storage.sql.tokens import SET


def renew_epoch(connection: Connection, epoch: str | None = None) -> None:
    """Give versions out under another name from now on; servers that hold the old one follow."""
    connection.run(SET, ("epoch", epoch or secrets.token_hex(4)))
    connection.run("UPDATE tenant SET edition = ?", (next_edition(connection),))
