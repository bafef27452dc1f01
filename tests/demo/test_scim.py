"""Reading a server back with the standard library only."""

import ast
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from rollbook.demo import scim
from rollbook.demo.scim import ENTERPRISE, PAGE, Json, Service, plain

USERS: list[Json] = [
    {
        "id": f"id{n}",
        "externalId": f"e{n}",
        "userName": f"user{n}",
        "meta": {"version": "1"},
        "schemas": ["x"],
    }
    for n in range(PAGE * 2 + 1)
]
GROUPS: list[Json] = [
    {"id": "g", "displayName": "some", "members": [{"value": "id1"}, {"value": "id7"}, {"value": "gone"}]}
]


class Answers(BaseHTTPRequestHandler):
    """A SCIM server of two lists."""

    def do_GET(self) -> None:
        """Answer a page."""
        url = urlsplit(self.path)
        query = {name: int(values[0]) for name, values in parse_qs(url.query).items()}
        start, count = query.get("startIndex", 1) - 1, query["count"]
        known = {"/v2/Users": USERS, "/v2/Groups": GROUPS}[url.path]
        body = {"totalResults": len(known), "Resources": known[start : start + count]}
        allowed = self.headers["Authorization"] == "Bearer right"
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """The base of a server that is up."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v2"
        server.shutdown()
        thread.join()


def test_read_walks_all_pages(url: str) -> None:
    """Every user of three pages is read, keyed by externalId, without what the server adds."""
    snapshot = Service("x", url, "right").read()
    assert len(snapshot.accounts) == len(USERS)
    assert snapshot.accounts["e200"].id == "id200"
    assert snapshot.accounts["e200"].attributes == {"externalId": "e200", "userName": "user200"}


def test_members_are_named_by_external_id(url: str) -> None:
    """Members that are accounts are named by HR's key, others are told of."""
    assert Service("x", url, "right").read().groups == {"some": frozenset({"e1", "e7", "unknown: gone"})}


def test_every_byte_is_kept(url: str) -> None:
    """The raw answers of all pages are there to be searched."""
    answers = Service("x", url, "right").read().answers
    assert b'"user0"' in answers
    assert b'"user200"' in answers


def test_answers(url: str) -> None:
    """A server is ready when it takes our token, and not before."""
    assert Service("x", url, "right").answers()
    assert not Service("x", url, "wrong").answers()
    assert not Service("x", "http://127.0.0.1:1/v2", "right").answers()


def test_doubles_are_faults(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two accounts of one userName, in any case, are told of."""
    monkeypatch.setitem(USERS[1], "userName", "USER0")
    assert Service("x", url, "right").read().faults == ("userName 'user0' exists twice",)


def test_manager_is_named_by_external_id() -> None:
    """A manager is somebody, not an id."""
    user = {"id": "1", ENTERPRISE: {"manager": {"value": "2", "$ref": "…"}, "department": "x"}}
    assert plain(user, {"2": "e2"}) == {ENTERPRISE: {"manager": "e2", "department": "x"}}


def test_witness_imports_nothing_of_rollbook() -> None:
    """What reads and judges the systems knows nothing of the client and the mapping."""
    for name in ("scim", "expected", "compare", "processes"):
        tree = ast.parse((Path(scim.__file__).with_name(f"{name}.py")).read_text("utf-8"))
        imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        assert all(not m.startswith("rollbook") or m.startswith("rollbook.demo") for m in imported)
