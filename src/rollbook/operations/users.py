"""The user somebody else's name for them means."""

import orjson

from rollbook.protocol import compare
from rollbook.protocol.declared import member
from rollbook.protocol.filters import Operator
from rollbook.protocol.query import Page, Query
from rollbook.protocol.resolved import Test
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import Store


async def user_id(store: Store, tenant: int, kind: ResourceType, attribute: str, who: str) -> str | None:
    """The id of the one user with that value of an attribute, None for nobody, or if several have it.

    Upper and lower case may differ where the attribute ignores case, and nothing else: an issuer may have two people whose names
    are one to SCIM, such as those with letters of full width.
    """
    if not who.isprintable():
        return None
    if attribute == "id":
        found = await store.get(tenant, kind, who, members=False, groups=False)
        return None if found is None else found.id
    path = kind.find(attribute)
    if path is None:
        return None
    query = Query(kind, Test(path, Operator.EQ, compare.key(path.leaf, who)), Page(1, 2))
    records = (await store.search(tenant, query, members=False, groups=False)).records
    if len(records) != 1:
        return None
    value = member(orjson.loads(records[0].body), attribute)
    return records[0].id if isinstance(value, str) and value.lower() == who.lower() else None
