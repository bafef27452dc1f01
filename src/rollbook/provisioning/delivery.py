"""Brings the account of one resource at one target to what is wanted: read → decide → write → record.

Whatever interrupts it, starting again is safe: a remote id is recorded as soon as it is known, and nobody is
created before having been looked for (client.md 5).
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from rollbook.client import ScimResource
from rollbook.protocol import errors
from rollbook.protocol.values import JsonObject
from rollbook.provisioning import lease, model
from rollbook.provisioning.drift import without_reported
from rollbook.provisioning.entries import entry_of
from rollbook.provisioning.guard import Guard
from rollbook.provisioning.items import Item, Later, NeedsPerson, Overtaken, Swapping, Unseen, failure_text
from rollbook.provisioning.members import Members
from rollbook.provisioning.model import Leave, MappingError
from rollbook.provisioning.plan import Create, Delete, Disable, NoChange, Step, Update, plan
from rollbook.provisioning.states import Event, move
from rollbook.provisioning.swaps import ADVICE, ring_of, temporary
from rollbook.provisioning.targets.base import Target
from rollbook.provisioning.wanted import Kind, Wish, hub_document, kinds_of, label_of, wish_for
from rollbook.provisioning.work import (
    Engine,
    Expectation,
    Work,
    describe,
    expectation_of,
    find_account,
    frees_a_value,
    grace_ends,
    is_off,
    lease_of,
    leave_of,
    may_inherit,
    read_wish,
    situation_of,
    sought_by,
    sought_of,
    spare_protected,
    want_of,
)
from rollbook.storage.links import Link, Outcome, any_of

_MOMENT = 500
"""Milliseconds that others have for their new names, before who made room for them asks for the last one."""

_ATTEMPTS = 3  # an account that comes or goes between two calls is looked at again this often


BringFirst = Callable[[str, Sequence[str]], Awaitable[bool]]
"""Deliver some resources, if they are due, before the one that names them; whether any was."""


class Place(NamedTuple):
    """The number of the target, and of the run that what is done belongs to; and whose accounts go for good."""

    target: int
    run: int
    removes: frozenset[str] = frozenset()


class Delivery:
    """Deliveries to one target under one number."""

    def __init__(
        self,
        engine: Engine,
        target: model.Target,
        far: Target,
        place: Place,
        bring_first: BringFirst,
        guard: Guard,
    ) -> None:
        self._engine = engine
        self._target = target
        self._far = far
        self._number = place.target
        self._run = place.run
        self._removes = place.removes
        self._bring_first = bring_first
        self._guard = guard
        self._kinds = kinds_of(target, engine.catalog)
        self._members = Members(engine, target, far, place.target, self._kinds)
        self._freed: Counter[str] = Counter()
        """How many accounts of each type have gone, or let go of a value that nobody else may have."""
        self._spared: set[str] = set()
        """Whose account keeps something that an audit has reported."""
        self._freed_before: dict[str, int] = {}
        """The same when work on each resource began."""

    async def deliver(self, link: Link) -> Item:
        """Do for one claimed link what is to be done, and record it.

        Raises:
            ScimError, MappingError, NeedsPerson: it could not be done; nothing but a remote id is recorded.
            Overtaken: another worker has the link now.
            Later: the account is being worked on for somebody else, or would go, or be made, without the brake having seen it.
        """
        lease.hold(lease_of(self._engine, self._target, link.due))
        self._spared.discard(link.id)
        self._freed_before[link.id] = self._freed[link.resource_type]
        kind = self._kinds[link.resource_type]
        wish = await read_wish(self._engine, kind, link.id)
        if wish.left is None and not self._guard.may_arrive(link):
            raise Unseen
        leave = self._leave(link, kind, wish.left)
        want = want_of(kind, wish, await self._accounts(link, wish), leave)
        work = Work(link, kind, want)
        step: Step = NoChange()
        if link.confirmed != want.digest or link.remote_id is None:
            work, step = await self._settle(work)
        if work.link.remote_id is None:
            return await self._drop(work.link, describe(self._target, work, step, (0, 0)))
        work, moved = await self._members.settle(work)
        item = describe(self._target, work, step, moved)
        await self._finish(work, item, frees=frees_a_value(kind, step))
        self._freed_before.pop(link.id, None)
        return item

    async def _planned(self, work: Work, account: ScimResource | None) -> Step:
        """What is to be done; without what an audit has reported, where it was decided that it stays so.

        Raises:
            Unseen: the account would go without the brake having seen it.
        """
        step = plan(situation_of(work, None if account is None else account.body))
        again = isinstance(step, Disable) and work.link.disabled  # it was counted when we switched it off
        if isinstance(step, Disable | Delete) and not again and not self._guard.may_leave(work.link):
            raise Unseen
        if self._target.drift is None:
            return step
        links, tenant = self._engine.links, self._engine.tenant
        kept = without_reported(step, await links.drift_of(tenant, self._number, work.link.key))
        if kept is not step:
            self._spared.add(work.link.id)
        return kept

    def has_freed_since(self, link: Link) -> bool:
        """Whether something was freed that a resource may have lacked, while it was being tried and failed."""
        before = self._freed_before.get(link.id)
        return before is not None and self._freed[link.resource_type] > before

    async def waits_for(self, link: Link, error: Exception) -> dict[str, str | None]:
        """What may be the end of a failure, by what is known of it: other accounts of ours at this target.

        Those it names, those in the way, and where the target does not say which one is in the way, any of its type.
        """
        links, tenant = self._engine.links, self._engine.tenant
        found: dict[str, str | None] = dict(await self._named(link))
        for name, account in error.accounts if isinstance(error, NeedsPerson) else ():
            holder = await links.holder(tenant, self._number, name, account)
            if holder is not None and holder.id != link.id:
                found[holder.id] = account
        if isinstance(error, errors.Conflict):
            found[any_of(link.resource_type)] = None
        return found

    async def _named(self, link: Link) -> Mapping[str, str | None]:
        kind = self._kinds[link.resource_type]
        try:
            wish = await read_wish(self._engine, kind, link.id)
        except MappingError:
            return {}
        ids = sorted(wish.references)
        accounts = await self._engine.links.remote_ids(self._engine.tenant, self._number, ids)
        return {own: accounts.get(own) for own in ids}

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
            step = await self._planned(work, account)
            try:
                done = await self._carry_out(work, step, account)
            except errors.NotFound:
                if account is None:
                    raise
                work = await self._keep_remote_id(work, None)
            except errors.Conflict as error:
                if isinstance(step, Update) and account is not None:
                    await self._swap(work, step, account, error)
                if not isinstance(step, Create):
                    raise
                conflict = error
            else:
                self._freed[work.link.resource_type] += frees_a_value(work.kind, step)
                return done, step
        raise NeedsPerson("the account comes and goes: something else writes at the target")

    async def _swap(self, work: Work, step: Update, account: ScimResource, conflict: errors.Conflict) -> None:
        """Begin to undo the ring in which people want each other's names, if it is one (FE-21).

        Raises:
            Swapping: this one has a name of the moment; all others can have theirs now.
            Conflict: it is for another to begin, or nobody may.
        """
        links, tenant, now = self._engine.links, self._engine.tenant, self._engine.now()
        ring = await ring_of(self._engine, self._far, self._number, work, step.differences)
        if ring is None:
            return
        if ring.closed and not self._target.temporary_names:
            raise errors.Uniqueness(f"{conflict.detail}; {ring.told}: {ADVICE}") from conflict
        begins = ring.closed and ring.is_first(work.link)
        item: Item | None = None
        if begins:
            moment = temporary(work, ring)
            await self._far.update(work.kind, account, (moment,))
            item = describe(self._target, work, Update((moment,), f"for a moment: {ring.told}"), (0, 0))
            self._freed[work.link.resource_type] += 1
        ranks = {name: kind.rank for name, kind in self._kinds.items()}
        for other in ring.others:
            await links.mark(tenant, self._number, ranks, other.id, now)
        if item is None:
            return
        outcome = Outcome(
            state=move(work.link.state, Event.RETRY),
            due=now + _MOMENT,
            attempts=work.link.attempts,
            error=failure_text(
                f"it has {moment.new} for a moment: {ring.told}", "nothing: it goes on by itself"
            ),
            entry=entry_of(self._run, item, now),
        )
        self._held(await links.fail(tenant, self._number, work.link, outcome))
        raise Swapping(item)

    async def _present(self, work: Work) -> tuple[Work, ScimResource | None]:
        """The account, by its remote id if it is known, else by looking for it (client.md 5)."""
        remote_id, left = work.link.remote_id, work.want.wish.left
        if remote_id is not None:
            if left is not None and work.want.leave is not Leave.DISABLE and self._target.protect is None:
                return work, ScimResource(remote_id, None, None, {})  # what it holds does not matter
            account = await self._far.read(work.kind, remote_id)
            if not await self._guard.saw(there=account is not None):
                raise Later
            if account is not None:
                spare_protected(self._target, work, account)
                return work, account
            work = await self._keep_remote_id(work, None)
        sought = sought_of(work)
        if not sought:
            return work, None
        account = await find_account(self._far, work.kind, sought, self._target.sensitive)
        if account is None:
            self._wait_until_settled(work)
            return work, None
        spare_protected(self._target, work, account)
        work = replace(work, adopted=work.link.sought is None)
        try:
            work = await self._keep_remote_id(
                work, account.id, inherit=may_inherit(work, account), disabled=is_off(account)
            )
        except NeedsPerson:
            if left is None:
                raise
            return work, None  # whoever left has none: somebody else got it meanwhile
        return work, account

    def _wait_until_settled(self, work: Work) -> None:
        """Some targets show an account only a while after they have made it: until then nobody makes a second (FE-03).

        Raises:
            Later: one may have been made so lately that the target need not show it yet.
        """
        expected = expectation_of(work.link)
        settled = None if expected is None else expected.since + self._target.settle
        if settled is not None and self._engine.now() < settled:
            raise Later(settled)

    async def _carry_out(self, work: Work, step: Step, account: ScimResource | None) -> Work:
        match step:
            case Create(body=body):
                work = await self._create(work, body)
                return replace(work, created=True)
            case Update(differences=differences) | Disable(differences=differences) if account is not None:
                await self._far.update(work.kind, account, differences)
            case Delete() if account is not None:
                await self._far.delete(work.kind, account)
                return await self._keep_remote_id(work, None)
            case _:
                pass
        return work

    async def _create(self, work: Work, body: JsonObject) -> Work:
        """Make the account. Until its id is known, or it was refused, the link says that there may be one."""
        await self._expect(work, Expectation(sought_by(work.kind, body), self._engine.now()).text)
        try:
            created = await self._far.create(work.kind, body)
        except errors.RequestError:
            await self._expect(work, None)
            raise
        return await self._keep_remote_id(work, created.id)

    async def _expect(self, work: Work, sought: str | None) -> None:
        links, tenant = self._engine.links, self._engine.tenant
        self._held(await links.expect_account(tenant, self._number, work.link, sought))

    def _leave(self, link: Link, kind: Kind, left: str | None) -> Leave:
        if link.id in self._removes:
            return Leave.DELETE
        return leave_of(link, left, self._target, kind, self._engine.now())

    async def _finish(self, work: Work, item: Item, *, frees: bool) -> None:
        left, now = work.want.wish.left is not None, self._engine.now()
        ends = grace_ends(work.link, work.want.wish.left, self._target, now)
        outcome = Outcome(
            state=move(work.link.state, Event.LEAVE if left else Event.FINISH),
            due=now,
            until=ends,
            left_at=None if ends is None else ends - self._target.leave.grace,
            confirmed=work.want.digest,
            disabled=left and work.want.leave is Leave.DISABLE,
            references=work.want.references,
            frees=frees,
            drift_over=item.changes and work.link.id not in self._spared,
            entry=entry_of(self._run, item, now),
        )
        self._held(await self._engine.links.finish(self._engine.tenant, self._number, work.link, outcome))

    async def _drop(self, link: Link, item: Item) -> Item:
        now = self._engine.now()
        entry = entry_of(self._run, item, now)
        self._held(await self._engine.links.drop(self._engine.tenant, self._number, link, now, entry))
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
            others = [] if remote_id is None else [(work.kind.resource_type.name, remote_id)]
            raise NeedsPerson(error.detail, others) from error
        except errors.Conflict as error:
            raise Later from error
        self._held(kept)
        link = replace(work.link, remote_id=remote_id, confirmed=None, disabled=disabled, members_read=False)
        return replace(work, link=link, created=False)

    def _held(self, kept: bool) -> None:
        if not kept:
            raise Overtaken
