"""What breaks around a real server: disk, database, file handles, clients. Clear refusals, nothing lost, healed by itself."""

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.blackbox.rollbook_process import TOKEN, Server, free_port, run, serving
from tests.postgres_server import KEY, own_server

pytestmark = pytest.mark.slow


def _ask(server: Server, method: str, path: str, body: Any = None) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=40)
    try:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        raw = answer.read()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, told, json.loads(raw) if raw else None
    finally:
        connection.close()


def _create(server: Server, name: str, size: int = 0) -> tuple[int, dict[str, str], Any]:
    return _ask(server, "POST", "/scim/v2/Users", {"userName": name, "displayName": "x" * size})


def _assert_unavailable(answer: tuple[int, dict[str, str], Any]) -> None:
    """A clear 503: an Error of SCIM, with Retry-After."""
    status, headers, body = answer
    assert status == 503, answer
    assert int(headers["retry-after"]) > 0
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert body["status"] == "503"


def _until(wanted: int, ask: Any, seconds: float = 20) -> Any:
    """The first answer with that status, within a time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = ask()
        except OSError:
            answer = (0, {}, None)
        if answer[0] == wanted:
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)


@contextmanager
def _small_disk(place: Path) -> Iterator[Path]:
    """A disk of 12 MB."""
    place.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", str(place)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_fs_06_a_disk_that_is_full(tmp_path: Path) -> None:
    """FS-05, FS-06: writes are refused, reads go on, readiness says why; with space again it heals, and has all it acknowledged."""
    with (
        _small_disk(tmp_path / "disk") as disk,
        serving(tmp_path, "--database", f"sqlite:///{disk}/rollbook.db") as server,
    ):
        acknowledged = {f"before{number}" for number in range(5)}
        assert {_create(server, name)[0] for name in acknowledged} == {201}
        with (disk / "filler").open("wb", buffering=0) as filler:
            try:
                while filler.write(b"x" * 65536):
                    pass
            except OSError:
                pass
        refused = None
        for number in range(300):  # until what the log has reserved is used up
            answer = _create(server, f"full{number}", size=50_000)
            if answer[0] != 201:
                refused = answer
                break
            acknowledged.add(f"full{number}")
        assert refused is not None
        _assert_unavailable(refused)
        assert "disk" in refused[2]["detail"]
        assert _ask(server, "GET", "/scim/v2/Users?count=1")[0] == 200
        assert _ask(server, "GET", "/healthz")[0] == 200
        ready = _until(503, lambda: _ask(server, "GET", "/readyz"), 5)
        assert ready[2]["checks"]["disk"] == "the disk is full"
        (disk / "filler").unlink()
        _until(201, lambda: _create(server, "after"), 5)
        _until(200, lambda: _ask(server, "GET", "/readyz"), 5)
        found = _ask(server, "GET", "/scim/v2/Users?count=1000&attributes=userName")[2]["Resources"]
        assert {each["userName"] for each in found} == acknowledged | {"after"}
        assert server.stop() == 0
        checked = run(tmp_path, "database", "check", "--database", f"sqlite:///{disk}/rollbook.db")
        assert checked.returncode == 0, checked.stdout


def test_fs_07_a_disk_that_turns_unwritable(tmp_path: Path) -> None:
    """FS-07: what can be read is read, writes are refused, and go on once the disk can be written again."""
    with serving(tmp_path) as server:
        assert _create(server, "before")[0] == 201
        # Files that are open for writing keep a disk from being remounted; a limit on their size refuses as the disk would.
        pid = server.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, limits[1]))
        _assert_unavailable(_create(server, "refused"))
        assert _ask(server, "GET", "/scim/v2/Users?count=1")[0] == 200
        assert _until(503, lambda: _ask(server, "GET", "/readyz"), 5)[2]["checks"]["disk"] != "ok"
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        _until(201, lambda: _create(server, "after"), 5)
        found = _ask(server, "GET", "/scim/v2/Users?attributes=userName")[2]["Resources"]
        assert {each["userName"] for each in found} == {"before", "after"}
        assert server.stop() == 0


def test_fs_07_a_directory_that_is_read_only_from_the_start(tmp_path: Path) -> None:
    """FS-07: a server that could not write does not start, and says so in one line."""
    with _small_disk(tmp_path / "disk") as disk:
        url = f"sqlite:///{disk}/rollbook.db"
        assert run(tmp_path, "database", "migrate", "--database", url).returncode == 0
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        refused = run(tmp_path, "serve", "--port", str(free_port()), "--database", url)
        assert refused.returncode != 0
        assert "Read-only file system" in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1


def test_fs_13_a_database_that_goes_away_and_comes_back(tmp_path: Path) -> None:
    """FS-13: frozen, then ended and started again: 503 meanwhile, then right again within seconds; all acknowledged is there."""
    with own_server() as database:
        url = database.get_uri()
        assert run(tmp_path, "database", "migrate", "--database", url).returncode == 0
        with serving(tmp_path, "--database", url, ROLLBOOK_KEY=KEY) as server:
            assert _create(server, "before")[0] == 201
            _end(database)
            _assert_unavailable(_create(server, "refused"))
            _assert_unavailable(_ask(server, "GET", "/scim/v2/Users"))
            assert _ask(server, "GET", "/healthz")[0] == 200
            ready = _until(503, lambda: _ask(server, "GET", "/readyz"), 5)
            assert url not in json.dumps(ready[2])
            database.ensure_postgres_running()
            _until(201, lambda: _create(server, "after"), 10)
            _until(200, lambda: _ask(server, "GET", "/readyz"), 5)
            found = _ask(server, "GET", "/scim/v2/Users?attributes=userName")[2]["Resources"]
            assert {each["userName"] for each in found} == {"before", "after"}
            assert server.stop() == 0


def test_fs_21_file_handles_run_out(tmp_path: Path) -> None:
    """FS-21: more connections than there are handles for: the process lives, and goes on when some are closed."""
    with serving(tmp_path) as server:
        assert _create(server, "before")[0] == 201
        pid = server.process.pid
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 10, used + 10))
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(40)]
        time.sleep(0.5)
        assert server.process.poll() is None
        for each in idle:
            each.close()
        _until(201, lambda: _create(server, "after"), 10)
        found = _ask(server, "GET", "/scim/v2/Users?attributes=userName")[2]["Resources"]
        assert {each["userName"] for each in found} == {"before", "after"}
        assert server.stop() == 0


def test_fs_18_clients_that_go_away(tmp_path: Path) -> None:
    """FS-18: who leaves in the middle of a request takes nothing along: others are served, and each write is whole or absent."""
    with serving(tmp_path) as server:
        for number in range(60):
            body = json.dumps({"userName": f"gone{number}", "displayName": "x" * 1000})
            head = (
                f"POST /scim/v2/Users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
                f"Content-Type: application/scim+json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            client = socket.create_connection(("127.0.0.1", server.port))
            client.sendall((head + body)[: len(head) + len(body) * (number % 3 + 1) // 3].encode())
            client.close()
        assert _create(server, "after")[0] == 201
        found = _ask(server, "GET", "/scim/v2/Users?count=1000")[2]["Resources"]
        assert {len(each.get("displayName", "x" * 1000)) for each in found} <= {0, 1000}
        assert "after" in {each["userName"] for each in found}
        assert server.stop() == 0
        assert run(tmp_path, "database", "check").returncode == 0


def _end(database: Any) -> None:
    """End it at once, as its own tool does with `-m immediate`."""
    pid = database.get_pid()
    os.kill(pid, signal.SIGQUIT)
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.02)
