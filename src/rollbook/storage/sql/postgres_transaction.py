"""Transactions that write on PostgreSQL: begun with their locks, shared by the requests of a tenant, committed."""

import asyncio
from collections.abc import Callable
from typing import Any

from rollbook.storage.patience import Patience
from rollbook.storage.sql.connection import ALONE, Connection
from rollbook.storage.sql.group_commit import Request
from rollbook.storage.sql.postgres_connection import BECAUSE_OF_OTHERS, LOCK_MILLISECONDS, NearConnection
from rollbook.storage.sql.postgres_schema import LOCKS

_BEGIN = """
    BEGIN ISOLATION LEVEL READ COMMITTED; {wait}
    SELECT pg_advisory_xact_lock_shared({locks}, 0), pg_advisory_xact_lock({locks}, {tenant});
    SELECT pg_current_xact_id()::text
"""
BEGIN_ALONE = """
    BEGIN ISOLATION LEVEL READ COMMITTED; {wait}
    SELECT pg_advisory_xact_lock({locks}, 0);
    SELECT pg_current_xact_id()::text
"""

_AT_ONCE = 1_000
"""Milliseconds that are no waiting."""

LEAST_SECONDS = 1.0
"""How long a transaction may wait at least, also for those who have waited before it: the database may be well again."""


def measured(batch: list[Request[Any]]) -> Patience:
    """How long a transaction may wait: for as long as whoever has waited longest before it still does."""
    left = min(request.until for request in batch) - asyncio.get_running_loop().time()
    return Patience(max(left, LEAST_SECONDS))


class Transaction:
    """A transaction of one tenant's requests."""

    def __init__(
        self,
        tenant: int,
        batch: list[Request[Any]],
        guard: Callable[[Connection], None] | None,
        measure: Patience,
    ) -> None:
        self._tenant = tenant
        self._measure = measure
        self._batch = batch
        self._guard = guard
        self.number: str | None = None
        self.is_committing = False
        self.may_be_tried_again = False

    def run(self, connection: NearConnection) -> None:
        """From BEGIN to COMMIT; after an error that concerns all of it the connection is not used again."""
        try:
            self._run(connection)
        except Exception as error:
            is_lost = not connection.is_alive and not self.is_committing
            self.may_be_tried_again = is_lost or isinstance(error.__cause__, BECAUSE_OF_OTHERS)
            raise

    def _run(self, connection: NearConnection) -> None:
        begin = BEGIN_ALONE if self._tenant == ALONE else _BEGIN
        left = int(self._measure.left * 1000)
        # What was waited for a connection is not waited for the lock again; 0 would be for ever.
        wait = f"SET LOCAL lock_timeout = {max(left, 1)};" if left < LOCK_MILLISECONDS - _AT_ONCE else ""
        # Tenant numbers begin at 1, and 0 is the lock of the definitions: what is nobody's has a number of its own.
        begun = begin.format(locks=LOCKS, tenant=self._tenant or -1, wait=wait)
        ((self.number,),) = connection.script(begun)
        if self._guard is not None:
            self._guard(connection)
        for request in self._batch:
            request.run(connection)
        self.is_committing = True
        connection.script("COMMIT")
