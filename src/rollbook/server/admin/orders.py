"""Orders at /admin/v1: work that needs the configuration, which this process may not have. Whoever keeps targets in step takes them up.

What is ordered is done as the configuration says, so that the scope admin is enough for it. What is decided about single people (a record's
user, a run taken back) is for tokens that may write every resource.
"""

import re
from typing import Any

from rollbook.operations.administration import check_write
from rollbook.protocol.compare import render_date_time
from rollbook.protocol.errors import Conflict, InsufficientScope, InvalidCursor, InvalidValue, NotFound
from rollbook.protocol.values import JsonObject
from rollbook.server.admin import shapes_orders as shapes
from rollbook.server.admin.rows import TENANT, Made, Row, Visit
from rollbook.server.admin.runs import HIDDEN
from rollbook.server.admin.shapes_orders import (
    MOST_CHARACTERS,
    Agreement,
    LineList,
    NewOrder,
    OrderLine,
    OrderList,
)
from rollbook.storage.orders import Order, Orderer, OrderKind, OrderState
from rollbook.storage.sql.orders import SqlOrders

QUIET_MILLISECONDS = 60_000
"""A worker says that it is there six times as often."""

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_APPROVAL = ("accept_deletions", "accept_arrivals", "plans")
_TAKES: dict[OrderKind, tuple[str, ...]] = {
    OrderKind.PLAN: ("targets", "read_sources", "full", "accept"),
    OrderKind.APPLY: ("targets", "read_sources", "retry", "accept", *_APPROVAL),
    OrderKind.PULL: ("sources", "only_changes", "accept"),
    OrderKind.RETRY: ("targets",),
    OrderKind.UNDO: ("run", "dry_run"),
    OrderKind.MATCH: ("source", "key", "verdict", "user"),
}
"""What each kind of order may say."""

_WAYS = (
    ("accept_deletions", "departures", "takes away"),
    ("accept_arrivals", "arrivals", "makes or takes over"),
)
_NEEDS = {
    OrderKind.RETRY: ("targets",),
    OrderKind.UNDO: ("run",),
    OrderKind.MATCH: ("source", "key", "verdict"),
}
_OF_PEOPLE = {OrderKind.UNDO, OrderKind.MATCH}
_NAMING = ("key", "user", "accept")


async def list_orders(visit: Visit) -> Made:
    """GET the latest."""
    before = _place(visit.cursor)
    found = await _orders(visit).page(visit.tenant.number, visit.limit + 1, before)
    page, seen = found[: visit.limit], await _orders(visit).last_seen(visit.tenant.number)
    more = str(page[-1].number) if len(found) > len(page) else None
    return Made(OrderList(orders=[_shown(visit, order, seen) for order in page], next_cursor=more))


async def create(visit: Visit) -> Made:
    """POST: it waits until a worker takes it up."""
    asked: NewOrder = visit.body
    kind = OrderKind(asked.kind)
    _check(asked, kind)
    if kind in _OF_PEOPLE or asked.accept:
        _check_people(visit)
    said = {_camel(name): getattr(asked, name) for name in _TAKES[kind]}
    if kind is OrderKind.APPLY:
        said["agreed"] = None
    return await _ordered(visit, kind, said)


async def agree(visit: Visit) -> Made:
    """POST: a plan that was made is to be done, exactly that, or nothing if the world has moved since."""
    asked: Agreement = visit.body
    planned = await _order(visit)
    if planned.kind is not OrderKind.PLAN or planned.state is not OrderState.DONE:
        raise Conflict(
            f"order {planned.number} is no plan that is done; it is {planned.kind}, {planned.state}"
        )
    if not planned.asked:
        raise Conflict("what was planned is not kept any more; make a new plan")
    if planned.asked["accept"]:
        _check_people(visit)
    _check_waves(planned, asked)
    said = {
        "targets": [], "readSources": True, "retry": asked.retry, "accept": planned.asked["accept"],
        "acceptDeletions": asked.accept_deletions, "acceptArrivals": asked.accept_arrivals, "plans": [],
        "agreed": planned.number,
    }  # fmt: skip
    return await _ordered(visit, OrderKind.APPLY, said)


async def show(visit: Visit) -> Made:
    """GET one."""
    order = await _order(visit)
    return Made(_shown(visit, order, await _orders(visit).last_seen(visit.tenant.number)))


async def lines(visit: Visit) -> Made:
    """GET what one is about, person by person."""
    check_sight(visit)
    order = await _order(visit)
    found = await _orders(visit).lines(
        visit.tenant.number, order.number, _place(visit.cursor) or 0, visit.limit + 1
    )
    page = found[: visit.limit]
    more = str(page[-1][0]) if len(found) > len(page) else None
    told = [OrderLine(number=number, line=line) for number, line in page]
    return Made(LineList(lines=told, next_cursor=more))


async def cancel(visit: Visit) -> Made:
    """POST: one that waits is not done any more."""
    order = await _order(visit)
    if not await _orders(visit).cancel(visit.tenant.number, order.number, visit.desk.now()):
        raise Conflict(f"order {order.number} does not wait any more; pause a target to stop work on it")
    await visit.tell("order.cancel", "order", str(order.number))
    return await show(visit)


async def _ordered(visit: Visit, kind: OrderKind, said: JsonObject) -> Made:
    author, tenant = visit.author(), visit.tenant
    by = Orderer(author.name, author.credential, author.origin)
    order = await _orders(visit).add(tenant.number, kind, said, by, author.at)
    told = {name: value for name, value in said.items() if value and name not in _NAMING}
    await visit.tell("order.create", "order", str(order.number), kind=kind.value, **told)
    where = f"/admin/v1/tenants/{tenant.name}/orders/{order.number}"
    shown = _shown(visit, order, await _orders(visit).last_seen(tenant.number))
    return Made(shown, ((b"location", where.encode()),))


def _check(asked: NewOrder, kind: OrderKind) -> None:
    takes = _TAKES[kind]
    for name in asked.model_fields_set - {"kind", *takes}:
        known = ", ".join(map(_camel, takes))
        raise InvalidValue(f"{_camel(name)}: an order of the kind {kind} takes {known}")
    for name in _NEEDS.get(kind, ()):
        if not getattr(asked, name):
            raise InvalidValue(f"{_camel(name)}: an order of the kind {kind} needs it")
    if sum(map(len, (*asked.targets, *asked.sources, *asked.accept, *asked.plans))) > MOST_CHARACTERS:
        raise InvalidValue(
            f"names and keys of an order have at most {MOST_CHARACTERS} characters together; give several orders"
        )
    if (asked.accept_deletions, asked.accept_arrivals).count(None) != 2 - len(asked.plans):
        raise InvalidValue("plans: one for each of acceptDeletions and acceptArrivals; a plan tells both")
    if kind is OrderKind.MATCH and (asked.verdict == "join") != (asked.user is not None):
        raise InvalidValue("user: name one to join the record to, and only for that")


def _check_waves(planned: Order, asked: Agreement) -> None:
    """Whether exactly what the brake would not let happen is said to be right.

    Raises:
        Conflict: it is not.
    """
    waves = [wave for one in planned.result["targets"] for wave in one["braked"]]
    for name, way, does in _WAYS:
        due = sum(wave["number"] for wave in waves if wave["way"] == way)
        if (getattr(asked, name) or 0) != due:
            if not due:
                raise Conflict(f"{_camel(name)}: this plan {does} no accounts that the brake would not let")
            raise Conflict(
                f"this plan {does} {due} accounts, which the brake would not let happen;"
                f' if it is right, say so: "{_camel(name)}": {due}'
            )


def _check_people(visit: Visit) -> None:
    """Whether whoever asks may decide about any person.

    Raises:
        InsufficientScope: they may not write every resource.
    """
    check_write(visit.who)
    check_sight(visit)
    if not visit.who.rights.writes or visit.who.rights.hold:
        raise InsufficientScope("this decides about people: it needs the scope write, too", "write")


def check_sight(visit: Visit) -> None:
    """Whether names of people may be told to whoever asks.

    Raises:
        InsufficientScope: they may not read every resource.
    """
    if not visit.sees_everybody:
        raise InsufficientScope("this is about people: it needs a token that may read every resource", "read")


def _orders(visit: Visit) -> SqlOrders:
    return SqlOrders(visit.desk.store.database)


async def _order(visit: Visit) -> Order:
    text = visit.path["number"]
    found = None
    if _NUMBER.fullmatch(text):
        found = await _orders(visit).order(visit.tenant.number, int(text))
    if found is None:
        raise NotFound(f"there is no order {text[:20]!r}")
    return found


def _place(cursor: str) -> int | None:
    if cursor and not _NUMBER.fullmatch(cursor):
        raise InvalidCursor("this cursor is none of this list; begin again without one")
    return int(cursor) if cursor else None


def _shown(visit: Visit, order: Order, seen: int | None) -> shapes.Order:
    whole, result = visit.sees_everybody, order.result
    asked = {name: value for name, value in order.asked.items() if whole or name not in _NAMING}
    return shapes.Order(
        number=order.number,
        kind=order.kind.value,
        state=order.state.value,
        asked=asked,
        by=order.by.name,
        created=render_date_time(order.created),
        begun=_time(order.begun),
        ended=_time(order.ended),
        run=order.run,
        sources=[
            shapes.SourceFigures(**one | {"error": _told(one["error"], whole=whole)})
            for one in result.get("sources", ())
        ],
        targets=[
            shapes.TargetFigures(**one | {"stopped": _told(one["stopped"], whole=whole)})
            for one in result.get("targets", ())
        ],
        pending=result.get("pending"),
        lines=result.get("lines", 0),
        error=_told(order.error, whole=whole),
        note=_note(order, seen, visit.desk.now()),
    )


def _note(order: Order, seen: int | None, now: int) -> str | None:
    if not order.state.is_open or (seen is not None and now - seen < QUIET_MILLISECONDS):
        return None
    since = "yet" if seen is None else f"since {render_date_time(seen)}"
    return f"no worker of this tenant has been seen {since}; rollbook work, or rollbook serve --config, takes orders up"


def _told(text: str | None, *, whole: bool) -> str | None:
    return text if whole or text is None else HIDDEN


def _time(at: int | None) -> str | None:
    return None if at is None else render_date_time(at)


def _camel(name: str) -> str:
    alias: Any = NewOrder.model_fields[name].alias
    return str(alias)


_GROUP = "Orders"
_EVERY, _ONE = f"{TENANT}/orders", f"{TENANT}/orders/{{number}}"

ROWS = (
    Row("GET", _EVERY, "listOrders", _GROUP, "List orders, newest first", list_orders, answer=OrderList, is_paged=True),
    Row("POST", _EVERY, "createOrder", _GROUP, "Order a plan, an apply, a pull, a retry, an undo or a decision; whoever keeps targets in step does it", create, NewOrder, shapes.Order, 201, refusals=(409,)),
    Row("GET", _ONE, "readOrder", _GROUP, "Show an order, and what came of it", show, answer=shapes.Order),
    Row("GET", f"{_ONE}/lines", "listOrderLines", _GROUP, "List what a plan or an undo is about, person by person", lines, answer=LineList, is_paged=True),
    Row("POST", f"{_ONE}/apply", "applyOrder", _GROUP, "Do exactly what a plan says, or nothing if the world has moved since", agree, Agreement, shapes.Order, 201, refusals=(409,)),
    Row("POST", f"{_ONE}/cancel", "cancelOrder", _GROUP, "Take back an order that waits", cancel, answer=shapes.Order, refusals=(409,)),
)  # fmt: skip
