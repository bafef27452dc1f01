"""`--metrics` of the real command: one process, and several that are added up."""

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.blackbox.rollbook_process import free_port, run, serving
from tests.postgres_server import database as new_database

pytestmark = pytest.mark.slow


def _figures(port: int) -> dict[str, float]:
    """Each line of figures by what stands before its value."""
    deadline = time.monotonic() + 20
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            text = answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
            continue
        finally:
            connection.close()
        assert answer.status == 200
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}


_CREATED = 'rollbook_request_seconds_count{method="POST",route="/scim/v2/Users",status="2xx"}'


def test_one_process_tells_its_figures(tmp_path: Path) -> None:
    """Figures are at an address of their own, and not where people's data is served."""
    port = free_port()
    with serving(tmp_path, "--metrics", f"127.0.0.1:{port}") as server:
        assert server.request("POST", "/Users", {"userName": "ann"})[0] == 201
        figures = _figures(port)
        assert figures[_CREATED] == 1
        assert figures["rollbook_database_up"] == 1
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/metrics")
        assert connection.getresponse().status in {401, 404}
        connection.close()
        assert server.stop() == 0


def test_figures_of_several_processes_add_up(tmp_path: Path, postgres: str) -> None:
    """Whatever process answered, and whatever became of it since, each request is counted once."""
    with new_database(postgres) as url:
        assert run(tmp_path, "database", "migrate", "--database", url).returncode == 0
        port = free_port()
        options = ("--database", url, "--workers", "2", "--metrics", f"127.0.0.1:{port}")
        with serving(tmp_path, *options) as server:

            def create(number: int) -> int:
                return server.request("POST", "/Users", {"userName": f"user{number}"})[0]

            with ThreadPoolExecutor(8) as clients:
                assert set(clients.map(create, range(60))) == {201}
            # Each process hands over what it counted four times a second, so another's figures may be that old.
            deadline = time.monotonic() + 20
            while (counted := _figures(port).get(_CREATED, 0)) < 60 and time.monotonic() < deadline:
                time.sleep(0.1)
            assert counted == 60
            assert server.stop() == 0
