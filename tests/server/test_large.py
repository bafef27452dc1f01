"""Large resources are sent in parts, each made when it is its turn: memory does not grow with them."""

import tracemalloc
from collections.abc import AsyncIterator

import pytest
from tests.server.conftest import TOKEN

from rollbook.app import Application, now, running
from rollbook.operations import tokens
from rollbook.operations.rights import Rights
from rollbook.protocol.resource import Change, Member
from rollbook.server.requests import AsgiApp, Message, Receive, Send
from rollbook.settings import Settings
from rollbook.storage.base import USUAL, Author
from rollbook.storage.sql.load import Joined, Loaded, Mark
from rollbook.testing.asgi import AsgiCaller
from rollbook.testing.store_steps import GROUP, TENANT, USER

pytestmark = pytest.mark.anyio

MEMBERS = 30_000
PART = 200_000
"""Bytes that no part has more of."""

FIXED, EACH = 1_500_000, 50
"""Bytes that may be held, and of each member; some 110 of it are sent."""

AUTHOR = Author("test", 1)


class _Parts:
    """An application that notes the largest part of an answer, and how many there were."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app
        self.largest = self.number = self.size = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.largest = self.number = self.size = 0

        async def note(message: Message) -> None:
            size = len(message.get("body", b""))
            self.largest, self.number, self.size = max(self.largest, size), self.number + 1, self.size + size
            if message["type"] == "http.response.start":
                await send(message)  # bodies are not kept

        await self._app(scope, receive, note)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """One for the module, as the server is: no test here changes its resources."""
    return "asyncio"


@pytest.fixture(scope="module")
async def filled(tmp_path_factory: pytest.TempPathFactory, anyio_backend: str) -> AsyncIterator[Application]:
    """A server with a large group, and one without members."""
    database = f"sqlite:///{tmp_path_factory.mktemp('large') / 'store.db'}"
    async with running(Settings(database=database, bootstrap_token=TOKEN)) as application:
        await _fill(application)
        yield application


async def _fill(application: Application) -> None:
    store = application.store
    ids = [f"u{number:05}" for number in range(MEMBERS)]
    mark = Mark("test", "")
    for at in range(0, MEMBERS, 5_000):
        users = [
            Loaded(USER, one, {"userName": one, "displayName": f"Person {one}"})
            for one in ids[at : at + 5_000]
        ]
        assert not any(await store.load(TENANT, users, AUTHOR, USUAL, mark))
    await store.insert(TENANT, GROUP, "empty", Change({"displayName": "empty"}), AUTHOR)
    await store.insert(TENANT, GROUP, "large", Change({"displayName": "large"}), AUTHOR)
    for at in range(0, MEMBERS, 5_000):
        joined = Joined(GROUP, "large", [Member(one) for one in ids[at : at + 5_000]], is_kept=True)
        await store.join(TENANT, joined, AUTHOR, USUAL, None)
    await application.journal.seal(
        1
    )  # what has been written is sealed beside: a megabyte at most, but not the request's


async def test_a_large_group_is_whole(filled: Application) -> None:
    """Read alone or in a list, projected or not, it has every member once, oldest first."""
    call = AsgiCaller(filled.asgi, TOKEN)
    expected = [f"u{number:05}" for number in range(MEMBERS)]
    alone = (await call("GET", "/scim/v2/Groups/large")).json
    listed = (await call("GET", "/scim/v2/Groups")).json
    projected = (await call("GET", "/scim/v2/Groups/large?attributes=members.value")).json
    assert [each["id"] for each in listed["Resources"]] == ["empty", "large"]
    assert listed["Resources"][1] == alone
    for found in (alone, projected):
        assert [member["value"] for member in found["members"]] == expected
    assert alone["members"][7] == {
        "value": "u00007",
        "$ref": "http://localhost:8080/scim/v2/Users/u00007",
        "display": "Person u00007",
        "type": "User",
    }


@pytest.mark.parametrize(
    "target", ["/scim/v2/Groups/large", "/scim/v2/Groups", "/scim/v2/Groups?count=2&sortBy=displayName"]
)
async def test_what_is_held(filled: Application, target: str) -> None:
    """No part is large, and of each member less is held than is sent."""
    parts = _Parts(filled.asgi)
    call = AsgiCaller(parts, TOKEN)
    await call("GET", "/scim/v2/Groups?excludedAttributes=members")
    peaks = []
    for _ in range(3):  # what the server does beside, such as sealing its log, may fall into one of them
        tracemalloc.start()
        try:
            await call("GET", target)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert parts.size > MEMBERS * 100
    assert parts.largest < PART
    assert parts.number > MEMBERS // 2_000
    assert min(peaks) < FIXED + EACH * MEMBERS


async def test_t_19_what_is_held_for_a_bound(filled: Application) -> None:
    """A token with a bound is answered in as little: who is outside has an id, and nothing is kept of each member."""
    rights = Rights(within='displayName sw "Person u000" or displayName eq "large"')
    text = await tokens.issue(filled.store, TENANT, "bounded", now=now(), expires=None, rights=rights)
    members = (await AsgiCaller(filled.asgi, text)("GET", "/scim/v2/Groups/large")).json["members"]
    assert [member["value"] for member in members] == [f"u{number:05}" for number in range(MEMBERS)]
    assert [number for number, member in enumerate(members) if "display" in member] == [*range(100)]
    call = AsgiCaller(_Parts(filled.asgi), text)
    tracemalloc.start()
    try:
        await call("GET", "/scim/v2/Groups/large")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < FIXED + EACH * MEMBERS
