"""The table of states and moves, and that the store's SQL keeps to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.provisioning.world import TENANT, World, world

from rollbook.provisioning.states import MOVES, Event, move
from rollbook.storage.links import Link, Outcome, State

pytestmark = pytest.mark.anyio


def test_every_state_can_be_reached_and_marked() -> None:
    """From ready every state can be reached, and a mark moves all of them on."""
    reached = {State.READY}
    while True:
        further = {after for (before, _), after in MOVES.items() if before in reached} - reached
        if not further:
            break
        reached |= further
    assert reached == set(State)
    assert {state for state, event in MOVES if event is Event.MARK} == set(State)


@pytest.mark.parametrize(
    ("state", "event"),
    [(state, event) for state in State for event in Event if (state, event) not in MOVES],
)
def test_moves_that_cannot_happen(state: State, event: Event) -> None:
    """What is not in the table is refused."""
    with pytest.raises(ValueError, match=str(state)):
        move(state, event)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    async with world(tmp_path) as made:
        yield made


@pytest.mark.parametrize(("state", "event"), MOVES, ids=str)
async def test_the_store_moves_as_the_table_says(hub: World, state: State, event: Event) -> None:
    """For each row of the table, the store brings a link from one state to the other."""
    ada = await hub.hire("ada")
    number = (await hub.links.open_target(TENANT, "app", "1")).number
    now = hub.clock.now()
    await hub.links.walk(TENANT, number, {"User": 0}, now, 100)
    link = await _bring(hub, number, ada, state)
    match event:
        case Event.MARK:
            await hub.change(ada, title="new")
            await hub.links.follow(TENANT, number, {"User": 0}, now, 100)
        case Event.CLAIM:
            later = link.due + 1
            (taken,) = await hub.links.claim(TENANT, number, 0, later, later + 1000, 10)
            assert taken.fence == link.fence + 1
        case Event.RELEASE:
            assert await hub.links.release(TENANT, number, link, now)
        case Event.RETRY | Event.PARK:
            assert await hub.links.fail(
                TENANT, number, link, Outcome(MOVES[state, event], now, 1, error="no")
            )
        case Event.FINISH | Event.LEAVE:
            assert await hub.links.finish(TENANT, number, link, Outcome(MOVES[state, event], now))
    after = await hub.links.link(TENANT, number, ada)
    assert after is not None
    assert after.state is MOVES[state, event]


async def _bring(hub: World, number: int, id: str, state: State) -> Link:
    """Bring the only link into a state."""
    now = hub.clock.now()
    if state is not State.READY:
        (link,) = await hub.links.claim(TENANT, number, 0, now, now + 1000, 10)
        if state in {State.DONE, State.LEFT}:
            await hub.links.finish(TENANT, number, link, Outcome(state, now))
        elif state is State.PARKED:
            await hub.links.fail(TENANT, number, link, Outcome(state, now, error="no"))
    found = await hub.links.link(TENANT, number, id)
    assert found is not None
    assert found.state is state
    return found
