"""Which caller may do what (RFC 7644 §2; P-2-02, P-2-03).

A token of its own has all rights on its tenant; one that acts for a user may read that user and nothing else.
"""

from rollbook.operations.context import Caller
from rollbook.protocol.errors import Forbidden

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def check(caller: Caller, method: str, id: str) -> None:
    """Let the request pass, or refuse it; `id` is that of the resource in the path, empty for others.

    Raises:
        Forbidden: the caller acts for a user, and this is not reading that user.
    """
    if caller.user is not None and not (method in _READING and id == caller.user):
        raise Forbidden(
            f"this token acts for user {caller.user} and may only read that user;"
            " make one for a service with: rollbook token create, without --user"
        )
