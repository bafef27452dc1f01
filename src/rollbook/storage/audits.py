"""Audits of targets: how far one has come, and what was found different and left as it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rollbook.protocol.values import JsonObject


@dataclass(frozen=True, slots=True)
class Audit:
    """An audit under way: when it began, the key of the last link it has looked at, and until when it is somebody's."""

    began: int
    after: int
    until: int


@dataclass(frozen=True, slots=True)
class Drifted:
    """What an audit has found different at a target and left: of which link, since when, and what as JSON without secrets."""

    key: int
    id: str
    resource_type: str
    since: int
    detail: JsonObject


class Audits(Protocol):
    """Part of a `LinkStore`; `target` is a target's number."""

    async def begin_audit(
        self, tenant: int, target: int, now: int, since: int, lease_until: int
    ) -> Audit | None:
        """Begin an audit unless one has begun since then, or go on with one that was broken off; None if somebody is at it."""

    async def keep_audit(
        self,
        tenant: int,
        target: int,
        audit: Audit,
        looked_at: Sequence[int],
        found: Sequence[Drifted],
        lease_until: int,
    ) -> Audit | None:
        """Record what it has found of some links, and that it has come to `audit.after`; None if it is another's by now."""

    async def end_audit(self, tenant: int, target: int, audit: Audit, *, through: bool) -> None:
        """The audit is through, or is left for whoever comes next to go on with."""

    async def drift(self, tenant: int, target: int, after: int, limit: int) -> Sequence[Drifted]:
        """What audits have found different and left, in order of the links' keys, from above one on."""

    async def drift_of(self, tenant: int, target: int, key: int) -> Drifted | None:
        """The same of one link."""
