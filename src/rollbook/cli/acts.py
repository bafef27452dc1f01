"""What commands tell the audit log of what they do, beside what stands with the changes they make (I-29)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import typer

from rollbook.app import by
from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.base import Act
from rollbook.storage.sql import migrate
from rollbook.storage.sql.journal import SqlJournal
from rollbook.storage.sql.store import SqlStore


async def tell(store: SqlStore, *acts: Act) -> None:
    """Tell acts."""
    await SqlJournal(store.database).write(acts)


def act(store: SqlStore, command: str, name: str, type: str = "", subject: str = "", **detail: Any) -> Act:
    """An act of a command, now, on the tenant it is for."""
    return Act(by(f"rollbook {command}"), store.home, name, type, subject, detail=detail)


@dataclass
class Telling:
    """What came of an act that is under way; `run` is the number of the run it was."""

    outcome: str = "done"
    run: int | None = None


@asynccontextmanager
async def telling(store: SqlStore, act: Act) -> AsyncIterator[Telling]:
    """Tell that something is begun, and what came of it: so that what is killed in the middle is told as well."""
    told = Telling()
    await tell(store, replace(act, outcome="begun"))
    try:
        yield told
    except BaseException:
        told.outcome = "failed"
        raise
    finally:
        with suppress(StoreUnavailable):
            author = replace(by(act.author.name), run=told.run)
            await tell(store, replace(act, author=author, outcome=told.outcome))


def tell_beside(store: SqlStore, *acts: Act) -> None:
    """Tell acts on a database that is not open, if it is of this version: nothing is brought up to date for that."""
    import asyncio

    async def go() -> None:
        await store.open()
        try:
            await tell(store, *acts)
        finally:
            await store.close()

    try:
        with store.database.snapshot() as connection:
            if not migrate.is_current(migrate.revision(connection)):
                return
        asyncio.run(go())
    except StoreUnavailable as error:
        typer.echo(f"not told in the audit log: {error.detail}", err=True)
