"""Statements that read resources, their members and their groups by key."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import orjson

from rollbook.protocol.errors import ScimError, TooMany
from rollbook.protocol.resource import Member, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import LogEntry, Record
from rollbook.storage.documents import decode
from rollbook.storage.packed import PackedMembers
from rollbook.storage.sight import Sight
from rollbook.storage.sql.connection import Connection, Parameter, Parameters, Row
from rollbook.storage.sql.dialects import R_TENANT, SQLITE
from rollbook.storage.sql.index import Layout

COLUMNS = "pk, id, version, created, modified, body, extra"

RESOURCE = f"SELECT {COLUMNS}, type FROM resource WHERE tenant = ? AND id = ?"

_OTHER = "o.id, o.type, o.display"


def above(containers: str) -> str:
    """WITH of every resource that contains others, directly or not, beginning with those a SELECT yields."""
    return f"""
        WITH RECURSIVE above (tenant, pk) AS (
            {containers}
            UNION
            SELECT m.tenant, m.container
            FROM above {SQLITE.walk} membership m ON m.tenant = above.tenant AND m.member = above.pk
        )
    """


def _references(near: str, far: str) -> str:
    """The other side of a resource's memberships, oldest first, as one value; takes a limit."""
    return f"""(SELECT {SQLITE.references.format(columns="id, type, display")} FROM (
        SELECT {_OTHER} FROM membership m {SQLITE.walk} resource o ON o.tenant = m.tenant AND o.pk = m.{far}
        WHERE m.tenant = r.tenant AND m.{near} = r.pk ORDER BY m.{far} LIMIT ?) AS others)"""


WITH_MEMBERS, WITH_GROUPS = _references("container", "member"), _references("member", "container")

_IS_DIRECT = (
    "EXISTS (SELECT 1 FROM membership m WHERE m.tenant = r.tenant AND m.container = o.pk AND m.member = r.pk)"
)

WITH_ALL_GROUPS = f"""(SELECT {SQLITE.references.format(columns="id, type, display, direct")} FROM (
    {above("SELECT m.tenant, m.container FROM membership m WHERE m.tenant = r.tenant AND m.member = r.pk")}
    SELECT {_OTHER}, {_IS_DIRECT} AS direct
    FROM (SELECT pk FROM above LIMIT ? + 1) reached {SQLITE.walk} resource o ON o.tenant = r.tenant AND o.pk = reached.pk
    WHERE o.pk <> r.pk ORDER BY o.pk) AS others)"""
"""As `WITH_GROUPS`, with those by way of others; the walk ends at the limit, not counting the resource itself in a ring."""


class Wanted(NamedTuple):
    """What is read along with resources: their members, their groups, and whether also the indirect ones."""

    members: bool
    groups: bool
    indirect: bool = False

    @classmethod
    def of(cls, resource_type: ResourceType, *, members: bool, groups: bool, indirect: bool) -> "Wanted":
        """What is wanted, of that which the type has."""
        return cls(
            members and resource_type.memberships is not None,
            groups and resource_type.derived is not None,
            indirect,
        )


def whole(wanted: Wanted) -> str:
    """SELECT of a resource `r` up to FROM, with what is read along, or NULL; takes two limits.

    One statement for all of it: another one costs more than what it would do here, and one sees one snapshot.
    """
    members = WITH_MEMBERS if wanted.members else "?"
    groups = (WITH_ALL_GROUPS if wanted.indirect else WITH_GROUPS) if wanted.groups else "?"
    return f"SELECT r.{COLUMNS.replace(', ', ', r.')}, r.type, {members}, {groups}"


WHOLE = {
    wanted: f"{whole(wanted)} FROM resource r WHERE "
    for members in (False, True)
    for groups in (False, True)
    for indirect in (False, True)
    for wanted in [Wanted(members, groups, indirect)]
}
"""SELECT of resources up to the condition; takes two limits."""


def listed_whole(wanted: Wanted, keys: str) -> str:
    """SELECT of the resources whose key and row key a SELECT yields, and that key; limits first, the tenant last."""
    return f"{whole(wanted)}, s.key FROM ({keys}) s {SQLITE.walk} resource r ON r.tenant = ? AND r.pk = s.pk"


BY_ID = "r.tenant = ? AND r.id = ?"
BY_IDS = f"r.tenant = ? AND r.id {SQLITE.among_texts}"
BY_KEYS = f"{R_TENANT} = ? AND r.pk {SQLITE.among_numbers} ORDER BY r.pk"

GROUPS = {
    indirect: f"SELECT {groups} FROM resource r WHERE r.tenant = ? AND r.pk = ?"
    for indirect, groups in ((False, WITH_GROUPS), (True, WITH_ALL_GROUPS))
}
"""The groups of a resource, by whether indirect ones are among them; takes a limit."""
MEMBERS = f"""
    SELECT {_OTHER} FROM membership m {SQLITE.walk} resource o ON o.tenant = m.tenant AND o.pk = m.member
    WHERE m.tenant = ? AND m.container = ? ORDER BY m.member
"""
PAGE_OF_MEMBERS = f"""
    SELECT {SQLITE.references.format(columns="id, type, display")}, count(*), max(member) FROM (
        SELECT {_OTHER}, m.member FROM membership m {SQLITE.walk} resource o ON o.tenant = m.tenant AND o.pk = m.member
        WHERE m.tenant = ? AND m.container = ? AND m.member > ? ORDER BY m.member LIMIT ?
    ) AS others
"""
# Counted, since PostgreSQL would turn an EXISTS into a join, and begin with all members if most groups have few.
NAMED_MEMBERS = f"""
    SELECT {_OTHER} FROM resource o WHERE o.tenant = ? AND o.id {SQLITE.among_texts}
    AND (SELECT count(*) FROM membership m WHERE m.tenant = o.tenant AND m.container = ? AND m.member = o.pk) > 0
"""
REFERRED = f"SELECT id, type, display FROM resource WHERE tenant = ? AND id {SQLITE.among_texts}"
REFERRED_WHOLE = (
    f"SELECT id, type, display, body, extra, maker FROM resource WHERE tenant = ? AND id {SQLITE.among_texts}"
)


COUNTERS = "SELECT type, resources FROM counter WHERE tenant = ? AND resources > 0"


def _number(near: str) -> str:
    return f"""
        SELECT count(*) FROM (
            SELECT 1 FROM resource r {SQLITE.walk} membership m ON m.tenant = r.tenant AND m.{near} = r.pk
            WHERE r.tenant = ? AND r.id = ? LIMIT ?
        ) AS some_of_them
    """


WAS_MEMBER = """
    SELECT EXISTS (SELECT 1 FROM membership m WHERE m.tenant = r.tenant AND m.member = r.pk)
        OR EXISTS (SELECT 1 FROM departed d WHERE d.tenant = r.tenant AND d.member = r.pk)
    FROM resource r WHERE r.tenant = ? AND r.id = ?
"""

NUMBER_OF_MEMBERS, NUMBER_OF_GROUPS = _number("container"), _number("member")

CHANGES = """
    SELECT sequence, type, id, operation, version, author, at, detail, credential, origin, run FROM change
    WHERE tenant = ? AND sequence > ? ORDER BY sequence LIMIT ?
"""
LAST_CHANGE = "SELECT change FROM sequence WHERE tenant = ?"

EVERYTHING = 1 << 62
"""A limit that is none."""

FEW = 256
"""Members or groups up to which a resource is read in one piece, and on the event loop."""

PACKED = 1_000
"""Members in a page of `PackedMembers`."""


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
    members: Sequence[Member] | None = None,
    groups: tuple[Member, ...] | None = None,
) -> Record:
    """The record that a row of `COLUMNS` stands for."""
    version = layout.version(row[2])
    return Record(row[1], resource_type.name, version, row[3], row[4], row[5], row[6], members, groups)


class Whole(NamedTuple):
    """How resources of a tenant are read: of one type, with what is wanted of that which it has.

    `near`: on the event loop, where nothing may be large.
    """

    layout: Layout
    tenant: int
    resource_type: ResourceType
    wanted: Wanted
    near: bool
    most_bytes: int | None = None
    """Of a page, so that it fits into memory many times; one resource is always read, whatever its size."""

    def read(self, connection: Connection, condition: str, parameters: Parameters) -> list[Record]:
        """The resources of this type for which the condition on `r` holds.

        Raises:
            TooLong: one has more than `FEW` members or groups, and is `near`.
        """
        rows = connection.all(WHOLE[self.wanted] + condition, (*self._limits, *parameters))
        return [self._record(connection, row) for row in rows if row[7] == self.resource_type.name]

    def read_by_pk(self, connection: Connection, pks: Sequence[int]) -> dict[int, Record]:
        """The resources of those row keys, by row key.

        Raises:
            TooMany, or TooLong where it is `near`: they are too large together.
        """
        rows = self._rows(connection, WHOLE[self.wanted] + BY_KEYS, (*self._limits, self.tenant, listed(pks)))
        return {row[0]: self._record(connection, row) for row in rows}

    def read_listed(
        self, connection: Connection, keys: str, parameters: Parameters
    ) -> list[tuple[Parameter, int, Record]]:
        """The resources whose key and row key a SELECT yields, with these, in any order. Raises as `read_by_pk` does."""
        rows = self._rows(
            connection, listed_whole(self.wanted, keys), (*self._limits, *parameters, self.tenant)
        )
        return [(row[10], row[0], self._record(connection, row)) for row in rows]

    def _rows(self, connection: Connection, sql: str, parameters: Parameters) -> list[Row]:
        if self.most_bytes is None:
            return connection.all(sql, parameters)
        rows: list[Row] = []
        size = 0
        for row in connection.each(sql, parameters):
            size += len(row[5]) + len(row[6] or b"")
            if size > self.most_bytes and rows:
                if self.near:
                    raise TooLong("large resources")
                raise TooMany(
                    f"the first {len(rows)} resources of this page have {self.most_bytes} bytes together already; "
                    "ask for smaller pages (count)"
                )
            rows.append(row)
        return rows

    @property
    def _limits(self) -> tuple[int | None, int | None]:
        members, groups, _ = self.wanted
        return FEW + 1 if members else None, (FEW + 1 if self.near else EVERYTHING) if groups else None

    def _record(self, connection: Connection, row: Row) -> Record:
        members: Sequence[Member] | None = None if row[8] is None else _others(row[8])
        if members is not None and len(members) > FEW:
            members = self._packed(connection, row[0])
        groups = None if row[9] is None else _shown(self.layout, self.resource_type, row[9], near=self.near)
        return record(row, self.resource_type, self.layout, members, groups)

    def _packed(self, connection: Connection, pk: int) -> PackedMembers:
        """All members of a resource that has many."""
        if self.near:
            raise TooLong(f"more than {FEW} members")
        pages, size, last = [], 0, 0
        while row := connection.one(PAGE_OF_MEMBERS, (self.tenant, pk, last, PACKED)):
            page, number, last = row
            if not number:
                break
            pages.append(page)
            size += number
        return PackedMembers(pages, size)


def _others(array: str) -> tuple[Member, ...]:
    """What `_references` selected."""
    return () if array == "[]" else tuple([Member(*parts) for parts in orjson.loads(array)])


def _shown(layout: Layout, resource_type: ResourceType, array: str, *, near: bool) -> tuple[Member, ...]:
    """The groups that resources of that type show: others have them as members too, courses and the like.

    Raises:
        TooLong: they are more than `FEW`, and `near`.
    """
    if array == "[]":
        return ()
    shown = layout.catalog.shown_groups(resource_type)
    found = _others(array)
    if near and len(found) > FEW:
        raise TooLong(f"more than {FEW} groups")
    groups = [group for group in found if group.type in shown]
    return tuple(
        [group if group.direct is True else replace(group, direct=bool(group.direct)) for group in groups]
    )


def members_of(connection: Connection, tenant: int, pk: int) -> tuple[Member, ...]:
    """All members of a resource, oldest first."""
    return tuple([Member(*row) for row in connection.all(MEMBERS, (tenant, pk))])


def groups_of(
    connection: Connection,
    layout: Layout,
    resource_type: ResourceType,
    tenant: int,
    pk: int,
    *,
    indirect: bool,
) -> tuple[Member, ...] | None:
    """The groups of a resource, oldest first; None if its type shows none."""
    if resource_type.derived is None:
        return None
    row = connection.one(GROUPS[indirect], (EVERYTHING, tenant, pk))
    return _shown(layout, resource_type, row[0], near=False) if row else ()


def members_in(connection: Connection, tenant: int, pk: int, scope: Scope) -> dict[str, Member]:
    """Those members of a resource that a change has to see, by id."""
    if scope.all:
        return {member.value: member for member in members_of(connection, tenant, pk)}
    if not scope.ids:
        return {}
    rows = connection.all(NAMED_MEMBERS, (tenant, listed(sorted(scope.ids)), pk))
    return {value: Member(value, kind, display) for value, kind, display in rows}


def was_member(connection: Connection, tenant: int, id: str) -> bool:
    """Whether a resource is a member of anything, or was once; True if there is none."""
    row = connection.one(WAS_MEMBER, (tenant, id))
    return row is None or bool(row[0])


def is_large(connection: Connection, tenant: int, id: str, most: int) -> bool:
    """Whether a resource has more members, or is in more groups, than that."""
    parameters = (tenant, id, most + 1)
    counts = (connection.one(sql, parameters) for sql in (NUMBER_OF_MEMBERS, NUMBER_OF_GROUPS))
    return any(row is not None and row[0] > most for row in counts)


def referred(
    connection: Connection, tenant: int, ids: Sequence[str], sight: Sight | None = None
) -> dict[str, Member]:
    """The resources of those ids, by id, as others refer to them; those that are seen, by looking at some at a time."""
    if sight is None:
        return {row[0]: Member(*row) for row in connection.all(REFERRED, (tenant, listed(ids)))}
    found: dict[str, Member] = {}
    for start in range(0, len(ids), PACKED):
        rows = connection.all(REFERRED_WHOLE, (tenant, listed(ids[start : start + PACKED])))
        found.update(
            (value, Member(value, kind, display))
            for value, kind, display, body, extra, maker in rows
            if sight.sees(kind, maker, partial(decode, body, extra))
        )
    return found


def numbers(connection: Connection, tenant: int) -> dict[str, int]:
    """How many resources there are of each type."""
    return {str(name): int(number) for name, number in connection.all(COUNTERS, (tenant,))}


def changes(connection: Connection, tenant: int, after: int, limit: int) -> list[LogEntry]:
    """Entries of the change log."""
    rows = connection.all(CHANGES, (tenant, after, limit))
    return [entry(row) for row in rows]


def entry(row: Row) -> LogEntry:
    """The entry that a row of the log is."""
    return LogEntry(*(*row[:7], orjson.loads(row[7]), *row[8:]))


def last_change(connection: Connection, tenant: int) -> int:
    """The highest number of a log entry, 0 if there is none."""
    row = connection.one(LAST_CHANGE, (tenant,))
    return int(row[0]) if row else 0


def holds_anything(connection: Connection) -> bool:
    """Whether any tenant has resources."""
    return connection.one("SELECT 1 FROM counter WHERE resources > 0 LIMIT 1") is not None
