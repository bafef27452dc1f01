"""`rollbook serve --workers` on PostgreSQL: processes on one port that lose nothing between them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.blackbox.rollbook_process import Server, refused, run, serving
from tests.postgres_server import database as new_database
from tests.postgres_server import make_tables

from rollbook.protocol import urns
from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Profile, ScriptedTarget

pytestmark = pytest.mark.slow

CLIENTS = 8
EACH = 10


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    """A database with our tables."""
    with new_database(postgres) as made:
        make_tables(made)
        yield made


def _children(server: Server) -> list[int]:
    """The serving processes, which are children of the command."""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "pid=", "-o", "args=", "--ppid", str(server.process.pid)],
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "spawn_main" in line]


def _patch(op: str, **operation: object) -> dict[str, object]:
    return {"schemas": [urns.PATCH_OP], "Operations": [{"op": op, **operation}]}


def _user(server: Server, name: str) -> str:
    status, made = server.request("POST", "/Users", {"schemas": [urns.USER], "userName": name})
    assert status == 201
    return str(made["id"])


def test_nothing_is_lost_between_processes(tmp_path: Path, url: str) -> None:
    """I-07: members added by many clients through two processes are all there; one name is given once."""
    with serving(tmp_path, "--database", url, "--workers", "2") as server:
        assert len(_children(server)) == 2
        body = {"schemas": [urns.GROUP], "displayName": "all"}
        group = server.request("POST", "/Groups", body)[1]["id"]

        def work(client: int) -> list[str]:
            ids = [_user(server, f"u{client}-{number}") for number in range(EACH)]
            for each in ids:
                added = _patch("add", path="members", value=[{"value": each}])
                assert server.request("PATCH", f"/Groups/{group}", added)[0] in {200, 204}
            return ids

        def same_name(_: int) -> int:
            return server.request("POST", "/Users", {"schemas": [urns.USER], "userName": "one"})[0]

        with ThreadPoolExecutor(CLIENTS) as threads:
            ids = [each for made in threads.map(work, range(CLIENTS)) for each in made]
            statuses = sorted(threads.map(same_name, range(CLIENTS)))
        members = server.request("GET", f"/Groups/{group}")[1]["members"]
        assert sorted(member["value"] for member in members) == sorted(ids)
        assert statuses == [201] + [409] * (CLIENTS - 1)
        assert server.stop() == 0
    assert run(tmp_path, "database", "check", "--database", url).returncode == 0


def test_a_process_that_dies_is_replaced(tmp_path: Path, url: str) -> None:
    """The service goes on; when the command is killed, its processes end by themselves."""
    with serving(tmp_path, "--database", url, "--workers", "2") as server:
        before = _children(server)
        time.sleep(5.5)  # one that ends at once would end again, and the command with it
        os.kill(before[0], signal.SIGKILL)
        deadline = time.monotonic() + 20
        while len(now := _children(server)) < 2 or before[0] in now:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        _user(server, "after")
        server.kill()
        while any(Path(f"/proc/{child}").exists() for child in now):
            assert time.monotonic() < deadline + 15
            time.sleep(0.1)


def test_a_file_has_one_process(tmp_path: Path) -> None:
    """SQLite is served by one process; the refusal says what to use instead."""
    done = refused(tmp_path, "serve", "--workers", "2")
    assert done.returncode == 3
    assert "use PostgreSQL for more" in done.stderr


CONFIG = """
version: 1
targets:
  app:
    type: scim
    url: URL/v2
    token: ${APP_TOKEN}
    rate: [{requests: 20, per: 1s}]
    users: {userName: {from: userName}, title: {from: title}}
"""


def _soon(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.timeout(300)
def test_a_process_beside_them_keeps_targets_in_step(tmp_path: Path, url: str) -> None:
    """One of several processes works; killed, it is replaced; SIGHUP reaches it through the command; it ends with it."""
    target = ScriptedTarget(Profile(token="secret"))
    users = target.resources["Users"]
    with served(target) as address:
        config = tmp_path / "rollbook.yaml"
        config.write_text(CONFIG.replace("URL", address), "utf-8")
        command = ("--database", url, "--workers", "2", "--config", str(config))
        with serving(tmp_path, *command, APP_TOKEN="secret") as server:
            before = _children(server)
            assert len(before) == 3
            ann = _user(server, "ann")
            _soon(lambda: len(users) == 1)
            time.sleep(5.5)
            os.kill(max(before), signal.SIGKILL)  # the last one begun
            _user(server, "bob")
            _soon(lambda: len(users) == 2)
            assert len(_children(server)) == 3
            config.write_text(CONFIG.replace("URL", address).replace("from: title", "value: Chief"), "utf-8")
            server.process.send_signal(signal.SIGHUP)
            _soon(lambda: [user.get("title") for user in users.values()] == ["Chief", "Chief"])
            assert ann not in users
            assert server.stop() == 0
    assert [one for one in before if Path(f"/proc/{one}").exists()] == []


def test_two_workers_share_a_rate_limit(tmp_path: Path, url: str) -> None:
    """C-8-01: two processes together send a target no more than its limit in any second, and not much less."""
    target = ScriptedTarget(Profile(token="secret"))
    came: list[float] = []

    async def noted(scope: Any, receive: Any, send: Any) -> None:
        if "/Users" in scope["path"]:  # what a target can do is asked once by each, and limited by nothing
            came.append(time.monotonic())
        await target(scope, receive, send)

    environment = {**os.environ, "APP_TOKEN": "secret", "ROLLBOOK_DATABASE": url}
    people = [f'{{"schemas": ["{urns.USER}"], "userName": "u{at}"}}' for at in range(100)]
    (tmp_path / "people.jsonl").write_text("\n".join(people), "utf-8")
    assert run(tmp_path, "import", "people.jsonl", "--database", url).returncode == 0
    with served(noted) as address:
        (tmp_path / "rollbook.yaml").write_text(CONFIG.replace("URL", address), "utf-8")
        workers = [
            subprocess.Popen([sys.executable, "-m", "rollbook", "work"], cwd=tmp_path, env=environment)
            for _ in range(2)
        ]
        try:
            _soon(lambda: len(target.resources["Users"]) == len(people))
        finally:
            for worker in workers:
                worker.terminate()
            assert [worker.wait(20) for worker in workers] == [0, 0]
    seconds = [sum(begin <= one < begin + 1 for one in came) for begin in came]
    assert max(seconds) <= 20 + 2 * 2 + 1  # each may use two late after a rest, and one was late on its way
    assert max(sum(begin <= one < begin + 2 for one in came) for begin in came) > 2 * 12
