"""Marking links: which resources a target has to be compared with, from the change log or from a walk."""

from collections.abc import Sequence
from dataclasses import replace

import orjson

from rollbook.storage.links import Progress, Ranks
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.dialects import TENANT
from rollbook.storage.sql.memberships import MOST_ABOVE
from rollbook.storage.sql.reads import above

_TENANT_BITS = 40

# A claimed link stays with its worker, who will see that `marked` has grown. One that waits for another
# attempt keeps waiting: changes while a target is away must not knock at its door again and again.
_MARK = """
    marked = link.marked + 1,
    due = CASE WHEN link.state IN ('ready', 'claimed') THEN link.due ELSE ? END,
    attempts = CASE WHEN link.state IN ('ready', 'claimed') THEN link.attempts ELSE 0 END,
    state = CASE WHEN link.state = 'claimed' THEN link.state ELSE 'ready' END
"""
_MARK_EXISTING = f"UPDATE link SET {_MARK} WHERE tenant = ? AND target = ?"
_MARK_RESOURCES = f"""
    INSERT INTO link
        (tenant, target, pk, id, type, rank, state, due, marked, fence, attempts, disabled, members_read)
    SELECT tenant, ?, pk, id, type, ?, 'ready', ?, 1, 0, 0, 0, 0 FROM resource
    WHERE tenant = ? AND type = ? AND {{which}}
    ON CONFLICT (tenant, target, pk) DO UPDATE SET {_MARK}
"""
_MARK_RANGE = _MARK_RESOURCES.format(which="pk > ? AND pk <= ?")
_MARK_ONE = _MARK_RESOURCES.format(which="id = ?")
# Who was changed just now goes before a backlog, as if due long ago; who waits for another attempt goes on waiting.
_PUT_AHEAD = """
    UPDATE link SET due = ? WHERE tenant = ? AND target = ? AND {which}
    AND state = 'ready' AND attempts = 0 AND due <= ? AND due > ?
"""
PUT_AHEAD = _PUT_AHEAD.format(which="id = ?")
PUT_FIRST = _PUT_AHEAD.format(which="pk = ?")
AHEAD = 10**11
"""Milliseconds: a due time so long ago is a place in a queue, not a time."""
AHEAD_AT_ONCE = 200
"""So many of a rank may go before a backlog; those beyond are a backlog themselves."""
IN_LANE = """
    SELECT count(*) FROM (
        SELECT 1 FROM link WHERE tenant = ? AND target = ? AND rank = ? AND state IN ('ready', 'claimed') AND due <= ? LIMIT ?
    ) AS lane
"""
CHANGES = """
    SELECT sequence, type, id, operation, detail FROM change
    WHERE tenant = ? AND sequence > ? ORDER BY sequence LIMIT ?
"""
ABOVE = f"{above('SELECT m.tenant, m.container FROM membership m WHERE m.tenant = ? AND m.member = ?')} SELECT pk FROM above LIMIT ?"
"""The keys of all groups that a resource is in, directly or not."""
GRACE_OVER = "tenant = ? AND target = ? AND state = 'left' AND left_at IS NOT NULL AND due <= ?"
WAITING = "SELECT pk FROM link_wait WHERE tenant = ? AND target = ? AND waits_for = ?"
RANGE_END = f"""
    SELECT max(pk), count(*) FROM (SELECT pk FROM resource WHERE {TENANT} = ? AND pk > ? AND pk < ? ORDER BY pk LIMIT ?) AS some_of_them
"""


_PROGRESS = (
    "SELECT number, name, digest, position, walked, paused_until, error, approved, stopped,"
    " audited, audit_after, audit_until, flat, arrivals_from FROM target WHERE tenant = ?"
)


def progress(conn: Connection, tenant: int, name: str) -> Progress | None:
    """The progress of the target of that name."""
    row = conn.one(f"{_PROGRESS} AND name = ?", (tenant, name))
    return _progress(row) if row else None


def every_progress(conn: Connection, tenant: int) -> list[Progress]:
    """The progress of all targets, by name."""
    return [_progress(row) for row in conn.all(f"{_PROGRESS} ORDER BY name", (tenant,))]


def _progress(row: Row) -> Progress:
    return replace(Progress(*row[:12]), flat=bool(row[12]), arrivals_from=row[13])


def open_target(conn: Connection, tenant: int, name: str, digest: str, *, flat: bool) -> Progress:
    """Note the target and its digest; if either is new, a walk begins (architecture 8)."""
    found = progress(conn, tenant, name)
    if found is None:
        row = conn.one("SELECT coalesce(max(number), 0) + 1 FROM target WHERE tenant = ?", (tenant,))
        last = conn.one("SELECT coalesce(max(sequence), 0) FROM change WHERE tenant = ?", (tenant,))
        found = Progress(_number(row), name, digest, _number(last), 0, flat=flat)
        conn.run(
            "INSERT INTO target (tenant, number, name, digest, position, walked, paused_until, approved, flat)"
            " VALUES (?, ?, ?, ?, ?, 0, 0, 0, ?)",
            (tenant, found.number, name, digest, found.position, int(flat)),
        )
    elif (found.digest, found.flat) != (digest, flat):
        found = replace(found, digest=digest, walked=0, flat=flat)
        conn.run(
            "UPDATE target SET digest = ?, walked = 0, flat = ? WHERE tenant = ? AND number = ?",
            (digest, int(flat), tenant, found.number),
        )
    return found


def follow(
    conn: Connection, tenant: int, target: int, ranks: Ranks, now: int, limit: int, *, groups_count: bool
) -> bool:
    """Mark what the next rows of the change log name, and move the position behind them."""
    row = conn.one("SELECT position, flat FROM target WHERE tenant = ? AND number = ?", (tenant, target))
    entries = conn.all(CHANGES, (tenant, _number(row), limit))
    if not entries:
        return False
    room = {rank: _room(conn, tenant, target, rank, now) for rank in set(ranks.values())}
    for resource_type, changed in dict.fromkeys((entry[1], entry[2]) for entry in entries):
        if resource_type in ranks:
            _mark_one(conn, tenant, target, changed, now, ranks)
            if room[ranks[resource_type]] > 0:
                at = now - AHEAD
                room[ranks[resource_type]] -= conn.run(PUT_AHEAD, (at, tenant, target, changed, now, at))
    if groups_count:
        _follow_groups(conn, tenant, target, ranks, now, entries)
    if row is not None and row[1]:
        _follow_nesting(conn, tenant, target, now, entries)
    conn.run(
        "UPDATE target SET position = ? WHERE tenant = ? AND number = ?", (entries[-1][0], tenant, target)
    )
    return len(entries) == limit


def _room(conn: Connection, tenant: int, target: int, rank: int, now: int) -> int:
    """How many more of a rank may go before the backlog."""
    row = conn.one(IN_LANE, (tenant, target, rank, now - AHEAD // 2, AHEAD_AT_ONCE))
    return AHEAD_AT_ONCE - _number(row)


def put_first(conn: Connection, tenant: int, target: int, keys: Sequence[int], now: int) -> None:
    """Put these before all others, also if they were to be looked at somewhat later."""
    at, soon = now - 2 * AHEAD, now + _SOON
    conn.many(PUT_FIRST, [(at, tenant, target, key, soon, at) for key in keys])


_SOON = 5_000


def _follow_groups(
    conn: Connection, tenant: int, target: int, ranks: Ranks, now: int, entries: Sequence[Row]
) -> None:
    named = (orjson.loads(entry[4]).get("members", {}) for entry in entries)
    for member in dict.fromkeys(own for verbs in named for ids in verbs.values() for own in ids):
        _mark_one(conn, tenant, target, member, now, ranks)
    if any(entry[1] == "Group" and _reaches_unnamed_members(entry[3], entry[4]) for entry in entries):
        conn.run("UPDATE target SET walked = 0 WHERE tenant = ? AND number = ?", (tenant, target))


def _follow_nesting(conn: Connection, tenant: int, target: int, now: int, entries: Sequence[Row]) -> None:
    """Mark all groups that have a changed group in them: its people are theirs.

    A group that is gone has left its own mark: those it was in are changed by its end.
    """
    groups = dict.fromkeys(
        entry[2] for entry in entries if entry[1] == "Group" and "members" in orjson.loads(entry[4])
    )
    for changed in groups:
        row = conn.one("SELECT pk FROM resource WHERE tenant = ? AND id = ?", (tenant, changed))
        if row is not None:
            mark_containers(conn, tenant, target, row[0], now, flat=True)


def mark_containers(conn: Connection, tenant: int, target: int, key: int, now: int, *, flat: bool) -> None:
    """Mark the groups that a resource is in; where they are flat also those that it is in by way of others.

    In more than anybody should have, it is a walk over everything in their place.
    """
    if not flat:
        conn.run(
            f"{_MARK_EXISTING} AND pk IN (SELECT container FROM membership WHERE tenant = ? AND member = ?)",
            (now, tenant, target, tenant, key),
        )
        return
    found = conn.all(ABOVE, (tenant, key, MOST_ABOVE + 1))
    if len(found) > MOST_ABOVE:
        conn.run("UPDATE target SET walked = 0 WHERE tenant = ? AND number = ?", (tenant, target))
    else:
        conn.many(f"{_MARK_EXISTING} AND pk = ?", [(now, tenant, target, own) for (own,) in found])


def _reaches_unnamed_members(operation: str, raw: bytes) -> bool:
    """Whether members are affected that the entry does not name: those of a deleted or renamed group."""
    return operation == "delete" or (
        operation == "update" and "displayName" in orjson.loads(raw).get("attributes", ())
    )


def walk(conn: Connection, tenant: int, target: int, ranks: Ranks, now: int, limit: int) -> bool:
    """Mark the next resources in order of their keys, and links whose resource is gone; whether more follow."""
    row = conn.one("SELECT walked FROM target WHERE tenant = ? AND number = ?", (tenant, target))
    if row is None or row[0] is None:
        return False
    low, end = max(row[0], tenant << _TENANT_BITS), (tenant + 1) << _TENANT_BITS
    highest, count = conn.all(RANGE_END, (tenant, low, end, limit))[0]
    high = highest if count == limit else end
    for resource_type, rank in ranks.items():
        conn.run(_MARK_RANGE, (target, rank, now, tenant, resource_type, low, high, now))
    conn.run(
        f"{_MARK_EXISTING} AND pk > ? AND pk <= ?"
        " AND NOT EXISTS (SELECT 1 FROM resource WHERE resource.tenant = link.tenant AND resource.pk = link.pk)",
        (now, tenant, target, low, high),
    )
    conn.run(
        "UPDATE target SET walked = ? WHERE tenant = ? AND number = ?",
        (high if count == limit else None, tenant, target),
    )
    return bool(count == limit)


def end_grace(conn: Connection, tenant: int, target: int, now: int) -> int:
    """Mark those whose accounts are to be deleted by now."""
    own = f"pk IN (SELECT pk FROM link WHERE {GRACE_OVER})"
    return conn.run(f"{_MARK_EXISTING} AND {own}", (now, tenant, target, tenant, target, now))


def unpark(conn: Connection, tenant: int, target: int, now: int) -> int:
    """Mark everything that is parked."""
    return conn.run(f"{_MARK_EXISTING} AND state = 'parked'", (now, tenant, target))


def mark_anew(
    conn: Connection, tenant: int, target: int, id: str, now: int, ranks: Ranks, *, members: bool
) -> None:
    """Mark the link of a resource, due at once, to be compared whatever the target is believed to hold."""
    _mark_one(conn, tenant, target, id, now, ranks)
    unread = ", members_read = 0" if members else ""
    conn.run(
        f"UPDATE link SET due = ?, confirmed = NULL{unread} WHERE tenant = ? AND target = ? AND id = ? AND state = 'ready'",
        (now, tenant, target, id),
    )


def reset(conn: Connection, tenant: int, target: int, *, accounts: bool) -> None:
    """Believe nothing of what the target holds, and begin a walk over all resources; perhaps know no account any more."""
    forget = ", remote_id = NULL, disabled = 0, fence = fence + 1" if accounts else ""
    conn.run(
        f"UPDATE link SET confirmed = NULL, members_read = 0{forget} WHERE tenant = ? AND target = ?",
        (tenant, target),
    )
    anew = ", arrivals_from = NULL" if accounts else ""  # all of them are found or made again: a first load
    conn.run(
        f"UPDATE target SET walked = 0, paused_until = 0, error = NULL{anew} WHERE tenant = ? AND number = ?",
        (tenant, target),
    )


def wake_dependents(conn: Connection, tenant: int, target: int, key: int, id: str, now: int) -> None:
    """Mark the links whose documents name this resource: those that refer to it, wait for it, and groups it is in."""
    conn.run(
        f"{_MARK_EXISTING} AND pk IN"
        " (SELECT pk FROM link_reference WHERE tenant = ? AND target = ? AND refers_to = ?)",
        (now, tenant, target, tenant, target, id),
    )
    row = conn.one("SELECT flat FROM target WHERE tenant = ? AND number = ?", (tenant, target))
    mark_containers(conn, tenant, target, key, now, flat=bool(row and row[0]))
    wake_waiting(conn, tenant, target, id, now)


def wake_waiting(conn: Connection, tenant: int, target: int, waits_for: str, now: int) -> None:
    """Mark the links that were given up until something happens to this."""
    rows = conn.all(WAITING, (tenant, target, waits_for))
    if rows:
        conn.many(f"{_MARK_EXISTING} AND pk = ?", [(now, tenant, target, own) for (own,) in rows])
        conn.run(
            "DELETE FROM link_wait WHERE tenant = ? AND target = ? AND waits_for = ?",
            (tenant, target, waits_for),
        )


def _mark_one(conn: Connection, tenant: int, target: int, id: str, now: int, ranks: Ranks) -> None:
    """Mark the link of a resource, made if need be; of one that is gone, the link that is left."""
    found = conn.one("SELECT type FROM resource WHERE tenant = ? AND id = ?", (tenant, id))
    if found is None:
        conn.run(f"{_MARK_EXISTING} AND id = ?", (now, tenant, target, id))
    elif found[0] in ranks:
        conn.run(_MARK_ONE, (target, ranks[found[0]], now, tenant, found[0], id, now))


def _number(row: Row | None) -> int:
    return int(row[0]) if row else 0
