"""What has changed in an LDAP directory: the Content Synchronization Operation, refreshOnly (RFC 4533).

The server sends what changed, and either names what is gone (delete phase) or names all that is there as it was (present phase). In both
cases it is known afterwards who is gone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from rollbook.provisioning.sources.spool import Anew, Course, Left, There

Attributes = dict[str, list[bytes]]


@dataclass(frozen=True)
class Sync:
    """What is asked for."""

    base: str
    filter: str
    wanted: Sequence[str]
    timeout: float


def synchronise(
    ldap: ModuleType, connection: Any, asked: Sync, course: Course
) -> Iterator[tuple[str, Attributes | There | Left]]:
    """Entries with their attributes, and keys of those that are there as they were or gone; the new cookie is the mark.

    Without a cookie the server sends every entry.
    """
    from ldap.syncrepl import SyncDoneControl, SyncInfoMessage, SyncRequestControl, SyncStateControl

    control = SyncRequestControl(cookie=course.since, mode="refreshOnly")
    number = connection.search_ext(
        asked.base, ldap.SCOPE_SUBTREE, asked.filter, list(asked.wanted) or None, serverctrls=[control]
    )
    cookie = course.since
    while True:
        kind, found, _, controls, _, _ = connection.result4(
            number, all=0, timeout=asked.timeout, add_ctrls=1, add_intermediates=1
        )
        if kind == ldap.RES_SEARCH_ENTRY:
            for dn, attributes, own in found:
                state = _control(own, SyncStateControl)
                yield dn, _entry(state, attributes)
                cookie = getattr(state, "cookie", None) or cookie
        elif kind == ldap.RES_INTERMEDIATE:
            for name, value, _ in found:
                if name == SyncInfoMessage.responseName:
                    told = _Told(SyncInfoMessage(value))
                    yield from (("", one) for one in told.keys)
                    cookie = told.cookie or cookie
        elif kind == ldap.RES_SEARCH_RESULT:
            done = _control(controls, SyncDoneControl)
            if done is None:
                raise Anew("the server did not say how the synchronisation ended", plain=True)
            # Where deletions were told, who is not named has not changed; else it is not there (RFC 4533 §3.3.1).
            course.partial = course.since is not None and bool(done.refreshDeletes)
            course.mark = done.cookie or cookie
            return


def _control(controls: Sequence[Any], wanted: type) -> Any:
    return next((one for one in controls if isinstance(one, wanted)), None)


def _entry(state: Any, attributes: Attributes) -> Attributes | There | Left:
    match getattr(state, "state", None):
        case "present":
            return There(state.entryUUID)
        case "delete":
            return Left(state.entryUUID)
        case _:
            return attributes


class _Told:
    """What a Sync Info Message says: a cookie, and keys."""

    def __init__(self, message: Any) -> None:
        parts = [message.refreshDelete, message.refreshPresent, message.syncIdSet]
        inside: dict[str, Any] = next((part for part in parts if part), {})
        self.cookie: str | None = message.newcookie or inside.get("cookie")
        ids = message.syncIdSet or {}
        kind = Left if ids.get("refreshDeletes") else There
        self.keys = [kind(str(one)) for one in ids.get("syncUUIDs", ())]
