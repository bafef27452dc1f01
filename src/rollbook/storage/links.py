"""Links: what the engine keeps about each resource at each target, and the interface of their store.

A link is a mark, not an event: however often a resource changes while a target is away, there is one row to
work on (architecture 8). Whoever works on it holds a lease and a fence: the completion of somebody who was
overtaken is refused (I-18).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from rollbook.storage.agreements import Agreements
from rollbook.storage.audits import Audits
from rollbook.storage.runs import Entry, Runs


class State(StrEnum):
    """Where a link stands. Moves are in `provisioning.states`."""

    READY = "ready"
    """To be looked at, from `due` on."""
    CLAIMED = "claimed"
    """A worker has it, until `due`."""
    DONE = "done"
    """The target holds what it should."""
    LEFT = "left"
    """Who it is has left, and the account is as the target's leave policy wants it."""
    PARKED = "parked"
    """Nothing more happens until the resource or the configuration changes."""


@dataclass(frozen=True, slots=True)
class Link:
    """One resource at one target. `key` orders resources by creation; times are milliseconds since 1970.

    `confirmed` is a digest of what the target is known to hold, None after work that nobody saw the end of:
    whatever was sent then may have arrived. `sought` is set while an account may have been made whose id is not
    known: the values it can be found by, in a form of the engine's own. `disabled` says that we switched the
    account off, `members_read` that the members known for a group are those the target has.
    """

    key: int
    id: str
    resource_type: str
    state: State
    due: int
    marked: int
    fence: int
    attempts: int
    remote_id: str | None = None
    sought: str | None = None
    confirmed: bytes | None = None
    disabled: bool = False
    members_read: bool = False
    error: str | None = None
    left_at: int | None = None
    """Since when its account is only switched off, and to be deleted later."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is recorded when work on a link ends.

    `references` are the resources its document names, each with the account that was sent, None if it had none.
    """

    state: State
    due: int
    attempts: int = 0
    confirmed: bytes | None = None
    disabled: bool = False
    error: str | None = None
    references: Mapping[str, str | None] = field(default_factory=dict)
    entry: Entry | None = None
    left_at: int | None = None
    until: int | None = None
    """When the grace period of somebody who has left is over."""
    drift_over: bool = False
    """Whether all that an audit has found different and left is put right with it."""
    frees: bool = False
    """Whether a value that nobody else may have is free at the target now."""
    waits_for: Mapping[str, str | None] = field(default_factory=dict)
    """What a failure waits for: resources with the account each had, None if none; or `any_of` a type."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a target has come. `walked` is None unless all resources are being looked at anew."""

    number: int
    name: str
    digest: str
    position: int
    walked: int | None
    paused_until: int = 0
    error: str | None = None
    approved: int = 0
    """Departures up to then count no more: somebody approved of them."""
    stopped: str | None = None
    """Why nothing happens there until somebody says so; None if work goes on."""
    audited: int | None = None
    """When its last audit began."""
    audit_after: int | None = None
    """None unless an audit is under way, or was broken off."""
    audit_until: int = 0
    """Until when somebody is at it."""
    flat: bool = False
    """Whether its groups have people only: those in groups of groups are members themselves."""
    arrivals_from: int | None = None
    """From when on new accounts count: some days after its first load, or since somebody approved of some; None before."""


@dataclass(frozen=True, slots=True)
class MemberChanges:
    """Members by remote id that a group at a target lacks, and has too many."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.remove)


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of a target's links by state, and of those that wait for another attempt."""

    states: Mapping[State, int]
    waiting: int


def any_of(resource_type: str) -> str:
    """What waits for any account of a type to go, or to let go of a value that nobody else may have."""
    return f"*{resource_type}"


Ranks = Mapping[str, int]
"""The resource types that go to a target, with the order in which they go: lower ones first."""


class LinkStore(Agreements, Audits, Runs, Protocol):
    """Links, members at targets, progress, audits and runs. Every method may raise `StoreUnavailable`.

    `target` is a target's number. Methods that take a `Link` and return whether they did anything refuse to
    when another worker has taken the link up since (fence).
    """

    async def target(self, tenant: int, name: str) -> Progress | None:
        """The progress of the target of that name, None if nothing was ever done there."""

    async def targets(self, tenant: int) -> Sequence[Progress]:
        """The progress of all targets that anything was ever done at, by name."""

    async def open_target(self, tenant: int, name: str, digest: str, *, flat: bool = False) -> Progress:
        """The same, made if need be; a new digest begins a walk over all resources.

        `flat` says that groups there have people only. Then a change of a group marks those it is in, directly or not.
        """

    async def pause(self, tenant: int, target: int, until: int, error: str | None) -> None:
        """Leave the target alone until then, and say why."""

    async def follow(
        self, tenant: int, target: int, ranks: Ranks, now: int, limit: int, *, groups_count: bool = False
    ) -> bool:
        """Mark what the change log says, in one transaction with the position; whether there is more.

        `groups_count` says that the groups somebody is in decide what the target holds: then a change of a
        group marks the members it names, and the end of a group or a change of its name begins a walk.
        """

    async def walk(self, tenant: int, target: int, ranks: Ranks, now: int, limit: int) -> bool:
        """Mark some more of all resources; whether there is more."""

    async def mark(
        self, tenant: int, target: int, ranks: Ranks, id: str, now: int, *, members: bool = False
    ) -> None:
        """Mark one resource, due at once, and believe nothing of what the target holds of it; nor of its `members`."""

    async def end_grace(self, tenant: int, target: int, now: int) -> int:
        """Mark those whose accounts are to be deleted by now; how many."""

    async def is_grace_over(self, tenant: int, target: int, now: int) -> bool:
        """Whether there are any."""

    async def unpark(self, tenant: int, target: int, now: int) -> int:
        """Mark everything that is parked; how many."""

    async def bring_forward(self, tenant: int, target: int, now: int, *, claimed: bool) -> None:
        """Make everything due that waits for a later time; with `claimed`, also what others hold a lease on."""

    async def claim(
        self,
        tenant: int,
        target: int,
        rank: int,
        now: int,
        lease_until: int,
        limit: int,
        *,
        behind: bool = False,
    ) -> Sequence[Link]:
        """Take up links of that rank that are due: who leaves, who was changed just now, then the oldest.

        `behind` takes up the last of these only, so that no stream of changes keeps a backlog waiting for ever.
        """

    async def put_first(self, tenant: int, target: int, keys: Sequence[int], now: int) -> None:
        """Let these be taken up before all others that are due."""

    async def has_changes(self, tenant: int, target: int) -> bool:
        """Whether the change log has something that was not marked yet."""

    async def claim_one(self, tenant: int, target: int, id: str, now: int, lease_until: int) -> Link | None:
        """Take up the link of one resource if it is due, None if it is not."""

    async def next_due(self, tenant: int, target: int, ranks: Ranks) -> int | None:
        """When the next link of these types is due, None if none ever is."""

    async def release(self, tenant: int, target: int, link: Link, due: int) -> bool:
        """Give a claimed link back, to be taken up again from `due` on; nothing is confirmed any more."""

    async def expect_account(self, tenant: int, target: int, link: Link, sought: str | None) -> bool:
        """Record that an account is about to be made, and how to find it; None once that was refused."""

    async def keep_remote_id(
        self,
        tenant: int,
        target: int,
        link: Link,
        remote_id: str | None,
        now: int,
        *,
        inherit: bool = False,
        disabled: bool = False,
    ) -> bool:
        """Record at once which account it is, or that there is none any more; wakes who refers to it.

        `inherit` lets it take over the account of a resource that is gone, as a person does who comes back;
        `disabled` says that the account is switched off.

        Raises:
            Uniqueness: the account belongs to another resource (I-11).
            Conflict: somebody is working on the link that it would be inherited from.
        """

    async def finish(self, tenant: int, target: int, link: Link, outcome: Outcome) -> bool:
        """Record the outcome; if it was marked meanwhile, or an account it refers to changed, it is ready again."""

    async def fail(self, tenant: int, target: int, link: Link, outcome: Outcome) -> bool:
        """Record a failure, or that it is to be tried again; nothing is confirmed any more."""

    async def drop(self, tenant: int, target: int, link: Link, now: int, entry: Entry | None = None) -> bool:
        """Forget the link; if it was marked meanwhile it is ready again instead."""

    async def link(self, tenant: int, target: int, id: str) -> Link | None:
        """The link of a resource, or None."""

    async def holder(self, tenant: int, target: int, resource_type: str, remote_id: str) -> Link | None:
        """The link that an account belongs to, or None."""

    async def remote_ids(self, tenant: int, target: int, ids: Sequence[str]) -> Mapping[str, str]:
        """The accounts of those of the resources that have one."""

    async def count_accounts(self, tenant: int, target: int, remote_ids: Sequence[str]) -> int:
        """How many of these accounts belong to a link."""

    async def member_changes(
        self, tenant: int, target: int, link: Link, limit: int, *, nobody: bool = False
    ) -> MemberChanges:
        """At most `limit` members of a group to add, and as many to remove; all of them if `nobody` should be in.

        A member without an account at the target is left out; one that no link knows is left alone (I-15). At a flat target the
        members are all people in the group, directly or by way of others.
        """

    async def people_in(self, tenant: int, id: str) -> Sequence[str]:
        """The ids of all people in a group, directly or by way of others, each once."""

    async def known_members(self, tenant: int, target: int, link: Link) -> Sequence[str]:
        """The members by remote id that the group is known to have at the target."""

    async def expect_members(self, tenant: int, target: int, link: Link, changes: MemberChanges) -> bool:
        """Record that these changes are about to be sent: from now on nobody knows whether they are made."""

    async def keep_members(
        self, tenant: int, target: int, link: Link, changes: MemberChanges, lease_until: int
    ) -> bool:
        """Record that the target has taken these changes, and hold the lease for longer."""

    async def keep_all_members(self, tenant: int, target: int, link: Link, remote_ids: Sequence[str]) -> bool:
        """Record that these are all members the target has."""

    async def pending(
        self,
        tenant: int,
        progress: Progress | None,
        resource_type: str,
        after: int,
        limit: int,
        *,
        all: bool,
        now: int,
    ) -> Sequence[tuple[int, str, Link | None]]:
        """What work would look at, without marking it: (key, id, link) with keys above `after`, in order.

        `all` takes every resource of the type and every link, otherwise those marked or changed since, and those whose grace period
        is over `now`.
        """

    async def waiters(self, tenant: int, target: int, waits_for: Sequence[str]) -> Sequence[tuple[str, str]]:
        """The (resource type, id) of resources that were given up until something happens to one of these."""

    async def has_waiters(self, tenant: int, target: int) -> bool:
        """Whether anything was given up until something happens to something else."""

    async def dependents(self, tenant: int, target: int, id: str) -> Sequence[tuple[str, str]]:
        """The (resource type, id) of resources with links whose documents name this one, or whose groups have it."""

    async def figures(self, tenant: int, target: int, now: int) -> Figures:
        """Counts for people."""

    async def parked(self, tenant: int, target: int, limit: int, after: int = 0) -> Sequence[Link]:
        """Links that nothing more happens to, and why, in order of their keys, from above one on."""

    async def waiting(self, tenant: int, target: int, limit: int) -> Sequence[Link]:
        """Links that failed and are tried again, and why they failed."""

    async def to_do(
        self, tenant: int, target: int, rank: int, after: tuple[int, int], limit: int, *, accounts: bool
    ) -> Sequence[tuple[tuple[int, int], Link]]:
        """Links to be worked on that have an account, or have none, each with where it stands, from beyond a place on."""

    async def held(self, tenant: int, target: int, resource_type: str, most: int) -> int:
        """How many accounts of that type are ours and not switched off; counted up to so many."""

    async def departed(self, tenant: int, target: int, resource_type: str, since: int) -> int:
        """How many accounts of that type were disabled or deleted since then."""

    async def arrived(self, tenant: int, target: int, resource_type: str, since: int) -> int:
        """How many accounts of that type were made since then."""

    async def count_arrivals(self, tenant: int, target: int, since: int) -> None:
        """New accounts count from then on only."""

    async def approve(self, tenant: int, target: int, now: int) -> None:
        """Departures up to now count no more."""

    async def stop(self, tenant: int, target: int, reason: str | None) -> None:
        """Do nothing at the target until somebody says so, and say why; None lets work go on."""

    async def reset(self, tenant: int, target: int, *, accounts: bool = False) -> None:
        """Look at all resources anew, whatever the target is believed to hold.

        With `accounts` it is not even believed which accounts it has: they are looked for again, and made if need be.
        """

    async def accounts(self, tenant: int, target: int, after: int, limit: int) -> Sequence[Link]:
        """Links that have an account, in order of their keys, from above one on."""
