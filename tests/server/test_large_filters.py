"""Filters as large as they may be, on both databases: what answers is SCIM, never a limit of the database (T-42)."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.server.test_races import Servers, servers

from rollbook.protocol import urns
from rollbook.protocol.filter_parser import Limits

__all__ = ["servers"]

pytestmark = pytest.mark.anyio

LIMITS = Limits()
LARGEST: dict[str, Callable[[int], str]] = {
    "tests": lambda more: " or ".join(f'userName eq "{number}"' for number in range(LIMITS.terms + more)),
    "others": lambda more: " and ".join(["title pr"] * (LIMITS.terms + more)),
    "depth": lambda more: "not (" * (LIMITS.depth + more) + 'title sw "a"' + ")" * (LIMITS.depth + more),
    "length": lambda more: f'title eq "{"x" * (LIMITS.length - 11 + more)}"',
}


@pytest.mark.parametrize("what", LARGEST)
async def test_t_42_at_the_limits_and_beyond(servers: Servers, what: str) -> None:
    """At a limit it is an answer or 400/tooMany, just beyond it 400 in words; never a 5xx."""
    await servers.make("/Users", userName="ann", title="a")

    async def ask(more: int) -> Any:
        search = {"schemas": [urns.SEARCH_REQUEST], "filter": LARGEST[what](more)}
        return await servers.at(0)("POST", "/Users/.search", search)

    at, beyond = await ask(0), await ask(1)
    assert at.status == 200 or (at.status, at.json["scimType"]) == (400, "tooMany"), at.body
    assert beyond.status == 400, beyond.body
    assert beyond.json["scimType"] in {"invalidFilter", "tooMany"}
