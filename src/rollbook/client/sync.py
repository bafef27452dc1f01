"""The client for programs that do not wait by `await`: the same names, each call done when it returns."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from rollbook.client.client import ScimClient
from rollbook.client.paging import CursorWalk, Walk
from rollbook.client.results import ScimResource

T = TypeVar("T")
P = ParamSpec("P")


def _waiting(
    method: Callable[Concatenate[ScimClient, P], Coroutine[Any, Any, T]],
) -> "Callable[Concatenate[SyncScimClient, P], T]":
    """The same method, which returns when it is done: arguments, result and description are those of the other."""

    @wraps(method)
    def call(self: "SyncScimClient", *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(method(self._client, *args, **kwargs))

    return call  # type: ignore[return-value]  # `self` is not meant to be given by name


def _walking(
    method: Callable[Concatenate[ScimClient, P], Walk | CursorWalk],
) -> "Callable[Concatenate[SyncScimClient, P], SyncWalk]":
    @wraps(method)
    def call(self: "SyncScimClient", *args: P.args, **kwargs: P.kwargs) -> "SyncWalk":
        return SyncWalk(self, method(self._client, *args, **kwargs))

    return call  # type: ignore[return-value]  # `self` is not meant to be given by name


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

    discover = _waiting(ScimClient.discover)
    create = _waiting(ScimClient.create)
    create_once = _waiting(ScimClient.create_once)
    get = _waiting(ScimClient.get)
    replace = _waiting(ScimClient.replace)
    patch = _waiting(ScimClient.patch)
    update = _waiting(ScimClient.update)
    change_members = _waiting(ScimClient.change_members)
    delete = _waiting(ScimClient.delete)
    bulk = _waiting(ScimClient.bulk)
    search = _waiting(ScimClient.search)
    find = _waiting(ScimClient.find)
    iterate = _walking(ScimClient.iterate)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class SyncWalk:
    """A walk through all pages; `complete` is true after one that saw the end."""

    def __init__(self, client: SyncScimClient, walk: Walk | CursorWalk) -> None:
        self._client = client
        self._walk = walk

    @property
    def complete(self) -> bool:
        """Whether the walk saw the end."""
        return self._walk.complete

    @property
    def restarted(self) -> int:
        """How often the walk began again."""
        return self._walk.restarted

    def __iter__(self) -> Iterator[ScimResource]:
        found = aiter(self._walk)
        while (one := self._client._run(_next(found))) is not None:  # noqa: SLF001 - its own walk
            yield one


async def _next(found: Any) -> ScimResource | None:
    one: ScimResource | None = await anext(found, None)
    return one


async def _made(arguments: tuple[Any, ...], named: dict[str, Any]) -> ScimClient:
    return ScimClient(*arguments, **named)
