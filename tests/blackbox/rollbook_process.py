"""Start the real command and talk to it over a real socket."""

import io
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import structlog
from tests.leaks import leaks

from rollbook.cli import main
from rollbook.demo.processes import free_ports

COMMAND = [sys.executable, "-m", "rollbook"]
TOKEN = "a-bootstrap-token"


def environment(home: Path, **changes: str) -> dict[str, str]:
    """The environment of a new user whose home is empty."""
    kept = {
        name: os.environ[name]
        for name in ("PATH", "LANG", "SYSTEMROOT", "ROLLBOOK_KEY")
        if name in os.environ
    }
    return kept | {"HOME": str(home), "NO_COLOR": "1"} | changes


def run(home: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(home, **changes),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=home,
    )


def refused(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same within this process, for what ends before anything is served, at the price of a call."""
    output, errors = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, environment(home), clear=True),
        patch.object(sys, "argv", ["rollbook", *arguments]),
        chdir(home),
        redirect_stdout(output),
        redirect_stderr(errors),
        pytest.raises(SystemExit) as ended,
    ):
        main.run()
    structlog.reset_defaults()
    code = ended.value.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(arguments, code, output.getvalue(), errors.getvalue())


def free_port() -> int:
    """A port nobody listens on, and nobody gets by chance meanwhile."""
    return free_ports(1)[0]


@dataclass
class Server:
    """A running `rollbook serve`."""

    process: subprocess.Popen[str]
    port: int
    token: str | None
    tls: ssl.SSLContext | None = None
    """How to come, None in clear text."""

    def connect(self, seconds: float = 30) -> socket.socket:
        """A connection of its own."""
        plain = socket.create_connection(("127.0.0.1", self.port), seconds)
        return plain if self.tls is None else self.tls.wrap_socket(plain)

    def request(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
        """Send one request to the SCIM base; returns status and JSON body, None if there is none."""
        request = urllib.request.Request(
            f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/scim/v2{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {token or self.token}",
                "Content-Type": "application/scim+json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.tls) as answer:
                raw = answer.read()
                return answer.status, json.loads(raw) if raw else None
        except urllib.error.HTTPError as error:
            with error:
                raw = error.read()
                return error.code, json.loads(raw) if raw else None

    def kill(self) -> None:
        """End it as a power cut of the process would."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """Ask it to end; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


@contextmanager
def serving(
    home: Path,
    *arguments: str,
    token: str | None = TOKEN,
    port: int | None = None,
    tls: ssl.SSLContext | None = None,
    **variables: str,
) -> Iterator[Server]:
    """A server that answers; killed at the end if it is still there."""
    port = port or free_port()
    changes = {"ROLLBOOK_BOOTSTRAP_TOKEN": token} if token else {}
    changes |= variables
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", str(port), *arguments],
        env=environment(home, **changes),
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(process, port, token, tls)
    try:
        wait_until_ready(server)
        yield server
    finally:
        if process.poll() is None:
            server.kill()
        said = ""
        if process.stdout is not None and not process.stdout.closed:
            said = _rest(process.stdout.fileno())
            process.stdout.close()
    if token:  # without one, a first start shows the one it makes, once
        assert not leaks(said), f"the server's output shows secrets: {leaks(said)}"


def _rest(descriptor: int) -> str:
    """What was written and not read; a child may live on and keep it open, so nothing is waited for."""
    os.set_blocking(descriptor, False)
    parts = []
    with suppress(BlockingIOError):
        while part := os.read(descriptor, 65_536):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")


def wait_until_ready(server: Server, seconds: float = 60) -> None:
    """Return once the server answers; tell its output if it ends instead."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            server.request("GET", "/ServiceProviderConfig")
        except OSError:
            if server.process.poll() is not None and server.process.stdout is not None:
                raise AssertionError(server.process.stdout.read()) from None
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
