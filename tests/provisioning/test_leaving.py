"""Leaving by reason and with a grace period: switched off at once, deleted later, back within it as if nothing had been."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.provisioning.test_config import TARGET, load, mistakes
from tests.provisioning.world import World, target, world

from rollbook.provisioning.brake import DAY
from rollbook.provisioning.items import Action
from rollbook.provisioning.model import BrakeLimit, Leave, LeavePolicy
from rollbook.storage.links import State

pytestmark = pytest.mark.anyio

MIXED = LeavePolicy(Leave.DELETE, Leave.KEEP, Leave.DISABLE)
GRACE = LeavePolicy(Leave.DELETE, Leave.DELETE, Leave.DISABLE, 30 * DAY)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    async with world(tmp_path) as made:
        yield made


async def leave(hub: World, own: str, reason: str) -> None:
    """Let somebody go."""
    match reason:
        case "leaver":
            await hub.remove(own)
        case "out of scope":
            await hub.change(own, title="out")
        case _:
            await hub.change(own, active=False)


@pytest.mark.parametrize(
    ("reason", "action"),
    [("leaver", Action.DELETE), ("out of scope", Action.KEEP), ("suspended", Action.DISABLE)],
)
async def test_each_reason_has_its_policy(hub: World, reason: str, action: Action) -> None:
    """Who is deleted, out of scope or inactive is treated separately; the plan says the same."""
    app = target(leave=MIXED, scope='title eq "in"')
    ada = await hub.hire("ada", title="in")
    await hub.hire("other", title="in")
    await hub.apply(app)
    await leave(hub, ada, reason)
    planned, _ = await hub.preview(app)
    await hub.apply(app)
    assert [item.action for item in planned] == [action]
    assert [item.action for item in hub.items] == [action]


@pytest.mark.parametrize("reason", ["leaver", "out of scope"])
async def test_a_grace_period(hub: World, reason: str) -> None:
    """Switched off at once and out of groups, deleted when it is over and not before, whatever runs meanwhile."""
    app = target(leave=GRACE, scope='title eq "in"')
    ada = await hub.hire("ada", title="in")
    await hub.group("all", ada, await hub.hire("other", title="in"))
    await hub.apply(app)
    await leave(hub, ada, reason)
    await hub.apply(app)
    assert hub.service().named("Users", "ada")["active"] is False
    writes = len(hub.service().writes)
    for _ in range(2):
        hub.clock.milliseconds += 10 * DAY
        (report,) = await hub.apply(app)
        assert report.counts[Action.WAIT] == 0
    assert len(hub.service().writes) == writes
    hub.clock.milliseconds += 11 * DAY
    planned, _ = await hub.preview(app)
    assert [item.action for item in planned] == [Action.DELETE]
    await hub.apply(app)
    assert [user["userName"] for user in hub.service().resources["Users"].values()] == ["other"]
    (report,) = await hub.apply(app)
    assert report.writes == 0


async def test_back_within_it(hub: World) -> None:
    """Access and memberships return, the same account, and a later departure begins anew."""
    app = target(leave=GRACE, scope='title eq "in"')
    ada = await hub.hire("ada", title="in")
    await hub.group("all", ada)
    await hub.apply(app)
    account = hub.service().named("Users", "ada")["id"]
    await hub.change(ada, title="out")
    await hub.apply(app)
    hub.clock.milliseconds += 20 * DAY
    await hub.change(ada, title="in")
    await hub.apply(app)
    back = hub.service().named("Users", "ada")
    assert (back["id"], back["active"]) == (account, True)
    assert hub.service().named("Groups", "all")["members"] == [{"value": account}]
    link = await hub.link(ada)
    assert link is not None
    assert (link.state, link.left_at) == (State.DONE, None)
    hub.clock.milliseconds += 15 * DAY
    (report,) = await hub.apply(app)
    assert report.writes == 0
    await hub.change(ada, title="out")
    await hub.apply(app)
    hub.clock.milliseconds += 29 * DAY
    await hub.apply(app)
    assert hub.service().named("Users", "ada")["active"] is False


async def test_the_brake_counts_the_beginning_only(hub: World) -> None:
    """Who was let go a month ago is deleted without being asked about again; a policy that is changed is asked about."""
    app = target(leave=GRACE, brake=BrakeLimit(), scope='title eq "in"')
    people = [await hub.hire(f"p{number}", title="in") for number in range(100)]
    await hub.apply(app)
    for own in people[:5]:
        await hub.change(own, title="out")
    await hub.apply(app)
    hub.clock.milliseconds += 31 * DAY
    (report,) = await hub.apply(app)
    assert (report.counts[Action.DELETE], list(report.braked)) == (5, [])
    for own in people[5:10]:
        await hub.change(own, active=False)
    await hub.apply(app)
    hub.clock.milliseconds += 8 * DAY
    harsher = target(leave=Leave.DELETE, brake=BrakeLimit(0.01), scope='title eq "in"', digest="2")
    (report,) = await hub.apply(harsher)
    assert report.braked
    assert report.braked[0].number == 5


def test_how_it_is_written(tmp_path: Path) -> None:
    """One word for everybody, or by reason with a grace period."""
    text = TARGET.replace(
        "    users:\n", "    leave: {leaver: delete, suspended: keep, grace: 30d}\n    users:\n"
    )
    assert load(tmp_path, text).targets["t"].leave == LeavePolicy(
        Leave.DELETE, Leave.DISABLE, Leave.KEEP, 30 * DAY
    )
    assert load(tmp_path, TARGET).targets["t"].leave == LeavePolicy.same(Leave.DISABLE)


@pytest.mark.parametrize(
    ("leave", "code", "title"),
    [
        ("burn", "RB105", "leave of target t is not one of the choices"),
        ("{leaver: burn}", "RB105", "leave.leaver of target t is not one of the choices"),
        ("{leavers: delete}", "RB103", "there is no key leavers here"),
        ("{grace: long}", "RB105", "'long' is no length of time; write 30s, 15m, 6h or 1d"),
    ],
)
def test_mistakes(tmp_path: Path, leave: str, code: str, title: str) -> None:
    """Told with what would be accepted."""
    found = mistakes(tmp_path, TARGET.replace("    users:\n", f"    leave: {leave}\n    users:\n"))
    assert (code, title) in {(problem.code, problem.title) for problem in found}
