"""One day of the story: HR's export is put in place and applied, then every system is read and judged."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from rollbook.demo.compare import SECRETS, Movement, differences, exposed, leaks, movement
from rollbook.demo.expected import SYSTEMS, Row, State, next_state, read_export, stray_lines
from rollbook.demo.processes import DemoError, Finished, Processes
from rollbook.demo.scim import Service, Snapshot

HUB = "hub"
ROLLBOOK = (sys.executable, "-m", "rollbook")


@dataclass
class Company:
    """Everything the story needs to remember from day to day."""

    directory: Path
    services: Mapping[str, Service]
    wanted: dict[str, State] = field(default_factory=lambda: {system.name: State() for system in SYSTEMS})
    found: dict[str, Snapshot] = field(default_factory=dict)
    people: dict[str, list[Row]] = field(default_factory=dict)
    """Every row HR ever sent of a person, newest last."""

    @property
    def rows(self) -> list[Row]:
        """All rows ever seen."""
        return [row for rows in self.people.values() for row in rows]

    @property
    def names(self) -> dict[str, str]:
        """Employee number → name as last heard."""
        return {key: f"{rows[-1]['first_name']} {rows[-1]['last_name']}" for key, rows in self.people.items()}

    @property
    def export(self) -> Path:
        """Where HR puts its list."""
        return self.directory / "hr" / "employees.csv"


@dataclass(frozen=True)
class Outcome:
    """What a day came to. `wrong` holds pairs of a system and what is wrong there."""

    movements: Mapping[str, Movement]
    exposed: Mapping[str, Mapping[str, int]]
    """System → sensitive column → how many of its values can be seen there."""
    strays: list[int]
    first: Finished
    second: Finished
    wrong: list[tuple[str, str]]
    brakes: list["Braked"] = field(default_factory=list)


@dataclass(frozen=True)
class Braked:
    """A system at which the brake has stopped the run, why, and what let it go on."""

    target: str
    reason: str
    command: str


def play(processes: Processes, company: Company, day: int, today: date) -> Outcome:
    """Play a day; `company` afterwards remembers what should be and what was found.

    Raises:
        DemoError: `rollbook apply` failed.
    """
    shutil.copyfile(company.directory / f"day{day}.csv", company.export)
    rows = read_export(company.export)
    for key, row in rows.items():
        company.people.setdefault(key, []).append(row)
    strays = stray_lines(company.export)

    first, brakes = _apply_with_a_word(processes, company, strays)
    before, company.found = company.found, _read(company)
    second = _apply(processes, company, strays)
    again = _read(company)

    for system in SYSTEMS:
        company.wanted[system.name] = next_state(system, company.wanted[system.name], rows, today)
    counts = _exposed(company)
    return Outcome(
        movements={s.name: movement(before.get(s.name), company.found[s.name]) for s in SYSTEMS},
        exposed=counts,
        strays=strays,
        first=first,
        second=second,
        wrong=[*_judge(company, before, counts), *_judge_second(second, company.found, again)],
        brakes=brakes,
    )


def _apply_with_a_word(
    processes: Processes, company: Company, strays: list[int]
) -> tuple[Finished, list[Braked]]:
    """The same, where the brake may ask: somebody looks at the plan, and approves of exactly that."""
    done = rollbook(processes, company, "apply", "--json")
    brakes = list(braked(done))
    for one in brakes:
        agreed = rollbook(processes, company, *one.command.split()[1:], "--no-pull")
        if agreed.code:
            raise DemoError(f"{one.command} ended with code {agreed.code}\n{agreed.errors}{agreed.output}")
    return (_apply(processes, company, strays) if brakes else _checked(done, strays)), brakes


def braked(done: Finished) -> Iterator[Braked]:
    """The systems at which the brake has stopped a run."""
    try:
        targets = json.loads(done.output)["targets"]
    except (ValueError, KeyError):
        return
    for target in targets:
        if target["brake"]:
            yield Braked(
                target["target"], target["brake"]["reason"], target["hint"].rpartition("if it is right: ")[2]
            )


def rollbook(processes: Processes, company: Company, *arguments: str) -> Finished:
    """Run the real command, as a user would."""
    named = ("--config", "rollbook.yaml", "--database", database_url(company.directory, HUB))
    tokens = {
        f"{name.upper().replace('-', '_')}_TOKEN": service.token for name, service in company.services.items()
    }
    return processes.run([*ROLLBOOK, *arguments, *named], tokens, company.directory)


def _apply(processes: Processes, company: Company, strays: list[int]) -> Finished:
    """Apply; it must report the stray rows, and nothing else."""
    return _checked(rollbook(processes, company, "apply", "--json"), strays)


def _checked(done: Finished, strays: list[int]) -> Finished:
    if done.code != bool(strays) or _problems(done) != strays:
        raise DemoError(f"rollbook apply ended with code {done.code}\n{done.errors}{done.output}")
    return done


def _problems(done: Finished) -> list[int]:
    """The lines of the export that a run could not use; anything else that went wrong is line 0."""
    try:
        told = json.loads(done.output)
    except ValueError:
        return [0]
    lines = [problem["line"] or 0 for source in told["sources"] for problem in source.get("problems", ())]
    return lines + [0 for target in told["targets"] if target["failures"] or target["stopped"]]


def database_url(directory: Path, name: str) -> str:
    """The database of the hub or of a system."""
    return f"sqlite:///{directory / name}.db"


def _read(company: Company) -> dict[str, Snapshot]:
    return {name: service.read() for name, service in company.services.items()}


def _exposed(company: Company) -> dict[str, dict[str, int]]:
    values = {secret.title: secret.values(company.rows) for secret in SECRETS}
    return {
        name: {title: exposed(wanted, snapshot.answers) for title, wanted in values.items()}
        for name, snapshot in company.found.items()
    }


def _judge(
    company: Company, before: Mapping[str, Snapshot], counts: Mapping[str, Mapping[str, int]]
) -> Iterator[tuple[str, str]]:
    for system in SYSTEMS:
        name = system.name
        for difference in differences(company.wanted[name], company.found[name], before.get(name)):
            yield name, difference
        for leak in leaks(system, counts[name]):
            yield name, leak
    for key in sorted(company.people.keys() ^ company.found[HUB].accounts.keys()):
        yield HUB, f"{key}: is in only one of HR's exports and the hub"
    births = {row["birth_date"] for row in company.rows}
    if counts[HUB]["birth date"] != len(births):
        yield HUB, "does not show every birth date, so that finding none elsewhere proves little"


def _judge_second(
    second: Finished, found: Mapping[str, Snapshot], again: Mapping[str, Snapshot]
) -> Iterator[tuple[str, str]]:
    """A second run straight after the first must write nothing: by its own count, and by what can be seen."""
    told = json.loads(second.output)
    if told["writes"]:
        yield "rollbook apply", f"a second run made {told['writes']} writing calls"
    for source in told["sources"]:
        changed = source["created"] + source["changed"] + source["disabled"] + source["deleted"]
        if changed:
            yield "rollbook apply", f"a second run changed {changed} people in the hub"
    for name, snapshot in found.items():
        if snapshot.answers != again[name].answers:
            yield name, "answers something else after a second run that had nothing to do"
