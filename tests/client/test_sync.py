"""The client without await: every method of the other one, by the same name, inside and outside a loop."""

import asyncio
import inspect
import threading

import pytest

from rollbook.client import ScimClient, SyncScimClient
from rollbook.protocol import urns
from rollbook.protocol.errors import NotFound
from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Profile, ScriptedTarget


def _methods(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


def test_the_same_names() -> None:
    """Nothing is missing."""
    assert _methods(SyncScimClient) == _methods(ScimClient)
    for name in _methods(ScimClient) - {"close"}:
        ours, theirs = getattr(SyncScimClient, name), getattr(ScimClient, name)
        assert inspect.signature(ours) == inspect.signature(theirs), name
        assert ours.__doc__ == theirs.__doc__


def test_a_whole_life() -> None:
    """Made, read, changed, found, listed, removed; an error is the same error; the thread ends with it."""
    before = threading.active_count()
    with served(ScriptedTarget(Profile(token="t", page_limit=2))) as url:
        with SyncScimClient(f"{url}/v2", "t") as client:
            assert client.discover().patch
            made = [client.create("/Users", {"schemas": [urns.USER], "userName": f"u{n}"}) for n in range(5)]
            client.patch("/Users", made[0].id, [{"op": "replace", "path": "title", "value": "Lead"}])
            assert client.get("/Users", made[0].id).body["title"] == "Lead"
            assert [one.id for one in client.find("/Users", {"userName": "u3"})] == [made[3].id]
            walk = client.iterate("/Users")
            assert [one.id for one in walk] == [one.id for one in made]
            assert walk.complete
            assert client.search("/Users").total == 5
            client.replace("/Users", made[1].id, {"schemas": [urns.USER], "userName": "other"})
            client.delete("/Users", made[0].id)
            with pytest.raises(NotFound):
                client.get("/Users", made[0].id)
        client.close()
    assert threading.active_count() <= before + 1


def test_inside_another_loop() -> None:
    """A program that has a loop of its own can use it in a thread of that, or simply block."""
    with served(ScriptedTarget()) as url:

        async def go() -> int:
            with SyncScimClient(f"{url}/v2", "t") as client:
                return client.search("/Users").total

        assert asyncio.run(go()) == 0


def test_what_cannot_be_made() -> None:
    """A bad URL is refused at once, and leaves no thread."""
    before = threading.active_count()
    with pytest.raises(ValueError, match="must begin with https"):
        SyncScimClient("http://example.com/v2", "t")
    assert threading.active_count() == before
