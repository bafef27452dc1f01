"""Bulk against a real server: the answer is streamed, others have their turn, and what it says was done stays done."""

import http.client
import json
import random
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tests.blackbox.rollbook_process import TOKEN, Server, free_port, serving

pytestmark = pytest.mark.slow

BODY = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"]}


@contextmanager
def sent(server: Server, name: str, count: int = 1000) -> Iterator[http.client.HTTPResponse]:
    """Send a request that creates so many users; the answer, of which nothing has been read."""
    users = [
        {"method": "POST", "path": "/Users", "bulkId": f"{name}-{at}", "data": {"userName": f"{name}-{at}"}}
        for at in range(count)
    ]
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"}
    connection.request("POST", "/scim/v2/Bulk", json.dumps(BODY | {"Operations": users}), headers)
    with closing(connection), connection.getresponse() as answer:
        yield answer


@pytest.mark.spec("P-3.7-27")
def test_killed_in_the_middle(tmp_path: Path) -> None:
    """FS-01: whatever was in the answer when the server was killed is there, and each user is whole or absent."""
    database, port, chance = f"sqlite:///{tmp_path / 'store.db'}", free_port(), random.Random(3)
    told: dict[str, str] = {}
    for round_number in range(5):
        with (
            serving(tmp_path, "--database", database, port=port) as server,
            sent(server, f"r{round_number}") as answer,
        ):
            part = answer.read(chance.randrange(500, 100_000))
            server.kill()
            try:
                part += answer.read()
            except (OSError, http.client.HTTPException) as error:
                part += getattr(error, "partial", b"")
            entry = rb'/Users/([^"]+)","method":"POST","bulkId":"([^"]+)","version":"[^"\\]*\\"[^"\\]*\\"","status":"201"'
            told |= {key.decode(): name.decode() for key, name in re.findall(entry, part)}
    assert len(told) > 20
    with serving(tmp_path, "--database", database, port=port) as server:
        for key, name in told.items():
            assert server.request("GET", f"/Users/{key}")[1]["userName"] == name
        total = server.request("GET", "/Users?count=0")[1]["totalResults"]
        assert len(told) <= total < 5000


def test_others_are_answered(tmp_path: Path) -> None:
    """While a thousand operations are carried out, users are read; the answer arrives in parts, and is whole."""
    with serving(tmp_path) as server:
        path = f"/Users/{server.request('POST', '/Users', {'userName': 'ann'})[1]['id']}"
        read, done = 0, threading.Event()
        found: list[tuple[str | None, list[dict[str, str]]]] = []

        def send() -> None:
            with sent(server, "x") as answer:
                encoding = answer.getheader("Transfer-Encoding")
                found.append((encoding, json.loads(answer.read())["Operations"]))
            done.set()

        thread = threading.Thread(target=send)
        thread.start()
        while not done.is_set():
            assert server.request("GET", path)[0] == 200
            read += 1
        thread.join()
    ((encoding, results),) = found
    assert encoding == "chunked"
    assert [each["status"] for each in results] == ["201"] * 1000
    assert read > 20
