"""Statements that read resources, their members and their groups by key."""

from collections.abc import Mapping, Sequence

import orjson

from rollbook.protocol.errors import ScimError
from rollbook.protocol.resource import Member, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import LogEntry, Record
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.dialects import SQLITE
from rollbook.storage.sql.index import Layout

COLUMNS = "pk, id, version, created, modified, body, extra"

RESOURCE = f"SELECT {COLUMNS}, type FROM resource WHERE tenant = ? AND id = ?"

RESOURCES = f"SELECT {COLUMNS} FROM resource WHERE pk IN ({SQLITE.each_number}) ORDER BY pk"

_OTHER = "o.id, o.type, o.display"

GROUPS = f"""
    SELECT m.member, {_OTHER} FROM membership m CROSS JOIN resource o ON o.pk = m.container
    WHERE m.tenant = ? AND m.member = ? ORDER BY m.container LIMIT ?
"""
MEMBERS = f"""
    SELECT m.container, {_OTHER} FROM membership m CROSS JOIN resource o ON o.pk = m.member
    WHERE m.tenant = ? AND m.container = ? ORDER BY m.member LIMIT ?
"""
GROUPS_OF_MANY = f"""
    SELECT m.member, {_OTHER} FROM membership m CROSS JOIN resource o ON o.pk = m.container
    WHERE m.tenant = ? AND m.member IN ({SQLITE.each_number}) ORDER BY m.member, m.container LIMIT ?
"""
MEMBERS_OF_MANY = f"""
    SELECT m.container, {_OTHER} FROM membership m CROSS JOIN resource o ON o.pk = m.member
    WHERE m.tenant = ? AND m.container IN ({SQLITE.each_number}) ORDER BY m.container, m.member LIMIT ?
"""
NAMED_MEMBERS = f"""
    SELECT m.container, {_OTHER} FROM resource o
    CROSS JOIN membership m ON m.tenant = o.tenant AND m.container = ? AND m.member = o.pk
    WHERE o.tenant = ? AND o.id IN ({SQLITE.each_text})
"""
LABELS = f"SELECT id, display FROM resource WHERE tenant = ? AND id IN ({SQLITE.each_text})"

CHANGES = """
    SELECT sequence, type, id, operation, version, author, at, detail FROM change
    WHERE tenant = ? AND sequence > ? ORDER BY sequence LIMIT ?
"""
LAST_CHANGE = "SELECT change FROM sequence WHERE tenant = ?"

EVERYTHING = 1 << 62
"""A limit that is none."""


class TooLong(ScimError):
    """Not an answer: the read has more rows than the event loop should wait for; it starts again in a thread."""


def listed(values: Sequence[int | str]) -> str:
    """Many values as the one parameter of `each_number` or `each_text`."""
    return orjson.dumps(values).decode()


def row_of(connection: Connection, tenant: int, resource_type: ResourceType, id: str) -> Row | None:
    """The row of a resource, in the order of `COLUMNS`."""
    row = connection.one(RESOURCE, (tenant, id))
    return row if row is not None and row[-1] == resource_type.name else None


def record(
    row: Row,
    resource_type: ResourceType,
    layout: Layout,
    members: tuple[Member, ...] | None = None,
    groups: tuple[Member, ...] | None = None,
) -> Record:
    """The record that a row of `COLUMNS` stands for."""
    version = layout.version(row[2])
    return Record(row[1], resource_type.name, version, row[3], row[4], row[5], row[6], members, groups)


def others(
    connection: Connection, sql: str, tenant: int, pk: int, most: int = EVERYTHING
) -> tuple[Member, ...]:
    """Members (`MEMBERS`) or groups (`GROUPS`) of one resource, oldest first.

    Raises:
        TooLong: there are more than `most`.
    """
    rows = connection.all(sql, (tenant, pk, min(most + 1, EVERYTHING)))
    if len(rows) > most:
        raise TooLong(f"more than {most} memberships")
    return tuple([Member(value, kind, display) for _, value, kind, display in rows])


def others_of_many(
    connection: Connection, sql: str, tenant: int, pks: Sequence[int], most: int = EVERYTHING
) -> Mapping[int, tuple[Member, ...]]:
    """The same for many resources (`MEMBERS_OF_MANY`, `GROUPS_OF_MANY`), by row key."""
    rows = connection.all(sql, (tenant, listed(pks), min(most + 1, EVERYTHING)))
    if len(rows) > most:
        raise TooLong(f"more than {most} memberships")
    found: dict[int, list[Member]] = {pk: [] for pk in pks}
    for pk, value, kind, display in rows:
        found[pk].append(Member(value, kind, display))
    return {pk: tuple(members) for pk, members in found.items()}


def members_in(connection: Connection, tenant: int, pk: int, scope: Scope) -> dict[str, Member]:
    """Those members of a resource that a change has to see, by id."""
    if scope.all:
        return {member.value: member for member in others(connection, MEMBERS, tenant, pk)}
    if not scope.ids:
        return {}
    rows = connection.all(NAMED_MEMBERS, (pk, tenant, listed(sorted(scope.ids))))
    return {value: Member(value, kind, display) for _, value, kind, display in rows}


def labels(connection: Connection, tenant: int, ids: Sequence[str]) -> dict[str, str]:
    """What labels the resources of those ids, by id."""
    rows = connection.all(LABELS, (tenant, listed(ids)))
    return {value: display for value, display in rows if display is not None}


def changes(connection: Connection, tenant: int, after: int, limit: int) -> list[LogEntry]:
    """Entries of the change log."""
    rows = connection.all(CHANGES, (tenant, after, limit))
    return [_entry(*row) for row in rows]


def _entry(
    sequence: int, kind: str, id: str, operation: str, version: str, author: str, at: int, detail: bytes
) -> LogEntry:
    return LogEntry(sequence, kind, id, operation, version, author, at, orjson.loads(detail))


def last_change(connection: Connection, tenant: int) -> int:
    """The highest number of a log entry, 0 if there is none."""
    row = connection.one(LAST_CHANGE, (tenant,))
    return int(row[0]) if row else 0
