"""Trying again: what is repeated, how long is waited, and when it ends (client.md 8)."""

from collections.abc import Awaitable, Callable

import pytest
from tests.client.services import sent, service, user

from rollbook.client import HttpResponse, Retry
from rollbook.client.retry import Retrying, may_repeat
from rollbook.protocol import errors
from rollbook.testing.scripted_target import Answer, Fault, Profile, error, html

pytestmark = pytest.mark.anyio

QUICK = Retry(first=0.001, most=0.002)
HAIR = {"op": "add", "path": "emails", "value": [{"value": "a@b"}]}
TITLE = {"op": "replace", "path": "title", "value": "Dr"}


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def retrying(self, policy: Retry | None = None, chance: float = 1.0) -> Retrying:
        return Retrying(policy or Retry(), sleep=self.sleep, now=lambda: self.now, chance=lambda: chance)


def failing(*outcomes: Exception | None) -> Callable[[], Awaitable[HttpResponse]]:
    """Calls that end like this, one after the other."""
    left = list(outcomes)

    async def send() -> HttpResponse:
        outcome = left.pop(0)
        if outcome is not None:
            raise outcome
        return HttpResponse(200)

    return send


def down(status: int | None = None, wait: float | None = None) -> errors.TargetUnavailable:
    """No answer, or one that asks for patience."""
    return errors.TargetUnavailable("down", http_status=status, retry_after=wait)


@pytest.mark.parametrize(
    ("method", "path", "body", "may"),
    [
        ("GET", "/Users", None, True),
        ("PUT", "/Users/1", {}, True),
        ("DELETE", "/Users/1", None, True),
        ("POST", "/Users/.search", {}, True),
        ("POST", "/Users", {}, False),
        ("POST", "/Bulk", {}, False),
        ("PATCH", "/Users/1", {"Operations": [TITLE, {"op": "remove", "path": "title"}]}, True),
        ("PATCH", "/Users/1", {"Operations": [TITLE, HAIR]}, False),
        ("PATCH", "/Users/1", None, False),
    ],
)
def test_c_5_01_c_8_what_may_be_repeated(method: str, path: str, body: object, may: bool) -> None:
    """Only what does nothing twice; never a POST that creates, never an add to a list."""
    assert may_repeat(method, path, body) is may


@pytest.mark.parametrize(
    "fault", [None, html(500), Answer(502), error(503, "later"), Answer(504), Answer(408)]
)
async def test_c_8_reads_are_tried_again(fault: Answer | None) -> None:
    """A read survives two failures in a row; without a `Retry` it is made once."""
    async with service(retry=QUICK) as (target, client):
        own_id = target.add("Users", user("ada"))
        target.faults.append(Fault("GET", "/Users/", fault, times=2))
        assert (await client.get("/Users", own_id)).body["userName"] == "ada"
        assert len(sent(target)) == 3
    async with service() as (target, client):
        target.faults.append(Fault("GET", "/Users/", fault))
        with pytest.raises(errors.TargetUnavailable):
            await client.get("/Users", "1")
        assert len(sent(target)) == 1


async def test_c_5_01_a_post_is_not_repeated() -> None:
    """A create whose answer is lost goes out once; one that was refused for load (429) again."""
    async with service(retry=QUICK) as (target, client):
        target.faults.append(Fault("POST", "/Users", None, commits=True))
        with pytest.raises(errors.TargetUnavailable):
            await client.create("/Users", user("ada"))
        assert sent(target) == ["POST /Users"]
        target.faults.append(Fault("POST", "/Users", error(429, "slow", None)))
        await client.create("/Users", user("grace"))
    assert sent(target) == ["POST /Users"] * 3
    assert len(target.resources["Users"]) == 2


async def test_a_delete_whose_answer_was_lost_is_done() -> None:
    """The repeat finds nothing, which is what was wanted; a first 404 is still one."""
    async with service(retry=QUICK) as (target, client):
        own_id = target.add("Users", user("ada"))
        target.faults.append(Fault("DELETE", "/Users/", None, commits=True))
        await client.delete("/Users", own_id)
        assert sent(target) == [f"DELETE /Users/{own_id}"] * 2
        with pytest.raises(errors.NotFound):
            await client.delete("/Users", own_id)


async def test_c_8_waits_double_with_chance_in_them() -> None:
    """Half to all of 0.5, 1, 2 seconds, then the last failure is told."""
    for chance, expected in ((1.0, [0.5, 1.0, 2.0]), (0.0, [0.25, 0.5, 1.0])):
        clock = Clock()
        with pytest.raises(errors.TargetUnavailable):
            await clock.retrying(chance=chance).call(failing(*[down()] * 4), "GET", repeatable=True)
        assert clock.slept == expected


@pytest.mark.parametrize("header", ["7", "Fri, 27 Nov 2099 10:00:07 GMT"])
async def test_c_8_retry_after_in_both_forms(header: str) -> None:
    """Seconds and dates are both read from the answer; the date lies further off than patience reaches."""
    async with service(retry=Retry(patience=0.01)) as (target, client):
        target.faults.append(Fault("GET", "/Users/", Answer(503, headers={"retry-after": header})))
        with pytest.raises(errors.TargetUnavailable) as raised:
            await client.get("/Users", "1")
    assert raised.value.retry_after == (7.0 if header == "7" else 3600.0)
    assert len(sent(target)) == 1


async def test_c_8_a_named_time_is_waited_for_by_all() -> None:
    """Not less than was asked for, and the next call waits too; more than patience is not waited."""
    clock = Clock()
    retrying = clock.retrying(Retry(patience=60))
    await retrying.call(failing(down(429, 20), None), "POST", repeatable=False)
    assert 20 <= sum(clock.slept) < 21
    with pytest.raises(errors.TargetUnavailable):
        await retrying.call(failing(down(503, 61)), "GET", repeatable=True)
    before = clock.now
    await retrying.call(failing(None), "GET", repeatable=True)
    assert clock.now - before == 60


async def test_c_8_01_repeats_have_a_budget() -> None:
    """Three repeats for all calls together; ten answers earn one more."""
    clock = Clock()
    retrying = clock.retrying(Retry(calls=9, budget=3, failures=99))
    with pytest.raises(errors.TargetUnavailable):
        await retrying.call(failing(*[down()] * 4), "GET", repeatable=True)
    with pytest.raises(errors.TargetUnavailable):
        await retrying.call(failing(down()), "GET", repeatable=True)
    for _ in range(11):
        await retrying.call(failing(None), "GET", repeatable=True)
    await retrying.call(failing(down(), None), "GET", repeatable=True)


async def test_c_8_01_a_service_that_keeps_failing_is_left_alone() -> None:
    """After three failures nothing is sent for a while, then one call asks; an answer of any kind opens the way."""
    clock = Clock()
    retrying = clock.retrying(Retry(calls=1, failures=3, pause=30))
    for _ in range(3):
        with pytest.raises(errors.TargetUnavailable, match="down"):
            await retrying.call(failing(down()), "GET", repeatable=True)
    with pytest.raises(errors.TargetUnavailable, match="left alone"):
        await retrying.call(failing(), "GET", repeatable=True)
    clock.now += 31
    with pytest.raises(errors.TargetUnavailable, match="down"):
        await retrying.call(failing(down()), "GET", repeatable=True)
    with pytest.raises(errors.TargetUnavailable, match="left alone"):
        await retrying.call(failing(), "GET", repeatable=True)
    clock.now += 31
    with pytest.raises(errors.NotFound):
        await retrying.call(failing(errors.NotFound("gone")), "GET", repeatable=True)
    await retrying.call(failing(None), "GET", repeatable=True)


async def test_c_8_415_another_media_type() -> None:
    """A service that reads application/json only gets that, and from then on at once; a switch says it beforehand."""
    async with service() as (target, client):
        target.faults.append(Fault("POST", "/Users", error(415, "json please")))
        await client.create("/Users", user("ada"))
        await client.create("/Users", user("grace"))
        kinds = [request.headers["content-type"] for request in target.requests]
    assert kinds == ["application/scim+json", "application/json", "application/json"]
    async with service(media_type="application/json") as (target, client):
        await client.create("/Users", user("ada"))
    assert target.requests[0].headers["accept"] == "application/json"


async def test_c_10_01_c_10_02_done_later() -> None:
    """202 with a transaction is no success yet, and is not repeated; a normal answer is one."""
    later = Answer(202, headers={"set-txn": "t-1", "location": "/v2/.async/t-1"})
    async with service(retry=QUICK, respond_async=True) as (target, client):
        target.faults.append(Fault("POST", "/Users", later))
        with pytest.raises(errors.TargetPending) as raised:
            await client.create_once("/Users", user("ada"))
        created = await client.create_once("/Users", user("ada"))
        target.faults.append(Fault("DELETE", "/Users", Answer(202)))
        await client.delete("/Users", created.resource.id)
    assert (raised.value.transaction, raised.value.http_status) == ("t-1", 202)
    assert raised.value.location is not None
    assert raised.value.location.endswith("/v2/.async/t-1")
    posts = [request for request in target.requests if request.method == "POST"]
    assert [request.headers["prefer"] for request in posts] == ["respond-async"] * 2


async def test_c_1_08_permanent_redirects_are_remembered() -> None:
    """308 of the base moves later calls; 307 does not."""
    for status, expected in (
        (308, ["/Users/1", "/Users/1", "/Users/2"]),
        (307, ["/Users/1", "/Users/1", "/x/Users/2"]),
    ):
        async with service(Profile()) as (target, client):
            client._calls.ladder.base_url += "/x"
            place = client._calls.ladder.base_url.replace("/x", "/Users/1")
            target.faults.append(Fault("GET", "/x/", Answer(status, headers={"location": place})))
            for own_id in ("1", "2"):
                with pytest.raises(errors.NotFound):
                    await client.get("/Users", own_id)
        assert [request.path.removeprefix("/v2") for request in target.requests][1:] == expected[1:]
