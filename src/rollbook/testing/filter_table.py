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


async def load(
    store: Store, table: FilterTable, makers: Sequence[str | None] = (None,)
) -> dict[str, str | None]:
    """Insert the documents of a table, at the times they tell, each by one of the makers in turn; who made what, by id."""
    made = {}
    for number, (name, whole) in enumerate(table.documents):
        resource_type = table.type(name)
        computed = {"id", "meta", "schemas", resource_type.memberships, resource_type.derived}
        change = Change(
            {key: value for key, value in whole.items() if key not in computed},
            tuple(Member(member["value"]) for member in whole.get(resource_type.memberships or "", ())),
        )
        maker = made[whole["id"]] = makers[number % len(makers)]
        author = Author("suite", parse_date_time(whole["meta"]["created"]), maker=maker)
        await store.insert(TENANT, resource_type, whole["id"], change, author)
    return made


async def filter_failures(
    store: Store, table: FilterTable, maker: str | None = None, makers: Sequence[str | None] = (None,)
) -> list[str]:
    """Load a table into an empty store of its catalog; the rows that do not find what they should.

    With a maker, that is what that one has made.
    """
    made = await load(store, table, makers)
    failures = []
    for row in table.rows:
        try:
            found = await store.search(TENANT, table.query(row)._replace(maker=maker))
        except ScimError as error:
            failures.append(f"{row.text}: {error.detail}")
            continue
        names = ids(found)
        wanted = {one for one in row.ids if maker in {None, made[one]}}
        if set(names) != wanted or found.total != len(wanted):
            failures.append(f"{row.text}: found {names}, total {found.total}, instead of {sorted(wanted)}")
    return failures
