"""Client certificates without a proxy: real TLS clients against the real server (T-20)."""

import base64
import json
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.blackbox.rollbook_process import COMMAND, TOKEN, Server, environment, free_port, run, serving
from tests.blackbox.tls_server import CLIENT_CA, Authority, Shown, client_context
from tests.postgres_server import database as new_database

from rollbook.server.listening import HEAD_SECONDS
from rollbook.server.tls import TlsError, TlsFiles, read_authorities
from rollbook.server.uvicorn_connection import FRAMING_BYTES, HEAD_BYTES
from rollbook.server.uvicorn_door import MOST_OF_ONE
from rollbook.settings import SettingsError, client_certificates

pytestmark = pytest.mark.slow

ASKED = b"GET /scim/v2/Users?count=0 HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files of the server are that most tests ask."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def authority(home: Path) -> Authority:
    """The authority that it names."""
    made = Authority(home)
    made.server()
    return made


@pytest.fixture(scope="module")
def server(home: Path, authority: Authority) -> Iterator[Server]:
    """One that lets anybody come without a certificate, too."""
    with serving(home, *CLIENT_CA, tls=client_context()) as server:
        yield server


@pytest.fixture(scope="module")
def okta(home: Path, authority: Authority, server: Server) -> Shown:
    """A certificate that stands for a token which may read."""
    shown = authority.client("okta")
    admit(home, shown)
    return shown


def admit(home: Path, shown: Shown, database: str | None = None) -> str:
    """Let a certificate stand for a token; its id."""
    url = database or f"sqlite:///{home}/.local/share/rollbook/rollbook.db"
    named = ("token", "create", "--certificate", shown.path.name, "--name", shown.path.stem)
    done = run(home, *named, ROLLBOOK_DATABASE=url)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def answers(server: Server, context: ssl.SSLContext, *sent: bytes, seconds: float = 5) -> list[bytes]:
    """The statuses of what is answered on one connection, none if TLS is refused."""
    came = b""
    with suppress(OSError), Server(server.process, server.port, None, context).connect(seconds) as stream:
        for each in sent:
            stream.sendall(each)
        while part := stream.recv(65536):
            came += part
    return [part[:3] for part in came.split(b"HTTP/1.1 ")[1:]]


def told(stream: socket.socket) -> bytes:
    """The status of one answer, which is read to its end."""
    came = b""
    while b"\r\n\r\n" not in came:
        part = stream.recv(65536)
        assert part, "the connection has ended"
        came += part
    head, _, body = came.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += stream.recv(65536)
    return head[9:12]


def asked(server: Server, shown: Shown | None, *headers: bytes) -> list[bytes]:
    """What one request is answered, with a certificate or none."""
    context = client_context() if shown is None else shown.context()
    return answers(server, context, ASKED + b"".join(headers) + b"Connection: close\r\n\r\n")


def test_t_20_without_a_proxy(server: Server, okta: Shown, authority: Authority) -> None:
    """The certificate of a connection stands for its token; nobody else's does, and bearer tokens count beside it."""
    bearer = b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
    assert asked(server, okta) == [b"200"]
    assert asked(server, authority.client("stranger")) == [b"401"]
    assert asked(server, None) == [b"401"]
    assert asked(server, None, bearer) == [b"200"]
    assert asked(server, okta, b"Authorization: Bearer wrong\r\n") == [b"401"]


def test_t_20_certificates_that_do_not_hold(server: Server, okta: Shown, authority: Authority) -> None:
    """Of another authority of the same name, over, not begun, for servers only: TLS itself is refused, and the log says why."""
    other = Authority(authority.home, "other.pem")
    past = authority.client("past", -timedelta(days=3), -timedelta(days=1))
    future = authority.client("future", timedelta(days=1))
    apart = authority.client("for_servers", purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    assert asked(server, authority.client("for_clients", purpose=ExtendedKeyUsageOID.CLIENT_AUTH)) == [b"401"]
    for shown in (other.client("okta2"), past, future, apart):
        assert asked(server, shown) == []
    assert asked(server, okta) == [b"200"]


def test_t_20_headers_of_strangers(server: Server, okta: Shown, authority: Authority) -> None:
    """A header names a certificate to nobody's use, with or without a certificate of one's own; nor does a trailer."""
    encoded = base64.b64encode(ssl.PEM_cert_to_DER_cert(okta.pem.decode()))
    forms = [b"Client-Cert: :" + encoded + b":\r\n", b"X-Client-Certificate: " + encoded + b"\r\n"]
    stranger = authority.client("stranger2")
    for header in forms:
        assert asked(server, None, header) == [b"401"]
        assert asked(server, stranger, header) == [b"401"]
    head = b"POST /scim/v2/Users/.search HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailers = (*forms, b"Authorization: Bearer " + TOKEN.encode() + b"\r\n")
    for trailer in trailers:
        got = answers(server, stranger.context(), head, b"2\r\n{}\r\n0\r\n" + trailer + b"\r\n", seconds=3)
        assert got == [b"401"]


def test_t_20_a_connection_that_stays(server: Server, okta: Shown) -> None:
    """Each request of a connection is its client's: one after another, and several written at once."""
    once = ASKED + b"\r\n"
    assert answers(server, okta.context(), once, once * 2, once, seconds=2) == [b"200"] * 4
    mixed = ASKED + b"Authorization: Bearer wrong\r\n\r\n"
    assert answers(server, okta.context(), once + mixed + once, seconds=2) == [b"200", b"401", b"200"]


def test_t_20_a_session_is_resumed_as_whose_it_was(server: Server, okta: Shown) -> None:
    """A client that resumes its session is known by the certificate of then; another client has nobody's."""
    context = okta.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Server(server.process, server.port, None, context).connect() as first:
        assert isinstance(first, ssl.SSLSocket)
        session = first.session
    with (
        socket.create_connection(("127.0.0.1", server.port), 5) as plain,
        context.wrap_socket(plain, session=session) as again,
    ):
        again.sendall(ASKED + b"Connection: close\r\n\r\n")
        assert again.recv(12) == b"HTTP/1.1 200"
    assert asked(server, None) == [b"401"]


def test_t_20_the_token_ends_and_the_connection_does_not(
    home: Path, server: Server, authority: Authority
) -> None:
    """What is revoked here is nothing within a second, also on a connection that was there."""
    shown = authority.client("brief")
    made = admit(home, shown)
    with Server(server.process, server.port, None, shown.context()).connect() as stream:
        stream.sendall(ASKED + b"\r\n")
        assert told(stream) == b"200"
        database = f"sqlite:///{home}/.local/share/rollbook/rollbook.db"
        revoking = subprocess.Popen(
            [*COMMAND, "token", "revoke", made, "--database", database], env=environment(home), cwd=home
        )
        while revoking.poll() is None:
            stream.sendall(ASKED + b"\r\n")
            assert told(stream) in {b"200", b"401"}
            time.sleep(0.5)
        assert revoking.returncode == 0
        time.sleep(1.5)
        stream.sendall(ASKED + b"\r\n")
        assert told(stream) == b"401"


def test_t_20_a_certificate_that_is_demanded(tmp_path: Path) -> None:
    """With `--client-cert required` nobody speaks without one. What a proxy shows opens nothing: its header says for whom it asks."""
    authority = Authority(tmp_path)
    authority.server()
    shown, behind = authority.client("proxy"), authority.client("behind")
    proxied = ("--client-cert", "required", "--trusted-proxy", "127.0.0.1/32")
    with serving(tmp_path, *CLIENT_CA, *proxied, tls=shown.context()) as server:
        for each in (shown, behind):
            admit(tmp_path, each)
        told_of = (
            b"Client-Cert: :" + base64.b64encode(ssl.PEM_cert_to_DER_cert(behind.pem.decode())) + b":\r\n"
        )
        assert asked(server, None) == asked(server, None, told_of) == []
        assert asked(server, shown) == [b"401"]
        assert asked(server, shown, told_of) == [b"200"]
        assert server.request("GET", "/Users")[0] == 200
        assert server.stop() == 0
        said = server.process.stdout.read() if server.process.stdout else ""
    assert "clients  certificates of ca.pem (required" in said
    assert "stopped: every request was answered" in said


def test_t_20_revoked_and_replaced_while_it_runs(tmp_path: Path) -> None:
    """A list that names a certificate, and another authority's file, hold for new connections at once and end the old ones."""
    authority = Authority(tmp_path)
    authority.server()
    authority.revoke()
    stays, goes = authority.client("stays"), authority.client("goes")
    with serving(tmp_path, *CLIENT_CA, "--client-crl", "crl.pem", tls=client_context()) as server:
        for shown in (stays, goes):
            admit(tmp_path, shown)
            assert asked(server, shown) == [b"200"]
        with Server(server.process, server.port, None, goes.context()).connect(10) as open_before:
            open_before.sendall(ASKED + b"\r\n")
            assert told(open_before) == b"200"
            authority.revoke(goes)
            server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: asked(server, goes) == [])
            assert asked(server, stays) == [b"200"]
            assert open_before.recv(1) == b""
        other = Authority(tmp_path)
        other.revoke()
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: asked(server, stays) == [])
        assert asked(server, other.client("anew")) == [b"401"]
        assert server.request("GET", "/Users")[0] == 200
        (tmp_path / "crl.pem").write_text("nothing")
        server.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert asked(server, other.client("anew2")) == [b"401"]
        assert server.stop() == 0
        said = server.process.stdout.read() if server.process.stdout else ""
    assert "a client's certificate is refused" in said
    assert "certificate revoked" in said
    assert "no list of revoked certificates in PEM form" in said


def test_t_20_a_list_that_is_too_old(tmp_path: Path) -> None:
    """Nobody's certificate is taken then, which the log says; those who come with a token go on."""
    authority = Authority(tmp_path)
    authority.server()
    authority.revoke(due=-timedelta(hours=1))
    shown = authority.client("okta")
    with serving(tmp_path, *CLIENT_CA, "--client-crl", "crl.pem", tls=client_context()) as server:
        assert asked(server, shown) == []
        assert server.request("GET", "/Users")[0] == 200
        assert server.stop() == 0
        said = server.process.stdout.read() if server.process.stdout else ""
    assert "was due anew" in said


def test_a_new_certificate_loses_no_request(tmp_path: Path) -> None:
    """Files that change again and again under four clients fail none of their requests."""
    authority = Authority(tmp_path)
    authority.server()
    seen: dict[str, int] = {}
    ending = threading.Event()

    def keep_asking(server: Server) -> None:
        while not ending.is_set():
            told = str(asked(server, None))
            seen[told] = seen.get(told, 0) + 1

    with serving(tmp_path, *CLIENT_CA, tls=client_context()) as server:
        clients = [threading.Thread(target=keep_asking, args=(server,)) for _ in range(4)]
        for client in clients:
            client.start()
        for _ in range(5):
            authority.server()
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.7)
        ending.set()
        for client in clients:
            client.join()
        assert server.stop() == 0
        said = server.process.stdout.read() if server.process.stdout else ""
    assert said.count("a new certificate is served") == 5
    assert set(seen) == {"[b'401']"}, seen
    assert seen["[b'401']"] > 50


def test_several_processes(tmp_path: Path, postgres: str) -> None:
    """Each of them takes certificates, and follows a list that changes."""
    authority = Authority(tmp_path)
    authority.server()
    authority.revoke()
    shown = authority.client("okta")
    with new_database(postgres) as url:
        assert run(tmp_path, "database", "migrate", "--database", url).returncode == 0
        admit(tmp_path, shown, database=url)
        several = ("--client-crl", "crl.pem", "--workers", "2", "--database", url)
        with serving(tmp_path, *CLIENT_CA, *several, tls=client_context()) as server:
            assert {str(asked(server, shown)) for _ in range(8)} == {"[b'200']"}
            authority.revoke(shown)
            server.process.send_signal(signal.SIGHUP)
            wait_for(lambda: {str(asked(server, shown)) for _ in range(4)} == {"[]"})
            assert {str(asked(server, shown)) for _ in range(6)} == {"[]"}
            assert server.request("GET", "/Users")[0] == 200
            assert server.stop() == 0


TRICKLED = {
    "nothing": [],
    "half a head": [b"GET /scim/v2/Users HTT"],
    "line after line": [b"GET /scim/v2/Users HTTP/1.1\r\n", *[b"X: y\r\n"] * 30],
    "empty lines": [b"\r\n"] * 30,
    "after an answer": [
        ASKED + b"\r\n",
        *[b"GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"[at : at + 1] for at in range(30)],
    ],
}


@pytest.mark.parametrize("name", TRICKLED)
def test_t_47_heads_have_a_time(server: Server, name: str) -> None:
    """Whoever has no whole head after ten seconds is cut off, however much of it comes."""
    began = time.monotonic()
    with server.connect(HEAD_SECONDS + 5) as stream:
        stream.settimeout(0.6)
        parts = iter(TRICKLED[name])
        while True:
            assert time.monotonic() - began < HEAD_SECONDS + 5
            with suppress(TimeoutError):
                try:
                    if not stream.recv(65536):
                        break
                except OSError as error:
                    if isinstance(error, TimeoutError):
                        raise
                    break
            with suppress(OSError):
                stream.sendall(next(parts, b""))
    assert time.monotonic() - began > HEAD_SECONDS - 1


def test_t_47_handshakes_have_a_time(server: Server) -> None:
    """Whoever connects and never begins with TLS is cut off, too."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", server.port), HEAD_SECONDS + 5) as stream:
        stream.sendall(b"\x16\x03")
        with suppress(ConnectionResetError):
            assert stream.recv(1) == b""
    assert HEAD_SECONDS - 1 < time.monotonic() - began < HEAD_SECONDS + 5


def test_t_47_unfinished_handshakes_have_a_number(tmp_path: Path) -> None:
    """Who connects and says nothing, again and again, takes little memory and no place of those who come in; the log says so once."""
    Authority(tmp_path).server()
    with serving(tmp_path, *CLIENT_CA, tls=client_context()) as server:
        finished = [server.connect(5) for _ in range(MOST_OF_ONE + 20)]
        before = memory(server)
        silent = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(600)]
        wait_for(lambda: descriptors(server) < 2 * MOST_OF_ONE + 100)
        assert memory(server) - before < 30_000_000
        for stream in silent:
            stream.close()
        assert server.request("GET", "/Users")[0] == 200
        finished[0].sendall(ASKED + b"\r\n")
        assert told(finished[0]) == b"401"
        for stream in finished:
            stream.close()
        assert server.stop() == 0
        said = server.process.stdout.read() if server.process.stdout else ""
    assert said.count("too many connections have not finished their handshake") == 1


LONG = {
    "a header": b"X: " + b"a" * HEAD_BYTES + b"\r\n",
    "many headers": b"X: y\r\n" * 101,
    "a name": b"a" * HEAD_BYTES + b": y\r\n",
}


@pytest.mark.parametrize("name", LONG)
def test_t_46_heads_have_a_length(server: Server, name: str) -> None:
    """Longer ones are refused, whole or not; and what is not the head of HTTP/1 is refused in a word."""
    assert answers(server, client_context(), ASKED + LONG[name] + b"\r\n") == [b"431"]
    assert answers(server, client_context(), b"GET /" + b"a" * 400_000) in ([b"431"], [])
    assert answers(server, client_context(), b"GET / HTTP/2.0\r\n\r\n") in ([b"505"], [b"400"])


SEARCH = b"POST /scim/v2/Users/.search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/scim+json\r\n"
SEARCH += b"Authorization: Bearer " + TOKEN.encode() + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
FRAMED = {
    "chunks of one byte": [b"1\r\n \r\n" * 20_000],
    "an extension": [b"2;x=" + b"a" * 200_000 + b"\r\n{}\r\n0\r\n\r\n"],
    "many extensions": [b"1;" + b"a" * 500 + b"\r\n \r\n"] * 200,
    "a trailer": [b"2\r\n{}\r\n0\r\nX: ", b"a" * 200_000],
}


@pytest.mark.parametrize("name", FRAMED)
def test_t_46_what_frames_a_body_has_a_length(server: Server, name: str) -> None:
    """Sizes, extensions and trailers that are far longer than what they frame are refused, and the connection ends."""
    began = time.monotonic()
    assert answers(server, client_context(), SEARCH, *FRAMED[name], seconds=20) in ([b"413"], [])
    assert time.monotonic() - began < 8
    assert server.request("GET", "/Users")[0] == 200


def test_t_46_who_frames_too_much_is_told(server: Server) -> None:
    """413, where all that was sent is read before the connection ends."""
    sent = b"1\r\n \r\n" * (FRAMING_BYTES // 4)
    with server.connect(5) as stream:
        stream.sendall(SEARCH)
        with suppress(OSError):
            for at in range(0, len(sent), 600):
                stream.sendall(sent[at : at + 600])
                time.sleep(0.01)
        assert stream.recv(12) == b"HTTP/1.1 413"


@pytest.mark.parametrize("size", [1, 32, 1000, 16_384, 100_000])
def test_t_46_chunks_of_any_usual_size(server: Server, size: int) -> None:
    """A body in chunks is read whole: short ones in chunks of one byte, long ones in chunks from a line on."""
    search = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "count": 0}
    body = json.dumps(search).encode() + b" " * (0 if size == 1 else 200_000)
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    twice = (SEARCH + chunks + b"0\r\n\r\n") * 2
    assert answers(server, client_context(), twice, seconds=2) == [b"200", b"200"]


@pytest.mark.parametrize("size", [b"2 \r\n{}", b"0x2\r\n{}", b"x\r\n{}", b"2\n{}", b"-2\r\n{}"])
def test_i_21_broken_chunks_are_answered(server: Server, size: bytes) -> None:
    """400, and the end of the connection, whether they come with the head or after it."""
    broken = size + b"\r\n0\r\n\r\n"
    assert answers(server, client_context(), SEARCH + broken) == [b"400"]
    assert answers(server, client_context(), SEARCH, broken) == [b"400"]
    assert answers(server, client_context(), SEARCH + b"1\r\n{\r\n", broken) == [b"400"]


def test_i_21_no_host(server: Server) -> None:
    """RFC 9112 section 3.2: HTTP/1.1 without one is 400, HTTP/1.0 may be."""
    head = b"GET /scim/v2/Users?count=0 HTTP/1."
    assert answers(server, client_context(), head + b"1\r\n\r\n") == [b"400"]
    assert answers(server, client_context(), head + b"1\r\nX-Host: localhost\r\n\r\n" + ASKED + b"\r\n") == [
        b"400"
    ]
    assert answers(server, client_context(), head + b"0\r\n\r\n") == [b"401"]


def test_t_46_requests_in_line_have_a_number(server: Server) -> None:
    """Some written at once are answered in order; a thousand are an attack on memory, and end the connection."""
    short = ASKED + b"\r\n"
    assert answers(server, client_context(), short * 50, seconds=3) == [b"401"] * 50
    assert len(answers(server, client_context(), short * 1000)) <= 101


def test_an_upgrade_is_not_made(server: Server) -> None:
    """It is answered as the request that it is, and nothing after it is read."""
    upgrade = ASKED + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert answers(server, client_context(), upgrade + ASKED + b"\r\n") == [b"401"]


def test_t_06_this_machine_is_no_proxy(server: Server) -> None:
    """What uvicorn believes by itself of its own machine, it is not asked to believe; nor does it tell its name."""
    with server.connect() as stream:
        stream.sendall(
            ASKED + b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nConnection: close\r\n\r\n"
        )
        came = b""
        while part := stream.recv(65536):
            came += part
    assert b"strict-transport-security" in came
    assert b"uvicorn" not in came
    assert b"server: rollbook\r\n" in came


def test_a_reader_that_stops_is_cut_off(home: Path, server: Server) -> None:
    """T-47: a long answer that nobody reads is not kept in memory for ever."""
    schemas = json.dumps(server.request("GET", "/Schemas")[1])
    assert len(schemas) > 1000
    asking = b"GET /scim/v2/Schemas HTTP/1.1\r\nHost: localhost\r\n\r\n"
    before = descriptors(server)
    with server.connect(60) as stream:
        stream.settimeout(5)
        with suppress(OSError):
            for _ in range(3000):
                stream.sendall(asking)
        assert server.request("GET", "/Users")[0] == 200
    wait_for(lambda: descriptors(server) <= before, 20)


APART = [
    ((Path("ca.pem"), None, None, False), "--client-ca needs --tls-cert and --tls-key"),
    ((None, Path("crl.pem"), None, True), "--client-crl needs --client-ca"),
    ((None, None, "required", True), "--client-cert needs --client-ca"),
]


@pytest.mark.parametrize(("said", "fragment"), APART, ids=[each[1] for each in APART])
def test_what_belongs_together(
    said: tuple[Path | None, Path | None, str | None, bool], fragment: str
) -> None:
    """Half of what is needed is refused, in words."""
    *files, has_tls = said
    with pytest.raises(SettingsError, match=fragment):
        client_certificates(*files, has_tls=has_tls)  # type: ignore[arg-type]


UNFIT = [
    ("nowhere.pem", None, "No such file"),
    ("tls.key", None, "no certificate in PEM form"),
    ("tls.crt", None, "is not the certificate of an authority"),
    ("early.pem", None, "none of its 1 authorities is in its time"),
    ("ca.pem", "nowhere.pem", "No such file"),
    ("ca.pem", "ca.pem", "no list of revoked certificates in PEM form"),
    ("ca.pem", "other.pem", "no list that"),
]


@pytest.mark.parametrize(("ca", "crl", "fragment"), UNFIT, ids=[each[2] for each in UNFIT])
def test_files_that_do_not_do(tmp_path: Path, ca: str, crl: str | None, fragment: str) -> None:
    """What cannot be served with is refused, in words that name the file."""
    authority = Authority(tmp_path)
    authority.server()
    Authority(tmp_path, "another.pem").revoke(file="other.pem")
    (tmp_path / "early.pem").write_bytes((tmp_path / "ca.pem").read_bytes())
    later = datetime.now(UTC) + timedelta(days=-40_000 if ca == "early.pem" else 0)
    with pytest.raises(TlsError, match=fragment) as refused:
        read_authorities(tmp_path / ca, None if crl is None else tmp_path / crl, later, is_required=False)
    assert (crl or ca) in str(refused.value)


def test_a_start_is_refused(tmp_path: Path) -> None:
    """The command says so, and does not begin."""
    authority = Authority(tmp_path)
    authority.server()
    (tmp_path / "ca.pem").write_bytes((tmp_path / "tls.crt").read_bytes())
    ended = run(tmp_path, "serve", "--port", str(free_port()), *CLIENT_CA)
    assert ended.returncode != 0
    assert "is not the certificate of an authority" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_the_extra(tmp_path: Path) -> None:
    """It says what to install."""
    Authority(tmp_path).server()
    hidden = "import sys; sys.modules['uvicorn'] = None; from rollbook.cli.main import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", hidden, "serve", "--port", str(free_port()), *CLIENT_CA],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "pip install 'rollbook[uvicorn]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_authorities_of_several_levels(tmp_path: Path) -> None:
    """One below another may be named alone; with lists of what is revoked all above it have to be there, each with its own."""
    root = trustme.CA()
    below = root.create_child_ca()
    (tmp_path / "ca.pem").write_bytes(below.cert_pem.bytes())
    authority = Authority(tmp_path, "root.pem", root)
    authority.server()
    files = TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "ca.pem")
    assert files.read(datetime.now(UTC)).clients is not None
    authority.revoke()
    with_list = TlsFiles(files.cert, files.key, files.client_ca, tmp_path / "crl.pem")
    with pytest.raises(TlsError, match="the authorities above have to be there"):
        with_list.read(datetime.now(UTC))


def wait_for(holds: object, seconds: float = 10) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def descriptors(server: Server) -> int:
    """How many files and connections it has open."""
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def memory(server: Server) -> int:
    """How much memory it takes."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024
