"""A hub and several CSV sources that feed the same people."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.provisioning.people_hub import World, a_world

from rollbook.protocol.catalog import core_catalog
from rollbook.provisioning import model
from rollbook.provisioning.config import load_config
from rollbook.provisioning.directory import pull, pull_one
from rollbook.provisioning.hub import Hub
from rollbook.provisioning.report import PullReport
from rollbook.provisioning.sources import source_of
from rollbook.storage.sql.matches import SqlMatches

RULES = """
version: 1
authority:
  emails: [directory, hr]
  name: [hr, directory]
sources:
  hr:
    type: csv
    path: hr.csv
    key: id
    shrink_limit: 1
    users:
      externalId: {from: id}
      userName: {from: login}
      name.givenName: {from: first}
      name.familyName: {from: last}
      emails: [{value: {from: mail}}]
      enterprise.department: {from: department}
    groups:
      - {from: department}
  directory:
    type: csv
    path: directory.csv
    key: uid
    create: false
    shrink_limit: 1
    join:
      - {attribute: userName, from: login}
      - {attribute: emails.value, from: mail}
      - all:
          - {attribute: enterprise.department, from: unit}
          - {attribute: name.familyName, from: last, normalize: true}
    users:
      name.familyName: {from: last}
      emails: [{value: {from: mail}}]
      title: {from: title}
    groups:
      - {from: team}
"""

HR = "id,login,first,last,mail,department"
DIRECTORY = "uid,login,last,mail,title,unit,team"


@dataclass
class Office:
    """The hub, and what is read into it."""

    world: World
    hub: Hub
    rules: str = RULES

    def sources(self) -> dict[str, model.Source]:
        """The sources as configured."""
        path = self.world.folder / "rollbook.yaml"
        path.write_text(self.rules, "utf-8")
        return dict(load_config(path, core_catalog(), {}).sources)

    def write(self, name: str, *rows: str) -> None:
        """Write a source's file; a row of nobody stays, since an empty file is refused."""
        header = {"hr": HR, "second": HR, "directory": DIRECTORY}[name]
        nobody = "0,nobody" + "," * (header.count(",") - 1)
        text = "\n".join((header, *(rows or (nobody,)), ""))
        (self.world.folder / f"{name}.csv").write_text(text, "utf-8")

    async def pull(self, name: str, *rows: str, dry_run: bool = False) -> PullReport:
        """Write a source's file if there are rows, and pull it."""
        if rows:
            self.write(name, *rows)
        source = self.sources()[name]
        return await pull(source, source_of(source), self.hub, dry_run=dry_run)

    async def pull_one(self, name: str, key: str) -> PullReport:
        """Pull one record."""
        source = self.sources()[name]
        return await pull_one(source, source_of(source), self.hub, key)


@asynccontextmanager
async def an_office(folder: Path) -> AsyncIterator[Office]:
    """An empty hub."""
    async with a_world(folder) as world:
        yield Office(world, replace(world.hub, matches=SqlMatches(world.store.database)))
