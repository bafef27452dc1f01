"""What people complain about in other engines (provisioning.md, section 2), one test each, by its number.

Some are told in full elsewhere and only named here: what is looked at is that they hold of this engine.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.provisioning.world import ENTERPRISE, World, target, world

from rollbook.provisioning.audit import AuditOrder, audit_target
from rollbook.provisioning.brake import DAY
from rollbook.provisioning.items import Action
from rollbook.provisioning.model import BrakeLimit, Drift, DriftPolicy, Leave
from rollbook.provisioning.profile import Profile as Kind
from rollbook.provisioning.profile import profile_named
from rollbook.provisioning.targets.scim import ScimTarget
from rollbook.testing.scripted_target import Answer, Fault, Profile, Recorded, ScriptedTarget, error, html

pytestmark = pytest.mark.anyio


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    async with world(tmp_path) as made:
        yield made


async def hired(hub: World, number: int) -> list[str]:
    """So many people in the hub."""
    return [await hub.hire(f"p{at:03}") for at in range(number)]


async def test_01_a_load_that_is_cut_off_goes_on_where_it_was(hub: World) -> None:
    """There is no time limit for the whole, and nothing begins anew."""
    await hired(hub, 30)
    hub.service().faults.append(Fault("POST", "/Users", Answer(429, headers={"retry-after": "3000"})))
    (first,) = await hub.apply(target(concurrency=1), patience=0)
    assert first.stopped is not None
    done = len(hub.service().resources["Users"])
    hub.clock.milliseconds += 3_600_000
    (second,) = await hub.apply(target(concurrency=1))
    assert second.counts[Action.CREATE] == 30 - done
    assert len(hub.service().resources["Users"]) == 30


async def test_03_changes_by_hand_at_the_target_are_found(hub: World) -> None:
    """An audit reads every account; what becomes of it is the target's to say (test_audit)."""
    await hub.hire("ada", title="Analyst")
    await hub.apply(target())
    hub.service().named("Users", "ada")["title"] = "Queen"
    reported, put_back = target(), replace(target(), drift=DriftPolicy(Drift.OVERWRITE))
    for configured, left, there in ((reported, 1, "Queen"), (put_back, 0, "Analyst")):
        report = await audit_target(
            hub.engine, configured, hub.connect, AuditOrder(hub.clock.now() + 1, watch=hub.items.append)
        )
        assert report is not None
        assert (report.counts["differ"], report.counts["left"]) == (1, left)
        assert hub.items[-1].differences[0].old == "Queen"
        await hub.apply(configured)
        assert hub.service().named("Users", "ada")["title"] == there


async def test_04_no_more_members_in_a_call_than_the_target_takes(hub: World) -> None:
    """A hundred unless its profile says otherwise."""
    await hub.group("all", *await hired(hub, 250))
    await hub.apply(target())
    sizes = [len(one.body["Operations"][0]["value"]) for one in hub.service().writes if one.method == "PATCH"]
    assert sizes == [100, 100, 50]


async def test_05_one_new_member_is_one_member_sent(hub: World) -> None:
    """Not the whole list."""
    people = await hired(hub, 211)
    group = await hub.group("all", *people)
    await hub.apply(target())
    hub.service().requests.clear()
    await hub.members(group, add=[await hub.hire("new")])
    await hub.apply(target())
    (patch,) = [one for one in hub.service().writes if one.method == "PATCH"]
    assert len(patch.body["Operations"][0]["value"]) == 1
    assert [
        one for one in hub.service().requests if one.path.startswith("/Groups") and one.method == "GET"
    ] == []


async def test_06_users_times_groups_is_no_number_of_calls(hub: World) -> None:
    """40 users in each of 10 groups: a call to find and one to make each, and one for the members of each group."""
    people = await hired(hub, 40)
    for at in range(10):
        await hub.group(f"g{at}", *people)
    await hub.apply(target())
    assert len(hub.service().writes) == 40 + 10 + 10
    assert len(hub.service().requests) < 40 * 3 + 10 * 3 + 10
    hub.service().requests.clear()
    await hub.apply(target())
    assert hub.service().requests == []


async def test_07_a_429_is_a_pause_and_no_failure(hub: World) -> None:
    """As long as the target asks for, in seconds or as a date, for all calls to it."""
    await hired(hub, 5)
    hub.service().faults.append(Fault("POST", "/Users", Answer(429, headers={"retry-after": "30"})))
    begun = hub.clock.now()
    (report,) = await hub.apply(target())
    assert not report.failed
    assert hub.clock.now() - begun >= 30_000


async def test_08_what_is_not_ours_is_not_touched(hub: World) -> None:
    """Neither accounts nor groups that we neither made nor took over."""
    service = hub.service()
    foreign = service.add("Users", {"userName": "theirs", "active": True})
    service.add("Groups", {"displayName": "theirs", "members": [{"value": foreign}]})
    for own in await hired(hub, 3):
        await hub.apply(target(leave=Leave.DELETE))
        await hub.remove(own)
    await hub.apply(target(leave=Leave.DELETE))
    assert [user["userName"] for user in service.resources["Users"].values()] == ["theirs"]
    assert service.named("Groups", "theirs")["members"] == [{"value": foreign}]


async def test_09_an_empty_hub_is_not_believed(hub: World) -> None:
    """Whatever made everybody vanish: the brake asks (sources have a limit of their own, `shrink_limit`)."""
    people = await hired(hub, 10)
    await hub.apply(target(brake=BrakeLimit()))
    for own in people:
        await hub.remove(own)
    (report,) = await hub.apply(target(brake=BrakeLimit()))
    assert report.braked
    assert len(hub.service().resources["Users"]) == 10


async def test_10_who_exists_already_is_taken_over(hub: World) -> None:
    """By externalId or name, also if a create says so; nobody is made twice."""
    known = hub.service().add("Users", {"userName": "ADA", "active": True})
    await hub.hire("ada", title="Analyst")
    await hub.apply(target())
    (only,) = hub.service().resources["Users"].values()
    assert (only["id"], only["title"]) == (known, "Analyst")


async def test_11_a_web_page_with_404_says_nothing_about_a_person(hub: World) -> None:
    """Nobody is made anew because of it."""
    ada = await hub.hire("ada")
    await hub.apply(target())
    await hub.change(ada, title="Lead")
    hub.service().faults.append(Fault("GET", "/Users/", html(404)))
    await hub.apply(target(), patience=0)
    assert [one.method for one in hub.service().writes] == ["POST"]


async def test_12_targets_without_patch_and_without_put(hub: World) -> None:
    """Whatever they have is used: found out, or said by the profile."""
    hub.service("old", Profile(patch=False))
    ada = await hub.hire("ada")
    await hub.apply(target("old"), target("new"))
    await hub.change(ada, title="Lead")
    await hub.apply(target("old"), target("new"))
    assert [one.method for one in hub.service("old").writes] == ["POST", "PUT"]
    assert [one.method for one in hub.service("new").writes] == ["POST", "PATCH"]


async def test_13_removals_are_written_without_patch_too(hub: World) -> None:
    """A member that goes, goes by a whole list."""
    hub.service(profile=Profile(patch=False))
    ada, grace = await hub.hire("ada"), await hub.hire("grace")
    group = await hub.group("all", ada, grace)
    await hub.apply(target())
    await hub.members(group, remove=[ada])
    await hub.apply(target())
    left = hub.service().named("Groups", "all")["members"]
    assert [one["value"] for one in left] == [hub.service().named("Users", "grace")["id"]]


class Picky(ScriptedTarget):
    """A target that refuses one account as a member of anything."""

    refuses = ""

    def _on_resource(self, endpoint: str, present: Any, request: Recorded) -> Answer:
        if endpoint == "Groups" and self.refuses and self.refuses.encode() in request.raw:
            return error(400, f"no member {self.refuses}", "invalidValue")
        return super()._on_resource(endpoint, present, request)


async def test_14_one_bad_member_stops_no_other(hub: World) -> None:
    """It is found by halves and told with the target's words; 99 others are in, in few calls."""
    service = hub.far["app"] = Picky()
    people = await hired(hub, 100)
    await hub.apply(target())
    service.refuses = service.named("Users", "p042")["id"]
    await hub.group("all", *people)
    (report,) = await hub.apply(target())
    members = {one["value"] for one in service.named("Groups", "all")["members"]}
    assert len(members) == 99
    assert service.refuses not in members
    (failure,) = report.failures
    assert f"refuses account {service.refuses} as a member; all others are in" in str(failure.failure)
    assert f"no member {service.refuses}" in str(failure.failure)
    assert len([one for one in service.writes if one.method == "PATCH"]) < 20
    service.refuses = ""
    (report,) = await hub.apply(target(), unpark=True)
    assert not report.failed
    assert len(service.named("Groups", "all")["members"]) == 100


async def test_14_a_slow_search_for_the_bad_member_keeps_its_lease(hub: World) -> None:
    """Each call that is taken is recorded, and the lease begins anew: half a minute a call is no reason to begin again."""

    class Slow(Picky):
        def _on_resource(self, endpoint: str, present: Any, request: Recorded) -> Answer:
            hub.clock.milliseconds += 28_000 if endpoint == "Groups" and request.method == "PATCH" else 0
            return super()._on_resource(endpoint, present, request)

    service = hub.far["app"] = Slow()
    people = await hired(hub, 100)
    await hub.apply(target())
    service.refuses = service.named("Users", "p042")["id"]
    await hub.group("all", *people)
    (report,) = await hub.apply(target())
    assert "all others are in" in str(report.failures[0].failure)
    assert len(service.named("Groups", "all")["members"]) == 99


async def test_14_a_target_that_takes_no_member_is_not_asked_about_each(hub: World) -> None:
    """After twenty it is not about them any more: the group is given up with the target's words."""
    service = hub.far["app"] = Picky()
    people = await hired(hub, 200)
    await hub.apply(target())
    service.refuses = "remote-"
    await hub.group("all", *people)
    (report,) = await hub.apply(target())
    (failure,) = report.failures
    assert "no member remote-" in str(failure.failure)
    assert len([one for one in service.writes if one.method == "PATCH"]) < 80


async def test_15_who_comes_back_has_the_same_account_and_groups(hub: World) -> None:
    """Reactivated, with memberships; rehired under a new record too."""
    ada = await hub.hire("ada")
    await hub.group("all", ada)
    await hub.apply(target())
    account = hub.service().named("Users", "ada")["id"]
    await hub.change(ada, active=False)
    await hub.apply(target())
    await hub.change(ada, active=True)
    await hub.apply(target())
    assert hub.service().named("Users", "ada")["active"] is True
    assert hub.service().named("Groups", "all")["members"] == [{"value": account}]
    await hub.remove(ada)
    await hub.apply(target())
    await hub.hire("ada")
    await hub.apply(target())
    assert [user["id"] for user in hub.service().resources["Users"].values()] == [account]


async def test_16_a_manager_who_comes_later_is_filled_in(hub: World) -> None:
    """And a member too, without anybody starting anything over."""
    boss = await hub.hire("boss", title="out")
    ada = await hub.hire("ada", {ENTERPRISE: {"manager": {"value": boss}}}, title="in")
    await hub.group("all", boss, ada)
    app = target(scope='title eq "in"')
    await hub.apply(app)
    assert "manager" not in hub.service().named("Users", "ada").get(ENTERPRISE, {})
    await hub.change(boss, title="in")
    await hub.apply(app)
    account = hub.service().named("Users", "boss")["id"]
    assert hub.service().named("Users", "ada")[ENTERPRISE]["manager"] == {"value": account}
    assert len(hub.service().named("Groups", "all")["members"]) == 2


async def test_17_what_is_cleared_is_cleared_there(hub: World) -> None:
    """By a remove, not by an empty text."""
    ada = await hub.hire("ada", title="Analyst")
    await hub.apply(target())
    await hub.change(ada, title=None)
    await hub.apply(target())
    assert hub.service().requests[-1].body["Operations"] == [{"op": "remove", "path": "title"}]
    assert "title" not in hub.service().named("Users", "ada")


async def test_18_what_waits_outlives_the_process(hub: World) -> None:
    """It is in the database: another engine over it goes on with the same attempts."""
    await hub.hire("known")
    await hub.apply(target())
    ada = await hub.hire("ada")
    hub.service().faults.append(Fault("POST", "/Users", html(500)))
    await hub.apply(target(), patience=0)
    link = await hub.link(ada)
    assert link is not None
    assert link.attempts == 1
    hub.clock.milliseconds += 60_000
    (report,) = await hub.apply(target())
    assert report.counts[Action.CREATE] == 1


async def test_19_what_failed_in_the_hub_goes_nowhere(hub: World) -> None:
    """A change and its mark are of one transaction."""
    await hub.hire("ada")
    await hub.apply(target())
    with pytest.raises(Exception, match="userName"):
        await hub.hire("ada")
    (report,) = await hub.apply(target())
    assert report.writes == 0


async def test_20_nobody_is_left_out_without_a_word(hub: World) -> None:
    """Who is not there has a reason: `rollbook explain` says which."""
    from rollbook.provisioning.explain import explain_at

    ada = await hub.hire("ada", title="out")
    app = replace(target(scope='title eq "in"'), scope_text='title eq "in"')
    await hub.apply(app)
    view = await explain_at(hub.engine, app, "User", ada, ())
    assert view is not None
    assert view.left == "out of scope"
    assert [(term.text, term.holds) for term in view.scope] == [('title eq "in"', False)]


async def test_21_a_wrong_mapping_meets_five_people_and_not_all(hub: World) -> None:
    """A first run tries a few; a target is not overrun with what it refuses."""
    await hired(hub, 50)
    hub.service().faults.append(Fault("POST", "/Users", error(400, "wrong", "invalidValue"), times=50))
    await hub.apply(target())
    assert len(hub.service().writes) == 5


async def test_22_a_failure_says_what_the_target_said_and_what_to_do(hub: World) -> None:
    """Status, scimType, its words, a way out; kept for whoever asks later."""
    await hub.hire("known")
    await hub.apply(target())
    ada = await hub.hire("ada")
    hub.service().faults.append(Fault("POST", "/Users", error(400, "title is too royal", "invalidValue")))
    (report,) = await hub.apply(target())
    (failure,) = report.failures
    assert failure.failure == "400 invalidValue: title is too royal"
    assert failure.hint == "correct the value at its source, or its mapping in rollbook.yaml"
    (kept, *_) = await hub.links.deliveries_of(1, ada, 5)
    assert kept.detail["failure"] == failure.failure


def test_23_what_a_kind_of_target_cannot_is_said_before() -> None:
    """A profile has notes on names that are blocked and cannot be changed."""
    assert any("renamed" in note for note in profile_named("jfrog").notes)
    assert any("group whose name exists" in note for note in profile_named("atlassian").notes)


async def test_24_active_in_many_forms(hub: World) -> None:
    """The text "False" is false; a target that lets nothing else be changed gets nothing else."""
    ada = await hub.hire("ada")
    await hub.apply(target())
    hub.service().named("Users", "ada")["active"] = "True"
    await hub.change(ada, title="Lead")
    await hub.apply(target())
    assert [one["path"] for one in hub.service().requests[-1].body["Operations"]] == ["title"]
    only = Kind(updatable=("active",))
    hub.connect = lambda _: ScimTarget(_client(hub), only)  # type: ignore[method-assign, assignment]
    await hub.change(ada, title="Boss", active=False)
    await hub.apply(replace(target(), profile=only))
    assert hub.service().requests[-1].body["Operations"] == [
        {"op": "replace", "path": "active", "value": False}
    ]


def _client(hub: World) -> Any:
    from rollbook.client import ScimClient
    from rollbook.testing.asgi_transport import AsgiTransport

    return ScimClient("http://127.0.0.1:1/v2", "secret", transport=AsgiTransport(hub.service()))


async def test_25_groups_in_groups_go_out_as_they_are(hub: World) -> None:
    """A group that is a member is one there too; where a target has no such thing its people are (test_flat_groups)."""
    ada = await hub.hire("ada")
    inner = await hub.group("inner", ada)
    await hub.group("outer", inner)
    await hub.apply(target())
    service = hub.service()
    assert service.named("Groups", "outer")["members"] == [{"value": service.named("Groups", "inner")["id"]}]
    configured = target(digest="flat")
    assert configured.groups is not None
    await hub.apply(replace(configured, groups=replace(configured.groups, flat=True)))
    assert service.named("Groups", "outer")["members"] == [{"value": service.named("Users", "ada")["id"]}]


async def test_02_a_change_is_there_in_a_second(hub: World) -> None:
    """Told in full by test_keeper: a worker looks four times a second."""
    from rollbook.provisioning import keeper

    assert keeper.POLL_SECONDS <= 0.5
    assert hub.clock.now() % DAY >= 0
