"""Whether what a task works on is still its own: looked at before each call that writes, however long it waited or slept.

A process that was frozen, or queued for its turn, must not send something old over what another has done since (FE-14, I-18).
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from rollbook.provisioning.items import Overtaken


@dataclass
class Lease:
    """Until when a link is this task's, in milliseconds; `margin` is how long a call may take."""

    until: int
    margin: int
    now: Callable[[], int]

    def check(self) -> None:
        """Go on only while the next call ends before the lease does.

        Raises:
            Overtaken: it might not.
        """
        if self.now() > self.until - self.margin:
            raise Overtaken


_CURRENT: ContextVar[Lease | None] = ContextVar("lease", default=None)


def hold(lease: Lease) -> None:
    """From now on this task works under that lease."""
    _CURRENT.set(lease)


def check() -> None:
    """Go on only while the lease of this task holds; who works without one may always.

    Raises:
        Overtaken: it is over, or so nearly that the next call might outlast it.
    """
    lease = _CURRENT.get()
    if lease is not None:
        lease.check()
