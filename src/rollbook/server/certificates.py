"""The certificate a client showed: one function, whoever terminated TLS (T-20).

Without a proxy it is that of the connection (`uvicorn_connection`). A proxy passes it on in a header, which counts from trusted proxies only (`peers.settle`): RFC 9440 `Client-Cert`,
nginx's `$ssl_client_escaped_cert`, Envoy's and Caddy's forms.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from rollbook.server.requests import Scope

CERTIFICATE = "rollbook.certificate"
"""Where a request's scope has the certificate that its client showed: DER, checked by whoever ended TLS."""

CERTIFICATE_HEADERS = frozenset(
    {
        b"client-cert",
        b"client-cert-chain",
        b"x-client-cert",
        b"x-client-certificate",
        b"ssl-client-cert",
        b"x-ssl-client-cert",
        b"x-forwarded-tls-client-cert",
        b"x-forwarded-client-cert",
    }
)

_MOST = 16 * 1024


@dataclass(frozen=True)
class Certificate:
    """What pins a certificate: issuer and subject together, or its key. A subject alone would be anybody's CA's to give."""

    subject: str
    issuer: str
    key_sha256: str
    """Hex, of the SubjectPublicKeyInfo: stays the same when the certificate is renewed with its key."""
    sha256: str
    """Hex, of the whole certificate (`x5t#S256` of RFC 8705 in another spelling)."""
    not_before: int
    not_after: int
    """Milliseconds since 1970, UTC."""

    def holds_at(self, now: int) -> bool:
        """Whether it is in its time."""
        return self.not_before <= now <= self.not_after


def client_certificate(scope: Scope) -> Certificate | None:
    """The certificate of the client that sends this request, None if it showed none or nobody we trust says so."""
    found = scope.get(CERTIFICATE)
    return None if found is None else _read(found)


def read_pem(text: bytes) -> Certificate | None:
    """The first certificate of a PEM file, None if there is none."""
    try:
        found = x509.load_pem_x509_certificate(text)
    except ValueError:
        return None
    return _read(found.public_bytes(serialization.Encoding.DER))


@lru_cache(maxsize=1024)
def _read(der: bytes) -> Certificate | None:
    try:
        found = x509.load_der_x509_certificate(der)
        public = found.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        digest = hashes.Hash(hashes.SHA256())
        digest.update(public)
        return Certificate(
            found.subject.rfc4514_string(),
            found.issuer.rfc4514_string(),
            digest.finalize().hex(),
            found.fingerprint(hashes.SHA256()).hex(),
            round(found.not_valid_before_utc.timestamp() * 1000),
            round(found.not_valid_after_utc.timestamp() * 1000),
        )
    except Exception:  # noqa: BLE001 - of a stranger's bytes the library raises many kinds; each means: no certificate
        return None


def forwarded_certificate(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The certificate that a proxy passes on, as DER; None if there is none, or two opinions on it."""
    told = [(name, value) for name, value in headers if name in CERTIFICATE_HEADERS and value]
    told = [(name, value) for name, value in told if name != b"client-cert-chain"]
    if len(told) != 1 or len(told[0][1]) > _MOST:
        return None
    name, value = told[0]
    text = value.decode("latin-1").strip()
    if name == b"x-forwarded-client-cert":
        text = _envoy(text)
    return _der(text)


_ENVOY = re.compile(r'(?:^|[;,])\s*Cert="([^"]*)"', re.IGNORECASE)


def _envoy(text: str) -> str:
    """The certificate of the nearest client in Envoy's list; what stands before the last comma others have written."""
    found = _ENVOY.findall(text)
    return found[-1] if found else ""


def _der(text: str) -> bytes | None:
    """DER from RFC 9440's `:base64:`, PEM, PEM with percent signs, or plain base64."""
    plain = unquote(text) if "%" in text else text
    if plain.startswith(":") and plain.endswith(":"):
        plain = plain[1:-1]
    plain = re.sub(r"-----(BEGIN|END) CERTIFICATE-----|\s", "", plain)
    try:
        return base64.b64decode(plain, validate=True) or None
    except (binascii.Error, ValueError):
        return None
