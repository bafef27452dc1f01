"""What is recorded of a link when work on it has come to something: account, outcome, references."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from rollbook.protocol.errors import Conflict, Uniqueness
from rollbook.storage.links import Link, Outcome, State, any_of
from rollbook.storage.runs import Entry
from rollbook.storage.sql import audits, deliveries, link_marks, link_members
from rollbook.storage.sql.connection import Connection

_HELD = (
    "SELECT marked FROM link WHERE tenant = ? AND target = ? AND pk = ? AND fence = ? AND state = 'claimed'"
)
# What was marked meanwhile is not parked: the change may be what it lacked.
FAIL = """
    UPDATE link SET state = CASE WHEN marked > ? THEN 'ready' ELSE ? END, due = ?, attempts = ?, error = ?,
    confirmed = NULL
    WHERE tenant = ? AND target = ? AND pk = ? AND fence = ? AND state = 'claimed'
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Which account a link stands for, None for none any more; see `LinkStore.keep_remote_id`."""

    remote_id: str | None
    inherit: bool
    disabled: bool


def keep_account(conn: Connection, tenant: int, target: int, link: Link, account: Account, now: int) -> None:
    """Record which account it is; what was known of the last one is void, and who names it is woken.

    Raises:
        Uniqueness: the account belongs to another resource (I-11).
        Conflict: somebody is working on the link it would be inherited from.
    """
    own = (tenant, target, link.key)
    old = conn.one("SELECT remote_id FROM link WHERE tenant = ? AND target = ? AND pk = ?", own)
    link_members.forget_group(conn, tenant, target, link.key)
    if old and old[0] is not None:
        link_members.forget_account(conn, tenant, target, old[0])
    if account.remote_id is not None:
        _free(conn, tenant, target, link, account, now)
    conn.run(
        "UPDATE link SET remote_id = ?, sought = NULL, confirmed = NULL, disabled = ?, members_read = 0"
        " WHERE tenant = ? AND target = ? AND pk = ?",
        (account.remote_id, int(account.disabled), *own),
    )
    link_marks.wake_dependents(conn, tenant, target, link.key, link.id, now)
    if old and old[0] is not None:
        link_marks.wake_waiting(conn, tenant, target, any_of(link.resource_type), now)


def _free(conn: Connection, tenant: int, target: int, link: Link, account: Account, now: int) -> None:
    """Take the account from the link of a resource that is gone, if it may be inherited.

    Not while somebody works on that link: what is being sent for the dead would reach the living.
    """
    holder = conn.one(
        "SELECT link.pk, link.id, link.state, link.due, resource.pk FROM link LEFT JOIN resource ON resource.tenant = link.tenant AND resource.pk = link.pk"
        " WHERE link.tenant = ? AND link.target = ? AND link.type = ? AND link.remote_id = ? AND link.pk <> ?",
        (tenant, target, link.resource_type, account.remote_id, link.key),
    )
    if holder is None:
        return
    key, owner, state, due, alive = holder
    if alive is not None or not account.inherit:
        raise Uniqueness(f"account {account.remote_id} belongs to {link.resource_type} {owner} already")
    if state == State.CLAIMED and due > now:
        raise Conflict(f"account {account.remote_id} is being worked on for {link.resource_type} {owner}")
    link_marks.wake_dependents(conn, tenant, target, key, owner, now)
    link_members.forget_group(conn, tenant, target, key)
    conn.run("DELETE FROM link_reference WHERE tenant = ? AND target = ? AND pk = ?", (tenant, target, key))
    _forget_waits(conn, tenant, target, key)
    conn.run("DELETE FROM link WHERE tenant = ? AND target = ? AND pk = ?", (tenant, target, key))


def drop(
    conn: Connection, tenant: int, target: int, link: Link, now: int, entry: Entry | None = None
) -> None:
    """Forget the link, or make it new again if it was marked meanwhile."""
    deliveries.add(conn, tenant, target, link, entry)
    link_members.forget_group(conn, tenant, target, link.key)
    _keep_references(conn, tenant, target, link, set())
    _forget_waits(conn, tenant, target, link.key)
    marked = conn.run(
        "UPDATE link SET state = 'ready', due = ?, attempts = 0, remote_id = NULL, confirmed = NULL,"
        " sought = NULL, disabled = 0, members_read = 0, error = NULL, left_at = NULL"
        " WHERE tenant = ? AND target = ? AND pk = ? AND marked > ?",
        (now, tenant, target, link.key, link.marked),
    )
    if not marked:
        conn.run("DELETE FROM link WHERE tenant = ? AND target = ? AND pk = ?", (tenant, target, link.key))


def finish(conn: Connection, tenant: int, target: int, link: Link, outcome: Outcome) -> bool:
    """Record what the target holds now; False if another worker has the link."""
    own = (tenant, target, link.key, link.fence)
    held = conn.one(_HELD, own)
    if held is None:
        return False
    # What was marked meanwhile, or names an account that came or went while it was being sent, is looked at again at once.
    again = held[0] > link.marked or any(
        _account(conn, tenant, target, other) != sent for other, sent in outcome.references.items()
    )
    state = State.READY if again else outcome.state
    due = outcome.due if again or outcome.until is None else outcome.until
    conn.run(
        "UPDATE link SET state = ?, due = ?, attempts = ?, confirmed = ?, disabled = ?, error = ?, left_at = ?"
        " WHERE tenant = ? AND target = ? AND pk = ? AND fence = ?",
        (
            state,
            due,
            outcome.attempts,
            outcome.confirmed,
            int(outcome.disabled),
            outcome.error,
            outcome.left_at,
            *own,
        ),
    )
    deliveries.add(conn, tenant, target, link, outcome.entry)
    _keep_references(conn, tenant, target, link, outcome.references.keys())
    if link.error is not None:
        _forget_waits(conn, tenant, target, link.key)
    if outcome.entry is not None:  # its account has changed: that may be what others were given up for
        link_marks.wake_waiting(conn, tenant, target, link.id, outcome.due)
    if outcome.drift_over:
        audits.forget(conn, tenant, target, link.key)
    if outcome.frees:
        link_marks.wake_waiting(conn, tenant, target, any_of(link.resource_type), outcome.due)
    return True


def fail(conn: Connection, tenant: int, target: int, link: Link, outcome: Outcome) -> bool:
    """Record a failure, and what it waits for; False if another worker has the link."""
    # What it waits for may have gone while it was being tried.
    gone = any(
        sent is not None and _account(conn, tenant, target, other) != sent
        for other, sent in outcome.waits_for.items()
    )
    state = State.READY if gone else outcome.state
    parameters = (link.marked, state, outcome.due, outcome.attempts, outcome.error)
    changed = conn.run(FAIL, (*parameters, tenant, target, link.key, link.fence))
    if changed:
        deliveries.add(conn, tenant, target, link, outcome.entry)
        _forget_waits(conn, tenant, target, link.key)
        conn.many(
            "INSERT INTO link_wait (tenant, target, waits_for, pk) VALUES (?, ?, ?, ?)",
            [(tenant, target, other, link.key) for other in outcome.waits_for],
        )
    return changed > 0


def _forget_waits(conn: Connection, tenant: int, target: int, key: int) -> None:
    conn.run("DELETE FROM link_wait WHERE tenant = ? AND target = ? AND pk = ?", (tenant, target, key))


def _account(conn: Connection, tenant: int, target: int, id: str) -> str | None:
    sql = "SELECT remote_id FROM link WHERE tenant = ? AND target = ? AND id = ?"
    row = conn.one(sql, (tenant, target, id))
    return row[0] if row else None


def _keep_references(
    conn: Connection, tenant: int, target: int, link: Link, references: AbstractSet[str]
) -> None:
    rows = conn.all(
        "SELECT refers_to FROM link_reference WHERE tenant = ? AND target = ? AND pk = ?",
        (tenant, target, link.key),
    )
    present = {row[0] for row in rows}
    conn.many(
        "INSERT INTO link_reference (tenant, target, refers_to, pk) VALUES (?, ?, ?, ?)",
        [(tenant, target, other, link.key) for other in references - present],
    )
    conn.many(
        "DELETE FROM link_reference WHERE tenant = ? AND target = ? AND refers_to = ? AND pk = ?",
        [(tenant, target, other, link.key) for other in present - references],
    )
