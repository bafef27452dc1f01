"""The client for programs that do not wait by `await`: the same names, each call done when it returns."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from rollbook.client.client import ScimClient
from rollbook.client.discovery import Capabilities
from rollbook.client.results import ListPage, ScimResource

T = TypeVar("T")


class SyncScimClient:
    """`ScimClient` with a loop of its own in a thread; usable from any thread, also inside another loop.

    Its methods take what those of `ScimClient` take, and raise what they raise.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """As for `ScimClient`."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rollbook-client", daemon=True)
        self._thread.start()
        try:
            self._client = self._run(_made(arguments, named))
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all connections, and of the thread. May be called twice."""
        if self._thread.is_alive():
            self._run(self._client.close())
            self._end()

    def discover(self) -> Capabilities:
        """What the service can do."""
        return self._run(self._client.discover())

    def create(self, *arguments: Any, **named: Any) -> ScimResource:
        """Create a resource."""
        return self._run(self._client.create(*arguments, **named))

    def get(self, *arguments: Any, **named: Any) -> ScimResource:
        """Read a resource."""
        return self._run(self._client.get(*arguments, **named))

    def replace(self, *arguments: Any, **named: Any) -> ScimResource | None:
        """Replace a resource."""
        return self._run(self._client.replace(*arguments, **named))

    def patch(self, *arguments: Any, **named: Any) -> ScimResource | None:
        """Change a resource by PATCH operations."""
        return self._run(self._client.patch(*arguments, **named))

    def delete(self, *arguments: Any, **named: Any) -> None:
        """Delete a resource."""
        self._run(self._client.delete(*arguments, **named))

    def search(self, *arguments: Any, **named: Any) -> ListPage:
        """One page of matches."""
        return self._run(self._client.search(*arguments, **named))

    def find(self, *arguments: Any, **named: Any) -> tuple[ScimResource, ...]:
        """The resources with the wanted values."""
        return self._run(self._client.find(*arguments, **named))

    def iterate(self, *arguments: Any, **named: Any) -> "SyncWalk":
        """All matches, page by page."""
        return SyncWalk(self, self._client.iterate(*arguments, **named))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class SyncWalk:
    """A walk through all pages; `complete` is true after one that saw the end."""

    def __init__(self, client: SyncScimClient, walk: Any) -> None:
        self._client = client
        self._walk = walk

    @property
    def complete(self) -> bool:
        """Whether the walk saw the end."""
        return bool(self._walk.complete)

    def __iter__(self) -> Iterator[ScimResource]:
        found = aiter(self._walk)
        while (one := self._client._run(_next(found))) is not None:  # noqa: SLF001 - its own walk
            yield one


async def _next(found: Any) -> ScimResource | None:
    one: ScimResource | None = await anext(found, None)
    return one


async def _made(arguments: tuple[Any, ...], named: dict[str, Any]) -> ScimClient:
    return ScimClient(*arguments, **named)
