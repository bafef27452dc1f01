"""A database to try things on: a private copy of one moment, gone afterwards."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rollbook.protocol.catalog import Catalog
from rollbook.storage.sql.sqlite import SqliteConnection
from rollbook.storage.sql.store import SqlStore


@asynccontextmanager
async def opened_copy(store: SqlStore, catalog: Catalog) -> AsyncIterator[SqlStore]:
    """A copy of an open store beside it, for its owner only; whatever is written there is lost at the end."""
    with tempfile.TemporaryDirectory(prefix=".rollbook-plan-", dir=store.path.absolute().parent) as directory:
        path = Path(directory) / "copy.db"
        await asyncio.to_thread(_copy, store.path, path)
        copy = SqlStore(path, catalog)
        await copy.open()
        try:
            yield copy
        finally:
            await copy.close()


def _copy(path: Path, destination: Path) -> None:
    connection = SqliteConnection(path)
    try:
        connection.run("VACUUM INTO ?", (str(destination),))
    finally:
        connection.close()
