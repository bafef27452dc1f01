"""Bulk: many operations in one request (RFC 7644 §3.7). Each stands for itself, and its error is its result.

Operations run side by side as far as they do not refer to each other, so that their writes share commits. The
store is asked in the order of the plan, and takes writes in the order in which it is asked.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, replace

from rollbook.operations import access, resources
from rollbook.operations.context import Context
from rollbook.operations.resources import Creation
from rollbook.protocol.bulk import read_bulk
from rollbook.protocol.bulk_plan import Plan, Planned, Planner, Refused, units
from rollbook.protocol.errors import Conflict, Cycle
from rollbook.protocol.values import JsonValue
from rollbook.storage.base import StepRefused
from rollbook.storage.patience import of_a_request

WINDOW = 64
"""Operations under way at once: so many share a commit, and so many writes of others wait behind them."""

AT_ONCE = 4
"""Operations that are begun in a turn: about a millisecond of work."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """A bulk request that can be carried out: its operations in order, and after how many errors it stops."""

    units: Sequence[tuple[Plan, ...]]
    fail_on_errors: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an operation: the status and version it would have been answered with by itself, or its error."""

    plan: Plan
    status: int = 0
    version: str | None = None
    error: Exception | None = None


async def read(context: Context, body: JsonValue, base: str) -> Bulk:
    """The request in a BulkRequest body; `base` is the URI of the service. Nothing is carried out yet.

    Raises:
        InvalidSyntax, PayloadTooLarge: the request as a whole is refused.
    """

    def planned() -> Bulk:
        request = read_bulk(body, context.leniency, context.limits.bulk_operations)
        ids = {
            operation.bulk_id: context.services.new_id()
            for operation in request.operations
            if operation.method == "POST" and operation.bulk_id is not None
        }
        planner = Planner(ids, context.caller.tenant.catalog, base, context.leniency)
        plans = [planner.plan(operation) for operation in request.operations]
        return Bulk(units(plans), request.fail_on_errors)

    return await context.decided(body, planned)


async def outcomes(context: Context, bulk: Bulk) -> AsyncGenerator[list[Outcome], None]:
    """Carry the operations out; what became of them in the order of the request, as far as it can be told by then.

    When this is closed before its end, writes that were asked for happen, and no others are begun.
    """
    run, told = _Run(context, bulk.fail_on_errors), _InOrder()
    try:
        for number, unit in enumerate(bulk.units, 1):
            while not run.has_room(len(unit)):
                yield told.with_new(await run.finished())
            if run.is_over:
                break
            run.start(unit)
            if number % AT_ONCE == 0:
                await context.services.pieces.turn(context.tenant)
        while run.is_under_way:
            yield told.with_new(await run.finished())
        yield told.rest()
    finally:
        await run.stop()


class _InOrder:
    """Holds outcomes back until all of earlier operations are there."""

    def __init__(self) -> None:
        self._kept: dict[int, Outcome] = {}
        self._next = 0

    def with_new(self, new: Iterable[Outcome]) -> list[Outcome]:
        """Take new ones; those that can be told now."""
        self._kept.update((outcome.plan.sent.place, outcome) for outcome in new)
        found = []
        while self._next in self._kept:
            found.append(self._kept.pop(self._next))
            self._next += 1
        return found

    def rest(self) -> list[Outcome]:
        """Those that waited for operations which were not carried out."""
        return [self._kept[place] for place in sorted(self._kept)]


class _Run:
    """The operations under way, and how many have failed."""

    def __init__(self, context: Context, fail_on_errors: int | None) -> None:
        self._context = context
        self._fail_on_errors = fail_on_errors
        self._errors = 0
        self._under_way: deque[asyncio.Task[list[Outcome]]] = deque()
        self._size = 0
        self._homes: dict[str, asyncio.Task[list[Outcome]]] = {}
        """By bulkId, what carries out the POST."""
        self._failed: set[str] = set()
        """The bulkIds of what failed."""
        self._asked = asyncio.Event()
        """Set once the operation started last has asked the store, or will not."""
        self._asked.set()

    @property
    def is_under_way(self) -> bool:
        """Whether there is something to wait for."""
        return bool(self._under_way)

    @property
    def is_over(self) -> bool:
        """Whether so many have failed that no other may be carried out (P-3.7-10)."""
        return self._fail_on_errors is not None and self._errors >= self._fail_on_errors

    def has_room(self, size: int) -> bool:
        """Whether so many more may be started now: if all under way failed, none of them would be too many."""
        if not self._under_way:
            return True
        left = WINDOW if self._fail_on_errors is None else self._fail_on_errors - self._errors
        return self._size + size <= min(WINDOW, left)

    def start(self, unit: tuple[Plan, ...]) -> None:
        """Carry a unit out; the store is asked after all that were started before."""
        before, self._asked = self._asked, asyncio.Event()
        task = asyncio.create_task(self._carry_out(unit, before, self._asked))
        for plan in unit:
            if plan.sent.method == "POST" and plan.sent.bulk_id is not None:
                self._homes[plan.sent.bulk_id] = task
        self._under_way.append(task)
        self._size += len(unit)

    async def finished(self) -> list[Outcome]:
        """Wait for what was started first; its outcomes and those of what has been finished after it."""
        found: list[Outcome] = []
        while self._under_way and (not found or self._under_way[0].done()):
            new = await self._under_way[0]
            self._under_way.popleft()
            self._size -= len(new)
            self._errors += sum(outcome.error is not None for outcome in new)
            found += new
        return found

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _carry_out(
        self, unit: tuple[Plan, ...], before: asyncio.Event, asked: asyncio.Event
    ) -> list[Outcome]:
        async def turn() -> None:
            await before.wait()
            await self._check_needs(unit)
            asked.set()

        context = replace(self._context, turn=turn)
        with of_a_request():  # each operation waits for the database as a request of its own would
            done = await (_alone(context, unit[0]) if len(unit) == 1 else _together(context, unit))
        self._failed.update(
            outcome.plan.sent.bulk_id
            for outcome in done
            if outcome.error is not None and outcome.plan.sent.bulk_id is not None
        )
        await before.wait()  # what was refused before its turn keeps its place
        asked.set()
        return done

    async def _check_needs(self, unit: tuple[Plan, ...]) -> None:
        """Wait for the resources a unit refers to.

        Raises:
            Conflict: one of them was not created (P-3.7-21).
        """
        for bulk_id in sorted({name for plan in unit if isinstance(plan, Planned) for name in plan.refers}):
            home = self._homes[bulk_id]
            if home is not asyncio.current_task():
                await home
            if bulk_id in self._failed:
                raise Conflict(
                    f"the POST with bulkId {bulk_id[:64]!r} failed, to which this operation refers (P-3.7-21)"
                )


async def _alone(context: Context, plan: Plan) -> list[Outcome]:
    try:
        return [await _written(context, plan)]
    except Cycle as error:
        return [Outcome(plan, error=Conflict(error.detail))]
    except Exception as error:  # noqa: BLE001 - the error of an operation is its result (RFC 7644 §3.7.3)
        return [Outcome(plan, error=error)]


async def _written(context: Context, plan: Plan) -> Outcome:
    """Carry out one operation as the request it stands for would be."""
    if isinstance(plan, Refused):
        raise plan.error
    sent, target = plan.sent, plan.target
    if sent.method == "POST":
        access.check(context.caller, "POST", "")
        written = await resources.create(context, target.resource_type, plan.data, target.id)
        return Outcome(plan, 201, written.record.version)
    access.check(context.caller, sent.method, target.id)
    condition = resources.precondition(context, sent.version)
    match sent.method:
        case "PUT":
            written = await resources.replace(context, target.resource_type, target.id, plan.data, condition)
            return Outcome(plan, 200, written.record.version)
        case "PATCH":
            written = await resources.patch(context, target.resource_type, target.id, plan.data, condition)
            has_members = target.resource_type.memberships is not None
            is_empty = context.caller.tenant.settings.empties_patch(has_members=has_members)
            return Outcome(plan, 204 if is_empty else 200, written.record.version)
        case _:
            await resources.delete(context, target.resource_type, target.id, condition)
            return Outcome(plan, 204)


async def _together(context: Context, unit: tuple[Plan, ...]) -> list[Outcome]:
    """Create resources that refer to each other, in one transaction (P-3.7-20)."""
    creations = [
        Creation(plan.target.resource_type, plan.data, plan.target.id)
        for plan in unit
        if isinstance(plan, Planned)
    ]
    try:
        access.check(context.caller, "POST", "")
        records = await resources.create_together(context, creations)
    except StepRefused as refusal:
        return [_of_refused(refusal, unit, step) for step in range(len(unit))]
    except Exception as error:  # noqa: BLE001 - as above
        return [Outcome(plan, error=error) for plan in unit]
    return [Outcome(plan, 201, record.version) for plan, record in zip(unit, records, strict=True)]


def _of_refused(refusal: StepRefused, unit: tuple[Plan, ...], step: int) -> Outcome:
    """The operation at fault has its own error, except that a ring of members is a conflict (A-70); others name it."""
    if step == refusal.step:
        error = refusal.error
        return Outcome(unit[step], error=Conflict(error.detail) if isinstance(error, Cycle) else error)
    at_fault = str(unit[refusal.step].sent.bulk_id)
    return Outcome(
        unit[step],
        error=Conflict(
            f"this operation and the POST with bulkId {at_fault[:64]!r}, which failed, refer to each other: none"
            " of them was carried out (P-3.7-20)"
        ),
    )
