"""Insert, update and delete, each within a transaction that the caller holds (I-02).

A write touches its own resource's rows, those of the value index that differ, the memberships it names, one
counter and one change row: nothing grows with the number of users or members.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import orjson

from rollbook.protocol.errors import InternalError
from rollbook.protocol.resource import Change, Present, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage import refusals
from rollbook.storage.base import Author, Decide, Record, Updated
from rollbook.storage.documents import Stored, changed_attributes, decode, encode
from rollbook.storage.sql import memberships
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.dialects import SQLITE
from rollbook.storage.sql.index import IndexRows, Layout, TypeIndex, index_rows
from rollbook.storage.sql.memberships import Container
from rollbook.storage.sql.reads import groups_of, members_in, members_of, record, row_of

TENANT_SHIFT = 40
"""Row keys: tenant number * 2^40 + sequence."""

NEXT_RESOURCE = """
    INSERT INTO sequence (tenant, resource, change) VALUES (?, 1, 1)
    ON CONFLICT (tenant) DO UPDATE SET resource = sequence.resource + 1, change = sequence.change + 1
    RETURNING resource, change
"""
NEXT_CHANGES = "UPDATE sequence SET change = change + ? WHERE tenant = ? RETURNING change"

INSERT = """
    INSERT INTO resource (pk, tenant, type, id, version, created, modified, display, body, extra)
    VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
UPDATE = """
    UPDATE resource SET version = ?, modified = ?, display = ?, body = ?, extra = ? WHERE pk = ?
"""
TOUCH = "UPDATE resource SET version = ?, modified = ? WHERE pk = ?"
DELETE = "DELETE FROM resource WHERE pk = ?"

COUNT = """
    INSERT INTO counter (tenant, type, resources) VALUES (?, ?, 1)
    ON CONFLICT (tenant, type) DO UPDATE SET resources = counter.resources + 1
"""
DISCOUNT = "UPDATE counter SET resources = resources - 1 WHERE tenant = ? AND type = ?"

ADD_UNIQUE = (
    "INSERT INTO unique_value (tenant, attribute, key, pk) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
REMOVE_UNIQUE = "DELETE FROM unique_value WHERE tenant = ? AND attribute = ? AND key = ?"
ADD_VALUE = "INSERT INTO value (tenant, attribute, key, pk, element) VALUES (?, ?, ?, ?, ?)"
REMOVE_VALUE = "DELETE FROM value WHERE tenant = ? AND attribute = ? AND key = ? AND pk = ? AND element = ?"

LOG = """
    INSERT INTO change (tenant, sequence, type, id, operation, version, author, at, detail)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
TOUCH_CONTAINERS = f"""
    UPDATE resource SET version = version + 1, modified = {SQLITE.greater.format(one="modified", other="?")}
    WHERE pk IN (SELECT container FROM membership WHERE tenant = ? AND member = ?)
    RETURNING pk, type, id, version
"""
LEAVE = "DELETE FROM membership WHERE tenant = ? AND member = ?"
FORGET = "DELETE FROM departed WHERE tenant = ? AND member = ?"


@dataclass(frozen=True, slots=True)
class New:
    """A resource about to be inserted: everything that can be worked out before the transaction."""

    resource_type: ResourceType
    id: str
    change: Change
    stored: Stored
    rows: IndexRows


def new(layout: Layout, resource_type: ResourceType, id: str, change: Change) -> New:
    """Work out the rows of a new resource."""
    document = change.document or {}
    rows = index_rows(layout.index(resource_type.name), document)
    return New(resource_type, id, change, encode(document, resource_type), rows)


def insert(connection: Connection, layout: Layout, tenant: int, new: New, author: Author) -> Record:
    """Create a resource; see `Store.insert`."""
    return _join(connection, layout, _put(connection, layout, tenant, new, author), author)


def insert_together(
    connection: Connection, layout: Layout, tenant: int, each: Sequence[New], author: Author
) -> list[Record]:
    """Create resources that may refer to each other; see `Store.insert_together`."""
    made = refusals.stepwise(each, lambda new: _put(connection, layout, tenant, new, author))
    records = refusals.stepwise(made, lambda one: _join(connection, layout, one, author))
    return [record._replace(members=None, groups=None) for record in records]


@dataclass(frozen=True, slots=True)
class _Made:
    """A resource whose row is there, and whose memberships and entry in the log are not; `number` is the entry's."""

    new: New
    container: Container
    number: int


def _put(connection: Connection, layout: Layout, tenant: int, new: New, author: Author) -> _Made:
    """Insert the row and its values."""
    resource_type = new.resource_type
    sequence, number = _one(connection, NEXT_RESOURCE, (tenant,))
    pk = tenant << TENANT_SHIFT | sequence
    _insert_row(connection, tenant, pk, new, author)
    write_index(connection, layout.index(resource_type.name), tenant, pk, IndexRows(), new.rows)
    connection.run(COUNT, (tenant, resource_type.name))
    return _Made(new, Container(tenant, pk, resource_type), number)


def _join(connection: Connection, layout: Layout, made: _Made, author: Author) -> Record:
    """Add the members and the entry in the log."""
    new, container = made.new, made.container
    tenant, pk, resource_type = container.tenant, container.pk, container.resource_type
    added = memberships.add(connection, layout, container, new.change.add_members)
    detail: JsonObject = {"members": {"add": added}} if added else {}
    entry = (resource_type.name, new.id, "create", layout.version(1), detail)
    _log(connection, tenant, made.number, author, [entry])
    members = members_of(connection, tenant, pk) if added else ()
    row = (pk, new.id, 1, author.at, author.at, new.stored.body, new.stored.extra)
    return record(
        row,
        resource_type,
        layout,
        members if resource_type.memberships else None,
        () if resource_type.derived else None,
    )


def _insert_row(connection: Connection, tenant: int, pk: int, new: New, author: Author) -> None:
    kept, type_name = new.stored, new.resource_type.name
    times = (author.at, author.at)
    row = (pk, tenant, type_name, new.id, *times, kept.display, kept.body, kept.extra)
    if connection.run(INSERT, row) == 0:
        raise refusals.id_in_use(new.id)


@dataclass(frozen=True, slots=True)
class Target:
    """Which resource to change, provided that `if_match` accepts its version."""

    tenant: int
    resource_type: ResourceType
    id: str
    if_match: Callable[[str], bool] | None


@dataclass(frozen=True, slots=True)
class Old:
    """A stored resource that a change is applied to."""

    row: Row
    container: Container
    document: JsonObject


def update(
    connection: Connection, layout: Layout, target: Target, decide: Decide, scope: Scope, author: Author
) -> Updated | None:
    """Apply a change; see `Store.update`."""
    tenant, resource_type = target.tenant, target.resource_type
    row = _present(connection, layout, target)
    if row is None:
        return None
    old = Old(row, Container(tenant, row[0], resource_type), decode(row[5], row[6]))
    members = members_in(connection, tenant, row[0], scope) if resource_type.memberships else {}
    change = decide(Present(old.document, members))
    groups = groups_of(connection, layout, resource_type, row[0])
    new_row = _apply(connection, layout, old, change, author)
    if new_row is None:
        return Updated(record(row, resource_type, layout, groups=groups), changed=False)
    return Updated(record(new_row, resource_type, layout, groups=groups), changed=True)


def _apply(connection: Connection, layout: Layout, old: Old, change: Change, author: Author) -> Row | None:
    """Write what differs, and return the row as it is then; None if nothing does (A-31)."""
    container, row = old.container, old.row
    removed = memberships.remove(connection, container, change.remove_members)
    added = memberships.add(connection, layout, container, change.add_members)
    document = change.document if change.document != old.document else None
    if document is None and not added and not removed:
        return None
    version, modified = row[2] + 1, max(row[4], author.at)
    body, extra = row[5], row[6]
    detail: JsonObject = {}
    if document is None:
        connection.run(TOUCH, (version, modified, row[0]))
    else:
        detail["attributes"] = changed_attributes(old.document, document)
        _reindex(connection, layout, old, document, frozenset(detail["attributes"]))
        stored = encode(document, container.resource_type)
        body, extra = stored.body, stored.extra
        connection.run(UPDATE, (version, modified, stored.display, body, extra, row[0]))
    if added or removed:
        detail["members"] = {verb: ids for verb, ids in (("add", added), ("remove", removed)) if ids}
    entry = (container.resource_type.name, row[1], "update", layout.version(version), detail)
    (number,) = _one(connection, NEXT_CHANGES, (1, container.tenant))
    _log(connection, container.tenant, number, author, [entry])
    return (row[0], row[1], version, row[3], modified, body, extra)


def _reindex(
    connection: Connection, layout: Layout, old: Old, document: JsonObject, changed: frozenset[str]
) -> None:
    container = old.container
    index = layout.index(container.resource_type.name)
    before, after = (index_rows(index, each, changed) for each in (old.document, document))
    write_index(connection, index, container.tenant, container.pk, before, after)


def delete(connection: Connection, layout: Layout, target: Target, author: Author) -> bool:
    """Remove a resource and its memberships on both sides; see `Store.delete`."""
    tenant, resource_type = target.tenant, target.resource_type
    row = _present(connection, layout, target)
    if row is None:
        return False
    pk = row[0]
    left = sorted(connection.all(TOUCH_CONTAINERS, (author.at, tenant, pk)))
    connection.run(LEAVE, (tenant, pk))
    if resource_type.memberships:
        memberships.remove_all(connection, Container(tenant, pk, resource_type))
    connection.run(FORGET, (tenant, pk))
    index = layout.index(resource_type.name)
    write_index(connection, index, tenant, pk, index_rows(index, decode(row[5], row[6])), IndexRows())
    connection.run(DELETE, (pk,))
    connection.run(DISCOUNT, (tenant, resource_type.name))
    entries = [(resource_type.name, target.id, "delete", layout.version(row[2]), JsonObject())]
    loss: JsonObject = {"members": {"remove": [target.id]}}
    for _, kind, container, version in left:
        entries.append((kind, container, "update", layout.version(version), loss))
    (last,) = _one(connection, NEXT_CHANGES, (len(entries), tenant))
    _log(connection, tenant, last - len(entries) + 1, author, entries)
    return True


def _present(connection: Connection, layout: Layout, target: Target) -> Row | None:
    row = row_of(connection, target.tenant, target.resource_type, target.id)
    if row is not None:
        refusals.check_version(layout.version(row[2]), target.if_match)
    return row


def write_index(
    connection: Connection, index: TypeIndex, tenant: int, pk: int, before: IndexRows, after: IndexRows
) -> None:
    """Turn one set of index rows into another, touching only what differs.

    Raises:
        Uniqueness: a value is another resource's; names the attribute, not the resource.
    """
    for number, key in before.uniques - after.uniques:
        connection.run(REMOVE_UNIQUE, (tenant, number, key))
    for number, key in sorted(after.uniques - before.uniques):
        if connection.run(ADD_UNIQUE, (tenant, number, key, pk)) == 0:
            raise refusals.value_in_use(index.by_number[number].path.text, index.resource_type)
    gone, come = before.values - after.values, after.values - before.values
    if gone:
        connection.many(REMOVE_VALUE, [(tenant, number, key, pk, element) for number, key, element in gone])
    if come:
        connection.many(ADD_VALUE, [(tenant, number, key, pk, element) for number, key, element in come])


_Entry = tuple[str, str, str, str, JsonObject]
"""Resource type, id, operation, version, detail."""


def _log(connection: Connection, tenant: int, number: int, author: Author, entries: Sequence[_Entry]) -> None:
    """Append to the change log, from that number on."""
    rows = _log_rows(tenant, number, author, entries)
    if len(entries) == 1:
        connection.run(LOG, next(iter(rows)))
    else:
        connection.many(LOG, rows)


def _log_rows(
    tenant: int, number: int, author: Author, entries: Sequence[_Entry]
) -> Iterable[tuple[int | str | bytes, ...]]:
    for at, (*names, detail) in enumerate(entries, number):
        yield tenant, at, *names, author.name, author.at, orjson.dumps(detail)


def _one(connection: Connection, sql: str, parameters: Sequence[int]) -> Row:
    row = connection.one(sql, parameters)
    if row is None:
        raise InternalError("the database lost count of its resources; run: rollbook database check")
    return row
