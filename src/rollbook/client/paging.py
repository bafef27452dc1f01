"""Walking through all pages of a search (client.md 7)."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from rollbook.client.results import ListPage, ScimResource

_REMEMBERED = 10_000  # ids: rows shift by few places, and memory must not grow with the service
_MOST_PAGES = 100_000

Fetch = Callable[[int], Awaitable[ListPage]]
"""The page that begins at a given startIndex."""


class Walk:
    """All results of a search, page by page, as an asynchronous iterator that is used once.

    `complete` is true after a walk that saw the end. One that stopped early, because pages repeated or ran
    dry before totalResults, says nothing about what it did not show (FE-09).
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self.complete = False

    async def __aiter__(self) -> AsyncIterator[ScimResource]:
        """Every resource once; those that moved to a later page meanwhile are not shown again (C-7-03)."""
        recent = _Recent()
        start = 1
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
