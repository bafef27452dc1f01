"""Brings the members of one group at one target to what they should be, in calls that the target can take (C-6-07)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rollbook.protocol import errors
from rollbook.provisioning import lease, model
from rollbook.provisioning.items import NeedsPerson, Overtaken
from rollbook.provisioning.model import Leave
from rollbook.provisioning.targets.base import Target
from rollbook.provisioning.wanted import Kind
from rollbook.provisioning.work import Engine, Work, account_of, lease_of
from rollbook.storage.links import MemberChanges

REFUSED_AT_MOST = 20
"""So many members of a group are found out one by one; a target that refuses more refuses something else."""


@dataclass(frozen=True)
class Members:
    """Members of groups at one target under one number."""

    _engine: Engine
    _target: model.Target
    _far: Target
    _number: int
    _kinds: Mapping[str, Kind]

    async def settle(self, work: Work) -> tuple[Work, tuple[int, int]]:
        """Bring a group's members to what they should be, in calls the target can take (C-6-07)."""
        left, leave = work.want.wish.left, work.want.leave
        if not work.kind.members or (left is not None and leave is Leave.KEEP):
            return work, (0, 0)
        work = await self._learn_members(work)
        links, tenant, limit = self._engine.links, self._engine.tenant, await self._far.members_per_call()
        added = removed = 0
        refused: dict[str, str] = {}
        while True:
            found = await links.member_changes(
                tenant, self._number, work.link, limit + len(refused), nobody=left is not None
            )
            changes = _without(found, refused, limit)
            if not changes:
                self._tell_refused(refused)
                return work, (added, removed)
            _held(await links.expect_members(tenant, self._number, work.link, changes))
            await self._change_members(work, changes, refused)
            made = _without(changes, refused, limit)
            added, removed = added + len(made.add), removed + len(made.remove)

    async def _change_members(self, work: Work, changes: MemberChanges, refused: dict[str, str]) -> None:
        """Send changes, and record what was taken; the lease begins anew with each call.

        Whom the target refuses is found by halves and noted with its words, so that one stops no other.
        """
        remote_id = account_of(work)
        try:
            await self._far.change_members(work.kind, remote_id, changes.add, changes.remove)
        except _NOT_OF_ONE_MEMBER:
            raise
        except errors.RequestError as error:
            if isinstance(error, errors.NotFound) and await self._far.read(work.kind, remote_id) is None:
                raise
            both = [*((one, True) for one in changes.add), *((one, False) for one in changes.remove)]
            if len(both) == 1:
                refused[both[0][0]] = error.detail
                return
            middle = len(both) // 2
            for half in (both[:middle], both[middle:]):
                if len(refused) >= REFUSED_AT_MOST:  # it is not about them
                    raise
                await self._change_members(work, _of(half), refused)
        else:
            until = self._engine.now() + self._engine.lease
            links, tenant = self._engine.links, self._engine.tenant
            _held(await links.keep_members(tenant, self._number, work.link, changes, until))
            lease.hold(lease_of(self._engine, self._target, until))

    def _tell_refused(self, refused: Mapping[str, str]) -> None:
        """Park the group for those whom the target refuses as members; all others are in.

        Raises:
            NeedsPerson: there are any.
        """
        if refused:
            own, reason = next(iter(refused.items()))
            others = f" and {len(refused) - 1} others" if len(refused) > 1 else ""
            told = f"the target refuses account {own}{others} as a member; all others are in: {reason}"
            names = [
                name for name, kind in self._kinds.items() if not self._target.is_flat or not kind.members
            ]
            raise NeedsPerson(told, [(name, one) for one in refused for name in names])

    async def _learn_members(self, work: Work) -> Work:
        if work.link.members_read:
            return work
        known = () if work.created else await self._far.read_members(work.kind, account_of(work))
        _held(await self._engine.links.keep_all_members(self._engine.tenant, self._number, work.link, known))
        return replace(work, link=replace(work.link, members_read=True))


def _held(kept: bool) -> None:
    if not kept:
        raise Overtaken


_NOT_OF_ONE_MEMBER = (
    errors.Unauthorized,
    errors.Forbidden,
    errors.Conflict,
    errors.PreconditionFailed,
    errors.MethodNotAllowed,
    errors.UnsupportedFeature,
)
"""Refusals that would be the same whoever is named."""


def _of(both: Sequence[tuple[str, bool]]) -> MemberChanges:
    return MemberChanges(
        tuple(one for one, is_new in both if is_new), tuple(one for one, is_new in both if not is_new)
    )


def _without(changes: MemberChanges, refused: Mapping[str, str], limit: int) -> MemberChanges:
    """The changes without those the target refuses, at most so many of each."""
    add, remove = (
        tuple(one for one in ids if one not in refused)[:limit] for ids in (changes.add, changes.remove)
    )
    return MemberChanges(add, remove)
