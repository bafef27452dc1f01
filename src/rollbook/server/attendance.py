"""Whether anybody waits for an answer: requests whose client has gone, and those for which the server cannot wait when it ends, are given up.

To give up is to cancel: whoever waits for a turn leaves the queue, a read under way is stopped by the storage. What may
write is given up only before its turn. A quick request pays for one timer and nothing else.
"""

import asyncio
from dataclasses import dataclass, field

from rollbook.protocol.errors import RequestTimeout, ScimError, StoreUnavailable
from rollbook.server.requests import Receive

LOOK_SECONDS = 0.1
"""From when on a request under way listens whether its client is still there."""


@dataclass
class Attendance:
    """The requests of a process that take long."""

    is_over: bool = False
    _waiting: "set[Waiting]" = field(default_factory=set)

    def end(self) -> None:
        """Give up all that only read or wait, from here on: the server has to end."""
        self.is_over = True
        for each in tuple(self._waiting):
            each.give_up()

    def add(self, waiting: "Waiting") -> None:
        """It takes long."""
        self._waiting.add(waiting)

    def discard(self, waiting: "Waiting") -> None:
        """It does not any more."""
        self._waiting.discard(waiting)


class Waiting:
    """One request, from when its body is there until it has an answer, or begins to write."""

    __slots__ = ("_attendance", "_hearing", "_is_given_up", "_is_gone", "_receive", "_task", "_timer")

    def __init__(self, attendance: Attendance, receive: Receive) -> None:
        self._attendance, self._receive = attendance, receive
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._is_gone = self._is_given_up = False

    def begin(self) -> None:
        """The request's own task waits from here on."""
        self._task = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._listen)

    def end(self) -> None:
        """It is not given up any more. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        if self._hearing is not None:
            self._hearing.cancel()
            self._attendance.discard(self)

    def give_up(self) -> None:
        """Nobody waits any more, or may."""
        if self._task is not None and not self._is_given_up:
            self._is_given_up = True
            self._task.cancel()

    def reason(self) -> ScimError | None:
        """Why the request was cancelled, which is over with this; None if it was not given up here."""
        if self._task is None or not self._is_given_up:
            return None
        self._task.uncancel()
        if self._is_gone:
            return RequestTimeout("the client went away before the answer")
        return StoreUnavailable("the server is ending; ask again")

    def _listen(self) -> None:
        if self._attendance.is_over:
            self.give_up()
            return
        self._attendance.add(self)
        self._hearing = asyncio.get_running_loop().create_task(self._hear())

    async def _hear(self) -> None:
        was_whole = False
        while (message := await self._receive())["type"] != "http.disconnect":
            if not message.get("more_body"):
                if was_whole:  # a server that repeats itself instead of waiting tells nothing
                    return
                was_whole = True
        self._is_gone = True
        self.give_up()
