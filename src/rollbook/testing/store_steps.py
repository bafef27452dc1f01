# ruff: noqa: S101 - a suite of tests asserts
"""What the conformance tests of stores do again and again."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

import orjson

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.query import Page, Query
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resource import Change, Member, Present, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import (
    USUAL,
    Author,
    Decide,
    Found,
    LogEntry,
    QuirkStore,
    Record,
    Rules,
    Store,
    TokenStore,
    Updated,
)

TENANT = 1
AUTHOR = Author("suite", 1_700_000_000_000)
LATER = replace(AUTHOR, at=AUTHOR.at + 1000)


class FullStore(Store, TokenStore, QuirkStore, Protocol):
    """What a backend has to be."""


def _type(name: str) -> ResourceType:
    found = core_catalog().resource_type(name)
    assert found is not None
    return found


USER, GROUP = _type("User"), _type("Group")


def user(name: str, **attributes: object) -> JsonObject:
    """A User document."""
    return {"userName": name, **attributes}


async def add_user(store: Store, id: str, *, tenant: int = TENANT, **attributes: object) -> Record:
    """Insert a user named like its id."""
    return await store.insert(tenant, USER, id, Change(user(id, **attributes)), AUTHOR)


async def add_group(store: Store, id: str, *members: str, tenant: int = TENANT) -> Record:
    """Insert a group labelled like its id."""
    change = Change({"displayName": id}, tuple(map(Member, members)))
    return await store.insert(tenant, GROUP, id, change, AUTHOR)


async def update(
    store: Store,
    id: str,
    decide: Decide | Change,
    *,
    resource_type: ResourceType = USER,
    scope: Scope | None = None,
    author: Author = LATER,
) -> Updated:
    """Update a resource that exists."""
    function = decide if callable(decide) else lambda _: decide
    updated = await store.update(TENANT, resource_type, id, function, scope or Scope(), author)
    assert updated is not None
    return updated


async def join(store: Store, group: str, *members: str) -> Updated:
    """Add members to a group."""
    return await update(store, group, Change(None, tuple(map(Member, members))), resource_type=GROUP)


async def leave(store: Store, group: str, *members: str) -> Updated:
    """Remove members from a group."""
    return await update(store, group, Change(None, (), members), resource_type=GROUP)


async def find(
    store: Store, text: str | None = None, resource_type: ResourceType = USER, *, tenant: int = TENANT,
    start: int = 1, count: int = 100, rules: Rules = USUAL,
) -> Found:  # fmt: skip
    """Search with a filter in text form."""
    leniency = Leniency()
    condition = None if text is None else resolve(parse_filter(text, leniency), resource_type, leniency)
    return await store.search(tenant, Query(resource_type, condition, Page(start, count)), rules)


def ids(found: Found) -> list[str]:
    """The ids of a page, in order."""
    return [record.id for record in found.records]


def document(record: Record) -> JsonObject:
    """What lies in a record's bytes."""
    body: JsonObject = orjson.loads(record.body)
    return body


async def read(store: Store, id: str, resource_type: ResourceType = USER) -> Record:
    """A resource that exists."""
    record = await store.get(TENANT, resource_type, id)
    assert record is not None
    return record


def noting(seen: list[Present]) -> Decide:
    """A change of nothing that notes what it was shown."""

    def decide(present: Present) -> Change:
        seen.append(present)
        return Change()

    return decide


def values(members: Iterable[Member] | None) -> list[str]:
    """The ids of members, sorted."""
    assert members is not None
    return sorted(member.value for member in members)


async def members_of(store: Store, group: str) -> list[str]:
    """The ids of a group's members."""
    return values((await read(store, group, GROUP)).members)


async def groups_of(store: Store, id: str) -> list[str]:
    """The ids of the groups a user is in."""
    return values((await read(store, id)).groups)


async def log(store: Store, *, tenant: int = TENANT) -> Sequence[LogEntry]:
    """The whole change log."""
    return await store.changes(tenant, 0, 10_000)


async def picture(store: Store) -> object:
    """Everything that can be seen of the store: equal before and after what must change nothing."""
    found = [await find(store, None, kind) for kind in (USER, GROUP)]
    return [(page.total, list(page.records)) for page in found], await log(store)
