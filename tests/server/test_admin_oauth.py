"""Issuers, OAuth clients and keys at /admin/v1: what the commands do for them, on both databases (T-05, T-09, I-08)."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.server.outside_issuer import AUDIENCE, ec, outside_issuer, rsa
from tests.server.test_crossing import party

from rollbook.app import Application, by, now
from rollbook.operations import client_care
from rollbook.operations.token_care import Wish, grant
from rollbook.testing.asgi import AsgiCaller, Response

pytestmark = pytest.mark.anyio

ROOT = "/admin/v1/tenants"
HOUR = 3_600_000
IDP = {"name": "idp", "url": "https://idp.example", "audience": "acme", "scopes": ["read"]}


async def admin(server: Application, *scopes: str, tenant: int = 1, **about: Any) -> AsgiCaller:
    """Sends requests with a token that has these scopes."""
    wish = Wish("ops", now() + HOUR, scopes, **about)
    return AsgiCaller(server.asgi, await grant(server.store, tenant, wish, by("test")))


async def fetch(server: Application, client: str, secret: str, tenant: str) -> Response:
    """Ask the token endpoint of a tenant for a token."""
    form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret}
    headers = {"content-type": "application/x-www-form-urlencoded"}
    return await AsgiCaller(server.asgi)(
        "POST", f"/t/{tenant}/oauth/token", urlencode(form).encode(), headers
    )


async def test_an_issuer_from_beginning_to_end(server: Application) -> None:
    """Its tokens are taken once it is known, do less once that is said, and nothing once it is taken away; each is told in the audit log."""
    await party(server, "acme")
    call = await admin(server, "admin", "write")
    with outside_issuer() as issuer:
        asked = {"name": "idp", "url": issuer.url, "audience": AUDIENCE, "scopes": ["write"]}
        made = await call("POST", f"{ROOT}/acme/issuers", asked)
        assert (made.status, made.headers["location"]) == (201, f"{ROOT}/acme/issuers/idp")
        assert (made.json["keys"], made.json["algorithms"]) == ("metadata", ["RS256", "ES256"])
        theirs = AsgiCaller(server.asgi, issuer.token(scope="write"))
        assert (await theirs("POST", "/t/acme/scim/v2/Users", {"userName": "eve"})).status == 201
        told = await call("PATCH", f"{ROOT}/acme/issuers/idp", {"scopes": ["read"], "userClaim": "sub"})
        assert (told.json["scopes"], told.json["userClaim"], told.json["url"]) == (
            ["read"],
            "sub",
            issuer.url,
        )
        told = await call("PATCH", f"{ROOT}/acme/issuers/idp", {"userClaim": ""})
        assert told.json["userClaim"] is None
        assert (await theirs("POST", "/t/acme/scim/v2/Users", {"userName": "eva"})).status == 403
        assert [each["name"] for each in (await call("GET", f"{ROOT}/acme/issuers")).json["issuers"]] == [
            "idp"
        ]
        assert (await call("DELETE", f"{ROOT}/acme/issuers/idp")).status == 204
        assert (await theirs("GET", "/t/acme/scim/v2/Users")).status == 401
    done = ["issuer.add", "issuer.set", "issuer.set", "issuer.remove"]
    assert await acts(server, "issuer") == [(act, "token ops") for act in done]


async def acts(server: Application, type: str) -> list[tuple[str, str]]:
    """What the audit log has of acts on things of a type: which, and whose."""
    rows = await server.store.database.read(
        lambda connection: connection.all(
            "SELECT act, author FROM act WHERE type = ? ORDER BY at, id", (type,)
        )
    )
    return [(act, author) for act, author in rows]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"url": "http://idp.example"}, "url http://idp.example"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"types": ["x"]}, "types"),
        ({"jwksUrl": "ftp://x"}, "jwksUrl"),
        ({"jwks": {"keys": []}}, "key"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]}}, "key"),
        ({"words": {"": "read"}}, "words"),
        ({"words": {"x": "root"}}, "root"),
        ({"scopes": ["admin"]}, "admin"),
        ({"scopes": []}, "scopes"),
        ({"userAttribute": "mail"}, "userAttribute"),
        ({"secret": "x"}, "secret"),
    ],
)
async def test_t_05_an_issuer_that_cannot_be_meant(
    application: Application, change: dict[str, Any], word: str
) -> None:
    """It is refused, when it is made and when it is changed, in words that name the member; nothing is kept."""
    call = await admin(application, "admin", "write")
    answer = await call("POST", f"{ROOT}/default/issuers", IDP | change)
    assert (answer.status, word in answer.json["detail"]) == (400, True), answer.json
    assert "--" not in answer.json["detail"]
    assert (await call("GET", f"{ROOT}/default/issuers")).json["issuers"] == []
    before = (await call("POST", f"{ROOT}/default/issuers", IDP)).json
    assert (await call("PATCH", f"{ROOT}/default/issuers/idp", change)).status == 400
    assert (await call("GET", f"{ROOT}/default/issuers/idp")).json == before


async def test_private_halves_of_an_issuers_keys_are_not_kept(application: Application) -> None:
    """Of a set of keys that was given only the public ones are stored, and none are shown."""
    call = await admin(application, "admin", "write")
    pair = json.loads(json.dumps(rsa("pair").as_dict(private=True)))
    public = json.loads(json.dumps(ec("theirs").as_dict(private=False)))
    answer = await call("POST", f"{ROOT}/default/issuers", IDP | {"jwks": {"keys": [pair, public]}})
    assert (answer.status, answer.json["keys"]) == (201, "given")
    ((told,),) = await application.store.database.read(
        lambda connection: connection.all("SELECT told FROM issuer", ())
    )
    assert pair["d"] not in told
    assert pair["d"].encode() not in (await call("GET", f"{ROOT}/default/issuers")).body


async def test_a_client_from_beginning_to_end(server: Application) -> None:
    """Its secret is shown once and fetches tokens; a new one too, while the former goes on; it ends with its tokens."""
    await party(server, "acme")
    call = await admin(server, "admin", "write")
    made = await call("POST", f"{ROOT}/acme/clients", {"name": "sync", "scopes": ["read"]})
    one = f"{ROOT}/acme/clients/{made.json['id']}"
    assert (made.status, made.headers["location"]) == (201, one)
    secrets = [made.json["secret"]]
    token = (await fetch(server, made.json["id"], secrets[0], "acme")).json["access_token"]
    theirs = AsgiCaller(server.asgi, token)
    assert (await theirs("GET", "/t/acme/scim/v2/Users")).status == 200
    assert (await theirs("POST", "/t/acme/scim/v2/Users", {"userName": "eve"})).status == 403
    second = await call("POST", f"{one}/rotate", {"overlapSeconds": 60})
    secrets.append(second.json["secret"])
    assert (second.status, second.json["id"], secrets[0] != secrets[1]) == (200, made.json["id"], True)
    for secret in secrets:
        assert (await fetch(server, made.json["id"], secret, "acme")).status == 200
    assert (await call("POST", f"{one}/rotate", {"overlapSeconds": 0})).status == 200
    assert (await fetch(server, made.json["id"], secrets[0], "acme")).status == 401
    for path in (one, f"{ROOT}/acme/clients"):
        body = (await call("GET", path)).body
        assert not any(secret.encode() in body for secret in secrets)
    assert (await call("DELETE", one)).status == 204
    assert (await theirs("GET", "/t/acme/scim/v2/Users")).status == 401
    assert (await call("GET", one)).status == 404
    told = ["client.add", "client.rotate", "client.rotate", "client.remove"]
    assert await acts(server, "client") == [(act, "token ops") for act in told]


async def test_a_client_with_keys_has_no_secret(application: Application) -> None:
    """It is given public keys, of which the private half is not kept; without others it cannot be rotated."""
    call = await admin(application, "admin", "write")
    pair, other = (json.loads(json.dumps(ec("theirs").as_dict(private=each))) for each in (True, False))
    refused = await call("POST", f"{ROOT}/default/clients", {"name": "x", "scopes": ["read"], "jwks": pair})
    assert refused.status == 400
    made = await call("POST", f"{ROOT}/default/clients", {"name": "x", "scopes": ["read"], "jwks": other})
    assert (made.json["shows"], made.json["secret"]) == ("assertion", None)
    one = f"{ROOT}/default/clients/{made.json['id']}"
    assert (await call("POST", f"{one}/rotate", {})).status == 400
    again = await call("POST", f"{one}/rotate", {"jwks": other})
    assert (again.status, again.json["secret"]) == (200, None)


async def test_t_09_nobody_hands_out_more_by_an_issuer_or_a_client(server: Application) -> None:
    """What is let in from elsewhere may do no more than the token that lets it in; what may do more is left alone."""
    acme = await party(server, "acme")
    boss, own = await admin(server, "admin", "write"), await admin(server, "admin", tenant=acme.number)
    reader = await admin(server, "admin", "read", tenant=acme.number)
    assert (await boss("POST", f"{ROOT}/acme/issuers", IDP | {"scopes": ["write"]})).status == 201
    client = (await boss("POST", f"{ROOT}/acme/clients", {"name": "x", "scopes": ["write"]})).json
    for call in (own, reader):
        asked = {"name": "y", "scopes": ["write"]}
        assert (await call("POST", f"{ROOT}/acme/clients", asked)).status == 403
        assert (await call("POST", f"{ROOT}/acme/clients/{client['id']}/rotate", {})).status == 403
        assert (await call("PATCH", f"{ROOT}/acme/issuers/idp", {"jwks": {"keys": []}})).status == 403
        assert (await call("PATCH", f"{ROOT}/acme/issuers/idp", {"userClaim": "sub"})).status == 403
    assert (await reader("POST", f"{ROOT}/acme/clients", {"name": "y", "scopes": ["read"]})).status == 201


async def test_i_08_whose_tokens_open_a_tenant_says_who_runs_the_server(server: Application) -> None:
    """A tenant's own administrator adds no issuer, and moves none to another address, audience or network; they take it away."""
    acme = await party(server, "acme")
    boss, own = (
        await admin(server, "admin", "write"),
        await admin(server, "admin", "write", tenant=acme.number),
    )
    assert (await own("POST", f"{ROOT}/acme/issuers", IDP)).status == 403
    assert (await boss("POST", f"{ROOT}/acme/issuers", IDP)).status == 201
    for change in ({"url": "https://other.example"}, {"audience": "other"}, {"private": True}):
        assert (await own("PATCH", f"{ROOT}/acme/issuers/idp", change)).status == 403
    assert (await own("PATCH", f"{ROOT}/acme/issuers/idp", {"within": 'userType eq "x"'})).status == 200
    assert (await own("GET", "/admin/v1/keys")).status == 403
    assert (await own("DELETE", f"{ROOT}/acme/issuers/idp")).status == 204


async def test_keys_are_told_of_and_not_shown(application: Application) -> None:
    """Which there are, which seals, and how many secrets each has sealed."""
    call = await admin(application, "admin:read")
    answer = await call("GET", "/admin/v1/keys")
    (key,) = answer.json["keys"]
    (present,) = application.store.secrets.source.present()
    assert (key["id"], key["isHere"], key["seals"], answer.json["inClear"]) == (present.id, True, True, False)
    assert key["secrets"] > 0
    assert present.text.encode() not in answer.body


async def test_lists_come_in_pages(application: Application) -> None:
    """By name, and by age."""
    call = await admin(application, "admin", "write")
    for name in ("b", "a", "c"):
        made = await call("POST", f"{ROOT}/default/issuers", IDP | {"name": name, "audience": name})
        assert made.status == 201
        await client_care.add(
            application.store, 1, client_care.ClientWish(name, now() + HOUR), by("test", at=now())
        )
    for kind, order in (("issuers", ["a", "b", "c"]), ("clients", ["b", "a", "c"])):
        seen: list[str] = []
        cursor = ""
        while cursor is not None:
            page = (await call("GET", f"{ROOT}/default/{kind}?limit=2&cursor={cursor}")).json
            seen += [each["name"] for each in page[kind]]
            cursor = page["nextCursor"]
        assert sorted(seen) == sorted(order)
        assert kind == "clients" or seen == order
    assert (await call("GET", f"{ROOT}/default/clients?cursor=x")).json["code"] == "invalidCursor"
