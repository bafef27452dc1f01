"""Figures of every target at once, for monitoring: what waits, for how long, what was given up. Bounded, however much there is."""

from dataclasses import dataclass

from rollbook.storage.sql.connection import Connection, Database
from rollbook.storage.sql.link_marks import AHEAD

MOST_TARGETS = 200
"""Targets that are looked at; how many there are more is told."""

MOST_COUNTED = 10_000
"""Of each target; a count of one more says that there are more."""

MOST_TRIED, MOST_FAILED = 20, 50
"""Of each target: how many of those that failed are looked at for when that began, and how many tries of each."""

NEVER = 2**62

_TARGETS = """
    SELECT target.tenant, tenant.name, target.number, target.name, target.position, target.paused_until, target.stopped
    FROM target JOIN tenant ON tenant.number = target.tenant
    ORDER BY target.tenant, target.number LIMIT ?
"""
# In the order of the index for what is due, or all links of the target would be walked through.
_FIRST = """
    SELECT id, fence, attempts, due FROM link WHERE tenant = ? AND target = ? AND state IN ('ready', 'claimed')
    ORDER BY rank, due, pk LIMIT ?
"""
# Of what was never tried the due time is when it began to wait; but for those put ahead, whose place in the queue it is.
WAITING = f"""
    SELECT count(*), min(CASE WHEN attempts > 0 THEN NULL WHEN due < ? THEN due + {AHEAD} ELSE due END)
    FROM ({_FIRST}) AS waiting
"""
# Of what was tried it is when it will be tried again. Who has been tried most often waits longest.
TRIED = (
    f"SELECT id, fence FROM ({_FIRST}) AS tried WHERE attempts > 0 ORDER BY attempts DESC LIMIT {MOST_TRIED}"
)
FAILED = f"""
    SELECT at, fence, action FROM delivery WHERE tenant = ? AND id = ? AND target = ?
    ORDER BY at DESC LIMIT {MOST_FAILED}
"""
PARKED = """
    SELECT count(*) FROM (
        SELECT pk FROM link WHERE tenant = ? AND target = ? AND state = 'parked' ORDER BY pk LIMIT ?
    ) AS parked
"""
_LAST = "SELECT max(sequence) FROM change WHERE tenant = ?"
_NEXT = "SELECT at FROM change WHERE tenant = ? AND sequence > ? ORDER BY sequence LIMIT 1"


@dataclass(frozen=True, slots=True)
class TargetFigures:
    """One target of one tenant. `lag` is for how many seconds the first of what waits has been waiting."""

    tenant: str
    target: str
    waiting: int
    behind: int
    lag: float
    parked: int
    paused: bool
    stopped: bool


async def target_figures(database: Database, now: int) -> tuple[list[TargetFigures], int]:
    """The first targets, and 1 if there are more than these; `now` in milliseconds since 1970."""

    def work(connection: Connection) -> tuple[list[TargetFigures], int]:
        rows = connection.all(_TARGETS, (MOST_TARGETS + 1,))
        shown = [_figures(connection, row, now) for row in rows[:MOST_TARGETS]]
        return shown, len(rows) - len(shown)

    return await database.read(work)


def _figures(connection: Connection, row: tuple[object, ...], now: int) -> TargetFigures:
    tenant, tenant_name, number, name, position, paused_until, stopped = row
    of = (int(str(tenant)), int(str(number)))
    ((waiting, due),) = connection.all(WAITING, (now - AHEAD // 2, *of, MOST_COUNTED + 1))
    failed = [
        _failing_since(connection, of, str(own), int(fence))
        for own, fence in connection.all(TRIED, (*of, MOST_COUNTED + 1))
    ]
    ((parked,),) = connection.all(PARKED, (*of, MOST_COUNTED + 1))
    seen = int(str(position))
    ((last,),) = connection.all(_LAST, of[:1])
    unseen = connection.one(_NEXT, (of[0], seen))
    since = min(now if due is None else int(due), int(unseen[0]) if unseen else now, *failed, now)
    return TargetFigures(
        str(tenant_name),
        str(name),
        waiting=int(waiting),
        behind=max(0, int(last or 0) - seen),
        lag=max(0, now - since) / 1000,
        parked=int(parked),
        paused=int(str(paused_until)) > now,
        stopped=stopped is not None,
    )


def _failing_since(connection: Connection, of: tuple[int, int], own: str, fence: int) -> int:
    """When the first of the latest tries failed without another outcome in between; `NEVER` if none is known."""
    since = NEVER
    for at, tried, action in connection.all(FAILED, (of[0], own, of[1])):
        # Each time a link is taken up its fence grows by one; once in between it may have been given back untried.
        if action != "wait" or fence - int(tried) > 2:
            break
        since, fence = int(at), int(tried)
    return since
