"""How much a token and a tenant may ask.

All of it is in memory: each serving process counts what reaches it, so that N processes let up to N times as much through.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_network
from time import monotonic
from typing import NamedTuple

from rollbook.operations.context import Caller
from rollbook.operations.networks import read_address
from rollbook.protocol.errors import TooManyRequests
from rollbook.server.fairness import FairGate, Lane
from rollbook.server.requests import Scope

MOST_BUCKETS = 20_000

Headers = tuple[tuple[bytes, bytes], ...]


class Bucket(NamedTuple):
    """A token bucket: what was in it at a time (seconds)."""

    level: float
    at: float


def drawn(bucket: Bucket | None, rate: float, size: float, now: float, least: float = 0.0) -> Bucket:
    """The bucket after one more draw: it fills by `rate` a second up to `size`; a level below zero is a draw that came too soon.

    A draw that would take it below `least` - 1 costs nothing more, so that somebody who goes on asking is let in again.
    """
    before = size if bucket is None else min(size, bucket.level + (now - bucket.at) * rate)
    return Bucket(max(before - 1, least - 1), now)


@dataclass
class Buckets:
    """Buckets by name, those that are full again forgotten: one that is not there is a full one."""

    seconds_to_fill: float = 1.0
    found: dict[tuple[str, str | int], Bucket] = field(default_factory=dict)

    def keep(self, key: tuple[str, str | int], bucket: Bucket) -> None:
        """Remember a bucket."""
        if len(self.found) >= MOST_BUCKETS and key not in self.found:
            since = bucket.at - self.seconds_to_fill
            self.found = {name: each for name, each in self.found.items() if each.at > since}
            if len(self.found) >= MOST_BUCKETS:  # so many at once: whoever is first forgotten starts anew
                del self.found[next(iter(self.found))]
        self.found[key] = bucket


@dataclass
class Limiter:
    """What holds for requests with a valid token: rates and concurrency if an admin has set them (A-60), and fairness always."""

    gate: FairGate = field(default_factory=FairGate)
    clock: Callable[[], float] = monotonic
    _buckets: Buckets = field(default_factory=Buckets)
    _present: dict[int, int] = field(default_factory=dict)

    def count(self, caller: Caller) -> Headers:
        """Count a request; the headers that say what is left, none if there is no limit.

        Raises:
            TooManyRequests: says which limit it is over, and when to ask again.
        """
        settings = caller.tenant.settings
        if not (settings.rate or settings.token_rate):
            return ()
        now = self.clock()
        asked: list[tuple[str, int, str | int]] = [
            ("tenant", settings.rate, caller.tenant.number),
            ("token", settings.token_rate, _key(caller)),
        ]
        held = [(name, quota, key) for name, quota, key in asked if quota]
        after = [drawn(self._buckets.found.get((name, key)), quota, quota, now) for name, quota, key in held]
        for (name, quota, _), bucket in zip(held, after, strict=True):
            if bucket.level < 0:
                raise _too_many(name, quota, -bucket.level / quota)
        for (name, _, key), bucket in zip(held, after, strict=True):
            self._buckets.keep((name, key), bucket)
        policy = ", ".join(f'"{name}";q={quota};w=1' for name, quota, _ in held)
        left = ", ".join(
            f'"{name}";r={int(bucket.level)};t=1' for (name, _, _), bucket in zip(held, after, strict=True)
        )
        return ((b"ratelimit-policy", policy.encode()), (b"ratelimit", left.encode()))

    def arrive(self, caller: Caller, *, is_known: bool = True) -> "Turn":
        """Take a request in; its turn has to be given back. What nobody known asks for takes nothing of a tenant's own.

        Raises:
            TooManyRequests: too soon, or the tenant has as many under way as it may.
        """
        number, most = caller.tenant.number, caller.tenant.settings.concurrent
        if not is_known:
            number, most = -number, 0
        present = self._present.get(number, 0)
        if most and present >= most:
            raise TooManyRequests(
                f"{most} requests of this tenant are under way already; wait for an answer first",
                retry_after=1,
            )
        headers = self.count(caller) if is_known else ()
        self._present[number] = present + 1
        return Turn(self, number, headers)

    def gone(self, tenant: int) -> None:
        """A request is answered."""
        left = self._present[tenant] - 1
        if left:
            self._present[tenant] = left
        else:
            del self._present[tenant]


@dataclass(slots=True)
class Turn:
    """One request under way. It takes a place at the gate once its body is there: a slow one waits in nobody's way."""

    limiter: Limiter
    tenant: int
    headers: Headers
    _lane: Lane | None = None

    async def take(self, *, searches: bool) -> None:
        """Wait until it is this request's turn."""
        if self._lane is not None:
            return
        gate, lane = self.limiter.gate, (self.tenant, searches)
        if not gate.is_free(lane):
            await gate.wait(lane)
        self._lane = lane

    def give_back(self) -> None:
        """The request is answered."""
        if self._lane is not None:
            self.limiter.gate.leave(self._lane)
        self.limiter.gone(self.tenant)


def _key(caller: Caller) -> str:
    return caller.token_id or caller.name


def _too_many(name: str, quota: int, wait: float) -> TooManyRequests:
    return TooManyRequests(
        f"more than {quota} requests a second for this {name}; ask again later",
        retry_after=max(1, math.ceil(wait)),
        quota=(name, quota),
    )


FREE_FAILURES, FAILURES_A_SECOND, LONGEST_SECONDS = 10.0, 1.0, 5.0
"""Wrong tokens that are answered at once, how fast that fills again, and how long an answer is put off at most."""


@dataclass
class FailedLogins:
    """How long the answer to a wrong credential is put off: by the address it is from, and by the token's public id (T-08).

    Only that answer is: a valid token is never looked at here.
    """

    clock: Callable[[], float] = monotonic
    _buckets: Buckets = field(
        default_factory=lambda: Buckets((FREE_FAILURES + LONGEST_SECONDS) / FAILURES_A_SECOND)
    )

    def wait(self, address: str, token_id: str | None) -> float:
        """Count a failure; the seconds until it should be answered."""
        now, longest = self.clock(), 0.0
        for key in (("address", network_of(address)), ("id", token_id or "")):
            if key[1]:
                found = self._buckets.found.get(key)
                bucket = drawn(found, FAILURES_A_SECOND, FREE_FAILURES, now, 1 - LONGEST_SECONDS)
                self._buckets.keep(key, bucket)
                longest = max(longest, -bucket.level / FAILURES_A_SECOND)
        return longest


def network_of(address: str) -> str:
    """An IPv6 client has 2^64 addresses: they count as one."""
    found = read_address(address)
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else address


def presented(scope: Scope) -> str | None:
    """The credential of a request as it was sent, None without."""
    value = next((value for name, value in scope["headers"] if name == b"authorization"), None)
    return None if value is None else value.decode("latin-1").partition(" ")[2].strip()
