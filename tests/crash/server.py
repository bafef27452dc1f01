"""A server that is killed under load, again and again: `make crash-server`.

Real processes (`rollbook serve`), real HTTP, real databases. Clients note what they ask for and what was acknowledged. After each
round everything acknowledged is there, exactly; what was under way is whole or absent; asked for again, it comes to be once; and
`rollbook database check` finds nothing (I-01, I-02, FS-01, FS-02).
"""

import argparse
import http.client
import json
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from tests.blackbox.rollbook_process import Server, run, serving
from tests.postgres_server import KEY, make_tables, own_server

from rollbook.protocol import urns

CLIENTS = 4


class Lost(AssertionError):
    """Something that was acknowledged is not there, or something is half."""


State = tuple[str | None, bool] | None
"""A user's title, and whether they are in the group; None for nobody."""


@dataclass
class Life:
    """One user: what is certain, and what may be instead, if a request had no answer."""

    name: str
    group: str
    id: str = ""
    sure: State = None
    maybe: list[State] = field(default_factory=list)


@dataclass
class Client:
    """Writes one life after the other, until nobody answers; or until told to stop."""

    server: Server
    group: str
    name: str
    chance: random.Random
    lives: list[Life] = field(default_factory=list)
    acknowledged: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> None:
        """Until the end."""
        while not self.stopped.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
            try:
                while not self.stopped.is_set():
                    self._live(connection)
            except (OSError, http.client.HTTPException):
                if self.server.process.poll() is not None:
                    return
                time.sleep(0.05)
            finally:
                connection.close()

    def _live(self, connection: http.client.HTTPConnection) -> None:
        life = Life(f"{self.name}-{len(self.lives)}", self.group)
        self.lives.append(life)
        user: dict[str, Any] = {"schemas": [urns.USER], "userName": life.name, "title": "a"}
        made = self._ask(connection, life, ("a", False), "POST", "/Users", user)
        if made is None:
            return
        life.id = made["id"]
        own, group = f"/Users/{life.id}", f"/Groups/{self.group}"
        joins = _patch(op="add", path="members", value=[{"value": life.id}])
        leaves = _patch(op="remove", path=f'members[value eq "{life.id}"]')
        bulk = {"schemas": [urns.BULK_REQUEST], "Operations": [{"method": "PATCH", "path": own, "data": _patch(op="replace", path="title", value="d")}]}  # fmt: skip
        steps: list[tuple[State, str, str, Any]] = [
            (("b", False), "PATCH", own, _patch(op="replace", path="title", value="b")),
            (("b", True), "PATCH", group, joins),
            (("c", True), "PUT", own, user | {"title": "c"}),
            (("d", True), "POST", "/Bulk", bulk),
            (("d", False), "PATCH", group, leaves),
            (("d", True), "PATCH", group, joins),
            (None, "DELETE", own, None),
        ]
        for state, method, path, body in steps[: self.chance.randrange(2, len(steps) + 1)]:
            if self._ask(connection, life, state, method, path, body) is None:
                return

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        life: Life,
        wanted: State,
        method: str,
        path: str,
        body: Any,
    ) -> Any:
        """The answer's body, None if it was refused for now: then nobody knows yet what became of it."""
        life.maybe = [wanted]
        answer = _request(connection, self.server, method, path, body)
        if answer[0] == 503:
            time.sleep(0.2)  # each is logged, and nobody reads the log: a full pipe would hold up the server
            return None
        if answer[0] not in {200, 201, 204}:
            raise Lost(f"{method} {path}: {answer}")
        if path == "/Bulk" and answer[1]["Operations"][0]["status"] == "503":
            return None  # the request was answered before the operation failed
        life.sure, life.maybe = wanted, []
        self.acknowledged += 1
        return answer[1] or {}


def _patch(**operation: object) -> dict[str, object]:
    return {"schemas": [urns.PATCH_OP], "Operations": [operation]}


def _request(
    connection: http.client.HTTPConnection, server: Server, method: str, path: str, body: Any
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/scim+json"}
    connection.request(method, f"/scim/v2{path}", None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    raw = answer.read()
    return answer.status, json.loads(raw) if raw else None


def _status(server: Server) -> int:
    """How a plain request is answered; 503 also if it is not in 30 s: a database that recovers may be waited for thrice."""
    try:
        return server.request("GET", "/Users?count=0")[0]
    except TimeoutError:
        return 503


def until_well(server: Server) -> None:
    """Until it has its database again: 503 says that it is not so yet.

    Raises:
        Lost: it does not heal by itself.
    """
    end = time.monotonic() + 120
    while (status := _status(server)) != 200:
        if status != 503 or time.monotonic() > end:
            raise Lost(f"it does not heal: {status}")
        time.sleep(0.1)


def everybody(server: Server) -> dict[str, list[dict[str, Any]]]:
    """All users by name, page by page."""
    users: dict[str, list[dict[str, Any]]] = {}
    cursor: str | None = ""
    while cursor is not None:
        page = server.request("GET", f"/Users?count=1000&cursor={quote(cursor)}")[1]
        for user in page["Resources"]:
            users.setdefault(user["userName"], []).append(user)
        cursor = page.get("nextCursor")
    return users


def look(server: Server, lives: list[Life]) -> None:
    """Everything acknowledged is there, exactly; the rest is whole or absent.

    Raises:
        Lost: it is not.
    """
    until_well(server)
    members: dict[str, set[str]] = {}
    users = everybody(server)
    for life in lives:
        if life.group not in members:
            group = server.request("GET", f"/Groups/{life.group}")[1]
            members[life.group] = {each["value"] for each in group.get("members", ())}
        found = users.get(life.name, [])
        if len(found) > 1:
            raise Lost(f"{life.name} is there {len(found)} times")
        user = found[0] if found else None
        state = None
        if user is not None:
            is_in = user["id"] in members[life.group]
            state = (user["title"], is_in)
            if ("groups" in user) != is_in:
                raise Lost(f"{life.name} is half: {user}")
        if state not in (life.sure, *life.maybe):
            raise Lost(f"{life.name}: {state}; acknowledged was {life.sure}, under way {life.maybe}")
        if life.maybe == [("a", False)]:  # asked for again, it comes to be once (FS-02)
            body = {"schemas": [urns.USER], "userName": life.name, "title": "a"}
            status, again = server.request("POST", "/Users", body)
            if status != (409 if user else 201):
                raise Lost(f"{life.name} asked for again: {status} {again}")
            state = ("a", False)
        life.sure, life.maybe = state, []


Fault = Callable[[Server], bool]
"""Does harm; whether the server itself is gone afterwards."""


def kill(server: Server) -> bool:
    """The server, at once."""
    server.kill()
    return True


def freeze(server: Server) -> bool:
    """The server stands still for a while, as a suspended machine does, and goes on."""
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(2.0)
    server.process.send_signal(signal.SIGCONT)
    time.sleep(0.3)
    return False


class Postgres:
    """A PostgreSQL server of one's own, and what can be done to it."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.url = str(server.get_uri())
        make_tables(self.url)

    def end_a_backend(self, _: Server) -> bool:
        """One process of it, with SIGKILL: it ends all connections, and recovers."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchone()
        if found is None:
            raise Lost("the server under test has no connection")
        os.kill(found[0], signal.SIGKILL)
        time.sleep(1.0)
        return False

    def restart(self, _: Server) -> bool:
        """All of it at once, and started again."""
        os.kill(self.server.get_pid(), signal.SIGQUIT)  # pg_ctl stop -m immediate
        end = time.monotonic() + 30
        while self.server.get_pid() is not None and Path(f"/proc/{self.server.get_pid()}").exists():
            if time.monotonic() > end:
                raise SystemExit("PostgreSQL does not end")
            time.sleep(0.02)
        self.server.ensure_postgres_running()
        time.sleep(1.0)
        return False


@contextmanager
def postgres() -> Iterator[Postgres]:
    """One that flushes to disk, as in production."""
    os.environ["ROLLBOOK_KEY"] = KEY
    with own_server() as started:
        yield Postgres(started)


def rounds(url: str, home: Path, faults: list[Fault], chance: random.Random) -> int:
    """Load, harm, look; once for each fault. How many writes were acknowledged."""
    acknowledged = 0
    lives: list[Life] = []
    for number, fault in enumerate(faults):
        with serving(home, "--database", url) as server:
            look(server, lives)
            lives = []
            clients = []
            for client in range(CLIENTS):
                body = {"schemas": [urns.GROUP], "displayName": f"r{number}c{client}"}
                group = server.request("POST", "/Groups", body)[1]["id"]
                name = f"r{number}c{client}-{chance.randrange(10**6)}"
                clients.append(Client(server, group, name, random.Random(chance.random())))
            threads = [threading.Thread(target=each) for each in clients]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.2, 0.9))
            is_gone = fault(server)
            for each in clients:
                each.stopped.set()
            for thread in threads:
                thread.join(90)
            lives = [life for each in clients for life in each.lives]
            acknowledged += sum(each.acknowledged for each in clients)
            if not is_gone:
                look(server, lives)
                if server.stop() != 0:
                    raise Lost("the server did not end well")
        checked = run(home, "database", "check", "--database", url)
        if checked.returncode:
            raise Lost(checked.stdout + checked.stderr)
    with serving(home, "--database", url) as server:
        look(server, lives)
    return acknowledged


def main() -> None:
    """Many rounds on both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="on each database")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        faults: list[Fault] = [freeze if number % 10 == 9 else kill for number in range(options.rounds)]
        done = rounds(f"sqlite:///{home / 'store.db'}", home, faults, chance)
        print(f"SQLite: {options.rounds} rounds, {done} writes acknowledged, none lost, nothing half")
        with postgres() as server:
            kinds: list[Fault] = [kill, server.end_a_backend, kill, server.restart, kill, freeze]
            faults = [kinds[number % len(kinds)] for number in range(options.rounds)]
            done = rounds(server.url, home, faults, chance)
        print(f"PostgreSQL: {options.rounds} rounds, {done} writes acknowledged, none lost, nothing half")


if __name__ == "__main__":
    main()
