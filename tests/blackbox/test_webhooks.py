"""Webhooks on the real server: applied within a second, and nothing that was acknowledged is lost when it is killed."""

import base64
import hashlib
import hmac
import json
import time
import urllib.request
from pathlib import Path

import pytest
from tests.blackbox.rollbook_process import Server, serving

pytestmark = pytest.mark.slow

CONFIG = """
version: 1
sources:
  hr:
    type: webhook
    secret: ${HOOK}
    key: id
    users: {userName: {from: mail}, externalId: {from: id}}
"""
SECRET = b"a secret of twenty-four b"
HOOK = f"whsec_{base64.b64encode(SECRET).decode()}"


def send(server: Server, id: str, keys: list[str]) -> int:
    """Send a message as Standard Webhooks has it."""
    body = json.dumps({"records": [{"id": key, "mail": f"{key}@example.com"} for key in keys]}).encode()
    at = str(int(time.time()))
    digest = hmac.new(SECRET, f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
    headers = {
        "webhook-id": id,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        "content-type": "application/json",
    }
    url = f"http://127.0.0.1:{server.port}/hooks/hr"
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        status: int = answer.status
        return status


def people(server: Server) -> int:
    """How many users there are."""
    total: int = server.request("GET", "/Users?count=0")[1]["totalResults"]
    return total


def wait_for(server: Server, count: int, seconds: float) -> None:
    """Until there are so many."""
    deadline = time.monotonic() + seconds
    while people(server) < count:
        assert time.monotonic() < deadline, people(server)
        time.sleep(0.1)


def test_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    """Killed while it applies what came, and started again: everybody is there, once."""
    (tmp_path / "rollbook.yaml").write_text(CONFIG, "utf-8")
    config = ("--config", "rollbook.yaml", "--database", f"sqlite:///{tmp_path / 'hub.db'}")
    with serving(tmp_path, *config, HOOK=HOOK) as server:
        assert send(server, "first", ["ada"]) == 202
        wait_for(server, 1, 20)
        for number in range(4):
            assert send(server, f"m{number}", [f"p{number}-{n}" for n in range(300)]) == 202
        server.kill()
    with serving(tmp_path, *config, HOOK=HOOK) as server:
        wait_for(server, 1_201, 180)  # a lease of the dead may have to end first
        assert send(server, "m0", ["p0-0"]) == 202
        time.sleep(1)
        assert people(server) == 1_201
        assert server.stop() == 0
