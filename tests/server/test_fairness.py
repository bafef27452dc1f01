"""Whose turn it is when several tenants ask at once (I-20, T-50)."""

import asyncio
from dataclasses import dataclass

import pytest

from rollbook.server.fairness import ALONE, MOMENT_SECONDS, SHARE, FairGate, Lane

pytestmark = pytest.mark.anyio


@dataclass
class Clock:
    """Seconds that tests move."""

    at: float = 100.0

    def __call__(self) -> float:
        return self.at


def lane(tenant: int, *, searches: bool = False) -> Lane:
    """Where a tenant's requests queue."""
    return tenant, searches


async def enter(gate: FairGate, lane: Lane) -> None:
    """Go in, or wait for it."""
    if not gate.is_free(lane):
        await gate.wait(lane)


async def ask(gate: FairGate, lane: Lane, clock: Clock, seconds: float, told: list[Lane]) -> None:
    """One request that is worked on in one piece."""
    await enter(gate, lane)
    clock.at += seconds
    told.append(lane)
    gate.leave(lane)


async def crowded(clock: Clock, share: int = SHARE) -> FairGate:
    """A gate at which two tenants have just asked."""
    gate = FairGate(share, clock)
    for tenant in (1, 2):
        await enter(gate, lane(tenant))
        gate.leave(lane(tenant))
    await asyncio.sleep(0)
    return gate


async def test_alone_nobody_waits() -> None:
    """A tenant that is the only one to ask is never held back by how many it asks."""
    clock = Clock()
    gate = FairGate(clock=clock)
    await enter(gate, lane(7))
    clock.at += 60
    await asyncio.sleep(0)
    assert all(gate.is_free(lane(7)) for _ in range(1_000))


async def test_a_flood_waits_in_its_own_queue() -> None:
    """With two tenants, the one that asks a thousand things has `SHARE` under way, and the other goes in at once."""
    gate = await crowded(Clock())
    flood = [asyncio.create_task(enter(gate, lane(1))) for _ in range(1_000)]
    await asyncio.sleep(0)
    assert sum(task.done() for task in flood) == SHARE
    assert gate.is_free(lane(2))
    for _ in range(1_000):
        gate.leave(lane(1))
        for _ in range(3):
            await asyncio.sleep(0)
    assert all(task.done() for task in flood)
    gate.leave(lane(2))
    assert gate.inside == {}
    assert gate.queues == {}


async def test_what_never_waits_for_anything_is_done_in_turn() -> None:
    """Of a hundred requests that came before another tenant's, and are each done in one piece, two are in front of it."""
    clock, told = Clock(), list[Lane]()
    gate = await crowded(clock)
    many = [asyncio.create_task(ask(gate, lane(1), clock, 0.003, told)) for _ in range(100)]
    one = asyncio.create_task(ask(gate, lane(2), clock, 0.003, told))
    await asyncio.gather(*many, one)
    assert told.index(lane(2)) == 2
    assert len(told) == 101
    assert gate.inside == {}


async def test_the_first_of_another_tenant_waits_for_few() -> None:
    """Also where a tenant was alone until then, and has a hundred requests there."""
    clock, told = Clock(), list[Lane]()
    gate = FairGate(clock=clock)
    await enter(gate, lane(1))
    gate.leave(lane(1))
    clock.at += 60
    many = [asyncio.create_task(ask(gate, lane(1), clock, 0.003, told)) for _ in range(100)]
    for _ in range(4):
        await asyncio.sleep(0)
    before = len(told)
    assert before < 100
    one = asyncio.create_task(ask(gate, lane(2), clock, 0.003, told))
    await asyncio.gather(*many, one)
    assert told.index(lane(2)) - before <= 2 * ALONE


async def test_quick_ones_begin_as_they_come() -> None:
    """What takes a small part of a moment has no queue: all of them in one turn of the loop."""
    clock, told = Clock(), list[Lane]()
    gate = await crowded(clock)
    tasks = [
        asyncio.create_task(ask(gate, lane(each % 2), clock, MOMENT_SECONDS / 10, told)) for each in range(8)
    ]
    await asyncio.sleep(0)
    assert [each.done() for each in tasks] == [True] * 8


async def test_searches_are_not_in_the_way_of_other_requests() -> None:
    """A tenant whose searches take all their places reads and writes single resources as before."""
    gate = await crowded(Clock())
    searches = [asyncio.create_task(enter(gate, lane(1, searches=True))) for _ in range(20)]
    await asyncio.sleep(0)
    assert gate.is_free(lane(1))
    assert not gate.is_free(lane(1, searches=True))
    for search in searches:
        search.cancel()


async def test_whoever_goes_away_while_waiting_leaves_no_place_taken() -> None:
    """A request that is given up, before its turn or in the moment of it, holds nobody up."""
    gate = await crowded(Clock(), share=1)
    await enter(gate, lane(1))
    first, second, third = (asyncio.create_task(enter(gate, lane(1))) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    gate.leave(lane(1))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait_for(third, 1)
    gate.leave(lane(1))
    assert gate.inside == {}
    assert gate.queues == {}
