"""Who goes first at a target that has a backlog: those who leave, those changed just now, then the backlog (FE-28, I-17)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.provisioning.test_brake import LIMIT, Interrupted
from tests.provisioning.world import World, target, world

from rollbook.storage.sql.link_marks import AHEAD_AT_ONCE

pytestmark = pytest.mark.anyio

BACKLOG = 450


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A hub with forty people at a target, and a backlog of people who are still to come there."""
    async with world(tmp_path) as made:
        made.far["app"] = Interrupted()
        for at in range(40):
            await made.hire(f"old{at:03}")
        await made.apply(target(brake=LIMIT, groups=None))
        for at in range(BACKLOG):
            await made.hire(f"new{at:03}")
        yield made


def place(hub: World, word: str) -> int:
    """How many requests came to the target before the first that has this word in its body."""
    bodies = [str(request.body) for request in hub.service().requests if request.method != "GET"]
    return next(at for at, body in enumerate(bodies) if word in body) - 40


def far(hub: World) -> Interrupted:
    """The target as one that can be interrupted."""
    service = hub.service()
    assert isinstance(service, Interrupted)
    return service


async def test_a_change_goes_before_the_backlog(hub: World) -> None:
    """Changed while the backlog is worked off, somebody is at the target a batch later, and everybody else comes, too."""

    async def change() -> None:
        await hub.change("hub-3", title="Prompt")

    far(hub).interrupt("POST", 50, change)
    (report,) = await hub.apply(
        target(brake=LIMIT, groups=None, users={"userName": "userName", "title": "title"})
    )
    assert report.stopped is None
    assert len(hub.service().resources["Users"]) == 40 + BACKLOG
    assert place(hub, "Prompt") < 250


async def test_who_leaves_goes_first(hub: World) -> None:
    """I-17: switched off in the hub while the backlog is worked off, the account is switched off long before its end."""

    async def leave() -> None:
        await hub.change("hub-3", active=False)
        await hub.clock.sleep(2)

    far(hub).interrupt("POST", 50, leave)
    (report,) = await hub.apply(target(brake=LIMIT, groups=None))
    assert report.stopped is None
    assert len(hub.service().resources["Users"]) == 40 + BACKLOG
    assert place(hub, "False") < 350


async def test_the_brake_sees_who_leaves_meanwhile(hub: World) -> None:
    """I-14: twenty who leave while a backlog is worked off stop the run, and none of them is switched off."""

    async def leave() -> None:
        for at in range(1, 21):
            await hub.change(f"hub-{at}", active=False)
        await hub.clock.sleep(2)

    far(hub).interrupt("POST", 50, leave)
    (report,) = await hub.apply(target(brake=LIMIT, groups=None))
    assert report.braked
    assert report.braked[0].number == 20
    assert not any("False" in str(request.body) for request in hub.service().requests)


async def test_a_storm_of_changes_is_a_backlog_itself(hub: World) -> None:
    """Only so many go ahead at once: somebody who comes after a storm waits for no more of it than that."""
    configured = target(brake=LIMIT, groups=None, users={"userName": "userName", "title": "title"})
    await hub.apply(configured)
    for at in range(1, 41 + BACKLOG):
        await hub.change(f"hub-{at}", title="Storm")
    number = (await hub.progress()).number
    ranks = {"User": 0}
    assert not await hub.links.follow(1, number, ranks, hub.clock.now(), 1000)
    ahead = await hub.links.claim(1, number, 0, hub.clock.now(), hub.clock.now() + 1, 1000)
    assert len(ahead) == 40 + BACKLOG
    assert len(ahead) > AHEAD_AT_ONCE
    for link in ahead:
        await hub.links.release(1, number, link, hub.clock.now())
    await hub.change("hub-77", title="Prompt")
    await hub.links.follow(1, number, ranks, hub.clock.now(), 1000)
    (first,) = await hub.links.claim(1, number, 0, hub.clock.now(), hub.clock.now() + 1, 1)
    assert first.id == "hub-77"


async def test_the_backlog_has_its_share(hub: World) -> None:
    """Asked for the backlog only, those ahead are left, and the reverse order holds otherwise."""
    await hub.apply(target(brake=LIMIT, groups=None))
    number, now = (await hub.progress()).number, hub.clock.now()
    await hub.links.unpark(1, number, now)
    for own in ("hub-5", "hub-6"):
        await hub.links.mark(1, number, {"User": 0}, own, now)
    await hub.change("hub-9", title="x")
    await hub.links.follow(1, number, {"User": 0}, now, 10)
    behind = await hub.links.claim(1, number, 0, now, now + 1, 1, behind=True)
    assert [link.id for link in behind] == ["hub-5"]
    await hub.links.put_first(1, number, [(await hub.links.link(1, number, "hub-6")).key], now)  # type: ignore[union-attr]
    assert [link.id for link in await hub.links.claim(1, number, 0, now, now + 1, 1)] == ["hub-6"]
    assert [link.id for link in await hub.links.claim(1, number, 0, now, now + 1, 1)] == ["hub-9"]
