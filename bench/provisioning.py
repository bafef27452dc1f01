"""`python -m bench.provisioning`: what the engine costs over the calls it makes, and what a plan with nothing to do costs.

A hub with users and groups, a target that is `rollbook serve` itself, beside it more targets of the same kind. First the bare
client looks up and creates the same users and groups at a target, as many at once as the engine may; then `rollbook apply` loads another one from nothing.
Then `rollbook plan`, with nothing changed, over all targets. Memory is the peak of the command.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.servers import Kind, started
from bench.wrk import Service

from rollbook.client import ScimClient

AT_ONCE = 8
GROUP_MEMBERS = 20
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"

TARGET = """
  NAME:
    type: scim
    url: URL
    token: ${TOKEN}
    brake: off
    users:
      userName: {from: userName}
      externalId: {from: externalId}
      title: {from: title}
      name.familyName: {from: name.familyName}
      emails: {from: emails}
      active: {from: active}
    groups: {displayName: {from: displayName}, members: true}
"""


def person(at: int) -> dict[str, Any]:
    """A user as the hub and the bare client have it."""
    return {
        "schemas": [USER],
        "userName": f"user{at}",
        "externalId": f"e{at}",
        "title": f"Engineer {at % 50}",
        "name": {"familyName": f"Name {at}"},
        "emails": [{"value": f"user{at}@example.com", "type": "work", "primary": True}],
        "active": True,
    }


@asynccontextmanager
async def target(name: str, folder: Path) -> AsyncIterator[Service]:
    """A server with nothing in it."""
    kind = Kind(name, "/scim/v2", candidates=0, workers=1)
    async with started(kind, folder, (), f"sqlite:///{folder / name}.db") as service:
        yield service


class Pace:
    """So many requests a second, one after another; as many as can be if none is said."""

    def __init__(self, rate: int) -> None:
        self._step = 1 / rate if rate else 0.0
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for one's turn."""
        if self._step:
            now = time.monotonic()
            self._next = max(self._next + self._step, now)
            await asyncio.sleep(self._next - now)


async def bare(service: Service, users: int, groups: int, rate: int = 0) -> float:
    """Seconds in which the bare client makes the same users and groups."""
    pace = Pace(rate)
    ids: list[str] = [""] * users
    async with ScimClient(service.url + service.base, service.token, insecure_http=True) as client:

        async def some(first: int) -> None:
            for at in range(first, users, AT_ONCE):
                await pace.turn()
                await looked_up(client, "/Users", "externalId", f"e{at}")
                await pace.turn()
                await looked_up(client, "/Users", "userName", f"user{at}")
                await pace.turn()
                ids[at] = (await client.create("/Users", person(at))).id

        async def grouped(first: int) -> None:
            for at in range(first, groups, AT_ONCE):
                chosen = [{"value": ids[at * 7 % users + one - users]} for one in range(GROUP_MEMBERS)]
                await pace.turn()
                await looked_up(client, "/Groups", "displayName", f"group{at}")
                await pace.turn()
                await client.create(
                    "/Groups", {"schemas": [GROUP], "displayName": f"group{at}", "members": chosen}
                )

        begun = time.monotonic()
        await asyncio.gather(*(some(at) for at in range(AT_ONCE)))
        await asyncio.gather(*(grouped(at) for at in range(AT_ONCE)))
        return time.monotonic() - begun


async def looked_up(client: ScimClient, endpoint: str, attribute: str, value: str) -> None:
    """What the engine asks before it creates anything."""
    await client.find(endpoint, {attribute: value})


def command(folder: Path, environment: dict[str, str], *words: str) -> tuple[float, str]:
    """Run a command; seconds, and what it printed."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "rollbook", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"rollbook {' '.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return time.monotonic() - begun, done.stdout


def fill(folder: Path, environment: dict[str, str], users: int, groups: int) -> None:
    """The hub: users, then groups of some of them."""
    lines = [json.dumps({"id": f"u{at}", **person(at)}) for at in range(users)]
    for at in range(groups):
        members = [{"value": f"u{(at * 7 % users + one) % users}"} for one in range(GROUP_MEMBERS)]
        lines.append(json.dumps({"schemas": [GROUP], "displayName": f"group{at}", "members": members}))
    (folder / "people.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    command(folder, environment, "import", "people.jsonl")


async def measure(folder: Path, options: argparse.Namespace) -> Sequence[tuple[str, str]]:
    """The rows of the table."""
    async with AsyncExitStack() as stack:
        alone = await stack.enter_async_context(target("bare", folder))
        by_client = await bare(alone, options.users, options.groups, options.rate)
        services = [
            await stack.enter_async_context(target(f"target{at}", folder)) for at in range(options.targets)
        ]
        environment = {**os.environ, "ROLLBOOK_DATABASE": f"sqlite:///{folder / 'hub.db'}"}
        config = ["version: 1", "targets:"]
        for service in services:
            name = service.name
            environment[f"TOKEN_{name.upper()}"] = service.token
            text = TARGET.replace("NAME", name).replace("URL", service.url + service.base)
            text = text.replace("TOKEN", f"TOKEN_{name.upper()}")
            if options.rate:
                text += f"    rate: [{{requests: {options.rate}, per: 1s}}]\n"
            config.append(text)
        (folder / "rollbook.yaml").write_text("\n".join(config), "utf-8")
        fill(folder, environment, options.users, options.groups)
        first = services[0].name
        by_engine, _ = await asyncio.to_thread(command, folder, environment, "apply", first)
        for service in services[1:]:
            await asyncio.to_thread(command, folder, environment, "apply", service.name)
        planned, _ = await asyncio.to_thread(command, folder, environment, "plan")
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        return [
            ("bare client, same users and groups", f"{by_client:.1f} s"),
            ("`rollbook apply` from nothing", f"{by_engine:.1f} s"),
            ("the engine over the bare client", f"{(by_engine / by_client - 1) * 100:+.0f} %"),
            (f"`rollbook plan`, {options.targets} targets, nothing changed", f"{planned:.1f} s"),
            ("most memory of any command", f"{memory:.0f} MB"),
        ]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.provisioning", description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--groups", type=int, default=1_000)
    parser.add_argument("--targets", type=int, default=3)
    parser.add_argument(
        "--rate", type=int, default=0, help="Requests a second that targets allow; 0 for any number."
    )
    options = parser.parse_args()
    with TemporaryDirectory(prefix="rollbook-provisioning-") as folder:
        rows = asyncio.run(measure(Path(folder), options))
    print(f"| {options.users:,} users, {options.groups:,} groups | |\n|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
