"""What commands tell the audit log of what they do, beside what stands with the changes they make (I-29)."""

from typing import Any

import typer

from rollbook.app import by
from rollbook.desk.telling import tell
from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.base import Act
from rollbook.storage.sql import migrate
from rollbook.storage.sql.store import SqlStore


def act(store: SqlStore, command: str, name: str, type: str = "", subject: str = "", **detail: Any) -> Act:
    """An act of a command, now, on the tenant it is for."""
    return Act(by(f"rollbook {command}"), store.home, name, type, subject, detail=detail)


def say_key(store: SqlStore) -> None:
    """Say where a key is that was made because there was none."""
    if store.secrets.made is not None:
        typer.echo(f"{store.secrets.made} is made: it seals the secrets of the database", err=True)


def tell_beside(store: SqlStore, *acts: Act) -> None:
    """Tell acts on a database that is not open, if it is of this version: nothing is brought up to date for that."""
    import asyncio

    async def go() -> None:
        await store.open()
        try:
            await tell(store, *acts)
            say_key(store)
        finally:
            await store.close()

    try:
        with store.database.snapshot() as connection:
            if not migrate.is_current(migrate.revision(connection)):
                return
        asyncio.run(go())
    except StoreUnavailable as error:
        typer.echo(f"not told in the audit log: {error.detail}", err=True)
