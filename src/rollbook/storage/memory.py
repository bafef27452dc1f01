"""The reference store: dictionaries and `match`, nothing durable; for tests, and to measure others against."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rollbook.protocol import compare
from rollbook.protocol.attributes import Uniqueness
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.match import matches, values
from rollbook.protocol.query import Query
from rollbook.protocol.resource import Change, Member, Present, Scope
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage import refusals
from rollbook.storage.base import (
    USUAL,
    Author,
    Decide,
    Found,
    Insert,
    LogEntry,
    Record,
    References,
    Rules,
    TokenRecord,
    Updated,
)
from rollbook.storage.documents import Stored, changed_attributes, decode, encode, view
from rollbook.storage.places import Place, is_descending, place_of, window


@dataclass(frozen=True, slots=True)
class _Kept:
    """A resource as it is stored, and what is told of it; `number` orders resources by creation."""

    resource_type: ResourceType
    id: str
    number: int
    version: int
    created: int
    modified: int
    stored: Stored
    unique: frozenset[tuple[str, str, bytes]]
    """Resource type, path and key of each of its unique values."""


@dataclass(slots=True)
class _Tenant:
    """Everything of one tenant.

    `members` maps the id of a resource to those of its members; `departed` are those that were members once.
    """

    resources: dict[str, _Kept] = field(default_factory=dict)
    unique: dict[tuple[str, str, bytes], str] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)
    departed: set[str] = field(default_factory=set)
    log: list[LogEntry] = field(default_factory=list)
    made: int = 0


class MemoryStore:
    """`Store` and `TokenStore` in memory. Every method works out all it has to before it changes anything."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._tenants: dict[int, _Tenant] = {}
        self._tokens: dict[str, TokenRecord] = {}
        self._settings: dict[str, str] = {}

    async def open(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Nothing to do."""

    async def get(
        self, tenant: int, resource_type: ResourceType, id: str, *, members: bool = True, groups: bool = True
    ) -> Record | None:
        """The resource, or None."""
        kept = self._kept(tenant, resource_type, id)
        return self._record(self._of(tenant), kept, members=members, groups=groups) if kept else None

    async def search(self, tenant: int, query: Query, *, members: bool = True, groups: bool = True) -> Found:
        """One page of matches, found by looking at every resource."""
        of = self._of(tenant)
        placed = dict(self._matching(of, query))
        places = sorted(placed, reverse=is_descending(query))
        part, total, before, after = window(places, query)
        records = [self._record(of, placed[place], members=members, groups=groups) for place in places[part]]
        return Found(total, records, before, after)

    async def referred(self, tenant: int, ids: Sequence[str]) -> Mapping[str, Member]:
        """Those resources of the tenant that exist, by id."""
        found = self._of(tenant).resources
        return {known: _reference(found[known]) for known in ids if known in found}

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
        kept = _new(of, Insert(resource_type, id, change), author)
        _check_references(of, kept, {}, change.document or {}, rules)
        added = _check_members(of, kept, change.add_members, rules)
        _keep(of, None, kept)
        _join(of, kept, added, author)
        return self._record(of, kept, members=True, groups=True)

    async def insert_together(
        self, tenant: int, inserts: Sequence[Insert], author: Author, rules: Rules = USUAL
    ) -> Sequence[Record]:
        """Create resources that may refer to each other, on a copy that takes the place of the tenant at the end."""
        of = _copy(self._of(tenant))

        def put(one: Insert) -> tuple[_Kept, Insert]:
            kept = _new(of, one, author)
            _keep(of, None, kept)
            return kept, one

        def join(made: tuple[_Kept, Insert]) -> Record:
            kept, one = made
            _check_references(of, kept, {}, one.change.document or {}, rules)
            _join(of, kept, _check_members(of, kept, one.change.add_members, rules), author)
            return self._record(of, kept, members=False, groups=False)

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
    ) -> Updated | None:
        """Apply what `decide` says of the present state."""
        of, old = self._of(tenant), self._kept(tenant, resource_type, id)
        if old is None:
            return None
        refusals.check_version(_version(old), if_match)
        change = decide(Present(decode(old.stored.body, old.stored.extra), _in_scope(of, old, scope)))
        new = _apply(of, old, change, author, rules)
        return Updated(self._record(of, new, members=False, groups=True), changed=new is not old)

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
        refusals.check_version(_version(kept), if_match)
        _log(of, kept, "delete", author, {})
        others = [other for other in of.resources.values() if other.id != id]
        for other in sorted(others, key=lambda other: other.number):
            _release(of, other, kept, author, rules)
        for value in kept.unique:
            del of.unique[value]
        of.departed.update(of.members[id])
        of.departed.discard(id)
        del of.members[id], of.resources[id]
        return True

    async def was_member(self, tenant: int, id: str) -> bool:
        """Whether the resource is a member of anything, or was once."""
        of = self._of(tenant)
        return id not in of.resources or id in of.departed or bool(_containers(of, id))

    async def changes(self, tenant: int, after: int, limit: int) -> Sequence[LogEntry]:
        """Log entries with a sequence number above `after`."""
        return self._of(tenant).log[after : after + limit]

    async def last_change(self, tenant: int) -> int:
        """The highest sequence number, 0 if there is none."""
        return len(self._of(tenant).log)

    async def token(self, id: str) -> TokenRecord | None:
        """The token, or None."""
        return self._tokens.get(id)

    async def add_token(self, token: TokenRecord) -> None:
        """Keep a new token."""
        self._tokens[token.id] = token

    async def tokens(self, tenant: int) -> Sequence[TokenRecord]:
        """All tokens of a tenant, oldest first."""
        found = [token for token in self._tokens.values() if token.tenant == tenant]
        return sorted(found, key=lambda token: (token.created, token.id))

    async def setting(self, name: str) -> str | None:
        """A value this store keeps for the service itself."""
        return self._settings.get(name)

    async def keep_setting(self, name: str, value: str) -> str:
        """Set a value unless there is one; returns the one that holds."""
        return self._settings.setdefault(name, value)

    def _of(self, tenant: int) -> _Tenant:
        return self._tenants.setdefault(tenant, _Tenant())

    def _kept(self, tenant: int, resource_type: ResourceType, id: str) -> _Kept | None:
        kept = self._of(tenant).resources.get(id)
        return kept if kept is not None and kept.resource_type.name == resource_type.name else None

    def _matching(self, of: _Tenant, query: Query) -> Iterator[tuple[Place, _Kept]]:
        for kept in of.resources.values():
            if kept.resource_type.name != query.resource_type.name:
                continue
            document = view(self._record(of, kept, members=True, groups=True), kept.resource_type)
            if query.filter is None or matches(query.filter, document):
                yield place_of(query.order, document, kept.number), kept

    def _record(self, of: _Tenant, kept: _Kept, *, members: bool, groups: bool) -> Record:
        resource_type = kept.resource_type
        members = members and resource_type.memberships is not None
        groups = groups and resource_type.derived is not None
        return Record(
            kept.id, resource_type.name, _version(kept), kept.created, kept.modified,
            kept.stored.body, kept.stored.extra,
            _members(of, kept) if members else None,
            _groups(self.catalog, of, kept) if groups else None,
        )  # fmt: skip


def _copy(of: _Tenant) -> _Tenant:
    members = {container: set(each) for container, each in of.members.items()}
    return _Tenant(dict(of.resources), dict(of.unique), members, set(of.departed), list(of.log), of.made)


def _new(of: _Tenant, insert: Insert, author: Author) -> _Kept:
    """A resource as it would be kept, if nothing stands against it but its members."""
    if insert.id in of.resources:
        raise refusals.id_in_use(insert.id)
    resource_type, document = insert.resource_type, insert.change.document or {}
    stored, unique = encode(document, resource_type), _unique_values(resource_type, document)
    kept = _Kept(resource_type, insert.id, of.made + 1, 1, author.at, author.at, stored, unique)
    _check_unique(of, kept)
    return kept


def _join(of: _Tenant, kept: _Kept, added: Sequence[str], author: Author) -> None:
    of.members[kept.id].update(added)
    _log(of, kept, "create", author, _member_detail(added, []))


def _version(kept: _Kept) -> str:
    return f'W/"0-{kept.version}"'


def _reference(kept: _Kept) -> Member:
    return Member(kept.id, kept.resource_type.name, kept.stored.display)


def _members(of: _Tenant, kept: _Kept) -> tuple[Member, ...]:
    found = (of.resources[member] for member in of.members[kept.id])
    return tuple(map(_reference, sorted(found, key=lambda member: member.number)))


def _groups(catalog: Catalog, of: _Tenant, kept: _Kept) -> tuple[Member, ...]:
    shown = catalog.shown_groups(kept.resource_type)
    return tuple(_reference(group) for group in _containers(of, kept.id) if group.resource_type.name in shown)


def _in_scope(of: _Tenant, kept: _Kept, scope: Scope) -> Mapping[str, Member]:
    members = _members(of, kept)
    return {member.value: member for member in members if scope.all or member.value in scope.ids}


def _containers(of: _Tenant, id: str) -> list[_Kept]:
    found = [of.resources[container] for container, members in of.members.items() if id in members]
    return sorted(found, key=lambda container: container.number)


def _unique_paths(resource_type: ResourceType) -> Iterator[AttributePath]:
    for path in resource_type.paths():
        subs = (path._replace(sub=sub) for sub in path.attribute.sub_attributes)
        for candidate in (path, *subs):
            if candidate.leaf.uniqueness is not Uniqueness.NONE and not candidate.leaf.is_complex:
                yield candidate


def _unique_values(resource_type: ResourceType, document: JsonObject) -> frozenset[tuple[str, str, bytes]]:
    return frozenset(
        (resource_type.name, path.text, compare.key(path.leaf, value))
        for path in _unique_paths(resource_type)
        for _, value in values(path, document)
    )


def _check_unique(of: _Tenant, kept: _Kept) -> None:
    for value in sorted(kept.unique):
        if of.unique.get(value, kept.id) != kept.id:
            raise refusals.value_in_use(value[1], kept.resource_type)


def _types(of: _Tenant, kept: _Kept) -> dict[str, str]:
    found = {other.id: other.resource_type.name for other in of.resources.values()}
    return found | {kept.id: kept.resource_type.name}


def _check_references(of: _Tenant, kept: _Kept, old: JsonObject, new: JsonObject, rules: Rules) -> None:
    if rules.references is References.STRICT:
        refusals.check_references(kept.resource_type.references.added(old, new), _types(of, kept))


def _check_members(of: _Tenant, kept: _Kept, members: Sequence[Member], rules: Rules) -> list[str]:
    """The ids of those that are not members yet."""
    types = _types(of, kept)
    refusals.check_members(members, types, kept.resource_type, rules)
    members = [member for member in members if member.value in types]
    for member in members:
        if kept.id in _below(of, member.value):
            raise refusals.cycle(member.value, kept.resource_type)
    return sorted({member.value for member in members} - of.members.get(kept.id, set()))


def _below(of: _Tenant, id: str) -> set[str]:
    """The resource and everything in it, directly or not."""
    found, waiting = {id}, [id]
    while waiting:
        new = of.members.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def _keep(of: _Tenant, old: _Kept | None, new: _Kept) -> None:
    for value in old.unique if old else ():
        del of.unique[value]
    of.unique.update(dict.fromkeys(new.unique, new.id))
    of.resources[new.id] = new
    of.members.setdefault(new.id, set())
    of.made = max(of.made, new.number)


def _release(of: _Tenant, other: _Kept, gone: _Kept, author: Author, rules: Rules) -> None:
    """Take a resource that goes out of another one's members and references."""
    resource_type, document = other.resource_type, decode(other.stored.body, other.stored.extra)
    left, detail = document, _member_detail([], [gone.id] if gone.id in of.members[other.id] else [])
    if rules.references is not References.TOLERANT:
        left = resource_type.references.without(document, gone.resource_type.name, gone.id)
    if left != document:
        detail["attributes"] = changed_attributes(document, left)
    if detail:
        of.members[other.id].discard(gone.id)
        new = _changed(other, left, author)
        _keep(of, other, new)
        _log(of, new, "update", author, detail)


def _changed(old: _Kept, document: JsonObject, author: Author) -> _Kept:
    """The resource as it is after a write."""
    return replace(
        old,
        version=old.version + 1,
        modified=max(old.modified, author.at),
        stored=encode(document, old.resource_type),
        unique=_unique_values(old.resource_type, document),
    )


def _apply(of: _Tenant, old: _Kept, change: Change, author: Author, rules: Rules) -> _Kept:
    """Keep what a change leaves; the old resource itself if it changes nothing (A-31)."""
    before = decode(old.stored.body, old.stored.extra)
    document = before if change.document is None else old.resource_type.references.kept(change.document)
    new = _changed(old, document, author)
    _check_unique(of, new)
    _check_references(of, new, before, document, rules)
    added = _check_members(of, new, change.add_members, rules)
    removed = sorted(of.members[old.id].intersection(change.remove_members))
    detail = _member_detail(added, removed)
    if document != before:
        detail["attributes"] = changed_attributes(before, document)
    if not detail:
        return old
    of.members[old.id].difference_update(removed)
    of.departed.update(removed)
    of.members[old.id].update(added)
    _keep(of, old, new)
    _log(of, new, "update", author, detail)
    return new


def _member_detail(added: Sequence[str], removed: Sequence[str]) -> JsonObject:
    verbs = {verb: list(ids) for verb, ids in (("add", added), ("remove", removed)) if ids}
    return {"members": verbs} if verbs else {}


def _log(of: _Tenant, kept: _Kept, operation: str, author: Author, detail: JsonObject) -> None:
    sequence, version = len(of.log) + 1, _version(kept)
    of.log.append(
        LogEntry(
            sequence, kept.resource_type.name, kept.id, operation, version, author.name, author.at, detail
        )
    )
