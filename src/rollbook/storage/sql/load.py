"""Many resources at once: a batch is one transaction of a few statements, each run for all of its rows.

If a row of the batch is refused, it is undone and its resources are put in one by one, so that only those at fault
are left out. The place up to which a file is read moves in the same transaction, so that a load that was killed goes
on where it was.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rollbook.protocol.errors import InvalidValue, RequestError
from rollbook.protocol.resource import Change, Member
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Author, References, Rules
from rollbook.storage.sql import log, memberships, parts
from rollbook.storage.sql.connection import Connection, Duplicate, Parameters
from rollbook.storage.sql.index import NO_TEXTS, TENANT_SHIFT, Layout
from rollbook.storage.sql.memberships import Container
from rollbook.storage.sql.reads import row_of
from rollbook.storage.sql.seals import CHANGE_COLUMNS
from rollbook.storage.sql.signing import Signer, change_text
from rollbook.storage.sql.tokens import SET
from rollbook.storage.sql.writes import (
    ADD_VALUE,
    TOUCH,
    New,
    new,
)
from rollbook.storage.sql.writes import insert as insert_one

NEXT = """
    INSERT INTO sequence (tenant, resource, change) VALUES (?, ?, ?)
    ON CONFLICT (tenant) DO UPDATE SET
        resource = sequence.resource + excluded.resource, change = sequence.change + excluded.change
    RETURNING resource, change
"""
PUT = """
    INSERT INTO resource (pk, tenant, type, id, version, created, modified, display, body, extra)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
PUT_UNIQUE = "INSERT INTO unique_value (tenant, attribute, key, pk) VALUES (?, ?, ?, ?)"
COUNT = """
    INSERT INTO counter (tenant, type, resources) VALUES (?, ?, ?)
    ON CONFLICT (tenant, type) DO UPDATE SET resources = counter.resources + excluded.resources
"""
KEEP = "UPDATE resource SET version = ?, created = ?, modified = ? WHERE tenant = ? AND id = ?"
LAST = f"""
    SELECT {CHANGE_COLUMNS} FROM change WHERE tenant = ? AND sequence = (SELECT change FROM sequence WHERE tenant = ?)
"""
KEEP_IN_LOG = "UPDATE change SET version = ?, stamp = ? WHERE tenant = ? AND sequence = ?"

_VERSION = 3
"""Where it stands in the columns of a change, behind its number."""

MEMBERS = 5_000
"""Members that are added in one transaction."""


class Kept(NamedTuple):
    """What a resource was before it was brought here: its version's number, and times in milliseconds since 1970."""

    version: int
    created: int
    modified: int


class Loaded(NamedTuple):
    """A resource to be put in, without members."""

    resource_type: ResourceType
    id: str
    document: JsonObject
    kept: Kept | None = None


class Joined(NamedTuple):
    """Members to be added to a resource that was put in; its version moves unless it is kept."""

    resource_type: ResourceType
    id: str
    members: Sequence[Member]
    is_kept: bool


class Mark(NamedTuple):
    """A setting that is written in the same transaction."""

    name: str
    text: str


def put(
    connection: Connection,
    layout: Layout,
    tenant: int,
    batch: Sequence[Loaded],
    author: Author,
    rules: Rules,
    mark: Mark,
) -> list[RequestError | None]:
    """Create the resources; for each None, or why it was not."""
    connection.run(SET, mark)
    if not batch:
        return []
    news = [new(layout, each.resource_type, each.id, Change(each.document)) for each in batch]
    if rules.references is not References.STRICT:
        connection.run("SAVEPOINT load")
        try:
            _put_all(connection, layout, tenant, batch, news, author)
        except Duplicate:
            connection.run("ROLLBACK TO load")
        else:
            connection.run("RELEASE load")
            return [None] * len(batch)
    return [
        _put_one(connection, layout, tenant, each, one, author, rules)
        for each, one in zip(batch, news, strict=True)
    ]


def _put_all(
    connection: Connection,
    layout: Layout,
    tenant: int,
    batch: Sequence[Loaded],
    news: Sequence[New],
    author: Author,
) -> None:
    number = len(batch)
    ((last, change),) = connection.all(NEXT, (tenant, number, number))
    first = (tenant << TENANT_SHIFT | last) - number + 1
    numbered = list(enumerate(zip(batch, news, strict=True)))
    connection.many(PUT, (_row(tenant, first + at, each, one, author) for at, (each, one) in numbered))
    connection.many(PUT_UNIQUE, sorted(_uniques(tenant, first, news)))
    connection.many(ADD_VALUE, sorted(_values(tenant, first, news)))  # in the order in which they will lie
    if connection.has_parts:
        connection.many(
            parts.PUT,
            ((pk, *one.rows.texts) for pk, one in enumerate(news, first) if one.rows.texts != NO_TEXTS),
        )
    for type_name, counted in Counter(each.resource_type.name for each in batch).items():
        connection.run(COUNT, (tenant, type_name, counted))
    connection.many(
        log.LOG,
        (_entry(connection.signer, tenant, change - number + 1 + at, layout, each, author)
            for at, (each, _) in numbered
        ),
    )  # fmt: skip
    log.count(connection, tenant, change)


def _row(tenant: int, pk: int, each: Loaded, one: New, author: Author) -> Parameters:
    kept = each.kept or Kept(1, author.at, author.at)
    stored = one.stored
    return pk, tenant, each.resource_type.name, each.id, *kept, stored.display, stored.body, stored.extra


def _uniques(tenant: int, first: int, news: Sequence[New]) -> Iterator[tuple[int, int, bytes, int]]:
    for pk, one in enumerate(news, first):
        for number, key in one.rows.uniques:
            yield tenant, number, key, pk


def _values(tenant: int, first: int, news: Sequence[New]) -> Iterator[tuple[int, int, bytes, int, int]]:
    for pk, one in enumerate(news, first):
        for number, key, element in one.rows.values:
            yield tenant, number, key, pk, element


def _entry(
    signer: Signer, tenant: int, number: int, layout: Layout, each: Loaded, author: Author
) -> Parameters:
    version = layout.version(each.kept.version if each.kept else 1)
    entry = log.Entry(each.resource_type.name, each.id, "create", version, {})
    return log.row_of(signer, tenant, number, entry, author)


def _put_one(
    connection: Connection, layout: Layout, tenant: int, each: Loaded, one: New, author: Author, rules: Rules
) -> RequestError | None:
    connection.run("SAVEPOINT one")
    try:
        insert_one(connection, layout, tenant, one, author, rules)
        if each.kept is not None:
            keep(connection, layout, tenant, each.id, each.kept)
    except RequestError as error:
        connection.run("ROLLBACK TO one")
        return error
    finally:
        connection.run("RELEASE one")
    return None


def keep(connection: Connection, layout: Layout, tenant: int, id: str, kept: Kept) -> None:
    """Give a resource that was inserted just now the version and the times it had."""
    connection.run(KEEP, (*kept, tenant, id))
    ((last, *told),) = connection.all(LAST, (tenant, tenant))
    told[_VERSION] = layout.version(kept.version)
    stamp = connection.signer.stamp(change_text(tenant, (last, *told)))
    connection.run(KEEP_IN_LOG, (told[_VERSION], stamp, tenant, last))


def join(
    connection: Connection,
    layout: Layout,
    tenant: int,
    joined: Joined,
    author: Author,
    rules: Rules,
    mark: Mark | None,
) -> list[str]:
    """Add members to a resource; the ids of those that were not members before.

    Raises:
        InvalidValue: there is no such resource, or a member is not as the rules want it.
    """
    if mark is not None:
        connection.run(SET, mark)
    row = row_of(connection, tenant, joined.resource_type, joined.id)
    if row is None:
        raise InvalidValue(f"there is no {joined.resource_type.name} {joined.id} to add members to")
    container = Container(tenant, row[0], joined.resource_type)
    added = memberships.add(connection, layout, container, joined.members, rules)
    if added:
        version = row[2] if joined.is_kept else row[2] + 1
        if not joined.is_kept:
            connection.run(TOUCH, (version, max(row[4], author.at), tenant, row[0]))
        detail: JsonObject = {"members": {"add": added}}
        entry = log.Entry(joined.resource_type.name, joined.id, "update", layout.version(version), detail)
        log.append(connection, tenant, author, [entry])
    return added
