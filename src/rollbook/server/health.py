"""Whether the server lives, and whether it should be sent requests: `/healthz` and `/readyz`, open to all.

What they say is from closed sets of words, the same for everybody: no name, no path, no error of a driver.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from rollbook.protocol.values import JsonObject
from rollbook.server.requests import AsgiApp, Receive, Scope, Send
from rollbook.server.responses import Answer, dump, send_answer

ALIVE = "/healthz"
READY = "/readyz"

SECONDS = 2.0
"""How long the checks may take together."""

REMEMBERED_SECONDS = 1.0
"""For how long their outcome is believed: however many ask, the database is asked once a second at most."""

RETRY_AFTER = b"5"

Checks = Mapping[str, Callable[[], Awaitable[str]]]
"""What has to be well, by name, in order; each says `OK` or what is wrong, in words that are fit for anybody."""

OK = "ok"
LATE = f"no answer within {SECONDS:g} s"
FAILS = "fails"
ENDING = "the server is about to end"


class Health:
    """ASGI app: answers for the two paths; all others are the next app's."""

    def __init__(self, app: AsgiApp, checks: Checks, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._checks = checks
        self._clock = clock
        self._found: dict[str, str] = {}
        self._at = float("-inf")
        self._looking = asyncio.Lock()
        self._is_ending = False

    def end(self) -> None:
        """Say from now on that no more requests should be sent here; those that come are answered all the same."""
        self._is_ending = True

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer one request."""
        if scope["path"] in _OURS:
            return self._answer(scope, send)
        return self._app(scope, receive, send)

    async def _answer(self, scope: Scope, send: Send) -> None:
        method = scope["method"]
        if method not in {"GET", "HEAD"}:
            await send_answer(send, Answer(405, headers=((b"allow", b"GET, HEAD"),)))
            return
        found = {} if scope["path"] == ALIVE else await self.look()
        await send_answer(send, _answer(found), "application/json", head=method == "HEAD")

    async def look(self) -> Mapping[str, str]:
        """What each check says, now or up to a second ago."""
        async with self._looking:
            if not self._is_ending and self._clock() - self._at >= REMEMBERED_SECONDS:
                self._found = await _outcomes(self._checks)
                self._at = self._clock()
        return {"server": ENDING} if self._is_ending else self._found


_OURS = frozenset({ALIVE, READY})


def _answer(found: Mapping[str, str]) -> Answer:
    well = all(word == OK for word in found.values())
    told: JsonObject = {"status": "ok" if well else "unavailable"}
    if found:
        told["checks"] = dict(found)
    always = ((b"cache-control", b"no-store"),)
    if well:
        return Answer(200, dump(told), always)
    return Answer(503, dump(told), (*always, (b"retry-after", RETRY_AFTER)))


async def _outcomes(checks: Checks) -> dict[str, str]:
    """What all say, asked at once."""
    words = await asyncio.gather(*(_outcome(check) for check in checks.values()))
    return dict(zip(checks, words, strict=True))


async def _outcome(check: Callable[[], Awaitable[str]]) -> str:
    try:
        async with asyncio.timeout(SECONDS):
            return await check()
    except TimeoutError:
        return LATE
    except Exception:  # noqa: BLE001 - whatever it is, this server should not be asked
        return FAILS
