"""Removes a resource with all that leads to it: memberships on both sides, and references by the value index (A-37).

Nothing here looks at more resources than it changes.
"""

from collections.abc import Iterator

from rollbook.protocol import compare
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Author, References, Rules
from rollbook.storage.documents import changed_attributes, decode, encode
from rollbook.storage.sql import log, memberships, parts
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.dialects import SQLITE, TENANT
from rollbook.storage.sql.history import MEMBER_IDS
from rollbook.storage.sql.index import NO_TEXTS, Indexed, IndexRows, Layout, index_rows
from rollbook.storage.sql.log import Entry
from rollbook.storage.sql.memberships import Container
from rollbook.storage.sql.reads import COLUMNS, listed
from rollbook.storage.sql.writes import (
    UPDATE,
    Old,
    Target,
    present,
    reindex,
    write_index,
)

DELETE = "DELETE FROM resource WHERE tenant = ? AND pk = ?"
DISCOUNT = "UPDATE counter SET resources = resources - 1 WHERE tenant = ? AND type = ?"
TOUCH_CONTAINERS = f"""
    UPDATE resource SET version = version + 1, modified = {SQLITE.greater.format(one="modified", other="?")}
    WHERE {TENANT} = ? AND pk IN (SELECT container FROM membership WHERE tenant = ? AND member = ?)
    RETURNING pk, type, id, version
"""
LEAVE = "DELETE FROM membership WHERE tenant = ? AND member = ?"
FORGET = "DELETE FROM departed WHERE tenant = ? AND member = ?"
REFERRERS = f"SELECT {COLUMNS} FROM resource WHERE {TENANT} = ? AND pk {SQLITE.among_numbers} ORDER BY pk"

BATCH = 500
"""Resources that are changed together because they refer to one that goes."""


def delete(connection: Connection, layout: Layout, target: Target, author: Author, rules: Rules) -> bool:
    """Remove a resource; see `Store.delete`."""
    tenant, resource_type = target.tenant, target.resource_type
    row = present(connection, layout, target)
    if row is None:
        return False
    pk = row[0]
    touched = _released(connection, layout, target, pk, author, rules)
    for container, entry in _left(connection, layout, target, pk, author):
        former = touched.get(container, entry)
        touched[container] = entry._replace(detail={**former.detail, **entry.detail}, past=former.past)
    members: list[str] = []
    if resource_type.memberships:
        members = [member for (member,) in connection.all(MEMBER_IDS, (tenant, pk))]
        memberships.remove_all(connection, Container(tenant, pk, resource_type))
    connection.run(FORGET, (tenant, pk))
    index = layout.index(resource_type.name)
    rows = index_rows(index, decode(row[5], row[6]))
    write_index(connection, index, tenant, pk, rows, IndexRows())
    parts.write(connection, pk, rows.texts, NO_TEXTS)
    connection.run(DELETE, (tenant, pk))
    connection.run(DISCOUNT, (tenant, resource_type.name))
    past = log.past(row, resource_type, members)
    gone = Entry(resource_type.name, target.id, "delete", layout.version(row[2]), {}, past)
    log.append(connection, tenant, author, [gone, *(touched[key] for key in sorted(touched))])
    return True


def is_referred_to_much(
    connection: Connection, layout: Layout, target: Target, rules: Rules, most: int
) -> bool:
    """Whether more resources than that are changed when this one is removed, because they refer to it."""
    number = 0
    for _, indexed in _referring(layout, target, rules):
        select, parameters = _referrers(indexed, target)
        row = connection.one(
            f"SELECT count(*) FROM ({select} LIMIT ?) AS some_of_them", (*parameters, most + 1)
        )
        number += row[0] if row else 0
    return number > most


def _left(
    connection: Connection, layout: Layout, target: Target, pk: int, author: Author
) -> Iterator[tuple[int, Entry]]:
    """Take the resource out of what it is a member of; what changed, by row key."""
    touched = connection.all(TOUCH_CONTAINERS, (author.at, target.tenant, target.tenant, pk))
    connection.run(LEAVE, (target.tenant, pk))
    for container, kind, identifier, version in touched:
        loss: JsonObject = {"members": {"remove": [target.id]}}
        if container != pk:
            yield container, Entry(kind, identifier, "update", layout.version(version), loss)


def _released(
    connection: Connection, layout: Layout, target: Target, pk: int, author: Author, rules: Rules
) -> dict[int, Entry]:
    """Take the resource out of all references; what changed, by row key."""
    found: dict[str, set[int]] = {}
    for resource_type, indexed in _referring(layout, target, rules):
        select, parameters = _referrers(indexed, target)
        rows = connection.all(select, parameters)
        found.setdefault(resource_type.name, set()).update(key for (key,) in rows if key != pk)
    entries: dict[int, Entry] = {}
    for name, keys in found.items():
        resource_type, ordered = layout.index(name).resource_type, sorted(keys)
        for at in range(0, len(ordered), BATCH):
            for row in connection.all(REFERRERS, (target.tenant, listed(ordered[at : at + BATCH]))):
                entry = _without(connection, layout, resource_type, row, target, author)
                if entry is not None:
                    entries[row[0]] = entry
    return entries


def _without(
    connection: Connection,
    layout: Layout,
    resource_type: ResourceType,
    row: Row,
    target: Target,
    author: Author,
) -> Entry | None:
    """Take references to the resource out of another one; None if none of them has to go."""
    document = decode(row[5], row[6])
    left = resource_type.references.without(document, target.resource_type.name, target.id)
    if left == document:
        return None
    changed = changed_attributes(document, left)
    old = Old(row, Container(target.tenant, row[0], resource_type), document)
    reindex(connection, layout, old, left, frozenset(changed))
    stored, version = encode(left, resource_type), row[2] + 1
    times = (version, max(row[4], author.at))
    connection.run(UPDATE, (*times, stored.display, stored.body, stored.extra, target.tenant, row[0]))
    past = log.past(row, resource_type)
    return Entry(resource_type.name, row[1], "update", layout.version(version), {"attributes": changed}, past)


def _referring(layout: Layout, target: Target, rules: Rules) -> Iterator[tuple[ResourceType, Indexed]]:
    """The references that may lead to a resource of that type, and go with it."""
    for index in layout.indexes.values() if rules.references is not References.TOLERANT else ():
        for reference in index.resource_type.references.each:
            indexed = index.get(reference.value)
            if indexed is not None and target.resource_type.name in reference.types:
                yield index.resource_type, indexed


def _referrers(indexed: Indexed, target: Target) -> tuple[str, tuple[int, int, bytes]]:
    """The SELECT of those that refer to the resource by one attribute."""
    key = compare.key(indexed.path.leaf, target.id)
    return indexed.equal[0], (target.tenant, indexed.number, key)
