"""What a request shows → a credential (RFC 7644 §2): a bearer token, Basic, or a certificate. Nothing else is one (T-04)."""

import base64
import binascii

from rollbook.operations.context import Tenant
from rollbook.operations.pins import Presented, by_key, by_names
from rollbook.operations.tokens import REFUSED, Credential, Verifier
from rollbook.protocol.errors import Unauthorized
from rollbook.server.certificates import Certificate, client_certificate
from rollbook.server.requests import Request

_MOST = 16 * 1024
"""Our own tokens are short; a JWT may name many groups."""
_HOW = "send the header Authorization: Bearer <token>"


async def authenticate(
    request: Request, verifier: Verifier, now: int, tenant: Tenant | None = None
) -> Credential:
    """Who sends this request; whether they may ask this tenant is not said yet.

    `tenant` is whose users and settings Basic credentials are looked up in; without, they are none. A header goes
    before a certificate.

    Raises:
        Unauthorized: it shows nothing, or nothing that is known here.
        TooManyRequests: too many wait for their password to be looked at.
    """
    header = request.header(b"authorization")
    if header is None:
        certificate = client_certificate(request.scope)
        if certificate is None:
            raise Unauthorized(f"this endpoint needs a bearer token; {_HOW}")
        return await verifier.verify_certificate(presented(certificate), now)
    scheme, _, shown = header.partition(" ")
    shown = shown.strip()
    if scheme.lower() == "basic":
        name, password = _basic(shown)
        return await verifier.verify_basic(tenant, name, password, now)
    if scheme.lower() != "bearer" or not shown or len(shown) > _MOST:
        raise Unauthorized(f"only bearer tokens are accepted here; {_HOW}")
    return await verifier.verify(shown, now)


def presented(certificate: Certificate) -> Presented:
    """What a certificate can be known by."""
    pins = by_key(certificate.key_sha256), by_names(certificate.issuer, certificate.subject)
    return Presented(pins, certificate.not_before, certificate.not_after)


def _basic(shown: str) -> tuple[str, str]:
    """Name and password (RFC 7617 §2)."""
    try:
        text = base64.b64decode(shown, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise Unauthorized(REFUSED) from None
    name, colon, password = text.partition(":")
    if not colon or not name or not password or len(shown) > _MOST:
        raise Unauthorized(REFUSED)
    return name, password
