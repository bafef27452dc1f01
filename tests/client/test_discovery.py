"""Discovery of services that describe themselves well, badly or not at all (client.md 2)."""

import pytest

from rollbook.client import Capabilities
from rollbook.client.discovery import discover
from rollbook.protocol.errors import NotFound, TargetRefused, TargetUnavailable
from rollbook.protocol.values import JsonValue

pytestmark = pytest.mark.anyio

CONFIG = {
    "patch": {"supported": False},
    "filter": {"supported": True, "maxResults": 50},
    "bulk": {"supported": True, "maxOperations": 10},
    "sort": {"supported": "yes"},
    "etag": {"supported": True},
}
USER_TYPE = {"name": "User", "endpoint": "People", "schema": "urn:x"}


async def found(answers: dict[str, JsonValue | Exception]) -> Capabilities:
    """What is discovered from these answers by path; an error is raised, a missing path is a 404."""

    async def read(path: str) -> JsonValue:
        answer = answers.get(path, NotFound("no such endpoint"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    return await discover(read)


async def test_c_2_01_what_is_announced_is_known() -> None:
    """Features, limits, endpoints and attributes are read from the three endpoints."""
    capabilities = await found(
        {
            "/ServiceProviderConfig": CONFIG,
            "/ResourceTypes": {"Resources": [USER_TYPE]},
            "/Schemas": {
                "Resources": [{"id": "urn:X", "attributes": [{"name": "userName"}, {"name": "Title"}]}]
            },
        }
    )
    assert capabilities == Capabilities(
        patch=False,
        filter_max_results=50,
        bulk=True,
        bulk_operations=10,
        etag=True,
        endpoints={"User": "/People", "Group": "/Groups"},
        attributes={"urn:x": frozenset({"username", "title"})},
    )


@pytest.mark.parametrize(
    ("config", "patch"),
    [
        ([CONFIG], False),
        ({"Resources": [CONFIG]}, False),
        ({"PATCH": {"Supported": False}}, False),
        ({"patch": None}, True),
        ([], True),
        ("text", True),
        (TargetRefused("HTML"), True),
        (NotFound("none"), True),
    ],
)
async def test_c_2_03_odd_service_provider_configs(config: JsonValue, patch: bool) -> None:
    """Bare arrays, lists and absence do not stop the client; what is not said is as usual."""
    assert (await found({"/ServiceProviderConfig": config})).patch is patch


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("Users", "/Users"),
        ("/Users/", "/Users"),
        ("http://evil/Users", "/Users"),
        ("/a?b", "/Users"),
        ("", "/Users"),
        (7, "/Users"),
        ("/scim/People", "/scim/People"),
    ],
)
async def test_c_2_02_endpoints(endpoint: JsonValue, expected: str) -> None:
    """Endpoints come with or without slash; what is not a path is not used."""
    types = [{"name": "User", "endpoint": endpoint}]
    assert (await found({"/ResourceTypes": types})).endpoints["User"] == expected


async def test_problems_are_told_and_outages_pass() -> None:
    """What could not be read is named; a service that does not answer is an error."""
    assert (await found({})).problems == (
        "/ServiceProviderConfig: no such endpoint",
        "/ResourceTypes: no such endpoint",
        "/Schemas: no such endpoint",
    )
    with pytest.raises(TargetUnavailable):
        await found({"/ServiceProviderConfig": TargetUnavailable("down")})
