"""A hub in a file and a CSV file that changes from day to day: what the tests of pulls play in."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import orjson

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.compare import parse_date_time
from rollbook.protocol.query import Page, Query
from rollbook.protocol.resource import Change
from rollbook.protocol.values import JsonObject
from rollbook.provisioning import model
from rollbook.provisioning.config import load_config
from rollbook.provisioning.directory import pull
from rollbook.provisioning.hub import Hub
from rollbook.provisioning.report import PersonChange, PullReport
from rollbook.provisioning.sources import source_of
from rollbook.storage.base import Author, Record
from rollbook.storage.sql.source_records import SqlSourceRecords
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
USER, GROUP = core_catalog().resource_types[0], core_catalog().resource_types[1]

RULES = """
version: 1
sources:
  hr:
    type: csv
    path: people.csv
    key: id
    users:
      externalId: {from: id}
      userName: {expr: 'lower(record.email)'}
      name.givenName: {from: first}
      name.familyName: {from: last}
      emails: [{type: {value: work}, primary: {value: true}, value: {from: email}}]
      active: {expr: 'record.end == "" || date(record.end) > today'}
      enterprise.department: {from: department}
      enterprise.manager: {from: manager}
    groups:
      - {from: department, displayName: {expr: '"dept-" + record.department'}}
"""

HEADER = "id,first,last,email,department,manager,end"


@dataclass
class World:
    """One hub, one source. `today` is moved by the tests."""

    folder: Path
    store: SqlStore
    hub: Hub
    rules: str = RULES
    seen: list[PersonChange] = field(default_factory=list)

    def write(self, *rows: str, header: str = HEADER) -> None:
        """Write the source's file."""
        (self.folder / "people.csv").write_text("\n".join((header, *rows, "")), "utf-8")

    @property
    def source(self) -> model.Source:
        """The source as configured."""
        path = self.folder / "rollbook.yaml"
        path.write_text(self.rules, "utf-8")
        return load_config(path, core_catalog(), {}).sources["hr"]

    async def pull(
        self, *rows: str, dry_run: bool = False, accept: tuple[str, ...] = (), **changes: object
    ) -> PullReport:
        """Write the file if there are rows, and pull it; `changes` replace settings of the source."""
        if rows:
            self.write(*rows)
        source = replace(self.source, **changes)  # type: ignore[arg-type]  # tests name real fields
        self.seen.clear()
        return await pull(
            source,
            source_of(source),
            self.hub,
            dry_run=dry_run,
            accept=frozenset(accept),
            observe=self.seen.append,
        )

    async def users(self) -> dict[str, JsonObject]:
        """Every user by userName, with id and the names of groups."""
        found = await self.store.search(1, Query(USER, None, Page(1, 10_000)))
        return {user["userName"]: user for user in map(_shown, found.records)}

    async def groups(self) -> dict[str, set[str]]:
        """Every group by displayName, with the labels of its members."""
        found = await self.store.search(1, Query(GROUP, None, Page(1, 10_000)))
        names = {user["id"]: name for name, user in (await self.users()).items()}
        return {
            orjson.loads(record.body)["displayName"]: {names[one.value] for one in record.members or ()}
            for record in found.records
        }

    async def add_user(self, document: JsonObject, id: str) -> None:
        """Put a user into the hub by another way than the source."""
        await self.store.insert(1, USER, id, Change(document), Author("test", 0))

    async def last_change(self) -> int:
        """The number of the last change in the hub: the same if nothing was written."""
        return await self.store.last_change(1)


def _shown(record: Record) -> JsonObject:
    user: JsonObject = orjson.loads(record.body)
    manager: Mapping[str, str] = user.get(ENTERPRISE, {}).get("manager", {})
    return {**user, "id": record.id, "manager": manager.get("value")}


@asynccontextmanager
async def a_world(folder: Path, today: str = "2026-11-23") -> AsyncIterator[World]:
    """An empty hub and no file yet."""
    store = SqlStore(SqliteFile(folder / "hub.db"), core_catalog())
    await store.open()
    numbers = count(1)
    moment = parse_date_time(f"{today}T09:30:00Z")
    hub = Hub(
        store, SqlSourceRecords(store.database), core_catalog(), 1, lambda: moment,
        lambda: f"00000000-0000-7000-8000-{next(numbers):012d}",
    )  # fmt: skip
    try:
        yield World(folder, store, hub)
    finally:
        await store.close()
