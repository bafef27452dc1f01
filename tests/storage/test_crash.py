"""A process killed at any moment loses nothing it acknowledged, and leaves nothing half (I-01, I-02, FS-01)."""

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from tests.postgres_server import empty, make_tables, own_server
from tests.storage.lives import faults, states

from rollbook.protocol.catalog import core_catalog
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.files import prepare
from rollbook.storage.sql.sqlite import SqliteConnection

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

_ROOT = Path(__file__).parents[2]


class _Place:
    """A database, and what a round kills: the process that writes to it."""

    rounds = 6

    def __init__(self, url: str) -> None:
        self.url = url

    def kill(self, writer: "subprocess.Popen[str]") -> None:
        """Now."""
        writer.kill()

    def look(self) -> None:
        """Whatever there is to see before it is opened."""


class _File(_Place):
    def __init__(self, path: Path) -> None:
        super().__init__(f"sqlite:///{path}")
        self.path = path

    def look(self) -> None:
        connection = SqliteConnection(self.path)
        assert connection.all("PRAGMA integrity_check") == [("ok",)]
        connection.close()


class _Server(_Place):
    """A PostgreSQL server that is killed with every process of it, and started again."""

    rounds = 4

    def __init__(self, server: Any) -> None:
        self.server = server
        super().__init__(str(server.get_uri()))

    def kill(self, writer: "subprocess.Popen[str]") -> None:
        process = self.server.get_postmaster_info().process
        for each in (process, *process.children(recursive=True)):
            each.kill()
        process.wait(10)
        writer.wait(60)

    def look(self) -> None:
        self.server.ensure_postgres_running()


@pytest.fixture(params=["SQLite", "PostgreSQL", "a PostgreSQL server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[_Place]:
    """What is killed, and where."""
    if request.param == "SQLite":
        yield _File(tmp_path / "rollbook.db")
    elif request.param == "PostgreSQL":
        url = str(request.getfixturevalue("postgres_database"))
        empty(url)
        yield _Place(url)
    else:
        with own_server() as server:
            make_tables(str(server.get_uri()))
            yield _Server(server)


def _kill_after(lines: int, place: _Place, *arguments: str) -> list[tuple[str, str, str]]:
    """What a program of this folder told before the kill, after that many lines of it were read."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as process:
        assert process.stdout is not None
        told = list(islice(process.stdout, lines))
        rest: list[str] = []
        reader = threading.Thread(target=lambda: rest.extend(process.stdout or ()))
        reader.start()
        place.kill(process)
        reader.join()
    assert len(told) == lines, "the writer ended by itself"
    return [
        (verb, name, state) for verb, name, state in (line.rstrip("\n").split(" ", 2) for line in told + rest)
    ]


async def test_what_was_acknowledged_survives_kill(place: _Place) -> None:
    """After every kill each resource is as last acknowledged, or as the write under way would have it."""
    chance = random.Random(20261123)
    for number in range(place.rounds):
        told = _kill_after(
            chance.randrange(1, 600), place, "tests.storage.crash_writer", place.url, str(number)
        )
        place.look()
        store = open_store(place.url, core_catalog())
        await store.open()
        assert await store.check() == []
        assert await faults(store, states(told)) == []
        await store.close()


def test_a_database_is_made_whole_or_not_at_all(tmp_path: Path) -> None:
    """FS-10: killed while it makes databases, a process leaves none that cannot be opened."""
    program = (
        "import itertools, os, pathlib, sys\n"
        "from rollbook.storage.sql.files import prepare\n"
        "for number in itertools.count():\n"
        "    prepare(pathlib.Path(sys.argv[1]) / f'{number}.db')\n"
        "    os.write(1, b'made\\n')\n"
    )
    script = tmp_path / "maker.py"
    script.write_text(program)
    command = [sys.executable, str(script), str(tmp_path)]
    for lines in (1, 7, 30):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert len(list(islice(process.stdout, lines))) == lines
            process.kill()
    made = sorted(tmp_path.glob("*.db"))
    assert len(made) >= 30
    for path in made:
        assert not prepare(path)
