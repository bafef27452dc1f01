"""Conformance: a table of documents and filters, run against a store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rollbook.operations.served import by_ids
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.compare import parse_date_time
from rollbook.protocol.errors import ScimError
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.query import Page, Query
from rollbook.protocol.quirks import Leniency, Profile
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resource import Change, Member
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Author, Store
from rollbook.testing.store_steps import TENANT, ids


class FilterRow(Protocol):
    """A filter on one resource type, the ids it finds, and the leniency it is read with."""

    @property
    def type(self) -> str:
        """The name of the resource type."""

    @property
    def text(self) -> str:
        """The filter."""

    @property
    def ids(self) -> frozenset[str]:
        """What it finds."""

    @property
    def profile(self) -> Profile:
        """How leniently it is read."""


@dataclass(frozen=True)
class FilterTable:
    """Documents, as full representations with the name of their type, and filters on them."""

    catalog: Catalog
    documents: Sequence[tuple[str, JsonObject]]
    rows: Sequence[FilterRow]

    def query(self, row: FilterRow) -> Query:
        """The search that a row stands for."""
        resource_type = self.type(row.type)
        leniency = Leniency(row.profile)
        resolved = resolve(parse_filter(row.text, leniency), resource_type, leniency)
        return Query(resource_type, by_ids(resolved, resource_type, self.catalog, ""), Page(1, 100))

    def type(self, name: str) -> ResourceType:
        """A resource type of the table."""
        return next(kind for kind in self.catalog.resource_types if kind.name == name)


async def load(store: Store, table: FilterTable) -> None:
    """Insert the documents of a table, at the times they tell."""
    for name, whole in table.documents:
        resource_type = table.type(name)
        computed = {"id", "meta", "schemas", resource_type.memberships, resource_type.derived}
        change = Change(
            {key: value for key, value in whole.items() if key not in computed},
            tuple(Member(member["value"]) for member in whole.get(resource_type.memberships or "", ())),
        )
        author = Author("suite", parse_date_time(whole["meta"]["created"]))
        await store.insert(TENANT, resource_type, whole["id"], change, author)


async def filter_failures(store: Store, table: FilterTable) -> list[str]:
    """Load a table into an empty store of its catalog; the rows that do not find what they should."""
    await load(store, table)
    failures = []
    for row in table.rows:
        try:
            found = await store.search(TENANT, table.query(row))
        except ScimError as error:
            failures.append(f"{row.text}: {error.detail}")
            continue
        names = ids(found)
        if set(names) != row.ids or found.total != len(row.ids):
            failures.append(f"{row.text}: found {names}, total {found.total}, instead of {sorted(row.ids)}")
    return failures
