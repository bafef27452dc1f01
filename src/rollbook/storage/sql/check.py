"""The invariants of a database, checked row by row: index ↔ documents, memberships, counters, log (I-02, I-06, I-07)."""

from collections.abc import Callable, Iterator

from rollbook.storage.documents import decode, label
from rollbook.storage.sql import parts
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.dialects import TENANT
from rollbook.storage.sql.index import NO_TEXTS, TENANT_SHIFT, Layout, index_rows
from rollbook.storage.sql.log import version_number

TENANTS = "SELECT tenant FROM sequence"
EACH = f"""
    SELECT pk, tenant, type, id, display, body, extra, version FROM resource
    WHERE {TENANT} = ? AND pk > ? AND pk < ? ORDER BY pk LIMIT 1000
"""
SOME_TENANTS = "SELECT tenant FROM sequence ORDER BY tenant LIMIT 50"
NEWEST = """
    SELECT r.pk, r.tenant, r.type, r.id, r.display, r.body, r.extra, r.version
    FROM (SELECT id FROM change WHERE tenant = ? ORDER BY sequence DESC LIMIT ?) AS c
    JOIN resource r ON r.tenant = ? AND r.id = c.id
"""
HAS_VALUE = """
    SELECT 1 FROM value WHERE tenant = ? AND attribute = ? AND key = ? AND pk = ? AND element = ?
"""
HAS_UNIQUE = "SELECT 1 FROM unique_value WHERE tenant = ? AND attribute = ? AND key = ? AND pk = ?"

WRONG_COUNTERS = """
    SELECT coalesce(k.tenant, f.tenant), coalesce(k.type, f.type), coalesce(k.resources, 0), coalesce(f.found, 0)
    FROM counter k FULL JOIN (SELECT tenant, type, count(*) AS found FROM resource GROUP BY tenant, type) f
        ON f.tenant = k.tenant AND f.type = k.type
    WHERE coalesce(k.resources, 0) <> coalesce(f.found, 0)
"""
LOOSE_MEMBERSHIPS = """
    SELECT m.tenant, m.container, m.member FROM membership m
    LEFT JOIN resource c ON c.pk = m.container AND c.tenant = m.tenant
    LEFT JOIN resource o ON o.pk = m.member AND o.tenant = m.tenant
    WHERE c.pk IS NULL OR o.pk IS NULL
"""
LOOSE_DEPARTURES = """
    SELECT d.tenant, d.member FROM departed d
    LEFT JOIN resource r ON r.pk = d.member AND r.tenant = d.tenant
    WHERE r.pk IS NULL
"""
RUN_AHEAD = """
    SELECT s.tenant FROM sequence s
    WHERE s.change < (SELECT coalesce(max(c.sequence), 0) FROM change c WHERE c.tenant = s.tenant)
       OR s.resource < (SELECT coalesce(max(r.pk), 0) & 1099511627775 FROM resource r WHERE r.tenant = s.tenant)
"""
LAST_ENTRIES = """
    SELECT c.tenant, c.id, c.operation, c.version, r.version FROM change c
    JOIN (SELECT tenant, id, max(sequence) AS last FROM change GROUP BY tenant, id) l
        ON l.tenant = c.tenant AND l.last = c.sequence
    LEFT JOIN resource r ON r.tenant = c.tenant AND r.id = c.id
"""
UNLOGGED = """
    SELECT r.tenant, r.id FROM resource r
    LEFT JOIN (SELECT DISTINCT tenant, id FROM change) c ON c.tenant = r.tenant AND c.id = r.id
    WHERE c.id IS NULL
"""

LOOSE_PAST = """
    SELECT p.tenant, p.sequence FROM past p
    LEFT JOIN change c ON c.tenant = p.tenant AND c.sequence = p.sequence AND c.operation <> 'create'
    WHERE c.sequence IS NULL
"""
# Of entries from before the first that is kept nothing is asked: those were compacted, or made by a version that kept none.
WITHOUT_PAST = """
    SELECT c.sequence, c.id, c.operation, c.detail FROM change c
    LEFT JOIN past p ON p.tenant = c.tenant AND p.sequence = c.sequence
    WHERE c.tenant = ? AND c.sequence > ? AND c.operation <> 'create' AND p.sequence IS NULL
    ORDER BY c.sequence LIMIT 1000
"""
FIRST_PAST = "SELECT min(sequence) FROM past WHERE tenant = ?"
EARLIER = """
    SELECT operation FROM change WHERE tenant = ? AND sequence = (
        SELECT max(sequence) FROM change WHERE tenant = ? AND id = ? AND sequence < ?
    )
"""
ENDS = """
    SELECT detail FROM change WHERE tenant = ? AND operation = 'delete'
        AND sequence IN (SELECT sequence FROM change WHERE tenant = ? AND id = ? AND sequence >= ?)
"""


LayoutOf = Callable[[int], Layout]
"""The layout of a tenant."""


def check_invariants(connection: Connection, layout: LayoutOf) -> list[str]:
    """What does not hold, in words; nothing if all is well."""
    checks: tuple[Callable[[Connection, LayoutOf], Iterator[str]], ...] = (
        _documents, _counters, _memberships, _log, _history,
    )  # fmt: skip
    return [fault for check in checks for fault in check(connection, layout)]


def _documents(connection: Connection, layout: LayoutOf) -> Iterator[str]:
    """Every row that a document should have is there, and there are no more rows than that."""
    wanted_values = wanted_uniques = wanted_parts = 0
    for row in _each(connection):
        known = layout(row[1])
        values, uniques, faults = _document(connection, known, row)
        wanted_values += values
        wanted_uniques += uniques
        yield from faults
        if connection.has_parts:
            texts = index_rows(known.index(row[2]), decode(row[5], row[6])).texts
            wanted_parts += texts != NO_TEXTS
            if parts.lacks(connection, row[0], texts):
                yield f"tenant {row[1]}, {row[2]} {row[3]}: not found by parts of its texts"
    if connection.has_parts:
        ((found,),) = connection.all(parts.NUMBER)
        if found != wanted_parts:
            yield f"parts of texts are kept of {found} resources, {wanted_parts} have any"
    for table, wanted in (("value", wanted_values), ("unique_value", wanted_uniques)):
        ((found,),) = connection.all(f"SELECT count(*) FROM {table}")
        if found != wanted:
            yield f"table {table} has {found} rows, the documents have {wanted}"


def check_sample(connection: Connection, layout: LayoutOf, most: int) -> list[str]:
    """What does not hold of the resources of each tenant that were written last, at most so many."""
    faults = []
    for (tenant,) in connection.all(SOME_TENANTS):
        for row in connection.all(NEWEST, (tenant, most, tenant)):
            faults += _document(connection, layout(tenant), row)[2]
    return faults


def _each(connection: Connection) -> Iterator[Row]:
    for (tenant,) in connection.all(TENANTS):
        after, end = tenant << TENANT_SHIFT, (tenant + 1) << TENANT_SHIFT
        while batch := connection.all(EACH, (tenant, after, end)):
            yield from batch
            after = batch[-1][0]


def _document(connection: Connection, layout: Layout, row: Row) -> tuple[int, int, list[str]]:
    pk, tenant, kind, identifier, display, body, extra, version = row
    index = layout.index(kind)
    document = decode(body, extra)
    rows = index_rows(index, document)
    where = f"tenant {tenant}, {kind} {identifier}"
    faults = []
    for number, key, element in rows.values:
        if connection.one(HAS_VALUE, (tenant, number, key, pk, element)) is None:
            faults.append(f"{where}: no index row for attribute {number}, element {element}")
    for number, key in rows.uniques:
        if connection.one(HAS_UNIQUE, (tenant, number, key, pk)) is None:
            faults.append(f"{where}: no unique value for attribute {number}")
    if display != label(document, index.resource_type):
        faults.append(f"{where}: its label is not that of its document")
    if index.resource_type.references.kept(document) is not document:
        faults.append(f"{where}: a reference is stored with more than its id, or in another order")
    if version < 1:
        faults.append(f"{where}: version {version}")
    return len(rows.values), len(rows.uniques), faults


def _counters(connection: Connection, _: LayoutOf) -> Iterator[str]:
    for tenant, kind, counted, found in connection.all(WRONG_COUNTERS):
        yield f"tenant {tenant}: {found} resources of type {kind}, counted as {counted}"
    for (tenant,) in connection.all(RUN_AHEAD):
        yield f"tenant {tenant}: a sequence is behind the numbers it gave out"


def _memberships(connection: Connection, _: LayoutOf) -> Iterator[str]:
    for tenant, container, member in connection.all(LOOSE_MEMBERSHIPS):
        yield f"tenant {tenant}: membership of {member} in {container}, of which one does not exist there"
    for tenant, member in connection.all(LOOSE_DEPARTURES):
        yield f"tenant {tenant}: {member} is noted as a former member, and does not exist there"


def _log(connection: Connection, _: LayoutOf) -> Iterator[str]:
    for tenant, identifier, operation, logged, version in connection.all(LAST_ENTRIES):
        if operation == "delete" and version is not None:
            yield f"tenant {tenant}: {identifier} is there, although its last log entry is its removal"
        if operation != "delete" and version is None:
            yield f"tenant {tenant}: {identifier} is gone without a log entry"
        if operation != "delete" and version is not None and version != version_number(logged):
            yield f"tenant {tenant}: {identifier} is at version {version}, its last log entry says {logged}"
    for tenant, identifier in connection.all(UNLOGGED):
        yield f"tenant {tenant}: {identifier} has no log entry"


def _history(connection: Connection, _: LayoutOf) -> Iterator[str]:
    """What was before a change is there, unless it was compacted or erased, and nothing else is."""
    for tenant, sequence in connection.all(LOOSE_PAST):
        yield f"tenant {tenant}: a former document is kept for log entry {sequence}, which ended none"
    for (tenant,) in connection.all(TENANTS):
        ((after,),) = connection.all(FIRST_PAST, (tenant,))
        while after is not None and (batch := connection.all(WITHOUT_PAST, (tenant, after))):
            after = batch[-1][0]
            for sequence, identifier, operation, detail in batch:
                ended = operation == "delete" or b'"attributes"' in detail
                if ended and _is_missed(connection, tenant, identifier, sequence):
                    yield f"tenant {tenant}: what {identifier} was before log entry {sequence} is not kept"


def _is_missed(connection: Connection, tenant: int, identifier: str, sequence: int) -> bool:
    """Whether there was a document before a change, and it was not erased since."""
    former = connection.one(EARLIER, (tenant, tenant, identifier, sequence))
    if former is None or former[0] == "delete":
        return False
    ends = connection.all(ENDS, (tenant, tenant, identifier, sequence))
    return not any(b'"erased"' in detail for (detail,) in ends)
