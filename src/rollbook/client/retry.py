"""Trying again: which calls may be repeated, how long to wait, and when to stop asking (client.md 8)."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from rollbook.client.answers import member
from rollbook.client.transport import HttpResponse
from rollbook.protocol.errors import NotFound, TargetPending, TargetUnavailable
from rollbook.protocol.values import JsonValue

_SAFE = frozenset({"GET", "PUT", "DELETE"})
_EARNED = 0.1  # of a repeat, by each call that is answered


@dataclass(frozen=True, slots=True)
class Retry:
    """How patient a client is.

    `calls` are made at most, with pauses that double from `first` to `most` seconds, between half and all of it by chance. A service that
    names a time gets it, up to `patience` seconds. `budget` is how many repeats there may be beyond one for every ten answers, for all calls
    together. After `failures` calls in a row without an answer the service is left alone for `pause` seconds, then asked by one call (C-8-01).
    """

    calls: int = 4
    first: float = 0.5
    most: float = 30.0
    patience: float = 120.0
    budget: int = 10
    failures: int = 8
    pause: float = 30.0


class Retrying:
    """Repeats calls to one service by a `Retry`."""

    def __init__(
        self,
        policy: Retry,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._sleep = sleep
        self._now = now
        self._chance = chance
        self._budget = float(policy.budget)
        self._failures = 0
        self._alone_until = 0.0
        self._wanted_pause_until = 0.0

    async def call(
        self, send: Callable[[], Awaitable[HttpResponse]], method: str, *, repeatable: bool
    ) -> HttpResponse:
        """The answer of `send`, which is called until it has one or patience ends.

        Raises:
            TargetUnavailable: no answer, as `send` said it the last time; or the service is left alone now.
        """
        attempt = 0
        while True:
            attempt += 1
            await self._turn()
            try:
                answer = await send()
            except TargetUnavailable as error:
                wait = self._wait(error, attempt, repeatable=repeatable)
                if wait is None:
                    raise
                await self._sleep(wait)
            except NotFound:
                self._answered()
                if method == "DELETE" and attempt > 1:  # the first one, whose answer was lost, has done it
                    return HttpResponse(204)
                raise
            except Exception:
                self._answered()
                raise
            else:
                self._answered()
                return answer

    async def _turn(self) -> None:
        now = self._now()
        if self._failures >= self._policy.failures:
            if now < self._alone_until:
                raise TargetUnavailable(
                    f"left alone for {self._policy.pause:g} s: {self._failures} calls in a row had no answer"
                )
            self._alone_until = now + self._policy.pause  # this one asks, the others wait for what it hears
        if now < self._wanted_pause_until:
            await self._sleep(self._wanted_pause_until - now)

    def _answered(self) -> None:
        self._failures = 0
        self._budget = min(self._budget + _EARNED, float(self._policy.budget))

    def _wait(self, error: TargetUnavailable, attempt: int, *, repeatable: bool) -> float | None:
        """Seconds until the next attempt, None if there is to be none."""
        if isinstance(error, TargetPending):
            self._answered()
            return None
        policy = self._policy
        self._failures += 1
        if self._failures >= policy.failures:
            self._alone_until = self._now() + policy.pause
        told = error.retry_after
        if told is not None:  # all calls leave the service alone that long
            self._wanted_pause_until = max(self._wanted_pause_until, self._now() + min(told, policy.patience))
        # 429 says that nothing was done: even a POST may be sent again (C-5-01).
        allowed = repeatable or error.http_status == 429
        if not allowed or attempt >= policy.calls or self._budget < 1 or (told or 0) > policy.patience:
            return None
        self._budget -= 1
        pause: float = min(policy.first * 2 ** (attempt - 1), policy.most) * (0.5 + self._chance() / 2)
        return pause if told is None else told + pause * 0.1


def may_repeat(method: str, path: str, body: JsonValue) -> bool:
    """Whether a call of unknown outcome can be made again without doing anything twice."""
    if method in _SAFE or path.endswith("/.search"):
        return True
    return method == "PATCH" and only_sets(body)


def only_sets(body: JsonValue) -> bool:
    """Whether a PatchOp message sets and removes only, and adds to no list."""
    listed = member(body, "Operations") if isinstance(body, dict) else None
    return isinstance(listed, list) and all(
        isinstance(item, dict) and item.get("op") in {"replace", "remove"} for item in listed
    )
