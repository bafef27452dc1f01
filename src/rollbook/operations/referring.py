"""References in answers: which resources they lead to is read once for a whole answer (A-69)."""

from collections.abc import Sequence

import orjson

from rollbook.operations.context import Context
from rollbook.protocol.projection import Projection, shows
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import Record


def ids_shown(
    records: Sequence[Record],
    resource_type: ResourceType,
    projection: Projection,
    written: frozenset[str] = frozenset(),
) -> set[str]:
    """The ids in references of these resources of which an answer shows more than these; `written` as in `project`."""
    references = resource_type.references
    if not references.each or not _shows_made(resource_type, projection, written):
        return set()
    found = references.ids_in([record.body for record in records])
    if references.hides_some:
        hidden = [orjson.loads(record.extra) for record in records if record.extra is not None]
        found = found.union(*map(references.ids, hidden))
    return found


def _shows_made(resource_type: ResourceType, projection: Projection, written: frozenset[str]) -> bool:
    """Whether an answer shows parts that the server makes of ids."""
    return projection.is_default or any(
        shows(projection, part, written)
        for reference in resource_type.references.each
        for part in reference.made
    )


async def referred(context: Context, records: Sequence[Record], ids: set[str]) -> Sequence[Record]:
    """The records of an answer with the resources that these ids in them lead to, as far as they exist."""
    found = await context.services.store.referred(context.tenant, sorted(ids))
    return [record._replace(referred=found) for record in records]
