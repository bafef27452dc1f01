"""HTTP/2 over TLS: used where the other side offers it, on connections that are kept (granian, certificate of our own)."""

import asyncio
import datetime as dt
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from rollbook.client import PyqwestTransport, ScimClient
from rollbook.protocol.errors import TargetUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Granian serves in an asyncio loop."""
    return str(request.param)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rollbook test")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "cert.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return chain, secret


async def telling(scope: Any, receive: Any, send: Any) -> None:
    """An application that answers how it was reached."""
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(0.02)
    body = orjson.dumps({"id": "1", "http": scope["http_version"], "port": scope["client"][1]})
    headers = [(b"content-type", b"application/scim+json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def served_with_tls(folder: Path, mode: HTTPModes) -> AsyncIterator[tuple[str, bytes]]:
    """The address of the application, and the certificate to trust."""
    chain, key = certificate(folder)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = Server(
        telling,
        "127.0.0.1",
        port,
        interface=Interfaces.ASGINL,
        http=mode,
        websockets=False,
        log_enabled=False,
        ssl_cert=chain,
        ssl_key=key,
    )
    serving = asyncio.create_task(server.serve())
    for _ in range(200):
        await asyncio.sleep(0.02)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
    yield f"https://127.0.0.1:{port}/v2", chain.read_bytes()
    server.stop()  # type: ignore[no-untyped-call]  # granian has no types for it
    await asyncio.wait({serving}, timeout=10)


@pytest.mark.parametrize(("mode", "version"), [(HTTPModes.auto, "2"), (HTTPModes.http1, "1.1")])
async def test_http_2_where_it_is_offered(tmp_path: Path, mode: HTTPModes, version: str) -> None:
    """Agreed on with the TLS handshake (ALPN); calls one after the other share a connection, and of HTTP/2 also those at once."""
    async with (
        served_with_tls(tmp_path, mode) as (url, trusted),
        ScimClient(url, "t", transport=PyqwestTransport(ca=trusted)) as client,
    ):
        first = [(await client.get("/Users", "1")).body for _ in range(5)]
        at_once = [one.body for one in await asyncio.gather(*(client.get("/Users", "1") for _ in range(16)))]
    assert {one["http"] for one in (*first, *at_once)} == {version}
    assert len({one["port"] for one in first}) == 1
    connections = {one["port"] for one in at_once}
    assert connections == {first[0]["port"]} if version == "2" else len(connections) > 1


async def test_c_1_01_a_certificate_nobody_vouches_for(tmp_path: Path) -> None:
    """Nothing is sent to a server whose certificate is not trusted."""
    async with (
        served_with_tls(tmp_path, HTTPModes.auto) as (url, _),
        ScimClient(url, "t", transport=PyqwestTransport()) as client,
    ):
        with pytest.raises(TargetUnavailable):
            await client.get("/Users", "1")
