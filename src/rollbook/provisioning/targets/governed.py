"""A target that is called by a few at a time, and by nobody while it is to be left alone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from rollbook.client import ScimResource
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.differences import Difference
from rollbook.provisioning.targets.base import Target
from rollbook.provisioning.targets.rates import Rates
from rollbook.provisioning.wanted import Kind


class LeftAlone(Exception):
    """The target is not called now; nothing was sent."""


class Governed:
    """A `Target` in front of another one.

    `open` tells whether calls may go out at this moment; it is asked when a call's turn has come, so that what
    queued up before a pause stays here. `failed` is told of each error before the next call has its turn.
    """

    def __init__(
        self,
        far: Target,
        parallel: int,
        open: Callable[[], Awaitable[bool]],
        failed: Callable[[Exception], None],
        rates: Rates | None = None,
    ) -> None:
        self._far = far
        self._turns = asyncio.Semaphore(parallel)
        self._open = open
        self._failed = failed
        self._rates = rates

    @asynccontextmanager
    async def _turn(self, method: str = "GET", kind: Kind | None = None) -> AsyncIterator[Target]:
        async with self._turns:
            if self._rates is not None and kind is not None:
                await self._rates.wait(method, kind.resource_type.name)
            if not await self._open():
                raise LeftAlone
            try:
                yield self._far
            except Exception as error:
                self._failed(error)
                raise

    @property
    def writes(self) -> int:
        """How many calls were made that could change something."""
        return self._far.writes

    async def read(self, kind: Kind, remote_id: str) -> ScimResource | None:
        """The account without its members."""
        async with self._turn("GET", kind) as far:
            return await far.read(kind, remote_id)

    async def read_members(self, kind: Kind, remote_id: str) -> Sequence[str]:
        """The remote ids of a group's members."""
        async with self._turn("GET", kind) as far:
            return await far.read_members(kind, remote_id)

    async def find(self, kind: Kind, path: AttributePath, value: str) -> Sequence[ScimResource]:
        """The accounts with exactly that value."""
        async with self._turn("GET", kind) as far:
            return await far.find(kind, path, value)

    async def create(self, kind: Kind, body: JsonObject) -> ScimResource:
        """Make an account."""
        async with self._turn("POST", kind) as far:
            return await far.create(kind, body)

    async def update(self, kind: Kind, present: ScimResource, differences: Sequence[Difference]) -> None:
        """Take the differences away."""
        async with self._turn("PATCH", kind) as far:
            await far.update(kind, present, differences)

    async def members_per_call(self) -> int:
        """How many member changes to give at once."""
        async with self._turn() as far:
            return await far.members_per_call()

    async def change_members(
        self, kind: Kind, remote_id: str, add: Sequence[str], remove: Sequence[str]
    ) -> None:
        """Change a group's members."""
        async with self._turn("PATCH", kind) as far:
            await far.change_members(kind, remote_id, add, remove)

    async def delete(self, kind: Kind, present: ScimResource) -> None:
        """Remove the account."""
        async with self._turn("DELETE", kind) as far:
            await far.delete(kind, present)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._far.close()
