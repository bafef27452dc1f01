"""Webhooks over HTTP: who is let in, what is answered, and that nothing is acknowledged before it is kept."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.provisioning.test_messages import OTHER, SECRET, signature

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import NotFound
from rollbook.provisioning.messages import Hook
from rollbook.server import hooks
from rollbook.server.errors import ErrorBoundary
from rollbook.server.hooks import Hooks
from rollbook.storage.sql.arrivals import SqlArrivals
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000_000


@dataclass
class Door:
    """The server's door for webhooks, and what is kept behind it."""

    hooks: Hooks
    arrivals: SqlArrivals
    answers: list[Any] = field(default_factory=list)

    async def send(
        self, body: bytes | object, name: str = "hr", id: str = "m1", at: int = NOW // 1000, method: str = "POST",
        headers: dict[str, str] | None = None, secret: bytes = SECRET,
    ) -> tuple[int, Any, dict[str, str]]:  # fmt: skip
        """Send a message, signed unless other headers are given."""
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        signed = {
            "webhook-id": id,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(secret, id, str(at), raw),
        }
        pairs = [(key.encode(), value.encode()) for key, value in (headers or signed).items()]
        scope = {
            "type": "http",
            "method": method,
            "path": f"/hooks/{name}",
            "headers": pairs,
            "query_string": b"",
        }
        answer: list[Any] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def take(message: Any) -> None:
            answer.append(message)

        await ErrorBoundary(self.hooks)(scope, receive, take)
        told = {key.decode(): value.decode() for key, value in answer[0]["headers"]}
        return answer[0]["status"], orjson.loads(answer[1]["body"]), told

    async def waiting(self, name: str = "hr") -> dict[str, object]:
        """What is kept, by key."""
        return {one.key: one.record for one in await self.arrivals.waiting(1, name, 0, 100)}


async def _no_such(_scope: Any, _receive: Any, _send: Any) -> None:
    raise NotFound("there is no endpoint")


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """A door with one source behind it, which has two secrets."""
    store = SqlStore(SqliteFile(tmp_path / "hub.db"), core_catalog())
    await store.open()
    arrivals = SqlArrivals(store.database)
    known = {"hr": Hook("id", (SECRET, OTHER))}
    yield Door(Hooks(_no_such, arrivals, 1, lambda: NOW, known), arrivals)
    await store.close()


async def test_a_message_is_kept_before_it_is_acknowledged(door: Door) -> None:
    """202, and it is there; by either secret, while one takes the place of the other."""
    status, body, _ = await door.send({"records": [{"id": "1", "name": {"first": "Ada"}}], "deleted": ["2"]})
    assert (status, body) == (202, {"accepted": 2, "result": "new"})
    assert await door.waiting() == {"1": {"id": "1", "name.first": "Ada"}, "2": None}
    assert (await door.send({"id": "3"}, id="m2", secret=OTHER))[0] == 202


async def test_a_message_that_is_sent_again_has_no_effect(door: Door) -> None:
    """It is acknowledged, so that the sender is content; what came later holds."""
    await door.send({"id": "1", "name": "old"})
    await door.send({"id": "1", "name": "new"}, id="m2")
    status, body, _ = await door.send({"id": "1", "name": "old"}, at=NOW // 1000 + 60)
    assert (status, body) == (202, {"accepted": 0, "result": "repeated"})
    assert await door.waiting() == {"1": {"id": "1", "name": "new"}}


async def test_strangers_learn_nothing(door: Door) -> None:
    """A-61: a wrong signature and a source that there is not are answered alike, byte for byte; nothing is kept."""
    wrong = await door.send({"id": "1"}, secret=b"x" * 24)
    nobody = await door.send({"id": "1"}, name="nobody")
    path = await door.send({"id": "1"}, name="hr/../hr")
    assert wrong == nobody == path
    assert wrong[0] == 401
    assert "hr" not in str(wrong[1]["detail"]).split()
    # What is wrong with a body is for those only who may send one.
    assert await door.send(b"{", secret=b"x" * 24) == wrong
    assert await door.waiting() == {}


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
async def test_headers_that_are_missing(door: Door, missing: str) -> None:
    """401, whichever it is."""
    raw = b'{"id":"1"}'
    headers = {
        "webhook-id": "m1",
        "webhook-timestamp": str(NOW // 1000),
        "webhook-signature": signature(body=raw),
    }
    del headers[missing]
    assert (await door.send(raw, headers=headers))[0] == 401


async def test_an_old_message(door: Door) -> None:
    """It may have been seen by others."""
    status, body, _ = await door.send({"id": "1"}, at=NOW // 1000 - 301)
    assert status == 401
    assert "300 seconds" in body["detail"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not JSON"),
        (b'{"id": "1", "id": "2"}', 400, "twice"),
        ({"records": [{"id": "1"}, {}]}, 400, 'records[1]: nothing in "id"'),
        (b"x" * (hooks.MOST_BYTES + 1), 413, "at most"),
    ],
)
async def test_a_bad_body(door: Door, body: object, status: int, words: str) -> None:
    """Which record and why; nothing of it is kept, and it may come again once it is mended."""
    answer = await door.send(body)
    assert answer[0] == status
    assert words in answer[1]["detail"]
    assert await door.waiting() == {}
    assert (await door.send({"id": "1"}))[0] == 202


async def test_too_much_waits(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with Retry-After; the same message is taken later."""
    monkeypatch.setattr(hooks, "BACKLOG", 1)
    await door.send({"id": "1"})
    status, _, headers = await door.send({"id": "2"}, id="m2")
    assert (status, headers["retry-after"]) == (503, "5")
    await door.arrivals.settle(1, "hr", await door.arrivals.waiting(1, "hr", 0, 9), frozenset())
    assert (await door.send({"id": "2"}, id="m2"))[0] == 202


async def test_other_ways(door: Door) -> None:
    """Other methods are refused; without webhook sources there is no such path."""
    assert (await door.send(b"", method="GET"))[0] == 405
    door.hooks.hooks = {}
    assert (await door.send({"id": "1"}))[0] == 404
