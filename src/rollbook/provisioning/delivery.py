"""Brings the account of one resource at one target to what is wanted: read → decide → write → record.

Whatever interrupts it, starting again is safe: a remote id is recorded as soon as it is known, and nobody is
created before having been looked for (client.md 5).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import orjson

from rollbook.client import ScimResource
from rollbook.protocol import errors
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.values import JsonObject
from rollbook.provisioning import model
from rollbook.provisioning.differences import Difference, value_at
from rollbook.provisioning.items import Action, Item, Later, NeedsPerson, Overtaken
from rollbook.provisioning.mapping import day
from rollbook.provisioning.model import Leave
from rollbook.provisioning.plan import Create, Delete, Disable, Keep, NoChange, Situation, Step, Update, plan
from rollbook.provisioning.states import Event, move
from rollbook.provisioning.targets.base import Target
from rollbook.provisioning.wanted import (
    Kind,
    Wish,
    digest_of,
    hub_document,
    kinds_of,
    label_of,
    resolved,
    wish_for,
)
from rollbook.storage.base import Store
from rollbook.storage.links import Link, LinkStore, Outcome

LEASE_MILLISECONDS = 5 * 60_000
"""How long a worker has a link: longer than its slowest calls, short enough to wait for after a crash."""

_ATTEMPTS = 3  # an account that comes or goes between two calls is looked at again this often


BringFirst = Callable[[str, Sequence[str]], Awaitable[bool]]
"""Deliver some resources, if they are due, before the one that names them; whether any was."""


@dataclass(frozen=True)
class Engine:
    """What all work is given: the hub, the links, a clock in milliseconds and a way to wait for seconds."""

    tenant: int
    catalog: Catalog
    store: Store
    links: LinkStore
    now: Callable[[], int]
    sleep: Callable[[float], Awaitable[None]]

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


@dataclass(frozen=True)
class Work:
    """One link with what belongs to it, as far as it has come."""

    link: Link
    kind: Kind
    want: Want
    created: bool = False

    @property
    def label(self) -> str:
        """What people call the resource."""
        return self.want.wish.label or self.link.id


async def read_wish(engine: Engine, kind: Kind, id: str) -> Wish:
    """What should be at a target for the hub's resource now, references being hub ids.

    Raises:
        MappingError: a rule failed on it.
    """
    record = await engine.store.get(engine.tenant, kind.resource_type, id, members=False)
    document = None if record is None else hub_document(record, kind.resource_type)
    return wish_for(kind, document, engine.today)


def want_of(kind: Kind, wish: Wish, accounts: Mapping[str, str], leave: Leave) -> Want:
    """The wish in the target's own terms, given the accounts it has of those referred to."""
    document = resolved(kind, wish, accounts)
    references = {own: accounts.get(own) for own in wish.references}
    return Want(wish, document, digest_of(wish, document, leave), references)


def situation_of(work: Work, leave: Leave, present: JsonObject | None) -> Situation:
    """Everything the next step depends on."""
    return Situation(
        resource_type=work.kind.resource_type,
        managed=work.kind.managed,
        leave=leave,
        wanted=work.want.document,
        left=work.want.wish.left,
        present=present,
        disabled=work.link.disabled,
    )


def sought_by(kind: Kind, document: JsonObject) -> dict[str, str]:
    """The values an account is found by, best first, by path."""
    values = ((path.text, value_at(document, path)) for path in kind.joins)
    return {path: value for path, value in values if isinstance(value, str)}


async def find_account(far: Target, kind: Kind, sought: Mapping[str, str]) -> ScimResource | None:
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
            raise NeedsPerson(f"{len(found)} accounts have {path.text} {value!r}: remove all but one there")
        if found:
            return found[0]
    return None


def may_inherit(work: Work, account: ScimResource) -> bool:
    """Whether the account of somebody gone may be this one's: the target knows no other external id for it."""
    theirs, ours = account.body.get("externalId"), (work.want.document or {}).get("externalId")
    return theirs is None or ours is None or theirs == ours


def sought_of(work: Work) -> Mapping[str, str]:
    """How to look for the account: of whoever left, only if one may have been made without our seeing it."""
    if work.want.wish.left is None:
        return sought_by(work.kind, work.want.document or {})
    found: dict[str, str] = orjson.loads(work.link.sought) if work.link.sought else {}
    return found


def is_off(account: ScimResource) -> bool:
    """Whether an account that is adopted was switched off by whoever looked after it before."""
    return account.body.get("active") is False


class Delivery:
    """Deliveries to one target under one number."""

    def __init__(
        self, engine: Engine, target: model.Target, far: Target, number: int, bring_first: BringFirst
    ) -> None:
        self._engine = engine
        self._target = target
        self._far = far
        self._number = number
        self._bring_first = bring_first
        self._kinds = kinds_of(target, engine.catalog)

    async def deliver(self, link: Link) -> Item:
        """Do for one claimed link what is to be done, and record it.

        Raises:
            ScimError, MappingError, NeedsPerson: it could not be done; nothing but a remote id is recorded.
            Overtaken: another worker has the link now.
            Later: the account is being worked on for somebody else.
        """
        kind = self._kinds[link.resource_type]
        wish = await read_wish(self._engine, kind, link.id)
        want = want_of(kind, wish, await self._accounts(link, wish), self._target.leave)
        work = Work(link, kind, want)
        step: Step = NoChange()
        if link.confirmed != want.digest or link.remote_id is None:
            work, step = await self._settle(work)
        if work.link.remote_id is None:
            return await self._drop(work.link, describe(self._target.name, work, step, (0, 0)))
        work, moved = await self._settle_members(work)
        await self._finish(work)
        return describe(self._target.name, work, step, moved)

    async def about(self, link: Link) -> tuple[str | None, bool]:
        """What people call the resource, and whether its account should lose access."""
        kind = self._kinds[link.resource_type]
        record = await self._engine.store.get(self._engine.tenant, kind.resource_type, link.id, members=False)
        if record is None:
            return None, link.remote_id is not None
        document = hub_document(record, kind.resource_type)
        try:
            wish = wish_for(kind, document, self._engine.today)
        except Exception:  # noqa: BLE001 - it has been judged already; here only the name matters
            return label_of(document), False
        return label_of(document), wish.left is not None and link.remote_id is not None

    async def _accounts(self, link: Link, wish: Wish) -> Mapping[str, str]:
        """The accounts of those referred to; who has none yet, and is due for one, comes first (C-6-10)."""
        tenant, ids = self._engine.tenant, sorted(wish.references)
        accounts = await self._engine.links.remote_ids(tenant, self._number, ids)
        missing = [other for other in ids if other not in accounts]
        if not missing or not await self._bring_first(link.id, missing):
            return accounts
        return await self._engine.links.remote_ids(tenant, self._number, ids)

    async def _settle(self, work: Work) -> tuple[Work, Step]:
        """Look at the account, and take the step. What vanished or appeared meanwhile is looked at again."""
        conflict: errors.Conflict | None = None
        for _ in range(_ATTEMPTS):
            work, account = await self._present(work)
            if conflict is not None and account is None:
                raise conflict  # it exists, and is not shown: a second POST would not help (client.md 5)
            step = plan(situation_of(work, self._target.leave, None if account is None else account.body))
            self._check_lease(work.link)
            try:
                return await self._carry_out(work, step, account), step
            except errors.NotFound:
                if account is None:
                    raise
                work = await self._keep_remote_id(work, None)
            except errors.Conflict as error:
                if not isinstance(step, Create):
                    raise
                conflict = error
        raise NeedsPerson("the account comes and goes: something else writes at the target")

    async def _present(self, work: Work) -> tuple[Work, ScimResource | None]:
        """The account, by its remote id if it is known, else by looking for it (client.md 5)."""
        remote_id, left = work.link.remote_id, work.want.wish.left
        if remote_id is not None:
            if left is not None and self._target.leave is not Leave.DISABLE:
                return work, ScimResource(remote_id, None, None, {})  # what it holds does not matter
            account = await self._far.read(work.kind, remote_id)
            if account is not None:
                return work, account
            work = await self._keep_remote_id(work, None)
        sought = sought_of(work)
        if not sought:
            return work, None
        account = await find_account(self._far, work.kind, sought)
        if account is None:
            return work, None
        try:
            work = await self._keep_remote_id(
                work, account.id, inherit=may_inherit(work, account), disabled=is_off(account)
            )
        except NeedsPerson:
            if left is None:
                raise
            return work, None  # whoever left has none: somebody else got it meanwhile
        return work, account

    async def _carry_out(self, work: Work, step: Step, account: ScimResource | None) -> Work:
        match step:
            case Create(body=body):
                sought = orjson.dumps(sought_by(work.kind, body)).decode()
                links, tenant = self._engine.links, self._engine.tenant
                self._held(await links.expect_account(tenant, self._number, work.link, sought))
                created = await self._far.create(work.kind, body)
                work = await self._keep_remote_id(work, created.id)
                return replace(work, created=True)
            case Update(differences=differences) | Disable(differences=differences) if account is not None:
                await self._far.update(work.kind, account, differences)
            case Delete() if account is not None:
                await self._far.delete(work.kind, account.id)
                return await self._keep_remote_id(work, None)
            case _:
                pass
        return work

    async def _settle_members(self, work: Work) -> tuple[Work, tuple[int, int]]:
        """Bring a group's members to what they should be, in calls the target can take (C-6-07)."""
        left, leave = work.want.wish.left, self._target.leave
        if not work.kind.members or (left is not None and leave is Leave.KEEP):
            return work, (0, 0)
        work = await self._learn_members(work)
        links, tenant, limit = self._engine.links, self._engine.tenant, await self._far.members_per_call()
        added = removed = 0
        while True:
            changes = await links.member_changes(
                tenant, self._number, work.link, limit, nobody=left is not None
            )
            if not changes:
                return work, (added, removed)
            self._check_lease(work.link)
            self._held(await links.expect_members(tenant, self._number, work.link, changes))
            await self._far.change_members(work.kind, self._remote_id(work), changes.add, changes.remove)
            lease = self._engine.now() + LEASE_MILLISECONDS
            self._held(await links.keep_members(tenant, self._number, work.link, changes, lease))
            work = replace(work, link=replace(work.link, due=lease))
            added, removed = added + len(changes.add), removed + len(changes.remove)

    async def _learn_members(self, work: Work) -> Work:
        if work.link.members_read:
            return work
        known = () if work.created else await self._far.read_members(work.kind, self._remote_id(work))
        self._held(
            await self._engine.links.keep_all_members(self._engine.tenant, self._number, work.link, known)
        )
        return replace(work, link=replace(work.link, members_read=True))

    async def _finish(self, work: Work) -> None:
        left = work.want.wish.left is not None
        outcome = Outcome(
            state=move(work.link.state, Event.LEAVE if left else Event.FINISH),
            due=self._engine.now(),
            confirmed=work.want.digest,
            disabled=left and self._target.leave is Leave.DISABLE,
            references=work.want.references,
        )
        self._held(await self._engine.links.finish(self._engine.tenant, self._number, work.link, outcome))

    async def _drop(self, link: Link, item: Item) -> Item:
        now = self._engine.now()
        self._held(await self._engine.links.drop(self._engine.tenant, self._number, link, now))
        return item

    async def _keep_remote_id(
        self, work: Work, remote_id: str | None, *, inherit: bool = False, disabled: bool = False
    ) -> Work:
        """Record the account at once: a crash after this finds it again.

        Raises:
            NeedsPerson: it is somebody else's (I-11).
        """
        now = self._engine.now()
        try:
            kept = await self._engine.links.keep_remote_id(
                self._engine.tenant,
                self._number,
                work.link,
                remote_id,
                now,
                inherit=inherit,
                disabled=disabled,
            )
        except errors.Uniqueness as error:
            raise NeedsPerson(error.detail) from error
        except errors.Conflict as error:
            raise Later from error
        self._held(kept)
        link = replace(work.link, remote_id=remote_id, confirmed=None, disabled=disabled, members_read=False)
        return replace(work, link=link, created=False)

    def _check_lease(self, link: Link) -> None:
        """Before each write: whoever was frozen since the claim must not send something old (FE-14)."""
        if self._engine.now() > link.due - int(self._target.timeout * 1000):
            raise Overtaken

    def _held(self, kept: bool) -> None:
        if not kept:
            raise Overtaken

    def _remote_id(self, work: Work) -> str:
        if work.link.remote_id is None:
            raise NeedsPerson("the account is gone")
        return work.link.remote_id


_ACTIONS: dict[type[Step], Action] = {
    NoChange: Action.NOTHING,
    Create: Action.CREATE,
    Update: Action.CHANGE,
    Disable: Action.DISABLE,
    Delete: Action.DELETE,
    Keep: Action.KEEP,
}


def describe(target: str, work: Work, step: Step, moved: tuple[int, int]) -> Item:
    """The line for a step that was taken, or is to be."""
    differences: tuple[Difference, ...] = getattr(step, "differences", ())
    reason: str | None = getattr(step, "reason", None)
    action = _ACTIONS[type(step)]
    if action is Action.NOTHING and any(moved):
        action = Action.CHANGE
    if action is Action.CHANGE and differences and not any(moved) and _only_completes(work.kind, differences):
        action = Action.COMPLETE
    link = work.link
    return Item(
        target, link.resource_type, link.id, work.label, action, differences, reason, moved[0], moved[1]
    )


def _only_completes(kind: Kind, differences: tuple[Difference, ...]) -> bool:
    return all(item.path in kind.references and item.old is None for item in differences)
