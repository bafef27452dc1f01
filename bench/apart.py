# ruff: noqa: ASYNC220 - processes are started before anything is measured
"""`python -m bench.apart`: whether times tell tenants apart (I-08).

One real server with three tenants: `acme`, `beta`, whose token asks, and `shut`, which is switched off. Requests that are answered
alike are asked in turns, in random order, and each pair is compared by ranks (Mann and Whitney): the probability that one of
the first takes longer than one of the second, which is 0.5 where times tell nothing, and the difference of medians.
The first pair compares one case with itself: so much is the machine's.
"""

import argparse
import asyncio
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
from itertools import pairwise
from time import perf_counter

import pyqwest
from bench.servers import free_port

USER = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann"}
INVENTED = "01890000-0000-7000-8000-000000000000"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.apart", description=__doc__)
    parser.add_argument("--times", type=int, default=4_000, help="requests of each case")
    parser.add_argument("--postgres", metavar="URL", help="an empty PostgreSQL database, in place of SQLite")
    options = parser.parse_args()
    asyncio.run(_measure(options.times, options.postgres))
    return 0


async def _measure(times: int, url: str | None) -> None:
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "ROLLBOOK_DATABASE": url or f"sqlite:///{home}/bench.db"}

        def run(*words: str) -> str:
            command = [sys.executable, "-m", "rollbook", *words]
            return subprocess.run(
                command, env=environment, cwd=home, check=True, capture_output=True, text=True
            ).stdout

        run("database", "migrate")
        for name in ("acme", "beta", "shut"):
            run("tenant", "create", name)
        tokens = {name: _token(run("--tenant", name, "token", "create")) for name in ("acme", "beta")}
        run("tenant", "disable", "shut")
        port = free_port()
        server = subprocess.Popen(
            [sys.executable, "-m", "rollbook", "serve", "--port", str(port)],
            env=environment,
            cwd=home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await _compare(Asked(f"http://127.0.0.1:{port}/t/", tokens), times)
        finally:
            server.terminate()
            server.wait()


def _token(printed: str) -> str:
    return next(word for word in printed.split() if word.startswith("rb_live_"))


class Asked:
    """The server, and the tokens of two tenants."""

    def __init__(self, base: str, tokens: dict[str, str]) -> None:
        self.base, self.tokens = base, tokens
        self.client = pyqwest.Client()

    async def send(self, tenant: str, path: str, token: str | None, body: object = None) -> tuple[int, bytes]:
        """Status and body of an answer."""
        headers = {"content-type": "application/scim+json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        sent = None if body is None else json.dumps(body).encode()
        answer = await self.client.execute(
            "GET" if body is None else "POST", f"{self.base}{tenant}/scim/v2{path}", headers, sent
        )
        return answer.status, answer.content

    async def ready(self) -> str:
        """Wait for the server; the id of somebody in `acme`."""
        for _ in range(400):
            try:
                status, body = await self.send("acme", "/Users", self.tokens["acme"], USER)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                assert status == 201, body
                identifier: str = json.loads(body)["id"]
                return identifier
        raise SystemExit("the server does not start")


async def _compare(asked: Asked, times: int) -> None:
    foreign, own = await asked.ready(), asked.tokens["beta"]
    cases: dict[str, tuple[str, str, str | None]] = {
        "foreign token": ("acme", f"/Users/{foreign}", own),
        "foreign token, again": ("acme", f"/Users/{foreign}", own),
        "tenant switched off": ("shut", f"/Users/{foreign}", own),
        "no such tenant": ("none", f"/Users/{foreign}", own),
        "foreign id": ("beta", f"/Users/{foreign}", own),
        "invented id": ("beta", f"/Users/{INVENTED}", own),
    }
    found: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(times + 100):
        for name in random.sample([*cases], len(cases)):
            begun = perf_counter()
            status, _ = await asked.send(*cases[name])
            took = perf_counter() - begun
            assert status == 404, (name, status)
            if turn >= 100:
                found[name].append(took * 1e6)
    names = [*cases]
    print(f"{times} requests of each; medians in microseconds")
    for one, other in [*pairwise(names[:4]), (names[0], names[3]), (names[4], names[5])]:
        _tell(one, other, found[one], found[other])


def _tell(one: str, other: str, first: list[float], second: list[float]) -> None:
    share, error = _longer(first, second)
    medians = statistics.median(first), statistics.median(second)
    print(
        f"{one:>22} {medians[0]:6.0f}   {other:>22} {medians[1]:6.0f}   "
        f"first is longer in {share:.3f} ± {error:.3f}"
    )


def _longer(first: list[float], second: list[float]) -> tuple[float, float]:
    """How probable it is that one of the first is longer than one of the second, and twice the error of that."""
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    ranks = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which == 0)
    number, others = len(first), len(second)
    share = (ranks - number * (number + 1) / 2) / (number * others)
    return share, 2 * math.sqrt((number + others + 1) / (12 * number * others))


if __name__ == "__main__":
    raise SystemExit(main())
