"""Fixtures every test may use."""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests.leaks import pytest_runtest_makereport
from tests.postgres_server import KEY, database, make_tables, server

from rollbook.operations import passwords

__all__ = ["pytest_runtest_makereport"]

for part in (
    "concurrency",
    "contract",
    "members",
    "nested",
    "references",
    "steps",
    "suite",
    "texts",
    "together",
):
    pytest.register_assert_rewrite(f"rollbook.testing.store_{part}")

# Hundreds of real commands are started: without bytecode each of them compiles all that it loads.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Thousands of databases are made, and each waits for a real disk several times. What a loss of power leaves of one is
# proved on a disk of our own (tests/storage/power.py), what a loss of a process leaves is the same in memory.
MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 4 << 30:
    os.environ["TMPDIR"] = str(MEMORY)
    tempfile.tempdir = None

# All that is collected stays to the end: looking through ten thousand tests for garbage, again and again, finds none.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave alone what is there by now, and look for garbage from here on."""
    gc.freeze()
    gc.enable()


# Timings are never asserted: a busy machine must not fail a property. The suite tries the same examples each time, so that what
# fails is what changed; other ones are tried by `make fuzz`.
settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.register_profile("explore", settings.get_profile("suite"), derandomize=False)
settings.register_profile("fuzz", settings.get_profile("explore"), max_examples=3000)
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of tests that run long first: at the end there are quick ones for a worker that has nothing to do."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Secrets in PostgreSQL want a key that is given; a SQLite file has one of its own beside it."""
    os.environ.pop("ROLLBOOK_KEY", None)
    if "postgres" in getattr(item, "fixturenames", ()) or "postgres" in item.nodeid:
        os.environ["ROLLBOOK_KEY"] = KEY


@pytest.fixture(scope="session", autouse=True)
def cheap_hashes() -> Iterator[Mapping[str, Any]]:
    """Passwords are hashed a thousand times quicker in this process; gives what it costs elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        usual = passwords.COST
        patch.setattr(passwords, "COST", {"time_cost": 1, "memory_cost": 64, "parallelism": 1})
        yield usual


@pytest.fixture
def usual_hashes(cheap_hashes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes cost in this test what they cost elsewhere."""
    monkeypatch.setattr(passwords, "COST", cheap_hashes)


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, as the product does."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server's database; tests make their own beside it."""
    with server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_database(postgres: str) -> Iterator[str]:
    """The URL of a database with our tables, which tests empty before they use it."""
    with database(postgres) as url:
        make_tables(url)
        yield url


SUMMARIES = {"judge": "judges that are not ours", "spec": "specification"}
"""What tests may record, and what it is shown under at the end (`tests/judges`, `tests/architecture/test_spec.py`)."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests have counted."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    properties = [each for report in reports for each in getattr(report, "user_properties", ())]
    for recorded, title in SUMMARIES.items():
        lines = sorted({str(said) for name, said in properties if name == recorded})
        if lines:
            terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)


def pytest_addoption(parser: pytest.Parser) -> None:
    """A longer search than fits into every run."""
    parser.addoption("--thorough", action="store_true", help="let schemathesis search for minutes")


@pytest.fixture
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether to search for long."""
    return bool(request.config.getoption("--thorough"))
