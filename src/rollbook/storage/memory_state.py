"""What the reference store holds of a tenant, and what each write does to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from rollbook.protocol import compare
from rollbook.protocol.attributes import Uniqueness
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.match import values
from rollbook.protocol.resource import Change, Member, Scope
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage import refusals
from rollbook.storage.base import (
    Author,
    Insert,
    LogEntry,
    References,
    Rules,
)
from rollbook.storage.documents import Stored, changed_attributes, decode, encode
from rollbook.storage.sight import Sight


@dataclass(frozen=True, slots=True)
class Kept:
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
    maker: str | None = None


@dataclass(slots=True)
class Holding:
    """Everything of one tenant.

    `members` maps the id of a resource to those of its members; `departed` are those that were members once.
    """

    resources: dict[str, Kept] = field(default_factory=dict)
    unique: dict[tuple[str, str, bytes], str] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)
    departed: set[str] = field(default_factory=set)
    log: list[LogEntry] = field(default_factory=list)
    made: int = 0


def copied(of: Holding) -> Holding:
    """A copy to change apart."""
    members = {container: set(each) for container, each in of.members.items()}
    return Holding(dict(of.resources), dict(of.unique), members, set(of.departed), list(of.log), of.made)


def new(of: Holding, insert: Insert, author: Author) -> Kept:
    """A resource as it would be kept, if nothing stands against it but its members."""
    if insert.id in of.resources:
        raise refusals.id_in_use(insert.id)
    resource_type, document = insert.resource_type, insert.change.document or {}
    stored, unique = encode(document, resource_type), _unique_values(resource_type, document)
    kept = Kept(resource_type, insert.id, of.made + 1, 1, author.at, author.at, stored, unique, author.maker)
    _check_unique(of, kept)
    return kept


def join(of: Holding, kept: Kept, added: Sequence[str], author: Author) -> None:
    """Put members into a new resource, and that into the log."""
    of.members[kept.id].update(added)
    log(of, kept, "create", author, _member_detail(added, []))


def version(kept: Kept) -> str:
    """The version as it is told."""
    return f'W/"0-{kept.version}"'


def reference(kept: Kept) -> Member:
    """The resource as others refer to it."""
    return Member(kept.id, kept.resource_type.name, kept.stored.display)


def members_of(of: Holding, kept: Kept) -> tuple[Member, ...]:
    """All members, oldest first."""
    found = (of.resources[member] for member in of.members[kept.id])
    return tuple(map(reference, sorted(found, key=lambda member: member.number)))


def groups_of(catalog: Catalog, of: Holding, kept: Kept, *, indirect: bool) -> tuple[Member, ...]:
    """The groups that a resource shows, oldest first."""
    shown = catalog.shown_groups(kept.resource_type)
    direct = containers(of, kept.id)
    found = _above(of, kept) if indirect else direct
    return tuple(
        replace(reference(group), direct=group in direct)
        for group in found
        if group.resource_type.name in shown
    )


def _above(of: Holding, kept: Kept) -> list[Kept]:
    """All that contains a resource, directly or not, oldest first."""
    found: dict[str, Kept] = {}
    waiting = [kept.id]
    while waiting:
        more = {one.id: one for one in containers(of, waiting.pop()) if one.id not in found}
        found |= more
        waiting += more
    found.pop(kept.id, None)
    return sorted(found.values(), key=lambda container: container.number)


def in_scope(of: Holding, kept: Kept, scope: Scope) -> Mapping[str, Member]:
    """The members that a change has to see, by id."""
    members = members_of(of, kept)
    return {member.value: member for member in members if scope.all or member.value in scope.ids}


def containers(of: Holding, id: str) -> list[Kept]:
    """What a resource is a member of, oldest first."""
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


def _check_unique(of: Holding, kept: Kept) -> None:
    for value in sorted(kept.unique):
        if of.unique.get(value, kept.id) != kept.id:
            raise refusals.value_in_use(value[1], kept.resource_type)


def seen(of: Holding, sight: Sight | None) -> Mapping[str, Kept]:
    """The resources that are there for a caller, by id."""
    if sight is None:
        return of.resources
    return {
        known: one
        for known, one in of.resources.items()
        if sight.sees(one.resource_type.name, one.maker, partial(decode, one.stored.body, one.stored.extra))
    }


def _types(of: Holding, kept: Kept, rules: Rules) -> dict[str, str]:
    found = {known: other.resource_type.name for known, other in seen(of, rules.sight).items()}
    return found | {kept.id: kept.resource_type.name}


def check_references(of: Holding, kept: Kept, old: JsonObject, new: JsonObject, rules: Rules) -> None:
    """Refuse references that a strict tenant does not want."""
    if rules.references is References.STRICT:
        refusals.check_references(kept.resource_type.references.added(old, new), _types(of, kept, rules))


def check_members(of: Holding, kept: Kept, members: Sequence[Member], rules: Rules) -> list[str]:
    """The ids of those that are not members yet."""
    types = _types(of, kept, rules)
    refusals.check_members(members, types, kept.resource_type, rules)
    members = [member for member in members if member.value in types]
    for member in () if rules.group_cycles else members:
        if kept.id in _below(of, member.value):
            raise refusals.cycle(member.value, kept.resource_type)
    return sorted({member.value for member in members} - of.members.get(kept.id, set()))


def _below(of: Holding, id: str) -> set[str]:
    """The resource and everything in it, directly or not."""
    found, waiting = {id}, [id]
    while waiting:
        new = of.members.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def keep(of: Holding, old: Kept | None, new: Kept) -> None:
    """Put a resource in the place of what it was."""
    for value in old.unique if old else ():
        del of.unique[value]
    of.unique.update(dict.fromkeys(new.unique, new.id))
    of.resources[new.id] = new
    of.members.setdefault(new.id, set())
    of.made = max(of.made, new.number)


def release(of: Holding, other: Kept, gone: Kept, author: Author, rules: Rules) -> None:
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
        keep(of, other, new)
        log(of, new, "update", author, detail)


def _changed(old: Kept, document: JsonObject, author: Author) -> Kept:
    """The resource as it is after a write."""
    return replace(
        old,
        version=old.version + 1,
        modified=max(old.modified, author.at),
        stored=encode(document, old.resource_type),
        unique=_unique_values(old.resource_type, document),
    )


def apply(of: Holding, old: Kept, change: Change, author: Author, rules: Rules) -> Kept:
    """Keep what a change leaves; the old resource itself if it changes nothing (A-31)."""
    before = decode(old.stored.body, old.stored.extra)
    document = before if change.document is None else old.resource_type.references.kept(change.document)
    new = _changed(old, document, author)
    _check_unique(of, new)
    check_references(of, new, before, document, rules)
    added = check_members(of, new, change.add_members, rules)
    removed = sorted(of.members[old.id].intersection(change.remove_members))
    detail = _member_detail(added, removed)
    if document != before:
        detail["attributes"] = changed_attributes(before, document)
    if not detail:
        return old
    of.members[old.id].difference_update(removed)
    of.departed.update(removed)
    of.members[old.id].update(added)
    keep(of, old, new)
    log(of, new, "update", author, detail)
    return new


def _member_detail(added: Sequence[str], removed: Sequence[str]) -> JsonObject:
    verbs = {verb: list(ids) for verb, ids in (("add", added), ("remove", removed)) if ids}
    return {"members": verbs} if verbs else {}


def log(of: Holding, kept: Kept, operation: str, author: Author, detail: JsonObject) -> None:
    """Append to the change log."""
    sequence, known = len(of.log) + 1, version(kept)
    of.log.append(
        LogEntry(
            sequence,
            kept.resource_type.name,
            kept.id,
            operation,
            known,
            author.name,
            author.at,
            detail,
            author.credential,
            author.origin,
            author.run,
        )
    )
