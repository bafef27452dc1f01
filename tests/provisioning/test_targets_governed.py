"""Calls in turns, and none while a target is to be left alone."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from tests.provisioning.world import CATALOG, target

from rollbook.client import ScimClient
from rollbook.protocol.errors import TargetUnavailable
from rollbook.provisioning.targets.governed import Governed, LeftAlone
from rollbook.provisioning.targets.scim import ScimTarget
from rollbook.provisioning.wanted import kinds_of
from rollbook.testing.asgi_transport import AsgiTransport
from rollbook.testing.scripted_target import Fault, Recorded, ScriptedTarget

pytestmark = pytest.mark.anyio

KIND = kinds_of(target(), CATALOG)["User"]


def far(service: ScriptedTarget) -> ScimTarget:
    """The scripted service as a target."""
    return ScimTarget(ScimClient("http://127.0.0.1:1/v2", "t", transport=AsgiTransport(service)))


def told(answer: Callable[[], bool]) -> Callable[[], Awaitable[bool]]:
    """The question whether calls may go out, with that answer."""

    async def ask() -> bool:
        return answer()

    return ask


async def test_what_queued_up_before_a_pause_stays() -> None:
    """When the first of many calls finds the target busy, those that wait for their turn are not sent."""
    service = ScriptedTarget()
    open_now = [True]

    def close(request: Recorded) -> None:
        if request.path.startswith("/Users/"):
            open_now[0] = False

    service.before = close
    governed = Governed(far(service), 1, told(lambda: open_now[0]), lambda _: None)
    results = await asyncio.gather(*(governed.read(KIND, str(n)) for n in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), *[LeftAlone] * 4]
    assert len([request for request in service.requests if request.path.startswith("/Users/")]) == 1


@pytest.mark.parametrize("parallel", [1, 3])
async def test_c_1_06_only_so_many_at_once(parallel: int) -> None:
    """Never more calls are under way than the target is to have."""
    service = ScriptedTarget()
    now: list[int] = []
    most: list[int] = []

    class Counting(ScimTarget):
        async def members_per_call(self) -> int:
            now.append(1)
            most.append(len(now))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            now.pop()
            return 1

    inner = Counting(ScimClient("http://127.0.0.1:1/v2", "t", transport=AsgiTransport(service)))
    governed = Governed(inner, parallel, told(lambda: True), lambda _: None)
    await asyncio.gather(*(governed.members_per_call() for _ in range(10)))
    assert max(most) == parallel
    assert governed.writes == 0
    await governed.close()


async def test_errors_are_told_before_the_next_call() -> None:
    """Whoever decides hears of a failure before anybody else has a turn."""
    service = ScriptedTarget()
    service.faults.append(Fault("GET", "/Users/", times=9))
    errors: list[Exception] = []
    governed = Governed(far(service), 1, told(lambda: not errors), errors.append)
    results = await asyncio.gather(*(governed.read(KIND, str(n)) for n in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [TargetUnavailable, *[LeftAlone] * 4]
    assert len(errors) == 1
