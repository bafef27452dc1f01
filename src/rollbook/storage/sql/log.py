"""Entries of the change log, each with what the resource was before, so that any version can be had again (architecture §4)."""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from rollbook.protocol.errors import InternalError
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Author
from rollbook.storage.sql.connection import Connection, Parameters, Row
from rollbook.storage.sql.signing import COUNT, Signer, change_text, count_text

NEXT_CHANGES = "UPDATE sequence SET change = change + ? WHERE tenant = ? RETURNING change"
LOG = """
    INSERT INTO change (tenant, sequence, type, id, operation, version, author, at, detail, credential, origin, run, stamp)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
PAST = "INSERT INTO past (tenant, sequence, body, extra, members) VALUES (?, ?, ?, ?, ?)"


class Past(NamedTuple):
    """What a change has ended: the document before it, and the members a deleted resource had, packed."""

    body: bytes
    extra: bytes | None
    members: bytes | None = None


def past(row: Row, kind: ResourceType, members: Sequence[str] = ()) -> Past:
    """What is kept of a resource whose row that was: never its password, nor what is left of one (T-32)."""
    return Past(row[5], _open(row[6], kind.secret), packed(members))


def _open(extra: bytes | None, secret: str | None) -> bytes | None:
    if extra is None or secret is None:
        return extra
    kept = orjson.loads(extra)
    kept.pop(secret, None)
    return orjson.dumps(kept) if kept else None


class Entry(NamedTuple):
    """What is told of a change; `past` only if the document changed, or the resource went."""

    resource_type: str
    id: str
    operation: str
    version: str
    detail: JsonObject
    past: Past | None = None


def append(connection: Connection, tenant: int, author: Author, entries: Sequence[Entry]) -> None:
    """Append to the log of a tenant."""
    row = connection.one(NEXT_CHANGES, (len(entries), tenant))
    if row is None:
        raise InternalError("the database lost count of its resources; run: rollbook database check")
    write(connection, tenant, row[0] - len(entries) + 1, author, entries)


def write(connection: Connection, tenant: int, number: int, author: Author, entries: Sequence[Entry]) -> None:
    """Write entries under numbers that were taken before."""
    rows = [row_of(connection.signer, tenant, at, entry, author) for at, entry in enumerate(entries, number)]
    past = [(tenant, at, *entry.past) for at, entry in enumerate(entries, number) if entry.past is not None]
    for statement, values in ((LOG, rows), (PAST, past)):
        if len(values) == 1:
            connection.run(statement, values[0])
        elif values:
            connection.many(statement, values)
    count(connection, tenant, number + len(entries) - 1)


def count(connection: Connection, tenant: int, last: int) -> None:
    """Sign how many changes a tenant has seen, in the transaction of the last one."""
    stamp = connection.signer.stamp(count_text(tenant, last))
    if stamp is not None:
        connection.run(COUNT, (tenant, last, stamp))


def row_of(signer: Signer, tenant: int, number: int, entry: Entry, author: Author) -> Parameters:
    """The parameters of `LOG`."""
    who = (author.credential, author.origin, author.run)
    row = (number, *entry[:4], author.name, author.at, orjson.dumps(entry.detail), *who)
    return (tenant, *row, signer.stamp(change_text(tenant, row)))


def packed(members: Sequence[str]) -> bytes | None:
    """Ids of members, as small as they can be kept: a group of a hundred thousand is a megabyte."""
    return zlib.compress(orjson.dumps(members)) if members else None


def unpacked(members: bytes | None) -> list[str]:
    """The ids that `packed` took."""
    return list(orjson.loads(zlib.decompress(members))) if members else []


def version_number(version: str) -> int:
    """The number in the text of a version."""
    return int(version.rpartition("-")[2].rstrip('"'))
