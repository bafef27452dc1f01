"""One target during one run: its marks, its claims, its patience, its failures."""

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from rollbook.protocol.errors import Forbidden, StoreUnavailable
from rollbook.provisioning import lease, model
from rollbook.provisioning.brake import how_to_approve
from rollbook.provisioning.delivery import Delivery, Place
from rollbook.provisioning.entries import entry_of
from rollbook.provisioning.guard import Guard
from rollbook.provisioning.items import Action, Item, Later, Overtaken, Swapping, Unseen, failure_text
from rollbook.provisioning.orders import Order, Report, Stop
from rollbook.provisioning.reach import groups_count
from rollbook.provisioning.retry import Verdict, hint, judge
from rollbook.provisioning.states import Event, move
from rollbook.provisioning.targets.base import Target
from rollbook.provisioning.targets.governed import Governed, LeftAlone
from rollbook.provisioning.targets.rates import Rates, seconds_for
from rollbook.provisioning.wanted import kinds_of
from rollbook.provisioning.work import Engine
from rollbook.storage.links import Link, Outcome, Progress, State
from rollbook.storage.runs import Entry

MARKED_AT_ONCE = 1000
"""Resources that one transaction marks."""

CLAIMED_AT_ONCE = 100
"""Links that are claimed together: most need no call, and their outcomes share a transaction."""

CLAIMED_SECONDS = 100.0
"""How long the calls for them may take by the target's rate limits, a third of a lease."""

FAILURES_IN_A_ROW = 5
"""After so many the target is taken to be out of order, and left alone until the next run (C-8-01)."""

FAILURES_TOLD = 200
"""Failures that a report names; the rest is counted."""

LATER_MILLISECONDS = 1000

CLAIMED_MILLISECONDS = 1500
"""How long the delivery of what is claimed together should take."""

LOOK_SHARE = 10
"""The brake looks again after so many times the time that a look takes, while a backlog is worked off."""

BEHIND_EVERY = 4
"""Every so manyth time those are taken up who have waited longest, whatever has changed since."""
"""When to look again at what waits for something else to end."""


class Line:
    """Works off the links of one target until nothing is due, or only what is not worth waiting for."""

    def __init__(
        self,
        engine: Engine,
        target: model.Target,
        far: Target,
        progress: Progress,
        report: Report,
        order: Order,
    ) -> None:
        self._engine = engine
        self._target = target
        self._number = progress.number
        self._report = report
        self._far = far
        self._order = order
        kinds = kinds_of(target, engine.catalog)
        self._guard = Guard(engine, target, kinds, progress, order.approvals, order.removes, order.presence)
        rates = Rates(target.rate, engine.now, engine.sleep, engine.turns_of(progress.number))
        governed = Governed(far, target.concurrency, self._is_open, self._call_failed, rates)
        place = Place(progress.number, order.run, order.removes)
        self._delivery = Delivery(engine, target, governed, place, self._bring_first, self._guard)
        self._ranks = {name: kind.rank for name, kind in kinds.items()}
        self._groups_count = any(groups_count(kind) for kind in kinds.values())
        self._at_once = self._most = _claimed_at_once(target)
        self._paused_until = progress.paused_until
        self._group = asyncio.TaskGroup()
        self._running: dict[str, asyncio.Task[None]] = {}
        """What is claimed, by resource."""
        self._claiming = asyncio.Lock()
        self._awaits: dict[str, str] = {}
        """Who waits for whom to be delivered first."""
        self._tried = False
        self._unseen = False
        """Whether accounts wait for the brake to look at them."""
        self._next_look = 0
        self._in_a_row = 0
        self._waited = 0.0
        self._failures: dict[str, Item] = {}

    async def work(self) -> None:
        """Mark, then work off rank by rank; again while something became due meanwhile."""
        while self._report.stopped is None:
            await self._mark()
            if self._is_look_due() and await self._is_braked():
                return
            if not await self._wait_for_target():
                return
            busy = await self._try_first()
            for rank in sorted(set(self._ranks.values())):
                busy |= await self._work_off(rank)
            if not busy and not await self._wait_for_due():
                return

    async def one(self, id: str) -> None:
        """Bring one resource up to date now, whatever its account is believed to hold, and whoever it names."""
        links, tenant = self._engine.links, self._engine.tenant
        await self._mark()
        await links.mark(tenant, self._number, self._ranks, id, self._engine.now())
        if await self._is_braked(id) or not await self._wait_for_target():
            return
        async with asyncio.TaskGroup() as self._group:
            await self._task_of(id)

    def _is_look_due(self) -> bool:
        """Whether the brake has to look: accounts wait for that, or it has not for a while."""
        return self._unseen or self._engine.now() >= self._next_look

    async def _is_braked(self, only: str | None = None) -> bool:
        begun, self._unseen = self._engine.now(), False
        refused = await self._guard.brake(only)
        ended = self._engine.now()
        self._next_look = ended + max(LATER_MILLISECONDS, LOOK_SHARE * (ended - begun))
        if not refused and self._guard.leaving:
            keys = sorted(self._guard.leaving)
            await self._engine.links.put_first(self._engine.tenant, self._number, keys, ended)
        if refused:
            reasons = "; ".join(str(wave.refusal) for wave in refused)
            self._report.stopped, self._report.stop = f"the brake: {reasons}", Stop.BRAKE
            self._report.braked = refused
            self._report.hint = (
                f"look at them: rollbook plan {self._target.name}; if it is right: {how_to_approve(refused)}"
            )
        return bool(refused)

    async def _try_first(self) -> bool:
        """On a first run, try a few; whether there was anything. If nobody of them went through, nobody else is tried."""
        number, self._tried = 0 if self._tried else await self._guard.canary(), True
        if not number or not await self._work_off(min(self._ranks.values()), number):
            return False
        given_up = [item for item in self._failures.values() if item.action is Action.PARK]
        if given_up and not any(self._report.counts.values()):
            self._report.stopped = f"none of the first {len(given_up)} went through, so nobody else was tried"
            self._report.stop = Stop.CANARY
            self._report.hint = given_up[0].hint
        return True

    async def sum_up(self) -> None:
        """Count what is left, and name it: also what an earlier run had to give up."""
        await self._guard.end(through=self._report.stopped is None)
        links, tenant = self._engine.links, self._engine.tenant
        self._report.writes = self._far.writes
        figures = await links.figures(tenant, self._number, self._engine.now())
        self._report.counts[Action.PARK] = figures.states.get(State.PARKED, 0)
        self._report.counts[Action.WAIT] = figures.waiting
        self._report.held = figures.states.get(State.CLAIMED, 0)
        left = [(link, Action.PARK) for link in await links.parked(tenant, self._number, FAILURES_TOLD)]
        left += [(link, Action.WAIT) for link in await links.waiting(tenant, self._number, FAILURES_TOLD)]
        for link, action in left:
            if link.id not in self._failures:
                label, _ = await self._delivery.about(link)
                self._failures[link.id] = self._item(link, label, action, link.error or "")
        self._report.failures = list(self._failures.values())[:FAILURES_TOLD]

    async def _mark(self) -> None:
        links, tenant, now = self._engine.links, self._engine.tenant, self._engine.now()
        while await self._follow():
            pass
        while await links.walk(tenant, self._number, self._ranks, now, MARKED_AT_ONCE):
            pass
        await links.end_grace(tenant, self._number, now)

    async def _work_off(self, rank: int, most: int | None = None) -> bool:
        """Work while anything of that rank is due and nothing comes first, or on so many; whether there was anything."""
        busy, turn = False, 0
        while self._may_call() and not (busy and (most or await self._comes_first(rank))):
            turn, begun = turn + 1, self._engine.now()
            claimed = await self._claim(rank, most or self._at_once, behind=turn % BEHIND_EVERY == 0)
            if not claimed:
                break
            busy = True
            async with asyncio.TaskGroup() as self._group:
                for link in claimed:
                    self._start(link)
            self._adapt(len(claimed), self._engine.now() - begun)
        return busy

    def _adapt(self, number: int, milliseconds: int) -> None:
        """Take up no more at once than the target does in a second or two: so long what comes first has to wait."""
        if milliseconds > 0:
            fitting = number * CLAIMED_MILLISECONDS // milliseconds
            self._at_once = max(min(self._target.concurrency, self._most), min(self._most, fitting))

    async def _claim(self, rank: int, most: int, *, behind: bool) -> Sequence[Link]:
        """Take up what is due; `behind`: of the backlog, if there is one."""
        await self._engine.keep_time()
        now, links = self._engine.now(), self._engine.links
        own = (self._engine.tenant, self._number, rank, now, now + self._engine.lease, most)
        found = await links.claim(*own, behind=True) if behind else ()
        return found or await links.claim(*own)

    async def _comes_first(self, rank: int) -> bool:
        """Mark what has changed meanwhile; whether the brake has to look, or something of a rank before is due."""
        links, tenant = self._engine.links, self._engine.tenant
        if await links.has_changes(tenant, self._number):
            await self._follow()
        if self._unseen and self._engine.now() >= self._next_look:
            return True
        before = {name: other for name, other in self._ranks.items() if other < rank}
        due = await links.next_due(tenant, self._number, before) if before else None
        return due is not None and due <= self._engine.now()

    async def _follow(self) -> bool:
        return await self._engine.links.follow(
            self._engine.tenant,
            self._number,
            self._ranks,
            self._engine.now(),
            MARKED_AT_ONCE,
            groups_count=self._groups_count,
        )

    def _start(self, link: Link) -> asyncio.Task[None]:
        task = self._group.create_task(self._one(link))
        self._running[link.id] = task
        task.add_done_callback(lambda _: self._running.pop(link.id, None))
        return task

    async def _bring_first(self, id: str, others: Sequence[str]) -> bool:
        """Wait for those of the others that are under way or due. A ring is not waited for: it is closed later."""
        brought = False
        for other in others:
            task = await self._task_of(other)
            if task is None or self._waits_for(other, id):
                continue
            self._awaits[id] = other
            await asyncio.wait([task])
            del self._awaits[id]
            brought = True
        return brought

    async def _task_of(self, id: str) -> asyncio.Task[None] | None:
        """Who delivers that resource, claimed for it if it is due; None if nobody does."""
        async with self._claiming:  # or two who miss the same one would both look, and one find it taken
            if id in self._running:
                return self._running[id]
            await self._engine.keep_time()
            now = self._engine.now()
            link = await self._engine.links.claim_one(
                self._engine.tenant, self._number, id, now, now + self._engine.lease
            )
            return None if link is None else self._start(link)

    def _waits_for(self, id: str, other: str) -> bool:
        """Whether the first waits for the second, directly or not, or is it."""
        last = id
        while last != other and last in self._awaits:
            last = self._awaits[last]
        return last == other

    def _may_call(self) -> bool:
        return self._report.stopped is None and self._engine.now() >= self._paused_until

    async def _one(self, link: Link) -> None:
        try:
            about = {"rollbook.target": self._target.name, "rollbook.type": link.resource_type}
            with self._engine.span(f"deliver {self._target.name}", **about):
                item = await self._delivery.deliver(link)
        except Overtaken:
            return
        except Swapping as swapping:
            self._in_a_row = 0
            self._report.counts[swapping.item.action] += 1
            self._order.watch(swapping.item)
        except LeftAlone:
            due = max(self._engine.now(), self._paused_until)
            await self._engine.links.release(self._engine.tenant, self._number, link, due)
        except Later as later:
            self._unseen |= isinstance(later, Unseen)
            due = later.due or self._engine.now() + LATER_MILLISECONDS
            await self._engine.links.release(self._engine.tenant, self._number, link, due)
            self._note_vanished()
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one bad resource blocks no other (C-8-02); judged below
            await self._failed(link, error)
        else:
            self._succeeded(item)

    async def _is_open(self) -> bool:
        """Whether the next call may go out.

        Raises:
            Overtaken: what it is about may be another's by then.
        """
        lease.check()
        reason = await self._guard.paused()
        if reason is not None and self._report.stopped is None:
            self._report.stopped, self._report.hint = reason, f"rollbook resume {self._target.name}"
            self._report.stop = Stop.AWAY
        return self._may_call()

    def _note_vanished(self) -> None:
        if self._guard.vanished is not None and self._report.stop is not Stop.VANISHED:
            name = self._target.name
            self._report.stopped, self._report.stop = self._guard.vanished, Stop.VANISHED
            self._report.hint = (
                f"if they are to be made anew: rollbook reset {name} --accounts; else put the target right; then:"
                f" rollbook resume {name}"
            )

    def _succeeded(self, item: Item) -> None:
        self._in_a_row = 0
        self._waited = 0.0
        self._failures.pop(item.id, None)
        self._report.counts[item.action] += 1
        self._report.counts["members added"] += item.added
        self._report.counts["members removed"] += item.removed
        self._order.watch(item)

    def _call_failed(self, error: Exception) -> None:
        """Draw the consequences for the target at once, before anybody else calls it."""
        verdict = judge(error, 0, self._engine.now(), 0.0)
        self._in_a_row = self._in_a_row + 1 if verdict.far_side else self._in_a_row
        self._paused_until = max(self._paused_until, verdict.pause or 0)
        if self._report.stopped is None and (verdict.stop or self._in_a_row >= FAILURES_IN_A_ROW):
            self._report.stopped, self._report.hint = verdict.reason, hint(error)
            refused = verdict.stop or isinstance(error, Forbidden)
            self._report.stop = Stop.REFUSED if refused else Stop.OUT_OF_ORDER

    async def _failed(self, link: Link, error: Exception) -> None:
        label, leaving = await self._delivery.about(link)
        spread = zlib.crc32(f"{link.id}{link.attempts}".encode()) / 2**32
        verdict = judge(error, link.attempts, self._engine.now(), spread, leaving=leaving)
        if verdict.again is None and self._delivery.has_freed_since(link):
            verdict = replace(verdict, again=self._engine.now() + LATER_MILLISECONDS)
        if verdict.pause is not None:
            until = max(verdict.pause, self._paused_until)
            await self._engine.links.pause(self._engine.tenant, self._number, until, verdict.reason)
        action = Action.PARK if verdict.again is None else Action.WAIT
        text = failure_text(verdict.reason, hint(error))
        item = replace(self._item(link, label, action, text), next_try=verdict.again)
        if len(self._failures) < FAILURES_TOLD:
            self._failures[link.id] = item
        waits_for = await self._delivery.waits_for(link, error) if verdict.again is None else {}
        entry = entry_of(self._order.run, item, self._engine.now())
        await self._record(link, verdict, text, entry, waits_for)
        if verdict.again is None and self._delivery.has_freed_since(link):  # while it was being recorded
            links, tenant, now = self._engine.links, self._engine.tenant, self._engine.now()
            await links.mark(tenant, self._number, self._ranks, link.id, now)
        self._order.watch(item)

    async def _record(
        self,
        link: Link,
        verdict: Verdict,
        text: str,
        entry: Entry | None,
        waits_for: Mapping[str, str | None],
    ) -> None:
        # What the delivery learnt before it failed, a remote id above all, is in the database already.
        outcome = Outcome(
            state=move(link.state, Event.PARK if verdict.again is None else Event.RETRY),
            due=verdict.again if verdict.again is not None else self._engine.now(),
            attempts=verdict.attempts,
            error=text,
            entry=entry,
            waits_for=waits_for,
        )
        await self._engine.links.fail(self._engine.tenant, self._number, link, outcome)

    async def _wait_for_target(self) -> bool:
        """Wait while the target wants to be left alone; False if that is too long."""
        wait = (self._paused_until - self._engine.now()) / 1000
        if wait <= 0:
            return True
        if await self._wait(wait):
            return True
        until = datetime.fromtimestamp(self._paused_until / 1000, UTC)
        self._report.stopped = f"the target asks to be left alone until {until:%Y-%m-%d %H:%M:%S} UTC"
        self._report.hint, self._report.stop = "run apply again after that", Stop.AWAY
        return False

    async def _wait_for_due(self) -> bool:
        """Wait for the next link that is due; False if there is none, or it is too long."""
        due = await self._engine.links.next_due(self._engine.tenant, self._number, self._ranks)
        if due is None or self._report.stopped is not None:
            return False
        return await self._wait(max(due - self._engine.now(), 0) / 1000)

    async def _wait(self, seconds: float) -> bool:
        if self._waited + seconds > self._order.patience:
            return False
        self._waited += seconds
        await self._engine.sleep(seconds)
        return True

    def _item(self, link: Link, label: str | None, action: Action, failure: str) -> Item:
        reason, _, advice = failure.partition("\n")
        return Item(
            self._target.name,
            link.resource_type,
            link.id,
            label or link.id,
            action,
            failure=reason,
            hint=advice or None,
        )


def _claimed_at_once(target: model.Target) -> int:
    seconds = seconds_for(target.rate, 1) or 0.0
    return max(1, min(CLAIMED_AT_ONCE, int(CLAIMED_SECONDS / seconds))) if seconds else CLAIMED_AT_ONCE
