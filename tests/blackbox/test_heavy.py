"""Searches as heavy as limits allow, against the real server: who leaves, the end of the server, and the neighbours."""

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from tests.blackbox.rollbook_process import TOKEN, Server, run, serving
from tests.blackbox.tls_server import listening
from tests.postgres_server import database as new_database

from rollbook.protocol import urns

pytestmark = pytest.mark.slow

PEOPLE = 5_000
"""So many that each search takes seconds of a processor."""

HEAVY = {
    "schemas": [urns.SEARCH_REQUEST],
    "count": 1,
    "filter": " or ".join(f'title co "zz{number}"' for number in range(200)),
}


@pytest.fixture(scope="module")
def full_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database of many people, which tests take a copy of."""
    folder = tmp_path_factory.mktemp("full")
    _fill(folder, f"sqlite:///{folder / 'store.db'}")
    return folder


@pytest.fixture(scope="module")
def full_database(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same in PostgreSQL; nobody here changes it."""
    folder = tmp_path_factory.mktemp("full")
    with new_database(postgres) as url:
        assert run(folder, "database", "migrate", "--database", url).returncode == 0
        _fill(folder, url)
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with many people, and another tenant that has none."""
    if request.param == "postgres":
        return str(request.getfixturevalue("full_database"))
    shutil.copytree(request.getfixturevalue("full_folder"), tmp_path, dirs_exist_ok=True)
    return f"sqlite:///{tmp_path / 'store.db'}"


def _fill(folder: Path, url: str) -> None:
    with (folder / "people.jsonl").open("w") as file:
        for number in range(PEOPLE):
            person = {"userName": f"user{number}", "title": f"Title {number % 50} {'x' * 200}"}
            file.write(json.dumps(person | {"schemas": [urns.USER]}) + "\n")
    done = run(folder, "import", "people.jsonl", "--database", url)
    assert done.returncode == 0, done.stderr


@contextmanager
def _asked(server: Server, number: int) -> Iterator[list[socket.socket]]:
    """So many clients that wait for the answer to a heavy search."""
    body = json.dumps(HEAVY)
    head = (
        "POST /scim/v2/Users/.search HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    clients = [server.connect(60) for _ in range(number)]
    try:
        for client in clients:
            client.sendall((head + body).encode())
        time.sleep(1)
        yield clients
    finally:
        for client in clients:
            client.close()


def _processor(server: Server) -> float:
    """Seconds of a processor that the server has used."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _running(url: str) -> int:
    """How many statements the database server is at."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'rollbook' AND state = 'active'"
        ).fetchone()
    return row[0] if row else 0


BY = pytest.mark.parametrize(
    ("database", "by"),
    [("sqlite", "granian"), ("postgres", "granian"), ("sqlite", "uvicorn")],
    indirect=["database"],
)


@BY
def test_fs_18_what_nobody_waits_for_is_not_searched(tmp_path: Path, database: str, by: str) -> None:
    """FS-18, I-20: of searches whose clients have left, those that run are stopped and those that wait never begin."""
    arguments, tls = listening(by, tmp_path)
    with serving(tmp_path, "--database", database, *arguments, tls=tls) as server:
        with _asked(server, 30):
            pass
        before, quiet = _processor(server), 0.0
        while quiet < 1:
            now = _processor(server)
            time.sleep(0.25)
            quiet = quiet + 0.25 if _processor(server) - now < 0.02 else 0.0
            assert _processor(server) - before < 3
        assert server.request("GET", "/Users?count=1")[0] == 200
        assert not database.startswith("postgres") or _running(database) == 0
        assert server.stop() == 0


@BY
def test_fs_24_searches_do_not_hold_up_the_end(tmp_path: Path, database: str, by: str) -> None:
    """FS-24: searches that run or wait when the server has to end are answered 503, and it ends in its time."""
    arguments, tls = listening(by, tmp_path)
    with serving(tmp_path, "--database", database, *arguments, tls=tls) as server:
        with _asked(server, 60) as clients:
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(14) == 0
            answers = [client.recv(12) for client in clients]
        assert {answer.partition(b" ")[2] for answer in answers} <= {b"200", b"503"}
        assert answers.count(b"HTTP/1.1 503") > 30
