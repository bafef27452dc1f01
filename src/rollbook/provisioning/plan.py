"""What is to be done at a target for one resource: wanted × present → step.

Pure; the dry run, the worker and the tests share it (I-27).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.differences import Difference, Managed, compare, create_body, lasting, value_at
from rollbook.provisioning.model import Apply, Clear, Leave


@dataclass(frozen=True)
class NoChange:
    """The target holds what it should, or nothing as it should; `reason` if it differs and cannot be changed."""

    reason: str | None = None


@dataclass(frozen=True)
class Create:
    """There is no account: make one."""

    body: JsonObject
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Update:
    """The account differs; `reason` names what of it stays as it is, and why."""

    differences: tuple[Difference, ...]
    reason: str | None = None


@dataclass(frozen=True)
class Disable:
    """Whose account it is has left: switch it off, and bring the rest up to date if it may be sent."""

    differences: tuple[Difference, ...]
    reason: str


@dataclass(frozen=True)
class Delete:
    """Whose account it is has left: remove it."""

    reason: str


@dataclass(frozen=True)
class Keep:
    """Whose account it is has left, and the account stays as it is."""

    reason: str


@dataclass(frozen=True)
class Park:
    """Nothing can be done until somebody looks at it."""

    reason: str


Step: TypeAlias = NoChange | Create | Update | Disable | Delete | Keep | Park


@dataclass(frozen=True)
class Situation:
    """Everything a step depends on.

    `wanted` is None if nothing about the resource may be sent: it is deleted or out of scope. `left` says why
    an account has no right to be there, None if it has. `present` is what the target holds, None if nothing.
    `disabled` says that we switched the account off earlier. `active` is where the type has its on-off
    attribute, None for types without.
    """

    resource_type: ResourceType
    managed: tuple[Managed, ...]
    leave: Leave
    wanted: JsonObject | None
    left: str | None
    present: JsonObject | None
    disabled: bool = False
    updatable: tuple[str, ...] = ()
    """The only attributes that can be changed once there is an account; all if empty."""
    fixed: tuple[str, ...] = ()
    """Those that cannot be."""


def plan(situation: Situation) -> Step:
    """The one step that brings the target to what is wanted."""
    if situation.left is not None:
        return NoChange() if situation.present is None else _leave(situation, situation.left)
    wanted = situation.wanted or {}
    if situation.present is None:
        body = create_body(situation.resource_type, wanted)
        return Create(body, _all_new(situation.managed, wanted))
    managed, wanted = (
        _with_active(situation, wanted, value=True) if situation.disabled else (situation.managed, wanted)
    )
    found = compare(lasting(managed, situation.present), wanted, situation.present)
    differences = _possible(situation, found)
    stays = _what_stays(one for one in found if one not in differences)
    return Update(differences, stays) if differences else NoChange(stays)


def _what_stays(refused: Iterable[Difference]) -> str | None:
    """What a target lets nobody change is never sent, since it would refuse the rest too; it is told (pain point 20)."""
    names = ", ".join(dict.fromkeys(one.attribute for one in refused))
    return f"{names} cannot be changed there, and stays as it is" if names else None


def _leave(situation: Situation, reason: str) -> Step:
    """Cases: 1. keep; 2. delete; 3. disable what can be disabled; 4. what cannot stays."""
    if situation.leave is Leave.KEEP:
        return Keep(reason)
    if situation.leave is Leave.DELETE:
        return Delete(reason)
    if situation.resource_type.schema.attribute("active") is None:
        return Keep(reason)
    # Somebody out of scope or deleted: nothing but the switch may be sent (I-12).
    mapped = situation.managed if situation.wanted is not None else ()
    managed, wanted = _with_active(replace(situation, managed=mapped), situation.wanted or {}, value=False)
    present = situation.present or {}
    differences = _possible(situation, compare(lasting(managed, present), wanted, present))
    return Disable(differences, reason) if differences else NoChange()


def _possible(situation: Situation, differences: tuple[Difference, ...]) -> tuple[Difference, ...]:
    """Those that the target lets anybody change."""
    allowed, fixed = situation.updatable, situation.fixed
    return tuple(
        one
        for one in differences
        if (not allowed or one.path.attribute.name in allowed) and one.path.attribute.name not in fixed
    )


def _with_active(
    situation: Situation, wanted: JsonObject, *, value: bool
) -> tuple[tuple[Managed, ...], JsonObject]:
    path = situation.resource_type.find("active")
    if path is None:
        return situation.managed, wanted
    others = tuple(item for item in situation.managed if item.path != path)
    mapped = next((item for item in situation.managed if item.path == path), None)
    if value and mapped is not None and _decides(mapped, wanted):
        return situation.managed, wanted  # the mapping knows better
    return (*others, Managed(path)), {**wanted, path.attribute.name: value}


def _decides(active: Managed, wanted: JsonObject) -> bool:
    """Whether the mapping says itself who is switched on again, rather than leave it as it was."""
    if active.way.apply is not Apply.ALWAYS:
        return False
    return active.way.clear is not Clear.KEEP or value_at(wanted, active.path) is not None


def _all_new(managed: Iterable[Managed], wanted: JsonObject) -> tuple[Difference, ...]:
    values = ((item.path, value_at(wanted, item.path)) for item in managed)
    return tuple(Difference(path, None, value) for path, value in values if value is not None)
