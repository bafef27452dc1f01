"""What a server with `--client-ca` is started with, and who comes with which certificate."""

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.hashes import SHA256

CLIENT_CA = ("--tls-cert", "tls.crt", "--tls-key", "tls.key", "--client-ca", "ca.pem")


def client_context() -> ssl.SSLContext:
    """A client that takes any server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass
class Authority:
    """An authority with its files in a directory: its certificate, and what it issues."""

    home: Path
    file: str = "ca.pem"
    ca: trustme.CA = field(default_factory=trustme.CA)

    def __post_init__(self) -> None:
        self.ca.cert_pem.write_to_path(str(self.home / self.file))

    def server(self) -> None:
        """`tls.crt` and `tls.key`, for this machine."""
        issued = self.ca.issue_cert("localhost", "127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(str(self.home / "tls.crt"))
        issued.private_key_pem.write_to_path(str(self.home / "tls.key"))

    def client(
        self, name: str, begins: timedelta = timedelta(), ends: timedelta = timedelta(days=9)
    ) -> "Shown":
        """A client's certificate; from now on until in nine days, unless said otherwise."""
        now = datetime.now(UTC)
        issued = self.ca.issue_cert(
            f"{name}.example",
            common_name=name,
            not_before=now + begins - timedelta(minutes=1),
            not_after=now + ends,
        )
        return Shown(self.home / f"{name}.pem", issued)

    def revoke(self, *revoked: "Shown", file: str = "crl.pem", due: timedelta = timedelta(days=1)) -> None:
        """A new list of what is revoked."""
        now = datetime.now(UTC)
        own = x509.load_pem_x509_certificate(self.ca.cert_pem.bytes())
        listed = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(own.subject)
            .last_update(now - timedelta(days=2))
            .next_update(now + due)
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.serial).revocation_date(now)
            listed = listed.add_revoked_certificate(entry.build())
        key = serialization.load_pem_private_key(self.ca.private_key_pem.bytes(), None)
        signed = listed.sign(key, SHA256())  # type: ignore[arg-type]  # trustme's keys sign
        (self.home / file).write_bytes(signed.public_bytes(serialization.Encoding.PEM))


class Shown:
    """A certificate that a client shows."""

    def __init__(self, path: Path, issued: trustme.LeafCert) -> None:
        self.path = path
        self.pem = issued.cert_chain_pems[0].bytes()
        self.serial = x509.load_pem_x509_certificate(self.pem).serial_number
        path.write_bytes(self.pem)
        self._issued = issued

    def context(self) -> ssl.SSLContext:
        """A client that shows it."""
        context = client_context()
        self._issued.configure_cert(context)
        return context


def listening(server: str, home: Path) -> tuple[tuple[str, ...], ssl.SSLContext | None]:
    """What to start `granian` or `uvicorn` with, in this directory, and how to come to it."""
    if server == "granian":
        return (), None
    Authority(home).server()
    return CLIENT_CA, client_context()
