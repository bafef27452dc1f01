"""The Authorization header → a credential (RFC 7644 §2). Nothing else is one (T-04)."""

from rollbook.operations.tokens import Credential, Verifier
from rollbook.protocol.errors import Unauthorized
from rollbook.server.requests import Request

_MOST = 16 * 1024
"""Our own tokens are short; a JWT may name many groups."""
_HOW = "send the header Authorization: Bearer <token>"


async def authenticate(request: Request, verifier: Verifier, now: int) -> Credential:
    """Who sends this request; whether they may ask this tenant is not said yet.

    Raises:
        Unauthorized: no bearer token, or none that is known here.
    """
    header = request.header(b"authorization")
    if header is None:
        raise Unauthorized(f"this endpoint needs a bearer token; {_HOW}")
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _MOST:
        raise Unauthorized(f"only bearer tokens are accepted here; {_HOW}")
    return await verifier.verify(token, now)
