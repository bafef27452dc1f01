"""TLS by the real command: what is served, what is refused, and certificates that change under load."""

import asyncio
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from tests.blackbox.rollbook_process import COMMAND, TOKEN, Server, environment, free_port, refused

from rollbook.server.tls import Pair, TlsFiles, TlsWatch

pytestmark = pytest.mark.slow

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def write_pair(
    directory: Path, name: str, key: Key | None = None, days: int = 9, form: str = "PKCS8"
) -> None:
    """`tls.crt` and `tls.key` of a server called so."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=20))
        .not_valid_after(now + timedelta(days=days))
        .sign(key, SHA256())
    )
    (directory / "tls.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    kind = getattr(serialization.PrivateFormat, form)
    secret = key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
    (directory / "tls.key").write_bytes(secret)


TLS = ("--tls-cert", "tls.crt", "--tls-key", "tls.key")


def anybody(most: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A client that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if most is not None:
        with warnings.catch_warnings(action="ignore"):  # old versions are deprecated: that is what is tested
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = most
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else it is the client that refuses them
    return context


def ask(port: int, context: ssl.SSLContext) -> tuple[str, bytes]:
    """Send one request by a connection of its own: whose certificate it was, and the answer."""
    with (
        socket.create_connection(("127.0.0.1", port), 20) as plain,
        context.wrap_socket(plain) as secure,
    ):
        shown = x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")
        secure.sendall(
            b"GET /scim/v2/Users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n" % TOKEN.encode()
        )
        secure.sendall(b"Connection: close\r\n\r\n")
        answer = b""
        while part := secure.recv(65536):
            answer += part
        return shown.subject.rfc4514_string(), answer


@contextmanager
def serving_tls(home: Path, *arguments: str) -> Iterator[Server]:
    """A server with the pair that is there."""
    port = free_port()
    with (home / "out").open("w") as out:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", str(port), *TLS, *arguments],
            env=environment(home, ROLLBOOK_BOOTSTRAP_TOKEN=TOKEN),
            cwd=home,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    server = Server(process, port, TOKEN)  # type: ignore[arg-type]  # its output is in a file
    try:
        until(lambda: answers(port), 60)
        yield server
    finally:
        if process.poll() is None:
            server.kill()


def answers(port: int) -> bool:
    """Whether somebody does."""
    try:
        return b"200 OK" in ask(port, anybody())[1][:20]
    except OSError:
        return False


def until(holds: object, seconds: float) -> None:
    """Wait for it."""
    deadline = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_new_certificate_loses_no_request(tmp_path: Path) -> None:
    """Replaced files are served within seconds, and at SIGHUP at once, while not one of hundreds of requests fails."""
    write_pair(tmp_path, "first")
    seen: Counter[tuple[str, bytes] | str] = Counter()
    ending = threading.Event()
    context = anybody()

    def keep_asking(port: int) -> None:
        while not ending.is_set():
            try:
                name, answer = ask(port, context)
                seen[name, answer[:15]] += 1
            except OSError as error:
                seen[repr(error)] += 1

    with serving_tls(tmp_path) as server:
        clients = [threading.Thread(target=keep_asking, args=(server.port,)) for _ in range(4)]
        for client in clients:
            client.start()
        write_pair(tmp_path, "second", rsa.generate_private_key(65537, 2048), form="TraditionalOpenSSL")
        until(lambda: ask(server.port, context)[0] == "CN=second", 20)
        write_pair(tmp_path, "third")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: ask(server.port, context)[0] == "CN=third", 10)
        time.sleep(4)  # the listeners before have ended by then
        ending.set()
        for client in clients:
            client.join()
        assert server.stop() == 0
    assert {key[0] for key in seen if not isinstance(key, str)} == {"CN=first", "CN=second", "CN=third"}
    assert {key[1] for key in seen if not isinstance(key, str)} == {b"HTTP/1.1 200 OK"}, seen
    assert not [key for key in seen if isinstance(key, str)], seen


def test_a_pair_that_does_not_fit_is_not_taken(tmp_path: Path) -> None:
    """The one before goes on, and the log says what is wrong; nothing of the key is said."""
    write_pair(tmp_path, "good")
    with serving_tls(tmp_path) as server:
        good = (tmp_path / "tls.key").read_bytes()
        write_pair(tmp_path, "other")
        (tmp_path / "tls.key").write_bytes(good)
        until(lambda: "is not the key of the first certificate" in (tmp_path / "out").read_text(), 20)
        write_pair(tmp_path, "late", days=-1)
        until(lambda: "has expired" in (tmp_path / "out").read_text(), 20)
        assert ask(server.port, anybody())[0] == "CN=good"
        assert server.stop() == 0
    assert "PRIVATE" not in (tmp_path / "out").read_text()


def test_tls_1_2_is_the_least(tmp_path: Path) -> None:
    """1.2 and 1.3 are served, 1.1 is not; answers say that TLS is to stay, and issued URIs are https."""
    write_pair(tmp_path, "good")
    with serving_tls(tmp_path, "--host", "127.0.0.1") as server:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            assert b"200 OK" in ask(server.port, anybody(version))[1]
        with pytest.raises(OSError, match=r"."):
            ask(server.port, anybody(ssl.TLSVersion.TLSv1_1))
        _, answer = ask(server.port, anybody())
        assert b"strict-transport-security: max-age=" in answer.lower()
        assert not re.search(rb"server: granian", answer, re.IGNORECASE)
        assert server.stop() == 0
    assert f"https://127.0.0.1:{server.port}/scim/v2" in (tmp_path / "out").read_text()


@pytest.mark.parametrize(
    ("broken", "fragment"),
    [
        ("expired", "has expired on"),
        ("mismatch", "is not the key of the first certificate"),
        ("missing", "No such file"),
        ("text", "no certificate in PEM form"),
        ("password", "the key has a password; take it off"),
        ("alone", "belong together"),
    ],
)
def test_refused_pairs(tmp_path: Path, broken: str, fragment: str) -> None:
    """A pair that cannot be served with is refused at start, in words."""
    write_pair(tmp_path, "x", days=-1 if broken == "expired" else 9)
    arguments: tuple[str, ...] = TLS
    if broken == "mismatch":
        key = (tmp_path / "tls.key").read_bytes()
        write_pair(tmp_path, "y")
        (tmp_path / "tls.key").write_bytes(key)
    elif broken == "missing":
        (tmp_path / "tls.key").unlink()
    elif broken == "text":
        (tmp_path / "tls.crt").write_text("hello")
    elif broken == "password":
        secret = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
        (tmp_path / "tls.key").write_bytes(secret)
    elif broken == "alone":
        arguments = TLS[:2]
    ended = refused(tmp_path, "serve", "--port", str(free_port()), *arguments)
    assert ended.returncode != 0
    assert fragment in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr


@pytest.mark.anyio
async def test_a_pair_that_cannot_be_served_yet_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full for a moment does not end the watch: the same files are taken when it can be done."""
    monkeypatch.setattr("rollbook.server.tls.EVERY_SECONDS", 0.01)
    write_pair(tmp_path, "first")
    files = TlsFiles(tmp_path / "tls.crt", tmp_path / "tls.key")
    served = files.read(datetime.now(UTC))
    tried: list[Pair] = []
    done = asyncio.Event()

    async def renew(pair: Pair) -> None:
        tried.append(pair)
        if len(tried) < 3:
            raise OSError(28, "No space left on device")
        done.set()

    watch = TlsWatch(files, renew, served)
    write_pair(tmp_path, "second")
    running = asyncio.create_task(watch.run())
    async with asyncio.timeout(10):
        await done.wait()
    await asyncio.sleep(0.05)
    running.cancel()
    assert len(tried) == 3
    assert watch.served == tried[-1] != served
