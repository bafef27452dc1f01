"""What was acknowledged survives a loss of power, and any call to the disk that fails (FS-03, FS-05, FS-08)."""

import asyncio
import random
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.storage.lives import faults, live, make_group, states
from tests.storage.power import Disk, Event, losses

from rollbook.protocol.catalog import core_catalog
from rollbook.storage.sql import sqlite
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.sqlite import SqliteConnection
from rollbook.storage.sql.store import SqlStore

pytestmark = pytest.mark.anyio

TASKS = 16
WRITES = 1_000
CUTS = 120


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    """A disk for every database opened after this."""
    # The driver also reports errors of file methods here, when SQLite has no one to hand them to.
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    made = Disk()
    yield made
    made.unregister()


async def _written(disk: Disk, path: Path, writes: int) -> tuple[dict[str, bytes], list[Event]]:
    """The file before many tasks wrote to it, and all that happened to the disk until so many writes were answered."""
    store = open_store(f"sqlite:///{path}", core_catalog())
    await store.open()
    await make_group(store)
    await store.close()
    before = {path.name: await asyncio.to_thread(path.read_bytes)}
    disk.events.clear()
    enough = asyncio.Event()
    answered = 0

    def tell(verb: str, name: str, state: str) -> None:
        nonlocal answered
        disk.say(verb, name, state)
        answered += verb == "ok"
        if answered >= writes:
            enough.set()

    store = open_store(f"sqlite:///{path}", core_catalog())
    await store.open()
    tasks = [asyncio.create_task(live(store, f"u{number}", tell)) for number in range(TASKS)]
    await enough.wait()
    happened = list(disk.events)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.close()
    return before, happened


async def _found(
    directory: Path, files: dict[str, bytes], told: list[tuple[str, str, str]], *, whole: bool
) -> list[str]:
    """What is wrong with a database that was found after a loss."""
    for name, content in files.items():
        (directory / name).write_bytes(content)
    path = directory / "store.db"
    connection = SqliteConnection(path)
    wrong = [str(row[0]) for row in connection.all("PRAGMA integrity_check(3)") if row[0] != "ok"]
    connection.close()
    store = open_store(f"sqlite:///{path}", core_catalog())
    await store.open()
    try:
        wrong += await faults(store, states(told))
        if whole:
            wrong += await store.check()
    finally:
        await store.close()
    return wrong


async def _lost(disk: Disk, tmp_path: Path, cuts: int) -> list[str]:
    """What a loss of power at any of so many moments would have cost."""
    before, happened = await _written(disk, tmp_path / "store.db", WRITES)
    chance = random.Random(20261127)
    assert len(happened) > 2 * WRITES
    flushes = [at + 1 for at, event in enumerate(happened) if event.kind == "flush"]
    chosen = {
        *chance.sample(range(len(happened)), cuts // 2),
        *chance.sample(flushes, min(cuts // 2, len(flushes))),
    }
    found: list[str] = []
    for number, (files, told) in enumerate(losses(before, happened, chosen, chance)):
        directory = tmp_path / f"after-{number}"
        directory.mkdir()
        found += await _found(directory, files, told, whole=number % 10 == 0)
    return found


async def test_a_loss_of_power(disk: Disk, tmp_path: Path, thorough: bool) -> None:
    """FS-03: unflushed writes may be there, missing or torn; what was acknowledged is there, and nothing is half."""
    assert await _lost(disk, tmp_path, CUTS * 20 if thorough else CUTS) == []


async def test_the_model_sees_what_is_not_flushed(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with commits that do not wait for the disk does lose what was acknowledged: the model can fail."""
    lazy = tuple(pragma.replace("= FULL", "= NORMAL") for pragma in sqlite._PRAGMAS)
    assert lazy != sqlite._PRAGMAS
    monkeypatch.setattr(sqlite, "_PRAGMAS", lazy)
    assert await _lost(disk, tmp_path, 20) != []


async def _some_writes(store: SqlStore, told: list[tuple[str, str, str]], *names: str) -> None:
    """Lives of six writes at once."""

    def tell(verb: str, name: str, state: str) -> None:
        told.append((verb, name, state))
        if verb == "ok" and sum(one == "ok" and other == name for one, other, _ in told) == 6:
            raise _Enough

    async def some(name: str) -> None:
        with suppress(_Enough):
            await live(store, name, tell)

    await asyncio.gather(*map(some, names))


class _Enough(Exception):
    """A life was long enough."""


async def _calls(disk: Disk, path: Path, failing: int | None) -> int:
    """How many calls to the disk some writes make, of which one fails; they are right afterwards, and the next ones go on."""
    url = f"sqlite:///{path}"
    store = open_store(url, core_catalog())
    await store.open()
    await make_group(store)
    told: list[tuple[str, str, str]] = []
    disk.calls, disk.fails_at = 0, failing
    await _some_writes(store, told, "a", "b")
    calls, disk.fails_at = disk.calls, None
    await _some_writes(store, told, "c")
    assert sum(verb == "ok" and name == "c" for verb, name, _ in told) == 6
    assert await faults(store, states(told)) == []
    await store.close()
    store = open_store(url, core_catalog())
    await store.open()
    assert await faults(store, states(told)) == []
    assert await store.check() == []
    await store.close()
    return calls


async def test_any_call_to_the_disk_fails(disk: Disk, tmp_path: Path) -> None:
    """FS-05, FS-08: whichever call it is, writes are whole and acknowledged or refused, and the next one goes on."""
    calls = await _calls(disk, tmp_path / "none.db", None)
    assert calls > 100
    for number in range(calls):
        await _calls(disk, tmp_path / f"{number}.db", number)
