"""The audit log is told of acts beside the changes they make (I-29)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rollbook.protocol.errors import StoreUnavailable
from rollbook.storage.base import Act
from rollbook.storage.sql.journal import SqlJournal
from rollbook.storage.sql.store import SqlStore

if TYPE_CHECKING:
    from rollbook.desk.reports import Applied  # it loads the engine, which most commands can do without


async def tell(store: SqlStore, *acts: Act) -> None:
    """Tell acts."""
    await SqlJournal(store.database).write(acts)


@dataclass
class Telling:
    """What came of an act that is under way; `run` is the number of the run it was."""

    outcome: str = "done"
    run: int | None = None

    def ended(self, done: "Applied", run: int | None = None) -> None:
        """It came to this, as that run."""
        self.run = run or done.run
        if done.failed:
            self.outcome = "failed"


@asynccontextmanager
async def telling(store: SqlStore, act: Act, now: Callable[[], int]) -> AsyncIterator[Telling]:
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
            author = replace(act.author, at=now(), run=told.run)
            await tell(store, replace(act, author=author, outcome=told.outcome))
