"""Basic credentials and client certificates: where they are switched on, what they open, what they show to nobody (T-04, T-08, T-20, T-33, A-61)."""

import asyncio
import base64
import datetime as dt
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import argon2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.server.conftest import TOKEN, Told

from rollbook.app import Application, now, running
from rollbook.operations import tokens
from rollbook.operations.networks import read_networks
from rollbook.operations.oauth_clients import made
from rollbook.operations.passwords import PasswordHasher
from rollbook.operations.pins import by_key, by_names
from rollbook.operations.rights import Rights
from rollbook.operations.tenant_care import TenantCare
from rollbook.operations.tenant_settings import read_settings
from rollbook.operations.token_care import Wish, grant
from rollbook.protocol import urns
from rollbook.protocol.errors import Conflict
from rollbook.server.certificates import read_pem
from rollbook.server.edge import Edge
from rollbook.settings import Settings
from rollbook.storage.base import Author
from rollbook.storage.sql.oauth_clients import SqlClients
from rollbook.testing.asgi import AsgiCaller, Response

pytestmark = pytest.mark.anyio

BASE = "/scim/v2"
USERS, ME = f"{BASE}/Users", f"{BASE}/Me"
PASSWORD = "correct horse battery"
ON = 'Basic realm="rollbook", charset="UTF-8"'


@pytest.fixture
async def server(url: str, anyio_backend: str) -> AsyncIterator[Application]:
    """A server on either database whose default tenant takes Basic credentials."""
    settings = Settings(
        database=url,
        database_origin="test",
        bootstrap_token=TOKEN,
        tenant=read_settings(["basic=on", "self-service=title"]),
    )
    async with running(settings) as application:
        yield application


async def shown(
    application: Application, name: str, password: str, path: str = ME, method: str = "GET", body: Any = None
) -> Response:
    """What a request with these credentials is answered."""
    value = base64.b64encode(f"{name}:{password}".encode()).decode()
    return await AsgiCaller(application.asgi)(method, path, body, {"authorization": f"Basic {value}"})


def user(name: str, **attributes: Any) -> dict[str, Any]:
    """A User."""
    return {"schemas": [urns.USER], "userName": name, **attributes}


def patch(path: str, value: Any) -> dict[str, Any]:
    """A PATCH of one attribute."""
    return {"schemas": [urns.PATCH_OP], "Operations": [{"op": "replace", "path": path, "value": value}]}


async def test_a_user_with_a_password(server: Application) -> None:
    """Reads themselves and nobody else; another password, and being switched off, hold from the next request on."""
    call = AsgiCaller(server.asgi, TOKEN)
    ann = (await call("POST", USERS, user("ann", password=PASSWORD))).json["id"]
    bob = (await call("POST", USERS, user("bob", password="another one"))).json["id"]
    assert (await shown(server, "Ann", PASSWORD)).json["id"] == ann
    assert (await shown(server, "ann", PASSWORD, f"{USERS}/{bob}")).status == 403
    assert (await shown(server, "ann", PASSWORD, USERS)).status == 403
    assert (await shown(server, "ann", PASSWORD, ME, "PATCH", patch("title", "x"))).status == 200
    assert (await shown(server, "ann", PASSWORD, ME, "PATCH", patch("nickName", "x"))).status == 403
    assert (await call("PATCH", f"{USERS}/{ann}", patch("password", "something new"))).status == 200
    assert (await shown(server, "ann", PASSWORD)).status == 401
    assert (await shown(server, "ann", "something new")).status == 200
    assert (await call("PATCH", f"{USERS}/{ann}", patch("active", False))).status == 200
    assert (await shown(server, "ann", "something new")).status == 401


async def test_a_client_with_its_secret(server: Application) -> None:
    """The secret of a client of the token endpoint does, with the client's rights."""
    record, secret = made(
        await tokens.pepper(server.store),
        1,
        "loader",
        Rights(writes=False),
        now=now(),
        expires=now() + 99_999,
    )
    await SqlClients(server.store.database).add(record)
    assert (await shown(server, record.id, secret or "", USERS)).status == 200
    refused = await shown(server, record.id, secret or "", USERS, "POST", user("x"))
    assert (refused.status, "insufficient_scope" in refused.headers["www-authenticate"]) == (403, True)
    assert (await shown(server, record.id, "wrong", USERS)).status == 401
    await SqlClients(server.store.database).remove(1, record.id)
    assert (await shown(server, record.id, secret or "", USERS)).status == 401


WRONG = (
    ("ann", "wrong password"),
    ("ann", ""),
    ("zoe", PASSWORD),
    ("bare", PASSWORD),
    ("", PASSWORD),
    ("off", PASSWORD),
    ("ann", "x" * 5000),
)


async def test_t_04_refused_in_one_sentence(told: Told) -> None:
    """Whoever it is, and whatever is wrong; a token is no password, and 401 says what would do."""
    call = await told("basic=on")
    await call("POST", USERS, user("ann", password=PASSWORD))
    await call("POST", USERS, user("bare"))
    await call("POST", USERS, user("off", password=PASSWORD, active=False))
    bodies = set()
    for name, password in (*WRONG, ("ann", TOKEN), ("bootstrap", TOKEN), (TOKEN, TOKEN)):
        value = base64.b64encode(f"{name}:{password}".encode()).decode()
        refused = await replace(call, token=None)("GET", ME, headers={"authorization": f"Basic {value}"})
        assert (refused.status, refused.headers["www-authenticate"]) == (401, ON)
        bodies.add(refused.body)
    for value in ("", "!!", "bm9jb2xvbg==", "/////w=="):
        refused = await replace(call, token=None)("GET", ME, headers={"authorization": f"Basic {value}"})
        bodies.add(refused.body)
    assert len(bodies) == 1
    challenges = await _challenges(call, {})
    assert challenges == [b'Bearer realm="rollbook"', ON.encode()]
    assert await _challenges(call, {"authorization": "Bearer x"}) == [
        b'Bearer realm="rollbook", error="invalid_token"', ON.encode(),
    ]  # fmt: skip


async def _challenges(call: AsgiCaller, headers: dict[str, str]) -> list[bytes]:
    found: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def seen(message: Any) -> None:
            found.extend(value for name, value in message.get("headers", ()) if name == b"www-authenticate")
            await send(message)

        await call.app(scope, receive, seen)

    await AsgiCaller(app)("GET", USERS, headers=headers)
    return found


async def test_t_04_off_unless_switched_on(told: Told) -> None:
    """Right credentials are none where the setting is off, and nothing announces them; on, they are announced."""
    call = await told()
    await call("POST", USERS, user("ann", password=PASSWORD))
    value = base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
    refused = await replace(call, token=None)("GET", ME, headers={"authorization": f"Basic {value}"})
    assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Bearer realm="rollbook"')
    path = f"{BASE}/ServiceProviderConfig"
    off = [each["type"] for each in (await call("GET", path)).json["authenticationSchemes"]]
    call = await told("basic=on")
    on = [each["type"] for each in (await call("GET", path)).json["authenticationSchemes"]]
    assert (off, on) == (["oauthbearertoken", "oauth2"], ["oauthbearertoken", "oauth2", "httpbasic"])


async def test_i_08_a_closed_tenant_does_not_show(
    server: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant with Basic answers strangers as one that there is not: in words, headers, and hashes that are made."""
    care = TenantCare(server.store, server.tenants)
    acme = await care.create("acme", now(), settings=["basic=on"])
    await care.create("brett", now())
    text = await tokens.issue(server.store, acme.number, "t", now=now(), expires=None)
    await server.live.follow()
    base = "/t/acme/scim/v2"
    assert (
        await AsgiCaller(server.asgi, text)("POST", f"{base}/Users", user("ann", password=PASSWORD))
    ).status == 201
    assert (await shown(server, "ann", PASSWORD, f"{base}/Me")).status == 200
    counted: list[str | None] = []
    usual = PasswordHasher.matches

    async def counting(self: PasswordHasher, kept: str | None, password: str) -> bool:
        counted.append(kept)
        return await usual(self, kept, password)

    monkeypatch.setattr(PasswordHasher, "matches", counting)
    answers = []
    for tenant in ("acme", "brett", "nobody"):
        for name in ("ann", "zoe"):
            refused = await shown(server, name, "wrong password", f"/t/{tenant}/scim/v2/Me")
            answers.append((refused.status, refused.body, tuple(refused.headers.items())))
            assert len(counted) == 1
            counted.clear()
    assert len(set(answers)) == 1
    # at another tenant they are nobody's
    assert (await shown(server, "ann", PASSWORD, "/t/brett/scim/v2/Me")).status == 401
    assert (await shown(server, "ann", PASSWORD)).status == 401


async def test_t_33_a_password_is_hashed_once(server: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right ones are not hashed with each request; wrong ones wait in a queue of their own, which ends."""
    call = AsgiCaller(server.asgi, TOKEN)
    await call("POST", USERS, user("ann", password=PASSWORD))
    counted: list[str | None] = []
    usual, usual_check, all_are_here = PasswordHasher.matches, PasswordHasher._check, threading.Event()

    async def counting(self: PasswordHasher, kept: str | None, password: str) -> bool:
        counted.append(kept)
        if len(counted) == 1 + 30:
            asyncio.get_running_loop().call_soon(all_are_here.set)
        return await usual(self, kept, password)

    def waiting(self: PasswordHasher, kept: str | None, password: str) -> bool:
        if len(counted) > 1:
            all_are_here.wait(60)
        return usual_check(self, kept, password)

    monkeypatch.setattr(PasswordHasher, "matches", counting)
    monkeypatch.setattr(PasswordHasher, "_check", waiting)
    for _ in range(5):
        assert (await shown(server, "ann", PASSWORD)).status == 200
    assert len(counted) == 1
    answers = await asyncio.gather(*(shown(server, "ann", f"guess {number}") for number in range(30)))
    assert {each.status for each in answers} == {401, 429}
    assert sum(each.status == 429 for each in answers) == 14
    assert (await call("POST", USERS, user("bob", password=PASSWORD))).status == 201


async def test_hashes_are_renewed_on_use(server: Application) -> None:
    """A hash of another cost is replaced when its password is used; the next request finds it as it should be."""
    call = AsgiCaller(server.asgi, TOKEN)
    ann = (await call("POST", USERS, user("ann", password=PASSWORD))).json["id"]
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await _keep(server, ann, weak)
    assert (await shown(server, "ann", PASSWORD)).status == 200
    kept = await _kept(server, ann)
    assert kept != weak
    assert [PasswordHasher().is_outdated(each) for each in (weak, kept)] == [True, False]
    assert (await shown(server, "ann", PASSWORD)).status == 200
    assert (await shown(server, "ann", "wrong password")).status == 401
    assert await _kept(server, ann) == kept
    assert (await server.store.changes(1, 0, 9))[-1].author == "password hash renewed"
    await _keep(server, ann, "no hash at all")
    assert (await shown(server, "ann", PASSWORD)).status == 401


async def _keep(server: Application, id: str, hashed: str) -> None:
    from rollbook.protocol.resource import Change, Scope

    kind = server.store.catalog.resource_type("User")
    assert kind is not None
    await server.store.update(
        1,
        kind,
        id,
        lambda present: Change(document=present.document | {"password": hashed}),
        Scope(),
        Author("t", 1),
    )


async def _kept(server: Application, id: str) -> str:
    from rollbook.storage.documents import decode

    kind = server.store.catalog.resource_type("User")
    assert kind is not None
    record = await server.store.get(1, kind, id)
    assert record is not None
    return str(decode(record.body, record.extra)["password"])


# Client certificates


def certificate(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey, days: int = 30) -> bytes:
    """A certificate in PEM form."""
    at = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (subject, issuer)]
    return (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at)
        .not_valid_after(at + dt.timedelta(days=days))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )


KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
OKTA = certificate("okta", "Our CA", KEY)


async def with_certificate(
    application: Application,
    pem: bytes,
    path: str = USERS,
    method: str = "GET",
    body: Any = None,
    **headers: str,
) -> Response:
    """What a request is answered whose client showed that to a proxy."""
    edge = Edge(application.asgi, read_networks("127.0.0.1/32"))
    return await AsgiCaller(edge)(method, path, body, {"X-Client-Cert": quote(pem.decode())} | headers)


async def admitted(application: Application, pem: bytes, *, by_name: bool = False, **about: Any) -> str:
    """Let a certificate stand for a token of the default tenant."""
    found = read_pem(pem)
    assert found is not None
    pin = by_names(found.issuer, found.subject) if by_name else by_key(found.key_sha256)
    wish = Wish("okta", about.pop("expires", now() + 9_999_999), about.pop("scopes", ()), pin=pin)
    made = await grant(application.store, about.pop("tenant", 1), wish, Author("test", now()))
    await application.live.follow()
    return made


async def test_t_20_a_certificate_stands_for_a_token(server: Application) -> None:
    """By its key, also when it is renewed; with the token's rights, until that is revoked."""
    assert (await with_certificate(server, OKTA)).status == 401
    made = await admitted(server, OKTA, scopes=("read",))
    assert (await with_certificate(server, OKTA)).status == 200
    assert (await with_certificate(server, certificate("okta 2", "Our CA", KEY))).status == 200
    assert (await with_certificate(server, OKTA, USERS, "POST", user("x"))).status == 403
    assert (await with_certificate(server, certificate("okta", "Our CA", OTHER))).status == 401
    assert [(each.id, each.origin) for each in await server.store.tokens(1)] == [(made, "certificate")]
    assert await server.store.revoke_token(1, made, now())
    await server.live.follow()
    assert (await with_certificate(server, OKTA)).status == 401


async def test_t_20_issuer_and_subject_together(application: Application) -> None:
    """Pinned by names another key will do, and neither the subject of another authority nor another subject of this one."""
    await admitted(application, OKTA, by_name=True)
    assert (await with_certificate(application, certificate("okta", "Our CA", OTHER))).status == 200
    assert (await with_certificate(application, certificate("okta", "Other CA", KEY))).status == 401
    assert (await with_certificate(application, certificate("okta 2", "Our CA", KEY))).status == 401
    assert (await with_certificate(application, certificate("okta", "okta", KEY))).status == 401


async def test_t_20_what_a_certificate_is_not(application: Application) -> None:
    """Not in its time, in a stranger's header, beside a wrong token, as the text of a token: nobody is let in."""
    made = await admitted(application, OKTA)
    assert (await with_certificate(application, OKTA)).status == 200
    assert (await with_certificate(application, certificate("okta", "Our CA", KEY, days=1))).status == 401
    stranger = AsgiCaller(Edge(application.asgi, ()))
    assert (await stranger("GET", USERS, headers={"X-Client-Cert": quote(OKTA.decode())})).status == 401
    assert (await with_certificate(application, OKTA, authorization="Bearer x")).status == 401
    found = read_pem(OKTA)
    assert found is not None
    for text in (by_key(found.key_sha256), found.key_sha256, made, tokens.new_token(made)[0]):
        assert (await AsgiCaller(application.asgi, text)("GET", USERS)).status == 401
    with pytest.raises(Conflict, match="another key"):
        await admitted(application, OKTA)
    record = (await application.store.tokens(1))[0]
    with pytest.raises(Conflict, match="certificate"):
        await tokens.rotate(application.store, record, now=now(), expires=None, until=now())


async def test_t_10_a_certificate_is_of_one_tenant(application: Application) -> None:
    """At another tenant it finds nothing, as at one that there is not."""
    acme = await TenantCare(application.store, application.tenants).create("acme", now())
    await admitted(application, OKTA, tenant=acme.number)
    assert (await with_certificate(application, OKTA, "/t/acme/scim/v2/Users")).status == 200
    real, invented = [
        await with_certificate(application, OKTA, path) for path in (USERS, "/t/nobody/scim/v2/Users")
    ]
    assert (real.status, real.body) == (404, invented.body)
