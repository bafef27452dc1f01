"""The demo as a user runs it: real processes, real commands."""

import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from rollbook.demo.expected import SYSTEMS
from rollbook.demo.scim import Service

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

COMMAND = [sys.executable, "-m", "rollbook", "demo"]
ADDRESS = re.compile(r"127\.0\.0\.1:\d+/(?:scim/)?v2")


def environment(directory: Path) -> dict[str, str]:
    """Temporary files in a directory of the test's own; a terminal that is wide enough for addresses."""
    return {**os.environ, "TMPDIR": str(directory), "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}


def is_up(url: str) -> bool:
    """Whether anything listens there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(url, timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Story:
    """A demo that was run with --keep: where its files were, and what it said."""

    directory: Path
    done: subprocess.CompletedProcess[str]

    @property
    def services(self) -> list[Service]:
        """The services it says it left running."""
        rows = re.findall(rf"│ ([a-z-]+) +│ (http://{ADDRESS.pattern}) +│ (\S+) +│", self.done.stdout)
        return [Service(*row) for row in rows if len(row[2]) == 32]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """One demo, left running; stopped at the end in any case."""
    directory = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [*COMMAND, "--keep"],
        env=environment(directory),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    yield Story(directory, done)
    for stop in directory.glob("*/stop"):
        subprocess.run(["sh", str(stop)], check=False, timeout=30)


def test_every_day_ends_as_hr_said(story: Story) -> None:
    """The demo ends well, and says so for each of four days."""
    assert story.done.returncode == 0, story.done.stderr + story.done.stdout
    assert story.done.stdout.count("all as HR said") == 4
    assert "Four days, five systems, no difference." in story.done.stdout


def test_people_are_named(story: Story) -> None:
    """The tables tell of people: the marriage, the leaver, the rehire."""
    days = story.done.stdout.split("Day ")[1:]
    assert "Aylin Brandt" in days[1]
    assert all("Tomáš Dvořák" in day for day in days[2:])


def test_who_plays_source_control_is_said(story: Story) -> None:
    """The output says that one of the systems is not ours."""
    assert re.search(r"source-control .* scim2-server, not ours", story.done.stdout)


def test_kept_systems_answer(story: Story) -> None:
    """With --keep every system is up, at the address and with the token the output names."""
    assert [service.name for service in story.services] == ["hub", *(system.name for system in SYSTEMS)]
    assert all(len(service.read().accounts) > 10 for service in story.services)


def test_kept_systems_can_be_stopped(story: Story) -> None:
    """The command the output names ends every process and removes every file."""
    services = story.services
    command = re.search(r"remove the files: (sh \S+)", story.done.stdout)
    assert command is not None
    subprocess.run(command[1].split(), check=True, timeout=30)
    assert list(story.directory.iterdir()) == []
    assert [service.url for service in services if is_up(service.url)] == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_leaves_nothing(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM end every process, remove every file, and show in the exit code."""
    process = subprocess.Popen(
        COMMAND, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    addresses: list[str] = []
    for line in process.stdout:
        addresses += ADDRESS.findall(line)
        if "Day 1" in line:
            break
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code, errors
    assert len(addresses) == len(SYSTEMS)
    assert [url for url in addresses if is_up(f"http://{url}")] == []
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in errors
