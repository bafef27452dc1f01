"""`python -m bench.prompt`: how long one change takes to its target while another target has a long backlog, one is down and one says 429.

`rollbook serve --config` as a process on SQLite; targets behind sockets. The slow target takes half a second for each request, so that its
backlog lasts. Changes are made over SCIM, one after another; each counts from its answer until it has arrived at the target.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.provisioning import USER
from bench.servers import free_port

from rollbook.client import ScimClient
from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Answer, Profile, Recorded, ScriptedTarget

TARGET = """
  NAME:
    type: scim
    url: URL
    token: ${TOKEN}
    brake: off
    scope: 'title sw "WHO"'
    users: {userName: {from: userName}, externalId: {from: externalId}, nickName: {from: nickName}}
"""
SLOW = 0.5
"""Seconds that the slow target takes for a request."""


class Noting(ScriptedTarget):
    """A target that notes when which nickname came."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(Profile(token="secret"))
        self.came: dict[str, float] = {}
        self._seconds = seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, in its own time."""
        await asyncio.sleep(self._seconds)
        await super().__call__(scope, receive, send)

    def _faulty(self, request: Recorded) -> Answer:
        if request.method in {"POST", "PATCH", "PUT"}:
            for name in _nick_names(request.body):
                self.came.setdefault(name, time.monotonic())
        self.requests.clear()
        return super()._faulty(request)


class Busy(ScriptedTarget):
    """A target that always wants to be left alone for a second."""

    def _faulty(self, request: Recorded) -> Answer:  # noqa: ARG002 - whatever it is
        return Answer(429, {}, {"retry-after": "1"})


def _nick_names(body: Any) -> list[str]:
    if isinstance(body, Mapping):
        own = body.get("nickName")
        named = [own] if isinstance(own, str) else []
        if body.get("path") == "nickName":
            named.append(str(body.get("value")))
        return named + [name for value in body.values() for name in _nick_names(value)]
    return [name for value in body for name in _nick_names(value)] if isinstance(body, list) else []


def people(backlog: int) -> str:
    """An import file: those in the backlog, and one whose changes are to be prompt."""
    rows = [(f"user{at}", "Backlog") for at in range(backlog)] + [("prompt", "Prompt")]
    return "\n".join(
        json.dumps(
            {
                "schemas": [USER],
                "id": name,
                "userName": name,
                "externalId": name,
                "title": title,
                "active": True,
            }
        )
        for name, title in rows
    )


async def arrivals(client: ScimClient, target: Noting, id: str, number: int, patience: float) -> list[float]:
    """Seconds from each change to the target; infinite for one that did not come in time."""
    found: list[float] = []
    for at in range(number):
        name = f"{id}-{at}"
        await client.patch("/Users", id, [{"op": "replace", "path": "nickName", "value": name}])
        begun = time.monotonic()
        while name not in target.came and time.monotonic() < begun + patience:  # noqa: ASYNC110 - it comes in another thread
            await asyncio.sleep(0.005)
        found.append(max(target.came.get(name, float("inf")) - begun, 0.0))
        await asyncio.sleep(0.05 * (at % 7))
    return sorted(found)


async def measure(port: int, quick: Noting, slow: Noting, options: argparse.Namespace) -> None:
    """Print the table."""
    async with ScimClient(f"http://127.0.0.1:{port}/scim/v2", "own", insecure_http=True) as client:
        end = time.monotonic() + 600
        while not (slow.resources["Users"] and quick.resources["Users"]):
            await asyncio.sleep(0.1)
            if time.monotonic() > end:
                raise SystemExit("no work begins")
        own = next(iter(slow.resources["Users"].values()))["externalId"]
        found = await arrivals(client, quick, "prompt", options.changes, 60.0)
        left = options.backlog - len(slow.resources["Users"])
        p50, p99 = (found[min(int(len(found) * part), len(found) - 1)] for part in (0.5, 0.99))
        print(
            f"| {options.changes} changes, {left:,} left in the backlog of another target | p50 | p99 | most |"
        )
        print(f"|---|---|---|---|\n| | {p50:.2f} s | {p99:.2f} s | {found[-1]:.2f} s |", flush=True)
        behind = await arrivals(client, slow, own, 1, options.patience)
        waited = f"{behind[0]:.0f} s" if behind[0] < options.patience else f"over {options.patience:.0f} s"
        print(f"| a change for the target with the backlog | {waited} | | |")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.prompt", description=__doc__)
    parser.add_argument("--backlog", type=int, default=100_000, help="Changes that another target waits for.")
    parser.add_argument("--changes", type=int, default=300)
    parser.add_argument("--patience", type=float, default=60.0, help="Seconds to wait behind a backlog.")
    options = parser.parse_args()
    with TemporaryDirectory(prefix="rollbook-prompt-") as name, ExitStack() as stack:
        folder, port = Path(name), free_port()
        quick, slow, busy = Noting(), Noting(SLOW), Busy(Profile(token="secret"))
        places = {
            "quick": (stack.enter_context(served(quick)) + "/v2", "Prompt"),
            "slow": (stack.enter_context(served(slow)) + "/v2", "Backlog"),
            "busy": (stack.enter_context(served(busy)) + "/v2", ""),
            "down": ("http://127.0.0.1:9/v2", ""),
        }
        texts = [
            TARGET.replace("NAME", name).replace("URL", url).replace("WHO", who)
            if who
            else TARGET.replace("NAME", name).replace("URL", url).replace('title sw "WHO"', "userName pr")
            for name, (url, who) in places.items()
        ]
        (folder / "rollbook.yaml").write_text("version: 1\ntargets:" + "".join(texts), "utf-8")
        (folder / "people.jsonl").write_text(people(options.backlog) + "\n", "utf-8")
        environment = {
            **os.environ,
            "TOKEN": "secret",
            "ROLLBOOK_BOOTSTRAP_TOKEN": "own",
            "ROLLBOOK_DATABASE": f"sqlite:///{folder / 'hub.db'}",
        }
        command = [sys.executable, "-m", "rollbook"]
        subprocess.run(
            [*command, "import", "people.jsonl"],
            cwd=folder,
            env=environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [*command, "serve", "--port", str(port), "--config", "rollbook.yaml"],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
            )
        try:
            asyncio.run(measure(port, quick, slow, options))
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
