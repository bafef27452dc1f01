"""The loops that keep targets in step: at once, each by itself, and telling people what needs them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import time
from pathlib import Path

import pytest
from tests.provisioning.world import World, target, world

from rollbook.protocol.errors import Outdated
from rollbook.provisioning import keeper, model
from rollbook.provisioning.alerts import Alert, Alerter, Kind, Send
from rollbook.provisioning.keeper import Keeper
from rollbook.provisioning.model import BrakeLimit
from rollbook.provisioning.schedule import Quiet, Schedule
from rollbook.testing.scripted_target import Fault, Profile, error

pytestmark = pytest.mark.anyio


@pytest.fixture
async def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A new world, whose keepers look often."""
    monkeypatch.setattr(keeper, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(keeper, "BRAKED_MILLISECONDS", 10)
    async with world(tmp_path) as made:
        yield made


@asynccontextmanager
async def kept(
    hub: World,
    *targets: model.Target,
    sources: tuple[model.Source, ...] = (),
    pull: object = None,
    undecided: Callable[[str], Awaitable[int]] | None = None,
    ways: Sequence[Send] = (),
) -> AsyncIterator[list[Alert]]:
    """A keeper at work; what it told people, unless there are other ways to tell them."""
    told: list[Alert] = []

    async def tell(alert: Alert) -> None:
        told.append(alert)

    async def nothing(_source: model.Source, _since: int) -> str | None:
        return None

    config = model.Config("", {one.name: one for one in sources}, {one.name: one for one in targets})
    alerter = Alerter(ways or [tell], hub.clock.now, lambda _alert, _error: None)
    made = Keeper(hub.engine, config, hub.connect, pull or nothing, alerter, undecided=undecided)  # type: ignore[arg-type]
    task = asyncio.create_task(made.run())
    try:
        yield told
    finally:
        made.stop()
        await asyncio.wait_for(task, 10)


async def until(holds: Callable[[], bool], work: Callable[[], Awaitable[None]] | None = None) -> None:
    """Wait until something holds; too long is a failure."""
    async with asyncio.timeout(10):
        while not holds():
            if work is not None:
                await work()
            await asyncio.sleep(0.01)


async def test_a_change_goes_out_at_once(hub: World) -> None:
    """Nobody has to ask for it; and what belongs together is one run."""
    async with kept(hub, target()) as told:
        ada = await hub.hire("ada")
        await until(lambda: bool(hub.service().resources["Users"]))
        await hub.change(ada, title="Lead")
        await until(lambda: hub.service().named("Users", "ada").get("title") == "Lead")
    runs = [run for run in await hub.links.runs(1, 10) if run.kind == "apply"]
    assert [dict(run.counts) for run in runs] == [
        {"create": 1, "change": 1} | {"members added": 0, "members removed": 0}
    ]
    assert told == []


async def test_i_20_one_that_is_down_delays_no_other(hub: World) -> None:
    """A target that never answers leaves the others as they are, and is told after a while."""
    hub.service("down").faults.append(Fault("", times=10_000))
    hub.service("down").faults = [Fault(method, times=10_000) for method in ("GET", "POST", "PATCH")]

    async def clock_goes_on() -> None:
        hub.clock.milliseconds += 100_000

    async with kept(hub, target("down"), target("app")) as told:
        for number in range(20):
            await hub.hire(f"p{number}")
        await until(lambda: len(hub.service("app").resources["Users"]) == 20)
        await until(lambda: bool(told), clock_goes_on)
    assert {(one.kind, one.subject) for one in told} == {(Kind.OUT_OF_ORDER, "down")}


async def test_fe_31_an_old_worker_ends_when_the_database_is_newer(hub: World) -> None:
    """It sends nothing more, although there is something to do, and says why it ends."""
    service = hub.service()
    service.faults.append(Fault("POST", "/Users", error(503, "busy")))
    await hub.hire("ada")

    async def upgraded_meanwhile() -> None:
        async with kept(hub, target()):
            await until(lambda: len(service.writes) == 1)
            with hub.store.database.alone() as connection:
                connection.run("UPDATE alembic_version SET version_num = '9999'")
            hub.clock.milliseconds += 3_600_000
            await asyncio.sleep(0.2)

    with pytest.raises(Outdated, match="of a newer Rollbook"):
        await upgraded_meanwhile()
    assert len(service.writes) == 1


async def test_credentials_that_are_refused_are_a_quarantine(hub: World) -> None:
    """401: told once, left alone for longer and longer, and told again when it is over."""
    service = hub.service(profile=Profile(token="other"))
    async with kept(hub, target()) as told:
        await hub.hire("ada")
        await until(lambda: bool(told))
        calls = len(service.requests)
        await asyncio.sleep(0.1)
        assert len(service.requests) == calls
        progress = await hub.progress()
        assert progress.paused_until >= hub.clock.now() + keeper.QUARANTINE_MILLISECONDS[0]
        assert "quarantined: 401" in str(progress.error)
        service.profile = Profile(token="secret")
        hub.clock.milliseconds += keeper.QUARANTINE_MILLISECONDS[0] + 60_000
        await until(lambda: bool(service.resources["Users"]))
        await until(lambda: len(told) == 2)
    assert [one.kind for one in told] == [Kind.QUARANTINE, Kind.RECOVERED]


async def test_the_brake_is_told_once(hub: World) -> None:
    """And the target is not asked again and again meanwhile."""
    app = target(brake=BrakeLimit())
    people = [await hub.hire(f"p{number}") for number in range(10)]
    async with kept(hub, app) as told:
        await until(lambda: len(hub.service().resources["Users"]) == 10)
        for own in people:
            await hub.change(own, active=False)
        await until(lambda: bool(told))
        await asyncio.sleep(0.2)
    (alert,) = told
    assert alert.kind is Kind.BRAKE
    assert "--accept-deletions" in str(alert.hint)


async def test_what_is_given_up_is_told(hub: World) -> None:
    """400: the person is left out, people are told where to look."""
    await hub.hire("known")
    async with kept(hub, target()) as told:
        await until(lambda: bool(hub.service().resources["Users"]))
        hub.service().faults.append(Fault("POST", "/Users", error(400, "no", "invalidValue"), times=9))
        await hub.hire("ada")
        await until(lambda: bool(told))
    assert [(one.kind, one.hint) for one in told] == [(Kind.PARKED, "look at them: rollbook status app")]


async def test_quiet_hours_are_kept(hub: World) -> None:
    """Nothing is sent then; it is sent afterwards."""
    from datetime import UTC, datetime

    now = datetime.fromtimestamp(hub.clock.now() / 1000, UTC)
    quiet = Quiet(time(now.hour), time((now.hour + 2) % 24))
    async with kept(hub, replace(target(), quiet=quiet)):
        await hub.hire("ada")
        await asyncio.sleep(0.1)
        assert hub.service().requests == []
        hub.clock.milliseconds += 2 * 3_600_000
        await until(lambda: bool(hub.service().resources["Users"]))


async def test_sources_are_pulled_by_their_schedule(hub: World) -> None:
    """When it is due, with the moment since which nobody else may have done so; a failure is told at the second time."""
    pulled: list[int] = []

    async def pull(source: model.Source, since: int) -> str | None:
        pulled.append(since)
        run = await hub.links.begin_run_once(1, "pull", source.name, hub.clock.now(), since)
        assert run is not None
        assert await hub.links.begin_run_once(1, "pull", source.name, hub.clock.now(), since) is None
        hub.clock.milliseconds += 60_000
        return "cut" if len(pulled) < 4 else None

    source = model.Source("hr", "csv", "", "id", model.ObjectMapping(()), schedule=Schedule(every=60_000))
    async with kept(hub, sources=(source,), pull=pull) as told:
        await until(lambda: len(told) == 2)
    assert [one.kind for one in told] == [Kind.SOURCE, Kind.RECOVERED]
    assert pulled[1] == pulled[0] + 60_000


async def test_what_waits_for_people_is_told_once(hub: World) -> None:
    """Not at every pull, nor every hour: again only when there is more, and when nothing waits any more."""
    waiting = iter([1, 1, 1, 2, 2, 1, 0, 0])
    asked: list[str] = []

    async def pull(source: model.Source, since: int) -> str | None:
        run = await hub.links.begin_run_once(1, "pull", source.name, hub.clock.now(), since)
        assert run is not None
        hub.clock.milliseconds += 2 * 3_600_000
        return None

    async def undecided(name: str) -> int:
        asked.append(name)
        return next(waiting, 0)

    source = model.Source("hr", "csv", "", "id", model.ObjectMapping(()), schedule=Schedule(every=60_000))
    async with kept(hub, sources=(source,), pull=pull, undecided=undecided) as told:
        await until(lambda: len(asked) > 8)
    assert [(one.kind, one.text[:2]) for one in told] == [
        (Kind.UNCERTAIN, "1 "),
        (Kind.UNCERTAIN, "2 "),
        (Kind.RECOVERED, "no"),
    ]


async def test_a_source_that_was_never_pulled_is_pulled_by_cron(
    hub: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time that its hour comes, although there is no pull to count from."""
    monkeypatch.setattr(keeper, "_LONGEST_WAIT", 0.01)
    pulled: list[int] = []
    begun = hub.clock.now()

    async def pull(source: model.Source, since: int) -> str | None:
        pulled.append(since)
        await hub.links.begin_run_once(1, "pull", source.name, hub.clock.now(), since)
        return None

    schedule = Schedule(cron="30 6 * * *")
    source = model.Source("hr", "csv", "", "id", model.ObjectMapping(()), schedule=schedule)
    async with kept(hub, sources=(source,), pull=pull):
        await asyncio.sleep(0.05)
        assert pulled == []
        hub.clock.milliseconds += 86_400_000
        await until(lambda: bool(pulled))
    assert pulled == [schedule.after(None, begun)]


async def test_a_pause_by_hand_is_kept(hub: World) -> None:
    """A keeper leaves alone what somebody paused, and goes on when they resume."""
    await hub.hire("first")
    async with kept(hub, target()):
        await until(lambda: bool(hub.service().resources["Users"]))
        number = (await hub.progress()).number
        await hub.links.stop(1, number, "paused by hand")
        hub.clock.milliseconds += 10_000  # work under way looks for a pause now and then
        await hub.hire("ada")
        await asyncio.sleep(0.1)
        assert len(hub.service().resources["Users"]) == 1
        await hub.links.stop(1, number, None)
        await until(lambda: len(hub.service().resources["Users"]) == 2)


async def test_i_20_a_mistake_of_ours_at_one_source_stops_nothing_else(
    hub: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told by where it was, without its words, and work begins anew."""
    monkeypatch.setattr(keeper, "MISTAKE_SECONDS", 0.01)
    tries = 0

    async def pull(_source: model.Source, _since: int) -> str | None:
        nonlocal tries
        tries += 1
        raise TypeError("ada@example.com")

    source = model.Source("hr", "csv", "", "id", model.ObjectMapping(()), schedule=Schedule(every=60_000))
    async with kept(hub, target(), sources=(source,), pull=pull) as told:
        await hub.hire("ada")
        await until(lambda: tries > 2 and bool(hub.service().resources["Users"]))
    assert {(alert.kind, alert.subject) for alert in told} == {(Kind.MISTAKE, "hr")}
    assert "TypeError at pull" in told[0].text
    assert "ada@" not in told[0].text
