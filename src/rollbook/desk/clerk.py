"""Takes up orders, one after another, for as long as it runs: beside whoever keeps targets in step."""

import asyncio
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from rollbook.desk.desk import Desk
from rollbook.desk.errors import DeskError
from rollbook.desk.orders import carry_out
from rollbook.protocol.errors import ScimError, StoreUnavailable
from rollbook.protocol.values import JsonObject
from rollbook.storage.ids import new_id
from rollbook.storage.orders import Ending, Order, OrderKind, OrderState
from rollbook.storage.sql.clock import DatabaseClock
from rollbook.storage.sql.orders import SqlOrders
from rollbook.storage.sql.store import SqlStore

POLL_SECONDS = 0.5
STORE_SECONDS = 5.0
MISTAKE_SECONDS = 60.0
"""How long it waits before it looks again, when our own database cannot be used, and after a mistake of ours."""

SEEN_MILLISECONDS = 10_000
"""How often it says that it is there."""

HOLD_SECONDS = 5.0
"""How often it gives that word."""

GRACE_SECONDS = 5.0
"""How long what is under way may take once it is to stop; what takes longer is given back, and gone on with by the next."""

MOST_ATTEMPTS = 3
"""So many workers may die at an order; then it is taken to be what they died of."""

KEEP_LINES = 7 * 86_400_000
KEEP_ORDERS = 90 * 86_400_000
FORGET_MILLISECONDS = 3_600_000
_PAGE = 500


class Clerk:
    """Works off the orders of one tenant, for as long as it is not told to stop."""

    def __init__(
        self, store: SqlStore, desk_for: Callable[[Order], Desk], clock: DatabaseClock, lease: int
    ) -> None:
        """`desk_for` gives a desk at which is done what an order asks, on behalf of whoever gave it.

        For `lease` milliseconds after its death nobody goes on with an order: no shorter than links are in its hands, which it would find taken.
        """
        self._tenant = store.home
        self._orders = SqlOrders(store.database)
        self._desk_for = desk_for
        self._clock = clock
        self._lease = lease
        self._name = new_id()
        self._stopping = asyncio.Event()
        self._seen = self._forgot = 0
        self._places: frozenset[str] = frozenset()
        self.has_looked = asyncio.Event()
        """That it has taken up what was left by others, if anything was: until then nobody else should go to its targets."""

    def is_at(self, target: str) -> bool:
        """Whether an order brings that target up to date at present."""
        return target in self._places

    def stop(self) -> None:
        """Ask it to end."""
        self._stopping.set()

    async def run(self) -> None:
        """Take up orders until asked to stop."""
        while not self._stopping.is_set():
            wait = POLL_SECONDS
            try:
                if await self._turn():
                    continue
            except StoreUnavailable:
                wait = STORE_SECONDS
            except Exception as error:  # noqa: BLE001 - no mistake of ours ends it: it stands beside the work on targets
                where = traceback.extract_tb(error.__traceback__)[-1].name
                structlog.get_logger().error("orders stand still", error=type(error).__name__, where=where)
                wait = MISTAKE_SECONDS
            self.has_looked.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait)
        self.has_looked.set()

    async def _turn(self) -> bool:
        """Do the next order; False if there is none."""
        await self._clock.keep()  # of several machines each would have a lease end at another time
        now = self._clock.now()
        if now - self._seen >= SEEN_MILLISECONDS:
            await self._orders.see(self._tenant, now)
            self._seen = now
        if now - self._forgot >= FORGET_MILLISECONDS:
            await self._orders.forget(self._tenant, now - KEEP_LINES, now - KEEP_ORDERS)
            self._forgot = now
        order = await self._orders.take(self._tenant, self._name, now, now + self._lease)
        if order is None:
            return False
        desk = self._desk_for(order)
        self._places = _places(desk, order)
        self.has_looked.set()
        try:
            await self._do(desk, order)
        finally:
            self._places = frozenset()
        return True

    async def _do(self, desk: Desk, order: Order) -> None:
        """Do one, or give it back if there is no time left."""
        working = asyncio.ensure_future(self._ending(desk, order))
        stopping = asyncio.ensure_future(self._stopping.wait())
        holding = asyncio.ensure_future(self._hold(desk, order, working))
        try:
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await asyncio.wait([working], timeout=GRACE_SECONDS)
        finally:
            for task in (stopping, holding, working):
                task.cancel()
            await asyncio.gather(stopping, holding, working, return_exceptions=True)
        await self._note(desk, order)
        if working.cancelled() or isinstance(working.exception(), StoreUnavailable):
            await self._orders.give_back(self._tenant, order.number, self._name)
        else:
            await self._orders.end(
                self._tenant, order.number, self._name, working.result(), self._clock.now()
            )

    async def _ending(self, desk: Desk, order: Order) -> Ending:
        """Do one; what stands in its way is what came of it."""
        if order.attempts > MOST_ATTEMPTS:
            return _failed(f"{MOST_ATTEMPTS} workers have ended while they were at it; see their logs")
        try:
            return await carry_out(desk, order, _Book(self._orders, self._tenant, order, self._name))
        except StoreUnavailable:
            raise
        except DeskError as error:
            return _failed(str(error))
        except ScimError as error:
            return _failed(error.detail)
        except Exception as error:  # noqa: BLE001 - told by where it was; its words may be personal data
            where = traceback.extract_tb(error.__traceback__)[-1].name
            return _failed(
                f"something unexpected happened ({type(error).__name__} at {where}); please report it"
            )

    async def _note(self, desk: Desk, order: Order) -> None:
        """Keep the number of the first run, once there is one."""
        if desk.batch is not None and desk.batch != order.run:
            await self._orders.note(self._tenant, order.number, self._name, run=desk.batch)

    async def _hold(self, desk: Desk, order: Order, working: "asyncio.Future[Ending]") -> None:
        """Say again and again that it is still at it; if somebody else has it by now, leave it to them."""
        while True:
            await asyncio.sleep(HOLD_SECONDS)
            with suppress(StoreUnavailable):
                until = self._clock.now() + self._lease
                await self._note(desk, order)
                if not await self._orders.hold(self._tenant, order.number, self._name, until):
                    working.cancel()


@dataclass(frozen=True)
class _Book:
    """`Book` of one order."""

    orders: SqlOrders
    tenant: int
    of: Order
    holder: str

    async def note(self, progress: JsonObject) -> None:
        """Keep what goes on from it if this worker dies."""
        await self.orders.note(self.tenant, self.of.number, self.holder, progress=progress)

    async def run(self, number: int) -> None:
        """Keep the number of the run that it is."""
        await self.orders.note(self.tenant, self.of.number, self.holder, run=number)

    async def lines(self, lines: Sequence[JsonObject]) -> None:
        """Keep what it is about, line by line."""
        for start in range(0, max(len(lines), 1), _PAGE):
            page = lines[start : start + _PAGE]
            await self.orders.write_lines(self.tenant, self.of.number, start, page)

    async def order(self, number: int) -> Order | None:
        """Another order of the tenant."""
        return await self.orders.order(self.tenant, number)


def _places(desk: Desk, order: Order) -> frozenset[str]:
    """The targets that an order sends to."""
    if order.kind not in {OrderKind.APPLY, OrderKind.RETRY, OrderKind.UNDO}:
        return frozenset()
    return frozenset(order.asked.get("targets") or desk.config.targets)


def _failed(error: str) -> Ending:
    return Ending(OrderState.FAILED, error=error)
