"""Figures of targets for people."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.provisioning.world import CATALOG, TENANT, World, target, world

from rollbook.provisioning.status import TargetStatus, target_status
from rollbook.testing.scripted_target import Answer, Fault, error, html

pytestmark = pytest.mark.anyio


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    async with world(tmp_path) as made:
        yield made


async def status(hub: World) -> TargetStatus:
    """The status of the usual target."""
    return await target_status(hub.store, hub.links, CATALOG, TENANT, target(), hub.clock.now())


async def test_a_target_that_was_never_worked_on(hub: World) -> None:
    """Nothing is known but how much there is to look at."""
    await hub.hire("ada")
    assert await status(hub) == TargetStatus("app", behind=1)


async def test_links_are_counted_by_state(hub: World) -> None:
    """Done, left, parked and waiting are told apart, with the reason and what to try."""
    people = [await hub.hire(name) for name in ("ada", "grace", "alan", "linus")]
    await hub.apply(target())
    await hub.change(people[0], active=False)
    await hub.change(people[1], title="parked")
    await hub.change(people[2], title="waits")
    hub.service().faults = [
        Fault("PATCH", "remote-2", error(400, "no such title", "invalidValue")),
        Fault("PATCH", "remote-3", html(500), times=9),
    ]
    await hub.apply(target(), patience=0)
    found = await status(hub)
    assert (found.done, found.left, found.parked, found.waiting, found.ready, found.behind) == (
        1,
        1,
        1,
        1,
        0,
        0,
    )
    problem, waiting = found.problems
    assert waiting.label == "alan"
    assert waiting.reason
    assert (problem.label, problem.reason) == ("grace", "400 invalidValue: no such title")
    assert problem.hint
    assert found.last_run is not None
    await hub.hire("dennis")
    assert (await status(hub)).behind == 1


async def test_a_pause_is_told_until_it_is_over(hub: World) -> None:
    """A target that asked to be left alone says so, and why, for as long."""
    await hub.hire("ada")
    hub.service().faults.append(Fault("POST", "/Users", Answer(429, headers={"retry-after": "600"})))
    await hub.apply(target())
    found = await status(hub)
    assert found.paused_until is not None
    assert found.paused_because == "HTTP 429 with no body"
    hub.clock.milliseconds = found.paused_until
    assert (await status(hub)).paused_until is None
