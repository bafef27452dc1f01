"""What is done for an order, and what is said of it afterwards: figures, never names, which stand in its lines.

An order may be begun again after a worker has died at it. What is done twice changes nothing: sources say the same, accounts are as they
should be, and what an undo has taken back is as it was. What was agreed to goes on only if nobody else has changed the hub meanwhile.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rollbook.desk import matches
from rollbook.desk.agreed import AgreedPlan, Digest, from_digest
from rollbook.desk.applying import apply, deliver
from rollbook.desk.desk import Desk
from rollbook.desk.errors import DeskError
from rollbook.desk.plan_lines import Recorder
from rollbook.desk.planning import plan
from rollbook.desk.pulls import pull_sources
from rollbook.desk.reports import Applied, Planned, SourceReport, figures
from rollbook.desk.reviewed import Reviewed
from rollbook.desk.undoing import plan_undo, preview_undo, undo
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.brake import Approval, Wave, Way
from rollbook.provisioning.items import Action
from rollbook.provisioning.orders import Report
from rollbook.provisioning.preview import Preview
from rollbook.provisioning.undo import UndoPlan
from rollbook.storage.matches import Verdict
from rollbook.storage.orders import Ending, Order, OrderKind, OrderState

HELD_TIMES, HELD_SECONDS = 60, 1.0
"""How often an order looks again at what another worker has in its hands, and how long it waits in between."""

MOST_LINES = 10_000
"""Lines of a plan that are kept; its digest is of all."""


class Book(Protocol):
    """Where a worker keeps what belongs to an order."""

    async def note(self, progress: JsonObject) -> None:
        """Keep what goes on from it if this worker dies."""

    async def run(self, number: int) -> None:
        """Keep the number of the run that it is."""

    async def lines(self, lines: list[JsonObject]) -> None:
        """Keep what it is about, line by line."""

    async def order(self, number: int) -> Order | None:
        """Another order of the tenant."""


@dataclass
class Lines:
    """The lines of a plan: the first of them, how many there are, and what stands for all."""

    kept: list[JsonObject] = field(default_factory=list)
    number: int = 0
    digest: Digest = field(default_factory=Digest)

    def write(self, text: str, /) -> None:
        """Take one, as the recorder writes it."""
        line: JsonObject = json.loads(text)
        self.digest.add(line)
        self.add(line)

    def add(self, line: JsonObject) -> None:
        """Take one that is only shown."""
        self.number += 1
        if self.number <= MOST_LINES:
            self.kept.append(line)


async def carry_out(desk: Desk, order: Order, book: Book) -> Ending:
    """Do what was ordered.

    Raises:
        StoreUnavailable: the hub cannot be used; it is still to be done.
        DeskError, ScimError: it cannot be done.
    """
    return await _WORK[order.kind](desk, order, book)


async def _plan(desk: Desk, order: Order, book: Book) -> Ending:
    asked, lines = order.asked, Lines()
    desk.accept = frozenset(asked["accept"])
    recorder = Recorder(desk.config.sensitive, lines)
    planned = await plan(
        desk, asked["targets"], recorder, read_sources=asked["readSources"], full=asked["full"]
    )
    await book.lines(lines.kept)
    targets = desk.targets(asked["targets"])
    result = _of_plan(planned, lines) | {
        "digest": lines.digest.text,
        "settings": {target.name: target.digest for target in targets},
    }
    return _ending(result, failed=planned.failed)


async def _apply(desk: Desk, order: Order, book: Book) -> Ending:
    asked = order.asked
    desk.accept = frozenset(asked["accept"])
    names, reads, approvals = asked["targets"], asked["readSources"], _approved(asked)
    if asked["agreed"] is not None:
        agreed = await _agreed(asked["agreed"], book)
        names, reads = list(agreed.targets), agreed.reads_sources
        approvals = tuple(one for waves in agreed.waves.values() for one in waves.values())
        await _review(desk, agreed, order, book)
    return await _bring_up_to_date(
        desk, order, book, names, read_sources=reads, retry=asked["retry"], approvals=approvals
    )


async def _retry(desk: Desk, order: Order, book: Book) -> Ending:
    return await _bring_up_to_date(
        desk, order, book, order.asked["targets"], read_sources=False, retry=True, approvals=()
    )


async def _bring_up_to_date(
    desk: Desk,
    order: Order,
    book: Book,
    names: list[str],
    *,
    read_sources: bool,
    retry: bool,
    approvals: tuple[Approval, ...],
) -> Ending:
    act = desk.telling(order.kind.value, names, order=order.number)
    async with act as told, _as_one_run(desk, order, book):
        done = await apply(
            desk, names, lambda _: None, read_sources=read_sources, retry=retry, approvals=approvals
        )
        done = await _end_of_others(desk, done, approvals)
        told.ended(done, desk.batch)
    return _ending(_of_apply(done), failed=done.failed)


@asynccontextmanager
async def _as_one_run(desk: Desk, order: Order, book: Book) -> AsyncIterator[None]:
    """All that is done belongs to a run whose number is kept before anything is done, and outlives this worker."""
    links, home = desk.links, desk.store.home
    if order.run is None:
        run = await links.begin_run(home, "order", str(order.number), desk.now())
        await book.run(run.number)
    else:
        run = (await links.batch(home, order.run))[0]
    desk.batch = run.batch
    try:
        yield
    finally:
        await links.end_run(home, run, desk.now(), {}, None)


async def _end_of_others(desk: Desk, done: Applied, approvals: tuple[Approval, ...]) -> Applied:
    """Look again at targets where another worker had something in its hands, until it has not."""
    for _ in range(HELD_TIMES):
        held = [report.target for report in done.targets if report.held and not report.stopped]
        if not held:
            break
        await asyncio.sleep(HELD_SECONDS)
        again = await deliver(desk, desk.targets(held), lambda _: None, approvals=approvals)
        done = Applied(done.sources, [_later(report, again) for report in done.targets])
    return done


def _later(report: Report, again: list[Report]) -> Report:
    """How a target stands after another look; what was done is counted together, what is left is that of now."""
    for later in again:
        if later.target == report.target:
            later.counts += Counter(
                {name: count for name, count in report.counts.items() if name not in _LEFT}
            )
            return later
    return report


_LEFT = frozenset({Action.PARK, Action.WAIT})


async def _agreed(number: int, book: Book) -> AgreedPlan:
    """The plan of another order.

    Raises:
        DeskError: it is no plan that anybody could agree to.
    """
    planned = await book.order(number)
    if planned is None or planned.kind is not OrderKind.PLAN or planned.state is not OrderState.DONE:
        raise DeskError(f"order {number} is no plan that was made; make one first")
    if not planned.asked:
        raise DeskError("what was planned is not kept any more; make a new plan")
    found = planned.result
    waves: dict[Way, dict[str, Approval]] = {}
    for one in found["targets"]:
        for wave in one["braked"]:
            approval = Approval(wave["number"], wave["plan"])
            waves.setdefault(Way(wave["way"]), {})[one["target"]] = approval
    settings = found["settings"]
    return AgreedPlan(
        list(settings), planned.asked["readSources"], from_digest(found["digest"]), waves, settings
    )


async def _review(desk: Desk, agreed: AgreedPlan, order: Order, book: Book) -> None:
    """See that the plan would be the same now. One that went out in part is not: there the hub must be as it was."""
    known = order.progress.get("reviewed")
    if known is not None:
        sources = {name: int(content) for name, content in known["sources"].items()}
        desk.reviewed = Reviewed(sources, known["change"], frozenset(sources))
        return
    await agreed.check(desk)
    if desk.reviewed is not None:
        read = {name: str(content) for name, content in desk.reviewed.sources.items()}
        await book.note({"reviewed": {"sources": read, "change": desk.reviewed.change}})


async def _pull(desk: Desk, order: Order, book: Book) -> Ending:
    asked = order.asked
    desk.accept = frozenset(asked["accept"])
    desk.sources(asked["sources"])  # what there is not begins no run
    async with _as_one_run(desk, order, book):
        reports = await pull_sources(desk, asked["sources"], whole=not asked["onlyChanges"])
    return _ending(
        {"sources": [_source(report) for report in reports]}, failed=any(report.failed for report in reports)
    )


async def _undo(desk: Desk, order: Order, book: Book) -> Ending:
    asked, lines = order.asked, Lines()
    taken, _ = await plan_undo(desk, asked["run"])
    for line in _hub_lines(taken):
        lines.add(line)
    planned = await preview_undo(desk, taken, Recorder(desk.config.sensitive, lines))
    await book.lines(lines.kept)
    result = _of_plan(planned, lines) | {"undoes": taken.number, "kept": len(taken.kept)}
    result["pending"] = bool(taken.steps) or planned.pending
    if asked["dryRun"] or planned.failed or not result["pending"]:
        return _ending(result, failed=planned.failed)
    names = sorted({preview.target for preview in planned.targets})
    async with desk.telling("undo", names, undoes=taken.number, order=order.number) as told:
        undone = Applied((), await undo(desk, taken, planned, lambda _: None))
        told.ended(undone, desk.batch)
    return _ending(result | _of_apply(undone), failed=undone.failed)


def _hub_lines(taken: UndoPlan) -> list[JsonObject]:
    steps = [{"hub": step.label, "action": step.way.value} for step in taken.steps]
    return steps + [{"hub": kept.label, "action": "stays", "reason": kept.reason} for kept in taken.kept]


async def _match(desk: Desk, order: Order, _: Book) -> Ending:
    asked = order.asked
    if asked["verdict"] == "forget":
        decided = await matches.forget(desk, asked["source"], asked["key"])
    else:
        verdict = Verdict(asked["verdict"])
        decided = await matches.decide(desk, asked["source"], asked["key"], verdict, asked["user"])
    report = decided.report
    sources = [] if report is None else [_source(report)]
    failed = report is not None and report.report is not None and report.failed
    return _ending({"sources": sources}, failed=failed)


_WORK: Mapping[OrderKind, Callable[[Desk, Order, Book], Awaitable[Ending]]] = {
    OrderKind.PLAN: _plan,
    OrderKind.APPLY: _apply,
    OrderKind.PULL: _pull,
    OrderKind.RETRY: _retry,
    OrderKind.UNDO: _undo,
    OrderKind.MATCH: _match,
}


def _approved(asked: JsonObject) -> tuple[Approval, ...]:
    # Each number with each name: a name is of one plan, and of one way only.
    numbers = [number for number in (asked["acceptDeletions"], asked["acceptArrivals"]) if number is not None]
    return tuple(Approval(number, plan) for number in numbers for plan in asked["plans"])


def _ending(result: JsonObject, *, failed: bool) -> Ending:
    """What came of it; that something could not be done is said where it could not."""
    error = "something could not be done; its sources and targets say what" if failed else None
    return Ending(OrderState.FAILED if failed else OrderState.DONE, result, error)


def _of_plan(planned: Planned, lines: Lines) -> JsonObject:
    return {
        "sources": [_source(report) for report in planned.sources],
        "targets": [_previewed(preview) for preview in planned.targets],
        "pending": planned.pending,
        "lines": lines.number,
    }


def _of_apply(done: Applied) -> JsonObject:
    return {
        "sources": [_source(report) for report in done.sources],
        "targets": [_delivered(report) for report in done.targets],
    }


def _source(report: SourceReport) -> JsonObject:
    return {"source": report.source, "counts": figures(report.report), "error": report.error}


def _previewed(preview: Preview) -> JsonObject:
    return _target(preview.target, preview.counts, preview.stopped or preview.held, preview.braked)


def _delivered(report: Report) -> JsonObject:
    return _target(report.target, report.counts, report.stopped, report.braked)


def _target(name: str, counts: Mapping[str, int], stopped: str | None, braked: Sequence[Wave]) -> JsonObject:
    return {
        "target": name,
        "counts": {str(action): number for action, number in counts.items() if number},
        "stopped": stopped,
        "braked": [{"way": wave.way.value, "number": wave.number, "plan": wave.plan} for wave in braked],
    }
