# ruff: noqa: ASYNC220 - processes are started between measurements, when nothing else is to go on
"""`python -m bench.flood`: what one tenant's flood does to another's answers.

One real server, two tenants. One asks for single users, one after another, 100 times a second; first alone, then while the other asks
as fast as it can, many requests at once: single users, lists, writes, or requests that are as much work as one may be. Rounds of both kinds
take turns, since the machine is shared.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from time import perf_counter

import pyqwest
from bench import postgres
from bench.servers import free_port

TOKEN = "bench"  # one that the environment gives
FLOODS = ("read", "list", "write", "values", "names", "select", "bulk")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.flood", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--at-once", type=int, default=32)
    parser.add_argument("--page", type=int, default=100, help="users in a page of a list")
    parser.add_argument("--only", nargs="*", choices=FLOODS, default=FLOODS)
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL in place of SQLite")
    if sys.argv[1:2] == ["--flood"]:
        base, authorization, kind, seconds, at_once, page = sys.argv[2:]
        asyncio.run(_flood(Asked(base, authorization, int(page)), kind, float(seconds), int(at_once)))
        return 0
    options = parser.parse_args()
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        database = f"sqlite:///{home}/bench.db"
        if options.postgres:
            database = stack.enter_context(postgres.database(stack.enter_context(postgres.server())))
        asyncio.run(_measure(options, database, home))
    return 0


async def _measure(options: argparse.Namespace, database: str, home: str) -> None:
    page, other = options.page, _tenant(database, home)
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "rollbook", "serve", "--port", str(port), "--database", database],
        env={**os.environ, "ROLLBOOK_BOOTSTRAP_TOKEN": TOKEN},
        stdout=subprocess.DEVNULL,
    )
    try:
        base = f"http://127.0.0.1:{port}"
        one = Asked(f"{base}/scim/v2", f"Bearer {TOKEN}", page)
        flood = Asked(f"{base}/t/acme/scim/v2", f"Bearer {other}", page)
        await one.ready()
        await flood.ready(page)
        for kind in options.only:
            await _compare(one, flood, kind, options.rounds, options.seconds, options.at_once)
    finally:
        server.terminate()
        server.wait()


def _tenant(database: str, home: str) -> str:
    def run(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "rollbook", *words],
            env={**os.environ, "ROLLBOOK_DATABASE": database},
            cwd=home,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    run("database", "migrate")
    run("tenant", "create", "acme")
    return next(
        word
        for word in run("--tenant", "acme", "token", "create", "--name", "flood").split()
        if word.startswith("rb_")
    )


class Asked:
    """One tenant of the server."""

    def __init__(self, base: str, authorization: str, page: int) -> None:
        self.base, self.page = base, page
        self.headers = {"authorization": authorization, "content-type": "application/scim+json"}
        self.client = pyqwest.Client()
        self.id = ""
        self.made = 0

    async def send(self, kind: str) -> None:
        """One request of a kind."""
        method, path, body = "GET", f"/Users/{self.id}", None
        if kind == "list":
            path = f"/Users?count={self.page}"
        elif kind != "read":
            self.made += 1
            method, path, document = self._written(kind)
            body = json.dumps(document).encode()
        answer = await self.client.execute(method, self.base + path, self.headers, body)
        assert answer.status in {200, 201}, (answer.status, answer.content)

        if kind == "write":
            self.id = json.loads(answer.content)["id"]

    def _written(self, kind: str) -> tuple[str, str, object]:
        """Method, path and body of a request that writes."""
        name, one = f"w{os.getpid()}-{self.made}", f"/Users/{self.id}"
        match kind:
            case "write":
                return "POST", "/Users", _user(name)
            case "names":
                return "POST", "/Users", {**_user(name), **{f"k{each}": 1 for each in range(80_000)}}
            case "values":
                emails = [{"value": f"{name}-{each}@example.com", "type": "work"} for each in range(1_000)]
                return "PATCH", one, _patch({"op": "replace", "path": "emails", "value": emails})
            case "select":
                paths = [f'phoneNumbers[type eq "t{each}"].value' for each in range(100)]
                return "PATCH", one, _patch(*({"op": "add", "path": path, "value": name} for path in paths))
            case _:
                posts = [
                    {
                        "method": "POST",
                        "path": "/Users",
                        "bulkId": f"b{each}",
                        "data": _user(f"{name}-{each}"),
                    }
                    for each in range(1_000)
                ]
                return (
                    "POST",
                    "/Bulk",
                    {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": posts},
                )

    async def ready(self, users: int = 100) -> None:
        """Wait for the server, and have some users."""
        for _ in range(400):
            try:
                await self.send("write")
                break
            except OSError:
                await asyncio.sleep(0.1)
        for _ in range(users):
            await self.send("write")


def _user(name: str) -> dict[str, object]:
    return {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name}


def _patch(*operations: object) -> dict[str, object]:
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations}


async def _compare(one: Asked, flood: Asked, kind: str, rounds: int, seconds: float, at_once: int) -> None:
    quiet: list[float] = []
    loud: list[float] = []
    asked = 0
    for _ in range(rounds):
        quiet += await _steady(one, seconds)
        words = [
            "--flood",
            flood.base,
            flood.headers["authorization"],
            kind,
            str(seconds + 1.5),
            str(at_once),
            str(flood.page),
        ]
        flooding = subprocess.Popen(
            ["nice", "-n", "15", sys.executable, "-m", "bench.flood", *words],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert flooding.stdout is not None
        flooding.stdout.readline()
        await asyncio.sleep(0.5)
        loud += await _steady(one, seconds)
        asked += int(flooding.communicate()[0])
    before, beside = _at(quiet, 0.99), _at(loud, 0.99)
    print(
        f"flood of {kind:6}: {asked / rounds / (seconds + 1.5):7.1f}/s; p50 {_at(quiet, 0.5):6.2f} -> {_at(loud, 0.5):6.2f} ms,"
        f" p99 {before:6.2f} -> {beside:6.2f} ms ({beside / before:.2f})"
    )


async def _flood(asked: Asked, kind: str, seconds: float, at_once: int) -> None:
    """Ask as fast as it goes, in a process of its own: the client that measures must not be the one that is busy."""
    await asked.ready(1)
    print("begun", flush=True)
    until = perf_counter() + seconds

    async def one() -> int:
        number = 0
        while perf_counter() < until:
            await asked.send(kind)
            number += 1
        return number

    print(sum(await asyncio.gather(*(one() for _ in range(at_once)))))


async def _steady(one: Asked, seconds: float) -> list[float]:
    """Milliseconds of each request, a hundred a second."""
    found = []
    until = perf_counter() + seconds
    while perf_counter() < until:
        began = perf_counter()
        await one.send("read")
        found.append((perf_counter() - began) * 1000)
        await asyncio.sleep(0.01)
    return found


def _at(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=1000)[round(share * 1000) - 1]


if __name__ == "__main__":
    sys.exit(main())
