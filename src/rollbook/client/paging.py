"""Walking through all pages of a search (client.md 7)."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from rollbook.client.results import ListPage, ScimResource

_REMEMBERED = 10_000  # ids: rows shift by few places, and memory must not grow with the service
_MOST_PAGES = 100_000

Fetch = Callable[[int], Awaitable[ListPage]]
"""The page that begins at a given startIndex."""

FetchByCursor = Callable[[str], Awaitable[ListPage]]
"""The page that a cursor leads to, the first one for an empty text."""


class Walk:
    """All results of a search, page by page, as an asynchronous iterator that is used once.

    `complete` is true after a walk that saw the end. One that stopped early, because pages repeated or ran
    dry before totalResults, says nothing about what it did not show (FE-09).
    """

    def __init__(self, fetch: Fetch, start: int = 1) -> None:
        self._fetch = fetch
        self._start = start
        self.complete = False

    async def __aiter__(self) -> AsyncIterator[ScimResource]:
        """Every resource once; those that moved to a later page meanwhile are not shown again (C-7-03)."""
        recent = _Recent()
        start = self._start
        for _ in range(_MOST_PAGES):
            page = await self._fetch(start)
            fresh = [resource for resource in page.resources if recent.is_new(resource.id)]
            for resource in fresh:
                yield resource
            # What counts is what came, not what was asked for (C-7-01).
            start = page.start_index + len(page.resources)
            if start > page.total:
                self.complete = True
                return
            if not fresh:  # an empty page, or one that repeats the last: no end in sight (C-7-02)
                return


class CursorWalk:
    """The same by cursor (RFC 9865). Where the service turns out to know no cursors, it goes on by index."""

    def __init__(self, by_cursor: FetchByCursor, by_index: Fetch) -> None:
        self._by_cursor = by_cursor
        self._by_index = by_index
        self.complete = False

    async def __aiter__(self) -> AsyncIterator[ScimResource]:
        """Every resource once."""
        recent = _Recent()
        cursor, seen = "", 0
        for _ in range(_MOST_PAGES):
            page = await self._by_cursor(cursor)
            fresh = [resource for resource in page.resources if recent.is_new(resource.id)]
            for resource in fresh:
                yield resource
            seen += len(page.resources)
            following = page.next_cursor
            if following is None or following == cursor:
                break
            cursor = following
        else:
            return
        if following is not None:  # it stands still (C-7-02)
            return
        if cursor or seen >= page.total:
            self.complete = True
            return
        rest = Walk(self._by_index, seen + 1)
        async for resource in rest:
            if recent.is_new(resource.id):
                yield resource
        self.complete = rest.complete


class _Recent:
    """The ids seen lately."""

    def __init__(self) -> None:
        self._order: deque[str] = deque()
        self._ids: set[str] = set()

    def is_new(self, id: str) -> bool:
        """Whether the id has not been seen lately; it has been afterwards."""
        if id in self._ids:
            return False
        self._ids.add(id)
        self._order.append(id)
        if len(self._order) > _REMEMBERED:
            self._ids.discard(self._order.popleft())
        return True
