"""References in answers: which resources they lead to is read once for a whole answer (A-69)."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from rollbook.operations.context import Context
from rollbook.protocol.errors import InvalidFilter
from rollbook.protocol.projection import Projection, shows
from rollbook.protocol.resource import Member
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.storage.base import Record
from rollbook.storage.packed import PackedMembers, Shown, shown_as


def ids_shown(
    records: Sequence[Record],
    resource_type: ResourceType,
    projection: Projection,
    written: frozenset[str] = frozenset(),
) -> set[str]:
    """The ids in references of these resources of which an answer shows more than these; `written` as in `project`."""
    references = resource_type.references
    if not references.each or not _shows_made(resource_type, projection, written):
        return set()
    found = references.ids_in([record.body for record in records])
    if references.hides_some:
        hidden = [orjson.loads(record.extra) for record in records if record.extra is not None]
        found = found.union(*map(references.ids, hidden))
    return found


def _shows_made(resource_type: ResourceType, projection: Projection, written: frozenset[str]) -> bool:
    """Whether an answer shows parts that the server makes of ids."""
    return projection.is_default or any(
        shows(projection, part, written)
        for reference in resource_type.references.each
        for part in reference.made
    )


async def referred(context: Context, records: Sequence[Record], ids: set[str]) -> Sequence[Record]:
    """The records of an answer with the resources that these ids in them lead to, as far as they exist.

    For a caller with a bound, that is as far as these are within it; of other members and groups the id is left.
    Nobody is labelled by what is held back from the caller.
    """
    sight, mute = context.sight, context.caller.tenant.unlabelled(context.caller.rights)
    others = set[str]() if sight is None else {one.value for record in records for one in _others(record)}
    found: Mapping[str, Member] = {}
    if ids or others:
        found = await context.services.store.referred(context.tenant, sorted(ids | others), sight)
    dim = _Dim(None if sight is None else found, mute)
    if mute:
        found = {identifier: dim(one) for identifier, one in found.items()}
    if ids or others:
        records = [record._replace(referred=found) for record in records]
    if sight is None and not mute:
        return records
    return [
        record._replace(
            members=None if record.members is None else await _dimmed(context, record.members, dim),
            groups=None if record.groups is None else tuple(dim(one) for one in record.groups),
        )
        for record in records
    ]


def _others(record: Record) -> Iterator[Member]:
    """Members and groups that are looked up together with those of other records: not those of whom there are many."""
    if not isinstance(record.members, PackedMembers):
        yield from record.members or ()
    yield from record.groups or ()


@dataclass(frozen=True)
class _Dim:
    """Members and groups as they are shown: of those not `seen` the id alone, if that is not None; of `mute` types no label."""

    seen: Container[str] | None
    mute: frozenset[str]

    def how(self, other: Member) -> Shown:
        """How one is shown."""
        if self.seen is not None and other.value not in self.seen:
            return Shown.BY_ID
        return Shown.UNLABELLED if other.type in self.mute else Shown.WHOLE

    def __call__(self, other: Member) -> Member:
        """One as it is shown."""
        return shown_as(other, self.how(other))


async def _dimmed(context: Context, members: Sequence[Member], dim: _Dim) -> Sequence[Member]:
    """The same for all members; many are looked up page by page, and nothing is kept of each but how it is shown."""
    if not isinstance(members, PackedMembers):
        return tuple(dim(one) for one in members)
    how: list[bytes] = []
    for page in members.pages():
        if dim.seen is not None:
            ids, store = sorted(one.value for one in page), context.services.store
            dim = replace(dim, seen=await store.referred(context.tenant, ids, context.sight))
        how.append(bytes(dim.how(one) for one in page))
    return members.dimmed(how)


def check_labels(context: Context, kind: ResourceType, asked: Iterable[AttributePath]) -> None:
    """Refuse a filter on what labels members and groups: they may be outside the caller's bound (T-19).

    Or else the label is what is held back from it.

    Raises:
        InvalidFilter: names the part.
    """
    bounded, mute = context.sight is not None, context.caller.tenant.unlabelled(context.caller.rights)
    if not bounded and not mute:
        return
    for path in asked:
        others = path.urn is None and path.attribute.name in {kind.memberships, kind.derived}
        if others and path.sub is not None and path.sub.name in (_LABELS if bounded else {"display"}):
            raise InvalidFilter(
                f"filter: {path.text} tells of resources what may not be told to this token; filter on"
                f" {path.attribute.name}.value, or find the resource itself first"
            )


_LABELS = frozenset({"display", "type"})
"""Parts of members and groups that tell of the resource there; `$ref` stands for its id."""
