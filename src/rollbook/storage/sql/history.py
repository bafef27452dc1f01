"""What a resource was: its versions in the change log, each of them as it stood, and forgetting them.

A version's document is what the next change of the document has ended, or the present one. Its members are worked out
backwards from the present ones by what the log names.
"""

from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

import orjson

from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Act, Author, LogEntry
from rollbook.storage.documents import decode
from rollbook.storage.sql import acts, deliveries, orders, seals, tokens
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.dialects import SQLITE
from rollbook.storage.sql.journal_forgotten import FORGETTING, ranges
from rollbook.storage.sql.log import unpacked
from rollbook.storage.sql.reads import RESOURCE
from rollbook.storage.sql.reads import entry as entry_of

_COLUMNS = "sequence, type, id, operation, version, author, at, detail, credential, origin, run"

# Sequences are found in a sub-select, since that needs nothing but the index by id: asked for whole rows, SQLite
# would walk the log of the tenant instead, which lies in this order.
ENTRIES = f"""
    SELECT {_COLUMNS} FROM change WHERE tenant = ? AND sequence IN (
        SELECT sequence FROM change WHERE tenant = ? AND id = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?
    ) ORDER BY sequence DESC
"""
LATER = """
    SELECT sequence, operation, detail FROM change WHERE tenant = ? AND sequence IN (
        SELECT sequence FROM change WHERE tenant = ? AND id = ? AND sequence > ? ORDER BY sequence LIMIT ?
    ) ORDER BY sequence
"""
PAST = "SELECT body, extra FROM past WHERE tenant = ? AND sequence = ?"
DELETED = f"""
    SELECT c.id, c.at, c.author, c.version, p.body, p.extra FROM change c
    {SQLITE.walk} past p ON p.tenant = c.tenant AND p.sequence = c.sequence
    WHERE c.tenant = ? AND c.sequence IN (
        SELECT e.sequence FROM change e WHERE e.tenant = ? AND e.type = ? AND e.operation = 'delete'
            AND EXISTS (SELECT 1 FROM past q WHERE q.tenant = e.tenant AND q.sequence = e.sequence)
            AND NOT EXISTS (SELECT 1 FROM resource r WHERE r.tenant = e.tenant AND r.id = e.id)
        ORDER BY e.sequence DESC LIMIT ?
    ) ORDER BY c.sequence DESC
"""
MEMBERS_THEN = "SELECT members FROM past WHERE tenant = ? AND sequence = ?"
MEMBER_IDS = f"""
    SELECT o.id FROM membership m {SQLITE.walk} resource o ON o.tenant = m.tenant AND o.pk = m.member
    WHERE m.tenant = ? AND m.container = ? ORDER BY m.member
"""
FORGET = """
    DELETE FROM past WHERE tenant = ? AND sequence IN (SELECT sequence FROM change WHERE tenant = ? AND id = ?)
"""
FORGET_SOUGHT = f"""
    UPDATE link SET sought = NULL, error = NULL WHERE tenant = ? AND (target, pk) IN (
        SELECT l.target, l.pk FROM target t {SQLITE.walk} link l
            ON l.tenant = t.tenant AND l.target = t.number AND l.id = ?
        WHERE t.tenant = ?
    )
"""
_RECORDS_OF = f"""
        WITH RECURSIVE known (source) AS (
            SELECT min(source) FROM source_record WHERE tenant = ?
            UNION ALL
            SELECT (SELECT min(source) FROM source_record WHERE tenant = ? AND source > known.source)
            FROM known WHERE known.source IS NOT NULL
        )
        SELECT r.source, r.key FROM known {SQLITE.walk} source_record r
            ON r.tenant = ? AND r.source = known.source AND r.id = ?
"""
"""Records lie by source and id; the sources are found by a step each."""
FORGET_RECORDS = f"DELETE FROM source_record WHERE tenant = ? AND (source, key) IN ({_RECORDS_OF})"
FORGET_ARRIVALS = f"DELETE FROM arrival WHERE tenant = ? AND (source, key) IN ({_RECORDS_OF})"
"""What a webhook has brought of somebody and waits: it would make them anew."""
FORGET_DRIFT = "DELETE FROM drift WHERE tenant = ? AND id = ?"
"""What audits have found of the tenant is walked through: it is little, and may outlast the link that tells its key."""

NEXT = "SELECT sequence, at FROM change WHERE tenant = ? AND sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?"
EARLIER = f"""
    SELECT e.sequence FROM change n {SQLITE.walk} change e ON e.tenant = n.tenant AND e.id = n.id
    WHERE n.tenant = ? AND n.sequence > ? AND n.sequence <= ? AND e.sequence
"""
FORGET_PAST = f"DELETE FROM past WHERE tenant = ? AND sequence IN ({EARLIER} <= n.sequence)"
FORGET_ENTRIES = (
    f"DELETE FROM change WHERE tenant = ? AND sequence IN ({EARLIER} < n.sequence) RETURNING sequence"
)
FOLLOWED = "SELECT min(position) FROM target WHERE tenant = ?"

PAGE = 500
"""Entries that are read together."""

COMPACTED = 500
"""Entries that are looked at in one transaction."""

PLACE = "compacted.{tenant}"
"""The setting that keeps the last entry up to which a tenant's log is compacted."""

LATEST = 1 << 62
"""Beyond every entry."""


class Version(NamedTuple):
    """A resource as it stood after a change: None for a document where it was deleted. Members are ids."""

    entry: LogEntry
    document: JsonObject | None
    members: tuple[str, ...]


def entries(connection: Connection, tenant: int, id: str, before: int, limit: int) -> list[LogEntry]:
    """Changes of a resource with numbers below that one, newest first."""
    rows = connection.all(ENTRIES, (tenant, tenant, id, before, limit))
    return [entry_of(row) for row in rows]


def version_at(connection: Connection, tenant: int, entry: LogEntry) -> Version:
    """The resource as it stood after that change; without a document also if what it was is forgotten."""
    if entry.operation == "delete":
        return Version(entry, None, ())
    document = _document(connection, tenant, entry)
    return Version(entry, document, () if document is None else tuple(_members(connection, tenant, entry)))


def _document(connection: Connection, tenant: int, entry: LogEntry) -> JsonObject | None:
    """What the next change of the document has ended, or the present one."""
    ended = _ended(connection, tenant, entry)
    if ended is not None:
        row = connection.one(PAST, (tenant, ended))
    else:
        present = connection.one(RESOURCE, (tenant, entry.id))
        row = None if present is None else (present[5], present[6])
    return None if row is None else decode(row[0], row[1])


def _ended(connection: Connection, tenant: int, entry: LogEntry) -> int | None:
    """The first change after that one which was of the document, None if there is none."""
    after = entry.sequence
    while rows := connection.all(LATER, (tenant, tenant, entry.id, after, PAGE)):
        for after, operation, detail in rows:
            if operation == "delete" or "attributes" in orjson.loads(detail):
                return int(after)
    return None


def _members(connection: Connection, tenant: int, entry: LogEntry) -> list[str]:
    """The members after a change, in the order in which they came, as far as that is known."""
    present = connection.one(RESOURCE, (tenant, entry.id))
    rows = [] if present is None else connection.all(MEMBER_IDS, (tenant, present[0]))
    members = dict.fromkeys(str(member) for (member,) in rows)
    for later in _since(connection, tenant, entry):
        if later.operation == "delete":
            row = connection.one(MEMBERS_THEN, (tenant, later.sequence))
            members = dict.fromkeys(unpacked(row[0] if row else None))
            continue
        named = later.detail.get("members", {})
        for member in named.get("add", ()):
            members.pop(member, None)
        members |= dict.fromkeys(named.get("remove", ()))
    return list(members)


def _since(connection: Connection, tenant: int, entry: LogEntry) -> Iterator[LogEntry]:
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


class Deleted(NamedTuple):
    """A resource that was deleted, when (milliseconds since 1970), by whom, and what it was."""

    id: str
    at: int
    author: str
    version: str
    document: JsonObject


def deleted(connection: Connection, tenant: int, type_name: str, limit: int) -> list[Deleted]:
    """Those of a type that were deleted last, newest first; not those of which nothing is kept any more."""
    found: dict[str, Deleted] = {}
    for identifier, at, author, version, body, extra in connection.all(
        DELETED, (tenant, tenant, type_name, limit)
    ):
        found.setdefault(identifier, Deleted(identifier, at, author, version, decode(body, extra)))
    return list(found.values())


def forget(connection: Connection, tenant: int, id: str) -> int:
    """Take away what a resource was, and what else was kept of it; how many former documents there were."""
    forgotten = connection.run(FORGET, (tenant, tenant, id))
    connection.run(FORGET_SOUGHT, (tenant, id, tenant))
    connection.run(FORGET_DRIFT, (tenant, id))
    connection.run(FORGET_ARRIVALS, (tenant, tenant, tenant, tenant, id))
    connection.run(FORGET_RECORDS, (tenant, tenant, tenant, tenant, id))
    connection.run(deliveries.FORGET, (tenant, id))
    orders.forget_names(connection, tenant)
    return forgotten


def compact(connection: Connection, tenant: int, older_than: int, author: Author) -> tuple[bool, int]:
    """Forget some of what is older than a moment; whether there may be more, and how many rows went.

    What goes of the audit log has been sealed, and a line of it tells what went and who wanted it (T-87).

    The log is compacted from its beginning to the first entry that is not as old, so that of each resource an unbroken end is left: its last entry before
    the moment, and what came later. It goes no further than every target has read. The place is kept in the same
    transaction, so that the work goes on from there whenever it is begun again.
    """
    place = PLACE.format(tenant=tenant)
    after = int(tokens.setting(connection, place) or 0)
    row = connection.one(FOLLOWED, (tenant,))
    followed = LATEST if row is None or row[0] is None else row[0]
    ((sealed,),) = connection.all(seals.LAST_OF, (tenant,))
    rows = connection.all(NEXT, (tenant, after, min(followed, sealed), COMPACTED))
    old = [sequence for sequence, _ in takewhile(lambda row: row[1] < older_than, rows)]
    if not old:
        return False, 0
    last = old[-1]
    gone = connection.run(FORGET_PAST, (tenant, tenant, after, last))
    forgotten = [row[0] for row in connection.all(FORGET_ENTRIES, (tenant, tenant, after, last))]
    if forgotten:
        detail: JsonObject = {"of": "changes", "lines": ranges(forgotten)}
        acts.add(connection, [Act(author, tenant, FORGETTING, times=len(forgotten), detail=detail)])
    connection.run(tokens.SET, (place, str(last)))
    return len(old) == COMPACTED, gone + len(forgotten)
