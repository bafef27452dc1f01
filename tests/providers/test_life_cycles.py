"""Every known client works as it is: with the default profile, with its own, and no thanks to what it does not need."""

from collections.abc import Iterator

import pytest
from tests.providers.life_cycle import LIFE_CYCLES, PHASES, Deviation, LifeCycle, play
from tests.server.conftest import Told

from rollbook.protocol.quirks import CLIENTS, PROFILES

pytestmark = pytest.mark.anyio


def test_every_client_has_a_life_cycle() -> None:
    """Each profile of a client is played by a file at least, from the directory of its name."""
    assert {life_cycle.client for life_cycle in LIFE_CYCLES} == set(CLIENTS)
    assert all(life_cycle.name.startswith(f"{life_cycle.client}/") for life_cycle in LIFE_CYCLES)


@pytest.mark.parametrize("life_cycle", LIFE_CYCLES, ids=str)
def test_a_life_cycle_is_whole(life_cycle: LifeCycle) -> None:
    """Every phase is there, or the file says why this client has none; and its profile has what it needs."""
    phases = [step.phase for step in life_cycle.steps]
    assert set(phases) | life_cycle.leaves_out.keys() == set(PHASES)
    assert not life_cycle.leaves_out.keys() & set(phases)
    assert set(life_cycle.quirks) <= PROFILES[life_cycle.client].quirks


@pytest.mark.parametrize("profile", ["auto", "own"])
@pytest.mark.parametrize("life_cycle", LIFE_CYCLES, ids=str)
async def test_the_client_works(told: Told, life_cycle: LifeCycle, profile: str) -> None:
    """Every step is answered as the client needs it."""
    name = life_cycle.client if profile == "own" else profile
    await play(life_cycle, await told(f"profile={name}"))


def _needed() -> Iterator[tuple[LifeCycle, str]]:
    for life_cycle in LIFE_CYCLES:
        for quirk in life_cycle.quirks:
            yield life_cycle, quirk


@pytest.mark.parametrize(("life_cycle", "quirk"), list(_needed()), ids=str)
async def test_each_quirk_is_needed(told: Told, life_cycle: LifeCycle, quirk: str) -> None:
    """Without a quirk all goes well until the first step that names it; if that is refused, the answer names it too."""
    call = await told(f"profile={life_cycle.client}", f"quirks=-{quirk}")
    with pytest.raises(Deviation) as failure:
        await play(life_cycle, call)
    assert quirk in failure.value.step.quirks, str(failure.value)
    if failure.value.answer.status == 400:
        assert quirk in failure.value.answer.json["detail"]


@pytest.mark.parametrize("life_cycle", [each for each in LIFE_CYCLES if not each.quirks], ids=str)
async def test_who_keeps_to_the_rfc_needs_nothing(told: Told, life_cycle: LifeCycle) -> None:
    """Strict mode serves the clients that need no quirk."""
    await play(life_cycle, await told("profile=rfc"))
