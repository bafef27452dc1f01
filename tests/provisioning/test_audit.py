"""Audits: what somebody changed at a target is reported, overwritten or taken over, as was decided (pain point 3)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.postgres_server import empty
from tests.provisioning.test_keeper import kept, until
from tests.provisioning.world import CATALOG, TENANT, World, target, world

from rollbook.provisioning import keeper, model
from rollbook.provisioning.alerts import Kind
from rollbook.provisioning.audit import AuditOrder, AuditReport, audit_target, is_due
from rollbook.provisioning.model import Drift, DriftPolicy
from rollbook.provisioning.profile import Profile
from rollbook.provisioning.schedule import Schedule, quiet_hours
from rollbook.provisioning.undo import Undo
from rollbook.storage.audits import Audit, Drifted
from rollbook.storage.sql.archive import Archive
from rollbook.testing.scripted_target import Fault, Recorded, html

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    database = None
    if request.param == "postgresql":
        empty(database := request.getfixturevalue("postgres_database"))
    async with world(tmp_path, database) as made:
        yield made


def audited(default: Drift = Drift.REPORT, **attributes: Drift) -> model.Target:
    """A target with a policy."""
    return replace(target(), drift=DriftPolicy(default, attributes))


async def audit(hub: World, configured: model.Target) -> AuditReport:
    """An audit now."""
    report = await audit_target(hub.engine, configured, hub.connect, AuditOrder(hub.clock.now() + 1))
    assert report is not None
    return report


async def drift(hub: World) -> list[Drifted]:
    """What audits have left."""
    return list(await hub.links.drift(TENANT, (await hub.progress()).number, 0, 100))


async def test_report_says_it_and_writes_nothing(hub: World) -> None:
    """A changed attribute, a switched off account, one that is gone, members; each is told until it is over."""
    ada, grace, _ = [await hub.hire(name, title="Analyst") for name in ("ada", "grace", "joan")]
    await hub.group("all", ada, grace)
    await hub.apply(target())
    service = hub.service()
    assert (await audit(hub, target())).counts["differ"] == 0
    foreign = service.add("Users", {"userName": "theirs"})
    service.named("Users", "ada")["title"] = "Queen"
    service.named("Users", "grace")["active"] = False
    gone = service.resources["Users"].pop(service.named("Users", "joan")["id"])
    members = service.named("Groups", "all")["members"]
    lost = members.pop()
    members += [{"value": gone["id"]}, {"value": foreign}]
    writes = len(service.writes)
    report = await audit(hub, target())
    assert (report.counts["differ"], report.counts["left"]) == (4, 4)
    assert report.preview.compared == {"User": 3, "Group": 1}
    found = {one.detail["label"]: one.detail for one in await drift(hub)}
    assert found["ada"]["changes"] == [{"attribute": "title", "old": "Queen", "new": "Analyst"}]
    assert found["grace"]["changes"] == [{"attribute": "active", "old": False, "new": True}]
    assert found["joan"]["gone"] is True
    assert (found["all"]["missing"], found["all"]["extra"]) == (1, 1), (
        "a member that is not ours is not ours to count"
    )
    await hub.apply(target())
    assert len(service.writes) == writes
    run = await hub.links.last_run(TENANT, "audit", "app")
    assert run is not None
    assert run.counts == {"compared": 4, "differ": 4, "left": 4}
    service.named("Users", "ada")["title"] = "Analyst"
    service.named("Users", "grace")["active"] = True
    service.resources["Users"][gone["id"]] = gone
    members[:] = [members[0], lost, {"value": foreign}]
    assert (await audit(hub, target())).counts["differ"] == 0
    assert await drift(hub) == []


async def test_overwrite_puts_it_back_by_the_usual_way(hub: World) -> None:
    """Attributes, accounts and members, of ours only; then all is believed rightly, and an audit has nothing to say."""
    ada, grace = [await hub.hire(name, title="Analyst") for name in ("ada", "grace")]
    await hub.group("all", ada, grace)
    app = audited(Drift.OVERWRITE)
    await hub.apply(app)
    service = hub.service()
    foreign = service.add("Users", {"userName": "theirs"})
    service.named("Users", "ada").update(title="Queen", active=False)
    del service.resources["Users"][service.named("Users", "grace")["id"]]
    service.named("Groups", "all")["members"] = [{"value": foreign}]
    report = await audit(hub, app)
    assert (report.counts["overwritten"], report.counts["left"]) == (3, 0)
    (done,) = await hub.apply(app)
    assert not done.failed
    assert (service.named("Users", "ada")["title"], service.named("Users", "ada")["active"]) == (
        "Analyst",
        True,
    )
    members = {one["value"] for one in service.named("Groups", "all")["members"]}
    assert members == {foreign, *(service.named("Users", name)["id"] for name in ("ada", "grace"))}
    deliveries = await hub.links.delivered(TENANT, done.run, None, 10)
    assert {one.id for one in deliveries} >= {ada, grace}
    link = await hub.link(ada)
    assert link is not None
    assert link.confirmed is not None
    assert (await audit(hub, app)).counts["differ"] == 0
    service.requests.clear()
    await hub.apply(app)
    assert service.requests == []


async def test_each_attribute_as_it_was_decided(hub: World) -> None:
    """One is put back, one stays until the hub has another value, one goes into the hub."""
    ada = await hub.hire("ada", {"name": {"familyName": "King"}}, title="Analyst", nickName="Ada")
    rules = {
        "userName": "userName",
        "title": "title",
        "nickName": "nickName",
        "name.familyName": "name.familyName",
    }
    policy = DriftPolicy(Drift.OVERWRITE, {"title": Drift.REPORT, "nickName": Drift.TAKE_OVER})
    app = replace(target(users=rules), drift=policy)
    await hub.apply(app)
    account = hub.service().named("Users", "ada")
    account.update(title="Queen", nickName="Countess", name={"familyName": "Byron"})
    report = await audit(hub, app)
    assert {name: report.counts[name] for name in ("differ", "left", "overwritten", "taken over")} == {
        "differ": 1, "left": 1, "overwritten": 1, "taken over": 1
    }  # fmt: skip
    await hub.apply(app)
    account = hub.service().named("Users", "ada")
    assert (account["title"], account["nickName"]) == ("Queen", "Countess")
    assert account["name"] == {"familyName": "King"}
    record = await hub.store.get(TENANT, hub.engine.catalog.resource_types[0], ada, members=False)
    assert record is not None
    assert b'"Countess"' in record.body
    assert b"Queen" not in record.body
    (found,) = await drift(hub)
    assert [one["attribute"] for one in found.detail["changes"]] == ["title"]
    await hub.change(ada, nickName="Lady")
    assert [one.path.text for one in (await hub.preview(app))[0][0].differences] == ["nickName"]
    await hub.apply(app)
    account = hub.service().named("Users", "ada")
    assert (account["title"], account["nickName"]) == ("Queen", "Lady")
    await hub.change(ada, title="Lead")
    await hub.apply(app)
    assert hub.service().named("Users", "ada")["title"] == "Lead"
    assert await drift(hub) == []


async def test_what_was_taken_over_can_be_taken_back(hub: World) -> None:
    """The run of an audit is undone like any other: the hub has its former value, and the target follows."""
    ada = await hub.hire("ada", nickName="Ada")
    rules: dict[str, str | model.Rule] = {"userName": "userName", "nickName": "nickName"}
    app = replace(target(users=rules), drift=DriftPolicy(attributes={"nickName": Drift.TAKE_OVER}))
    await hub.apply(app)
    hub.service().named("Users", "ada")["nickName"] = "Countess"
    report = await audit(hub, app)
    assert report.counts["taken over"] == 1
    undo = Undo(TENANT, CATALOG, hub.store, hub.links, Archive(hub.store, TENANT))
    plan = await undo.plan(list(await hub.links.batch(TENANT, report.run)))
    assert [step.id for step in plan.steps] == [ada]
    await undo.carry_out(plan, hub.clock.now())
    await hub.apply(app)
    assert hub.service().named("Users", "ada")["nickName"] == "Ada"


async def test_what_nobody_can_change_there_is_told(hub: World) -> None:
    """It is not overwritten, whatever was decided, and does not look as if all were well."""
    await hub.hire("ada", title="Analyst")
    app = replace(audited(Drift.OVERWRITE), profile=Profile(updatable=("active",)))
    await hub.apply(app)
    hub.service().named("Users", "ada")["title"] = "Queen"
    report = await audit(hub, app)
    assert (report.counts["overwritten"], report.counts["left"]) == (0, 1)
    (found,) = await drift(hub)
    assert "title cannot be changed there" in found.detail["reason"]


async def test_what_the_schema_refuses_is_not_taken_over(hub: World) -> None:
    """It is reported with the reason."""
    await hub.hire("ada", {"timezone": "Europe/Berlin"})
    app = replace(
        target(users={"userName": "userName", "timezone": "timezone"}),
        drift=DriftPolicy(attributes={"timezone": Drift.TAKE_OVER}),
    )
    await hub.apply(app)
    hub.service().named("Users", "ada")["timezone"] = ["no", "text"]
    report = await audit(hub, app)
    assert report.counts["taken over"] == 0
    (found,) = await drift(hub)
    assert "cannot be taken over" in found.detail["failure"]


async def test_who_was_switched_on_by_hand_is_switched_off_again(hub: World) -> None:
    """A leaver was counted by the brake when they left; an account that is to go is no drift."""
    people = [await hub.hire(f"p{number}") for number in range(4)]
    app = replace(audited(Drift.OVERWRITE), brake=model.BrakeLimit(share=0.5, least=3))
    await hub.apply(app)
    await hub.change(people[0], active=False)
    await hub.apply(app)
    hub.service().named("Users", "p0")["active"] = True
    assert (await audit(hub, app)).counts["overwritten"] == 1
    (report,) = await hub.apply(app)
    assert not report.failed
    assert hub.service().named("Users", "p0")["active"] is False


async def test_what_is_still_to_be_delivered_is_no_drift(hub: World) -> None:
    """A change that has not gone out yet is nobody's fault at the target."""
    ada = await hub.hire("ada", title="Analyst")
    await hub.apply(target())
    await hub.change(ada, title="Lead")
    report = await audit(hub, target())
    assert (report.counts["differ"], report.counts["pending"]) == (0, 1)


async def test_one_that_is_broken_off_is_gone_on_with(hub: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By whoever comes next, where it was; nobody begins a second one beside it."""
    from rollbook.provisioning import audit as module

    monkeypatch.setattr(module, "_PAGE", 2)
    for number in range(6):
        await hub.hire(f"p{number}", title="Analyst")
    await hub.apply(target())
    for account in hub.service().resources["Users"].values():
        account["title"] = "Queen"
    reads = 0

    def count(request: Recorded) -> None:
        nonlocal reads
        reads += "/Users/" in request.path
        if reads == 3:
            hub.service().faults.append(Fault("GET", "/Users/", html(503)))

    hub.service().before = count
    report = await audit(hub, replace(target(), concurrency=1))
    assert report.stopped is not None
    hub.service().before = lambda _: None
    hub.clock.milliseconds += 3_600_000
    before = len(await drift(hub))
    assert 0 < before < 6
    hub.service().requests.clear()
    again = await audit(hub, target())
    assert again.preview.compared["User"] == 6 - before
    assert len(await drift(hub)) == 6


async def test_only_one_is_at_it(hub: World) -> None:
    """Of two that begin together one does it; a due moment is used once; a dead one's lease runs out."""
    await hub.apply(target())
    number, now = (await hub.progress()).number, hub.clock.now()
    both = await asyncio.gather(
        *(hub.links.begin_audit(TENANT, number, now, now + 1, now + 1000) for _ in range(2))
    )
    (first,) = [one for one in both if one is not None]
    assert first == Audit(now, 0, now + 1000)
    assert await hub.links.begin_audit(TENANT, number, now + 1000, now + 1, now + 2000) == Audit(
        now, 0, now + 2000
    )
    assert await hub.links.keep_audit(TENANT, number, first, [], [], now + 3000) is None
    second = Audit(now, 7, now + 2000)
    kept_on = await hub.links.keep_audit(TENANT, number, second, [], [], now + 3000)
    assert kept_on is not None
    await hub.links.end_audit(TENANT, number, kept_on, through=True)
    assert await hub.links.begin_audit(TENANT, number, now + 1, now, now + 2000) is None
    assert await hub.links.begin_audit(TENANT, number, now + 1, now + 1, now + 2000) is not None


async def test_when_an_audit_is_due(hub: World) -> None:
    """By its schedule; not while the target is paused, in quiet hours, or under audit; a broken off one at once."""
    await hub.apply(target())
    progress, now = await hub.progress(), hub.clock.now()
    daily = replace(target(), audit=Schedule(every=86_400_000))
    assert is_due(target(), progress, now, now) is None
    assert is_due(daily, None, now, now) is None
    assert is_due(daily, progress, now, now) == now
    assert is_due(daily, replace(progress, audited=now), now, now) == now + 86_400_000
    assert is_due(daily, replace(progress, audited=now, audit_after=3), now, now) == now
    assert is_due(daily, replace(progress, audit_after=3, audit_until=now + 1), now, now) is None
    assert is_due(daily, replace(progress, stopped="by hand"), now, now) is None
    assert is_due(daily, replace(progress, paused_until=now + 1), now, now) is None
    quiet = replace(daily, quiet=quiet_hours("00:00", "23:59", "UTC"))
    assert is_due(quiet, progress, now, now) is None
    cron = replace(target(), audit=Schedule(cron="0 3 * * *"))
    due = is_due(cron, progress, now, now)
    assert due is not None
    assert now < due <= now + 86_400_000
    assert is_due(cron, progress, now, due + 5) == due


async def test_a_worker_does_it_by_its_schedule_and_tells(
    hub: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is to be overwritten goes out at once; of what is left people are told."""
    monkeypatch.setattr(keeper, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(keeper, "AUDIT_SECONDS", 0.01)
    await hub.hire("ada", title="Analyst")
    await hub.hire("grace")
    app = replace(audited(title=Drift.OVERWRITE), audit=Schedule(every=3_600_000))
    await hub.apply(app)
    service = hub.service()
    service.named("Users", "grace")["userName"] = "grace2"
    service.named("Users", "ada")["title"] = "Queen"
    async with kept(hub, app) as told:
        await until(lambda: service.named("Users", "ada")["title"] == "Analyst")
        await until(lambda: any(one.kind is Kind.DRIFT for one in told))
        service.named("Users", "ada")["title"] = "King"
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert service.named("Users", "ada")["title"] == "King", "not before the hour is over"
        hub.clock.milliseconds += 3_600_000
        await until(lambda: service.named("Users", "ada")["title"] == "Analyst")
    assert service.named("Users", "grace2")
    audits = [run for run in await hub.links.runs(TENANT, 20) if run.kind == "audit"]
    assert len(audits) == 2


async def test_a_pause_ends_it(hub: World) -> None:
    """Nothing is asked of a target that somebody has paused."""
    await hub.hire("ada")
    await hub.apply(target())
    await hub.links.stop(TENANT, (await hub.progress()).number, "paused by hand")
    hub.service().requests.clear()
    report = await audit(hub, target())
    assert report.stopped == "paused by hand"
    assert [one for one in hub.service().requests if "/Users/" in one.path] == []


async def test_i_20_one_account_that_cannot_be_read_stops_no_audit(hub: World) -> None:
    """It is counted and told, the others are compared, and what was known of it stays known."""
    people = [await hub.hire(f"user-{index}", title="Analyst") for index in range(8)]
    await hub.apply(target())
    for account in hub.service().resources["Users"].values():
        account["title"] = "Owner"
    assert (await audit(hub, target())).counts["left"] == 8
    link = await hub.link(people[3])
    assert link is not None
    hub.service().faults.append(Fault("GET", f"/Users/{link.remote_id}", html(500), times=-1))
    report = await audit(hub, target())
    assert (report.stopped, report.counts["failed"], report.counts["differ"]) == (None, 1, 7)
    assert len(await drift(hub)) == 8


async def test_c_8_01_a_target_out_of_order_ends_an_audit(hub: World) -> None:
    """After a few accounts in a row about which it says nothing that makes sense."""
    for index in range(20):
        await hub.hire(f"user-{index}")
    await hub.apply(target())
    asked = len(hub.service().requests)
    hub.service().faults.append(Fault("GET", "/Users/", html(500), times=-1))
    report = await audit(hub, target())
    assert report.stopped is not None
    assert len(hub.service().requests) - asked < 12
