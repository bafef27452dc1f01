"""Runs over sources and targets at /admin/v1: listed, and what they did."""

import re

from rollbook.protocol.compare import render_date_time
from rollbook.protocol.errors import InvalidCursor, NotFound
from rollbook.server.admin import shapes
from rollbook.server.admin.rows import TENANT, Made, Row, Visit
from rollbook.server.admin.shapes import Delivery, DeliveryList, RunDetail, RunList
from rollbook.storage.runs import Delivered, Run

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


async def list_runs(visit: Visit) -> Made:
    """GET the latest runs."""
    before = _number(visit.cursor) if visit.cursor else None
    if visit.cursor and before is None:
        raise InvalidCursor("this cursor is none of this list; begin again without one")
    found = await visit.desk.links.runs(visit.tenant.number, visit.limit + 1, before)
    page = found[: visit.limit]
    more = str(page[-1].number) if len(found) > len(page) else None
    return Made(RunList(runs=[run_of(run, whole=visit.sees_everybody) for run in page], next_cursor=more))


async def show(visit: Visit) -> Made:
    """GET one, with all of the same command."""
    run = await _run(visit)
    batch = await visit.desk.links.batch(visit.tenant.number, run.batch or run.number)
    whole = visit.sees_everybody
    shown = [run_of(each, whole=whole) for each in batch]
    return Made(RunDetail(**run_of(run, whole=whole).model_dump(), runs=shown))


async def deliveries(visit: Visit) -> Made:
    """GET what one did at targets."""
    tenant, links = visit.tenant.number, visit.desk.links
    run = await _run(visit)
    found = await links.delivered(tenant, run.number, _place(visit.cursor), visit.limit + 1)
    names = {target.number: target.name for target in await links.targets(tenant)}
    page = found[: visit.limit]
    more = ".".join(map(str, page[-1].place)) if len(found) > len(page) else None
    told = [_delivery(one, names, whole=visit.sees_everybody) for one in page]
    return Made(DeliveryList(deliveries=told, next_cursor=more))


HIDDEN = "it has failed; why is told to tokens that may read every resource"


def run_of(run: Run, *, whole: bool) -> shapes.Run:
    """A run as it is sent; its error may tell of somebody, so that it is left out unless `whole`."""
    return shapes.Run(
        number=run.number,
        command=run.batch or run.number,
        kind=run.kind,
        subject=run.subject,
        started=render_date_time(run.started),
        ended=None if run.ended is None else render_date_time(run.ended),
        counts=dict(run.counts),
        error=run.error if whole or run.error is None else HIDDEN,
    )


async def _run(visit: Visit) -> Run:
    number = _number(visit.path["number"])
    found = [] if number is None else await visit.desk.links.runs(visit.tenant.number, 1, number + 1)
    if not found or found[0].number != number:
        raise NotFound(f"there is no run {visit.path['number'][:20]!r}")
    return found[0]


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.fullmatch(text) else None


def _place(cursor: str) -> Delivered | None:
    """Where the page before has ended."""
    if not cursor:
        return None
    parts = [_number(part) for part in cursor.split(".")]
    if len(parts) != 4 or None in parts:
        raise InvalidCursor("this cursor is none of this list; begin again without one")
    target, at, key, fence = (part or 0 for part in parts)
    return Delivered(target, at, key, fence, 0, "", "", "", {})


def _delivery(one: Delivered, names: dict[int, str], *, whole: bool) -> Delivery:
    return Delivery(
        at=render_date_time(one.at),
        target=names.get(one.target, str(one.target)),
        resource_type=one.resource_type,
        id=one.id,
        action=one.action,
        detail=one.detail if whole else None,
    )


_GROUP = "Runs"
_EVERY, _ONE = f"{TENANT}/runs", f"{TENANT}/runs/{{number}}"

ROWS = (
    Row("GET", _EVERY, "listRuns", _GROUP, "List runs over sources and targets, newest first", list_runs, answer=RunList, is_paged=True),
    Row("GET", _ONE, "readRun", _GROUP, "Show a run, with all of the same command", show, answer=RunDetail),
    Row("GET", f"{_ONE}/deliveries", "listDeliveries", _GROUP, "List what a run did at targets", deliveries, answer=DeliveryList, is_paged=True),
)  # fmt: skip
