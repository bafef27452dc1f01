"""Whose account is what it should be, told for a whole page of resources: by digests, without a query for each of them.

It never says so of anybody for whom a run would do something; who is left is looked at one by one.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from rollbook.protocol.values import JsonObject
from rollbook.provisioning import model
from rollbook.provisioning.brake import departs
from rollbook.provisioning.model import Leave, MappingError
from rollbook.provisioning.reach import groups_count
from rollbook.provisioning.wanted import Kind, Wish, hub_document, left_because, wish_for
from rollbook.provisioning.work import Engine, leave_of, want_of
from rollbook.storage.links import Link, State

Page = Sequence[tuple[str, Link | None]]
"""Resources by id, in the order of their keys, with what is known of them at the target."""

_REMEMBERED = 10_000
"""Of so many that others name (managers, mostly) it is remembered whether they stay."""


class Confirmed:
    """What one target is known to hold of one resource type, beside what it should."""

    def __init__(self, engine: Engine, target: model.Target, kind: Kind, number: int) -> None:
        self._engine = engine
        self._target = target
        self._kind = kind
        self._number = number
        self._groups = groups_count(kind)
        self._deletes = Leave.DELETE in target.leave.every
        self._stays: dict[str, bool] = {}

    async def among(self, page: Page, removes: AbstractSet[str]) -> frozenset[str]:
        """Those of a page for whom nothing is to be done.

        `removes` has the hub ids of those whose accounts go for good if they have left.

        Raises:
            StoreUnavailable: our own database cannot be read.
        """
        known = {own: link for own, link in page if link is not None and _is_settled(link)}
        known = {own: link for own, link in known.items() if own not in removes}
        wishes = await self._wishes(sorted(known))
        named = frozenset(other for wish in wishes.values() for other in wish.references)
        accounts = await self._engine.links.remote_ids(self._engine.tenant, self._number, sorted(named))
        staying = await self._staying(named - removes)
        return frozenset(
            own
            for own, wish in wishes.items()
            if wish.references <= staying
            and wish.references <= accounts.keys()
            and self._is_confirmed(known[own], wish, accounts)
        )

    async def _wishes(self, ids: Sequence[str]) -> Mapping[str, Wish]:
        """What should be there, of those the rules can be applied to."""
        documents = await self._documents(ids)
        today, found = self._engine.today, {}
        for own in ids:
            try:
                found[own] = wish_for(self._kind, documents.get(own), today)
            except MappingError:
                continue  # told when it is looked at by itself
        return found

    async def _documents(self, ids: Sequence[str]) -> Mapping[str, JsonObject]:
        """The hub's resources; without their groups, which cost most, where nothing depends on them."""
        records = await self._engine.store.get_many(
            self._engine.tenant, self._kind.resource_type, ids, members=False, groups=self._groups
        )
        return {own: hub_document(record, self._kind.resource_type) for own, record in records.items()}

    async def _staying(self, ids: AbstractSet[str]) -> AbstractSet[str]:
        """Those whose accounts are not about to be deleted."""
        if not self._deletes:
            return ids
        new = sorted(ids - self._stays.keys())
        if len(self._stays) + len(new) > _REMEMBERED:
            self._stays.clear()
            new = sorted(ids)
        documents = await self._documents(new)
        for own in new:
            self._stays[own] = left_because(self._kind, documents.get(own)) is None
        return {own for own in ids if self._stays[own]}

    def _is_confirmed(self, link: Link, wish: Wish, accounts: Mapping[str, str]) -> bool:
        leave = leave_of(link, wish.left, self._target, self._kind, self._engine.now())
        if departs(link, wish.left, leave, self._kind):
            return False
        return want_of(self._kind, wish, accounts, leave).digest == link.confirmed


def _is_settled(link: Link) -> bool:
    return link.state is not State.PARKED and link.remote_id is not None and link.confirmed is not None
