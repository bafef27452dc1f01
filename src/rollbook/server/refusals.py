"""Requests that were refused for who asks or for what they may: told to the audit log, merged, so that a flood of them is a few rows (T-87).

What counts is the answer: 401 and 403 of any request, 404 where it says that a token has no business there: another
tenant's, or a resource outside the token's bound that was to be changed. What was noted since the last time is lost if
the process is killed: nothing was changed by it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from rollbook.operations.tokens import Credential, token_id
from rollbook.protocol.errors import ScimError
from rollbook.server.peers import peer
from rollbook.server.requests import Scope
from rollbook.server.watching import known_method
from rollbook.storage.base import Act, Author

EVERY_SECONDS = 60.0
"""How often what was noted is written: one row each for what is alike in that time."""

MOST = 100
"""Rows in that time; what is beyond is told as one row for each answer, from `many addresses`."""

CASE = "rollbook.case"
"""Where a request's scope has its `Case`, if anybody wants to know of refusals."""

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_UNKNOWN = "unknown"


class Asker(NamedTuple):
    """Who asks: the tenant's number, name and id of the token, and whether it is bound to a part of the resources.

    `is_astray`: the token is not of the tenant that is asked.
    """

    tenant: int
    name: str
    token_id: str
    is_bound: bool = False
    is_astray: bool = False


@dataclass(slots=True)
class Case:
    """One request, if it should be refused: filled by whoever knows who asks."""

    refusals: "Refusals"
    asker: Asker | None = None

    def refused(self, scope: Scope, error: ScimError) -> None:
        """The request, or an operation in it, was answered by that error."""
        self.refusals.note(scope, error, self.asker)


def asked(scope: Scope, asker: Asker) -> None:
    """Say who asks."""
    case: Case | None = scope.get(CASE)
    if case is not None:
        case.asker = asker


def astray(scope: Scope, credential: Credential) -> None:
    """Say that whoever asks has a token of another tenant."""
    asked(scope, Asker(credential.tenant, credential.name, credential.token_id, is_astray=True))


def refused(scope: Scope, error: ScimError) -> None:
    """Say that something was refused in the middle of an answer."""
    case: Case | None = scope.get(CASE)
    if case is not None:
        case.refused(scope, error)


class _Kind(NamedTuple):
    """What is told as one row."""

    tenant: int
    name: str
    credential: str | None
    address: str
    method: str
    status: int


class Refusals:
    """Counts refused requests, and writes them now and then."""

    def __init__(self, write: Callable[[Sequence[Act]], Awaitable[None]], now: Callable[[], int]) -> None:
        self._write = write
        self._now = now
        self._counts: dict[_Kind, tuple[int, int]] = {}
        """Kind → how often, and when last."""

    def note(self, scope: Scope, error: ScimError, asker: Asker | None = None) -> None:
        """A request was answered by that error."""
        if not _is_refusal(asker, scope["method"], error.status):
            return
        method = known_method(scope["method"])
        address = peer(scope) or "a socket"
        if asker is None:
            kind = _Kind(0, _UNKNOWN, _claimed(scope), address, method, error.status)
        else:
            kind = _Kind(asker.tenant, asker.name, asker.token_id or None, address, method, error.status)
        self._add(kind, 1, self._now())

    async def flush(self) -> None:
        """Write what was noted since the last time; kept for the next if the store does not take it."""
        counts, self._counts = self._counts, {}
        try:
            await self._write([_act(kind, times, at) for kind, (times, at) in counts.items()])
        except (
            BaseException
        ):  # also when the server ends meanwhile: what is told twice is better than what is not told
            for kind, (times, at) in counts.items():
                self._add(kind, times, at)
            raise

    def _add(self, kind: "_Kind", times: int, at: int) -> None:
        if kind not in self._counts and len(self._counts) >= MOST:
            kind = _Kind(0, "many", None, "many addresses", "many", kind.status)
        before, later = self._counts.get(kind, (0, at))
        self._counts[kind] = (times + before, max(at, later))

    async def close(self) -> None:
        """Write what is left, if the store takes it."""
        with suppress(Exception):
            await self.flush()

    async def keep_writing(self) -> None:
        """Write for as long as this runs; while the store cannot, go on counting."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            with suppress(Exception):
                await self.flush()


def _is_refusal(asker: Asker | None, method: str, status: int) -> bool:
    if status in {401, 403}:
        return True
    if status != 404 or asker is None:
        return False
    return asker.is_astray or (asker.is_bound and method in _WRITES)


def _claimed(scope: Scope) -> str | None:
    """The public id of the token that was sent and is not valid here, if it has the form of one."""
    sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    return token_id(sent.decode("latin-1").partition(" ")[2].strip())


def _act(kind: _Kind, times: int, at: int) -> Act:
    author = Author(kind.name, at, kind.credential, kind.address)
    return Act(
        author,
        kind.tenant,
        "request",
        "",
        "",
        "refused",
        times,
        {"method": kind.method, "status": kind.status},
    )
