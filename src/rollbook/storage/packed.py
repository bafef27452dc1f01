"""Many members, in the little space that they took on their way here; made one by one when somebody looks."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import IntEnum
from itertools import islice
from typing import overload

import orjson

from rollbook.protocol.resource import Member


class Shown(IntEnum):
    """How much of a member is shown."""

    BY_ID = 0
    WHOLE = 1
    UNLABELLED = 2


def shown_as(member: Member, how: int) -> Member:
    """A member of which so much is shown."""
    if how == Shown.WHOLE:
        return member
    return Member(member.value) if how == Shown.BY_ID else replace(member, display=None)


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

    def dimmed(self, how: Iterable[bytes]) -> "PackedMembers":
        """The same, shown otherwise; by page, one `Shown` for each member."""
        return _Dimmed(self._pages, self._size, tuple(how))


class _Dimmed(PackedMembers):
    """Made dim when somebody looks: what is held beside is a byte for each."""

    def __init__(self, pages: Iterable[str | bytes], size: int, how: tuple[bytes, ...]) -> None:
        super().__init__(pages, size)
        self._how = how

    def pages(self) -> Iterator[list[Member]]:
        """The members, some at a time."""
        for page, how in zip(super().pages(), self._how, strict=True):
            yield [shown_as(*each) for each in zip(page, how, strict=True)]
