"""Which caller may do what (RFC 7644 §2; P-2-02, P-2-03).

A token of its own has all rights on its tenant; one that acts for a user may read that user, and change of it
what the tenant's setting `self-service` names.
"""

from rollbook.operations.context import Caller
from rollbook.protocol.errors import Forbidden
from rollbook.protocol.resource import Change, Present
from rollbook.storage.base import Decide
from rollbook.storage.documents import changed_attributes

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


def limited(caller: Caller, decide: Decide) -> Decide:
    """The decision as this caller may take it: one who acts for a user changes what `self-service` names only.

    Raises (the function):
        Forbidden: names the attributes that the change would touch beside these.
    """
    if caller.user is None:
        return decide
    allowed = {name.lower() for name in caller.tenant.settings.self_service}

    def decide_within(present: Present) -> Change:
        change = decide(present)
        touched = [] if change.document is None else changed_attributes(present.document, change.document)
        if change.add_members or change.remove_members:
            touched.append("members")
        beyond = [name for name in touched if name.lower() not in allowed]
        if beyond:
            raise Forbidden(
                f"this token acts for a user, who may not change {', '.join(beyond)};"
                f" what users may change is set by self-service: {', '.join(sorted(allowed)) or 'nothing'}"
            )
        return change

    return decide_within
