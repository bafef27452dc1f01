"""`rollbook demo`: starts a hub and five systems, plays four days, tells what happened, and leaves nothing behind."""

import importlib.util
import os
import secrets
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib.resources import as_file, files
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from rollbook.demo import report
from rollbook.demo.day import HUB, ROLLBOOK, Company, database_url, play
from rollbook.demo.evening import SCENES
from rollbook.demo.expected import SYSTEMS
from rollbook.demo.processes import DemoError, Processes, free_ports
from rollbook.demo.scim import Service

DAYS = (1, 2, 3, 4)
FOREIGN = "source-control"
"""The system that is played by an implementation that is not ours, where it is installed."""


def main(*, keep: bool = False) -> int:
    """Run the demo and turn whatever stops it into a message and an exit code."""
    errors = Console(stderr=True)
    try:
        return run(keep=keep)
    except DemoError as error:
        errors.print(f"[bold red]FAILED[/]: {escape(str(error))}")
        return 1
    except KeyboardInterrupt:
        errors.print("Stopped; everything the demo started has ended.")
        return 130


def run(*, keep: bool) -> int:
    """Play the story; the exit code is 0 if every system was as HR said after every day.

    Raises:
        DemoError: something did not start, or failed.
    """
    console = Console(highlight=False)
    started = time.monotonic()
    today = date.today()  # noqa: DTZ011 - as a person would say it
    wrong = 0
    with (
        _directory(keep=keep) as directory,
        Processes(_prepare(directory), _environment(directory), keep) as processes,
    ):
        company = _open(console, processes, directory)
        for day in DAYS:
            report.begin_day(console, day)
            outcome = play(processes, company, day, today)
            report.show_day(console, outcome, company)
            wrong += len(outcome.wrong)
        report.begin_evening(console)
        for scene in SCENES:
            came = scene(processes, company)
            report.show_scene(console, came.told, came.wrong)
            wrong += len(came.wrong)
        report.show_end(console, wrong, time.monotonic() - started)
        if keep:
            stop = _write_stop(directory, processes)
            report.show_kept(console, list(company.services.values()), directory, stop)
    return 1 if wrong else 0


@contextmanager
def _directory(*, keep: bool) -> Iterator[Path]:
    """The only place the demo writes to; removed at the end unless the systems in it were left running."""
    _end_politely()
    directory = Path(tempfile.mkdtemp(prefix="rollbook-demo-"))
    try:
        yield directory
    finally:
        if not (keep and (directory / "stop").exists()):
            shutil.rmtree(directory, ignore_errors=True)


def _end_politely() -> None:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does: by way of every `finally`."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


def _prepare(directory: Path) -> Path:
    """Copy the configuration and HR's exports into place; returns the directory for logs."""
    with as_file(files("rollbook.demo") / "data") as data:
        shutil.copytree(data, directory, dirs_exist_ok=True)
    for name in ("hr", "logs"):
        (directory / name).mkdir()
    return directory / "logs"


def _environment(directory: Path) -> dict[str, str]:
    """The environment of every process: nothing of the user's Rollbook, nothing written to their home."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ROLLBOOK_")}
    home = str(directory / "home")
    if sys.dont_write_bytecode:
        # Dozens of programs start: what all of them load is compiled once, and kept where nobody minds.
        inherited |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(directory / "bytecode")}
    return inherited | {
        "XDG_DATA_HOME": home,
        "XDG_CONFIG_HOME": home,
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
    }


def _open(console: Console, processes: Processes, directory: Path) -> Company:
    """Start the hub and the five systems, and put their addresses into the configuration."""
    names = [HUB, *(system.name for system in SYSTEMS)]
    configuration = (directory / "rollbook.yaml").read_text("utf-8")
    services, players = {}, {}
    for number, (name, port) in enumerate(zip(names, free_ports(len(names)), strict=True)):
        token = secrets.token_urlsafe(24)
        foreign = name == FOREIGN and importlib.util.find_spec("scim2_server") is not None
        players[name] = "scim2-server, not ours" if foreign else "Rollbook"
        services[name] = Service(name, f"http://127.0.0.1:{port}{'/v2' if foreign else '/scim/v2'}", token)
        written = f"http://127.0.0.1:900{number}{'/v2' if name == FOREIGN else '/scim/v2'}"
        configuration = configuration.replace(written, services[name].url)
        if foreign:
            _start_foreign(processes, name, port, token)
        else:
            _start_ours(processes, directory, name, port, token)
    (directory / "rollbook.yaml").write_text(configuration, "utf-8")
    for name, service in services.items():
        processes.wait(name, service.answers)
    report.show_systems(console, services, players)
    if players[FOREIGN] == "Rollbook":
        console.print(
            f"{FOREIGN} is ours too: scim2-server is not installed (pip install 'rollbook\\[demo]')."
        )
    return Company(directory, services)


def _start_ours(processes: Processes, directory: Path, name: str, port: int, token: str) -> None:
    command = [*ROLLBOOK, "serve", "--port", str(port), "--database", database_url(directory, name)]
    if name == HUB:
        command += ["--schemas", str(directory / "schemas")]
    processes.start(name, command, {"ROLLBOOK_BOOTSTRAP_TOKEN": token})


def _start_foreign(processes: Processes, name: str, port: int, token: str) -> None:
    command = "from scim2_server.testserver.cli import main; main()"
    # One argument with its value: a token may begin with a dash.
    processes.start(name, [sys.executable, "-c", command, "--port", str(port), f"--bearer-token={token}"], {})


def _write_stop(directory: Path, processes: Processes) -> Path:
    """A script that ends what was left running, and removes its files."""
    groups = " ".join(str(process.pid) for process in processes.running.values())
    stop = directory / "stop"
    stop.write_text(_STOP.format(groups=groups, directory=shlex.quote(str(directory))), "utf-8")
    return stop


_STOP = """\
for group in {groups}; do kill -TERM "-$group" 2>/dev/null; done
tries=50
for group in {groups}; do
    while kill -0 "-$group" 2>/dev/null && [ $tries -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
done
rm -r {directory}
"""
