"""The bench of the client (`make client`) makes calls that are answered; its figures are not looked at here."""

import pytest
from bench.client import measure, ready
from bench.peers.scim_echo import answer

from rollbook.testing.http_server import served

pytestmark = pytest.mark.anyio


async def test_each_call_is_made_by_all_three() -> None:
    """The server is seen to be ready, and a round of each kind of call ends with a rate for each client."""
    with served(answer) as url:
        await ready(f"{url}/v2")
        found = await measure(f"{url}/v2", rounds=1, calls=2, at_once=2)
    assert sorted(found) == ["create", "delete", "page of 100", "patch", "read"]
    assert all(rate > 0 for rounds in found.values() for rates in rounds for rate in rates)
