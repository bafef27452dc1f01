"""Workers that are killed, frozen and cut off, again and again, during a load: `make crash`.

Real processes (`rollbook work`), a real database, a target behind a socket that records every request. At the end every account exists once,
with the right attributes, and nothing that is withheld was ever sent: the target's own record proves it (I-11, I-12, I-16, I-18).
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.postgres_server import KEY, database, own_server

from rollbook.protocol.values import JsonObject
from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Answer, Profile, Recorded, ScriptedTarget

LEASE, FROZEN = 6.0, 9.0
"""Seconds for which a worker has what it took up; and for which one is frozen, so that its work is another's when it wakes up."""

CONFIG = """
version: 1
targets:
  app:
    type: scim
    url: URL/v2
    token: ${APP_TOKEN}
    timeout: 3
    brake: off
    users: {userName: {from: userName}, externalId: {from: externalId}, title: {from: title}, active: {from: active}}
"""


class Indexed(ScriptedTarget):
    """A target that finds people by name in one step: ten thousand are many to look through each time."""

    def __init__(self) -> None:
        super().__init__(Profile(token="secret"))
        self.ids: dict[str, str] = {}
        self.marked = 0
        self.cut_off = 0.0
        """The share of creates that are carried out and never answered."""
        self.random = random.Random(1)
        self.pace = 0.0
        """Seconds from one create to the next, so that the load lasts for as long as the killing."""
        self.open = 0
        """Requests that have come and are not answered."""
        self._next = 0.0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, in its own time."""
        self.open += 1
        try:
            if scope["method"] == "POST" and self.pace:
                now = time.monotonic()
                self._next = max(self._next + self.pace, now)
                await asyncio.sleep(min(self._next - now, 1.0))
            await super().__call__(scope, receive, send)
        finally:
            self.open -= 1

    def _taken(self, endpoint: str, document: JsonObject, own_id: str | None) -> bool:
        known = self.ids.get(f"{endpoint} {document.get('userName')}")
        return known is not None and known != own_id

    def add(self, endpoint: str, document: JsonObject) -> str:
        """Put a resource there."""
        own = super().add(endpoint, document)
        self.ids[f"{endpoint} {document.get('userName')}"] = own
        self.ids[f"{endpoint} ext {document.get('externalId')}"] = own
        return own

    def _list(self, endpoint: str, request: Recorded) -> Answer:
        text = request.query.get("filter", "")
        name, _, value = text.partition(" eq ")
        if value:
            key = f"{endpoint} {'ext ' if name == 'externalId' else ''}{json.loads(value)}"
            own = self.ids.get(key)
            found = [self.resources[endpoint][own]] if own else []
            return Answer(200, {"totalResults": len(found), "startIndex": 1, "Resources": found})
        return super()._list(endpoint, request)

    def _faulty(self, request: Recorded) -> Answer:
        self.marked += b"MARKER" in request.raw
        answer = super()._faulty(request)
        if request.method == "POST" and self.random.random() < self.cut_off:
            raise ConnectionError("committed, and cut off")
        self.requests.clear()  # memory; what matters was looked at
        return answer


class Crew:
    """So many workers, each replaced when it is killed."""

    def __init__(self, folder: Path, url: str, number: int) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "APP_TOKEN": "secret",
            "ROLLBOOK_DATABASE": url,
            "ROLLBOOK_LEASE_SECONDS": str(LEASE),
        }
        self.workers = [self._start() for _ in range(number)]

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "rollbook", "work"],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "log").open("ab"),
        )

    def kill(self, at: int) -> None:
        """End one at once, and put another in its place."""
        self.workers[at].kill()
        self.workers[at].wait()
        self.workers[at] = self._start()

    @contextlib.contextmanager
    def frozen(self, at: int) -> Iterator[None]:
        """Stop one in the middle of whatever it does."""
        self.workers[at].send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.workers[at].send_signal(signal.SIGCONT)

    def command(self, *arguments: str) -> str:
        """What a command prints."""
        done = subprocess.run(
            [sys.executable, "-m", "rollbook", *arguments],
            cwd=self._folder,
            env=self._environment,
            check=False,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def end(self) -> None:
        """End all."""
        for worker in self.workers:
            worker.terminate()
        for worker in self.workers:
            worker.wait(30)


def people(number: int) -> Iterator[str]:
    """An import file."""
    for at in range(number):
        yield json.dumps(
            {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": f"user{at}",
                "externalId": f"e{at}",
                "title": f"title {at}",
                "nickName": "MARKER",
                "active": True,
            }
        )


def play(
    url: str,
    folder: Path,
    options: argparse.Namespace,
    workers: int,
    restart: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """One database: load, kill, wait until all is quiet, look. `restart` ends the database at once and starts it again."""
    target = Indexed()
    target.cut_off = 0.02
    chance = random.Random(options.seed)
    file = folder / "people.jsonl"
    file.write_text("\n".join(people(options.users)) + "\n", "utf-8")
    with served(target) as address:
        (folder / "rollbook.yaml").write_text(CONFIG.replace("URL", address), "utf-8")
        environment = {**os.environ, "ROLLBOOK_DATABASE": url}
        for command in (("database", "migrate"), ("import", str(file))):
            subprocess.run(
                [sys.executable, "-m", "rollbook", *command],
                env=environment,
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        begun = time.monotonic()
        target.pace = options.kills * 4.5 / options.users
        crew = Crew(folder, url, workers)
        met = 0
        try:
            for number in range(options.kills):
                time.sleep(chance.uniform(1.0, 3.0))
                at = chance.randrange(workers)
                _until_busy(target, options.users)
                met += 1
                if number % 10 == 9:
                    with crew.frozen(at):
                        time.sleep(FROZEN)
                elif number % 10 == 4 and restart is not None:
                    _restart(crew, restart)
                else:
                    crew.kill(at)
            killed = len(target.resources["Users"])
            target.cut_off = target.pace = 0.0
            _wait(target, crew, options.users)
        finally:
            crew.end()
        names = Counter(user["userName"] for user in target.resources["Users"].values())
        wrong = [
            user
            for user in target.resources["Users"].values()
            if user.get("title") != f"title {user['userName'].removeprefix('user')}"
            or user["active"] is not True
        ]
        return {
            "accounts": len(names),
            "met a busy worker": met,
            "when the killing ended": killed,
            "twice": [name for name, count in names.items() if count > 1][:5],
            "wrong": len(wrong),
            "withheld sent": target.marked,
            "seconds": round(time.monotonic() - begun),
        }


def _until_busy(target: Indexed, number: int) -> None:
    """Until a request is under way: what meets an idle worker proves nothing."""
    end = time.monotonic() + 120
    while not target.open:
        if time.monotonic() > end or len(target.resources["Users"]) >= number:
            raise SystemExit("the load was over before the killing: more users, or fewer kills")
        time.sleep(0.001)


def _restart(crew: Crew, restart: Callable[[], None]) -> None:
    """The database ends in the middle of everything; workers live on, and go on by themselves."""
    time.sleep(
        4.0
    )  # those that have only just been started do not count: they would say that there is no database
    before = [worker.pid for worker in crew.workers if worker.poll() is None]
    restart()
    time.sleep(2.0)
    after = [worker.pid for worker in crew.workers if worker.poll() is None]
    if before != after:
        raise SystemExit("a worker ended with the database")


def _wait(target: Indexed, crew: Crew, number: int) -> None:
    """Until everybody is there, and nothing is left to do: leases of the dead have to run out."""
    end = time.monotonic() + 900
    while time.monotonic() < end:
        time.sleep(2)
        if len(target.resources["Users"]) >= number:
            (found,) = json.loads(crew.command("status", "--json"))["targets"]
            if found["done"] == number:
                return
    raise SystemExit(f"not in step after 15 minutes: {len(target.resources['Users'])} of {number} are there")


def _end_and_start(server: Any) -> None:
    os.kill(server.get_pid(), signal.SIGQUIT)  # pg_ctl stop -m immediate
    while server.get_pid() is not None and Path(f"/proc/{server.get_pid()}").exists():
        time.sleep(0.02)
    server.ensure_postgres_running()


def main() -> int:
    """Play both databases."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.run", description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    options = parser.parse_args()
    failed = False
    with contextlib.ExitStack() as stack:
        for name in ("sqlite", "postgresql"):
            if options.only not in {None, name}:
                continue
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rollbook-crash-")))
            url, workers, restart = f"sqlite:///{folder / 'hub.db'}", 1, None
            if name == "postgresql":
                os.environ["ROLLBOOK_KEY"] = KEY
                server = stack.enter_context(own_server())
                url, workers = stack.enter_context(database(str(server.get_uri()))), 2
                restart = partial(_end_and_start, server)
            found = play(url, folder, options, workers, restart)
            bad = (
                found["accounts"] != options.users
                or found["twice"]
                or found["wrong"]
                or found["withheld sent"]
            )
            failed |= bool(bad)
            print(f"{name}: {'FAILED ' if bad else ''}{json.dumps(found)}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
