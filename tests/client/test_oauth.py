"""C-1-04, RFC 6749 4.4, RFC 7523: tokens fetched ahead of their end, once for all, and once more after a 401."""

import asyncio
from urllib.parse import parse_qs

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwt
from joserfc.jwk import import_key

from rollbook.client.oauth import ASSERTION, ClientCredentials, Grant
from rollbook.client.transport import HttpRequest, HttpResponse
from rollbook.protocol.errors import TargetUnavailable, Unauthorized

pytestmark = pytest.mark.anyio

URL = "https://id.example.com/token"


class Endpoint:
    """A token endpoint; every token is another one."""

    def __init__(self, *answers: HttpResponse) -> None:
        self.answers = list(answers)
        self.forms: list[dict[str, str]] = []

    async def send(self, request: HttpRequest) -> HttpResponse:
        """A token, or the answer that is next."""
        self.forms.append({name: values[0] for name, values in parse_qs(request.content.decode()).items()})
        await asyncio.sleep(0)
        if self.answers:
            return self.answers.pop(0)
        body = {"access_token": f"t{len(self.forms)}", "token_type": "Bearer", "expires_in": 600}
        return HttpResponse(200, {}, orjson.dumps(body))

    async def close(self) -> None:
        """Nothing."""


async def test_a_token_is_shared_and_renewed_in_time() -> None:
    """Ten calls at once fetch one; it is fetched again a minute before it ends, and after a 401."""
    now = [0.0]
    endpoint = Endpoint()
    tokens = ClientCredentials(Grant(URL, "rollbook", "s3cret", scope="scim"), endpoint, lambda: now[0])
    assert set(await asyncio.gather(*(tokens.header() for _ in range(10)))) == {"Bearer t1"}
    assert endpoint.forms == [
        {
            "grant_type": "client_credentials",
            "client_id": "rollbook",
            "client_secret": "s3cret",
            "scope": "scim",
        }
    ]
    now[0] = 539
    assert await tokens.header() == "Bearer t1"
    now[0] = 541
    assert await tokens.header() == "Bearer t2"
    assert set(await asyncio.gather(*(tokens.renew() for _ in range(5)))) == {True}
    assert await tokens.header() == "Bearer t3"


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
async def test_a_signed_statement_in_place_of_a_secret(algorithm: str) -> None:
    """For this endpoint, for a minute, each with an id of its own; the key itself goes nowhere."""
    made = (
        ec.generate_private_key(ec.SECP256R1())
        if algorithm == "ES256"
        else rsa.generate_private_key(65537, 2048)
    )
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    public = made.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    endpoint = Endpoint()
    grant = Grant(URL, "rollbook", key=pem, key_id="k1", algorithm=algorithm)
    tokens = ClientCredentials(grant, endpoint)
    await tokens.header()
    await tokens.renew()
    first, second = (form["client_assertion"] for form in endpoint.forms)
    assert endpoint.forms[0]["client_assertion_type"] == ASSERTION
    key = import_key(public.decode(), "EC" if algorithm == "ES256" else "RSA")
    found = jwt.decode(first, key, algorithms=[algorithm])
    assert found.header["kid"] == "k1"
    assert (found.claims["iss"], found.claims["sub"], found.claims["aud"]) == ("rollbook", "rollbook", URL)
    assert found.claims["exp"] - found.claims["iat"] == 60
    assert found.claims["jti"] != jwt.decode(second, key, algorithms=[algorithm]).claims["jti"]
    assert "PRIVATE" not in repr(endpoint.forms)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (HttpResponse(401, {}, b'{"error": "invalid_client"}'), Unauthorized, "refuses: invalid_client"),
        (
            HttpResponse(400, {}, b'{"error": "invalid_scope", "error_description": "no such"}'),
            Unauthorized,
            "no such",
        ),
        (HttpResponse(200, {}, b"<html>"), Unauthorized, "HTTP 200 without a token"),
        (
            HttpResponse(200, {}, b'{"access_token": "x", "token_type": "mac"}'),
            Unauthorized,
            "kind not known here",
        ),
        (HttpResponse(503, {}, b""), TargetUnavailable, "HTTP 503"),
        (HttpResponse(429, {}, b"{}"), TargetUnavailable, "HTTP 429"),
    ],
)
async def test_refusals(answer: HttpResponse, kind: type[Exception], words: str) -> None:
    """The server's own code and words; what may pass is tried again."""
    with pytest.raises(kind, match=words):
        await ClientCredentials(Grant(URL, "rollbook", "s3cret"), Endpoint(answer)).header()


@pytest.mark.parametrize(
    ("grant", "words"),
    [
        (Grant("http://id.example.com/token", "x", "s"), "must begin with https://"),
        (Grant(URL, "x"), "a secret or a key"),
        (Grant(URL, "x", "s", key="k"), "a secret or a key"),
    ],
)
def test_grants_that_are_none(grant: Grant, words: str) -> None:
    """Refused before anything is sent."""
    with pytest.raises(ValueError, match=words):
        ClientCredentials(grant, Endpoint())
    assert "s3cret" not in repr(Grant(URL, "x", "s3cret"))
