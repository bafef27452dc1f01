"""FE-21: people who swap names at a target where nobody else may have the same: it ends right, or says why not."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from tests.postgres_server import empty
from tests.provisioning.world import World, target, world

from rollbook.provisioning import model
from rollbook.provisioning.items import Action
from rollbook.provisioning.swaps import MARK, MOST
from rollbook.storage.links import State
from rollbook.testing.scripted_target import Fault, Recorded, error

pytestmark = pytest.mark.anyio

SWAPS = replace(target(concurrency=4), temporary_names=True)


@pytest.fixture(params=["sqlite", "postgresql"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    database = None
    if request.param == "postgresql":
        empty(database := request.getfixturevalue("postgres_database"))
    async with world(tmp_path, database) as made:
        yield made


async def ring(hub: World, configured: model.Target, *names: str) -> list[str]:
    """People with these names at the target, of whom each is to have the next one's."""
    people = [await hub.hire(name) for name in names]
    await hub.apply(configured)
    for own, name in zip(people, names, strict=True):
        await hub.change(own, userName=f"{name} no more")
    for own, name in zip(people, (*names[1:], names[0]), strict=True):
        await hub.change(own, userName=name)
    return people


def names_of(hub: World) -> Mapping[str, str]:
    """Who has which name there."""
    users = hub.service().resources["Users"].values()
    return {str(user["externalId"]).removeprefix("e-"): str(user["userName"]) for user in users}


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(
    "names", [("ada", "grace"), ("ada@x", "grace@y"), ("ada", "grace", "alan"), tuple("abcdefgh")]
)
async def test_fe_21_a_ring_ends_right(hub: World, names: tuple[str, ...], concurrency: int) -> None:
    """In one run, with one name of the moment, and everybody has the account that was theirs."""
    configured = replace(SWAPS, concurrency=concurrency)
    await ring(hub, configured, *names)
    before = len(hub.service().writes)
    (report,) = await hub.apply(configured)
    assert not report.failed, report.failures
    assert names_of(hub) == dict(zip(names, (*names[1:], names[0]), strict=True))
    sent = hub.service().writes[before:]
    assert sum(MARK.encode() in one.raw for one in sent) == 1
    moments = [item for item in hub.items if item.reason and item.reason.startswith("for a moment")]
    assert [item.action for item in moments] == [Action.CHANGE]
    assert str(moments[0].differences[0].new).partition("@")[2] == names[0].partition("@")[2]
    kept = await hub.links.deliveries_of(1, moments[0].id, 10)
    assert any("for a moment" in str(one.detail.get("reason")) for one in kept)  # what explain shows
    calls = len(hub.service().requests)
    await hub.apply(configured)
    assert len(hub.service().requests) == calls


async def test_fe_21_without_leave_it_is_told(hub: World) -> None:
    """By default nobody has another name for a moment; the problem says who waits for whom, and what to do. Allowed, it goes on."""
    await ring(hub, target(), "ada", "grace")
    before = len(hub.service().writes)
    (report,) = await hub.apply(target())
    assert report.counts[Action.PARK] == 2
    assert all("userName goes round between this one and" in str(one.failure) for one in report.failures)
    assert all("temporary_names: true" in str(one.failure) for one in report.failures)
    assert not any(MARK.encode() in one.raw for one in hub.service().writes[before:])
    (report,) = await hub.apply(replace(SWAPS, digest="2"))  # as the file has another one then
    assert not report.failed
    assert names_of(hub) == {"ada": "grace", "grace": "ada"}


@pytest.mark.parametrize("nth", range(1, 12))
@pytest.mark.parametrize("early", [True, False])
async def test_fe_21_killed_at_any_request(hub: World, nth: int, early: bool) -> None:
    """Whoever comes next finds names of the moment, and ends it."""

    class Killed(BaseException):
        pass

    await ring(hub, SWAPS, "ada", "grace", "alan")
    service, seen = hub.service(), 0

    def die(_: Recorded) -> None:
        nonlocal seen
        seen += 1
        if seen == nth:
            raise Killed

    service.before, service.after = (die, service.after) if early else (service.before, die)
    with suppress(Killed, BaseExceptionGroup):
        await hub.apply(SWAPS)
    service.before = service.after = lambda _: None
    hub.clock.milliseconds += 6 * 60_000
    (report,) = await hub.apply(SWAPS)
    assert not report.failed, report.failures
    assert names_of(hub) == {"ada": "grace", "grace": "alan", "alan": "ada"}


async def test_fe_21_who_cannot_follow_is_told_and_followed_later(hub: World) -> None:
    """The other one is refused for something else: the name of the moment stays, is told, and ends when that is mended."""
    people = await ring(hub, SWAPS, "ada", "grace")
    service = hub.service()
    other = service.named("Users", "grace")["id"]
    fault = Fault("PATCH", f"/Users/{other}", error(400, "no such title", "invalidValue"), times=1000)
    service.faults.append(fault)
    (report,) = await hub.apply(SWAPS)
    assert report.counts[Action.PARK] == 2
    assert any(name.startswith(MARK) for name in names_of(hub).values())
    writes = len(service.writes)
    await hub.apply(SWAPS)
    assert len(service.writes) == writes  # no loop
    service.faults.clear()
    await hub.change(people[1], title="right")
    (report,) = await hub.apply(SWAPS)
    assert not report.failed
    assert names_of(hub) == {"ada": "grace", "grace": "ada"}


async def test_fe_21_a_strangers_name_is_not_asked_for(hub: World) -> None:
    """Nor that of somebody who keeps it: nobody is renamed for these; and a ring that is too long waits."""
    ada, grace = await hub.hire("ada"), await hub.hire("grace")
    hub.service().add("Users", {"userName": "stranger"})
    await hub.apply(SWAPS)
    await hub.change(ada, userName="stranger")
    (report,) = await hub.apply(SWAPS)
    assert report.counts[Action.PARK] == 1
    assert names_of_ours(hub) == {"ada", "grace"}
    await hub.change(ada, userName="ada")
    await hub.apply(SWAPS)
    names = [f"p{at:02}" for at in range(MOST + 2)]
    await ring(hub, SWAPS, *names)
    (report,) = await hub.apply(SWAPS)
    assert report.counts[Action.PARK] == len(names)
    assert not any(name.startswith(MARK) for name in names_of_ours(hub))
    link = await hub.link(grace)
    assert link is not None
    assert link.state is State.DONE


def names_of_ours(hub: World) -> set[str]:
    """Names of accounts that have an externalId."""
    users = hub.service().resources["Users"].values()
    return {str(user["userName"]) for user in users if "externalId" in user}
