"""The order of things that need each other: after what they need, otherwise as given; rings are found.

Knows numbers only. Nothing here recurses: chains may be as long as a request (T-38).
"""

import heapq
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

Needs = Sequence[AbstractSet[int]]
"""For each number, from 0 on, the numbers that it comes after."""


def ordered(needs: Needs) -> list[tuple[int, ...]]:
    """Units in order: a unit is one number, or several that need each other in a ring, ascending.

    Of the units that may come next it is always the one given first; a ring counts as given where its last number
    is.
    """
    homes = _Rings(needs).homes
    members: dict[int, list[int]] = {}
    missing: dict[int, set[int]] = {}
    for number, home in enumerate(homes):
        members.setdefault(home, []).append(number)
        missing.setdefault(home, set()).update(homes[need] for need in needs[number] if homes[need] != home)
    return [tuple(members[home]) for home in _sorted(missing)]


def _sorted(missing: dict[int, set[int]]) -> Iterator[int]:
    """The keys, each after those in its set, and the lowest first of those that may come next."""
    waiting: dict[int, list[int]] = {}
    for number, others in missing.items():
        for other in others:
            waiting.setdefault(other, []).append(number)
    left = {number: len(others) for number, others in missing.items()}
    ready = [number for number, count in left.items() if count == 0]
    heapq.heapify(ready)
    while ready:
        number = heapq.heappop(ready)
        yield number
        for other in waiting.get(number, ()):
            left[other] -= 1
            if left[other] == 0:
                heapq.heappush(ready, other)


class _Rings:
    """Finds rings, which graph theory calls strongly connected components, by Tarjan's algorithm.

    `homes` has for each number the last one of its ring, and itself if it is in none.
    """

    def __init__(self, needs: Needs) -> None:
        self.homes = list(range(len(needs)))
        # Whatever needs nothing is in no ring; without it there is little left to look at.
        needing = {number for number, needed in enumerate(needs) if needed}
        self._needs = {number: needs[number] & needing for number in needing}
        self._found: dict[int, int] = {}
        """How many numbers were found before each one."""
        self._lowest: dict[int, int] = {}
        """The earliest found number in the same ring that is known so far, as its place in that order."""
        self._open: dict[int, None] = {}
        """Numbers whose ring is not complete, in the order in which they were found."""
        for number in sorted(needing):
            if number not in self._found:
                self._follow(number)

    def _follow(self, start: int) -> None:
        path = [(start, self._enter(start))]
        while path:
            number, rest = path[-1]
            new = self._next(number, rest)
            if new is not None:
                path.append((new, self._enter(new)))
                continue
            path.pop()
            if path:
                self._lower(path[-1][0], self._lowest[number])
            if self._lowest[number] == self._found[number]:
                self._close(number)

    def _enter(self, number: int) -> Iterator[int]:
        self._found[number] = self._lowest[number] = len(self._found)
        self._open[number] = None
        return iter(self._needs[number])

    def _next(self, number: int, rest: Iterator[int]) -> int | None:
        for need in rest:
            if need not in self._found:
                return need
            if need in self._open:
                self._lower(number, self._found[need])
        return None

    def _lower(self, number: int, found: int) -> None:
        self._lowest[number] = min(self._lowest[number], found)

    def _close(self, number: int) -> None:
        """Take the ring that was entered at this number."""
        ring = [number]
        while (last := self._open.popitem()[0]) != number:
            ring.append(last)
        home = max(ring)
        for member in ring:
            self.homes[member] = home
