"""`rollbook work` and `rollbook serve --config` as processes: changes go out, SIGHUP reloads, SIGTERM ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Profile, ScriptedTarget

CONFIG = """
version: 1
sources:
  hr:
    type: csv
    path: people.csv
    key: id
    schedule: {every: 1s}
    users: {userName: {from: mail}, externalId: {from: id}, title: {from: title}}
targets:
  app:
    type: scim
    url: URL/v2
    token: ${APP_TOKEN}
    users: {userName: {from: userName}, externalId: {from: externalId}, title: {from: title}}
"""


@contextmanager
def working(folder: Path, *command: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own, ended by SIGTERM; it must end well."""
    environment = {
        **os.environ,
        "APP_TOKEN": "secret",
        "ROLLBOOK_DATABASE": f"sqlite:///{folder / 'hub.db'}",
        "ROLLBOOK_BOOTSTRAP_TOKEN": "own",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "rollbook", *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
        (folder / "output").write_text(output, "utf-8")
    assert process.returncode == 0, output


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("command", [("work",), ("serve", "--port", "0", "--config", "rollbook.yaml")])
def test_it_works_until_it_is_told_to_stop(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Read, sent, changed; a configuration with a mistake is refused, the next one taken; an end without loss."""
    if command[0] == "serve":
        import socket

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            command = tuple(str(probe.getsockname()[1]) if part == "0" else part for part in command)
    target = ScriptedTarget(Profile(token="secret"))
    users = target.resources["Users"]
    with served(target) as url:
        file = tmp_path / "rollbook.yaml"
        file.write_text(CONFIG.replace("URL", url), "utf-8")
        (tmp_path / "people.csv").write_text("id,mail,title\n1,ada@x,Analyst\n", "utf-8")
        with working(tmp_path, *command) as process:
            until(lambda: bool(users))
            (tmp_path / "people.csv").write_text("id,mail,title\n1,ada@x,Lead\n2,joan@x,Deputy\n", "utf-8")
            until(lambda: sorted(str(user["title"]) for user in users.values()) == ["Deputy", "Lead"])
            good = file.read_text("utf-8")
            file.write_text(
                good.replace("title: {from: title}}\ntargets", "titel: {from: title}}\ntargets"), "utf-8"
            )
            process.send_signal(signal.SIGHUP)
            time.sleep(0.5)
            file.write_text(good.replace(', title: {from: title}}\n"""', "}"), "utf-8")
            (tmp_path / "people.csv").write_text("id,mail,title\n1,ada@x,Chief\n2,joan@x,Deputy\n", "utf-8")
            until(lambda: target.named("Users", "ada@x")["title"] == "Chief")
            process.send_signal(signal.SIGHUP)
            time.sleep(0.5)
    output = (tmp_path / "output").read_text("utf-8")
    assert "configuration refused" in output
    assert "titel" in output
    assert "configuration read again" in output
    assert "stopped: " in output
    assert "Traceback" not in output
