"""Requests that two readers would read differently, on a raw socket to the real server (T-46 to T-49)."""

import json
import time
from collections.abc import Iterator

import pytest
from tests.blackbox.rollbook_process import TOKEN, Server, serving
from tests.blackbox.tls_server import listening

pytestmark = pytest.mark.slow

HOST = b"Host: localhost\r\n"
AUTH = b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
BODY = json.dumps(
    {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "smuggled"}
).encode()
MARKED = (
    b"POST /scim/v2/Users HTTP/1.1\r\n"
    + HOST
    + AUTH
    + b"Content-Type: application/scim+json\r\nContent-Length: "
    + str(len(BODY)).encode()
    + b"\r\n\r\n"
    + BODY
)
"""A request that leaves a trace if anybody ever takes it for one."""


@pytest.fixture(scope="module", params=["granian", "uvicorn"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server of each kind for all."""
    home = tmp_path_factory.mktemp("home")
    arguments, tls = listening(request.param, home)
    with serving(home, *arguments, tls=tls) as server:
        yield server


def exchange(server: Server, sent: bytes, seconds: float = 3) -> tuple[bytes, bool]:
    """Send bytes; what comes back, and whether the server closed the connection after it."""
    with server.connect(seconds) as stream:
        stream.sendall(sent)
        came = b""
        try:
            while part := stream.recv(65536):
                came += part
        except TimeoutError:
            return came, False
        except ConnectionResetError:
            pass
        return came, True


def get(*headers: bytes, line: bytes = b"GET /scim/v2/Users?count=0 HTTP/1.1") -> bytes:
    """The head of a request, and what follows."""
    return line + b"\r\n" + b"".join(headers) + b"\r\n"


def smuggles(server: Server) -> int:
    """How often the marked request was carried out."""
    total = server.request("GET", "/Users?filter=userName%20eq%20%22smuggled%22")[1]["totalResults"]
    assert isinstance(total, int)
    return total


CL = b"Content-Length: %d\r\n" % len(MARKED)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
POST = b"POST /scim/v2/Users/.search HTTP/1.1"
AMBIGUOUS = {
    "length and chunks": get(HOST, AUTH, CL, CHUNKED, line=POST) + b"0\r\n\r\n" + MARKED,
    "chunks and length": get(HOST, AUTH, CHUNKED, CL, line=POST) + b"0\r\n\r\n" + MARKED,
    "two lengths": get(HOST, AUTH, b"Content-Length: 0\r\n", CL, line=POST) + MARKED,
    "two lengths in one": get(HOST, AUTH, b"Content-Length: 0, 5\r\n", line=POST) + MARKED,
    "length with a sign": get(HOST, AUTH, b"Content-Length: +0\r\n", line=POST) + MARKED,
    "length in hex": get(HOST, AUTH, b"Content-Length: 0x0\r\n", line=POST) + MARKED,
    "length of a comma": get(HOST, AUTH, b"Content-Length: ,\r\n", line=POST) + MARKED,
    "length of nothing": get(HOST, AUTH, b"Content-Length: \r\n", line=POST) + MARKED,
    "negative length": get(HOST, AUTH, b"Content-Length: -1\r\n", line=POST) + MARKED,
    "space before the colon": get(HOST, AUTH, b"Content-Length : 0\r\n", line=POST) + MARKED,
    "folded head": get(HOST, AUTH, b"X: y\r\n Content-Length: 5\r\n", line=POST) + MARKED,
    "unknown coding": get(HOST, AUTH, b"Transfer-Encoding: chunked, x\r\n", line=POST)
    + b"0\r\n\r\n"
    + MARKED,
    "two codings": get(HOST, AUTH, b"Transfer-Encoding: gzip, chunked\r\n", line=POST)
    + b"0\r\n\r\n"
    + MARKED,
    "chunked twice": get(HOST, AUTH, b"Transfer-Encoding: chunked,chunked\r\n", line=POST)
    + b"0\r\n\r\n"
    + MARKED,
    "length with a zero before": get(HOST, AUTH, b"Content-Length: 00\r\n", line=POST) + MARKED,
    "coding with a tab": get(HOST, AUTH, b"Transfer-Encoding:\x0bchunked\r\n", line=POST)
    + b"0\r\n\r\n"
    + MARKED,
    "chunk of no size": get(HOST, AUTH, CHUNKED, line=POST) + b"\r\n\r\n" + MARKED,
    "chunk with a sign": get(HOST, AUTH, CHUNKED, line=POST) + b"+0\r\n\r\n" + MARKED,
    "chunk in 0x": get(HOST, AUTH, CHUNKED, line=POST) + b"0x0\r\n\r\n" + MARKED,
    "chunk without its end": get(HOST, AUTH, CHUNKED, line=POST) + b"1\r\naX0\r\n\r\n" + MARKED,
    "NUL in a head": get(HOST, AUTH, b"X: a\x00b\r\n"),
    "CR in a head": get(HOST, AUTH, b"X: a\rContent-Length: 5\r\n"),
    "no name": get(HOST, AUTH, b": x\r\n"),
    "two hosts": get(HOST, b"Host: evil.example\r\n", AUTH),
    "two authorizations": get(HOST, AUTH, AUTH),
    "space in the target": get(HOST, AUTH, line=b"GET /scim/v2/Users x HTTP/1.1"),
    "version of nobody": get(HOST, AUTH, line=b"GET /scim/v2/Users HTTP/9.9"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_t_48_what_can_be_read_in_two_ways_is_refused(server: Server, name: str) -> None:
    """400 or the end of the connection; never is what stands in the body taken for a request of its own."""
    before = smuggles(server)
    came, closed = exchange(server, AMBIGUOUS[name])
    assert smuggles(server) == before == 0
    statuses = [part[:3] for part in came.split(b"HTTP/1.1 ")[1:]]
    assert b"201" not in statuses, came
    assert not statuses or statuses[0] in {b"400", b"408", b"501", b"505"}, came
    assert closed or statuses[0] == b"400", came


def test_t_48_a_request_in_a_row_is_one_of_its_own(server: Server) -> None:
    """What is written one after another, as HTTP allows, is answered in order: the tests above could fail."""
    came, _ = exchange(server, get(HOST, AUTH) + get(HOST, AUTH, b"Connection: close\r\n"))
    assert came.count(b"HTTP/1.1 200 OK") == 2


INJECTED = ["%0d%0aX-Evil:%201", "%0aX-Evil:%201", "a%00b", "%E2%80%A8X-Evil:1", "%250d%250aX-Evil:1"]


@pytest.mark.parametrize("text", INJECTED)
@pytest.mark.parametrize(
    "path",
    [
        "/scim/v2/Users/{}",
        "/scim/v2/{}",
        "/{}",
        "/t/{}/scim/v2/Users",
        "/scim/v2/Users?filter={}",
        "/scim/v2/Users?cursor={}",
        "/scim/v2/Users?attributes={}",
        "/scim/v2/Users/x?{}={}",
    ],
)
def test_t_49_no_header_is_made_of_what_was_asked_for(server: Server, path: str, text: str) -> None:
    """Line ends in a path or query stay in the body of the answer."""
    line = b"GET " + path.replace("{}", text).encode() + b" HTTP/1.1"
    came, _ = exchange(server, get(HOST, AUTH, b"Connection: close\r\n", line=line))
    head = came.partition(b"\r\n\r\n")[0]
    assert head.startswith(b"HTTP/1.1 "), came
    assert b"evil" not in head.lower(), head
    assert not head.startswith(b"HTTP/1.1 5"), head


@pytest.mark.parametrize("attribute", ["userName", "externalId", "displayName"])
def test_t_49_nor_of_what_was_written(server: Server, attribute: str) -> None:
    """Location and ETag of a resource are made of its own id and version, whatever it is called."""
    user = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": f"x {attribute}"}
    body = json.dumps(user | {attribute: "a\r\nX-Evil: 1"}).encode()
    length = b"Content-Length: %d\r\nContent-Type: application/scim+json\r\nConnection: close\r\n" % len(body)
    came, _ = exchange(server, get(HOST, AUTH, length, line=b"POST /scim/v2/Users HTTP/1.1") + body)
    assert b"evil" not in came.partition(b"\r\n\r\n")[0].lower()


def test_t_46_before_a_token_is_known_no_body_is_read(server: Server) -> None:
    """A hundred megabytes that are announced are answered without being sent, whatever token comes with them or none."""
    head = get(HOST, b"Content-Length: 104857600\r\nContent-Type: application/json\r\n", line=POST)
    began = time.monotonic()
    came, closed = exchange(server, head + b"x" * 1000)
    assert came.startswith(b"HTTP/1.1 401")
    assert time.monotonic() - began < 3 or closed


def test_t_47_idle_connections_hold_up_nobody(server: Server) -> None:
    """With hundreds of connections that say nothing, and fifty that stop within a head, others are answered as before."""
    idle = [server.connect(5) for _ in range(500)]
    try:
        for stream in idle[:50]:
            stream.sendall(b"GET /scim/v2/Users HTT")
        began = time.monotonic()
        for _ in range(10):
            assert server.request("GET", "/Users?count=1")[0] == 200
        assert time.monotonic() - began < 5
    finally:
        for stream in idle:
            stream.close()


def test_t_47_http_2_is_not_spoken(server: Server) -> None:
    """Its heads have no time limit and may be long: who begins with it is sent away at once, before any frame is kept."""
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    half_a_head = b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82"
    came, closed = exchange(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + half_a_head)
    assert closed
    assert not came or came.startswith(b"HTTP/1.1 4"), came
