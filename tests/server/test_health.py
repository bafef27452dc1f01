"""`/healthz` and `/readyz`: what they say, to whom, and what they cost."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import pytest

from rollbook.protocol.errors import StoreUnavailable
from rollbook.server.health import ENDING, FAILS, LATE, OK, Health
from rollbook.server.requests import Receive, Scope, Send
from rollbook.server.responses import Answer, send_answer
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio


async def _next(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send_answer(send, Answer(418, b"{}"))


def _health(**checks: Callable[[], Awaitable[str]]) -> Health:
    return Health(_next, checks)


async def _well() -> str:
    return OK


async def _fails() -> str:
    raise StoreUnavailable("postgresql://somebody:secret@host/name: no")


@pytest.mark.parametrize(
    ("checks", "status", "told"),
    [
        ({}, 200, None),
        ({"database": _well, "disk": _well}, 200, {"database": OK, "disk": OK}),
        ({"database": _fails, "disk": _well}, 503, {"database": FAILS, "disk": OK}),
    ],
)
async def test_ready_says_which_check_failed(
    checks: dict[str, Callable[[], Awaitable[str]]], status: int, told: Mapping[str, str] | None
) -> None:
    """The check that failed is named in words of ours; 503 comes with Retry-After, and nothing of the error."""
    answer = await AsgiCaller(_health(**checks))("GET", "/readyz")
    assert (answer.status, answer.json.get("checks")) == (status, told)
    assert ("retry-after" in answer.headers) == (status == 503)
    assert b"secret" not in answer.body
    assert answer.headers["cache-control"] == "no-store"


async def test_alive_asks_nobody() -> None:
    """A process that lives says so, whatever the database does."""
    answer = await AsgiCaller(_health(database=_fails))("GET", "/healthz")
    assert (answer.status, answer.json) == (200, {"status": "ok"})


async def test_many_who_ask_cost_one_look() -> None:
    """However many ask within a second, the database is asked once."""
    looks = []

    async def counted() -> str:
        looks.append(1)
        await asyncio.sleep(0)
        return OK

    now = [0.0]
    health = Health(_next, {"database": counted}, lambda: now[0])
    call = AsgiCaller(health)
    await asyncio.gather(*(call("GET", "/readyz") for _ in range(50)))
    assert len(looks) == 1
    now[0] += 1.0
    await call("GET", "/readyz")
    assert len(looks) == 2


async def test_a_check_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer comes within the time limit."""
    monkeypatch.setattr("rollbook.server.health.SECONDS", 0.01)

    async def hangs() -> str:
        await asyncio.Event().wait()
        return OK

    answer = await AsgiCaller(_health(database=hangs))("GET", "/readyz")
    assert (answer.status, answer.json["checks"]) == (503, {"database": LATE})


async def test_fs_24_who_is_about_to_end_is_not_ready_but_answers() -> None:
    """FS-24: asked to end, `/readyz` says no at once; the process still lives, and requests are answered."""
    health = _health(database=_well)
    call = AsgiCaller(health)
    assert (await call("GET", "/readyz")).status == 200
    health.end()
    answer = await call("GET", "/readyz")
    assert (answer.status, answer.json["checks"]) == (503, {"server": ENDING})
    assert (await call("GET", "/healthz")).status == 200
    assert (await call("GET", "/scim/v2/Users")).status == 418


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/readyz", 200),
        ("POST", "/readyz", 405),
        ("DELETE", "/healthz", 405),
        ("GET", "/healthz/", 418),
        ("GET", "/t/acme/healthz", 418),
    ],
)
async def test_two_paths_only(method: str, path: str, status: int) -> None:
    """GET and HEAD of exactly two paths; everything else is the server's."""
    answer = await AsgiCaller(_health(database=_well))(method, path)
    assert answer.status == status
    assert method != "HEAD" or answer.body == b""
