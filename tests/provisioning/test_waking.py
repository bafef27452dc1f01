"""What was given up goes on by itself when what it lacked is there: a change of another account at the same target."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.postgres_server import empty
from tests.provisioning.test_pain_points import Picky
from tests.provisioning.world import ENTERPRISE, World, target, world

from rollbook.provisioning.items import Action
from rollbook.provisioning.model import Leave
from rollbook.storage.links import State
from rollbook.testing.scripted_target import Answer, Fault, Recorded, ScriptedTarget, error

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    database = None
    if request.param == "postgresql":
        empty(database := request.getfixturevalue("postgres_database"))
    async with world(tmp_path, database) as made:
        yield made


async def state_of(hub: World, id: str) -> State | None:
    """Where the link of a resource stands."""
    link = await hub.link(id)
    return link.state if link else None


class OneMail(ScriptedTarget):
    """A target in which a mail address belongs to one account only, and that finds nobody by it."""

    def _taken(self, endpoint: str, document: dict[str, object], own_id: str | None) -> bool:
        mails = [one.get("emails") for own, one in self.resources[endpoint].items() if own != own_id]
        return super()._taken(endpoint, document, own_id) or (
            bool(document.get("emails")) and document["emails"] in mails
        )


MAIL = [{"value": "office@x", "type": "work"}]


async def test_a_value_that_is_free_again(hub: World) -> None:
    """Two who want one mail address: the second is given up, and made as soon as the first has another one."""
    hub.far["app"] = OneMail()
    ada = await hub.hire("ada", emails=MAIL)
    await hub.apply(target())
    grace = await hub.hire("grace", emails=MAIL)
    (report,) = await hub.apply(target())
    assert report.counts[Action.PARK] == 1
    await hub.change(ada, title="Lead")
    writes = len(hub.service().writes)
    (report,) = await hub.apply(target())
    assert report.counts[Action.PARK] == 1, "a title is nothing that others wait for"
    assert len(hub.service().writes) == writes + 1
    await hub.change(ada, emails=[{"value": "ada@x", "type": "work"}])
    (report,) = await hub.apply(target())
    assert not report.failed
    assert hub.service().named("Users", "grace")["emails"] == MAIL
    assert await state_of(hub, grace) is State.DONE


async def test_an_account_that_is_gone(hub: World) -> None:
    """The one who has the address leaves, and the account is deleted."""
    hub.far["app"] = OneMail()
    ada = await hub.hire("ada", emails=MAIL)
    await hub.apply(target(leave=Leave.DELETE))
    await hub.hire("grace", emails=MAIL)
    await hub.apply(target(leave=Leave.DELETE))
    await hub.remove(ada)
    (report,) = await hub.apply(target(leave=Leave.DELETE))
    assert not report.failed
    assert [one["userName"] for one in hub.service().resources["Users"].values()] == ["grace"]


async def test_freed_in_the_same_run(hub: World) -> None:
    """Also while the other one is being refused: names are passed on in one go, whoever comes first."""
    hub.far["app"] = OneMail()
    ada = await hub.hire("ada", emails=MAIL)
    grace = await hub.hire("grace", emails=[{"value": "grace@x", "type": "work"}])
    await hub.apply(target())
    await hub.change(grace, emails=MAIL)
    await hub.change(ada, emails=[{"value": "ada@x", "type": "work"}])
    (report,) = await hub.apply(target())
    assert not report.failed
    assert hub.service().named("Users", "grace")["emails"] == MAIL


async def test_somebody_elses_account_in_the_way(hub: World) -> None:
    """The name is found, and is another person's of ours: a change of that account is waited for, of no other."""
    ada = await hub.hire("ada", externalId="one")
    other = await hub.hire("other")
    await hub.apply(target())
    hub.service().named("Users", "ada")["userName"] = "grace"  # by hand, at the target
    grace = await hub.hire("grace", externalId="two")
    (report,) = await hub.apply(target())
    assert "belongs to User" in str(report.failures[0].failure)
    await hub.change(other, title="Lead")
    await hub.apply(target())
    assert await state_of(hub, grace) is State.PARKED
    await hub.change(ada, title="Countess")  # her name is put right again with it
    (report,) = await hub.apply(target())
    assert not report.failed
    assert hub.service().named("Users", "grace")["externalId"] == "two"


async def test_a_member_that_was_refused(hub: World) -> None:
    """The group is tried again when the member's account changes, and not when another one does."""
    service = hub.far["app"] = Picky()
    ada, grace = await hub.hire("ada"), await hub.hire("grace")
    await hub.apply(target())
    service.refuses = service.named("Users", "ada")["id"]
    group = await hub.group("all", ada, grace)
    (report,) = await hub.apply(target())
    assert report.counts[Action.PARK] == 1
    service.refuses = ""
    await hub.change(grace, title="Admiral")
    await hub.apply(target())
    assert await state_of(hub, group) is State.PARKED
    await hub.change(ada, title="Countess")
    (report,) = await hub.apply(target())
    assert not report.failed
    assert len(service.named("Groups", "all")["members"]) == 2


class NoBoss(ScriptedTarget):
    """A target that refuses one account as anybody's manager."""

    refuses = "nobody"

    def _answer(self, request: Recorded) -> Answer:
        if request.writes and f'"manager":{{"value":"{self.refuses}"'.encode() in request.raw:
            return error(400, "no such manager", "invalidValue")
        return super()._answer(request)


async def test_16_a_manager_that_was_refused(hub: World) -> None:
    """Who was given up because of the manager is tried again when the manager's account changes."""
    service = hub.far["app"] = NoBoss()
    boss = await hub.hire("boss")
    await hub.apply(target())
    service.refuses = service.named("Users", "boss")["id"]
    ada = await hub.hire("ada", {ENTERPRISE: {"manager": {"value": boss}}})
    await hub.apply(target())
    assert await state_of(hub, ada) is State.PARKED
    service.refuses = "nobody"
    await hub.change(boss, title="Chair")
    (report,) = await hub.apply(target())
    assert not report.failed
    assert (
        service.named("Users", "ada")[ENTERPRISE]["manager"]["value"] == service.named("Users", "boss")["id"]
    )


async def test_several_accounts_of_one_name(hub: World) -> None:
    """Nobody knows which one it is: when one of them that is ours goes, the other one is taken."""
    service = hub.service()
    old = await hub.hire("old")
    app = target(leave=Leave.DELETE)
    await hub.apply(app)
    service.named("Users", "old").update(userName="ada", externalId="x")
    theirs = service.add("Users", {"userName": "ada", "active": True})
    ada = await hub.hire("ada")
    (report,) = await hub.apply(app)
    assert "2 accounts have userName" in str(report.failures[0].failure)
    await hub.remove(old)
    (report,) = await hub.apply(app)
    assert not report.failed
    link = await hub.link(ada)
    assert link is not None
    assert link.remote_id == theirs


async def test_what_nobody_waits_for_wakes_nobody(hub: World) -> None:
    """What is wrong with a value itself waits for its own change, however much happens beside it."""
    ada = await hub.hire("ada")
    await hub.apply(target())
    service = hub.service()
    service.faults.append(Fault("POST", "/Users", error(400, "no", "invalidValue")))
    bad = await hub.hire("bad")
    await hub.apply(target())
    assert await state_of(hub, bad) is State.PARKED
    writes = len(service.writes)
    await hub.change(ada, userName="countess")
    await hub.apply(target())
    assert len(service.writes) == writes + 1
    assert await state_of(hub, bad) is State.PARKED
