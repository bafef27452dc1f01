"""What may happen to targets, by the rows of the fault catalogue: no account twice, none made anew by mistake."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.provisioning.world import ENTERPRISE, USER, World, target, world

from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resolve import resolve
from rollbook.provisioning.items import Action, Item
from rollbook.provisioning.model import Leave
from rollbook.provisioning.orders import Stop
from rollbook.provisioning.worker import Session
from rollbook.testing.scripted_target import Fault, Profile, Recorded

pytestmark = pytest.mark.anyio


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    async with world(tmp_path) as made:
        yield made


def _shows_late(hub: World, seconds: float) -> None:
    """Let the target show an account so long after it was made, and let it refuse no name that is taken."""
    far = hub.service(profile=Profile(unique=False))
    made_at: dict[str, int] = {}
    posted = hub.clock.now()

    def hide(request: Recorded) -> None:
        nonlocal posted
        for own in far.resources["Users"]:
            made_at.setdefault(own, posted)
        posted = hub.clock.now() if request.method == "POST" else posted
        now = hub.clock.now()
        far.hidden = {own for own, made in made_at.items() if now - made < seconds * 1000}

    far.before = far.after = hide


async def test_fe_03_a_target_that_shows_an_account_late(hub: World) -> None:
    """Whose creation had no answer is looked for until the target must show it; one account in the end."""
    _shows_late(hub, 30)
    hub.service().faults.append(Fault("POST", "/Users", commits=True))
    await hub.hire("ada")
    (report,) = await hub.apply(replace(target(), settle=35_000))
    assert len(hub.service().resources["Users"]) == 1
    assert not report.failed


async def test_fe_03_also_where_the_person_changes_meanwhile(hub: World) -> None:
    """A change makes the link due at once, and still nobody is made a second time."""
    _shows_late(hub, 30)
    hub.service().faults.append(Fault("POST", "/Users", commits=True))
    ada = await hub.hire("ada")
    await hub.apply(replace(target(), settle=35_000), patience=0)
    await hub.change(ada, title="Countess")
    await hub.apply(replace(target(), settle=35_000), patience=0)
    assert len(hub.service().resources["Users"]) == 1
    hub.clock.milliseconds += 35_001
    await hub.apply(replace(target(), settle=35_000))
    (account,) = hub.service().resources["Users"].values()
    assert account["title"] == "Countess"


async def test_fe_03_settling_is_no_wait_for_whom_nobody_made(hub: World) -> None:
    """Only an account that may be there already is waited for."""
    await hub.hire("ada")
    await hub.apply(replace(target(), settle=35_000), patience=0)
    assert len(hub.service().resources["Users"]) == 1


async def _grown(hub: World, number: int) -> list[str]:
    people = [await hub.hire(f"user-{index}") for index in range(number)]
    await hub.apply(target())
    return people


async def _restart(hub: World, people: list[str]) -> None:
    for own in people:
        await hub.change(own, title="changed")


async def test_fe_26_an_emptied_target_is_not_filled_again_unasked(hub: World) -> None:
    """When account after account is gone the target stops, says so, and stays stopped until somebody has looked."""
    people = await _grown(hub, 40)
    hub.service().resources["Users"].clear()
    await _restart(hub, people)
    (report,) = await hub.apply(target())
    assert report.stop is Stop.VANISHED
    assert "gone at the target" in str(report.stopped)
    assert "rollbook reset app --accounts" in str(report.hint)
    assert len(hub.service().resources["Users"]) < 10
    before = len(hub.service().requests)
    await hub.apply(target())
    assert len(hub.service().requests) == before


async def test_fe_26_somebody_may_say_that_it_was_emptied(hub: World) -> None:
    """Then everybody is looked for by what finds them, and made anew: nobody twice, nobody switched off."""
    people = await _grown(hub, 40)
    hub.service().resources["Users"].clear()
    await _restart(hub, people)
    await hub.apply(target())
    number = (await hub.progress()).number
    await hub.links.reset(1, number, accounts=True)
    await hub.links.stop(1, number, None)
    (report,) = await hub.apply(target())
    names = [account["userName"] for account in hub.service().resources["Users"].values()]
    assert sorted(names) == sorted(f"user-{index}" for index in range(40))
    assert not report.failed


@pytest.mark.parametrize(("gone", "stops"), [(4, False), (8, False), (20, True)])
async def test_fe_26_a_few_that_are_gone_are_made_again(hub: World, gone: int, stops: bool) -> None:
    """Somebody deletes a few accounts by hand: no more than four, or a fifth of those asked for. The plan says what the run does (I-27)."""
    people = await _grown(hub, 45)
    for own in list(hub.service().resources["Users"])[45 - gone :]:
        del hub.service().resources["Users"][own]
    await _restart(hub, people)
    planned, preview = await hub.preview(target(concurrency=1))
    assert (preview.vanished is not None) is stops
    assert sum(item.action is Action.CREATE for item in planned) == gone
    (report,) = await hub.apply(target(concurrency=1))
    assert (report.stop is Stop.VANISHED) is stops
    assert (len(hub.service().resources["Users"]) == 45) is not stops


async def test_t_61_an_account_that_is_taken_over_is_told_of(hub: World) -> None:
    """In the plan, in the run and in what is kept of it, whether anything differs or not."""
    hub.service().add("Users", {"userName": "ada", "externalId": "e-ada", "active": True})
    hub.service().add("Users", {"userName": "alan", "active": True})
    for name in ("ada", "alan", "grace"):
        await hub.hire(name)
    planned, _ = await hub.preview(target())
    assert {item.label: (item.action, item.adopts) for item in planned} == {
        "ada": (Action.NOTHING, True),
        "alan": (Action.CHANGE, True),
        "grace": (Action.CREATE, False),
    }
    await hub.apply(target())
    assert {item.label for item in hub.items if item.adopts} == {"ada", "alan"}
    kept = await hub.links.delivered(1, 1, None, 10)
    assert {one.detail["label"] for one in kept if "takes over" in str(one.detail.get("reason"))} == {
        "ada",
        "alan",
    }


async def test_i_27_a_plan_knows_whom_groups_and_managers_name_after_taking_over(hub: World) -> None:
    """Members and managers whose accounts are taken over are in the plan as in the run."""
    hub.service().add("Users", {"userName": "grace", "active": True})
    grace = await hub.hire("grace")
    await hub.hire("ada", more={ENTERPRISE: {"manager": {"value": grace}}})
    await hub.group("navy", grace)
    planned, _ = await hub.preview(target())
    await hub.apply(target())

    def told(items: list[Item]) -> dict[str, tuple[Action, int, set[str]]]:
        return {one.label: (one.action, one.added, {d.attribute for d in one.differences}) for one in items}

    assert told(planned) == told(hub.items)
    assert told(planned)["navy"][1] == 1


async def test_t_61_an_account_of_our_own_making_is_not_taken_over(hub: World) -> None:
    """One that we made without seeing the answer is ours."""
    hub.service().faults.append(Fault("POST", "/Users", commits=True))
    await hub.hire("ada")
    await hub.apply(target())
    assert [item.adopts for item in hub.items if item.action is not Action.WAIT] == [False]


@pytest.mark.parametrize("leave", list(Leave))
async def test_t_61_protected_accounts_are_never_touched(hub: World, leave: Leave) -> None:
    """Neither adopted, nor changed, nor switched off, nor deleted: whoever has such an account is parked, and it says why."""
    text = 'roles.value eq "admin"'
    protect = resolve(parse_filter(text, Leniency()), USER, Leniency())
    configured = replace(target(leave=leave), protect=protect, protect_text=text)
    root = {"userName": "root", "active": True, "roles": [{"value": "admin"}]}
    own = hub.service().add("Users", root)
    person, other = await hub.hire("root"), await hub.hire("ada")
    await hub.apply(configured)
    hub.service().named("Users", "ada")["roles"] = [{"value": "admin"}]
    await hub.change(other, title="Countess")
    await hub.remove(person)
    await hub.apply(configured, unpark=True)
    await hub.remove(other)
    (report,) = await hub.apply(configured, unpark=True)
    assert hub.service().resources["Users"][own] == {"id": own, **root}
    ada = hub.service().named("Users", "ada")
    assert (ada["active"], ada.get("title")) == (True, None)
    if leave is not Leave.KEEP:
        assert "protected" in str(report.failures[0].failure)
    assert all(request.method == "POST" for request in hub.service().writes)


async def test_fe_26_one_more_that_is_gone_does_not_stop_what_somebody_let_go_on(hub: World) -> None:
    """Whoever resumes has looked: it is counted from then on."""
    people = await _grown(hub, 40)
    kept = dict(hub.service().resources["Users"])
    hub.service().resources["Users"].clear()
    await _restart(hub, people)
    worker = Session(hub.engine, target(), hub.connect, lambda _: None)
    run = (await hub.links.begin_run(1, "apply", "app", hub.clock.now())).number
    assert (await worker.work(run)).stop is Stop.VANISHED
    hub.service().resources["Users"] = kept
    del kept[list(kept)[8]]
    await hub.links.stop(1, (await hub.progress()).number, None)
    hub.clock.milliseconds += 60_000
    assert (await worker.work(run)).stop is None
    await worker.close()
