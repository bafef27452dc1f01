"""`python -m bench.client`: what `ScimClient` costs over the HTTP library it uses, on the same calls.

A server whose answers are ready bytes, and three clients in turns: `ScimClient`; pyqwest alone, sending ready bytes and parsing the JSON it gets;
and the same with a bound on the size of answers, which the client has too: the library then gives them piece by piece, which
costs more. Each round times all three for each kind of call, some at once; what is printed are medians of all rounds.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pyqwest
from bench.peers.scim_echo import person
from bench.servers import free_port

from rollbook.client import ScimClient

USER = {name: value for name, value in person(1).items() if name not in {"id", "meta"}}
OWN_ID = str(person(1)["id"])
CHANGE = [{"op": "replace", "path": "title", "value": "Engineer"}]
LEAST = 0.7
MOST = 32 * 1024 * 1024

Send = Callable[[], Awaitable[object]]


def of_scim(client: ScimClient) -> dict[str, Send]:
    """The calls by `ScimClient`."""
    return {
        "create": lambda: client.create("/Users", USER),
        "read": lambda: client.get("/Users", OWN_ID),
        "patch": lambda: client.patch("/Users", OWN_ID, CHANGE),
        "page of 100": lambda: client.search("/Users"),
        "delete": lambda: client.delete("/Users", OWN_ID),
    }


Answer = Callable[[str, str, dict[str, str], bytes | None], Awaitable[bytes]]


def whole(transport: pyqwest.HTTPTransport) -> Answer:
    """The library's own way: an answer of any size."""
    client = pyqwest.Client(transport)

    async def answer(method: str, url: str, headers: dict[str, str], body: bytes | None) -> bytes:
        return (await client.execute(method, url, headers, body)).content

    return answer


def bounded(transport: pyqwest.HTTPTransport) -> Answer:
    """The shortest way to an answer that is given up when it is too large."""

    async def answer(method: str, url: str, headers: dict[str, str], body: bytes | None) -> bytes:
        found = await transport.execute(pyqwest.Request(method, url, pyqwest.Headers(headers.items()), body))
        length = int(found.headers.get("content-length", "0"))
        content = bytearray()
        if length:
            async for chunk in found.content:
                content += chunk
                if len(content) >= length or len(content) > MOST:
                    break
        return bytes(content)

    return answer


def of_library(answer: Answer, base: str) -> dict[str, Send]:
    """The same calls by the library: everything that is sent is ready."""
    headers = {"authorization": "Bearer t", "accept": "application/scim+json"}
    writing = {**headers, "content-type": "application/scim+json"}
    one, page = f"{base}/Users/{OWN_ID}", f"{base}/Users?startIndex=1&count=100"
    body = orjson.dumps(USER)
    change = orjson.dumps(
        {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": CHANGE}
    )

    async def json(*call: Any) -> object:
        return orjson.loads(await answer(*call))

    return {
        "create": lambda: json("POST", f"{base}/Users", writing, body),
        "read": lambda: json("GET", one, headers, None),
        "patch": lambda: json("PATCH", one, writing, change),
        "page of 100": lambda: json("GET", page, headers, None),
        "delete": lambda: answer("DELETE", one, headers, None),
    }


async def timed(send: Send, calls: int, at_once: int) -> float:
    """Calls per second."""

    async def some() -> None:
        for _ in range(calls // at_once):
            await send()

    begun = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(at_once)))
    return calls // at_once * at_once / (time.perf_counter() - begun)


async def measure(base: str, rounds: int, calls: int, at_once: int) -> dict[str, list[list[float]]]:
    """For each kind of call, the rates of the three in each round."""
    found: dict[str, list[list[float]]] = {}
    async with (
        pyqwest.HTTPTransport(
            follow_redirects=False, enable_otel=False, pool_max_idle_per_host=8
        ) as transport,
        ScimClient(base, "t") as client,
    ):
        three = [of_library(whole(transport), base), of_library(bounded(transport), base), of_scim(client)]
        for number in range(rounds + 1):
            for kind in three[0]:
                rates = [0.0] * 3
                for place in range(3):
                    which = (number + place) % 3
                    rates[which] = await timed(three[which][kind], calls, at_once)
                if number:  # the first round warms up
                    found.setdefault(kind, []).append(rates)
    return found


async def ready(base: str) -> None:
    """Wait for the server."""
    async with ScimClient(base, "t") as client:
        for _ in range(200):
            with suppress(Exception):
                await client.get("/Users", OWN_ID)
                return
            await asyncio.sleep(0.05)
    raise SystemExit("the server does not answer")


def main() -> int:
    """Measure and print; 1 if the client is slower than it may be."""
    parser = argparse.ArgumentParser(prog="python -m bench.client", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="how often both are timed (default 15)")
    parser.add_argument("--calls", type=int, default=400, help="calls of one kind in a round (default 400)")
    parser.add_argument("--at-once", type=int, default=8, help="calls at the same time (default 8)")
    options = parser.parse_args()
    port = free_port()
    root = Path(__file__).parent.parent
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.peers.scim_echo", str(port)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    base = f"http://127.0.0.1:{port}/v2"
    try:
        asyncio.run(ready(base))
        found = asyncio.run(measure(base, options.rounds, options.calls, options.at_once))
    finally:
        server.terminate()
        server.wait(10)
    print(
        f"| {options.at_once} at once, medians of {options.rounds} rounds | pyqwest | pyqwest, bounded | `ScimClient` | of pyqwest | of bounded |"
    )
    print("|---|---|---|---|---|---|")
    shares = []
    for kind, rounds in found.items():
        figures = [statistics.median(rates[at] for rates in rounds) for at in range(3)]
        of = [statistics.median(rates[2] / rates[at] for rates in rounds) for at in range(2)]
        shares.append(of)
        print(
            "|", " | ".join([kind, *(f"{one:,.0f}/s" for one in figures), *(f"{one:.2f}" for one in of)]), "|"
        )
    means = [statistics.geometric_mean(of[at] for of in shares) for at in range(2)]
    print(f"| all kinds (expected ≥ {LEAST}) | | | | {means[0]:.2f} | {means[1]:.2f} |")
    return 0 if min(means) >= LEAST else 1


if __name__ == "__main__":
    raise SystemExit(main())
