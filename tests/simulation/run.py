"""One life of the engine, as a seed decides: a hub that changes, targets that fail, workers that die, freeze and wake up.

The engine is the real one, over a real store in memory, in one thread, under a clock that only moves when it is told to. What has to hold
is looked at with each request that arrives at a target, after each run, and when everything is quiet again (threats-and-faults.md 4).
`python -m tests.simulation.run --seed 77` plays one life, `--seeds 10000` many.
"""

import argparse
import asyncio
import json
import random
import sys
import time
import traceback
from copy import deepcopy
from dataclasses import replace
from typing import Any

from tests.provisioning.test_convergence import Story, check_groups, check_users
from tests.provisioning.world import CATALOG, World, target
from tests.simulation.memory import MemoryDatabase

from rollbook.protocol.values import JsonObject
from rollbook.provisioning import model
from rollbook.provisioning.brake import DAY, Approval
from rollbook.provisioning.items import Action, Item
from rollbook.provisioning.model import ArrivalLimit, BrakeLimit, Leave, LeavePolicy
from rollbook.provisioning.orders import Report
from rollbook.provisioning.worker import Worker
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.scripted_target import Answer, Fault, Profile, Recorded, ScriptedTarget, error, html

MARKER = b"MARKER"
"""In attributes that no mapping names."""

FOREIGNERS = 3
"""Accounts at each target that are nobody's we know."""

WITH_ARRIVALS = 3000
"""From this seed on every other life has a brake for arrivals."""

_LEASE_AND_MORE = 6 * 60_000


class Killed(BaseException):
    """The process ends here."""


class Broken(AssertionError):
    """Something that must always hold does not."""


class Watched(ScriptedTarget):
    """A target that looks at every request, and may be stopped in the middle of one."""

    def __init__(self, profile: Profile) -> None:
        super().__init__(profile)
        self.foreign: dict[str, JsonObject] = {}
        self.asleep = asyncio.Event()
        self.sleeping = asyncio.Event()
        self.sleep_at = 0

    def settle_foreigners(self) -> None:
        """Accounts of people we do not know."""
        for number in range(FOREIGNERS):
            own = self.add("Users", {"userName": f"foreigner-{number}", "active": True, "title": "ours"})
            self.foreign[own] = deepcopy(self.resources["Users"][own])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI interface."""
        await super().__call__(scope, receive, send)
        if self.sleep_at and len(self.requests) >= self.sleep_at:
            self.sleep_at = 0
            self.sleeping.set()
            await self.asleep.wait()

    def look(self, request: Recorded) -> None:
        """What holds of every single request."""
        if MARKER in request.raw or MARKER.decode() in repr((request.path, request.query, request.headers)):
            raise Broken(f"I-12: a withheld attribute was sent: {request.method} {request.path}")
        own = request.path.rpartition("/")[2]
        if request.writes and own in self.foreign:
            raise Broken(f"I-15: an account that is not ours was touched: {request.method} {request.path}")

    def check(self) -> None:
        """What holds of the target at any moment."""
        users = self.resources["Users"]
        names = [str(user["userName"]).lower() for user in users.values()]
        outer = [str(user["externalId"]) for user in users.values() if "externalId" in user]
        if len(names) != len(set(names)) or len(outer) != len(set(outer)):
            raise Broken("I-11: somebody has two accounts")
        for own, before in self.foreign.items():
            if users.get(own) != before:
                raise Broken(f"I-15: the account {own} of a stranger has changed")


class Life:
    """One seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        database = MemoryDatabase()
        self.world = World(SqlStore(database, CATALOG))  # type: ignore[arg-type] # what of a backend it needs
        self.story = Story(self.world, seed)
        chosen = self.random.choice
        grace = chosen([0, 0, 3 * DAY])
        self.leave = chosen(list(Leave))
        few = seed >= WITH_ARRIVALS and seed % 2  # so that seeds which found something stay what they were
        arrivals = ArrivalLimit(0.5, 3) if few else None
        policy = LeavePolicy(self.leave, self.leave, self.leave, grace)
        self.targets = [
            replace(
                target(
                    name,
                    scope='title ne "out"',
                    leave=policy if name == "app" else Leave.DISABLE,
                    concurrency=chosen([1, 4]),
                    brake=BrakeLimit(0.2, 3, 7, arrivals),
                ),
                sensitive=frozenset({"title"}),
            )
            for name in ("app", "other")
        ]
        for one in self.targets:
            far = Watched(Profile(patch=self.random.random() < 0.8, page_limit=chosen([2, 100])))
            far.before = far.look
            far.settle_foreigners()
            self.world.far[one.name] = far

    def far(self, name: str) -> Watched:
        """A target."""
        found = self.world.far[name]
        assert isinstance(found, Watched)
        return found

    async def live(self) -> None:
        """From the first day to the last."""
        await self.world.store.open()
        try:
            for _ in range(self.random.randrange(4, 9)):
                for _ in range(self.random.randrange(1, 8)):
                    await self.story.step()
                await self.random.choice(
                    [self.day, self.day, self.bad_day, self.bad_day, self.freeze, self.two, self.compare]
                )()
                self.check()
                self.world.clock.milliseconds += self.random.choice([1_000, 60_000, DAY, 4 * DAY])
            await self.end()
        finally:
            await self.world.store.close()

    async def day(self) -> None:
        """A run without faults."""
        await self.run()

    async def bad_day(self) -> None:
        """A run with faults at a target, and perhaps a sudden end."""
        far = self.far(self.random.choice(["app", "other"]))
        for _ in range(self.random.randrange(6)):
            method = self.random.choice(["GET", "POST", "PATCH", "PUT", "DELETE"])
            answer: Answer | None = self.random.choice(
                [
                    None,
                    html(500),
                    html(404),
                    error(503, "busy"),
                    Answer(429, headers={"retry-after": "3"}),
                    Answer(429, headers={"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}),
                    error(400, "moody", "invalidValue"),
                    error(412, "race"),
                    Answer(200, text="{"),
                ]
            )
            unclear = answer is None or answer.status in {500, 503}
            commits = (unclear and self.random.random() < 0.5) or (
                answer is not None and answer.status == 200
            )
            far.faults.append(Fault(method, "", answer, commits=commits, times=self.random.randrange(1, 5)))
        if self.random.random() < 0.4:
            self.die_at(far, self.random.randrange(1, 20))
        await self.run()
        far.faults.clear()

    def die_at(self, far: Watched, nth: int) -> None:
        """End the process with the nth request from now, before or after it is carried out."""
        seen = 0
        early = self.random.random() < 0.5

        def die(request: Recorded) -> None:
            nonlocal seen
            seen += 1
            if seen == nth:
                raise Killed

        def look(request: Recorded) -> None:
            far.look(request)
            if early:
                die(request)

        far.before = look
        far.after = (lambda _: None) if early else die

    async def freeze(self) -> None:
        """A worker stops in the middle of a request, its lease runs out, another does the work; then it goes on."""
        far = self.far("app")
        far.asleep, far.sleeping = asyncio.Event(), asyncio.Event()
        far.sleep_at = len(far.requests) + self.random.randrange(1, 10)
        first = asyncio.create_task(
            self.survived(Worker(self.world.engine, self.world.connect), self.targets[:1])
        )
        sleeping = asyncio.create_task(far.sleeping.wait())
        await asyncio.wait({first, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        far.sleep_at = 0
        if not first.done():
            self.world.clock.milliseconds += _LEASE_AND_MORE
            for _ in range(self.random.randrange(3)):
                await self.story.step()
            await self.run()
        far.asleep.set()
        await first
        sleeping.cancel()

    async def two(self) -> None:
        """Two workers at the same time."""
        workers = [Worker(self.world.engine, self.world.connect) for _ in range(2)]
        before = {one.name: (self.gone(one.name), self.held(one.name)) for one in self.targets}
        await asyncio.gather(*(self.survived(worker, self.targets) for worker in workers))
        for one in self.targets:
            self.check_brake(one, *before[one.name])

    async def compare(self) -> None:
        """A plan says what a run then does (I-27)."""
        await self.run()
        for _ in range(self.random.randrange(3)):
            await self.story.step()
        (one,) = self.targets[:1]
        far = self.far(one.name)
        before = len(far.writes)
        planned, preview = await self.world.preview(one)
        if len(far.writes) != before:
            raise Broken("I-27: a plan has written")
        if preview.stopped or preview.braked:
            return
        (report,) = await self.run(only=one)
        done = [item for item in self.world.items if item.changes]
        if (
            report is not None
            and report.stopped is None
            and not report.failed
            and _lines(planned) != _lines(done)
        ):
            raise Broken(f"I-27: planned {_lines(planned)}, done {_lines(done)}")

    async def run(self, only: model.Target | None = None) -> list[Report | None]:
        """One run; the brake is obeyed, and its plan approved of in one of two cases."""
        self.world.items = []
        worker = Worker(self.world.engine, self.world.connect, watch=self.world.items.append)
        return await self.worked(worker, self.targets if only is None else [only])

    async def worked(self, worker: Worker, targets: list[model.Target]) -> list[Report | None]:
        """What a worker reports, nothing if it died. Whoever comes after the dead waits for the lease."""
        before = {one.name: (self.gone(one.name), self.held(one.name)) for one in targets}
        reports = await self.survived(worker, targets)
        for one, report in zip(targets, reports, strict=True):
            self.check_brake(one, *before[one.name])
            if report is not None and report.braked and self.random.random() < 0.5:
                await self.survived(worker, [one], *(wave.approval for wave in report.braked))
        return reports

    async def survived(
        self, worker: Worker, targets: list[model.Target], *approvals: Approval
    ) -> list[Report | None]:
        """The reports of a run, nothing if the process died in it."""
        try:
            return [*await worker.run(targets, approvals=approvals)]
        except Killed:
            self.revive()
        except BaseExceptionGroup as group:
            if group.subgroup(Killed) is None:
                raise
            self.revive()
        return [None] * len(targets)

    def revive(self) -> None:
        """The dead process's leases are over, and its hooks are gone."""
        self.world.clock.milliseconds += _LEASE_AND_MORE
        for one in self.targets:
            far = self.far(one.name)
            far.before, far.after = far.look, lambda _: None

    def gone(self, name: str) -> set[str]:
        """Whose accounts were taken away, as far as requests tell."""
        return {request.path for request in self.far(name).writes if _takes_away(request)}

    def held(self, name: str) -> int:
        """How many accounts are there for people of ours."""
        far = self.far(name)
        return len(far.resources["Users"].keys() - far.foreign.keys())

    def check_brake(self, one: model.Target, before: set[str], held: int) -> None:
        """Nobody's word was needed for what a run has taken away (I-14)."""
        took = self.gone(one.name) - before
        limit = one.brake
        if limit is not None and len(took) > max(limit.least - 1, limit.share * (held + len(before))):
            raise Broken(f"I-14: {len(took)} of {held} accounts were taken away, and nobody was asked")

    def check(self) -> None:
        """What holds between runs."""
        for one in self.targets:
            far = self.far(one.name)
            far.before, far.after = far.look, lambda _: None
            far.check()

    async def end(self) -> None:
        """Everything is quiet and healthy: then all targets are what they should be, and nothing more is sent (I-16, I-20)."""
        for one in self.targets:
            self.far(one.name).faults.clear()
        calm = [replace(one, brake=None) for one in self.targets]
        for _ in range(14):
            self.world.clock.milliseconds += 5 * 3_600_000
            reports = await self.world.apply(*calm, unpark=True)
            if not any(report.failed for report in reports):
                break
        else:
            raise Broken(f"I-16: {[report.failures or report.stopped for report in reports]}")
        self.world.clock.milliseconds += 4 * DAY
        await self.world.apply(*calm)
        writes = {one.name: len(self.far(one.name).writes) for one in calm}
        await self.world.apply(*calm)
        for one in calm:
            if len(self.far(one.name).writes) != writes[one.name]:
                raise Broken("I-16: a run over what is in step has written")
        self.check()
        for name, leave in (("app", self.leave), ("other", Leave.DISABLE)):
            self.check_end(name, leave)

    def check_end(self, name: str, leave: Leave) -> None:
        """One target holds exactly what it should."""
        far = self.far(name)
        shown = ScriptedTarget(far.profile)
        shown.resources = {
            "Users": {own: user for own, user in far.resources["Users"].items() if own not in far.foreign},
            "Groups": far.resources["Groups"],
        }
        app, self.world.far["app"] = self.world.far["app"], shown
        try:
            check_users(self.story, leave)
            check_groups(self.story)
        except AssertionError as problem:
            raise Broken(f"I-16: {name}: {problem}") from problem
        finally:
            self.world.far["app"] = app


def _takes_away(request: Recorded) -> bool:
    if not request.path.startswith("/Users/"):
        return False
    return (
        request.method == "DELETE"
        or b'"active":false' in request.raw.replace(b" ", b"")
        or (
            request.method == "PATCH"
            and any(
                one.get("path") == "active" and one.get("value") is False
                for one in request.body.get("Operations", ())
            )
        )
    )


def _lines(items: list[Item]) -> list[str]:
    """Items as they can be compared: without what only one of them knows, the ids of accounts that are yet to be made."""
    found: dict[str, set[str]] = {}
    for item in items:
        if item.action is Action.KEEP or (item.action is Action.COMPLETE and not item.adopts):
            continue
        names = {one.attribute for one in item.differences if "manager" not in one.attribute}
        if item.action is Action.CHANGE and not names:
            continue
        # Who is their own manager is taken over first, and completed then.
        action = Action.NOTHING if item.action is Action.COMPLETE else item.action
        adopts = {"taken over"} if item.adopts else set()
        found.setdefault(f"{item.resource_type} {item.id}", set()).update({action.value, *names, *adopts})
    return [f"{own}: {sorted(what)}" for own, what in sorted(found.items()) if what - {"change"}]


def play(seed: int) -> None:
    """Live one seed.

    Raises:
        Broken: something that must hold does not; says what.
    """
    asyncio.run(Life(seed).live())


def main() -> int:
    """Play seeds until one fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this one only")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=50, help="how many")
    options = parser.parse_args()
    seeds = (
        [options.seed] if options.seed is not None else range(options.first, options.first + options.seeds)
    )
    begun, failed = time.monotonic(), []
    for number, seed in enumerate(seeds, start=1):
        try:
            play(seed)
        except BaseException as problem:
            if isinstance(problem, KeyboardInterrupt):
                raise
            failed.append(seed)
            print(
                f"seed {seed}: {problem}\n  again: python -m tests.simulation.run --seed {seed}", flush=True
            )
            if options.seed is not None:
                traceback.print_exception(problem)
        if number % 500 == 0:
            print(f"{number} seeds, {len(failed)} failed, {time.monotonic() - begun:.0f} s", flush=True)
    total = 1 if options.seed is not None else options.seeds
    print(json.dumps({"seeds": total, "failed": failed, "seconds": round(time.monotonic() - begun)}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
