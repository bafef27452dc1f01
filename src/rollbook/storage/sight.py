"""Which resources are there for whoever asks: to others, references and members are to nobody (T-19)."""

from collections.abc import Mapping
from dataclasses import dataclass

from rollbook.protocol.match import matches
from rollbook.protocol.resolved import ResolvedFilter
from rollbook.protocol.values import JsonObject


@dataclass(frozen=True, eq=False)
class Sight:
    """By the name of a resource type, what its resources must match; those of other types are not seen."""

    conditions: Mapping[str, ResolvedFilter]

    def sees(self, type_name: str, document: JsonObject) -> bool:
        """Whether a resource is there."""
        condition = self.conditions.get(type_name)
        return condition is not None and matches(condition, document)
