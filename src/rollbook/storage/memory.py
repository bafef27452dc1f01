"""The reference store: dictionaries and `match`, nothing durable; for tests, and to measure others against."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.match import matches
from rollbook.protocol.query import Query
from rollbook.protocol.resource import Change, Member, Present, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.storage import memory_state as state
from rollbook.storage import refusals
from rollbook.storage.base import (
    USUAL,
    Act,
    Author,
    Decide,
    Found,
    Insert,
    LogEntry,
    QuirkUse,
    Record,
    Rules,
    TokenRecord,
    Updated,
)
from rollbook.storage.documents import decode, view
from rollbook.storage.memory_state import Holding, Kept
from rollbook.storage.places import Place, is_descending, place_of, window
from rollbook.storage.secrets import MemorySecrets
from rollbook.storage.sight import Sight


class MemoryStore:
    """`Store` and `TokenStore` in memory. Every method works out all it has to before it changes anything."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._tenants: dict[int, Holding] = {}
        self._tokens: dict[str, TokenRecord] = {}
        self.acts: list[Act] = []
        """What was done that changes no resource, in order."""
        self._settings: dict[str, str] = {}
        self.secrets = MemorySecrets()
        self._quirk_uses: dict[tuple[int, str, str], QuirkUse] = {}

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def get(
        self,
        tenant: int,
        resource_type: ResourceType,
        id: str,
        rules: Rules = USUAL,
        *,
        members: bool = True,
        groups: bool = True,
    ) -> Record | None:
        """The resource, or None."""
        kept = self._kept(tenant, resource_type, id)
        return self._record(self._of(tenant), kept, rules, members=members, groups=groups) if kept else None

    async def get_many(
        self,
        tenant: int,
        resource_type: ResourceType,
        ids: Sequence[str],
        rules: Rules = USUAL,
        *,
        members: bool = True,
        groups: bool = True,
    ) -> Mapping[str, Record]:
        """Those of the resources that exist and are of that type, by id."""
        of = self._of(tenant)
        kept = {own: found for own in ids if (found := self._kept(tenant, resource_type, own))}
        return {
            own: self._record(of, found, rules, members=members, groups=groups) for own, found in kept.items()
        }

    async def search(
        self, tenant: int, query: Query, rules: Rules = USUAL, *, members: bool = True, groups: bool = True
    ) -> Found:
        """One page of matches, found by looking at every resource."""
        of = self._of(tenant)
        placed = dict(self._matching(of, query, rules))
        places = sorted(placed, reverse=is_descending(query))
        part, total, before, after = window(places, query)
        records = [
            self._record(of, placed[place], rules, members=members, groups=groups) for place in places[part]
        ]
        return Found(total, records, before, after)

    async def referred(
        self, tenant: int, ids: Sequence[str], sight: Sight | None = None
    ) -> Mapping[str, Member]:
        """Those resources of the tenant that exist and are seen, by id."""
        found = state.seen(self._of(tenant), sight)
        return {known: state.reference(found[known]) for known in ids if known in found}

    async def insert(
        self,
        tenant: int,
        resource_type: ResourceType,
        id: str,
        change: Change,
        author: Author,
        rules: Rules = USUAL,
    ) -> Record:
        """Create a resource."""
        of = self._of(tenant)
        kept = state.new(of, Insert(resource_type, id, change), author)
        state.check_references(of, kept, {}, change.document or {}, rules)
        added = state.check_members(of, kept, change.add_members, rules)
        state.keep(of, None, kept)
        state.join(of, kept, added, author)
        return self._record(of, kept, rules, members=True, groups=True)

    async def insert_together(
        self, tenant: int, inserts: Sequence[Insert], author: Author, rules: Rules = USUAL
    ) -> Sequence[Record]:
        """Create resources that may refer to each other, on a copy that takes the place of the tenant at the end."""
        of = state.copied(self._of(tenant))

        def put(one: Insert) -> tuple[Kept, Insert]:
            kept = state.new(of, one, author)
            state.keep(of, None, kept)
            return kept, one

        def join(made: tuple[Kept, Insert]) -> Record:
            kept, one = made
            state.check_references(of, kept, {}, one.change.document or {}, rules)
            state.join(of, kept, state.check_members(of, kept, one.change.add_members, rules), author)
            return self._record(of, kept, rules, members=False, groups=False)

        records = refusals.stepwise(refusals.stepwise(inserts, put), join)
        self._tenants[tenant] = of
        return records

    async def update(
        self,
        tenant: int,
        resource_type: ResourceType,
        id: str,
        decide: Decide,
        scope: Scope,
        author: Author,
        rules: Rules = USUAL,
        *,
        if_match: Callable[[str], bool] | None = None,
        heavy: bool = False,
    ) -> Updated | None:
        """Apply what `decide` says of the present state."""
        del heavy  # nobody waits here
        of, old = self._of(tenant), self._kept(tenant, resource_type, id)
        if old is None:
            return None
        refusals.check_version(state.version(old), if_match)
        change = decide(Present(decode(old.stored.body, old.stored.extra), state.in_scope(of, old, scope)))
        new = state.apply(of, old, change, author, rules)
        return Updated(self._record(of, new, rules, members=False, groups=True), changed=new is not old)

    async def delete(
        self,
        tenant: int,
        resource_type: ResourceType,
        id: str,
        author: Author,
        rules: Rules = USUAL,
        *,
        if_match: Callable[[str], bool] | None = None,
    ) -> bool:
        """Remove a resource and its memberships."""
        of, kept = self._of(tenant), self._kept(tenant, resource_type, id)
        if kept is None:
            return False
        refusals.check_version(state.version(kept), if_match)
        state.log(of, kept, "delete", author, {})
        others = [other for other in of.resources.values() if other.id != id]
        for other in sorted(others, key=lambda other: other.number):
            state.release(of, other, kept, author, rules)
        for value in kept.unique:
            del of.unique[value]
        of.departed.update(of.members[id])
        of.departed.discard(id)
        del of.members[id], of.resources[id]
        return True

    async def was_member(self, tenant: int, id: str) -> bool:
        """Whether the resource is a member of anything, or was once."""
        of = self._of(tenant)
        return id not in of.resources or id in of.departed or bool(state.containers(of, id))

    async def changes(self, tenant: int, after: int, limit: int) -> Sequence[LogEntry]:
        """Log entries with a sequence number above `after`."""
        return self._of(tenant).log[after : after + limit]

    async def last_change(self, tenant: int) -> int:
        """The highest sequence number, 0 if there is none."""
        return len(self._of(tenant).log)

    async def token(self, id: str) -> TokenRecord | None:
        """The token, or None."""
        return self._tokens.get(id)

    async def add_token(self, token: TokenRecord, act: Act | None = None) -> None:
        """Keep a new token."""
        self._tell(act)
        self._tokens[token.id] = token

    async def revoke_token(self, tenant: int, id: str, at: int, act: Act | None = None) -> bool:
        """End a token at once."""
        found = self._tokens.get(id)
        if found is None or not _is_valid(found, tenant, at):
            return False
        self._tokens[id] = replace(found, revoked=at)
        self._tell(act)
        return True

    async def rotate_token(self, token: TokenRecord, former: str, until: int, act: Act | None = None) -> bool:
        """Keep a new token in the place of another, which ends then."""
        found = self._tokens.get(former)
        if found is None or not _is_valid(found, token.tenant, token.created):
            return False
        self._tokens[former] = replace(found, expires=min(until, found.expires or until))
        self._tokens[token.id] = token
        self._tell(act)
        return True

    def _tell(self, act: Act | None) -> None:
        if act is not None:
            self.acts.append(act)

    async def note_token_uses(self, uses: Mapping[str, int]) -> None:
        """When tokens were last used, by id."""
        for identifier, at in uses.items():
            found = self._tokens.get(identifier)
            if found is not None:
                self._tokens[identifier] = replace(found, used=max(at, found.used or 0))

    async def tokens(self, tenant: int) -> Sequence[TokenRecord]:
        """All tokens of a tenant, oldest first."""
        found = [
            token
            for token in self._tokens.values()
            if token.tenant == tenant and token.origin in {"", "certificate"}
        ]
        return sorted(found, key=lambda token: (token.created, token.id))

    async def add_quirk_uses(self, uses: Sequence[QuirkUse]) -> None:
        """Add to what was counted before."""
        for use in uses:
            known = self._quirk_uses.get(use[:3])
            self._quirk_uses[use[:3]] = (
                known._replace(uses=known.uses + use.uses, last=max(known.last, use.last)) if known else use
            )

    async def quirk_uses(self, tenant: int) -> Sequence[QuirkUse]:
        """Everything counted for a tenant, by token and quirk."""
        return [use for key, use in sorted(self._quirk_uses.items()) if key[0] == tenant]

    async def setting(self, name: str) -> str | None:
        """A value this store keeps for the service itself."""
        return self._settings.get(name)

    async def keep_setting(self, name: str, value: str) -> str:
        """Set a value unless there is one; returns the one that holds."""
        return self._settings.setdefault(name, value)

    def _of(self, tenant: int) -> Holding:
        return self._tenants.setdefault(tenant, Holding())

    def _kept(self, tenant: int, resource_type: ResourceType, id: str) -> Kept | None:
        kept = self._of(tenant).resources.get(id)
        return kept if kept is not None and kept.resource_type.name == resource_type.name else None

    def _matching(self, of: Holding, query: Query, rules: Rules) -> Iterator[tuple[Place, Kept]]:
        for kept in of.resources.values():
            if kept.resource_type.name != query.resource_type.name or query.maker not in {None, kept.maker}:
                continue
            document = view(self._record(of, kept, rules, members=True, groups=True), kept.resource_type)
            if query.filter is None or matches(query.filter, document):
                yield place_of(query.order, document, kept.number), kept

    def _record(self, of: Holding, kept: Kept, rules: Rules, *, members: bool, groups: bool) -> Record:
        resource_type = kept.resource_type
        members = members and resource_type.memberships is not None
        groups = groups and resource_type.derived is not None
        return Record(
            kept.id, resource_type.name, state.version(kept), kept.created, kept.modified,
            kept.stored.body, kept.stored.extra,
            state.members_of(of, kept) if members else None,
            state.groups_of(self.catalog, of, kept, indirect=rules.indirect_groups) if groups else None,
        )  # fmt: skip


def _is_valid(token: TokenRecord, tenant: int, at: int) -> bool:
    """Whether it is the tenant's, and still valid then."""
    return token.tenant == tenant and token.revoked is None and (token.expires is None or token.expires > at)
