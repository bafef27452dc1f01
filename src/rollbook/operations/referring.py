"""References in answers: which resources they lead to is read once for a whole answer (A-69)."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from rollbook.operations.context import Context
from rollbook.protocol.projection import Projection, shows
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import Record


@dataclass(frozen=True, slots=True)
class Shown:
    """A resource in an answer, and what the answer shows of it; `written` are paths that the request wrote."""

    record: Record
    resource_type: ResourceType
    projection: Projection
    written: frozenset[str] = frozenset()

    def ids(self) -> set[str]:
        """The ids in references of which the answer shows more than these."""
        references = self.resource_type.references
        if not references.each or not self._shows_made:
            return set()
        found = references.ids_in(self.record.body)
        if references.hides_some and self.record.extra is not None:
            found |= references.ids(orjson.loads(self.record.extra))
        return found

    @property
    def _shows_made(self) -> bool:
        """Whether the answer shows parts that the server makes of ids."""
        return self.projection.is_default or any(
            shows(self.projection, part, self.written)
            for reference in self.resource_type.references.each
            for part in reference.made
        )


async def referred(context: Context, answer: Sequence[Shown]) -> list[Record]:
    """The records of an answer with the resources that their references lead to, as far as they exist."""
    ids = set[str]().union(*(shown.ids() for shown in answer))
    if not ids:
        return [shown.record for shown in answer]
    found = await context.services.store.referred(context.tenant, sorted(ids))
    return [shown.record._replace(referred=found) for shown in answer]
