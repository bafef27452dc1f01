"""Whom people mean: a resource of the hub by its id, its name, or its key at a source."""

from collections.abc import Sequence

from rollbook.protocol import compare
from rollbook.protocol.errors import NotFound
from rollbook.protocol.filters import Operator
from rollbook.protocol.query import Page, Query
from rollbook.protocol.resolved import Test
from rollbook.protocol.schema import ResourceType
from rollbook.provisioning.work import Engine
from rollbook.storage.source_records import SourceRecords

NAMES = ("userName", "externalId", "displayName")
"""What a resource may be called by, after its id."""


class Ambiguous(Exception):
    """Several are called so; says which."""


async def find_resource(
    engine: Engine, kind: ResourceType, who: str, records: SourceRecords, sources: Sequence[str] = ()
) -> str:
    """The id of the one resource that is meant; of one that is gone if a link still stands for it.

    Raises:
        NotFound: nobody is called so. Ambiguous: several are.
    """
    if await engine.store.get(engine.tenant, kind, who, members=False, groups=False) is not None:
        return who
    found: dict[str, str] = {}
    for source in sources:
        known = (await records.find(engine.tenant, source, [who])).get(who)
        if known is not None:
            found.setdefault(known.id, f"key at source {source}")
    for name in NAMES:
        for own in await _called(engine, kind, name, who):
            found.setdefault(own, name)
    if len(found) > 1:
        told = ", ".join(f"{own} by its {name}" for own, name in found.items())
        raise Ambiguous(f"{who} may be {told}; name one by its id")
    if not found:
        raise NotFound(f"the hub has no {kind.name} {who}; rollbook pull reads the sources")
    return next(iter(found))


async def _called(engine: Engine, kind: ResourceType, name: str, who: str) -> list[str]:
    path = kind.find(name)
    if path is None:
        return []
    query = Query(kind, Test(path, Operator.EQ, compare.key(path.leaf, who)), Page(1, 3))
    found = await engine.store.search(engine.tenant, query, members=False, groups=False)
    return [record.id for record in found.records]
