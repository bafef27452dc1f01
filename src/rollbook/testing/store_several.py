"""Several stores on one database behind one face: each call goes to the next of them."""

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rollbook.testing.store_steps import FullStore


class _Several:
    def __init__(self, stores: Sequence["FullStore"]) -> None:
        self._next = cycle(stores)

    def __getattr__(self, name: str) -> Any:
        return getattr(next(self._next), name)


def several(stores: Sequence["FullStore"]) -> "FullStore":
    """A store whose callers meet another process at each step; for the suite to see what processes share."""
    return cast("FullStore", _Several(stores))
