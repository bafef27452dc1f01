"""Services that answer about something else than what was asked (T-66)."""

import pytest

from rollbook.client import ScimClient
from rollbook.protocol.errors import TargetRefused
from rollbook.testing.asgi_transport import AsgiTransport
from rollbook.testing.scripted_target import Answer, Fault, Profile, ScriptedTarget

pytestmark = pytest.mark.anyio


def client_of(service: ScriptedTarget) -> ScimClient:
    """A client whose requests end in the service."""
    return ScimClient("http://127.0.0.1:1/v2", "secret", transport=AsgiTransport(service))


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH"])
async def test_t_66_an_answer_about_another_resource(method: str) -> None:
    """It is no answer, whatever was asked for."""
    service = ScriptedTarget()
    service.faults.append(Fault(method, "/Users/1", Answer(200, {"id": "2", "userName": "root"})))
    async with client_of(service) as client:
        asked = {
            "GET": client.get("/Users", "1"),
            "PUT": client.replace("/Users", "1", {"userName": "ada"}),
            "PATCH": client.patch("/Users", "1", []),
        }
        with pytest.raises(TargetRefused, match="the answer is about another"):
            await asked.pop(method)
        for other in asked.values():
            other.close()


@pytest.mark.parametrize("rest", [10_001, None])
async def test_c_5_03_an_ignored_filter_without_end_finds_nobody(rest: int | None) -> None:
    """Too many others to look through, or a list that never ends, is no answer: nobody is taken to be missing."""
    service = ScriptedTarget(Profile(ignores_filters=True))
    for number in range(rest or 20):
        service.add("Users", {"userName": f"user-{number}"})
    if rest is None:
        page = {"totalResults": 99, "Resources": list(service.resources["Users"].values())[:10]}
        service.faults.append(Fault("GET", "/Users", Answer(200, page), times=99))
    async with client_of(service) as client:
        with pytest.raises(TargetRefused, match="a search was answered with"):
            await client.find("/Users", {"userName": "ada"})
