"""Which caller may do what (RFC 7644 §2; P-2-02, P-2-03; T-09, T-19, T-39).

A token has the rights it was made with (`Rights`). One that acts for a user may read that user while active, and change of
it what the tenant's setting `self-service` names. What is outside a token's bound is answered as if there were none.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from rollbook.operations.context import Caller
from rollbook.protocol.errors import Forbidden, InsufficientScope, NotFound, Unauthorized
from rollbook.protocol.match import matches
from rollbook.protocol.resource import Change, Member, Present
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Decide, Record
from rollbook.storage.documents import changed_attributes, decode

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_CHANGING = frozenset({"PUT", "PATCH"})


def check(caller: Caller, method: str, id: str) -> None:
    """Let the request pass, or refuse it; `id` is that of the resource in the path, empty for others.

    Raises:
        Forbidden: the caller acts for a user, and this is not about that user, or is not among what they may do.
    """
    if caller.user is None:
        return
    may_change = bool(caller.tenant.settings.self_service)
    if id == caller.user and (method in _READING or (may_change and method in _CHANGING)):
        return
    raise Forbidden(
        f"this token acts for user {caller.user} and may only read"
        f"{' and change' if may_change else ''} that user;"
        " make one for a service with: rollbook token create, without --user"
    )


def check_type(caller: Caller, kind: ResourceType, *, writes: bool) -> None:
    """Whether the caller has anything to do with resources of a type.

    Raises:
        InsufficientScope: names the scope that is missing (A-58).
    """
    rights = caller.rights
    if not rights.reads:
        raise InsufficientScope("this token is for /admin/v1 only, not for resources", "read")
    if not rights.may_see(kind.name):
        types = " and ".join(sorted(rights.types))
        raise InsufficientScope(f"this token is for {types} only, not for {kind.name}", f"type:{kind.name}")
    if writes and not rights.writes:
        raise InsufficientScope("this token may only read; changes need one with the scope write", "write")


def visible_types(caller: Caller, kinds: Sequence[ResourceType]) -> Sequence[ResourceType]:
    """Those of several types that a query of all of them is about.

    Raises:
        InsufficientScope: none of them is the caller's business.
    """
    seen = [kind for kind in kinds if caller.rights.may_see(kind.name)]
    if not seen:
        check_type(caller, kinds[0], writes=False)
    return seen


def shown(caller: Caller, kind: ResourceType, record: Record | None, id: str) -> Record:
    """The record, if it is there for the caller.

    Raises:
        NotFound: there is none, or it is outside the caller's bound: in the same words.
        Unauthorized: it is the user that the token acts for, who is switched off.
    """
    if record is None:
        missing(kind, id)
    if caller.user is None and caller.rights.within is None:
        return record
    document = decode(record.body, record.extra)
    _check_active(caller, id, document)
    if not _is_inside(caller, kind, document):
        missing(kind, id)
    return record


def check_new(caller: Caller, kind: ResourceType, document: JsonObject) -> None:
    """Whether the caller may make such a resource.

    Raises:
        Forbidden: it would be outside the caller's bound.
    """
    if not _is_inside(caller, kind, document):
        raise Forbidden(f"this token may only make and keep what matches {caller.rights.within}")


def limited(caller: Caller, kind: ResourceType, id: str, decide: Decide) -> Decide:
    """The decision as this caller may take it: within its bound, and of its own user what `self-service` names only.

    Raises (the function):
        NotFound: the resource is outside the bound. Unauthorized: the user is switched off.
        Forbidden: names the attributes that the change would touch beside these, or it would leave the bound.
    """
    if caller.user is None and not caller.rights.is_bound:
        return decide

    def decide_within(present: Present) -> Change:
        _check_active(caller, id, present.document)
        if not _is_inside(caller, kind, present.document):
            missing(kind, id)
        if caller.rights.is_bound:  # members may be outside: their ids are all that counts
            present = replace(present, members={one: Member(one) for one in present.members})
        change = decide(present)
        if change.document is not None:
            check_new(caller, kind, change.document)
        if caller.user is not None:
            _check_own(caller, present, change)
        return change

    return decide_within


def missing(kind: ResourceType, id: str) -> NoReturn:
    """Say that there is no resource of that id."""
    raise NotFound(f"there is no {kind.name} with id {id[:64]!r}")


def _is_inside(caller: Caller, kind: ResourceType, document: JsonObject) -> bool:
    condition = caller.tenant.bound(caller.rights, kind)
    return condition is None or matches(condition, document)


def _check_active(caller: Caller, id: str, document: JsonObject) -> None:
    if caller.user == id and document.get("active") is False:
        raise Unauthorized("the user this token acts for is switched off")


def _check_own(caller: Caller, present: Present, change: Change) -> None:
    allowed = {name.lower() for name in caller.tenant.settings.self_service}
    touched = [] if change.document is None else changed_attributes(present.document, change.document)
    if change.add_members or change.remove_members:
        touched.append("members")
    beyond = [name for name in touched if name.lower() not in allowed]
    if beyond:
        raise Forbidden(
            f"this token acts for a user, who may not change {', '.join(beyond)};"
            f" what users may change is set by self-service: {', '.join(sorted(allowed)) or 'nothing'}"
        )
