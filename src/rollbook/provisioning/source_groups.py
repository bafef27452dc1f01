"""Groups made of a source's columns: made when first needed, kept by differences, and only our own.

A group that someone else made is not taken over because a column happens to spell its name: whoever may
write that column would decide who is in it (I-15).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rollbook.protocol.errors import RequestError
from rollbook.protocol.projection import schemas_of
from rollbook.protocol.quirks import RFC, Leniency
from rollbook.protocol.resource import Change, Member, Present
from rollbook.protocol.validate import create, read_body
from rollbook.provisioning.hub import Hub, Writer
from rollbook.storage.base import Record
from rollbook.storage.documents import view


@dataclass
class Moves:
    """Who gets into and out of one group."""

    joins: set[str] = field(default_factory=set)
    leaves: set[str] = field(default_factory=set)

    def __call__(self, present: Present) -> Change:
        """The change, given the members named."""
        add = tuple(Member(user, "User") for user in sorted(self.joins) if user not in present.members)
        gone = tuple(user for user in sorted(self.leaves) if user in present.members)
        return Change(add_members=add, remove_members=gone)


@dataclass
class SourceGroups:
    """The groups of one source during one pull; `refused` are those that cannot be had, with the reason."""

    hub: Hub
    source: str
    writer: Writer
    refused: dict[str, str] = field(default_factory=dict)

    async def apply(self, moves: Mapping[str, Moves]) -> set[str]:
        """Move people; returns the groups where that failed."""
        failed = {name for name in moves if name in self.refused}
        known = await self.hub.records.groups(self.hub.tenant, self.source, list(moves))
        for name, move in moves.items():
            if name in failed:
                continue
            try:
                await self._move(name, known.get(name), move)
            except RequestError as error:
                self.refused[name] = error.detail
            if name in self.refused:
                failed.add(name)
        return failed

    async def _move(self, name: str, id: str | None, move: Moves) -> None:
        group = self.hub.type_named("Group")
        named = frozenset(move.joins | move.leaves)
        if id is not None and await self.writer.update(group, id, move, named) is not None:
            return
        if not move.joins:
            return
        present = await self.hub.search(group, "displayName", name) if id is None else ()
        for record in present:
            if await self._is_ours(record):
                await self.writer.keep_group(name, record.id)
                await self.writer.update(group, record.id, move, named)
                return
        if present:
            self.refused[name] = (
                f'the hub has a group "{name}" that this source did not make; rename it, or choose another displayName'
            )
            return
        made = self.hub.new_id()
        document = {"displayName": name}
        body = {"schemas": schemas_of(document, group), **document}
        change = create(read_body(body, group, Leniency(RFC), at_create=True))
        # Remembered first: after a crash between the two, the group is made under the id that is known.
        await self.writer.keep_group(name, made)
        await self.writer.insert(group, made, Change(change.document, move(Present({})).add_members))

    async def _is_ours(self, record: Record) -> bool:
        """Whether this source made the group, under a name in other letters (navy, Navy)."""
        name = view(record, self.hub.type_named("Group")).get("displayName")
        if not isinstance(name, str):
            return False
        known = await self.hub.records.groups(self.hub.tenant, self.source, [name])
        return known.get(name) == record.id


def moves_of(people: Iterable[tuple[str, tuple[str, ...], tuple[str, ...]]]) -> dict[str, Moves]:
    """Moves by group, of people given as id, groups until now, and groups from now on.

    Also into groups where they should be already: an undo, or somebody, may have taken them out.
    """
    moves: dict[str, Moves] = {}
    for user, old, new in people:
        for name in set(new):
            moves.setdefault(name, Moves()).joins.add(user)
        for name in set(old) - set(new):
            moves.setdefault(name, Moves()).leaves.add(user)
    return moves
