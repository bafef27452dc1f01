"""Rates, places at once, and whose turn it is (A-60, T-08, P-3.12-19)."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from tests.server.conftest import Told

from rollbook.server.limits import Bucket, Buckets, FailedLogins, drawn
from rollbook.server.requests import AsgiApp, Message, Receive, Scope, Send
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio


@dataclass
class Clock:
    """Seconds that tests move."""

    at: float = 100.0
    asked: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.at


def levels(moments: list[float], rate: float, size: float) -> Iterator[float]:
    """What is left after a draw at each moment."""
    bucket: Bucket | None = None
    for moment in moments:
        bucket = drawn(bucket, rate, size, moment)
        yield bucket.level


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ([0, 0, 0], [1, 0, -1]),
        ([0, 0, 0.5], [1, 0, 0]),
        ([0, 9], [1, 1]),
        ([0, 0, 0, 0, 0, 1], [1, 0, -1, -1, -1, 0]),
    ],
    ids=["too many", "half a second gives one", "never more than its size", "asking on costs nothing"],
)
def test_bucket(moments: list[float], expected: list[float]) -> None:
    """A bucket of two that fills by two a second."""
    assert list(levels(moments, 2, 2)) == expected


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask, no more buckets are held than there may be; those that are full again go first."""
    monkeypatch.setattr("rollbook.server.limits.MOST_BUCKETS", 3)
    buckets = Buckets()
    for number in range(10):
        buckets.keep(("token", number), Bucket(0, 0.1 * number))
    assert len(buckets.found) == 3
    buckets.keep(("token", 99), Bucket(0, 60))
    assert list(buckets.found) == [("token", 99)]


async def test_rate_of_a_tenant(told: Told) -> None:
    """Over the rate: 429 with Retry-After, the RateLimit fields and an Error body; below it: what is left (P-3.12-19)."""
    call = await told("rate=3")
    answers = [await call("GET", "/scim/v2/Users") for _ in range(5)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[0].headers["ratelimit-policy"] == '"tenant";q=3;w=1'
    assert answers[0].headers["ratelimit"] == '"tenant";r=2;t=1'
    assert answers[3].headers["retry-after"] == "1"
    assert answers[3].headers["ratelimit"] == '"tenant";r=0;t=1'
    assert answers[3].json["status"] == "429"


async def test_rate_of_a_token(told: Told) -> None:
    """What one token asks for is not counted against another; what is said names both limits."""
    call = await told("token-rate=1", "rate=100")
    answers = [await call("GET", "/scim/v2/Users") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"tenant";q=100;w=1, "token";q=1;w=1'
    made = await call("GET", "/scim/v2/ServiceProviderConfig")
    assert made.status == 200


async def test_no_limit_unless_told(call: AsgiCaller) -> None:
    """A-60: valid tokens are not limited until an admin says so."""
    answers = [await call("GET", "/scim/v2/Users") for _ in range(50)]
    assert {answer.status for answer in answers} == {200}
    assert "ratelimit" not in answers[0].headers


async def test_strangers_take_nothing(told: Told) -> None:
    """Requests without a token, at endpoints that need none, leave a tenant's rate as it is."""
    call = await told("rate=2")
    stranger = AsgiCaller(call.app)
    asked = [await stranger("GET", "/scim/v2/Schemas") for _ in range(5)]
    assert {answer.status for answer in asked} == {200}
    refused = [await stranger("GET", "/scim/v2/Users") for _ in range(5)]
    assert {answer.status for answer in refused} == {401}
    assert (await call("GET", "/scim/v2/Users")).status == 200


async def test_concurrent_requests(told: Told) -> None:
    """A tenant has no more under way than it may; what is over is 429, and a place is free once one is answered."""
    call = await told("concurrent=2")
    waiting, answer = asyncio.Event(), asyncio.Event()

    async def slow_body() -> int:
        scope_seen = AsgiCaller(_slow(call, waiting, answer), call.token)
        return (await scope_seen("POST", "/scim/v2/Users", {"schemas": []})).status

    under_way = [asyncio.create_task(slow_body()) for _ in range(2)]
    await waiting.wait()
    await asyncio.sleep(0)
    assert (await call("GET", "/scim/v2/Users")).status == 429
    answer.set()
    assert await asyncio.gather(*under_way) == [400, 400]
    assert (await call("GET", "/scim/v2/Users")).status == 200


def _slow(call: AsgiCaller, waiting: asyncio.Event, answer: asyncio.Event) -> AsgiApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def later() -> Message:
            waiting.set()
            await answer.wait()
            return await receive()

        await call.app(scope, later, send)

    return app


def test_t_08_wrong_credentials_are_answered_later_and_later() -> None:
    """Ten are free, then each waits longer, up to five seconds; a minute later all is forgiven."""
    clock = Clock()
    failed = FailedLogins(clock)
    waits = [failed.wait("192.0.2.1", None) for _ in range(20)]
    assert waits[:10] == [0] * 10
    assert waits[10:16] == [1, 2, 3, 4, 5, 5]
    assert failed.wait("192.0.2.2", None) == 0
    clock.at += 60
    assert failed.wait("192.0.2.1", None) == 0


def test_t_08_a_token_is_guessed_slowly_from_everywhere() -> None:
    """Guesses at one token's secret add up, from however many addresses; IPv6 addresses of one network are one."""
    failed = FailedLogins(Clock())
    assert [failed.wait(f"192.0.2.{each}", "id") for each in range(12)][10:] == [1, 2]
    assert [failed.wait(f"2001:db8::{each:x}", None) for each in range(12)][10:] == [1, 2]
