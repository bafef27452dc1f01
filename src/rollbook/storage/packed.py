"""Many members, in the little space that they took on their way here; made one by one when somebody looks."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import overload

import orjson

from rollbook.protocol.resource import Member


class PackedMembers(Sequence[Member]):
    """A sequence over pages, each the JSON text of an array of arrays: id, type and display of a member."""

    def __init__(self, pages: Iterable[str | bytes], size: int) -> None:
        """Pages with so many members altogether."""
        self._pages = tuple(pages)
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Member]:
        for page in self.pages():
            yield from page

    @overload
    def __getitem__(self, index: int) -> Member: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Member]: ...

    def __getitem__(self, index: int | slice) -> Member | Sequence[Member]:
        if isinstance(index, slice):
            return tuple(self)[index]
        at = range(self._size)[index]
        return next(islice(self, at, None))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash((self._size, self._pages))

    def pages(self) -> Iterator[list[Member]]:
        """The members, some at a time."""
        for page in self._pages:
            yield [Member(*parts) for parts in orjson.loads(page)]
