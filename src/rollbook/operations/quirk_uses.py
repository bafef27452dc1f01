"""Which quirks each token's client needs: counted in memory, written to the store now and then.

What was counted since the last time is lost if the process is killed: these are figures for people, not a record.
"""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from rollbook.operations.context import Caller
from rollbook.operations.logs import Log
from rollbook.protocol.quirks import CLIENTS, PROFILES, TABLE, Quirk
from rollbook.storage.base import QuirkStore, QuirkUse

log = Log("rollbook.quirks")

EVERY_SECONDS = 5.0
"""How often counts are written."""

MOST_KEPT = 10_000
"""Counts held in memory: of so many pairs of token and quirk."""


class QuirkUses:
    """Counts uses; the first of each quirk by each token is told in the log."""

    def __init__(self, store: QuirkStore) -> None:
        self._store = store
        self._counts: dict[tuple[int, str, str], QuirkUse] = {}
        self._told: set[tuple[int, str, str]] = set()

    def note(self, caller: Caller, used: Iterable[Quirk], at: int) -> None:
        """One request of the caller needed these; `at` is milliseconds since 1970."""
        tenant, token = caller.tenant.number, caller.token_id or caller.name
        for quirk in used:
            key = (tenant, token, quirk.value)
            known = self._counts.get(key)
            if known is None and len(self._counts) >= MOST_KEPT:
                continue
            first, uses = (known.first, known.uses) if known else (at, 0)
            self._counts[key] = QuirkUse(tenant, token, quirk.value, uses + 1, first, at)
            if key not in self._told and len(self._told) < MOST_KEPT:
                self._told.add(key)
                log.info("quirk used", token=caller.name, quirk=quirk.value, accepts=TABLE[quirk].accepts)

    async def flush(self) -> None:
        """Write what was counted since the last time; kept for the next if the store does not take it."""
        counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            await self._store.add_quirk_uses(list(counts.values()))
        except Exception:  # one that is cancelled is taken to be written
            for key, use in counts.items():
                newer = self._counts.get(key)
                self._counts[key] = joined(use, newer) if newer else use
            raise

    async def close(self) -> None:
        """Write what is left, if the store takes it."""
        with suppress(Exception):
            await self.flush()

    async def keep_writing(self) -> None:
        """Write for as long as this runs; while the store cannot, go on counting."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            with suppress(Exception):
                await self.flush()


def joined(older: QuirkUse, newer: QuirkUse) -> QuirkUse:
    """Two counts of one quirk by one token as one."""
    uses = older.uses + newer.uses
    return older._replace(uses=uses, first=min(older.first, newer.first), last=max(older.last, newer.last))


_SHARED = frozenset(quirk for quirk, row in TABLE.items() if row.clients == CLIENTS)
"""Quirks that tell nothing of who sends them."""


def senders(used: Iterable[Quirk]) -> Sequence[str]:
    """The known clients whose requests may look like this: those that need all of these.

    Nothing is concluded from names that clients give themselves, nor from quirks that are nobody's in particular.
    """
    telling = frozenset(used) - _SHARED
    if not telling:
        return ()
    return [name for name in CLIENTS if telling <= PROFILES[name].quirks]
