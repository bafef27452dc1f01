"""What webhooks bring is applied: at once, in order, each word once, and what cannot be used yet waits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.provisioning.people_hub import World, a_world

from rollbook.cli.opened import desk_of
from rollbook.desk.pulls import Intake
from rollbook.protocol.catalog import core_catalog
from rollbook.provisioning import follower, model
from rollbook.provisioning.alerts import Alert, Alerter
from rollbook.provisioning.config import load_config
from rollbook.provisioning.directory import pull
from rollbook.provisioning.follower import Follower
from rollbook.provisioning.hub import LiveWriter
from rollbook.provisioning.people import disabled
from rollbook.provisioning.report import PullReport
from rollbook.provisioning.sitting import Sitting
from rollbook.provisioning.sources import source_of, webhook
from rollbook.provisioning.sources.base import Reading, Source, SourceError
from rollbook.provisioning.sources.webhook import Within
from rollbook.storage.arrivals import Arrival
from rollbook.storage.ids import new_id
from rollbook.storage.sql.arrivals import SqlArrivals
from rollbook.storage.sql.links import SqlLinks

pytestmark = pytest.mark.anyio

RULES = """
version: 1
sources:
  hr:
    type: webhook
    secret: ${HOOK}
    key: id
    users:
      externalId: {from: id}
      userName: {from: mail}
      enterprise.manager: {from: manager}
"""
SECRET = "whsec_" + "c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nz"


def record(key: str, mail: str = "", manager: str = "") -> Arrival:
    """A record as it comes."""
    return Arrival(key, {"id": key, "mail": mail or f"{key}@example.com", "manager": manager})


@dataclass
class Post:
    """A hub, and what is sent to it."""

    world: World
    source: model.Source
    arrivals: SqlArrivals

    async def bring(self, *arrivals: Arrival) -> None:
        """Send a message."""
        await self.arrivals.take(1, "hr", new_id(), arrivals, 1, 5_000)

    async def waiting(self) -> list[str]:
        """Keys of what waits."""
        return [one.key for one in await self.arrivals.waiting(1, "hr", 0, 100)]

    def within(self, *, applies: bool = True) -> Within:
        """The hub's own database."""
        loop = asyncio.get_running_loop()
        return Within(self.arrivals, 1, self.world.hub.now, loop, applies)

    async def pull(self, *, dry_run: bool = False, **changes: object) -> PullReport:
        """Apply what waits."""
        source = replace(self.source, **changes)  # type: ignore[arg-type]  # tests name real fields
        place = source_of(source, self.within(applies=not dry_run))
        return await pull(source, place, self.world.hub, dry_run=dry_run)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    """An empty hub with a webhook."""
    async with a_world(tmp_path) as world:
        path = tmp_path / "rollbook.yaml"
        path.write_text(RULES, "utf-8")
        source = load_config(path, core_catalog(), {"HOOK": SECRET}).sources["hr"]
        yield Post(world, source, SqlArrivals(world.store.database))


async def test_what_came_is_applied_once(post: Post) -> None:
    """People are made, changed and taken to have left, nobody else is touched, and then nothing waits."""
    await post.bring(record("a"), record("b"))
    report = await post.pull()
    assert (report.created, report.partial) == (2, True)
    assert set(await post.world.users()) == {"a@example.com", "b@example.com"}
    assert await post.waiting() == []
    await post.bring(Arrival("a", None), record("b", "new@example.com"))
    report = await post.pull(missing=model.Leave.DELETE)
    assert (report.deleted, report.changed) == (1, 1)
    assert set(await post.world.users()) == {"new@example.com"}
    before = await post.world.last_change()
    assert (await post.pull()).rows == 0
    assert await post.world.last_change() == before


async def test_the_newest_word_holds(post: Post) -> None:
    """Gone and back again, or the other way round: what was said last."""
    await post.bring(record("a"), record("b"), record("c"), record("d"), record("e"))
    await post.pull()
    await post.bring(Arrival("a", None), record("b", "b2@example.com"))
    await post.bring(record("a", "a2@example.com"), Arrival("b", None))
    report = await post.pull()
    assert (report.changed, report.disabled) == (1, 1)
    users = await post.world.users()
    assert users["a2@example.com"].get("active") is not False
    assert users["b@example.com"]["active"] is False


async def test_what_cannot_be_used_yet_waits(post: Post) -> None:
    """A name that is not free, a manager who has not come: reported, not lost, and tried with the next."""
    await post.bring(record("a"), record("b", "a@example.com"), record("c", manager="m"))
    report = await post.pull()
    assert {one.person for one in report.problems} == {"b", "c"}
    assert await post.waiting() == ["b", "c"]
    assert not await post.arrivals.has_new(1, "hr")
    await post.bring(record("m"), record("a", "free@example.com"))
    report = await post.pull()
    assert report.problems == []
    users = await post.world.users()
    assert users["c@example.com"]["manager"] == users["m@example.com"]["id"]
    assert "a@example.com" in users
    assert await post.waiting() == []


async def test_after_a_crash_it_is_applied_again(post: Post) -> None:
    """What was applied and not forgotten yet changes nothing the second time; the lease of the dead ends."""
    await post.bring(record("a"))
    waiting = await post.arrivals.waiting(1, "hr", 0, 9)
    await post.pull()
    before = await post.world.last_change()
    await post.bring(*(replace(one, sequence=0) for one in waiting))
    await post.arrivals.claim(1, "hr", "dead", 0, post.world.hub.now() + 1)
    with pytest.raises(SourceError, match="another process is applying"):
        await post.pull()
    assert await post.waiting() == ["a"]
    moment = post.world.hub.now() + 1
    post.world.hub = replace(post.world.hub, now=lambda: moment)
    assert (await post.pull()).changes == 0
    assert await post.world.last_change() == before


@dataclass
class Slow:
    """A webhook whose process is frozen once it has read, and what happens meanwhile."""

    inner: Source
    meanwhile: Callable[[], None]
    label: str = "/hooks/hr"

    def columns(self) -> tuple[str, ...]:
        """Those of the webhook."""
        return self.inner.columns()

    def open(self, since: str | None = None) -> Reading:
        """Read, and be frozen."""
        reading = self.inner.open(since)
        self.meanwhile()
        return reading


@pytest.mark.parametrize("by", ["a", None], ids=["somebody-else-goes-on", "nobody-does"])
async def test_an_older_word_is_not_written_late(post: Post, by: str | None) -> None:
    """Who was frozen for longer than the lease writes nothing if another process has gone on, and goes on if none has."""
    moments = [post.world.hub.now()]
    post.world.hub = replace(post.world.hub, now=lambda: moments[-1])
    within = post.within()
    await post.bring(record("a", "old@example.com"))

    def meanwhile() -> None:
        moments.append(moments[-1] + webhook.LEASE + 1)
        if by is not None:
            claim = post.arrivals.claim(1, "hr", by, moments[-1], moments[-1] + webhook.LEASE)
            assert within.ask(claim)

    work = pull(post.source, Slow(source_of(post.source, within), meanwhile), post.world.hub)
    if by is None:
        assert (await work).created == 1
        assert await post.waiting() == []
        return
    with pytest.raises(SourceError, match="another process may be applying"):
        await work
    assert await post.world.users() == {}
    assert await post.waiting() == ["a"]
    assert not await post.arrivals.claim(
        1, "hr", "third", moments[-1], moments[-1] + 1
    )  # it is the other's still


async def test_the_lease_is_looked_at_in_the_transaction(post: Post) -> None:
    """It may end while a write waits for its turn."""
    await post.bring(record("a"))
    await post.pull()
    moments = [post.world.hub.now()]
    within = replace(post.within(), now=lambda: moments[-1])
    reading = await asyncio.to_thread(source_of(post.source, within).open)
    hold = reading.extent.hold
    assert hold is not None
    await hold.renew()
    hold.check()
    moments.append(moments[-1] + webhook.LEASE)
    with pytest.raises(SourceError, match="another process may be applying"):
        hold.check()
    await asyncio.to_thread(reading.close)

    class Late:
        """A lease that ends while the write waits."""

        async def renew(self) -> None:
            """It holds."""

        def check(self) -> None:
            """It held."""
            raise SourceError("too late")

    (user,) = (await post.world.users()).values()
    before = await post.world.last_change()
    writer = LiveWriter(post.world.hub, "hr", Late())
    with pytest.raises(SourceError, match="too late"):
        await writer.update(post.world.hub.type_named("User"), str(user["id"]), disabled)
    assert await post.world.last_change() == before


async def test_too_many_departures_wait(post: Post) -> None:
    """FE-11: nothing is done, nothing is lost; it goes on once the limit allows it."""
    await post.bring(*(record(f"p{n}") for n in range(8)))
    await post.pull()
    await post.bring(*(Arrival(f"p{n}", None) for n in range(5)))
    with pytest.raises(SourceError, match="5 of 8 known records are gone"):
        await post.pull()
    assert len(await post.waiting()) == 5
    assert (await post.pull(shrink_limit=0.7)).disabled == 5
    assert await post.waiting() == []


async def test_a_plan_applies_nothing(post: Post) -> None:
    """What waits goes on waiting, and nobody is kept from applying it meanwhile."""
    await post.bring(record("a"))
    assert (await post.pull(dry_run=True)).created == 1
    assert await post.waiting() == ["a"]
    assert await post.arrivals.claim(1, "hr", "other", 1, 2)


async def test_there_is_nothing_to_look_at_afterwards(post: Post) -> None:
    """explain and try say that a webhook keeps no records."""
    with pytest.raises(SourceError, match="keeps no records"):
        source_of(post.source).open()


async def test_a_worker_applies_it_at_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a second, and what belongs together is one run; a failure is told, and waits."""
    told: list[Alert] = []

    async def tell(alert: Alert) -> None:
        told.append(alert)

    config = model.Config("", {"hr": post.source}, {})
    intake = Intake(desk_of(config, post.world.store))
    moments = iter(range(1_000_000))
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    loop = Follower(
        post.source, intake, Alerter([tell], lambda: 0, lambda _a, _e: None), lambda: next(moments), wait
    )
    await loop.turn()
    for key in ("a", "b"):
        await post.bring(record(key))
        await loop.turn()
    assert set(await post.world.users()) == {"a@example.com", "b@example.com"}
    runs = await SqlLinks(post.world.store.database).runs(1, 10)
    assert [(run.kind, run.subject, run.counts["created"]) for run in runs] == [("pull", "hr", 2)]
    assert waits == [follower.POLL_SECONDS] * 3
    await post.bring(*(Arrival(key, None) for key in ("a", "b")))  # everybody at once
    for _ in range(6):
        await loop.turn()
    assert waits[3:] == [follower.FAILED_SECONDS] * 6
    assert len(told) == 1
    assert "2 of 2 known records are gone" in told[0].text
    await post.bring(record("a"))
    await loop.turn()
    assert waits[-1] == follower.POLL_SECONDS


def test_a_sitting_ends() -> None:
    """After a minute without anything, or a quarter of an hour."""
    assert not Sitting(0, 0).is_over(60_000)
    assert Sitting(0, 0).is_over(60_001)
    assert Sitting(0, 900_000).is_over(900_001)
