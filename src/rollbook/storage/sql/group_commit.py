"""Requests that share a transaction: each behind a savepoint, so that its failure touches no neighbour (FS-04)."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from rollbook.storage.sql.connection import Connection

T = TypeVar("T")

BATCH = 256
"""Most requests that share a transaction: one more flush costs each little by then, waiting does not."""


class Transaction(Connection, Protocol):
    """A connection in whose transaction requests are run."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""


@dataclass(slots=True)
class Request(Generic[T]):
    """A write that waits: what to do, and whom to tell."""

    work: Callable[[Connection], T]
    long: bool
    future: "asyncio.Future[T]"
    until: float = math.inf
    """By the loop's clock: how long the caller waits for what may be waited for."""
    result: T | None = None
    error: Exception | None = None

    def run(self, connection: Transaction) -> None:
        """Do the work behind a savepoint."""
        self.error = None
        connection.run("SAVEPOINT request")
        try:
            self.result = self.work(connection)
        except Exception as error:
            self.error = error
            if not connection.in_transaction:  # the database gave up the whole transaction: disk full, say
                raise
            connection.run("ROLLBACK TO request")
        connection.run("RELEASE request")

    def tell(self) -> None:
        """Answer the caller, if it has not gone; the write stands all the same (FS-18)."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]  # T may itself be None
