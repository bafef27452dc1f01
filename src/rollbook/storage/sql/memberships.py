"""Members of a resource are rows: added, removed and checked without reading the others (architecture §3)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.resource import Member
from rollbook.protocol.schema import ResourceType
from rollbook.storage import refusals
from rollbook.storage.base import Rules
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.dialects import SQLITE
from rollbook.storage.sql.index import Layout
from rollbook.storage.sql.reads import above, listed, referred

BY_ID = f"SELECT id, pk, type FROM resource WHERE tenant = ? AND id {SQLITE.among_texts}"

ADD = f"""
    INSERT INTO membership (tenant, container, member) SELECT ?, ?, value FROM ({SQLITE.each_number}) AS given
    WHERE true ON CONFLICT DO NOTHING RETURNING member
"""
REMOVE = f"""
    DELETE FROM membership WHERE tenant = ? AND container = ? AND member {SQLITE.among_numbers}
    RETURNING member
"""
EMPTY = "DELETE FROM membership WHERE tenant = ? AND container = ?"

NOTE = f"""
    INSERT INTO departed (tenant, member) SELECT ?, value FROM ({SQLITE.each_number}) AS given
    WHERE true ON CONFLICT DO NOTHING
"""
NOTE_ALL = """
    INSERT INTO departed (tenant, member) SELECT tenant, member FROM membership WHERE tenant = ? AND container = ?
    ON CONFLICT DO NOTHING
"""
ABOVE = f"{above('SELECT ?, ?')} SELECT pk FROM above LIMIT ?"

MOST_ABOVE = 10_000
"""Groups that a group may be in, directly or not, for the search of cycles to stay bounded (A-70)."""


@dataclass(frozen=True, slots=True)
class Container:
    """The resource whose members change."""

    tenant: int
    pk: int
    resource_type: ResourceType


def add(
    connection: Connection, layout: Layout, container: Container, members: Sequence[Member], rules: Rules
) -> list[str]:
    """Add members; returns the ids of those that were not members before.

    Raises:
        InvalidValue: a member is not as the rules want it, is of another type than declared, or would close a cycle where none may be.
    """
    if not members:
        return []
    ids = sorted({member.value for member in members})
    if rules.sight is not None:
        ids = sorted(referred(connection, container.tenant, ids, rules.sight))
    found = {value: (pk, kind) for value, pk, kind in connection.all(BY_ID, (container.tenant, listed(ids)))}
    types = {value: kind for value, (_, kind) in found.items()}
    refusals.check_members(members, types, container.resource_type, rules)
    if not rules.group_cycles:
        _check_cycle(connection, layout, container, found)
    pks = {pk: value for value, (pk, _) in found.items()}
    rows = connection.all(ADD, (container.tenant, container.pk, listed(sorted(pks))))
    return sorted(pks[pk] for (pk,) in rows)


def remove(connection: Connection, container: Container, ids: Iterable[str]) -> list[str]:
    """Remove members, and note that they were some; returns the ids of those that were members."""
    wanted = sorted(set(ids))
    if not wanted:
        return []
    pks = {pk: value for value, pk, _ in connection.all(BY_ID, (container.tenant, listed(wanted)))}
    rows = connection.all(REMOVE, (container.tenant, container.pk, listed(sorted(pks))))
    if rows:
        connection.run(NOTE, (container.tenant, listed([pk for (pk,) in rows])))
    return sorted(pks[pk] for (pk,) in rows)


def remove_all(connection: Connection, container: Container) -> None:
    """Remove every member."""
    connection.run(NOTE_ALL, (container.tenant, container.pk))
    connection.run(EMPTY, (container.tenant, container.pk))


def _check_cycle(
    connection: Connection, layout: Layout, container: Container, found: dict[str, tuple[int, str]]
) -> None:
    """Look upwards from the container, where there is little, and only if a member can itself have members."""
    nested = {pk: value for value, (pk, kind) in found.items() if layout.contains(kind)}
    if not nested:
        return
    rows = connection.all(ABOVE, (container.tenant, container.pk, MOST_ABOVE + 1))
    if len(rows) > MOST_ABOVE:
        raise InvalidValue(
            f"{container.resource_type.memberships}: this {container.resource_type.name} is within more than "
            f"{MOST_ABOVE} others; flatten them before nesting further"
        )
    closing = next((nested[pk] for (pk,) in rows if pk in nested), None)
    if closing is not None:
        raise refusals.cycle(closing, container.resource_type)
