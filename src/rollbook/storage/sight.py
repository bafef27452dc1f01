"""Which resources are there for whoever asks: to others, references and members are to nobody (T-19)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rollbook.protocol.match import matches
from rollbook.protocol.resolved import ResolvedFilter
from rollbook.protocol.values import JsonObject


@dataclass(frozen=True, eq=False)
class Sight:
    """By the name of a resource type, what its resources must match, and those of other types are not seen; None for all.

    With a `maker`, they must have been made by that one, too (`Author.maker`).
    """

    conditions: Mapping[str, ResolvedFilter] | None = None
    maker: str | None = None

    def sees(self, type_name: str, maker: str | None, read: Callable[[], JsonObject]) -> bool:
        """Whether a resource is there; `read` gives its document."""
        if self.maker is not None and maker != self.maker:
            return False
        if self.conditions is None:
            return True
        condition = self.conditions.get(type_name)
        return condition is not None and matches(condition, read())
