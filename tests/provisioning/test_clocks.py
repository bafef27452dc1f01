"""FE-15: several machines whose clocks differ, or are set while they work, go by the clock of their database."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.postgres_server import empty
from tests.provisioning.world import World, target, world

from rollbook.provisioning.orders import Report
from rollbook.provisioning.worker import Worker
from rollbook.storage.sql.clock import ASKED_SECONDS, DatabaseClock
from rollbook.testing.clock import Clock
from rollbook.testing.scripted_target import ScriptedTarget

pytestmark = pytest.mark.anyio

HOUR = 3_600_000


class Machine:
    """A machine with a clock that somebody sets, and what passes on it."""

    def __init__(self, hub: World, off: int) -> None:
        self.at, self.seconds = Clock().milliseconds + off, 1000.0
        self.clock = DatabaseClock(hub.store.database, lambda: self.at, lambda: self.seconds)
        self.engine = replace(hub.engine, now=self.clock.now, keep_time=self.clock.keep)
        self._connect = hub.connect

    async def work(self) -> Report:
        """One run."""
        (report,) = await Worker(self.engine, self._connect, patience=0.0).run([target()])
        return report


class Slow(ScriptedTarget):
    """A target that another machine works on while it has a request."""

    other: Machine | None = None
    seen: Report | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI interface."""
        other, self.other = self.other, None
        if other is not None and scope["method"] == "POST":
            self.seen = await other.work()
        elif other is not None:
            self.other = other
        await super().__call__(scope, receive, send)


@pytest.fixture
async def hub(tmp_path: Path, postgres_database: str) -> AsyncIterator[World]:
    """A new world in PostgreSQL."""
    empty(postgres_database)
    async with world(tmp_path, postgres_database) as made:
        yield made


@pytest.mark.parametrize("off", [HOUR, -HOUR])
async def test_fe_15_a_lease_is_held_whatever_the_machines_think(hub: World, off: int) -> None:
    """Somebody whose clock is an hour ahead takes nothing out of the hands of somebody who is at it, nor does one behind wait for ever."""
    service = hub.far["app"] = Slow()
    service.other = Machine(hub, off)
    for name in ("ada", "grace"):
        await hub.hire(name)
    report = await Machine(hub, 0).work()
    assert service.seen is not None
    assert service.seen.writes == 0
    assert service.seen.held
    assert report.counts["create"] == 2
    assert len(service.writes) == 2


async def test_fe_15_who_died_is_followed_in_time(hub: World) -> None:
    """Also by a machine whose clock stands an hour behind: what passes is measured, and the database asked again."""
    await hub.hire("ada")
    dead, next_one = Machine(hub, 0), Machine(hub, -HOUR)
    await dead.clock.keep()
    links, now = hub.links, dead.clock.now()
    number = (await links.open_target(1, "app", "1")).number
    await links.walk(1, number, {"User": 0}, now, 10)
    assert len(await links.claim(1, number, 0, now, now + dead.engine.lease, 10)) == 1
    assert (await next_one.work()).held == 1
    next_one.seconds += ASKED_SECONDS - 1  # not asked again: it is later by what has passed
    before = next_one.clock.now()
    await next_one.clock.keep()
    assert abs(next_one.clock.now() - before) < 10
    next_one.at += 30 * HOUR  # somebody sets the machine's clock
    assert abs(next_one.clock.now() - before) < 10
    next_one.seconds += 2
    await next_one.clock.keep()
    assert abs(next_one.clock.now() - before) < HOUR // 60  # as the database says


async def test_fe_15_a_file_has_the_clock_of_its_machine(tmp_path: Path) -> None:
    """Its processes are on one machine, and none has another clock."""
    async with world(tmp_path) as made:
        machine = Machine(made, HOUR)
        await machine.clock.keep()
        machine.at += 5
        assert machine.clock.now() == machine.at
