"""Databases of ours for the benches: made, filled by `rollbook import`, and gone at the end."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.cases import import_file
from bench.postgres import database, server
from bench.servers import POSTGRES, POSTGRES_2, ROLLBOOK, Kind

OURS = {"sqlite": (ROLLBOOK,), "postgresql": (POSTGRES, POSTGRES_2)}
"""The ways in which we are measured, by the names of the backends."""


def filled(backend: str, users: int, directory: Path) -> Iterator[tuple[Kind, str]]:
    """A way to serve, and the URL of a database of its own with so many users, for each way of a backend."""
    file = directory / f"{users}.jsonl"
    if not file.exists():
        import_file(file, users)
    yield from (_sqlite if backend == "sqlite" else _postgres)(users, file, directory)


def _sqlite(users: int, file: Path, directory: Path) -> Iterator[tuple[Kind, str]]:
    path = directory / "bench.db"
    url = f"sqlite:///{path}"
    load(url, users, file)
    yield ROLLBOOK, url
    for each in directory.glob("bench.db*"):
        each.unlink()


def _postgres(users: int, file: Path, _: Path) -> Iterator[tuple[Kind, str]]:
    with server() as url, database(url) as first:
        load(first, users, file)
        with database(url, copied=first) as second:
            yield from ((POSTGRES, first), (POSTGRES_2, second))


def load(url: str, users: int, file: Path) -> float:
    """Fill a database; how many seconds it took."""
    command = [sys.executable, "-m", "rollbook"]
    subprocess.run(
        [*command, "database", "migrate", "--database", url], check=True, stdout=subprocess.DEVNULL
    )
    begun = time.perf_counter()
    subprocess.run([*command, "import", str(file), "--database", url], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    subprocess.run([*command, "database", "vacuum", "--database", url], check=True, stdout=subprocess.DEVNULL)
    print(f"  {users:,} users imported: {users / seconds:,.0f} per second", flush=True)
    return seconds
