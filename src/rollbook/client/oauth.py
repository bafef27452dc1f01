"""OAuth 2 client credentials (RFC 6749 4.4): by a shared secret, or by a key of our own (RFC 7523)."""

import asyncio
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from rollbook.client.answers import one_line, parse_json, without
from rollbook.client.transport import HttpRequest, HttpResponse, Transport
from rollbook.protocol.errors import TargetUnavailable, Unauthorized
from rollbook.protocol.values import JsonObject

AHEAD_SECONDS = 60.0
"""A token is fetched anew that long before it ends (C-1-04)."""

USUAL_SECONDS = 300.0
"""How long a token is taken to hold whose server does not say."""

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 60
_HEADER_TEXT = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Grant:
    """Where tokens come from, and who asks: with a secret, or with a private key as PEM and its id."""

    token_url: str
    client_id: str
    secret: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    key_id: str | None = None
    algorithm: str = "RS256"
    scope: str | None = None
    audience: str | None = None


class ClientCredentials:
    """`Authentication` by tokens that are fetched when they are needed, and shared by all calls of a client."""

    def __init__(self, grant: Grant, transport: Transport, now: Callable[[], float] = time.time) -> None:
        """`transport` goes to the token endpoint.

        Raises:
            ValueError: a token endpoint that secrets must not be sent to, or no way to prove who we are.
        """
        parts = urlsplit(grant.token_url)
        if parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
            raise ValueError(f"the token endpoint must begin with https://, not {grant.token_url[:60]!r}")
        if (grant.secret is None) == (grant.key is None):
            raise ValueError("client credentials need a secret or a key, and not both")
        self._grant = grant
        self._transport = transport
        self._now = now
        self._token: str | None = None
        self._until = 0.0
        self._fetching = asyncio.Lock()

    async def header(self) -> str:
        """`Bearer` and a token that holds for some time yet.

        Raises:
            Unauthorized: the server gives us none; says its error.
            TargetUnavailable: it does not answer.
        """
        if self._token is None or self._now() >= self._until:
            async with self._fetching:
                if self._token is None or self._now() >= self._until:
                    await self._fetch()
        return f"Bearer {self._token}"

    async def renew(self) -> bool:
        """Fetch another one after a 401; all who fail at once share it."""
        refused = self._token
        async with self._fetching:
            if self._token == refused:
                await self._fetch()
        return self._token != refused

    async def close(self) -> None:
        """Let go of connections."""
        await self._transport.close()

    async def _fetch(self) -> None:
        content = urlencode(self._form()).encode()
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        answer = await self._transport.send(HttpRequest("POST", self._grant.token_url, headers, content))
        document = _document(answer)
        token = document.get("access_token")
        if answer.status != 200 or not isinstance(token, str) or not token:
            raise _refusal(answer, _document(without(answer, self._grant.secret or "")))
        if not _HEADER_TEXT.fullmatch(token):
            raise Unauthorized("the token endpoint gives a token that no header can carry")
        if str(document.get("token_type", "bearer")).lower() != "bearer":
            raise Unauthorized(
                f"the token endpoint gives tokens of a kind not known here: {one_line(str(document['token_type']))[:80]}"
            )
        lasts = document.get("expires_in")
        seconds = (
            float(lasts) if isinstance(lasts, int | float) and not isinstance(lasts, bool) else USUAL_SECONDS
        )
        self._token, self._until = token, self._now() + max(seconds - AHEAD_SECONDS, seconds / 2)

    def _form(self) -> dict[str, str]:
        grant = self._grant
        form = {"grant_type": "client_credentials", "client_id": grant.client_id}
        form |= {
            name: value for name, value in (("scope", grant.scope), ("audience", grant.audience)) if value
        }
        if grant.secret is not None:
            return form | {"client_secret": grant.secret}
        return form | {"client_assertion_type": ASSERTION, "client_assertion": self._assertion()}

    def _assertion(self) -> str:
        """A statement of who we are, signed, for this endpoint and a minute (RFC 7523 2.2)."""
        from joserfc import jwt
        from joserfc.jwk import ECKey, OKPKey, RSAKey

        grant, now = self._grant, int(self._now())
        header: dict[str, Any] = {"alg": grant.algorithm, "typ": "JWT"}
        header |= {"kid": grant.key_id} if grant.key_id else {}
        claims: dict[str, Any] = {
            "iss": grant.client_id,
            "sub": grant.client_id,
            "aud": grant.token_url,
            "iat": now,
            "exp": now + _ASSERTION_SECONDS,
            "jti": str(uuid.uuid4()),
        }
        kind = ECKey if grant.algorithm.startswith("ES") else OKPKey if grant.algorithm == "EdDSA" else RSAKey
        return jwt.encode(header, claims, kind.import_key(grant.key or ""), algorithms=[grant.algorithm])


def _document(answer: HttpResponse) -> JsonObject:
    try:
        found = parse_json(answer.content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refusal(answer: HttpResponse, document: JsonObject) -> Unauthorized | TargetUnavailable:
    if answer.status >= 500 or answer.status == 429:
        return TargetUnavailable(
            f"the token endpoint answers HTTP {answer.status}", http_status=answer.status
        )
    code = document.get("error")
    words = one_line(str(code))[:80] if code else f"HTTP {answer.status} without a token"
    told = document.get("error_description")
    return Unauthorized(
        f"the token endpoint refuses: {words}" + (f" ({one_line(str(told))[:200]})" if told else "")
    )
