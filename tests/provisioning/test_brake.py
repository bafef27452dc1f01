"""The safety brake (I-13, FE-11): when a run stops and asks, what approves of it, and what it never lets pass."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.provisioning.world import USERS, World, target, world

from rollbook.protocol.values import JsonValue
from rollbook.provisioning.brake import DAY, Approval, Way
from rollbook.provisioning.items import Action
from rollbook.provisioning.model import ArrivalLimit, BrakeLimit, Leave, MappingError
from rollbook.testing.scripted_target import Fault, ScriptedTarget, error

pytestmark = pytest.mark.anyio

LIMIT = BrakeLimit()


class Interrupted(ScriptedTarget):
    """A target at which something happens in the middle of a run."""

    def __init__(self) -> None:
        super().__init__()
        self._at: tuple[str, int, Callable[[], Awaitable[None]]] | None = None

    def interrupt(self, method: str, number: int, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work when so many requests of that method have come."""
        self._at = method, number, work

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI interface."""
        if self._at is not None and scope["method"] == self._at[0]:
            method, left, work = self._at
            self._at = (method, left - 1, work) if left > 1 else None
            if left == 1:
                await work()
        await super().__call__(scope, receive, send)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    async with world(tmp_path) as made:
        yield made


async def hired(hub: World, number: int) -> list[str]:
    """So many people in the hub and at the target, which has a brake."""
    people = [await hub.hire(f"p{at:03}") for at in range(number)]
    await hub.apply(target(brake=LIMIT))
    return people


@pytest.mark.parametrize(
    ("held", "leaving", "stops"),
    [
        (100, 1, False),
        (100, 2, False),
        (100, 5, False),  # not more than 5 %
        (100, 6, True),
        (20, 2, False),  # 10 %, but fewer than three
        (20, 3, True),
        (1, 1, False),  # one person may leave a company of one
        (2, 2, True),  # but not everybody at once
        (2, 1, False),
    ],
)
async def test_i_13_too_many_at_once(hub: World, held: int, leaving: int, stops: bool) -> None:
    """More than 5 % and at least three, or all of several, stop the run before its first call."""
    people = await hired(hub, held)
    for own in people[:leaving]:
        await hub.change(own, active=False)
    calls = len(hub.service().requests)
    (report,) = await hub.apply(target(brake=LIMIT))
    assert bool(report.braked) is stops
    if stops:
        assert len(hub.service().requests) == calls
        assert report.braked
        assert report.braked[0].number == leaving
        assert report.hint is not None
        assert f"--accept-deletions {leaving} --plan {report.braked[0].plan}" in report.hint
    else:
        assert report.counts[Action.DISABLE] == leaving


@pytest.mark.parametrize("leave", [Leave.DISABLE, Leave.DELETE, Leave.KEEP])
@pytest.mark.parametrize("how", ["inactive", "deleted", "out of scope"])
async def test_every_way_to_leave_counts(hub: World, leave: Leave, how: str) -> None:
    """Whether they are inactive, gone or out of scope: what counts is that accounts would go."""
    people = [await hub.hire(f"p{at}", title="in") for at in range(10)]
    app = target(brake=LIMIT, leave=leave, scope='title eq "in"')
    await hub.apply(app)
    for own in people[:4]:
        match how:
            case "inactive":
                await hub.change(own, active=False)
            case "deleted":
                await hub.remove(own)
            case _:
                await hub.change(own, title="out")
    (report,) = await hub.apply(app)
    assert bool(report.braked) is (leave is not Leave.KEEP)


async def test_approval_is_of_exactly_that_plan(hub: World) -> None:
    """Another number, another plan, or one more person since: nothing happens. Then exactly those go, and are not asked about again."""
    people = await hired(hub, 10)
    for own in people[:4]:
        await hub.change(own, active=False)
    items, preview = await hub.preview(target(brake=LIMIT))
    assert [item.action for item in items] == [Action.DISABLE] * 4
    (planned,) = preview.braked
    agreed = Approval(planned.number, planned.plan)
    for wrong in (Approval(4, "000000000000"), Approval(5, planned.plan)):
        (report,) = await hub.apply(target(brake=LIMIT), approvals=[wrong])
        assert report.braked
    await hub.change(people[4], active=False)
    (report,) = await hub.apply(target(brake=LIMIT), approvals=[agreed])
    assert report.braked
    assert report.braked[0].number == 5
    assert report.braked[0].plan != planned.plan
    await hub.change(people[4], active=True)
    (report,) = await hub.apply(target(brake=LIMIT), approvals=[agreed])
    assert not report.braked
    assert report.counts[Action.DISABLE] == 4
    hub.clock.milliseconds += 1000
    await hub.change(people[5], active=False)
    (report,) = await hub.apply(target(brake=LIMIT))
    assert report.counts[Action.DISABLE] == 1  # what was approved counts no more


async def test_a_window_of_seven_days(hub: World) -> None:
    """One a day is as many as all at once; after a week they are forgotten."""
    people = await hired(hub, 40)
    for day, own in enumerate(people[:2]):
        hub.clock.milliseconds += DAY
        await hub.change(own, active=False)
        (report,) = await hub.apply(target(brake=LIMIT))
        assert report.counts[Action.DISABLE] == 1, day
    hub.clock.milliseconds += DAY
    await hub.change(people[2], active=False)
    (report,) = await hub.apply(target(brake=LIMIT))
    assert report.braked
    assert "after 2 in the last 7 days" in str(report.stopped)
    hub.clock.milliseconds += 7 * DAY
    (report,) = await hub.apply(target(brake=LIMIT))
    assert report.counts[Action.DISABLE] == 1


async def test_who_leaves_while_a_run_lasts_is_seen(hub: World) -> None:
    """A mass departure that arrives in the middle of a run does not slip through under what was looked at before."""
    service = hub.far["app"] = Interrupted()
    people = await hired(hub, 30)
    for own in people:
        await hub.change(own, title="new")

    async def everybody_leaves() -> None:
        for own in people:
            await hub.change(own, active=False)

    service.interrupt("PATCH", 1, everybody_leaves)
    (report,) = await hub.apply(target(brake=LIMIT, concurrency=1))
    assert [request for request in service.writes if b"false" in request.raw] == []
    assert report.braked


async def test_off_is_off(hub: World) -> None:
    """Without a brake everybody may go."""
    people = await hired(hub, 10)
    for own in people:
        await hub.change(own, active=False)
    (report,) = await hub.apply(target(brake=None))
    assert report.counts[Action.DISABLE] == 10


async def test_those_who_were_off_before_count_no_more(hub: World) -> None:
    """Whoever we have disabled already is no departure when something else about them changes."""
    people = await hired(hub, 40)
    for own in people[:2]:
        await hub.change(own, active=False)
    await hub.apply(target(brake=LIMIT))
    for own in people[:2]:
        await hub.change(own, title="gone")
    (report,) = await hub.apply(target(brake=LIMIT))
    assert not report.braked


async def test_what_else_changes_at_an_account_that_is_off_is_no_departure(hub: World) -> None:
    """Neither told as one, nor added to those of seven days."""
    people = await hired(hub, 80)
    for own in people[:2]:
        await hub.change(own, active=False)
    await hub.apply(target(brake=LIMIT))
    hub.clock.milliseconds += 1000
    for own in people[:2]:
        await hub.change(own, title="gone")
    (report,) = await hub.apply(target(brake=LIMIT))
    assert (report.counts[Action.CHANGE], report.counts[Action.DISABLE]) == (2, 0)
    hub.clock.milliseconds += 1000
    for own in people[2:4]:
        await hub.change(own, active=False)
    (report,) = await hub.apply(target(brake=LIMIT))
    assert report.counts[Action.DISABLE] == 2  # 4 of 80 in all


async def test_a_first_run_tries_five(hub: World) -> None:
    """If none of the first five goes through, nobody else is tried; if one does, all are."""
    for at in range(20):
        await hub.hire(f"p{at:03}")
    hub.service().faults.append(Fault("POST", "/Users", error(400, "no such thing", "invalidValue"), times=5))
    (report,) = await hub.apply(target())
    assert len(hub.service().writes) == 5
    assert "none of the first 5 went through" in str(report.stopped)
    (report,) = await hub.apply(target())
    assert report.counts[Action.CREATE] == 15
    assert report.stopped is None


async def test_a_pause_is_noticed_by_a_run(hub: World) -> None:
    """What somebody paused is left alone, by the run under way too; resume lets it go on where it was."""
    service = hub.far["app"] = Interrupted()
    await hub.hire("first")
    await hub.apply(target(concurrency=1))
    for at in range(10):
        await hub.hire(f"p{at}")
    number = (await hub.progress()).number

    async def paused() -> None:
        await hub.links.stop(1, number, "paused by hand")
        hub.clock.milliseconds += 1000

    service.interrupt("POST", 3, paused)
    (report,) = await hub.apply(target(concurrency=1))
    assert report.stopped == "paused by hand"
    assert report.hint == "rollbook resume app"
    assert len(service.resources["Users"]) == 4
    (report,) = await hub.apply(target())
    assert (report.stopped, report.writes) == ("paused by hand", 0)
    await hub.links.stop(1, number, None)
    await hub.apply(target())
    assert len(service.resources["Users"]) == 11


@dataclass(frozen=True)
class Failing:
    """A rule that copes with everybody but one."""

    name: str

    def evaluate(self, inputs: Mapping[str, JsonValue]) -> JsonValue:
        """The title."""
        user = inputs["user"]
        if isinstance(user, dict) and user["userName"] == self.name:
            raise MappingError("title", "it does not go")
        return None


NEW = BrakeLimit(arrivals=ArrivalLimit(0.5, 4))


async def settled(hub: World, number: int) -> None:
    """So many people at a target whose first days are over."""
    for at in range(number):
        await hub.hire(f"p{at:03}")
    (report,) = await hub.apply(target(brake=NEW))
    assert report.counts[Action.CREATE] == number  # a first load is free
    hub.clock.milliseconds += 8 * DAY
    await hub.apply(target(brake=NEW))


@pytest.mark.parametrize(
    ("held", "new", "stops"),
    [
        (10, 5, False),  # not more than half
        (10, 6, True),
        (4, 3, False),  # more than half, but fewer than four
        (4, 4, True),
    ],
)
async def test_t_70_too_many_new_ones_stop_the_run(hub: World, held: int, new: int, stops: bool) -> None:
    """Before its first call, and a plan says the same."""
    await settled(hub, held)
    calls = len(hub.service().requests)
    for at in range(new):
        await hub.hire(f"new{at}")
    _, preview = await hub.preview(target(brake=NEW))
    looked = len(hub.service().requests)
    (report,) = await hub.apply(target(brake=NEW))
    assert bool(report.braked) is stops
    assert [wave.approval for wave in preview.braked] == [wave.approval for wave in report.braked]
    if stops:
        assert len(hub.service().requests) == looked >= calls
        assert f"{new} User accounts beside {held}" in str(report.stopped)
        assert f"--accept-arrivals {new} --plan {report.braked[0].plan}" in str(report.hint)
    else:
        assert report.counts[Action.CREATE] == new


async def test_t_70_one_after_the_other_adds_up(hub: World) -> None:
    """Over seven days; whoever is taken over counts too; after a week they are forgotten."""
    await settled(hub, 8)
    for at in range(4):
        hub.clock.milliseconds += DAY
        await hub.hire(f"new{at}")
        (report,) = await hub.apply(target(brake=NEW))
        assert report.counts[Action.CREATE] == 1
    hub.service().add("Users", {"userName": "new5", "externalId": "e-new5", "active": True})
    await hub.hire("new5")
    (report,) = await hub.apply(target(brake=NEW))
    assert "1 User accounts beside 12, after 4 in the last 7 days" in str(report.stopped)
    hub.clock.milliseconds += 7 * DAY
    (report,) = await hub.apply(target(brake=NEW))
    assert report.stopped is None
    assert len(hub.service().resources["Users"]) == 13


async def test_t_70_an_approval_is_of_exactly_those(hub: World) -> None:
    """One more, and it is asked again, with departures in the same breath; then all goes, and counts no more."""
    await settled(hub, 10)
    people = [await hub.hire(f"new{at}") for at in range(7)]
    for at in range(1, 5):
        await hub.change(f"hub-{at}", active=False)
    broken = target(brake=NEW, users={**USERS, "title": Failing("new3")})
    _, preview = await hub.preview(broken)  # whose rule fails counts all the same
    gone, new = preview.braked
    assert (gone.number, new.number) == (4, 7)
    await hub.hire("one more")
    (report,) = await hub.apply(target(brake=NEW), approvals=[gone.approval, new.approval])
    assert [wave.number for wave in report.braked] == [8]
    await hub.remove("hub-18")
    (report,) = await hub.apply(target(brake=NEW), approvals=[new.approval])
    assert [wave.number for wave in report.braked] == [4]
    (report,) = await hub.apply(target(brake=NEW), approvals=[gone.approval, new.approval])
    assert (report.counts[Action.CREATE], report.counts[Action.DISABLE]) == (len(people), 4)
    hub.clock.milliseconds += 1000
    await hub.hire("later")
    (report,) = await hub.apply(target(brake=NEW))
    assert report.counts[Action.CREATE] == 1


async def test_t_70_who_comes_while_a_run_lasts_is_seen(hub: World) -> None:
    """Also when it was approved of others: these are finished, and the new ones are asked about."""
    service = hub.far["app"] = Interrupted()
    await settled(hub, 10)
    for at in range(8):
        await hub.hire(f"new{at}")
    (report,) = await hub.apply(target(brake=NEW))
    (planned,) = report.braked

    async def many_more() -> None:
        hub.clock.milliseconds += 60_000  # so that the brake looks again in the middle
        for at in range(20):
            await hub.hire(f"flood{at}")

    service.interrupt("POST", 2, many_more)
    (report,) = await hub.apply(target(brake=NEW, concurrency=1), approvals=[planned.approval])
    names = {str(user["userName"]) for user in service.resources["Users"].values()}
    assert not any(name.startswith("flood") for name in names)
    assert [wave.way for wave in report.braked] == [Way.ARRIVALS]


async def test_t_70_the_first_days_are_free(hub: World) -> None:
    """People may come one by one at first, or a few to try it with; a target without anybody has not begun."""
    await hub.apply(target(brake=NEW))
    hub.clock.milliseconds += 30 * DAY
    await hub.hire("first")
    (report,) = await hub.apply(target(brake=NEW))
    hub.clock.milliseconds += 6 * DAY
    for at in range(30):
        await hub.hire(f"p{at}")
    (report,) = await hub.apply(target(brake=NEW))
    assert report.counts[Action.CREATE] == 30
    hub.clock.milliseconds += 2 * DAY
    for at in range(30):
        await hub.hire(f"q{at}")
    (report,) = await hub.apply(target(brake=BrakeLimit(arrivals=None)))
    assert report.counts[Action.CREATE] == 30  # off is off
    await hub.links.reset(1, (await hub.progress()).number, accounts=True)
    (report,) = await hub.apply(target(brake=NEW))
    assert not report.braked  # all are looked for anew, as at first


async def test_t_70_by_default_growth_is_free(hub: World) -> None:
    """Unless a thousand come, and more than were there."""
    limit = BrakeLimit().arrivals
    assert limit == ArrivalLimit(1.0, 1000)
