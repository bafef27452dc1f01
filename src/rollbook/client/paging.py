"""Walking through all pages of a search (client.md 7)."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from rollbook.client.results import ListPage, ScimResource
from rollbook.protocol.errors import ExpiredCursor, InvalidCount, InvalidCursor

_REMEMBERED = 10_000  # ids: rows shift by few places, and memory must not grow with the service
_MOST_PAGES = 100_000
_SHIFT = 0.1  # the share by which totalResults may change in one walk (C-7-04)
_SHIFT_LEAST = 50
_BROKEN = (InvalidCursor, ExpiredCursor, InvalidCount)

Fetch = Callable[[int], Awaitable[ListPage]]
"""The page that begins at a given startIndex."""

FetchByCursor = Callable[[str], Awaitable[ListPage]]
"""The page that a cursor leads to, the first one for an empty text."""


class Walk:
    """All results of a search, page by page, as an asynchronous iterator that is used once.

    `complete` is true after a walk that saw the end. One that stopped early, because pages repeated or ran
    dry before totalResults, says nothing about what it did not show (FE-09).

    With `restarts` it begins again, so many times at most, where the list changes too much under it (C-7-04); `restarted` counts. Then
    resources come again: keep them by id.
    """

    def __init__(self, fetch: Fetch, start: int = 1, restarts: int = 0) -> None:
        self._fetch = fetch
        self._start = start
        self._restarts = restarts
        self.complete = False
        self.restarted = 0

    async def __aiter__(self) -> AsyncIterator[ScimResource]:
        """Every resource once; those that moved to a later page meanwhile are not shown again (C-7-03)."""
        recent, start, total = _Recent(), self._start, None
        for _ in range(_MOST_PAGES):
            page = await self._fetch(start)
            if total is not None and self.restarted < self._restarts and _shifted(total, page.total):
                self.restarted += 1
                recent, start, total = _Recent(), self._start, None
                continue
            total = page.total if total is None else total
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
    """The same by cursor (RFC 9865). Where the service turns out to know no cursors, it goes on by index.

    `restarts` are for cursors that the service does not take any more.
    """

    def __init__(self, by_cursor: FetchByCursor, by_index: Fetch, restarts: int = 0) -> None:
        self._by_cursor = by_cursor
        self._by_index = by_index
        self._restarts = restarts
        self.complete = False
        self.restarted = 0

    async def __aiter__(self) -> AsyncIterator[ScimResource]:
        """Every resource once."""
        recent, cursor, seen = _Recent(), "", 0
        for _ in range(_MOST_PAGES):
            try:
                page = await self._by_cursor(cursor)
            except _BROKEN:
                if not cursor or self.restarted >= self._restarts:
                    raise
                self.restarted += 1
                recent, cursor, seen = _Recent(), "", 0
                continue
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


def _shifted(before: int, now: int) -> bool:
    return abs(now - before) > max(before * _SHIFT, _SHIFT_LEAST)


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
