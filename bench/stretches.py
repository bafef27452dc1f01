"""`python -m bench.stretches`: for how long single requests hold the event loop, and where.

An application in this process, without a socket. Each request is sent alone, some times; told is the longest stretch without giving way, in
processor time of the loop's thread (so that others on the machine do not count), how much the request took of the process together, and, of
the longest stretch, which of our functions was under way most often when it was looked at.
"""

import argparse
import asyncio
import gc
import json
import sys
import threading
import time
from asyncio import events
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

from bench import postgres

from rollbook.app import Application, now, running
from rollbook.cli.serving import HELD_SECONDS
from rollbook.operations import tokens
from rollbook.protocol import urns
from rollbook.settings import Settings
from rollbook.storage.sql.databases import backend
from rollbook.storage.tenants import DEFAULT
from rollbook.testing.asgi import AsgiCaller

LOOKS_SECONDS = 0.0005


@dataclass
class Stretches:
    """The longest time for which the loop did one thing, and where it was then."""

    longest: float = 0.0
    where: Counter[str] = field(default_factory=Counter)
    _number: int = 0
    _seen: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look at each callback of the loop of this thread."""
        run, thread = events.Handle._run, threading.get_ident()
        over = threading.Event()

        def timed(handle: events.Handle) -> None:
            self._seen = Counter()
            begun = time.thread_time()
            run(handle)
            took = time.thread_time() - begun
            if took > self.longest:
                self.longest, self.where = took, self._seen

        def look() -> None:
            while not over.wait(LOOKS_SECONDS):
                self._seen[_place(sys._current_frames().get(thread))] += 1

        looking = threading.Thread(target=look)
        events.Handle._run = timed  # type: ignore[assignment,method-assign]
        looking.start()
        try:
            yield
        finally:
            events.Handle._run = run  # type: ignore[method-assign]
            over.set()
            looking.join()


def _place(frame: FrameType | None) -> str:
    while frame is not None and "/rollbook/" not in frame.f_code.co_filename:
        frame = frame.f_back
    if frame is None:
        return "-"
    return f"{frame.f_code.co_filename.rpartition('/rollbook/')[2]}:{frame.f_code.co_name}"


def _user(**more: object) -> dict[str, Any]:
    return {"schemas": [urns.USER], "name": {"familyName": "Smith"}, "active": True, **more}


def _patch(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [urns.PATCH_OP], "Operations": operations}


def _emails(number: int, of: object) -> list[dict[str, Any]]:
    return [{"value": f"{of}-{each}@example.com", "type": "work"} for each in range(number)]


def _phones(number: int) -> list[dict[str, Any]]:
    return [
        {"op": "add", "path": f'phoneNumbers[type eq "t{each}"].value', "value": f"+{each}"}
        for each in range(number)
    ]


def _bulk(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [urns.BULK_REQUEST], "Operations": operations}


@dataclass
class World:
    """One tenant, with people."""

    ask: AsgiCaller
    ids: list[str] = field(default_factory=list)

    async def send(self, method: str, path: str, body: object = None) -> None:
        """Send; it must succeed."""
        answer = await self.ask(method, f"/scim/v2{path}", body)
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {answer.body[:300]!r}")

    async def fill(self, users: int) -> None:
        """Make people."""
        for begin in range(0, users, 500):
            operations = [
                {
                    "method": "POST",
                    "path": "/Users",
                    "bulkId": f"b{each}",
                    "data": _user(
                        userName=f"u{each}", emails=_emails(2, each), displayName=f"Ann {each}", title="Clerk"
                    ),
                }
                for each in range(begin, min(users, begin + 500))
            ]
            await self.send("POST", "/Bulk", _bulk(*operations))
        answer = await self.ask("GET", "/scim/v2/Users?count=1000&attributes=id")
        self.ids = [each["id"] for each in answer.json["Resources"]]

    def cases(self, turn: int) -> dict[str, tuple[str, str, object]]:
        """What is sent, by name."""
        one, many = f"/Users/{self.ids[turn]}", self.ids
        posts = [
            {
                "method": "POST",
                "path": "/Users",
                "bulkId": f"b{each}",
                "data": _user(userName=f"n{turn}-{each}"),
            }
            for each in range(1000)
        ]
        patches = [
            {
                "method": "PATCH",
                "path": f"/Users/{many[each]}",
                "data": _patch({"op": "replace", "path": "emails", "value": _emails(600, each + turn)}),
            }
            for each in range(100)
        ]
        members = [{"value": each} for each in many]
        return {
            "a user": ("GET", one, None),
            "page of 100": ("GET", "/Users?count=100", None),
            "page of 1,000": ("GET", "/Users?count=1000", None),
            "page of 1,000, some attributes": ("GET", "/Users?count=1000&attributes=userName,emails", None),
            "a new user": ("POST", "/Users", _user(userName=f"small{turn}")),
            "a new user, 80,000 unknown names": ("POST", "/Users", _user(userName=f"k{turn}", **{f"k{each}": 1 for each in range(80_000)})),
            "a new user, 10,000 emails": ("POST", "/Users", _user(userName=f"e{turn}", emails=_emails(10_000, turn))),
            "1,000 emails replaced": ("PATCH", one, _patch({"op": "replace", "path": "emails", "value": _emails(1000, turn)})),
            "PUT with 1,000 emails": ("PUT", one, _user(userName=f"u{turn}", emails=_emails(1000, turn + 7))),
            "200 values selected": ("PATCH", one, _patch(*_phones(200))),
            "a new group of 1,000": ("POST", "/Groups", {"schemas": [urns.GROUP], "displayName": f"g{turn}", "members": members}),
            "Bulk of 1,000 new users": ("POST", "/Bulk", _bulk(*posts)),
            "Bulk of 100 patches, 600 emails each": ("POST", "/Bulk", _bulk(*patches)),
        }  # fmt: skip


async def measure(database: str, turns: int, only: str) -> None:
    """Print the table."""
    async with running(Settings(database=database, database_origin="--database")) as application:
        sys.setswitchinterval(HELD_SECONDS)
        gc.collect()
        gc.freeze()
        world = World(AsgiCaller(application.asgi, await _token(application)))
        await world.fill(1_000)
        print("| request | longest stretch | processor time in all | where |\n|---|---|---|---|")
        for name in world.cases(0):
            if only in name:
                await _measure(world, name, turns)


async def _measure(world: World, name: str, turns: int) -> None:
    found: list[tuple[float, float, Counter[str]]] = []
    for turn in range(turns):
        method, path, body = world.cases(turn)[name]
        request = method, path, None if body is None else json.dumps(body).encode()
        stretches, begun = Stretches(), time.process_time()
        gc.disable()
        with stretches.watched():
            await asyncio.create_task(world.send(*request))
        gc.enable()
        found.append((stretches.longest, time.process_time() - begun, stretches.where))
    found.sort(key=lambda each: each[0])
    longest, took, where = found[len(found) // 2]
    most = ", ".join(f"{place} {number}" for place, number in where.most_common(4))
    print(f"| {name} | {longest * 1000:.1f} ms | {took * 1000:.0f} ms | {most} |", flush=True)


async def _token(application: Application) -> str:
    return await tokens.issue(application.store, DEFAULT, "bench", now=now(), expires=None)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.stretches", description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", default="", help="requests with this in their name")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL in place of SQLite")
    options = parser.parse_args()
    with ExitStack() as stack:
        if options.postgres:
            url = stack.enter_context(postgres.database(stack.enter_context(postgres.server())))
            backend(url).migrate()
        else:
            folder = stack.enter_context(TemporaryDirectory(prefix="rollbook-stretches-"))
            url = f"sqlite:///{Path(folder) / 'bench.db'}"
        asyncio.run(measure(url, options.turns, options.only))


if __name__ == "__main__":
    main()
