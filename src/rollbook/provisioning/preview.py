"""What a run would do at a target, by the same decisions, without writing there or in the links (I-27)."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rollbook.client import ScimResource
from rollbook.protocol.errors import StoreUnavailable, TargetError, Unauthorized
from rollbook.provisioning import model
from rollbook.provisioning.brake import GET, Brake, Wave, Waves, arrives, departs, person_of
from rollbook.provisioning.confirmed import Confirmed, Page
from rollbook.provisioning.drift import without_reported
from rollbook.provisioning.guard import Presence
from rollbook.provisioning.items import Action, Item
from rollbook.provisioning.model import Leave, MappingError
from rollbook.provisioning.plan import Create, Delete, NoChange, Step, plan
from rollbook.provisioning.reach import groups_count, reach_digest
from rollbook.provisioning.retry import explain, hint
from rollbook.provisioning.targets.base import Target
from rollbook.provisioning.targets.rates import seconds_for
from rollbook.provisioning.wanted import Kind, Wish, kinds_of, record_label
from rollbook.provisioning.work import (
    Engine,
    Work,
    any_freed,
    describe,
    document_of,
    find_account,
    is_off,
    leave_of,
    read_wish,
    situation_of,
    sought_of,
    spare_protected,
    want_of,
)
from rollbook.storage.links import Link, Progress, State, any_of

_PAGE = 1000
_WRITES = (Action.CREATE, Action.CHANGE, Action.COMPLETE, Action.DISABLE, Action.DELETE)
_PARKED_TOLD = 200


@dataclass
class Preview:
    """The figures of a preview. `stopped` says why it ended early, None if it did not."""

    target: str
    counts: Counter[str] = field(default_factory=Counter)
    stopped: str | None = None
    hint: str | None = None
    compared: Counter[str] = field(default_factory=Counter)
    """How many resources of each type were looked at."""
    seconds: float | None = None
    """About how long it will take by the target's rate limits, None if it has none."""
    braked: Sequence[Wave] = ()
    """Those that the brake would not let go, or come, with the reason."""
    vanished: str | None = None
    """Why a run would stop rather than make anew whoever is gone at the target (FE-26), None if it would not."""
    held: str | None = None
    """Why nothing goes out at present, such as a pause, None if it does."""

    @property
    def pending(self) -> bool:
        """Whether a run would change anything."""
        return any(
            self.counts[action]
            for action in Action
            if action not in {Action.NOTHING, Action.KEEP, Action.PARK}
        )


class Previewer:
    """A preview of one target, to be walked through once."""

    def __init__(
        self,
        engine: Engine,
        target: model.Target,
        far: Target,
        removes: frozenset[str] = frozenset(),
        *,
        full: bool = False,
    ) -> None:
        """`removes` has the hub ids of those whose accounts go for good if they have left.

        With `full` what everybody should have is worked out anew, not only for those that have changed, and compared with what was confirmed last.
        """
        self._full = full
        self.preview = Preview(target.name)
        self._engine = engine
        self._target = target
        self._far = far
        self._removes = removes
        self._kinds = kinds_of(target, engine.catalog)
        self._progress: Progress | None = None
        self._brake = Brake(engine, target, self._kinds, removes)
        self._waves = Waves.none(target.name)
        self._parallel = asyncio.Semaphore(target.concurrency)
        self._confirmed: dict[int, Confirmed] = {}
        self._presence = Presence()
        self._waited_for = False
        """Whether anything was given up until something else changes."""
        self._created: dict[str, str] = {}
        """Hub id → stand-in for the account, of everybody who would get one; or the account that would be taken over."""
        self._deleted: set[str] = set()
        """Remote ids of accounts that would be deleted."""

    async def items(self) -> AsyncIterator[Item]:
        """What would be done, users before groups; nothing for what stays as it is.

        Raises:
            StoreUnavailable: our own database cannot be read.
        """
        await self._engine.keep_time()
        self._progress = await self._engine.links.target(self._engine.tenant, self._target.name)
        self.preview.held = self._progress.stopped if self._progress else None
        everything = self._full or await self._looks_at_everything()
        seen: set[str] = set()
        self._waited_for = self._progress is not None and await self._engine.links.has_waiters(
            self._engine.tenant, self._progress.number
        )
        woken: dict[str, set[str]] = {name: set() for name in self._kinds}
        for kind in sorted(self._kinds.values(), key=lambda kind: kind.rank):
            async for page in self._pages(kind, all=everything):
                for item in await self._look(kind, await self._unconfirmed(kind, page)):
                    seen.add(item.id)
                    await self._wake(kind, item, woken)
                    if self._count(item):
                        yield item
            again = sorted(woken[kind.resource_type.name] - seen)
            for item in await self._look(kind, [(own, await self._link(own)) for own in again]):
                if everything and item.action is Action.NOTHING:
                    continue  # counted with its page
                seen.add(item.id)
                if self._count(item):
                    yield item
        async for item in self._parked(seen):
            yield item
        self.preview.seconds = seconds_for(
            self._target.rate, sum(self.preview.counts[one] for one in _WRITES)
        )
        self.preview.braked = await self._brake.judge(self._progress, self._waves)

    async def _looks_at_everything(self) -> bool:
        progress, engine = self._progress, self._engine
        if progress is None or progress.walked is not None:
            return True
        if progress.digest != reach_digest(self._target, engine.catalog, engine.today):
            return True
        behind = await engine.store.last_change(engine.tenant) > progress.position
        return behind and any(groups_count(kind) for kind in self._kinds.values())

    async def _pages(self, kind: Kind, *, all: bool) -> AsyncIterator[Page]:
        after = 0
        while self.preview.stopped is None:
            page = await self._engine.links.pending(
                self._engine.tenant,
                self._progress,
                kind.resource_type.name,
                after,
                _PAGE,
                all=all,
                now=self._engine.now(),
            )
            if not page:
                return
            after = page[-1][0]
            yield [(own, link) for _, own, link in page]

    async def _unconfirmed(self, kind: Kind, page: Page) -> Page:
        """Those of a page that have to be looked at one by one; the others are counted."""
        if self._progress is None or kind.members:
            return page
        confirmed = self._confirmed.get(kind.rank)
        if confirmed is None:
            confirmed = Confirmed(self._engine, self._target, kind, self._progress.number)
            self._confirmed[kind.rank] = confirmed
        settled = await confirmed.among(page, self._removes)
        self.preview.counts[Action.NOTHING] += len(settled)
        self.preview.compared[kind.resource_type.name] += len(settled)
        return [(own, link) for own, link in page if own not in settled]

    async def _wake(self, kind: Kind, item: Item, woken: Mapping[str, set[str]]) -> None:
        """Note whom a run would take up again because of this: who names it, and who was given up until it changes."""
        if self._progress is None:
            return
        links, own = self._engine.links, (self._engine.tenant, self._progress.number)
        found: list[tuple[str, str]] = []
        if item.action in {Action.CREATE, Action.DELETE} or (kind.members and self._target.is_flat):
            found += await links.dependents(*own, item.id)
        if item.changes and self._waited_for:
            freed = item.action is Action.DELETE or any_freed(kind, item.differences)
            events = [item.id, *([any_of(item.resource_type)] if freed else [])]
            found += await links.waiters(*own, events)
        for resource_type, other in found:
            woken.get(resource_type, set()).add(other)

    async def _link(self, id: str) -> Link | None:
        if self._progress is None:
            return None
        return await self._engine.links.link(self._engine.tenant, self._progress.number, id)

    async def _look(self, kind: Kind, page: Page) -> list[Item]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._one(kind, own, link)) for own, link in page]
        return [item for task in tasks if (item := task.result()) is not None]

    def _count(self, item: Item) -> bool:
        """Count an item; whether people want to see it."""
        self.preview.counts[item.action] += 1
        self.preview.compared[item.resource_type] += 1
        return item.changes or item.action is not Action.NOTHING

    async def _one(self, kind: Kind, id: str, link: Link | None) -> Item | None:
        name = kind.resource_type.name
        link = link or Link(0, id, name, State.READY, 0, 0, 0, 0)
        async with self._parallel:
            if self.preview.stopped is not None:
                return None
            try:
                return await self._decide(kind, link)
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - told as a line, as a run would (C-8-02)
                return await self._refused(kind, link, error)

    async def _refused(self, kind: Kind, link: Link, error: Exception) -> Item | None:
        if isinstance(error, TargetError | Unauthorized):
            self.preview.stopped, self.preview.hint = explain(error), hint(error)
            return None
        record = await self._engine.store.get(self._engine.tenant, kind.resource_type, link.id, members=False)
        label = None if record is None else record_label(record, kind.resource_type)
        return Item(
            self._target.name,
            link.resource_type,
            link.id,
            label or link.id,
            Action.PARK,
            failure=explain(error),
            hint=hint(error),
            sensitive=self._target.sensitive,
        )

    async def _decide(self, kind: Kind, link: Link) -> Item:
        wish = await self._wish(kind, link)
        leave = leave_of(link, wish.left, self._target, kind, self._engine.now())
        leave = Leave.DELETE if link.id in self._removes else leave
        if departs(link, wish.left, leave, kind):
            self._waves.departures.add(link, leave.value)
        want = want_of(kind, wish, await self._accounts(kind, wish), leave)
        work = Work(link, kind, want)
        step: Step = NoChange()
        if link.confirmed != want.digest or link.remote_id is None:
            work, account = await self._present(work)
            step = plan(situation_of(work, None if account is None else account.body))
            if self._target.drift is not None and self._progress is not None:
                links, number = self._engine.links, self._progress.number
                step = without_reported(step, await links.drift_of(self._engine.tenant, number, link.key))
        if isinstance(step, Create):
            self._created[link.id] = f"account of {work.label}"
        elif work.adopted and work.link.remote_id is not None:
            self._created[link.id] = work.link.remote_id
        if isinstance(step, Delete) and work.link.remote_id is not None:
            self._deleted.add(work.link.remote_id)
        return describe(self._target, work, step, await self._moved(work, step))

    async def _wish(self, kind: Kind, link: Link) -> Wish:
        """What should be there; who would get an account is counted, whether or not the rules can say which."""
        left: str | None = None
        try:
            wish = await read_wish(self._engine, kind, link.id)
            left = wish.left
        finally:
            if arrives(link, left) and self._brake.counts_arrivals(self._progress):
                person = person_of(await document_of(self._engine, kind, link.id))
                self._waves.arrivals.add(link, GET, person)
        return wish

    async def _accounts(self, kind: Kind, wish: Wish) -> Mapping[str, str]:
        """Accounts of those referred to as they will be: with stand-ins for new ones, without deleted ones."""
        present = await self._remote_ids(sorted(wish.references))
        found: dict[str, str] = {}
        for other_id in wish.references:
            account = present.get(other_id) or self._created.get(other_id)
            if account is None or Leave.DELETE in self._target.leave.every:
                account = await self._account_to_be(kind, other_id, account)
            if account is not None:
                found[other_id] = account
        return found

    async def _account_to_be(self, kind: Kind, id: str, account: str | None) -> str | None:
        try:
            wish = await read_wish(self._engine, kind, id)
        except MappingError:
            return account  # that is told in its own line
        if wish.left is not None:
            return None
        return account or self._created.setdefault(id, f"account of {wish.label or id}")

    async def _remote_ids(self, ids: Sequence[str]) -> Mapping[str, str]:
        if self._progress is None:
            return {}
        return await self._engine.links.remote_ids(self._engine.tenant, self._progress.number, ids)

    async def _present(self, work: Work) -> tuple[Work, ScimResource | None]:
        """As a delivery finds it, with nothing recorded."""
        remote_id, left = work.link.remote_id, work.want.wish.left
        if remote_id is not None:
            if left is not None and work.want.leave is not Leave.DISABLE and self._target.protect is None:
                return work, ScimResource(remote_id, None, None, {})
            account = await self._far.read(work.kind, remote_id)
            self._note_presence(there=account is not None)
            if account is not None:
                spare_protected(self._target, work, account)
                return work, account
            work = replace(work, link=replace(work.link, remote_id=None, members_read=False))
        sought = sought_of(work)
        if not sought:
            return work, None
        account = await find_account(self._far, work.kind, sought, self._target.sensitive)
        if account is not None:
            spare_protected(self._target, work, account)
            work = replace(work, adopted=work.link.sought is None)
        account = None if account is None else await self._after_its_holder(work, account)
        if account is None:
            return replace(work, adopted=False), None
        link = replace(work.link, remote_id=account.id, members_read=False, disabled=is_off(account))
        return replace(work, link=link), account

    def _note_presence(self, *, there: bool) -> None:
        self._presence.note(there=there)
        if not there and self.preview.vanished is None and self._presence.is_suspicious:
            self.preview.vanished = self._presence.told

    async def _after_its_holder(self, work: Work, account: ScimResource) -> ScimResource | None:
        """The account as it will be once somebody who has it, and goes by the same plan, is gone."""
        engine = self._engine
        if self._progress is None:
            return account
        name = work.kind.resource_type.name
        holder = await engine.links.holder(engine.tenant, self._progress.number, name, account.id)
        if holder is None or holder.id == work.link.id:
            return account
        left = (await read_wish(engine, work.kind, holder.id)).left
        leave = leave_of(holder, left, self._target, work.kind, engine.now())
        if not departs(holder, left, leave, work.kind):
            return account
        return None if leave is Leave.DELETE else account._replace(body={**account.body, "active": False})

    async def _moved(self, work: Work, step: Step) -> tuple[int, int]:
        """How many members a group would get and lose."""
        left, leave = work.want.wish.left, work.want.leave
        unmade = work.link.remote_id is None and not isinstance(step, Create)
        if not work.kind.members or unmade or (left is not None and leave is not Leave.DISABLE):
            return 0, 0
        known = await self._known_members(work, step) - self._deleted
        inside = set() if left is not None else await self._wanted_members(work)
        added = len(inside - known)
        if self._progress is None:
            return added, 0
        return added, await self._engine.links.count_accounts(
            self._engine.tenant, self._progress.number, sorted(known - inside)
        )

    async def _known_members(self, work: Work, step: Step) -> set[str]:
        if isinstance(step, Create) or work.link.remote_id is None:
            return set()
        if work.link.members_read and self._progress is not None:
            number = self._progress.number
            return set(await self._engine.links.known_members(self._engine.tenant, number, work.link))
        return set(await self._far.read_members(work.kind, work.link.remote_id))

    async def _wanted_members(self, work: Work) -> set[str]:
        ids = await self._members_in_hub(work)
        accounts = await self._remote_ids(ids)
        found = (accounts.get(own) or self._created.get(own) for own in ids)
        return {account for account in found if account is not None} - self._deleted

    async def _members_in_hub(self, work: Work) -> Sequence[str]:
        engine = self._engine
        if self._target.is_flat:
            return await engine.links.people_in(engine.tenant, work.link.id)
        record = await engine.store.get(
            engine.tenant, work.kind.resource_type, work.link.id, members=True, groups=False
        )
        return [member.value for member in (record.members if record else None) or ()]

    async def _parked(self, seen: set[str]) -> AsyncIterator[Item]:
        """What earlier runs had to give up, and a run would not touch."""
        if self._progress is None:
            return
        links = self._engine.links
        for link in await links.parked(self._engine.tenant, self._progress.number, _PARKED_TOLD):
            kind = self._kinds.get(link.resource_type)
            if link.id in seen or kind is None:
                continue
            record = await self._engine.store.get(
                self._engine.tenant, kind.resource_type, link.id, members=False
            )
            reason, _, advice = (link.error or "").partition("\n")
            self.preview.counts[Action.PARK] += 1
            yield Item(
                self._target.name,
                link.resource_type,
                link.id,
                (record_label(record, kind.resource_type) if record else None) or link.id,
                Action.PARK,
                failure=reason,
                hint=advice or None,
            )
