"""The engine when something fails: no answers, refusals, loads, lies, and its own sudden end (client.md 5, 8)."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.postgres_server import empty
from tests.provisioning.world import ENTERPRISE, USERS, World, target, world

from rollbook.provisioning.items import Action
from rollbook.provisioning.model import Leave
from rollbook.provisioning.targets.scim import connect
from rollbook.provisioning.worker import Worker
from rollbook.storage.links import State
from rollbook.testing.scripted_target import Answer, Fault, Profile, Recorded, error, html

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    database = None
    if request.param == "postgresql":
        empty(database := request.getfixturevalue("postgres_database"))
    async with world(tmp_path, database) as made:
        yield made


async def test_fe_19_members_go_on_at_the_difference(hub: World) -> None:
    """A group whose second chunk fails goes on there, and does not begin anew."""
    people = [await hub.hire(f"user-{number}") for number in range(150)]
    await hub.group("all", *people)
    hub.service().before = on_nth(2, "PATCH", ConnectionError("lost"))
    await hub.apply(target())
    changes = [request.body["Operations"] for request in hub.service().writes if request.method == "PATCH"]
    assert [len(operation[0]["value"]) for operation in changes] == [100, 50, 50]
    assert len(members_of(hub.service().named("Groups", "all"))) == 150


async def test_c_5_01_commits_then_no_answer(hub: World) -> None:
    """A POST whose outcome is unknown is looked up before anything else: one account in the end (FE-02)."""
    hub.service().faults.append(Fault("POST", "/Users", commits=True))
    await hub.hire("ada")
    (report,) = await hub.apply(target())
    assert len(hub.service().resources["Users"]) == 1
    assert [request.method for request in hub.service().writes] == ["POST"]
    assert not report.failed


@pytest.mark.parametrize(
    ("leave", "left"), [(Leave.DISABLE, [False]), (Leave.DELETE, []), (Leave.KEEP, [True])]
)
@pytest.mark.parametrize("how", ["inactive", "deleted"])
async def test_i_17_a_leaver_whose_account_nobody_saw(
    hub: World, leave: Leave, left: list[bool], how: str
) -> None:
    """Somebody who leaves while it is unknown whether their account was made is looked for, and treated as a leaver."""
    hub.service().faults.append(Fault("POST", "/Users", commits=True))
    ada = await hub.hire("ada")
    await hub.apply(target(leave=leave), patience=0)
    await (hub.remove(ada) if how == "deleted" else hub.change(ada, active=False))
    hub.clock.milliseconds += 60_000
    (report,) = await hub.apply(target(leave=leave))
    assert [user["active"] for user in hub.service().resources["Users"].values()] == left
    assert not report.failed


async def test_a_leaver_whose_account_was_refused_is_not_looked_for(hub: World) -> None:
    """After a refusal there is nothing of ours there: an account somebody else makes later is left alone (I-15)."""
    hub.service().faults.append(Fault("POST", "/Users", error(400, "no", "invalidValue")))
    ada = await hub.hire("ada")
    await hub.apply(target())
    hub.service().add("Users", {"userName": "ada", "active": True})
    await hub.remove(ada)
    await hub.apply(target())
    assert hub.service().named("Users", "ada")["active"] is True


async def test_changes_nobody_saw_arrive_are_taken_back(hub: World) -> None:
    """A change with an unknown outcome that is taken back in the hub is taken back at the target too."""
    ada = await hub.hire("ada", title="A")
    await hub.apply(target())
    hub.service().faults.append(Fault("PATCH", "/Users", commits=True))
    await hub.change(ada, title="B")
    await hub.apply(target(), patience=0)
    assert hub.service().named("Users", "ada")["title"] == "B"
    await hub.change(ada, title="A")
    hub.clock.milliseconds += 60_000
    await hub.apply(target())
    assert hub.service().named("Users", "ada")["title"] == "A"


async def test_members_nobody_saw_arrive_are_taken_out(hub: World) -> None:
    """A member added with an unknown outcome, and taken out in the hub meanwhile, is taken out at the target."""
    ada = await hub.hire("ada")
    team = await hub.group("team")
    await hub.apply(target())
    hub.service().faults.append(Fault("PATCH", "/Groups", commits=True))
    await hub.members(team, add=[ada])
    await hub.apply(target(), patience=0)
    assert members_of(hub.service().named("Groups", "team")) == {"remote-1"}
    await hub.members(team, remove=[ada])
    hub.clock.milliseconds += 60_000
    await hub.apply(target())
    assert members_of(hub.service().named("Groups", "team")) == set()


async def test_a_rehire_waits_for_the_end_of_the_dead(hub: World) -> None:
    """Disabling an account for the dead never overtakes its switching on for the same person hired anew."""
    ada = await hub.hire("ada")
    await hub.apply(target())
    await hub.remove(ada)
    hub.service().after = on_nth(1, "PATCH", Killed())
    with pytest.raises(Killed):
        await hub.apply(target())
    hub.service().after = lambda _: None
    await hub.hire("ada")
    await hub.apply(target())
    hub.clock.milliseconds += 6 * 60_000
    (report,) = await hub.apply(target())
    assert not report.failed
    (account,) = hub.service().resources["Users"].values()
    assert account["active"] is True


async def test_409_is_looked_up_again(hub: World) -> None:
    """Somebody else made the account between look-up and POST: it is taken over."""
    service = hub.service()
    made: list[str] = []

    def race(request: object) -> None:
        if getattr(request, "method", "") == "POST" and not made:
            made.append(service.add("Users", {"userName": "ada"}))

    service.before = race
    await hub.hire("ada")
    await hub.apply(target())
    assert list(service.resources["Users"]) == made
    assert service.named("Users", "ada")["externalId"] == "e-ada"


async def test_409_that_is_not_shown_is_parked(hub: World) -> None:
    """A target that says it exists and does not show it: one POST, then a person has to look."""
    hub.service().faults.append(
        Fault("POST", "/Users", error(409, "taken by a deleted user", "uniqueness"), times=9)
    )
    await hub.hire("ada")
    (report,) = await hub.apply(target())
    assert len(hub.service().writes) == 1
    (failure,) = report.failures
    assert (failure.label, failure.action) == ("ada", Action.PARK)
    assert failure.failure == "409 uniqueness: taken by a deleted user"
    assert failure.hint


async def test_404_on_a_linked_account_makes_it_again(hub: World) -> None:
    """An account that was removed at the target by hand is made again at the next change."""
    ada = await hub.hire("ada")
    await hub.apply(target())
    hub.service().resources["Users"].clear()
    await hub.change(ada, title="Dr")
    await hub.apply(target())
    assert hub.service().named("Users", "ada")["title"] == "Dr"


async def test_fe_06_html_404_makes_nothing_again(hub: World) -> None:
    """An HTML 404 teaches nothing: the link stays, and nobody is created (pain 11)."""
    ada = await hub.hire("ada")
    await hub.apply(target())
    before = await hub.link(ada)
    hub.service().faults.append(Fault("GET", "/Users/", html(404), times=99))
    await hub.change(ada, title="Dr")
    (report,) = await hub.apply(target(), patience=0)
    after = await hub.link(ada)
    assert before is not None
    assert after is not None
    assert after.remote_id == before.remote_id
    assert len(hub.service().resources["Users"]) == 1
    assert report.counts[Action.WAIT] == 1


async def test_delete_of_what_is_gone_is_fine(hub: World) -> None:
    """404 as the answer to a DELETE is success."""
    ada = await hub.hire("ada")
    await hub.apply(target(leave=Leave.DELETE))
    hub.service().resources["Users"].clear()
    await hub.remove(ada)
    (report,) = await hub.apply(target(leave=Leave.DELETE))
    assert not report.failed
    assert await hub.link(ada) is None


async def test_fe_17_one_bad_person_stops_nobody(hub: World) -> None:
    """A person the target refuses is parked with its words; the others pass; a later change tries again."""
    refusal = error(400, "title is too long", "invalidValue")
    bad = await hub.hire("bad")
    hub.service().faults.append(Fault("POST", "/Users", refusal))
    people = [await hub.hire(f"user-{number}") for number in range(20)]
    (report,) = await hub.apply(target(concurrency=1))
    assert report.counts[Action.CREATE] == len(people)
    (failure,) = report.failures
    assert (failure.label, failure.failure) == ("bad", "400 invalidValue: title is too long")
    hub.service().requests.clear()
    (report,) = await hub.apply(target())
    assert hub.service().requests == []
    assert report.failures[0].failure == "400 invalidValue: title is too long"
    await hub.change(bad, title="short")
    (report,) = await hub.apply(target())
    assert not report.failed


async def test_unpark_tries_again(hub: World) -> None:
    """What was given up is tried again when asked for, without any change in the hub."""
    hub.service().faults.append(Fault("POST", "/Users", error(400, "no", "invalidValue")))
    await hub.hire("ada")
    await hub.apply(target())
    (report,) = await hub.apply(target(), unpark=True)
    assert report.counts[Action.CREATE] == 1
    assert not report.failed


async def test_fe_05_429_pauses_the_whole_target(hub: World) -> None:
    """After a 429 nothing is sent before Retry-After is over; then everything goes through."""
    hub.service().faults.append(Fault("POST", "/Users", Answer(429, headers={"retry-after": "30"})))
    for number in range(5):
        await hub.hire(f"user-{number}")
    start = hub.clock.now()
    times: list[int] = []
    hub.service().before = lambda request: times.append(hub.clock.now() - start)
    (report,) = await hub.apply(target(concurrency=1))
    assert not report.failed
    assert len(hub.service().resources["Users"]) == 5
    assert all(time == 0 or time >= 30_000 for time in times)


async def test_429_beyond_patience_ends_the_run(hub: World) -> None:
    """A wait longer than the run's patience ends it, says until when, and the next run keeps the pause."""
    hub.service().faults.append(Fault("POST", "/Users", Answer(429, headers={"retry-after": "600"})))
    await hub.hire("ada")
    (report,) = await hub.apply(target())
    assert "left alone until" in (report.stopped or "")
    hub.service().requests.clear()
    (report,) = await hub.apply(target())
    assert hub.service().requests == []
    hub.clock.milliseconds += 3_600_000
    (report,) = await hub.apply(target())
    assert report.counts[Action.CREATE] == 1


async def test_5xx_is_tried_again_with_growing_waits(hub: World) -> None:
    """A server error passes within one run if it passes soon."""
    hub.service().faults.append(Fault("POST", "/Users", html(500), times=2))
    await hub.hire("ada")
    (report,) = await hub.apply(target())
    assert report.counts[Action.CREATE] == 1
    assert not report.failed
    assert 1 <= hub.clock.waits[0] < hub.clock.waits[1] <= 5


async def test_i_20_a_dead_target_delays_no_other(hub: World) -> None:
    """With one target down, the others are brought up to date, and the dead one gets few calls (C-8-01)."""
    hub.service("dead").faults.append(Fault("GET", "", times=10_000))
    for number in range(50):
        await hub.hire(f"user-{number}")
    dead, alive = await hub.apply(target("dead"), target("alive"))
    assert dead.stopped
    assert dead.counts[Action.CREATE] == 0
    assert alive.counts[Action.CREATE] == 50
    assert len(hub.service("dead").requests) <= 20


async def test_401_stops_the_target_and_counts_against_nobody(hub: World) -> None:
    """A refused token ends the run; with the right one everything goes on as if nothing had been."""
    hub.service().profile = Profile(token="other")
    for number in range(20):
        await hub.hire(f"user-{number}")
    (report,) = await hub.apply(target(concurrency=2))
    assert "401" in (report.stopped or "")
    assert report.hint
    assert len(hub.service().requests) <= 8
    hub.service().profile = Profile(token="secret")
    (report,) = await hub.apply(target())
    assert report.counts[Action.CREATE] == 20
    assert not report.failed


async def test_a_wrong_url_parks_nobody(hub: World) -> None:
    """A service that knows no such endpoint ends the run after few calls; with the right URL all goes on."""
    hub.service().faults.append(Fault("POST", "/Users", error(404, "no such endpoint"), times=9))
    for number in range(20):
        await hub.hire(f"user-{number}")
    (report,) = await hub.apply(target(concurrency=1))
    assert report.stopped == "404: no such endpoint"
    assert len(hub.service().writes) == 5
    assert report.counts[Action.PARK] == 0
    hub.service().faults.clear()
    hub.clock.milliseconds += 3_600_000
    (report,) = await hub.apply(target())
    assert len(hub.service().resources["Users"]) == 20
    assert not report.failed


async def test_a_protected_account_stops_nobody(hub: World) -> None:
    """One 403 waits for minutes while everybody else goes through."""
    await hub.hire("admin")
    hub.service().faults.append(Fault("POST", "/Users", error(403, "protected")))
    for number in range(20):
        await hub.hire(f"user-{number}")
    (report,) = await hub.apply(target(concurrency=1))
    assert (report.counts[Action.CREATE], report.counts[Action.WAIT]) == (20, 1)
    assert report.stopped is None
    assert hub.clock.waits == []
    assert [item.label for item in report.failures] == ["admin"]


async def test_fe_14_a_frozen_worker_sends_nothing_old(hub: World) -> None:
    """A worker that slept through its lease does not write; whoever takes the link up later does, once."""
    await hub.hire("ada")

    def freeze(_: Recorded) -> None:
        hub.service().before = lambda _: None
        hub.clock.milliseconds += 10 * 60_000

    hub.service().before = freeze
    (report,) = await hub.apply(target())
    assert [request.method for request in hub.service().writes] == ["POST"]
    assert not report.failed
    assert len([request for request in hub.service().requests if "filter" in request.query]) > 2


async def test_switched_off_without_a_record(hub: World) -> None:
    """Killed after switching an account off, the worker still knows that it did, and switches it on at a return."""
    ada = await hub.hire("ada")
    plain = target(users={"userName": "userName"})
    await hub.apply(plain)
    await hub.change(ada, active=False)
    hub.service().after = on_nth(1, "PATCH", Killed())
    with pytest.raises(Killed):
        await hub.apply(plain)
    hub.service().after = lambda _: None
    hub.clock.milliseconds += 6 * 60_000
    await hub.apply(plain)
    await hub.change(ada, active=True)
    await hub.apply(plain)
    assert hub.service().named("Users", "ada")["active"] is True


async def test_an_adopted_account_is_switched_on(hub: World) -> None:
    """Somebody whose existing account was off gets it switched on, also when the first attempt fails."""
    hub.service().add("Users", {"userName": "ada", "active": False})
    await hub.hire("ada")
    hub.service().faults.append(Fault("PATCH", "/Users", html(500)))
    (report,) = await hub.apply(target(users={"userName": "userName"}))
    assert hub.service().named("Users", "ada")["active"] is True
    assert not report.failed


async def test_bad_url_is_told(hub: World) -> None:
    """A URL that credentials must not go to stops that target only, with the reason."""
    (report,) = await Worker(hub.engine, connect).run([replace(target(), url="http://example.com/v2")])
    assert "https" in (report.stopped or "")


async def test_put_where_there_is_no_patch(hub: World) -> None:
    """A target without PATCH is written by read, change, write, keeping what is not ours (C-6-01, C-6-02)."""
    service = hub.service(profile=Profile(patch=False))
    ada = await hub.hire("ada", title="Analyst")
    team = await hub.group("team", ada)
    await hub.apply(target())
    service.named("Users", "ada")["nickName"] = "the countess"
    await hub.change(ada, title="Lead")
    grace = await hub.hire("grace")
    await hub.members(team, add=[grace], remove=[ada])
    await hub.apply(target())
    assert (service.named("Users", "ada")["title"], service.named("Users", "ada")["nickName"]) == (
        "Lead",
        "the countess",
    )
    assert members_of(service.named("Groups", "team")) == {service.named("Users", "grace")["id"]}
    assert not [request for request in service.requests if request.method == "PATCH"]


async def test_wrong_announcement_of_patch_is_remembered(hub: World) -> None:
    """A target that does not say it has no PATCH is asked once, then written by PUT (C-2-05)."""
    service = hub.service(profile=Profile(patch=False, tells_patch=False))
    people = [await hub.hire(f"user-{number}") for number in range(5)]
    await hub.apply(target())
    for person in people:
        await hub.change(person, title="new")
    (report,) = await hub.apply(target(concurrency=1))
    assert report.counts[Action.CHANGE] == 5
    assert len([request for request in service.requests if request.method == "PATCH"]) == 1


async def test_t_66_an_account_is_nobody_elses(hub: World) -> None:
    """A target that answers a POST with the id of another person's account gets nobody linked to it (I-11)."""
    ada = await hub.hire("ada")
    await hub.apply(target())
    link = await hub.link(ada)
    assert link is not None
    hub.service().faults.append(
        Fault("POST", "/Users", Answer(201, {"id": link.remote_id, "userName": "grace"}))
    )
    grace = await hub.hire("grace")
    (report,) = await hub.apply(target())
    other = await hub.link(grace)
    assert other is not None
    assert (other.state, other.remote_id) == (State.PARKED, None)
    assert "belongs to" in (report.failures[0].failure or "")


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("nth", range(1, 13))
async def test_fe_01_killed_at_each_request(hub: World, nth: int, moment: str) -> None:
    """A worker that dies before its nth request, or before it saw the answer, costs nothing but time."""
    ada = await hub.hire("ada", {ENTERPRISE: {"manager": {"value": "hub-2"}}})
    grace = await hub.hire("grace")
    await hub.group("team", ada, grace)
    service = hub.service()
    setattr(service, moment, on_nth(nth, "", Killed()))
    with pytest.raises(Killed):
        await hub.apply(target(concurrency=1))
    setattr(service, moment, lambda _: None)
    hub.clock.milliseconds += 6 * 60_000  # the lease of the dead worker runs out
    (report,) = await hub.apply(target(concurrency=1))
    assert not report.failed
    assert sorted(user["userName"] for user in service.resources["Users"].values()) == ["ada", "grace"]
    manager = service.named("Users", "ada")[ENTERPRISE]["manager"]["value"]
    assert manager == service.named("Users", "grace")["id"]
    assert len(members_of(service.named("Groups", "team"))) == 2


async def test_config_change_looks_at_everybody_and_writes_what_differs(hub: World) -> None:
    """Another digest has every link looked at again; where the document stays, no call is made."""
    for number in range(30):
        await hub.hire(f"user-{number}", title="x" if number % 3 == 0 else None)
    await hub.apply(target())
    hub.service().requests.clear()
    await hub.apply(target(digest="2"))
    assert hub.service().requests == []
    await hub.apply(target(digest="3", users={**USERS, "title": "userType"}))
    assert len(hub.service().writes) == 10


def on_nth(number: int, method: str, failure: BaseException) -> Callable[[Recorded], None]:
    """Something that raises at the nth request of that method, "" for any."""
    seen: list[Recorded] = []

    def raise_at(request: Recorded) -> None:
        if method in {"", request.method}:
            seen.append(request)
            if len(seen) == number:
                raise failure

    return raise_at


def members_of(group: dict[str, object]) -> set[str]:
    """The remote ids of a group's members."""
    members = group.get("members") or []
    assert isinstance(members, list)
    return {member["value"] for member in members}
