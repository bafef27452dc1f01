"""How long whoever asks waits for the database's connections and locks: all waits together have one measure (FS-21).

A request makes several reads and a write. Each could wait for itself, and a database that recovers would be waited for
again and again; so a request has one `Patience`, which its waits use up.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from rollbook.protocol.errors import StoreUnavailable

WAIT_SECONDS = 10.0
"""How long all waits of one request may take together."""

BUSY = "every connection to the database is busy, or the database does not answer; try again"


class Patience:
    """How many seconds are left to wait for."""

    __slots__ = ("left",)

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """What is waited for within this uses it up.

        Raises:
            StoreUnavailable: it was not there in time.
        """
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self.left):
                yield
        except TimeoutError:
            raise StoreUnavailable(BUSY) from None
        finally:
            self.left = max(0.0, self.left - (time.monotonic() - begun))


_OF_REQUEST: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def of_a_request() -> Iterator[None]:
    """Whatever waits for the database within this does so by one measure."""
    with _by(Patience(WAIT_SECONDS)):
        yield


@contextmanager
def of_no_request() -> Iterator[None]:
    """Each wait within this has a measure of its own: it is work that a request has only begun."""
    with _by(None):
        yield


@contextmanager
def _by(measure: Patience | None) -> Iterator[None]:
    former = _OF_REQUEST.set(measure)
    try:
        yield
    finally:
        _OF_REQUEST.reset(former)


def patience() -> Patience:
    """That of the request this is part of; a fresh one where there is none."""
    return _OF_REQUEST.get() or Patience(WAIT_SECONDS)
