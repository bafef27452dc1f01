"""Plays four days of a company: HR exports in, `rollbook apply`, and a look at every system after each day."""

import importlib.util
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.resources import as_file, files
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from rollbook.demo import report
from rollbook.demo.compare import SECRETS, differences, exposed, leaks, movement
from rollbook.demo.expected import SYSTEMS, Row, State, next_state, read_export
from rollbook.demo.processes import DemoError, Finished, Processes, free_ports
from rollbook.demo.scim import Service, Snapshot

DAYS = (1, 2, 3, 4)
HUB = "hub"
FOREIGN = "source-control"
"""The system that is played by an implementation that is not ours, where it is installed."""

_ROLLBOOK = (sys.executable, "-m", "rollbook")


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


def run(*, keep: bool = False) -> int:
    """Play the story; the exit code is 0 if every system was as HR said after every day.

    Raises:
        DemoError: something did not start, or answered nonsense.
    """
    console = Console()
    started = time.monotonic()
    _die_politely()
    directory = Path(tempfile.mkdtemp(prefix="rollbook-demo-"))
    try:
        with Processes(_prepare(directory), _environment(directory), keep) as processes:
            company = _open(console, processes, directory)
            wrong = [found for day in DAYS for found in _play(console, processes, company, day)]
            _close(console, wrong, time.monotonic() - started)
            if keep:
                stop = _write_stop(directory, processes)
                report.show_kept(console, list(company.services.values()), str(directory), str(stop))
    finally:
        if not (keep and (directory / "stop").exists()):
            shutil.rmtree(directory, ignore_errors=True)
    return 1 if wrong else 0


def _die_politely() -> None:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does: by way of every `finally`."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def _prepare(directory: Path) -> Path:
    """Copy the configuration into place; returns the directory for logs."""
    with as_file(files("rollbook.demo") / "data") as data:
        shutil.copytree(data, directory, dirs_exist_ok=True)
    for name in ("hr", "logs"):
        (directory / name).mkdir()
    return directory / "logs"


def _environment(directory: Path) -> dict[str, str]:
    """The environment of every process: nothing of the user's Rollbook, nothing written to their home."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ROLLBOOK_")}
    return inherited | {
        "XDG_DATA_HOME": str(directory / "home"),
        "XDG_CONFIG_HOME": str(directory / "home"),
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
    }


def _open(console: Console, processes: Processes, directory: Path) -> Company:
    """Start the hub and the five systems."""
    names = [HUB, *(system.name for system in SYSTEMS)]
    configuration = (directory / "rollbook.yaml").read_text("utf-8")
    services, players = {}, {}
    for number, (name, port) in enumerate(zip(names, free_ports(len(names)), strict=True)):
        token = secrets.token_urlsafe(24)
        foreign = name == FOREIGN and importlib.util.find_spec("scim2_server") is not None
        base = "/v2" if foreign else "/scim/v2"
        services[name] = Service(name, f"http://127.0.0.1:{port}{base}", token)
        players[name] = "scim2-server, not ours" if foreign else "Rollbook"
        placeholder = f"http://127.0.0.1:900{number}" + ("/v2" if name == FOREIGN else "/scim/v2")
        configuration = configuration.replace(placeholder, services[name].url)
        start = _start_foreign if foreign else _start_ours
        start(processes, directory, name, port, token)
    (directory / "rollbook.yaml").write_text(configuration, "utf-8")
    for name, service in services.items():
        processes.wait(name, service.answers)
    report.show_systems(console, services, players)
    if players[FOREIGN] == "Rollbook":
        console.print(
            "scim2-server is not installed (pip install 'rollbook[demo]'): source-control is ours too."
        )
    return Company(directory, services)


def _start_ours(processes: Processes, directory: Path, name: str, port: int, token: str) -> None:
    command = [*_ROLLBOOK, "serve", "--port", str(port), "--database", _database(directory, name)]
    if name == HUB:
        command += ["--schemas", str(directory / "schemas")]
    processes.start(name, command, {"ROLLBOOK_BOOTSTRAP_TOKEN": token})


def _start_foreign(processes: Processes, directory: Path, name: str, port: int, token: str) -> None:  # noqa: ARG001 - same form as _start_ours
    main = "from scim2_server.testserver.cli import main; main()"
    processes.start(name, [sys.executable, "-c", main, "--port", str(port), "--bearer-token", token], {})


def _database(directory: Path, name: str) -> str:
    return f"sqlite:///{directory / name}.db"


def _play(console: Console, processes: Processes, company: Company, day: int) -> list[tuple[str, str]]:
    """One day: the export is put in place and applied, then every system is read and compared."""
    console.rule(f"[bold]Day {day}[/]: {report.STORY[day]}", align="left")
    export = company.directory / "hr" / "employees.csv"
    shutil.copyfile(company.directory / f"day{day}.csv", export)
    rows = read_export(export)
    for key, row in rows.items():
        company.people.setdefault(key, []).append(row)

    first = _apply(processes, company)
    before, company.found = company.found, _read(company)
    second = _apply(processes, company)
    again = _read(company)

    for system in SYSTEMS:
        company.wanted[system.name] = next_state(
            system, company.wanted[system.name], rows, date.today()  # noqa: DTZ011 - as a person would say it
        )  # fmt: skip
    movements = {s.name: movement(before.get(s.name), company.found[s.name]) for s in SYSTEMS}
    report.show_day(console, movements, company.found, company.names)
    counts = _exposed(company)
    report.show_withheld(console, counts)
    wrong = [*_judge(company, before, counts), *_judge_second(second, company.found, again)]
    report.show_differences(console, wrong)
    _show_times(console, first, second, company, wrong)
    return wrong


def _apply(processes: Processes, company: Company) -> Finished:
    """Run the real command, as a user would."""
    command = [*_ROLLBOOK, "apply", "--json", "--config", "rollbook.yaml"]
    command += ["--database", _database(company.directory, HUB), "--schemas", "schemas"]
    tokens = {
        f"{name.upper().replace('-', '_')}_TOKEN": service.token for name, service in company.services.items()
    }
    done = processes.run(command, tokens, company.directory)
    if done.code != 0:
        raise DemoError(f"rollbook apply ended with code {done.code}\n{done.errors}{done.output}")
    return done


def _read(company: Company) -> dict[str, Snapshot]:
    return {name: service.read() for name, service in company.services.items()}


def _exposed(company: Company) -> dict[str, dict[str, int]]:
    """System → sensitive column → how many of its values can be seen there."""
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
    if not counts[HUB]["birth date"]:
        yield HUB, "shows no birth dates, so that finding none elsewhere proves nothing"


def _judge_second(
    second: Finished, found: Mapping[str, Snapshot], again: Mapping[str, Snapshot]
) -> Iterator[tuple[str, str]]:
    """A second run straight after the first must write nothing: by its own count, and by what can be seen."""
    writes = json.loads(second.output)["writes"]
    if writes:
        yield "rollbook apply", f"a second run made {writes} writing calls"
    for name, snapshot in found.items():
        if snapshot.answers != again[name].answers:
            yield name, "answers something else after a second run that had nothing to do"


def _show_times(
    console: Console, first: Finished, second: Finished, company: Company, wrong: list[tuple[str, str]]
) -> None:
    accounts = sum(len(company.found[system.name].accounts) for system in SYSTEMS)
    verdict = f"[red]{len(wrong)} differences[/]" if wrong else "[green]all as HR said[/]"
    console.print(
        f"{accounts} accounts read back over SCIM: {verdict}. rollbook apply took {first.seconds:.1f} s, "
        f"and {second.seconds:.1f} s a second time, without a writing call."
        if not wrong
        else f"{accounts} accounts read back over SCIM: {verdict}."
    )


def _close(console: Console, wrong: list[tuple[str, str]], seconds: float) -> None:
    console.rule()
    if wrong:
        console.print(f"[bold red]FAILED[/]: {len(wrong)} differences between HR and the systems, see above.")
    else:
        console.print(f"[bold green]Four days, five systems, no difference.[/] {seconds:.0f} s in all.")


def _write_stop(directory: Path, processes: Processes) -> Path:
    groups = " ".join(f"-{process.pid}" for process in processes.running.values())
    stop = directory / "stop"
    stop.write_text(f"kill -TERM -- {groups}\nrm -r '{directory}'\n", "utf-8")
    return stop


def main(*, keep: bool = False) -> int:
    """Run the demo and turn whatever stops it into a message and an exit code."""
    console = Console(stderr=True)
    try:
        return run(keep=keep)
    except DemoError as error:
        console.print(f"[bold red]FAILED[/]: {escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        console.print("Stopped; everything the demo started has ended.")
        return 130
