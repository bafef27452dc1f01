"""After the four days: a wrong export, a change taken back, a question answered, and a second source."""

import csv
import json
import re
import shutil
import sqlite3  # noqa: TID251 - a database of others, which no store of ours is in
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.markup import escape

from rollbook.demo.day import Braked, Company, braked, rollbook
from rollbook.demo.expected import SYSTEMS
from rollbook.demo.processes import DemoError, Finished, Processes
from rollbook.testing.slapd import ADMIN, BASE, HOW, is_there, slapd

CONTRACTORS = (
    ("c-1", "Mira", "Bergström", "mira.bergstrom@contractors.example"),
    ("c-2", "Teo", "Vermeer", "teo.vermeer@contractors.example"),
)

_SECOND_SOURCE = """
  contractors:
    type: sql
    url: sqlite:///{database}
    query: SELECT id, first_name, last_name, email FROM contractor
    key: id
    users:
      externalId: {{from: id}}
      userName: {{expr: 'lower(record.email)'}}
      name.givenName: {{from: first_name}}
      name.familyName: {{from: last_name}}
      displayName: {{expr: 'record.first_name + " " + record.last_name'}}
      active: {{value: true}}

targets:
"""

_DIRECTORY = """
  guests:
    type: ldap
    url: {url}
    base: {base}
    bind_dn: {admin}
    password: file:ldap-password
    key: uid
    users:
      externalId: {{from: uid}}
      userName: {{from: mail}}
      displayName: {{from: cn}}
      active: {{value: true}}

targets:
"""


@dataclass
class Scene:
    """What was tried: lines for people, and what was not as it should be."""

    told: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.wrong.append(otherwise)


Play = Callable[[Processes, Company], Scene]


def wrong_export(processes: Processes, company: Company) -> Scene:
    """HR exports the wrong table, by which half of the company has left."""
    scene = Scene()
    before, whole = _answers(company), _accounts(company)
    rows, names = _rows(company.export)
    for row in rows[: len(rows) // 2]:
        row["end_date"] = "2020-01-31"
    _write(company.export, rows, names)
    done = rollbook(processes, company, "apply", "--json")
    stopped: list[Braked] = list(braked(done))
    scene.told.append(
        f"HR exports the wrong table: {len(rows) // 2} of {len(rows)} people seem to have left."
    )
    scene.told += [f"[bold yellow]The brake[/] {one.target}: {escape(one.reason)}." for one in stopped]
    scene.expect(bool(stopped), "the brake has not stopped anything")
    kept = {system.name for system in SYSTEMS if system.name in {one.target for one in stopped}}
    after = _answers(company)
    for name in sorted(kept):
        scene.expect(after[name] == before[name], f"{name} has changed although the brake stopped the run")
    _undo(processes, company, done, scene)
    shutil.copyfile(company.directory / "day4.csv", company.export)
    _run(processes, company, "apply")
    scene.expect(_accounts(company) == whole, "not everything is as before the wrong export")
    scene.told.append(
        "The run is taken back in the hub (rollbook undo), the right export is applied: all as before."
    )
    return scene


def taken_back(processes: Processes, company: Company) -> Scene:
    """A change that goes out, and is taken back."""
    scene = Scene()
    before = _accounts(company)
    rows, names = _rows(company.export)
    for row in rows[:3]:
        row["title"] = "Ruler of the World"
    _write(company.export, rows, names)
    done = _run(processes, company, "apply", "--json")
    scene.expect(_accounts(company) != before, "the change did not go out")
    _undo(processes, company, done, scene)
    scene.expect(_accounts(company) == before, "not everything is as before the change")
    shutil.copyfile(company.directory / "day4.csv", company.export)
    scene.told.append(
        "Three people were promoted by mistake, everywhere; rollbook undo took it back, everywhere."
    )
    return scene


def explained(processes: Processes, company: Company) -> Scene:
    """Why somebody is at one system, and not at another."""
    scene = Scene()
    key = next(key for key, rows in company.people.items() if rows[-1]["department"] == "Sales")
    told = _run(
        processes, company, "explain", key, "--target", "support-desk", "--target", "source-control"
    ).output
    scene.told.append(f"rollbook explain {key}:")
    scene.told += [f"  [dim]{escape(line)}[/]" for line in told.splitlines() if line.strip()][:24]
    scene.expect("in scope" in told, "explain does not say why somebody is at the support desk")
    scene.expect("out of scope" in told, "explain does not say why somebody is not in source control")
    return scene


def second_source(processes: Processes, company: Company) -> Scene:
    """Contractors are in a database of their own."""
    scene = Scene()
    database = company.directory / "contractors.db"
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("CREATE TABLE contractor (id, first_name, last_name, email)")
        connection.executemany("INSERT INTO contractor VALUES (?, ?, ?, ?)", CONTRACTORS)
    connection.close()
    file = company.directory / "rollbook.yaml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("\ntargets:\n", _SECOND_SOURCE.format(database=database), 1), "utf-8")
    _run(processes, company, "apply")
    there = company.services["cloud"].read().accounts
    for key, first, last, _ in CONTRACTORS:
        scene.expect(key in there, f"{first} {last} is not in the cloud")
    names = ", ".join(f"{first} {last}" for _, first, last, _ in CONTRACTORS)
    scene.told.append(f"A second source, a SQLite database of contractors: {names} are in the cloud, too.")
    return scene


def directory(processes: Processes, company: Company) -> Scene:
    """Guests are in an LDAP directory, where this machine has a server for one."""
    scene = Scene()
    if not is_there():
        scene.told.append(f"A third source, an LDAP directory, is not shown: it {escape(HOW)}.")
        return scene
    folder = company.directory / "slapd"
    folder.mkdir()
    with slapd(folder) as server:
        server.fill([{"id": "g-1", "name": "Noor Visser", "mail": "noor.visser@guests.example"}])
        file = company.directory / "rollbook.yaml"
        text = file.read_text("utf-8")
        source = _DIRECTORY.format(url=server.url, base=BASE, admin=ADMIN)
        file.write_text(text.replace("\ntargets:\n", source, 1), "utf-8")
        (company.directory / "ldap-password").write_text("secret\n", "utf-8")
        _run(processes, company, "apply")
    scene.expect("g-1" in company.services["cloud"].read().accounts, "Noor Visser is not in the cloud")
    scene.told.append("A third source, an LDAP directory of guests: Noor Visser is in the cloud, too.")
    return scene


SCENES: tuple[Play, ...] = (wrong_export, taken_back, explained, second_source, directory)


def _run(processes: Processes, company: Company, *arguments: str) -> Finished:
    done = rollbook(processes, company, *arguments)
    if done.code:
        raise DemoError(
            f"rollbook {' '.join(arguments)} ended with code {done.code}\n{done.errors}{done.output}"
        )
    return done


def _undo(processes: Processes, company: Company, done: Finished, scene: Scene) -> None:
    """Take a run back."""
    number = json.loads(done.output)["run"]
    undone = _run(processes, company, "undo", str(number), "--yes")
    scene.expect(
        bool(re.search(rf"run {number} is taken back|nothing to take back", undone.output)),
        f"undo does not say that run {number} is taken back",
    )


def _rows(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        return list(reader), list(reader.fieldnames or ())


def _write(path: Path, rows: list[dict[str, str]], names: list[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def _answers(company: Company) -> dict[str, bytes]:
    return {name: service.read().answers for name, service in company.services.items() if name != "hub"}


def _accounts(company: Company) -> Mapping[str, object]:
    """What every system holds, without what it counts itself."""
    found = {name: service.read() for name, service in company.services.items() if name != "hub"}
    return {name: (dict(one.accounts), dict(one.groups)) for name, one in found.items()}
