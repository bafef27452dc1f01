"""A preview says what a run does, and writes nothing (I-27)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.provisioning.world import ENTERPRISE, TENANT, World, target, world

from rollbook.provisioning import model
from rollbook.provisioning.items import Action, Item
from rollbook.provisioning.model import Leave
from rollbook.storage.links import State
from rollbook.testing.scripted_target import Fault, Profile, error, html

pytestmark = pytest.mark.anyio


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    async with world(tmp_path) as made:
        yield made


def lines(items: list[Item]) -> dict[str, tuple[set[str], set[tuple[str, str]], int, int]]:
    """What must be the same in plan and run, by person: a run may take two calls for what a plan says in one.

    New values are not compared: a plan has stand-ins for accounts that are not made yet.
    """
    found: dict[str, tuple[set[str], set[tuple[str, str]], int, int]] = {}
    for item in items:
        actions, differences, added, removed = found.get(item.label, (set(), set(), 0, 0))
        action = Action.CHANGE if item.action is Action.COMPLETE else item.action
        named = {(one.attribute, repr(one.old)) for one in item.differences}
        found[item.label] = (
            actions | {action},
            differences | named,
            added + item.added,
            removed + item.removed,
        )
    return found


async def agree(hub: World, configured: model.Target) -> list[Item]:
    """The items of a preview, after a run did just that and a second preview found nothing."""
    before = len(hub.service().writes)
    planned, _ = await hub.preview(configured)
    assert len(hub.service().writes) == before
    await hub.apply(configured)
    done = [item for item in hub.items if item.changes or item.action is Action.KEEP]
    assert lines(planned) == lines(done)
    again, preview = await hub.preview(configured)
    assert [item for item in again if item.action is not Action.PARK] == []
    assert not preview.pending
    return planned


@pytest.mark.parametrize("leave", list(Leave))
async def test_i_27_plan_is_what_apply_does(hub: World, leave: Leave) -> None:
    """Joiners, movers, leavers, returners, managers and groups: line by line the same."""
    configured = target(leave=leave, scope='title ne "out"')
    ada = await hub.hire("ada", {ENTERPRISE: {"manager": {"value": "hub-2"}}}, title="A")
    grace = await hub.hire("grace")
    alan = await hub.hire("alan", {ENTERPRISE: {"manager": {"value": grace}}})
    team = await hub.group("team", ada, grace)
    assert len(await agree(hub, configured)) == 4
    await hub.change(ada, title="B")
    await hub.change(grace, active=False)
    await hub.change(alan, title="out")
    linus = await hub.hire("linus", {ENTERPRISE: {"manager": {"value": ada}}})
    await hub.members(team, add=[linus, alan], remove=[ada])
    await agree(hub, configured)
    await hub.change(grace, active=True)
    await hub.change(alan, title="in")
    await hub.remove(ada)
    await agree(hub, configured)


async def test_before_the_first_run_nothing_is_known(hub: World) -> None:
    """A preview of a target that was never worked on finds accounts as a run would, and leaves no trace."""
    hub.service().add("Users", {"userName": "ada"})
    await hub.hire("ada")
    await hub.hire("grace")
    items, preview = await hub.preview(target())
    assert [(item.label, item.action) for item in items] == [("ada", Action.CHANGE), ("grace", Action.CREATE)]
    assert preview.pending
    assert await hub.links.target(TENANT, "app") is None


async def test_managers_to_come_are_shown(hub: World) -> None:
    """A reference to an account that the run itself would make is shown by name."""
    await hub.hire("ada", {ENTERPRISE: {"manager": {"value": "hub-2"}}})
    await hub.hire("grace")
    items, _ = await hub.preview(target())
    (manager,) = [
        difference.new
        for item in items
        for difference in item.differences
        if "manager" in difference.attribute
    ]
    assert manager == {"value": "account of grace"}


async def test_who_waited_for_a_manager_is_shown(hub: World) -> None:
    """Somebody unchanged who waits for a manager is in the plan as soon as the manager is."""
    await hub.hire("ada", {ENTERPRISE: {"manager": {"value": "hub-2"}}})
    grace = await hub.hire("grace", title="out")
    configured = target(scope='title ne "out"')
    await agree(hub, configured)
    await hub.change(grace, title="in")
    items = await agree(hub, configured)
    assert [(item.label, item.action) for item in items] == [
        ("grace", Action.CREATE),
        ("ada", Action.COMPLETE),
    ]


async def test_a_changed_configuration_is_shown_and_not_kept(hub: World) -> None:
    """Another digest has everybody looked at; the preview does not take it over."""
    await hub.hire("ada")
    await hub.apply(target())
    digest = (await hub.progress()).digest
    items, _ = await hub.preview(target(digest="2", users={"userName": "userName", "title": "userName"}))
    assert [(item.label, item.action) for item in items] == [("ada", Action.CHANGE)]
    assert (await hub.progress()).digest == digest


async def test_scope_by_group_is_previewed(hub: World) -> None:
    """Whoever joined a group that decides the scope is in the plan, though the person did not change."""
    ada = await hub.hire("ada")
    team = await hub.group("team")
    configured = target(scope='groups.display eq "team"', groups=None)
    await hub.apply(configured)
    await hub.members(team, add=[ada])
    assert [item.label for item in await agree(hub, configured)] == ["ada"]


async def test_refusals_are_lines(hub: World) -> None:
    """Ambiguous accounts and links parked before are shown with the reason, and are no reason for a run."""
    service = hub.service()
    service.add("Users", {"userName": "a", "externalId": "e-ada"})
    service.add("Users", {"userName": "b", "externalId": "e-ada"})
    ada = await hub.hire("ada")
    items, preview = await hub.preview(target())
    assert [(item.label, item.action) for item in items] == [("ada", Action.PARK)]
    assert "2 accounts" in (items[0].failure or "")
    assert not preview.pending
    await hub.apply(target())
    link = await hub.link(ada)
    assert link is not None
    assert link.state is State.PARKED
    items, preview = await hub.preview(target())
    assert [(item.label, item.action) for item in items] == [("ada", Action.PARK)]
    assert items[0].hint


@pytest.mark.parametrize("broken", ["down", "html", "token"])
async def test_an_unreachable_target_is_told(hub: World, broken: str) -> None:
    """A target that does not answer, does not speak SCIM or refuses the token ends its preview with the reason."""
    await hub.hire("ada")
    service = hub.service(profile=Profile(token="other" if broken == "token" else None))
    if broken != "token":
        service.faults.append(Fault("GET", "/Users", None if broken == "down" else html(200), times=9))
    items, preview = await hub.preview(target())
    assert items == []
    assert preview.stopped
    assert preview.hint


async def test_a_refused_read_is_one_line(hub: World) -> None:
    """A SCIM error about one person refuses that person only."""
    ada = await hub.hire("ada")
    await hub.hire("grace")
    hub.service().faults.append(Fault("GET", "/Users", error(400, "odd", "invalidValue")))
    items, preview = await hub.preview(target(concurrency=1))
    assert sorted(item.action for item in items) == [Action.CREATE, Action.PARK]
    assert preview.stopped is None
    assert ada
