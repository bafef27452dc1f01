"""Orders between real processes: `rollbook serve` takes them, `rollbook work` does them, also after a `kill -9` of it."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.blackbox.rollbook_process import Server, environment, run, serving

from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Profile, Recorded, ScriptedTarget

CONFIG = """
version: 1
sources:
  hr:
    type: csv
    path: people.csv
    key: id
    users: {userName: {from: mail}, externalId: {from: id}, title: {from: title}}
targets:
  app:
    type: scim
    url: URL/v2
    token: ${APP_TOKEN}
    concurrency: 1
    users: {userName: {from: userName}, externalId: {from: externalId}, title: {from: title}}
"""
PEOPLE = 30


@dataclass(frozen=True)
class Site:
    """A server, its folder, an admin's token, and the target."""

    server: Server
    folder: Path
    variables: dict[str, str]
    token: str
    target: ScriptedTarget

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the admin API for something of the default tenant."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.server.port}/admin/v1/tenants/default{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    @contextmanager
    def working(self) -> Iterator[subprocess.Popen[bytes]]:
        """`rollbook work`, killed at the end if it is still there."""
        with (self.folder / "work.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "rollbook", "work"],
                cwd=self.folder,
                env=environment(self.folder, **self.variables),
                stdout=log,
                stderr=log,
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait(10)

    def until(self, number: int, *states: str) -> Any:
        """An order, once it is in one of these states."""
        found: Any = {}

        def there() -> bool:
            found.update(self.ask("GET", f"/orders/{number}"))
            return found["state"] in states

        until(there)
        return found


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A server without a configuration of its own."""
    variables = {"APP_TOKEN": "secret", "ROLLBOOK_DATABASE": f"sqlite:///{tmp_path / 'hub.db'}"}
    target = ScriptedTarget(Profile(token="secret"))
    lines = [f"{number},p{number}@x,Clerk" for number in range(PEOPLE)]
    (tmp_path / "people.csv").write_text("\n".join(("id,mail,title", *lines, "")), "utf-8")
    with served(target) as address:
        (tmp_path / "rollbook.yaml").write_text(CONFIG.replace("URL", address), "utf-8")
        with serving(tmp_path, ROLLBOOK_DATABASE=variables["ROLLBOOK_DATABASE"]) as server:
            made = run(
                tmp_path,
                "token",
                "create",
                "--name",
                "ops",
                "--scope",
                "admin",
                "--scope",
                "write",
                **variables,
            )
            assert made.returncode == 0, made.stderr
            yield Site(server, tmp_path, variables, made.stdout.strip(), target)


def test_fe_14_an_order_outlives_its_worker(site: Site) -> None:
    """A plan that was agreed to is half done when its worker is killed: the next one goes on, and does each thing once."""
    planned = site.ask("POST", "/orders", {"kind": "plan"})
    assert "no worker" in planned["note"]
    halfway: list[Recorded] = []

    def slowly(request: Recorded) -> None:
        if request.method == "POST":
            halfway.append(request)
            time.sleep(0.1)

    site.target.before = slowly
    with site.working() as first:
        found = site.until(planned["number"], "done", "failed")
        assert (found["state"], found["lines"]) == ("done", 2 * PEOPLE), found
        assert site.target.writes == []
        agreed = site.ask("POST", f"/orders/{planned['number']}/apply", {})
        until(lambda: len(halfway) >= 5)
        assert site.ask("GET", f"/orders/{agreed['number']}")["state"] == "running"
        first.kill()
        first.wait(10)
    assert len(site.target.resources["Users"]) < PEOPLE
    site.target.before = lambda _: None
    with site.working():
        ended = site.until(agreed["number"], "done", "failed")
        assert (ended["state"], ended["error"]) == ("done", None), json.dumps(ended)
    names = [user["userName"] for user in site.target.resources["Users"].values()]
    assert sorted(names) == sorted(f"p{number}@x" for number in range(PEOPLE))
    runs = site.ask("GET", f"/runs/{ended['run']}")["runs"]
    assert {each["command"] for each in runs} == {ended["run"]}
    undone = site.ask("POST", "/orders", {"kind": "undo", "run": ended["run"]})
    with site.working():
        assert site.until(undone["number"], "done", "failed")["state"] == "done"
    # Of those that were made when the worker died nobody knows who made them: these are switched off, and not deleted.
    left = site.target.resources["Users"].values()
    assert not any(user.get("active", True) for user in left)
    assert len(left) < PEOPLE
