"""What a server with `--client-ca` is started with, and who comes with which certificate."""

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

CLIENT_CA = ("--tls-cert", "tls.crt", "--tls-key", "tls.key", "--client-ca", "ca.pem")


def client_context() -> ssl.SSLContext:
    """A client that takes any server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass
class Authority:
    """An authority with its files in a directory: its certificate, and what it issues. All of them have one name."""

    home: Path
    file: str = "ca.pem"
    ca: trustme.CA = field(
        default_factory=lambda: trustme.CA(organization_name="Acme", organization_unit_name="Authority")
    )

    def __post_init__(self) -> None:
        self.ca.cert_pem.write_to_path(str(self.home / self.file))

    def server(self) -> None:
        """`tls.crt` and `tls.key`, for this machine."""
        issued = self.ca.issue_cert("localhost", "127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(str(self.home / "tls.crt"))
        issued.private_key_pem.write_to_path(str(self.home / "tls.key"))

    def client(
        self,
        name: str,
        begins: timedelta = timedelta(),
        ends: timedelta = timedelta(days=9),
        purpose: x509.ObjectIdentifier | None = None,
    ) -> "Shown":
        """A client's certificate; from now on until in nine days and for all purposes, unless said otherwise."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        own = x509.load_pem_x509_certificate(self.ca.cert_pem.bytes())
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(own.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins - timedelta(minutes=1))
            .not_valid_after(now + ends)
        )
        if purpose is not None:
            made = made.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
        return Shown(self.home / f"{name}.pem", made.sign(self._key(), SHA256()), key)

    def _key(self) -> CertificateIssuerPrivateKeyTypes:
        key = serialization.load_pem_private_key(self.ca.private_key_pem.bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key

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
        signed = listed.sign(self._key(), SHA256())
        (self.home / file).write_bytes(signed.public_bytes(serialization.Encoding.PEM))


class Shown:
    """A certificate that a client shows."""

    def __init__(self, path: Path, made: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.path = path
        self.serial = made.serial_number
        self.pem = made.public_bytes(serialization.Encoding.PEM)
        path.write_bytes(self.pem)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.with_suffix(".key").write_bytes(secret)

    def context(self) -> ssl.SSLContext:
        """A client that shows it."""
        context = client_context()
        context.load_cert_chain(self.path, self.path.with_suffix(".key"))
        return context


def listening(server: str, home: Path) -> tuple[tuple[str, ...], ssl.SSLContext | None]:
    """What to start `granian` or `uvicorn` with, in this directory, and how to come to it."""
    if server == "granian":
        return (), None
    Authority(home).server()
    return CLIENT_CA, client_context()
