"""`rollbook serve` and `rollbook token` as a new user meets them: real processes, real sockets, real files."""

import json
import random
import re
import socket
import threading
import time
from pathlib import Path

import pytest
from tests.blackbox.rollbook_process import TOKEN, Server, free_port, refused, run, serving
from tests.blackbox.tls_server import listening

pytestmark = pytest.mark.slow


def test_version_and_help(tmp_path: Path) -> None:
    """`--version` and `--help` answer without a database."""
    assert re.fullmatch(r"rollbook \d+\.\d+\.\d+\S*\n", run(tmp_path, "--version").stdout)
    assert "serve" in run(tmp_path, "--help").stdout
    assert not list(tmp_path.iterdir())


def test_first_start(tmp_path: Path) -> None:
    """Without configuration: a private data directory, a token shown once, and a clean end (I-31)."""
    with serving(tmp_path, token=None) as server:
        assert server.request("GET", "/Users")[0] == 401
        assert server.stop() == 0
        assert server.process.stdout is not None
        output = server.process.stdout.read()
    data = tmp_path / ".local/share/rollbook"
    assert (data.stat().st_mode & 0o777, (data / "rollbook.db").exists()) == (0o700, True)
    (token,) = re.findall(r"rb_live_\w+", output)
    assert "default, new" in output
    assert (data / "rollbook.db").stat().st_mode & 0o077 == 0
    with serving(tmp_path, token=None) as server:
        server.token = token
        assert server.request("POST", "/Users", {"userName": "ann"})[0] == 201
        server.stop()
        assert server.process.stdout is not None
        assert "rb_live_" not in server.process.stdout.read()


def test_bootstrap_token(tmp_path: Path) -> None:
    """A token from the environment has all rights and is printed nowhere."""
    with serving(tmp_path, "--database", "sqlite:///here.db", token="from-outside") as server:
        assert server.request("GET", "/Users")[0] == 200
        server.stop()
        assert server.process.stdout is not None
        output = server.process.stdout.read()
    assert "from-outside" not in output
    assert "rb_live_" not in output
    assert (tmp_path / "here.db").exists()


def test_token_commands_beside_the_server(tmp_path: Path) -> None:
    """`rollbook token create` works while the server runs, and its token is accepted at once."""
    with serving(tmp_path) as server:
        user = server.request("POST", "/Users", {"userName": "ann"})[1]["id"]
        made = run(tmp_path, "token", "create", "--name", "hr", "--expires", "90d")
        assert made.returncode == 0, made.stderr
        assert server.request("GET", "/Users", token=made.stdout.strip())[0] == 200
        own = run(tmp_path, "token", "create", "--user", user).stdout.strip()
        assert server.request("GET", f"/Users/{user}", token=own)[0] == 200
        assert server.request("GET", "/Users", token=own)[0] == 403
        listed = json.loads(run(tmp_path, "token", "list", "--json").stdout)
        assert [(row["name"], row["user"]) for row in listed] == [("hr", None), ("token", user)]
        for wrong in (
            ["--expires", "yesterday"],
            ["--expires", "2001-01-01"],
            ["--user", "nobody"],
            ["--name", "\x1b[31m"],
        ):
            done = refused(tmp_path, "token", "create", *wrong)
            assert done.returncode in {1, 3}
            assert wrong[0].removeprefix("--") in done.stderr
            assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "fragment"),
    [
        (["--host", "0.0.0.0"], 3, "--insecure-http"),
        (["--host", "::"], 3, "clear text"),
        (["--database", "mysql://x"], 3, "sqlite:///"),
        (["--database", "sqlite:///"], 3, "sqlite:///"),
        (["--database", "sqlite:///nowhere/x.db"], 1, "create it first"),
        (["--schemas", "nowhere"], 3, "no such directory"),
        (["--config", "missing.yaml"], 3, "missing.yaml"),
    ],
)
def test_refused_starts(tmp_path: Path, arguments: list[str], code: int, fragment: str) -> None:
    """A start that would be unsafe or cannot be is refused in words, and leaves nothing (I-31, T-91)."""
    # Definitions are read when the database is held already, which ends with its process.
    start = run if "--schemas" in arguments else refused
    done = start(tmp_path, "serve", *arguments)
    assert done.returncode == code
    assert fragment in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.db"))


def test_port_taken(tmp_path: Path) -> None:
    """A port that is taken is named, with what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = refused(tmp_path, "serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 3
    assert "--port" in done.stderr


def test_second_server_is_refused(tmp_path: Path) -> None:
    """Only one process serves a file (FS-11)."""
    with serving(tmp_path) as server:
        done = run(tmp_path, "serve", "--port", str(free_port()))
        assert done.returncode != 0
        assert "serv" in done.stderr
        assert server.request("GET", "/Users")[0] == 200


def test_foreign_file(tmp_path: Path) -> None:
    """A file that is no database of ours is refused and left as it is (FS-09)."""
    file = tmp_path / "notes.db"
    file.write_text("my notes, not a database\n" * 100)
    before = file.read_bytes()
    done = run(tmp_path, "serve", "--database", f"sqlite:///{file}")
    assert done.returncode != 0
    assert "notes.db" in done.stderr
    assert "Traceback" not in done.stderr
    assert file.read_bytes() == before


def test_schemas_directory(tmp_path: Path) -> None:
    """Files in --schemas become extensions and resource types."""
    definitions = tmp_path / "schemas"
    definitions.mkdir()
    (definitions / "hr.json").write_text(
        json.dumps(
            {
                "id": "urn:example:hr:2.0:User",
                "name": "HR",
                "attributes": [{"name": "birthDate", "type": "string", "returned": "request"}],
            }
        )
    )
    (definitions / "device.json").write_text(
        json.dumps(
            {
                "id": "urn:example:device:1.0:Device",
                "name": "Device",
                "attributes": [
                    {"name": "serial", "type": "string", "required": True, "uniqueness": "server"}
                ],
            }
        )
    )
    (definitions / "device-type.json").write_text(
        json.dumps({"name": "Device", "endpoint": "/Devices", "schema": "urn:example:device:1.0:Device"})
    )
    with serving(tmp_path, "--schemas", "schemas") as server:
        assert server.request("POST", "/Devices", {"serial": "A1"})[0] == 201
        assert server.request("POST", "/Devices", {"serial": "A1"})[0] == 409
        assert server.request("GET", "/Devices?filter=serial%20eq%20%22A1%22")[1]["totalResults"] == 1
        born = {"userName": "ann", "urn:example:hr:2.0:User": {"birthDate": "1990-01-01"}}
        status, user = server.request("POST", "/Users", born)
        assert (status, user["urn:example:hr:2.0:User"]) == (201, {"birthDate": "1990-01-01"})
        assert "urn:example:hr:2.0:User" not in server.request("GET", f"/Users/{user['id']}")[1]


@pytest.mark.parametrize("by", ["granian", "uvicorn"])
def test_requests_in_flight_are_finished(tmp_path: Path, by: str) -> None:
    """SIGTERM ends the server after the answers that are due, kept-alive connections or not (FS-24)."""
    arguments, tls = listening(by, tmp_path)
    with serving(tmp_path, *arguments, tls=tls) as server:
        idle = server.connect()
        idle.sendall(b"GET /scim/v2/Schemas HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(100).startswith(b"HTTP/1.1 200")
        slow = {}

        def create() -> None:
            slow["answer"] = server.request("POST", "/Users", {"userName": "ann", "password": "long enough!"})

        thread = threading.Thread(target=create)
        thread.start()
        time.sleep(0.02)
        assert server.stop() == 0
        thread.join(10)
        idle.close()
        assert slow["answer"][0] == 201


@pytest.mark.parametrize("by", ["granian", "uvicorn"])
def test_slow_body_does_not_hold_up_the_end(tmp_path: Path, by: str) -> None:
    """A body that never ends is left behind when the server stops (FS-24, T-47)."""
    arguments, tls = listening(by, tmp_path)
    with serving(tmp_path, *arguments, tls=tls) as server:
        slow = server.connect()
        head = f"POST /scim/v2/Users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        slow.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert server.request("GET", "/Users")[0] == 200
        assert server.stop() == 0
        slow.close()


def test_kill_under_load(tmp_path: Path) -> None:
    """Ten times killed with SIGKILL while writing, everything acknowledged is there (I-01, FS-01)."""
    database = f"sqlite:///{tmp_path / 'store.db'}"
    chance = random.Random(20)
    kept: dict[str, str] = {}
    port = free_port()
    for round_number in range(10):
        with serving(tmp_path, "--database", database, port=port) as server:
            threads = [
                threading.Thread(target=_write, args=(server, f"r{round_number}w{n}", kept)) for n in range(4)
            ]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.05, 0.4))
            server.kill()
            for thread in threads:
                thread.join(20)
    assert len(kept) > 100
    with serving(tmp_path, "--database", database, port=port) as server:
        for identifier, title in kept.items():
            status, user = server.request("GET", f"/Users/{identifier}")
            assert (status, user.get("title")) == (200, title)
        total = server.request("GET", "/Users?count=0")[1]["totalResults"]
        assert total >= len(kept)
        assert (
            server.request("GET", "/Users?filter=userName%20sw%20%22r%22&count=0")[1]["totalResults"] == total
        )


def _write(server: Server, name: str, kept: dict[str, str]) -> None:
    """Create users and change them until the server is gone; note what was acknowledged."""
    for n in range(100_000):
        try:
            status, user = server.request("POST", "/Users", {"userName": f"{name}-{n}", "title": "new"})
            assert status == 201
            kept[user["id"]] = "new"
            operation = {"op": "replace", "path": "title", "value": "changed"}
            kept.pop(user["id"])  # between sending and answer either value may hold
            status, _ = server.request(
                "PATCH", f"/Users/{user['id']}", {"schemas": [], "Operations": [operation]}
            )
            assert status == 200
            kept[user["id"]] = "changed"
        except (OSError, ValueError):
            return
