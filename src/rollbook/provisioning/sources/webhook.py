"""People that come of their own accord, by a signed webhook: what waits to be applied, the newest word on each key.

A reading never has everything, so that only those go who are said to be gone. What was applied is forgotten, what could not be stays.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from rollbook.provisioning.sources.base import Extent, Found, SourceError
from rollbook.provisioning.sources.spool import Course, Item, Left, Spooled
from rollbook.storage.arrivals import Arrival, Arrivals

T = TypeVar("T")

PAGE = 500

LEASE = 30_000
"""Milliseconds for which one process applies what waits; it is renewed as long as it writes, and so long others wait if it dies."""


@dataclass(frozen=True)
class Within:
    """The hub's own database, for sources whose records wait in it. Sources are read in threads, and ask its loop.

    `applies` says that what is read will be applied; then nobody else does so meanwhile.
    """

    arrivals: Arrivals
    tenant: int
    now: Callable[[], int]
    loop: asyncio.AbstractEventLoop
    applies: bool = True

    def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """The answer of the database."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


class Webhook:
    """The `Source` of one webhook."""

    def __init__(self, name: str, key: str, needed: tuple[str, ...], within: Within | None) -> None:
        self._name = name
        self._key = key
        self._needed = needed
        self._within = within

    @property
    def label(self) -> str:
        """Where it is served."""
        return f"/hooks/{self._name}"

    def columns(self) -> tuple[str, ...]:
        """The columns that rules read: others come and go with each message."""
        return tuple(dict.fromkeys((self._key, *self._needed)))

    def open(self, since: str | None = None) -> "WebhookReading":  # noqa: ARG002 - it has no marks
        """Read all that waits.

        Raises:
            SourceError: another process is applying it.
        """
        within = self._within
        if within is None:
            raise SourceError(
                f"{self.label} keeps no records: they are applied as they come, or by rollbook pull {self._name}"
            )
        return WebhookReading(within, self._name, self._key, self._needed)


class WebhookReading:
    """What waited at one moment."""

    def __init__(self, within: Within, name: str, key: str, needed: tuple[str, ...]) -> None:
        self._within = within
        self._name = name
        self._key = key
        self._hold = _Held(within, name, secrets.token_hex(8)) if within.applies else None
        if self._hold is not None:
            within.ask(self._hold.claim())
        self._seen: list[Arrival] = []
        try:
            course = Course(partial=True)
            self._spooled = Spooled(f"/hooks/{name}", key, needed).fill(self._waiting(), course)
        except BaseException:
            self._release()
            raise

    @property
    def columns(self) -> tuple[str, ...]:
        """Every name that any record has."""
        return self._spooled.columns

    @property
    def extent(self) -> Extent:
        """A part, for one process."""
        return replace(self._spooled.extent, hold=self._hold)

    def rows(self) -> Iterator[Found]:
        """Each key once, in the order of arrival."""
        return self._spooled.rows()

    def settle(self, failed: frozenset[str]) -> None:
        """Forget what was applied."""
        within = self._within
        within.ask(within.arrivals.settle(within.tenant, self._name, self._seen, failed))

    def close(self) -> None:
        """Let others apply what comes next."""
        self._spooled.close()
        self._release()

    def _waiting(self) -> Iterator[Item]:
        within, after = self._within, 0
        while page := within.ask(within.arrivals.waiting(within.tenant, self._name, after, PAGE)):
            for one in page:
                self._seen.append(Arrival(one.key, None, one.sequence))
                yield Left(one.key) if one.record is None else {**one.record, self._key: one.key}
            after = page[-1].sequence

    def _release(self) -> None:
        if self._hold is not None:
            self._within.ask(self._hold.release())


class _Held:
    """The lease of one reading: who was frozen for longer, or waited for the database, writes nothing old afterwards."""

    def __init__(self, within: Within, source: str, holder: str) -> None:
        self._within = within
        self._source = source
        self._holder = holder
        self._until = 0
        self._renewing = asyncio.Lock()

    async def claim(self) -> None:
        within, now = self._within, self._within.now()
        until = now + LEASE
        if not await within.arrivals.claim(within.tenant, self._source, self._holder, now, until):
            raise SourceError(
                f"/hooks/{self._source}: another process is applying what came, or died doing so less than"
                f" {LEASE // 1000} seconds ago"
            )
        self._until = until

    async def renew(self) -> None:
        """Stay the one who applies it."""
        within = self._within
        if self._is_long():
            return
        async with self._renewing:
            if self._is_long():
                return
            until = within.now() + LEASE
            if not await within.arrivals.renew(within.tenant, self._source, self._holder, until):
                raise self._lost()
            self._until = until

    def check(self) -> None:
        """Still be the one."""
        if self._within.now() >= self._until:
            raise self._lost()

    async def release(self) -> None:
        within = self._within
        await within.arrivals.release(within.tenant, self._source, self._holder)

    def _is_long(self) -> bool:
        return self._until - self._within.now() > LEASE // 2

    def _lost(self) -> SourceError:
        return SourceError(
            f"/hooks/{self._source}: this took too long, and another process may be applying what came;"
            " what was not applied waits"
        )
