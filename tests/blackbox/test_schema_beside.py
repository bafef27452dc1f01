"""`rollbook schema` beside a server that is written to: no request fails, and what is served follows."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.blackbox.rollbook_process import Server, run, serving

pytestmark = pytest.mark.slow

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
HR = "urn:example:hr:2.0:User"
SCHEMA = {
    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
    "id": HR,
    "name": "HR",
    "attributes": [{"name": "badge", "type": "string"}],
}


def test_definitions_change_under_load(tmp_path: Path) -> None:
    """Three clients go on writing while an extension comes and goes: each write is answered 201, none is lost."""
    (tmp_path / "hr.json").write_text(json.dumps(SCHEMA))
    database = f"sqlite:///{tmp_path / 'store.db'}"
    with serving(tmp_path, "--database", database) as server:
        done = threading.Event()
        told: list[tuple[int, Any]] = []
        writers = [threading.Thread(target=_write, args=(server, f"w{n}", done, told)) for n in range(3)]
        for writer in writers:
            writer.start()
        try:
            for _ in range(3):
                for arguments, is_there in (
                    (("add", "hr.json"), True),
                    (("remove", HR, "--drop-values"), False),
                ):
                    changed = run(tmp_path, "schema", *arguments, "--database", database)
                    assert changed.returncode == 0, changed.stderr
                    _wait_until(lambda there=is_there: (_schema_status(server) == 200) == there)
        finally:
            done.set()
            for writer in writers:
                writer.join()
        assert {status for status, _ in told} == {201}
        assert {HR in body for _, body in told} == {True, False}
        assert server.request("GET", "/Users?count=0")[1]["totalResults"] == len(told)


def _write(server: Server, name: str, done: threading.Event, told: list[tuple[int, Any]]) -> None:
    number = 0
    while not done.is_set():
        number += 1
        body = {"schemas": [USER, HR], "userName": f"{name}-{number}", HR: {"badge": str(number)}}
        told.append(server.request("POST", "/Users", body))


def _schema_status(server: Server) -> int:
    return server.request("GET", f"/Schemas/{HR}")[0]


def _wait_until(holds: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "the server does not follow"
        time.sleep(0.05)
