"""The real server as whoever runs it sees it: asked whether it is well, told to end, told to read again."""

import http.client
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.blackbox.rollbook_process import Server, serving

pytestmark = pytest.mark.slow


def ask(server: Server, path: str) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON of a path of the server."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return (
            answer.status,
            {name.lower(): value for name, value in answer.getheaders()},
            json.loads(answer.read()),
        )
    finally:
        connection.close()


def test_fs_24_ready_turns_red_before_connections_end(tmp_path: Path) -> None:
    """FS-24: after SIGTERM `/readyz` is red while requests are still taken and kept; then the server ends with 0."""
    with serving(tmp_path, "--drain", "2") as server:
        assert ask(server, "/healthz")[0] == 200
        status, _, told = ask(server, "/readyz")
        assert (status, set(told["checks"])) == (200, {"database", "migrations", "disk"})
        server.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 1.5
        while ask(server, "/readyz")[0] == 200:
            assert time.monotonic() < deadline
        status, headers, told = ask(server, "/readyz")
        assert (status, headers["retry-after"], set(told["checks"])) == (503, "5", {"server"})
        assert server.request("POST", "/Users", {"userName": "late"})[0] == 201
        assert server.process.wait(15) == 0
    with serving(tmp_path) as again:
        assert again.request("GET", "/Users")[1]["totalResults"] == 1


def test_hanging_up_ends_nothing(tmp_path: Path) -> None:
    """SIGHUP at a server without a configuration has nothing to read, and does no harm."""
    with serving(tmp_path) as server:
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert server.request("GET", "/Users")[0] == 200
        assert server.stop() == 0
