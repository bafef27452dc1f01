"""An issuer of access tokens behind a real socket, with keys of its own; does what a test wants of it."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from rollbook.app import now
from rollbook.server.requests import AsgiApp, Message, Receive, Scope, Send
from rollbook.testing.http_server import served

AUDIENCE = "https://scim.example.com"


@cache
def rsa(name: str) -> RSAKey:
    """A key, made once for all tests."""
    return RSAKey.generate_key(2048, {"kid": name})


@cache
def ec(name: str) -> ECKey:
    """The same on the curve of ES256."""
    return ECKey.generate_key("P-256", {"kid": name})


@cache
def ed(name: str) -> OKPKey:
    """The same for EdDSA."""
    return OKPKey.generate_key("Ed25519", {"kid": name})


class AnyAlgorithm(jws.JWSRegistry):
    """For issuers that sign as they should not."""

    def get_alg(self, name: str) -> Any:
        """The algorithm of that name."""
        return self.algorithms[name]


def signed(claims: dict[str, Any], key: Key, **header: Any) -> str:
    """A token."""
    registry = AnyAlgorithm(algorithms=list(jws.JWSRegistry.algorithms), strict_check_header=False)
    whole = {"alg": "RS256", "typ": "at+jwt", "kid": key.kid} | header
    whole = {name: value for name, value in whole.items() if value is not None}
    return jws.serialize_compact(
        whole, json.dumps(claims), key, algorithms=[str(whole["alg"])], registry=registry
    )


@dataclass
class OutsideIssuer:
    """Publishes keys, and signs tokens with the first of them."""

    url: str = ""
    keys: list[Key] = field(default_factory=lambda: [rsa("one")])
    asked: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    form: str = "/.well-known/openid-configuration"
    fails: AsgiApp | None = None

    def token(self, key: Key | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """An access token that is right but for what a test wants otherwise; None takes a claim out."""
        seconds = now() // 1000
        whole = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "svc",
            "client_id": "svc",
            "iat": seconds,
            "exp": seconds + 600,
            "jti": "1",
            "scope": "openid write",
        } | claims
        return signed(
            {name: value for name, value in whole.items() if value is not None},
            key or self.keys[0],
            **(header or {}),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        path = scope["path"]
        self.asked.append(path)
        if self.fails is not None:
            await self.fails(scope, receive, send)
        elif path == self.form:
            await answer(send, 200, {"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | self.metadata)
        elif path == "/keys":
            await answer(send, 200, {"keys": [key.as_dict(private=False) for key in self.keys]})
        else:
            await answer(send, 404, {})


async def answer(send: Send, status: int, body: Any, *headers: tuple[bytes, bytes]) -> None:
    """Send JSON, or bytes as they are."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    start: Message = {"type": "http.response.start", "status": status, "headers": list(headers)}
    await send(start)
    await send({"type": "http.response.body", "body": raw})


async def slow(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers after everybody has lost patience."""
    await asyncio.sleep(30)
    await answer(send, 200, {})


async def huge(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers with more than anybody wants."""
    await answer(send, 200, b" " * 2_000_000)


async def broken(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers that it cannot."""
    await answer(send, 503, {})


def elsewhere(location: str) -> AsgiApp:
    """Sends whoever asks to another place."""

    async def redirect(_scope: Scope, _receive: Receive, send: Send) -> None:
        await answer(send, 302, {}, (b"location", location.encode()))

    return redirect


@contextmanager
def outside_issuer(**about: Any) -> Iterator[OutsideIssuer]:
    """An issuer that is served."""
    made = OutsideIssuer(**about)
    with served(made) as url:
        made.url = url
        yield made


__all__ = ["AUDIENCE", "OutsideIssuer", "outside_issuer", "signed"]
