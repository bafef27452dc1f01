"""Groups at targets that have no groups in groups: whoever is in a group of a group is a member there (pain point 25)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.postgres_server import empty
from tests.provisioning.world import GROUP, World, target, world

from rollbook.protocol.resource import Change, Member, Scope
from rollbook.provisioning import model
from rollbook.provisioning.model import Leave
from rollbook.storage.base import Author, Rules
from rollbook.storage.sql.sqlite import SqliteConnection

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    database = None
    if request.param == "postgresql":
        empty(database := request.getfixturevalue("postgres_database"))
    async with world(tmp_path, database) as made:
        yield made


def flat(configured: model.Target | None = None) -> model.Target:
    """The target with groups that have people only."""
    configured = configured or target()
    assert configured.groups is not None
    return replace(
        configured, groups=replace(configured.groups, flat=True), digest=f"{configured.digest} flat"
    )


def inside(hub: World, name: str) -> list[str]:
    """The user names of a group's members at the target, as often as they are there."""
    service = hub.service()
    members = [one["value"] for one in service.named("Groups", name).get("members", [])]
    names = {**service.resources["Users"], **service.resources["Groups"]}
    return sorted(names[one].get("userName") or names[one]["displayName"] for one in members)


async def test_people_in_groups_of_groups_are_members(hub: World) -> None:
    """Each once, however many ways lead to them; no group is a member; there is nothing to do afterwards."""
    ada, grace, joan = [await hub.hire(name) for name in ("ada", "grace", "joan")]
    inner = await hub.group("inner", ada, grace)
    other = await hub.group("other", ada)
    middle = await hub.group("middle", inner, other)
    await hub.group("outer", middle, inner, joan, ada)
    await hub.apply(flat())
    assert inside(hub, "outer") == ["ada", "grace", "joan"]
    assert inside(hub, "middle") == ["ada", "grace"]
    assert inside(hub, "other") == ["ada"]
    hub.service().requests.clear()
    (report,) = await hub.apply(flat())
    assert hub.service().requests == []
    assert not report.failed


async def test_a_change_far_below_goes_out_at_once_and_alone(hub: World) -> None:
    """One member of the innermost group is one member sent for each group above it; who is in by another way stays."""
    ada, grace = await hub.hire("ada"), await hub.hire("grace")
    inner = await hub.group("inner", ada)
    side = await hub.group("side", grace)
    middle = await hub.group("middle", inner)
    outer = await hub.group("outer", middle, side)
    await hub.apply(flat())
    hub.service().requests.clear()
    await hub.members(inner, add=[grace])
    items, _ = await hub.preview(flat())
    assert {(item.label, item.added) for item in items} == {("inner", 1), ("middle", 1)}
    await hub.apply(flat())
    assert inside(hub, "middle") == inside(hub, "outer") == ["ada", "grace"]
    sent = [one.body["Operations"] for one in hub.service().writes]
    assert [len(operations[0]["value"]) for operations in sent] == [1, 1]
    await hub.members(outer, remove=[side])
    await hub.apply(flat())
    assert inside(hub, "outer") == ["ada", "grace"]
    await hub.members(middle, remove=[inner])
    await hub.apply(flat())
    assert inside(hub, "outer") == inside(hub, "middle") == []


async def test_a_group_that_ends_takes_its_people_out_above(hub: World) -> None:
    """Of all groups it was in, directly or not."""
    ada = await hub.hire("ada")
    inner = await hub.group("inner", ada)
    await hub.group("outer", await hub.group("middle", inner))
    await hub.apply(flat())
    await hub.remove(inner, GROUP)
    items, _ = await hub.preview(flat())
    assert {item.label: item.removed for item in items if item.removed} == {
        "inner": 1,
        "middle": 1,
        "outer": 1,
    }
    await hub.apply(flat())
    assert inside(hub, "outer") == inside(hub, "middle") == []


async def test_a_ring_does_no_harm(hub: World) -> None:
    """Where groups may be in each other, all of them have everybody."""
    ada, grace = await hub.hire("ada"), await hub.hire("grace")
    one = await hub.group("one", ada)
    other = await hub.group("other", one, grace)

    await hub.store.update(
        1,
        GROUP,
        one,
        lambda _: Change(None, (Member(other),)),
        Scope(),
        Author("test", hub.clock.now()),
        Rules(group_cycles=True),
    )
    await hub.apply(flat())
    assert inside(hub, "one") == inside(hub, "other") == ["ada", "grace"]


async def test_15_who_comes_back_is_in_the_groups_above_again(hub: World) -> None:
    """After being deleted at the target, and after having left the scope."""
    ada = await hub.hire("ada", title="in")
    await hub.group("outer", await hub.group("inner", ada))
    app = flat(target(scope='title eq "in"', leave=Leave.DELETE))
    await hub.apply(app)
    assert inside(hub, "outer") == ["ada"]
    await hub.change(ada, title="out")
    await hub.apply(app)
    assert inside(hub, "outer") == []
    await hub.change(ada, title="in")
    items, _ = await hub.preview(app)
    assert {(item.label, item.added) for item in items} == {("ada", 0), ("inner", 1), ("outer", 1)}
    await hub.apply(app)
    assert inside(hub, "outer") == inside(hub, "inner") == ["ada"]


async def test_a_target_becomes_flat_and_back(hub: World) -> None:
    """The configuration decides: groups that were members go out of the group, their people come in; and back."""
    ada = await hub.hire("ada")
    await hub.group("outer", await hub.group("inner", ada))
    await hub.apply(target())
    assert inside(hub, "outer") == ["inner"]
    items, _ = await hub.preview(flat())
    assert [(item.label, item.added, item.removed) for item in items] == [("outer", 1, 1)]
    await hub.apply(flat())
    assert inside(hub, "outer") == ["ada"]
    await hub.apply(target())
    assert inside(hub, "outer") == ["inner"]


@pytest.mark.parametrize("hub", ["sqlite"], indirect=True)
async def test_one_change_below_many_groups_costs_the_same_in_a_large_one(
    hub: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statements and rows read do not grow with the number of members, only with that of groups above."""
    read = []
    real = SqliteConnection.all

    def noting(self: SqliteConnection, sql: str, parameters: tuple[object, ...] = ()) -> list[object]:
        found = real(self, sql, parameters)  # type: ignore[arg-type]
        read.append(len(found))
        return found  # type: ignore[return-value]

    costs = []
    people = [await hub.hire(f"p{number}") for number in range(300)]
    innermost = group = await hub.group("g0", *people[:10])
    for number in range(1, 11):
        group = await hub.group(f"g{number}", group)
    await hub.apply(flat())
    monkeypatch.setattr(SqliteConnection, "all", noting)
    for more in (people[10:11], people[11:299]):
        await hub.members(innermost, add=more)
        await hub.apply(flat())
        await hub.members(innermost, remove=people[:1])
        read.clear()
        await hub.apply(flat())
        costs.append((len(read), sum(read)))
        await hub.members(innermost, add=people[:1])
        await hub.apply(flat())
    small, large = costs
    # Who comes first differs from run to run, by a statement or two for each group.
    assert abs(large[0] - small[0]) <= 40
    assert abs(large[1] - small[1]) <= 40
