"""Orders: work that is asked for in one process and done by another, which has the configuration for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from rollbook.protocol.values import JsonObject


class OrderKind(StrEnum):
    """What is to be done."""

    PLAN = "plan"
    APPLY = "apply"
    PULL = "pull"
    RETRY = "retry"
    UNDO = "undo"
    MATCH = "match"


class OrderState(StrEnum):
    """How far it is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        """Whether anything is still to come."""
        return self in {OrderState.WAITING, OrderState.RUNNING}


@dataclass(frozen=True, slots=True)
class Orderer:
    """Who ordered: what the audit log calls them, the public id of their token, and from where."""

    name: str
    credential: str | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """An order. `asked` is what is to be done, `progress` what goes on from it after a worker has died, `result` what came of it.

    `attempts` is how often it was begun; `run` the first run it has made.
    """

    number: int
    kind: OrderKind
    asked: JsonObject
    state: OrderState
    by: Orderer
    created: int
    begun: int | None = None
    ended: int | None = None
    attempts: int = 0
    run: int | None = None
    progress: JsonObject = field(default_factory=dict)
    result: JsonObject = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """What came of an order."""

    state: OrderState
    result: JsonObject = field(default_factory=dict)
    error: str | None = None


class Orders(Protocol):
    """The orders of tenants. Every method may raise `StoreUnavailable`. Times are milliseconds since 1970.

    What a worker says of an order holds only while the order is its own: of what it was overtaken in it is told False.
    """

    async def add(self, tenant: int, kind: OrderKind, asked: JsonObject, by: Orderer, now: int) -> Order:
        """A new one. Raises Conflict while too many wait."""

    async def order(self, tenant: int, number: int) -> Order | None:
        """The one of that number."""

    async def page(self, tenant: int, limit: int, before: int | None = None) -> Sequence[Order]:
        """The latest, newest first; those with numbers below one, if it is named."""

    async def cancel(self, tenant: int, number: int, now: int) -> bool:
        """End one that waits; False if it does not."""

    async def last_seen(self, tenant: int) -> int | None:
        """When a worker last looked for orders."""

    async def see(self, tenant: int, now: int) -> None:
        """A worker looks for orders now."""

    async def take(self, tenant: int, holder: str, now: int, until: int) -> Order | None:
        """The next order, which is `holder`'s until then; None while there is none, or another is at work on one."""

    async def hold(self, tenant: int, number: int, holder: str, until: int) -> bool:
        """Go on to have it until then."""

    async def note(
        self,
        tenant: int,
        number: int,
        holder: str,
        *,
        run: int | None = None,
        progress: JsonObject | None = None,
    ) -> bool:
        """Keep what goes on from it after this worker has died."""

    async def give_back(self, tenant: int, number: int, holder: str) -> bool:
        """Let the next worker go on with it."""

    async def free(self, tenant: int) -> None:
        """Nobody is at work on an order any more: what runs may be taken at once."""

    async def end(self, tenant: int, number: int, holder: str, ending: Ending, now: int) -> bool:
        """It came to this."""

    async def write_lines(self, tenant: int, number: int, after: int, lines: Sequence[JsonObject]) -> None:
        """Keep lines of what it is about, the first with the number after that; what was kept from there on goes."""

    async def lines(
        self, tenant: int, number: int, after: int, limit: int
    ) -> Sequence[tuple[int, JsonObject]]:
        """Lines with numbers above one, in order."""

    async def forget(self, tenant: int, lines_before: int, orders_before: int) -> None:
        """Forget lines of orders that ended before a moment, and orders that ended before another."""
