"""The engine against scripted targets: joiners, movers, leavers, returners; managers and groups; failures."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.postgres_server import empty
from tests.provisioning.world import ENTERPRISE, GROUP, World, target, world

from rollbook.provisioning.items import Action
from rollbook.provisioning.model import Leave
from rollbook.testing.scripted_target import Profile

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    database = None
    if request.param == "postgresql":
        empty(database := request.getfixturevalue("postgres_database"))
    async with world(tmp_path, database) as made:
        yield made


async def test_joiner_mover_and_nothing_to_do(hub: World) -> None:
    """A hire creates, a move changes what moved, and a run with nothing to do makes no call at all."""
    ada = await hub.hire("ada", {ENTERPRISE: {"department": "R&D"}}, title="Analyst")
    (report,) = await hub.apply(target())
    service = hub.service()
    assert report.counts[Action.CREATE] == 1
    assert service.named("Users", "ada")[ENTERPRISE] == {"department": "R&D"}
    await hub.change(ada, {ENTERPRISE: {"department": "Platform"}}, title="Lead")
    await hub.apply(target())
    assert service.requests[-1].body["Operations"] == [
        {"op": "replace", "path": "title", "value": "Lead"},
        {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "Platform"},
    ]
    service.requests.clear()
    (report,) = await hub.apply(target())
    assert service.requests == []
    assert not report.failed


async def test_run_is_recorded(hub: World) -> None:
    """Every run leaves a row with its time and its counts, also one that did nothing."""
    await hub.hire("ada")
    await hub.apply(target())
    run = await hub.links.last_run(1, "apply", "app")
    assert run is not None
    assert run.ended == hub.clock.now()
    assert run.counts["create"] == 1
    await hub.apply(target())
    again = await hub.links.last_run(1, "apply", "app")
    assert again is not None
    assert (again.number, again.counts.get("create", 0)) == (run.number + 1, 0)


async def test_i_12_withheld_attributes_never_leave(hub: World) -> None:
    """What the mapping does not name is in no URL, header or body, whatever happens to the person."""
    ada = await hub.hire(
        "ada", nickName="MARKER-1", profileUrl="https://MARKER-2.example/", userType="MARKER-3"
    )
    await hub.group("MARKER-4", ada)
    only = target(users={"userName": "userName", "active": "active"}, groups='displayName sw "dept-"')
    await hub.apply(only)
    await hub.change(ada, nickName="MARKER-5", title="MARKER-6", active=False)
    await hub.apply(only)
    await hub.change(ada, active=True)
    await hub.apply(only)
    await hub.remove(ada)
    await hub.apply(only)
    seen = repr(hub.service().requests)
    assert len(hub.service().writes) == 4
    assert "MARKER" not in seen
    assert "e-ada" not in seen


async def test_i_12_whoever_is_out_of_scope_is_not_spoken_of(hub: World) -> None:
    """After somebody left the scope nothing but the switch is sent about them."""
    ada = await hub.hire("ada", title="in")
    scoped = target(scope='title ne "out"')
    await hub.apply(scoped)
    await hub.change(ada, title="out", userName="MARKER")
    await hub.apply(scoped)
    assert hub.service().requests[-1].body["Operations"] == [
        {"op": "replace", "path": "active", "value": False}
    ]


@pytest.mark.parametrize("how", ["inactive", "deleted", "out of scope"])
@pytest.mark.parametrize("leave", list(Leave))
async def test_leave_policies(hub: World, how: str, leave: Leave) -> None:
    """Whoever left in any way is disabled, deleted or kept as the target's policy says."""
    ada = await hub.hire("ada", title="in")
    configured = target(scope='title eq "in"', leave=leave)
    await hub.apply(configured)
    if how == "deleted":
        await hub.remove(ada)
    else:
        await hub.change(ada, {"active": False} if how == "inactive" else {"title": "out"})
    hub.service().requests.clear()
    await hub.apply(configured)
    users = list(hub.service().resources["Users"].values())
    assert [user["active"] for user in users] == {
        Leave.DISABLE: [False],
        Leave.DELETE: [],
        Leave.KEEP: [True],
    }[leave]
    assert len(hub.service().writes) == (0 if leave is Leave.KEEP else 1)
    assert [item.action for item in hub.items] == [Action(leave.value)]
    assert hub.items[0].reason == how
    hub.service().requests.clear()
    await hub.apply(configured)
    assert hub.service().requests == []


@pytest.mark.parametrize("leave", list(Leave))
async def test_return(hub: World, leave: Leave) -> None:
    """Whoever comes back has exactly one account again, switched on and up to date."""
    ada = await hub.hire("ada")
    await hub.apply(target(leave=leave))
    await hub.change(ada, active=False)
    await hub.apply(target(leave=leave))
    await hub.change(ada, active=True, title="Back")
    await hub.apply(target(leave=leave))
    (account,) = hub.service().resources["Users"].values()
    assert (account["active"], account["title"]) == (True, "Back")


async def test_return_without_a_mapped_switch(hub: World) -> None:
    """An account that we switched off is switched on again although active is not in the mapping."""
    ada = await hub.hire("ada")
    plain = target(users={"userName": "userName"})
    await hub.apply(plain)
    await hub.change(ada, active=False)
    await hub.apply(plain)
    assert hub.service().named("Users", "ada")["active"] is False
    await hub.change(ada, active=True)
    await hub.apply(plain)
    assert hub.service().named("Users", "ada")["active"] is True


async def test_whoever_never_was_there_is_not_created_to_be_disabled(hub: World) -> None:
    """An inactive person without an account causes no call at all."""
    await hub.hire("ada", active=False)
    await hub.apply(target())
    assert hub.service().requests == []
    assert (await hub.link("hub-1")) is None


async def test_rehire_under_a_new_record_gets_the_old_account(hub: World) -> None:
    """Deleted at the source and hired anew, a person takes over the disabled account (I-11)."""
    ada = await hub.hire("ada")
    await hub.apply(target())
    await hub.remove(ada)
    await hub.apply(target())
    again = await hub.hire("ada", title="Back")
    await hub.apply(target())
    (account,) = hub.service().resources["Users"].values()
    assert (account["active"], account["title"]) == (True, "Back")
    assert await hub.link(ada) is None
    link = await hub.link(again)
    assert link is not None
    assert link.remote_id == account["id"]


async def test_a_namesake_does_not_inherit(hub: World) -> None:
    """A new person with a leaver's user name, but another external id, gets nobody's account (FE-21)."""
    ada = await hub.hire("ada", externalId="e-1")
    await hub.apply(target())
    await hub.remove(ada)
    await hub.apply(target())
    await hub.hire("ada", externalId="e-2")
    (report,) = await hub.apply(target())
    assert report.counts[Action.PARK] == 1
    assert "belongs to" in (report.failures[0].failure or "")
    assert hub.service().named("Users", "ada")["externalId"] == "e-1"


async def test_adoption_by_external_id_then_user_name(hub: World) -> None:
    """Accounts that exist already are taken over and corrected, not made again (client.md 5)."""
    service = hub.service()
    by_id = service.add("Users", {"userName": "other", "externalId": "e-ada", "active": True})
    by_name = service.add("Users", {"userName": "GRACE", "active": False})
    await hub.hire("ada")
    await hub.hire("grace")
    (report,) = await hub.apply(target())
    assert set(service.resources["Users"]) == {by_id, by_name}
    assert service.named("Users", "ada")["id"] == by_id
    assert (service.named("Users", "grace")["externalId"], service.named("Users", "grace")["active"]) == (
        "e-grace",
        True,
    )
    assert report.counts[Action.CHANGE] == 2


async def test_several_matches_are_not_guessed(hub: World) -> None:
    """Two accounts with the same external id: nothing is written, a person has to look (client.md 5)."""
    service = hub.service()
    service.add("Users", {"userName": "a", "externalId": "e-ada"})
    service.add("Users", {"userName": "b", "externalId": "e-ada"})
    await hub.hire("ada")
    await hub.hire("grace")
    (report,) = await hub.apply(target())
    assert [request.body["userName"] for request in service.writes] == ["grace"]
    assert report.counts[Action.PARK] == 1
    assert report.failures[0].failure == "2 accounts have externalId 'e-ada': remove all but one there"


async def test_c_5_03_a_target_that_ignores_filters(hub: World) -> None:
    """A target that answers every search with everybody gets its accounts made, and nobody else's adopted."""
    service = hub.service(profile=Profile(ignores_filters=True))
    service.add("Users", {"userName": "zoe", "externalId": "e-zoe"})
    await hub.hire("ada")
    await hub.apply(target())
    assert service.named("Users", "ada")["externalId"] == "e-ada"
    assert service.named("Users", "zoe")["externalId"] == "e-zoe"


async def test_a_target_that_cannot_look_for_external_ids(hub: World) -> None:
    """A refused filter is no obstacle: the next joining attribute is asked for."""
    service = hub.service(profile=Profile(filters=frozenset({"userName"})))
    service.add("Users", {"userName": "ada"})
    await hub.hire("ada")
    await hub.apply(target())
    assert len(service.resources["Users"]) == 1
    assert service.named("Users", "ada")["externalId"] == "e-ada"


@pytest.mark.parametrize("concurrency", [1, 3, 20])
async def test_c_6_10_managers_go_first(hub: World, concurrency: int) -> None:
    """Whoever is named as a manager is made before those who name them, in whatever order they were hired."""
    for number in range(40):
        boss = f"hub-{number * 2 + 2}" if number < 19 else "hub-40"
        await hub.hire(f"user-{number}", {ENTERPRISE: {"manager": {"value": boss, "$ref": f"../{boss}"}}})
    (report,) = await hub.apply(target(concurrency=concurrency))
    users = hub.service().resources["Users"]
    ids = {user["userName"]: remote_id for remote_id, user in users.items()}
    assert users[ids["user-0"]][ENTERPRISE] == {"manager": {"value": ids["user-1"]}}
    assert all("manager" in user[ENTERPRISE] for user in users.values())
    assert report.counts[Action.COMPLETE] == 1  # user-39 is their own manager
    assert len(hub.service().writes) == 41


@pytest.mark.parametrize("concurrency", [1, 8])
async def test_fe_22_manager_rings_are_closed_in_a_second_pass(hub: World, concurrency: int) -> None:
    """Three people who manage each other all get their manager, by the target's ids."""
    for number in range(3):
        manager = {"value": f"hub-{(number + 1) % 3 + 1}"}
        await hub.hire(f"user-{number}", {ENTERPRISE: {"manager": manager}})
    await hub.apply(target(concurrency=concurrency))
    service = hub.service()
    ids = [service.named("Users", f"user-{number}")["id"] for number in range(3)]
    for number in range(3):
        manager = {"value": ids[(number + 1) % 3]}
        assert service.named("Users", f"user-{number}")[ENTERPRISE] == {"manager": manager}


async def test_fe_22_deleted_managers_are_taken_away(hub: World) -> None:
    """When a manager's account is gone, nobody at the target names it any more."""
    await hub.hire("boss")
    await hub.hire("ada", {ENTERPRISE: {"manager": {"value": "hub-1"}}})
    await hub.apply(target(leave=Leave.DELETE))
    await hub.remove("hub-1")
    await hub.apply(target(leave=Leave.DELETE))
    assert "manager" not in hub.service().named("Users", "ada")[ENTERPRISE]


async def test_managers_out_of_scope_are_left_out(hub: World) -> None:
    """A manager the target does not have is not sent, neither by hub id nor otherwise."""
    await hub.hire("boss", title="out")
    await hub.hire("ada", {ENTERPRISE: {"manager": {"value": "hub-1", "displayName": "Boss"}}}, title="in")
    await hub.apply(target(scope='title eq "in"'))
    assert ENTERPRISE not in hub.service().named("Users", "ada")
    assert "hub-1" not in repr(hub.service().requests)
    await hub.change("hub-1", title="in")
    await hub.apply(target(scope='title eq "in"'))
    boss = hub.service().named("Users", "boss")["id"]
    assert hub.service().named("Users", "ada")[ENTERPRISE] == {"manager": {"value": boss}}


async def test_groups_follow_their_users(hub: World) -> None:
    """Groups are made after users, with members by their ids at the target, and changed by what changed."""
    ada, grace, alan = [await hub.hire(name) for name in ("ada", "grace", "alan")]
    team = await hub.group("team", ada, grace)
    (report,) = await hub.apply(target())
    service = hub.service()
    ids = {name: service.named("Users", name)["id"] for name in ("ada", "grace", "alan")}
    assert members_of(service.named("Groups", "team")) == {ids["ada"], ids["grace"]}
    assert report.counts["members added"] == 2
    service.requests.clear()
    await hub.members(team, add=[alan], remove=[ada])
    await hub.apply(target())
    (request,) = service.writes
    assert request.body["Operations"] == [
        {"op": "remove", "path": f'members[value eq "{ids["ada"]}"]'},
        {"op": "add", "path": "members", "value": [{"value": ids["alan"]}]},
    ]
    assert members_of(service.named("Groups", "team")) == {ids["grace"], ids["alan"]}


async def test_c_6_07_members_in_chunks(hub: World) -> None:
    """No request names more than a hundred members, and each is added once."""
    people = [await hub.hire(f"user-{number}") for number in range(250)]
    await hub.group("all", *people)
    await hub.apply(target(concurrency=16))
    changes = [request.body["Operations"] for request in hub.service().writes if request.method == "PATCH"]
    assert [len(operation[0]["value"]) for operation in changes] == [100, 100, 50]
    assert len(members_of(hub.service().named("Groups", "all"))) == 250


async def test_adopted_group_keeps_foreign_members(hub: World) -> None:
    """Members that we know nothing of stay; those of ours that do not belong there go (I-15)."""
    ada, grace = [await hub.hire(name) for name in ("ada", "grace")]
    await hub.apply(target(groups=None))
    service = hub.service()
    ids = {name: service.named("Users", name)["id"] for name in ("ada", "grace")}
    service.add("Groups", {"displayName": "team", "members": [{"value": ids["grace"]}, {"value": "foreign"}]})
    await hub.group("team", ada)
    await hub.apply(target(digest="2"))
    assert members_of(service.named("Groups", "team")) == {ids["ada"], "foreign"}
    assert len(service.resources["Groups"]) == 1
    assert grace


async def test_nested_groups(hub: World) -> None:
    """A group in a group is a member by its id at the target, also when it comes later."""
    inner = await hub.group("b-inner")
    await hub.group("a-outer", inner)
    await hub.apply(target(concurrency=1))
    service = hub.service()
    assert members_of(service.named("Groups", "a-outer")) == {service.named("Groups", "b-inner")["id"]}


@pytest.mark.parametrize(
    ("leave", "left"), [(Leave.DISABLE, set()), (Leave.KEEP, {"remote-1"}), (Leave.DELETE, None)]
)
async def test_groups_that_leave(hub: World, leave: Leave, left: set[str] | None) -> None:
    """A deleted group is emptied by disable, untouched by keep, gone by delete."""
    ada = await hub.hire("ada")
    team = await hub.group("team", ada)
    await hub.apply(target(leave=leave))
    await hub.remove(team, GROUP)
    await hub.apply(target(leave=leave))
    groups = list(hub.service().resources["Groups"].values())
    assert [members_of(group) for group in groups] == ([] if left is None else [left])


async def test_deleted_user_leaves_groups_and_comes_back(hub: World) -> None:
    """An account that was deleted and made again is a member again of what it was in (pain 15)."""
    ada = await hub.hire("ada")
    await hub.group("team", ada)
    await hub.apply(target(leave=Leave.DELETE))
    await hub.change(ada, active=False)
    await hub.apply(target(leave=Leave.DELETE))
    assert members_of(hub.service().named("Groups", "team")) == set()
    await hub.change(ada, active=True)
    await hub.apply(target(leave=Leave.DELETE))
    assert members_of(hub.service().named("Groups", "team")) == {hub.service().named("Users", "ada")["id"]}


async def test_scope_by_group(hub: World) -> None:
    """Whoever joins or leaves a group that decides the scope is looked at, though the person did not change."""
    ada = await hub.hire("ada")
    team = await hub.group("team")
    scoped = target(scope='groups.display eq "team"', groups=None)
    await hub.apply(scoped)
    assert hub.service().resources["Users"] == {}
    await hub.members(team, add=[ada])
    await hub.apply(scoped)
    assert hub.service().named("Users", "ada")["active"] is True
    await hub.remove(team, GROUP)
    await hub.apply(scoped)
    assert hub.service().named("Users", "ada")["active"] is False


def members_of(group: dict[str, object]) -> set[str]:
    """The remote ids of a group's members."""
    members = group.get("members") or []
    assert isinstance(members, list)
    return {member["value"] for member in members}
