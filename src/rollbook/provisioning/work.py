"""One resource at one target: what belongs to it, what should be there, how its account is found.

A delivery and a preview share everything here; what they differ in is whether they write.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import orjson

from rollbook.client import ScimResource
from rollbook.client.traced import Span, no_span
from rollbook.protocol.attributes import Uniqueness
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.match import matches
from rollbook.protocol.values import JsonObject
from rollbook.provisioning import lease, model
from rollbook.provisioning.differences import Difference, value_at
from rollbook.provisioning.items import ADOPTED, Action, Item, NeedsPerson, Protected
from rollbook.provisioning.mapping import day
from rollbook.provisioning.masking import MASK, is_sensitive
from rollbook.provisioning.model import Leave
from rollbook.provisioning.plan import Create, Delete, Disable, Keep, NoChange, Situation, Step, Update
from rollbook.provisioning.targets.base import Target
from rollbook.provisioning.wanted import (
    DELETED,
    OUT_OF_SCOPE,
    Kind,
    Wish,
    digest_of,
    hub_document,
    resolved,
    wish_for,
)
from rollbook.storage.base import Store
from rollbook.storage.links import Link, LinkStore

LEASE_MILLISECONDS = 5 * 60_000
"""How long a worker has a link: longer than its slowest calls, short enough to wait for after a crash."""


async def _is_right() -> None:
    """A clock that needs no looking after."""


@dataclass(frozen=True)
class Engine:
    """What all work is given: the hub, the links, a clock in milliseconds and a way to wait for seconds."""

    tenant: int
    catalog: Catalog
    store: Store
    links: LinkStore
    now: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]
    lease: int = LEASE_MILLISECONDS
    """How long what is taken up is this worker's, in milliseconds."""
    span: Span = no_span
    """How work is traced."""
    keep_time: Callable[[], Awaitable[None]] = _is_right
    """See that the clock is right, before anything is taken up by it (FE-15)."""

    def turns_of(self, target: int) -> Callable[[str, int, int], Awaitable[int]]:
        """Takes turns of a target's limits, of which all workers take."""
        return partial(self.links.take_turns, self.tenant, target)

    @property
    def today(self) -> datetime:
        """What mapping rules call today."""
        return day(datetime.fromtimestamp(self.now() / 1000, UTC))


@dataclass(frozen=True)
class Want:
    """What should be at the target, references already being accounts of it."""

    wish: Wish
    document: JsonObject | None
    digest: bytes
    references: Mapping[str, str | None]
    """The resources it names, with their accounts."""
    leave: Leave
    """What happens to the account of whoever leaves."""


@dataclass(frozen=True)
class Work:
    """One link with what belongs to it, as far as it has come."""

    link: Link
    kind: Kind
    want: Want
    created: bool = False
    adopted: bool = False
    """Whether the account was found, and nothing said that we had made it."""

    @property
    def label(self) -> str:
        """What people call the resource."""
        return self.want.wish.label or self.link.id


def lease_of(engine: Engine, target: model.Target, until: int) -> lease.Lease:
    """A lease of a worker at a target; calls may take as long as the target is given."""
    return lease.Lease(until, int(target.timeout * 1000), engine.now)


def account_of(work: Work) -> str:
    """The account's id.

    Raises:
        NeedsPerson: there is none any more.
    """
    if work.link.remote_id is None:
        raise NeedsPerson("the account is gone")
    return work.link.remote_id


async def read_wish(engine: Engine, kind: Kind, id: str) -> Wish:
    """What should be at a target for the hub's resource now, references being hub ids.

    Raises:
        MappingError: a rule failed on it.
    """
    wish = wish_for(kind, await document_of(engine, kind, id), engine.today)
    if wish.left != DELETED:
        return wish
    last = await engine.links.deliveries_of(engine.tenant, id, 1)
    return replace(wish, label=next((one.detail.get("label") for one in last), None))


async def document_of(engine: Engine, kind: Kind, id: str) -> JsonObject | None:
    """The hub's resource as scopes and mappings see it, None if it is gone."""
    record = await engine.store.get(engine.tenant, kind.resource_type, id, members=False)
    return None if record is None else hub_document(record, kind.resource_type)


def want_of(kind: Kind, wish: Wish, accounts: Mapping[str, str], leave: Leave) -> Want:
    """The wish in the target's own terms, given the accounts it has of those referred to."""
    document = resolved(kind, wish, accounts)
    references = {own: accounts.get(own) for own in wish.references}
    return Want(wish, document, digest_of(kind, wish, document, leave), references, leave)


def leave_of(link: Link, left: str | None, target: model.Target, kind: Kind, now: int) -> Leave:
    """What happens to an account now whose person has left for that reason."""
    leave = _ultimately(left, target)
    if grace_ends(link, left, target, now) is None:
        return leave
    return Leave.DISABLE if kind.resource_type.schema.attribute("active") is not None else Leave.KEEP


def grace_ends(link: Link, left: str | None, target: model.Target, now: int) -> int | None:
    """When an account that is spared until then is to be deleted, None if there is none, or that is over."""
    if left is None or not target.leave.grace or _ultimately(left, target) is not Leave.DELETE:
        return None
    ends = (now if link.left_at is None else link.left_at) + target.leave.grace
    return ends if ends > now else None


def _ultimately(left: str | None, target: model.Target) -> Leave:
    policy = target.leave
    return {DELETED: policy.leaver, OUT_OF_SCOPE: policy.out_of_scope}.get(left or "", policy.suspended)


def situation_of(work: Work, present: JsonObject | None) -> Situation:
    """Everything the next step depends on."""
    return Situation(
        resource_type=work.kind.resource_type,
        managed=work.kind.managed,
        leave=work.want.leave,
        wanted=work.want.document,
        left=work.want.wish.left,
        present=present,
        disabled=work.link.disabled,
        updatable=work.kind.updatable,
        fixed=work.kind.fixed,
    )


def sought_by(kind: Kind, document: JsonObject) -> dict[str, str]:
    """The values an account is found by, best first, by path."""
    values = ((path.text, value_at(document, path)) for path in kind.joins)
    return {path: value for path, value in values if isinstance(value, str)}


async def find_account(
    far: Target, kind: Kind, sought: Mapping[str, str], sensitive: Collection[str] = ()
) -> ScimResource | None:
    """The one account that has one of these values, best first; None if there is none.

    Raises:
        NeedsPerson: there are several.
    """
    for path in kind.joins:
        value = sought.get(path.text)
        if value is None:
            continue
        found = await far.find(kind, path, value)
        if len(found) > 1:
            told = MASK if is_sensitive(path, sensitive) else repr(value)
            name = kind.resource_type.name
            raise NeedsPerson(
                f"{len(found)} accounts have {path.text} {told}: remove all but one there",
                [(name, account.id) for account in found],
            )
        if found:
            return found[0]
    return None


def spare_protected(target: model.Target, work: Work, account: ScimResource) -> None:
    """Let nobody touch an account that the configuration protects (T-61).

    Raises:
        Protected: it is one; says so.
    """
    if target.protect is None or work.kind.resource_type.name != "User":
        return
    if matches(target.protect, account.body):
        raise Protected(f"the account is protected ({target.protect_text}): Rollbook does not touch it")


def may_inherit(work: Work, account: ScimResource) -> bool:
    """Whether the account of somebody gone may be this one's: the target knows no other external id for it."""
    theirs, ours = account.body.get("externalId"), (work.want.document or {}).get("externalId")
    return theirs is None or ours is None or theirs == ours


def sought_of(work: Work) -> Mapping[str, str]:
    """How to look for the account: of whoever left, only if one may have been made without our seeing it."""
    if work.want.wish.left is None:
        return sought_by(work.kind, work.want.document or {})
    expected = expectation_of(work.link)
    return expected.sought if expected else {}


@dataclass(frozen=True)
class Expectation:
    """An account that may have been made since a moment (milliseconds since 1970), and the values it can be found by."""

    sought: Mapping[str, str]
    since: int

    @property
    def text(self) -> str:
        """It as a link keeps it."""
        return orjson.dumps({"sought": dict(self.sought), "since": self.since}).decode()


def expectation_of(link: Link) -> Expectation | None:
    """What a link keeps, None if nothing is expected."""
    if not link.sought:
        return None
    found = orjson.loads(link.sought)
    if isinstance(found.get("sought"), dict):
        return Expectation(found["sought"], found["since"])
    return Expectation(found, 0)  # as versions before 0.2 wrote it


def is_off(account: ScimResource) -> bool:
    """Whether an account that is adopted was switched off by whoever looked after it before."""
    return account.body.get("active") is False


def frees_a_value(kind: Kind, step: Step) -> bool:
    """Whether an account lets go of a value that nobody else may have there: another one may be waiting for it."""
    if isinstance(step, Delete):
        return True
    return any_freed(kind, getattr(step, "differences", ()))


def any_freed(kind: Kind, differences: Iterable[Difference]) -> bool:
    """Whether differences take a value away that nobody else may have."""
    return any(one.old is not None and is_unique(kind, one) for one in differences)


def is_unique(kind: Kind, difference: Difference) -> bool:
    """Whether it is about a value that nobody else may have."""
    attribute = difference.path.attribute
    joins = {path.attribute.name for path in kind.joins}
    return attribute.uniqueness is not Uniqueness.NONE or attribute.name in joins | {"emails"}


_ACTIONS: dict[type[Step], Action] = {
    NoChange: Action.NOTHING,
    Create: Action.CREATE,
    Update: Action.CHANGE,
    Disable: Action.DISABLE,
    Delete: Action.DELETE,
    Keep: Action.KEEP,
}


def describe(target: model.Target, work: Work, step: Step, moved: tuple[int, int]) -> Item:
    """The line for a step that was taken, or is to be."""
    differences: tuple[Difference, ...] = getattr(step, "differences", ())
    reason: str | None = getattr(step, "reason", None)
    action = _ACTIONS[type(step)]
    if action is Action.DISABLE and not any(one.path.attribute.name == "active" for one in differences):
        action = Action.CHANGE  # it is off already, and no departure: something else about it changes
    if action is Action.NOTHING and any(moved):
        action = Action.CHANGE
    if action is Action.CHANGE and differences and not any(moved) and _only_completes(work.kind, differences):
        action = Action.COMPLETE
    link = work.link
    adopts = work.adopted and action not in {Action.DELETE, Action.KEEP}
    if adopts and not isinstance(step, Disable):
        reason = f"{ADOPTED}; {reason}" if reason else ADOPTED
    return Item(
        target.name,
        link.resource_type,
        link.id,
        work.label,
        action,
        differences,
        reason,
        *moved,
        adopts=adopts,
        sensitive=target.sensitive,
    )


def _only_completes(kind: Kind, differences: tuple[Difference, ...]) -> bool:
    return all(item.path in kind.references and item.old is None for item in differences)
