"""What a resource was: its versions in the change log, each of them as it stood, and forgetting them.

A version's document is what the next change of the document has ended, or the present one. Its members are worked out
backwards from the present ones by what the log names.
"""

from collections.abc import Iterator
from typing import NamedTuple

from rollbook.protocol.values import JsonObject
from rollbook.storage.base import LogEntry
from rollbook.storage.documents import decode
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.dialects import SQLITE
from rollbook.storage.sql.log import unpacked
from rollbook.storage.sql.reads import RESOURCE
from rollbook.storage.sql.reads import entry as entry_of

_COLUMNS = "sequence, type, id, operation, version, author, at, detail"

ENTRIES = f"""
    SELECT {_COLUMNS} FROM change WHERE tenant = ? AND id = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?
"""
NEXT_PAST = f"""
    SELECT p.body, p.extra FROM change c {SQLITE.walk} past p ON p.tenant = c.tenant AND p.sequence = c.sequence
    WHERE c.tenant = ? AND c.id = ? AND c.sequence > ? ORDER BY c.sequence LIMIT 1
"""
MEMBERS_THEN = "SELECT members FROM past WHERE tenant = ? AND sequence = ?"
MEMBER_IDS = f"""
    SELECT o.id FROM membership m {SQLITE.walk} resource o ON o.tenant = m.tenant AND o.pk = m.member
    WHERE m.tenant = ? AND m.container = ? ORDER BY m.member
"""
FORGET = """
    DELETE FROM past WHERE tenant = ? AND sequence IN (SELECT sequence FROM change WHERE tenant = ? AND id = ?)
"""
FORGET_SOUGHT = "UPDATE link SET sought = NULL, error = NULL WHERE tenant = ? AND id = ?"
FORGET_RECORDS = "DELETE FROM source_record WHERE tenant = ? AND id = ?"
NEXT = "SELECT sequence, at FROM change WHERE tenant = ? AND sequence > ? ORDER BY sequence LIMIT ?"
FORGET_PAST = """
    DELETE FROM past WHERE tenant = ? AND sequence IN (
        SELECT sequence FROM change WHERE tenant = ? AND sequence > ? AND sequence <= ? AND at < ?
    )
"""
FORGET_ENTRIES = """
    DELETE FROM change WHERE tenant = ? AND sequence > ? AND sequence <= ? AND at < ? AND EXISTS (
        SELECT 1 FROM change later
        WHERE later.tenant = change.tenant AND later.id = change.id AND later.sequence > change.sequence
    )
"""
FOLLOWED = "SELECT min(position) FROM target WHERE tenant = ?"

PAGE = 500
"""Entries that are read together."""

COMPACTED = 2_000
"""Entries that are looked at in one transaction."""

LATEST = 1 << 62
"""Beyond every entry."""


class Version(NamedTuple):
    """A resource as it stood after a change: None for a document where it was deleted. Members are ids."""

    entry: LogEntry
    document: JsonObject | None
    members: tuple[str, ...]


def entries(connection: Connection, tenant: int, id: str, before: int, limit: int) -> list[LogEntry]:
    """Changes of a resource with numbers below that one, newest first."""
    rows = connection.all(ENTRIES, (tenant, id, before, limit))
    return [entry_of(*row) for row in rows]


def version_at(connection: Connection, tenant: int, entry: LogEntry) -> Version:
    """The resource as it stood after that change."""
    if entry.operation == "delete":
        return Version(entry, None, ())
    row = connection.one(NEXT_PAST, (tenant, entry.id, entry.sequence))
    if row is None:
        present = connection.one(RESOURCE, (tenant, entry.id))
        row = None if present is None else (present[5], present[6])
    document = None if row is None else decode(row[0], row[1])
    return Version(entry, document, tuple(_members(connection, tenant, entry)))


def _members(connection: Connection, tenant: int, entry: LogEntry) -> list[str]:
    """The members after a change, in the order in which they came, as far as that is known."""
    present = connection.one(RESOURCE, (tenant, entry.id))
    rows = [] if present is None else connection.all(MEMBER_IDS, (tenant, present[0]))
    members = dict.fromkeys(str(member) for (member,) in rows)
    for later in _later(connection, tenant, entry):
        if later.operation == "delete":
            row = connection.one(MEMBERS_THEN, (tenant, later.sequence))
            members = dict.fromkeys(unpacked(row[0] if row else None))
            continue
        named = later.detail.get("members", {})
        for member in named.get("add", ()):
            members.pop(member, None)
        members |= dict.fromkeys(named.get("remove", ()))
    return list(members)


def _later(connection: Connection, tenant: int, entry: LogEntry) -> Iterator[LogEntry]:
    """The changes after that one, newest first."""
    before = LATEST
    while True:
        found = entries(connection, tenant, entry.id, before, PAGE)
        for later in found:
            if later.sequence <= entry.sequence:
                return
            yield later
        if len(found) < PAGE:
            return
        before = found[-1].sequence


def forget(connection: Connection, tenant: int, id: str) -> int:
    """Take away what a resource was, and what else was kept of it; how many former documents there were."""
    forgotten = connection.run(FORGET, (tenant, tenant, id))
    connection.run(FORGET_SOUGHT, (tenant, id))
    connection.run(FORGET_RECORDS, (tenant, id))
    return forgotten


def compact(connection: Connection, tenant: int, after: int, older_than: int) -> tuple[int | None, int]:
    """Forget some of what is older than a moment; up to which entry it has looked, None at the end, and how much went.

    The last entry of each resource stays, and so do those that a target has not read yet.
    """
    rows = connection.all(NEXT, (tenant, after, COMPACTED))
    if not any(at < older_than for _, at in rows):  # nor are those that came later
        return None, 0
    last = rows[-1][0]
    gone = connection.run(FORGET_PAST, (tenant, tenant, after, last, older_than))
    row = connection.one(FOLLOWED, (tenant,))
    followed = last if row is None or row[0] is None else min(last, row[0])
    gone += connection.run(FORGET_ENTRIES, (tenant, after, followed, older_than))
    return (last if len(rows) == COMPACTED else None), gone
