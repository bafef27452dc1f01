"""Insert and update, each within a transaction that the caller holds (I-02); removal has a module of its own.

A write touches its own resource's rows, those of the value index that differ, the memberships it names, one
counter and one change row: nothing grows with the number of users or members.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from rollbook.protocol.errors import InternalError
from rollbook.protocol.resource import Change, Present, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage import refusals
from rollbook.storage.base import Author, Decide, Record, References, Rules, Updated
from rollbook.storage.documents import Stored, changed_attributes, decode, encode
from rollbook.storage.sql import log, memberships, parts
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.index import NO_TEXTS, TENANT_SHIFT, IndexRows, Layout, TypeIndex, index_rows
from rollbook.storage.sql.log import Entry
from rollbook.storage.sql.memberships import Container
from rollbook.storage.sql.reads import TooLong, groups_of, members_in, members_of, record, referred, row_of

NEXT_RESOURCE = """
    INSERT INTO sequence (tenant, resource, change) VALUES (?, 1, 1)
    ON CONFLICT (tenant) DO UPDATE SET resource = sequence.resource + 1, change = sequence.change + 1
    RETURNING resource, change
"""

INSERT = """
    INSERT INTO resource (pk, tenant, type, id, version, created, modified, display, body, extra, maker)
    VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
UPDATE = """
    UPDATE resource SET version = ?, modified = ?, display = ?, body = ?, extra = ? WHERE tenant = ? AND pk = ?
"""
TOUCH = "UPDATE resource SET version = ?, modified = ? WHERE tenant = ? AND pk = ?"

COUNT = """
    INSERT INTO counter (tenant, type, resources) VALUES (?, ?, 1)
    ON CONFLICT (tenant, type) DO UPDATE SET resources = counter.resources + 1
"""

ADD_UNIQUE = (
    "INSERT INTO unique_value (tenant, attribute, key, pk) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
REMOVE_UNIQUE = "DELETE FROM unique_value WHERE tenant = ? AND attribute = ? AND key = ?"
ADD_VALUE = "INSERT INTO value (tenant, attribute, key, pk, element) VALUES (?, ?, ?, ?, ?)"
REMOVE_VALUE = "DELETE FROM value WHERE tenant = ? AND attribute = ? AND key = ? AND pk = ? AND element = ?"


LARGE = 250
"""Commas in what is stored of a document from which on its values may be too many for the event loop; a photo has none."""


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
    index = layout.index(resource_type.name)
    rows = index_rows(index, document)
    return New(resource_type, id, change, encode(document, resource_type), rows)


def insert(
    connection: Connection, layout: Layout, tenant: int, new: New, author: Author, rules: Rules
) -> Record:
    """Create a resource; see `Store.insert`."""
    return _join(connection, layout, _put(connection, layout, tenant, new, author), author, rules)


def insert_together(
    connection: Connection, layout: Layout, tenant: int, each: Sequence[New], author: Author, rules: Rules
) -> list[Record]:
    """Create resources that may refer to each other; see `Store.insert_together`."""
    made = refusals.stepwise(each, lambda new: _put(connection, layout, tenant, new, author))
    records = refusals.stepwise(made, lambda one: _join(connection, layout, one, author, rules))
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
    parts.write(connection, pk, NO_TEXTS, new.rows.texts)
    connection.run(COUNT, (tenant, resource_type.name))
    return _Made(new, Container(tenant, pk, resource_type), number)


def _join(connection: Connection, layout: Layout, made: _Made, author: Author, rules: Rules) -> Record:
    """Look at what it refers to, add the members and the entry in the log."""
    new, container = made.new, made.container
    tenant, pk, resource_type = container.tenant, container.pk, container.resource_type
    _check_references(connection, container, {}, new.change.document or {}, rules)
    added = memberships.add(connection, layout, container, new.change.add_members, rules)
    detail: JsonObject = {"members": {"add": added}} if added else {}
    entry = Entry(resource_type.name, new.id, "create", layout.version(1), detail)
    log.write(connection, tenant, made.number, author, [entry])
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
    row = (pk, tenant, type_name, new.id, *times, kept.display, kept.body, kept.extra, author.maker)
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
    is_large: bool = False
    """Whether there are many values in it, or will be."""


@dataclass(frozen=True, slots=True)
class Update:
    """A change of a resource; see `Store.update`. `near`: on the event loop, where what is stored may not be large."""

    target: Target
    decide: Decide
    scope: Scope
    author: Author
    rules: Rules
    heavy: bool = False
    near: bool = False

    def __call__(self, connection: Connection, layout: Layout) -> Updated | None:
        """Apply it.

        Raises:
            TooLong: the event loop would have to wait for it.
        """
        tenant, resource_type = self.target.tenant, self.target.resource_type
        row = present(connection, layout, self.target)
        if row is None:
            return None
        is_large = self.heavy or row[5].count(b",") + (row[6] or b"").count(b",") > LARGE
        if is_large and self.near:
            raise TooLong("a document with many values")
        old = Old(row, Container(tenant, row[0], resource_type), decode(row[5], row[6]), is_large)
        members = members_in(connection, tenant, row[0], self.scope) if resource_type.memberships else {}
        decide = partial(self.decide, Present(old.document, members))
        change = connection.aside(decide) if is_large else decide()
        new_row = _apply(connection, layout, old, change, self.author, self.rules)
        indirect = self.rules.indirect_groups
        groups = groups_of(connection, layout, resource_type, tenant, row[0], indirect=indirect)
        shown = row if new_row is None else new_row
        return Updated(record(shown, resource_type, layout, groups=groups), changed=new_row is not None)


def _apply(
    connection: Connection, layout: Layout, old: Old, change: Change, author: Author, rules: Rules
) -> Row | None:
    """Write what differs, and return the row as it is then; None if nothing does (A-31)."""
    container, row = old.container, old.row
    removed = memberships.remove(connection, container, change.remove_members)
    added = memberships.add(connection, layout, container, change.add_members, rules)
    document = None if change.document is None else container.resource_type.references.kept(change.document)
    document = document if document != old.document else None
    if document is None and not added and not removed:
        return None
    version, modified = row[2] + 1, max(row[4], author.at)
    body, extra = row[5], row[6]
    detail: JsonObject = {}
    if document is None:
        connection.run(TOUCH, (version, modified, container.tenant, row[0]))
    else:
        _check_references(connection, container, old.document, document, rules)
        detail["attributes"] = changed_attributes(old.document, document)
        reindex(connection, layout, old, document, frozenset(detail["attributes"]))
        stored = encode(document, container.resource_type)
        body, extra = stored.body, stored.extra
        connection.run(UPDATE, (version, modified, stored.display, body, extra, container.tenant, row[0]))
    if added or removed:
        detail["members"] = {verb: ids for verb, ids in (("add", added), ("remove", removed)) if ids}
    past = None if document is None else log.past(row, container.resource_type)
    entry = Entry(container.resource_type.name, row[1], "update", layout.version(version), detail, past)
    log.append(connection, container.tenant, author, [entry])
    return (row[0], row[1], version, row[3], modified, body, extra)


def _check_references(
    connection: Connection, container: Container, old: JsonObject, new: JsonObject, rules: Rules
) -> None:
    """Refuse references that a strict tenant does not want; those that were there before are not asked about."""
    added = (
        container.resource_type.references.added(old, new) if rules.references is References.STRICT else []
    )
    if added:
        known = referred(connection, container.tenant, sorted({wanted for _, wanted in added}), rules.sight)
        refusals.check_references(added, {member.value: str(member.type) for member in known.values()})


def reindex(
    connection: Connection, layout: Layout, old: Old, document: JsonObject, changed: frozenset[str]
) -> None:
    """Bring the index from one document of a resource to another, which differs in those attributes."""
    container = old.container
    index = layout.index(container.resource_type.name)

    def rows() -> list[IndexRows]:
        return [index_rows(index, each, changed) for each in (old.document, document)]

    before, after = connection.aside(rows) if old.is_large else rows()
    write_index(connection, index, container.tenant, container.pk, before, after)
    if before.texts != after.texts:
        whole = (index_rows(index, each).texts for each in (old.document, document))
        parts.write(connection, container.pk, *whole)


def present(connection: Connection, layout: Layout, target: Target) -> Row | None:
    """The row of the resource to change, None if there is none.

    Raises:
        PreconditionFailed: it is not at a version that was meant.
    """
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


def _one(connection: Connection, sql: str, parameters: Sequence[int]) -> Row:
    row = connection.one(sql, parameters)
    if row is None:
        raise InternalError("the database lost count of its resources; run: rollbook database check")
    return row
