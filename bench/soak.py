"""`python -m bench.soak`: many clients for minutes, each of which knows what must be true; then everything is compared.

Every client makes, changes and removes users of its own, walks pages, looks up, and shares three things with the others:
a counter in a user that is changed by If-Match, one that is changed by everybody without, and a group whose members
come and go. At the end the counters must have every change that was answered, the group exactly the members whose last
answer says so, and `rollbook database check` must find nothing. Memory is that of the serving processes.
"""

import argparse
import asyncio
import json
import os
import random
import secrets
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import psutil
import pyqwest
from bench.postgres import database as postgres_database
from bench.postgres import server as postgres_server
from bench.servers import free_port

CLIENTS = 32
RESULTS = Path(__file__).with_name("results")
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
SAMPLE_SECONDS = 2.0


@dataclass
class Report:
    """What a soak has seen. Memory is in megabytes, a value for every sample."""

    backend: str
    minutes: float
    requests: int = 0
    answers: dict[int, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """Memory in the last fifth of the run against the fifth before the middle: 1 is flat."""
        fifth = max(1, len(self.memory) // 5)
        return statistics.median(self.memory[-fifth:]) / statistics.median(
            self.memory[fifth : 2 * fifth] or self.memory
        )

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong; a rise of a tenth is allowed to the memory."""
        return not self.errors and not self.lost and self.growth <= 1.1


class Service:
    """A server under load, and what it answers."""

    def __init__(self, port: int, token: str, report: Report) -> None:
        self._base, self._report = f"http://127.0.0.1:{port}/scim/v2", report
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
        self._answers: Counter[int] = Counter()
        self._client = pyqwest.Client(pyqwest.HTTPTransport())

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        expected: tuple[int, ...] = (200, 201, 204),
        if_match: str | None = None,
    ) -> tuple[int, Any]:
        """Status and body; what was not expected is an error of the run."""
        headers = self._headers if if_match is None else {**self._headers, "If-Match": if_match}
        content = None if body is None else json.dumps(body).encode()
        try:
            response = await self._client.execute(method, self._base + path, headers, content)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is an error of the run
            self._report.errors.append(f"{method} {path}: {error!r}")
            return 0, None
        status = response.status
        self._answers[status] += 1
        self._report.requests += 1
        if status not in expected:
            self._report.errors.append(f"{method} {path}: {status} {response.content[:200]!r}")
        self._report.answers = dict(sorted(self._answers.items()))
        return status, json.loads(response.content) if response.content else None


@dataclass
class Shared:
    """What all clients change: ids, and how many changes of the counters were answered."""

    counter: str
    tags: str
    group: str
    counted: int = 0
    tagged: set[str] = field(default_factory=set)
    members: set[str] = field(default_factory=set)


class Client:
    """One of them: a user of its own at a time, and a stable one that is in the group or not."""

    def __init__(self, service: Service, shared: Shared, number: int, errors: list[str]) -> None:
        self._ask, self._shared, self._number, self._errors = service, shared, number, errors
        self._chance = random.Random(number)
        self._own: str | None = None
        self._made = 0
        self.steady = ""
        self._steps: tuple[Callable[[], Awaitable[None]], ...] = (
            self._live, self._live, self._live, self._live, self._read, self._look_up, self._walk, self._count,
            self._tag, self._join, self._bulk,
        )  # fmt: skip

    async def run(self, until: float) -> None:
        """One request after the other, of any kind."""
        _, made = await self._ask("POST", "/Users", self._user("steady"))
        self.steady = made["id"]
        while time.monotonic() < until and len(self._errors) < 20:
            await self._chance.choice(self._steps)()

    def _user(self, name: str) -> dict[str, Any]:
        own = f"{name}-{self._number}"
        return {
            "schemas": [USER], "userName": f"{own}@soak.example", "externalId": own, "displayName": f"Soak {own}",
            "emails": [{"value": f"{own}@soak.example", "type": "work"}], "title": "0",
        }  # fmt: skip

    async def _live(self) -> None:
        """Make a user, change it, replace it, remove it: a step each time."""
        if self._own is None:
            self._made += 1
            _, made = await self._ask("POST", "/Users", self._user(f"u{self._made}"))
            self._own = made["id"]
            return
        step = self._chance.randrange(4)
        path = f"/Users/{self._own}"
        if step == 0:
            await self._ask("DELETE", path)
            self._own = None
            return
        title = str(self._chance.random())
        if step == 1:
            await self._ask("PUT", path, {**self._user(f"u{self._made}"), "title": title})
        else:
            await self._ask("PATCH", path, _patch("replace", path="title", value=title))
        _, found = await self._ask("GET", path)
        if found and found["title"] != title:
            self._errors.append(f"{path}: the title {title} that was answered is {found['title']}")

    async def _read(self) -> None:
        await self._ask("GET", f"/Users/{self.steady}")
        await self._ask("GET", f"/Groups/{self._shared.group}?excludedAttributes=members")

    async def _look_up(self) -> None:
        name = self._user("steady")["userName"]
        for wanted in (
            f'userName eq "{name}"',
            f'emails.value eq "{name}"',
            f'displayName co "steady-{self._number}"',
        ):
            _, found = await self._ask("GET", f"/Users?filter={quote(wanted)}")
            if found and self.steady not in [each["id"] for each in found["Resources"]]:
                self._errors.append(f"{wanted} does not find the client's user")

    async def _walk(self) -> None:
        await self._ask("GET", "/Users?count=50&sortBy=userName")
        path: str | None = "/Users?cursor&count=20&attributes=userName"
        for _ in range(3):
            _, page = await self._ask("GET", path) if path else (0, None)
            cursor = page and page.get("nextCursor")
            path = f"/Users?cursor={cursor}&count=20&attributes=userName" if cursor else None

    async def _count(self) -> None:
        """Add one to a number that others change too, until nobody was in between."""
        path = f"/Users/{self._shared.counter}"
        for _ in range(20):
            await asyncio.sleep(self._chance.random() / 20)
            _, found = await self._ask("GET", path)
            if found is None:
                return
            operation = _patch("replace", path="nickName", value=str(int(found["nickName"]) + 1))
            status, _ = await self._ask(
                "PATCH", path, operation, expected=(200, 204, 412), if_match=found["meta"]["version"]
            )
            if status in {200, 204}:
                self._shared.counted += 1
                return

    async def _tag(self) -> None:
        """Add a value to a list that others add to, without any condition."""
        if len(self._shared.tagged) >= 500:
            return
        value = f"{self._number}-{secrets.token_hex(4)}@tag.example"
        operation = _patch("add", path="emails", value=[{"value": value}])
        status, _ = await self._ask("PATCH", f"/Users/{self._shared.tags}", operation)
        if status in {200, 204}:
            self._shared.tagged.add(value)

    async def _join(self) -> None:
        """Come into the group, or go."""
        path, members = f"/Groups/{self._shared.group}", self._shared.members
        if self.steady in members:
            await self._ask("PATCH", path, _patch("remove", path=f'members[value eq "{self.steady}"]'))
            members.discard(self.steady)
        else:
            await self._ask("PATCH", path, _patch("add", path="members", value=[{"value": self.steady}]))
            members.add(self.steady)

    async def _bulk(self) -> None:
        """Make three users in one request, and remove them in another."""
        made = [
            {"method": "POST", "path": "/Users", "bulkId": str(at), "data": self._user(f"b{self._made}-{at}")}
            for at in range(3)
        ]
        self._made += 1
        _, answer = await self._ask("POST", "/Bulk", _bulk(made))
        if answer is None:
            return
        gone = [
            {"method": "DELETE", "path": "/Users/" + each["location"].rpartition("/")[2]}
            for each in answer["Operations"]
        ]
        await self._ask("POST", "/Bulk", _bulk(gone))


def _patch(op: str, **operation: object) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": [{"op": op, **operation}]}


def _bulk(operations: list[dict[str, Any]]) -> dict[str, Any]:
    return {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations}


async def load(service: Service, report: Report, process: psutil.Process, minutes: float) -> None:
    """Let the clients loose, then look at what they share."""
    _, counter = await service("POST", "/Users", {"schemas": [USER], "userName": "counter", "nickName": "0"})
    _, tags = await service("POST", "/Users", {"schemas": [USER], "userName": "tags"})
    _, group = await service("POST", "/Groups", {"schemas": [GROUP], "displayName": "soak"})
    shared = Shared(counter["id"], tags["id"], group["id"])
    until = time.monotonic() + minutes * 60
    clients = [Client(service, shared, number, report.errors) for number in range(CLIENTS)]
    watching = asyncio.create_task(_watch(process, report))
    await asyncio.gather(*(client.run(until) for client in clients))
    watching.cancel()
    _, counted = await service("GET", f"/Users/{shared.counter}")
    _, tagged = await service("GET", f"/Users/{shared.tags}")
    _, joined = await service("GET", f"/Groups/{shared.group}")
    if int(counted["nickName"]) != shared.counted:
        report.lost.append(
            f"{shared.counted} changes of the counter were answered, it is {counted['nickName']}"
        )
    missing = shared.tagged - {email["value"] for email in tagged.get("emails", ())}
    report.lost += [f"{len(missing)} of {len(shared.tagged)} added values are missing"] if missing else []
    members = {member["value"] for member in joined.get("members", ())}
    report.lost += [f"member {each} should not be" for each in members - shared.members]
    report.lost += [f"member {each} is missing" for each in shared.members - members]


async def _watch(process: psutil.Process, report: Report) -> None:
    while True:
        await asyncio.sleep(SAMPLE_SECONDS)
        report.memory.append(_megabytes(process))


def _megabytes(process: psutil.Process) -> float:
    """Memory that the serving processes have of their own."""
    everyone = [process, *process.children(recursive=True)]
    return float(sum(each.memory_info().rss - each.memory_info().shared for each in everyone)) / 1e6


@contextmanager
def serving(url: str, workers: int, directory: Path) -> Iterator[tuple[int, str, psutil.Process]]:
    """The real command over a database; its port, a token, and its process."""
    port, token = free_port(), secrets.token_urlsafe(16)
    command = [sys.executable, "-m", "rollbook", "serve", "--port", str(port), "--database", url]
    command += ["--workers", str(workers)] if workers > 1 else []
    environment = {**os.environ, "ROLLBOOK_BOOTSTRAP_TOKEN": token}
    with (directory / "server.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(port)
            yield port, token, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(30)


def _wait(port: int) -> None:
    import socket

    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the server does not answer")


def soak(name: str, url: str, workers: int, minutes: float, directory: Path) -> Report:
    """One run, and the check of the database after it."""
    report = Report(name, minutes)
    command = [sys.executable, "-m", "rollbook", "database"]
    subprocess.run([*command, "migrate", "--database", url], check=True, stdout=subprocess.DEVNULL)
    with serving(url, workers, directory) as (port, token, process):
        asyncio.run(load(Service(port, token, report), report, process, minutes))
    done = subprocess.run(
        [*command, "check", "--database", url, "--json"], capture_output=True, text=True, check=False
    )
    faults = json.loads(done.stdout)["faults"] if done.stdout else [done.stderr]
    report.lost += [f"check: {fault}" for fault in faults]
    return report


def tell(report: Report) -> None:
    """A few lines for people."""
    memory = report.memory or [0.0]
    shown = " ".join(f"{memory[len(memory) * tenth // 10]:.0f}" for tenth in range(10))
    answers = ", ".join(f"{count:,} × {status}" for status, count in report.answers.items())
    print(f"{report.backend}: {report.requests:,} requests in {report.minutes:g} minutes; {answers}")
    print(
        f"  memory in MB, a tenth of the time each: {shown} (last fifth against the second: {report.growth:.2f})"
    )
    for fault in [*report.errors[:10], *report.lost[:10]]:
        print(f"  FAULT {fault}")
    print("  no error, nothing lost, memory flat" if report.is_clean else "  NOT CLEAN", flush=True)


def main() -> int:
    """Soak SQLite and PostgreSQL; 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long each takes (default 10)")
    parser.add_argument("--only", choices=["sqlite", "postgresql"], help="one of them")
    parser.add_argument("--workers", type=int, default=2, help="serving processes on PostgreSQL (default 2)")
    options = parser.parse_args()
    reports = []
    with TemporaryDirectory(prefix="rollbook-soak-", ignore_cleanup_errors=True) as named:
        directory = Path(named)
        if options.only != "postgresql":
            reports.append(soak("SQLite", f"sqlite:///{directory}/soak.db", 1, options.minutes, directory))
            tell(reports[-1])
        if options.only != "sqlite":
            with postgres_server() as server, postgres_database(server) as url:
                label = f"PostgreSQL, {options.workers} processes"
                reports.append(soak(label, url, options.workers, options.minutes, directory))
            tell(reports[-1])
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "soak.json").write_text(json.dumps([asdict(each) for each in reports], indent=1), "utf-8")
    return 0 if all(report.is_clean for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
