"""The token endpoint: client credentials by secret and by key, and what it refuses (T-09, T-21; RFC 6749, 7523, 8414)."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote_plus, urlencode

import orjson
import pytest
from joserfc.jwk import Key, OctKey, RSAKey
from tests.server.outside_issuer import ec, rsa, signed

from rollbook.app import Application, now
from rollbook.operations import tokens
from rollbook.operations.key_sets import keys_of
from rollbook.operations.oauth_clients import key_set, made, rotated
from rollbook.operations.rights import ALL, Rights, rights_of
from rollbook.operations.tenant_care import TenantCare
from rollbook.operations.token_endpoint import ASSERTION_TYPE, MOST_TOKENS
from rollbook.protocol import urns
from rollbook.protocol.errors import InvalidValue
from rollbook.server.edge import Edge
from rollbook.server.limits import FailedLogins
from rollbook.storage.oauth_clients import ClientRecord
from rollbook.storage.sql import oauth_clients as statements
from rollbook.storage.sql.oauth_clients import SqlClients
from rollbook.storage.tenants import TenantState
from rollbook.testing.asgi import AsgiCaller, Response

pytestmark = pytest.mark.anyio

USERS = "/scim/v2/Users"
HOST = "http://localhost:8080"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Client:
    """A client, and what it shows."""

    application: Application
    record: ClientRecord
    secret: str

    async def ask(
        self,
        form: Mapping[str, str] | bytes = b"",
        path: str = "/oauth/token",
        headers: Mapping[str, str] = {},
    ) -> Response:
        """Ask for a token; without anything said, with id and secret in the form."""
        usual = {"grant_type": "client_credentials"}
        if not isinstance(form, bytes):
            form = urlencode(usual | dict(form)).encode()
        elif not form:
            form = urlencode(usual | self.own).encode()
        return await AsgiCaller(self.application.asgi)("POST", path, form, FORM | dict(headers))

    @property
    def own(self) -> dict[str, str]:
        """Its id and secret as parameters."""
        return {"client_id": self.record.id, "client_secret": self.secret}

    def assertion(self, key: Key, header: dict[str, Any] | None = None, **claims: Any) -> dict[str, str]:
        """What it shows with a key."""
        seconds = now() // 1000
        whole = {
            "iss": self.record.id,
            "sub": self.record.id,
            "aud": f"{HOST}/oauth/token",
            "exp": seconds + 60,
            "iat": seconds,
            "jti": "one",
        } | claims
        whole = {name: value for name, value in whole.items() if value is not None}
        told = {"alg": "RS256", "typ": "JWT"} | (header or {})
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed(whole, key, **told)}


async def client(application: Application, tenant: int = 1, rights: Rights = ALL, **about: Any) -> Client:
    """A new client of a tenant."""
    key = await tokens.pepper(application.store)
    usual = {"now": now(), "expires": now() + 1_000_000}
    record, secret = made(key, tenant, "loader", rights, **(usual | about))
    await SqlClients(application.store.database).add(record)
    await application.live.follow()
    return Client(application, record, secret or "")


def key_of(*keys: Key) -> str:
    """A set of their public halves."""
    return key_set(orjson.dumps({"keys": [key.as_dict(private=False) for key in keys]}).decode())


async def test_a_token_by_secret(server: Application) -> None:
    """By form and by header: a token of ours for an hour that writes in the client's name, until the client goes."""
    one = await client(server)
    given = await one.ask()
    assert given.status == 200, given.body
    assert given.headers["cache-control"] == "no-store"
    assert {name: value for name, value in given.json.items() if name != "access_token"} == {
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "write",
    }
    call = AsgiCaller(server.asgi, given.json["access_token"])
    assert tokens.token_id(given.json["access_token"]) is not None
    assert (await call("POST", USERS, {"schemas": [urns.USER], "userName": "ann"})).status == 201
    assert (await server.store.changes(1, 0, 9))[-1].author == "client loader"
    shown = base64.b64encode(f"{quote_plus(one.record.id)}:{quote_plus(one.secret)}".encode()).decode()
    by_header = await one.ask(b"grant_type=client_credentials", headers={"authorization": f"Basic {shown}"})
    assert by_header.status == 200
    assert list(await server.store.tokens(1)) == []  # they are not for people to look after
    assert await SqlClients(server.store.database).remove(1, one.record.id)
    for each in (given, by_header):
        gone = AsgiCaller(server.asgi, each.json["access_token"])
        assert (await gone("POST", USERS, {"schemas": [urns.USER], "userName": "bob"})).status == 401
    assert (await call("GET", USERS)).status == 401
    assert (await one.ask()).status == 401


async def test_t_21_keys_are_read_once(application: Application) -> None:
    """However many assertions come that prove nothing: parsing keys is not a stranger's to ask for."""
    one = await client(application, keys=key_of(RSAKey.generate_key(2048, {"kid": "a"})))
    before = keys_of.cache_info().misses
    for _ in range(5):
        assert (await one.ask(one.assertion(rsa("a")))).status == 401
    assert keys_of.cache_info().misses == before + 1


async def test_a_token_by_key(server: Application) -> None:
    """An assertion for the endpoint or the issuer, by any of the client's keys; each once, also at the same moment."""
    one = await client(server, keys=key_of(rsa("a"), ec("b")))
    assert (await one.ask(one.assertion(rsa("a")))).status == 200
    assert (await one.ask(one.assertion(ec("b"), {"alg": "ES256"}, jti="two", aud=[HOST]))).status == 200
    again = await one.ask(one.assertion(rsa("a")))
    assert (again.status, again.json["error"]) == (401, "invalid_client")
    shown = one.assertion(rsa("a"), jti="three")
    answers = await asyncio.gather(*(one.ask(shown) for _ in range(8)))
    assert sorted(each.status for each in answers) == [200] + [401] * 7


def _unsigned(one: Client) -> dict[str, str]:
    shown = one.assertion(rsa("a"))
    claims = shown["client_assertion"].split(".")[1]
    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"a"}').rstrip(b"=").decode()
    return shown | {"client_assertion": f"{header}.{claims}."}


REFUSED: Sequence[tuple[str, Any]] = (
    ("of another's key", lambda one: one.assertion(RSAKey.generate_key(2048, {"kid": "a"}))),
    ("of a key not known", lambda one: one.assertion(rsa("c"))),
    ("not signed", _unsigned),
    ("a shared key", lambda one: one.assertion(OctKey.import_key("secret of 32 characters or more.."), {"alg": "HS256", "kid": "a"})),
    ("a key brought along", lambda one: one.assertion(rsa("c"), {"jwk": rsa("c").as_dict(private=False), "kid": "a"})),
    ("for another server", lambda one: one.assertion(rsa("a"), aud="https://elsewhere.example/oauth/token")),
    ("for another tenant", lambda one: one.assertion(rsa("a"), aud=f"{HOST}/t/acme/oauth/token")),
    ("for nobody", lambda one: one.assertion(rsa("a"), aud=None)),
    ("of another", lambda one: one.assertion(rsa("a"), iss="somebody")),
    ("about nobody known", lambda one: one.assertion(rsa("a"), sub="somebody", iss="somebody")),
    ("ended", lambda one: one.assertion(rsa("a"), exp=now() // 1000 - 90)),
    ("without an end", lambda one: one.assertion(rsa("a"), exp=None)),
    ("for ever", lambda one: one.assertion(rsa("a"), exp=now() // 1000 + 86_400)),
    ("of tomorrow", lambda one: one.assertion(rsa("a"), nbf=now() // 1000 + 300)),
    ("without an id", lambda one: one.assertion(rsa("a"), jti=None)),
    ("with a long id", lambda one: one.assertion(rsa("a"), jti="x" * 256)),
    ("with a number as id", lambda one: one.assertion(rsa("a"), jti=7)),
    ("no JWT", lambda one: one.assertion(rsa("a")) | {"client_assertion": "a.b"}),
    ("the secret of another", lambda one: {"client_id": one.record.id, "client_secret": tokens.new_token()[0]}),
    ("an empty secret", lambda one: {"client_id": one.record.id, "client_secret": ""}),
    ("nobody", lambda one: {"client_id": "x", "client_secret": "y"}),
    ("nothing", lambda one: {}),
    ("an id only", lambda one: {"client_id": one.record.id}),
)  # fmt: skip


@pytest.mark.parametrize(("what", "show"), REFUSED, ids=[each[0] for each in REFUSED])
async def test_t_21_who_is_not_the_client(application: Application, what: str, show: Any) -> None:
    """Refused as RFC 6749 §5.2 has it, in the same words for all that is shown wrongly; no token is made."""
    one = await client(application, keys=key_of(rsa("a")))
    refused = await one.ask(show(one))
    assert (refused.status, refused.json["error"]) == (401, "invalid_client"), what
    assert refused.headers["www-authenticate"] == 'Basic realm="rollbook"'
    assert await _number(application) == 0
    assert (await one.ask(one.assertion(rsa("a")))).status == 200


async def _number(application: Application) -> int:
    ((number,),) = await application.store.database.read(
        lambda connection: connection.all("SELECT count(*) FROM token WHERE origin <> ''")
    )
    return int(number)


USUAL = b"grant_type=client_credentials"

MALFORMED: Sequence[tuple[str, bytes, dict[str, str], int, str]] = (
    ("no grant", b"client_id=x", {}, 400, "invalid_request"),
    ("another grant", b"grant_type=password&username=a&password=b", {}, 400, "unsupported_grant_type"),
    ("a code of another client", b"grant_type=authorization_code&code=x", {}, 400, "unsupported_grant_type"),
    ("twice", USUAL + b"&client_id=a&client_id=b", {}, 400, "invalid_request"),
    ("two secrets", USUAL + b"&client_secret=x&client_assertion=y", {}, 400, "invalid_request"),
    ("a secret beside the header", USUAL + b"&client_secret=x", {"authorization": "Basic eDp5"}, 400, "invalid_request"),
    ("another id than the header's", USUAL + b"&client_id=z", {"authorization": "Basic eDp5"}, 400, "invalid_request"),
    ("a bearer", USUAL, {"authorization": "Bearer x"}, 401, "invalid_client"),
    ("a broken header", USUAL, {"authorization": "Basic !!"}, 401, "invalid_client"),
    ("JSON", b"{}", {"content-type": "application/json"}, 400, "invalid_request"),
    ("not ASCII", b"grant_type=\xff", {}, 400, "invalid_request"),
    ("broken escapes", USUAL + b"&scope=%ff", {}, 400, "invalid_request"),
    ("very many", USUAL + b"&a=1" * 21, {}, 400, "invalid_request"),
    ("another kind of assertion", USUAL + b"&client_assertion=x&client_assertion_type=saml", {}, 400, "invalid_request"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("what", "body", "headers", "status", "error"), MALFORMED, ids=[each[0] for each in MALFORMED]
)
async def test_t_21_malformed_requests(
    application: Application, what: str, body: bytes, headers: dict[str, str], status: int, error: str
) -> None:
    """Each has its error of RFC 6749 §5.2, as JSON that is not stored."""
    one = await client(application)
    refused = await one.ask(body, headers=headers)
    assert (refused.status, refused.json["error"]) == (status, error), what
    assert refused.headers["content-type"] == "application/json"


async def test_t_21_long_ones_and_secrets_in_the_url(application: Application) -> None:
    """A scope of 50,000 characters is not looked into, a longer one than allowed refused; a URL may have no parameters."""
    one = await client(application)
    assert (await one.ask({**one.own, "scope": "a" * 50_000})).status == 413
    refused = await one.ask({**one.own, "scope": "read " * 400})
    assert (refused.status, refused.json["error"]) == (400, "invalid_scope")
    refused = await one.ask(b"", f"/oauth/token?client_secret={one.secret}")
    assert (refused.status, refused.json["error"]) == (400, "invalid_request")
    assert one.secret.encode() not in refused.body
    assert (await AsgiCaller(application.asgi)("GET", "/oauth/token")).status == 405
    assert await _number(application) == 0


SCOPES: Sequence[tuple[Rights, str, str | None]] = (
    (ALL, "", "write"),
    (ALL, "read", "read"),
    (ALL, "read users", "read users"),
    (ALL, "users", "write users"),
    (ALL, "everything", None),
    (ALL, "type:Spaceship", None),
    (Rights(writes=False), "", "read"),
    (Rights(writes=False), "users", "read users"),
    (Rights(writes=False), "write", None),
    (Rights(writes=False), "read write", None),
    (Rights(types=frozenset({"User"})), "read", "read users"),
    (Rights(types=frozenset({"User"})), "write groups", None),
    (Rights(types=frozenset({"User"})), "users groups", None),
)


@pytest.mark.parametrize(("rights", "asked", "given"), SCOPES, ids=str)
async def test_t_09_a_token_is_no_wider_than_its_client(
    application: Application, rights: Rights, asked: str, given: str | None
) -> None:
    """A part of what the client may do, or invalid_scope."""
    one = await client(application, rights=replace(rights, within='userType eq "x"'))
    answer = await one.ask({**one.own, "scope": asked})
    if given is None:
        assert (answer.status, answer.json["error"]) == (400, "invalid_scope")
        assert await _number(application) == 0
        return
    assert (answer.status, answer.json["scope"]) == (200, given)
    credential = await application.verifier.verify(answer.json["access_token"], now())
    assert credential.rights.within == 'userType eq "x"'
    assert credential.rights.is_within(rights_of(one.record.rights))


async def test_tokens_end_and_are_bounded(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token ends by itself; ended ones are deleted with the next, and of a client that asks for more and more the newest stay."""
    one = await client(application, seconds=60)
    first = (await one.ask()).json["access_token"]
    credential = await application.verifier.verify(first, now())
    assert credential.expires is not None
    assert 55_000 < credential.expires - now() <= 60_000
    for _ in range(MOST_TOKENS + 5):
        last = (await one.ask()).json["access_token"]
    assert await _number(application) == MOST_TOKENS
    application.verifier.forget()
    assert (await AsgiCaller(application.asgi, last)("GET", USERS)).status == 200
    assert (await AsgiCaller(application.asgi, first)("GET", USERS)).status == 401
    later = now() + 61_000
    door = application.live.app.oauth  # type: ignore[attr-defined]
    monkeypatch.setattr(door, "now", lambda: later)
    assert (await one.ask()).status == 200
    assert await _number(application) == 1


async def test_cursors_go_on_with_the_next_token(application: Application) -> None:
    """A list that was begun with one token of a client is read on with its next one."""
    one = await client(application)
    call = AsgiCaller(application.asgi, (await one.ask()).json["access_token"])
    for name in ("a", "b", "c"):
        await call("POST", USERS, {"schemas": [urns.USER], "userName": name})
    page = await call("GET", f"{USERS}?cursor&count=1")
    second = (await one.ask()).json["access_token"]
    on = await AsgiCaller(application.asgi, second)(
        "GET", f"{USERS}?cursor={page.json['nextCursor']}&count=1"
    )
    assert (on.status, on.json["Resources"][0]["userName"]) == (200, "b")


async def test_secrets_are_rotated_with_an_overlap(application: Application) -> None:
    """Both secrets are good until the former ends; one that has expired is not, and none is in the database."""
    one = await client(application)
    key = await tokens.pepper(application.store)
    clients = SqlClients(application.store.database)
    record, secret = rotated(key, one.record, expires=now() + 9_000_000, until=now() + 60_000)
    assert await clients.change(record)
    newer = Client(application, record, secret)
    assert [(await each.ask()).status for each in (one, newer)] == [200, 200]
    await clients.change(replace(record, former_until=now()))
    assert [(await each.ask()).status for each in (one, newer)] == [401, 200]
    await clients.change(replace(record, expires=now()))
    assert (await newer.ask()).status == 401
    assert [each.secret for each in (one, newer) if each.secret in str(record)] == []


async def test_t_10_a_secret_is_no_token_and_a_client_of_one_tenant(application: Application) -> None:
    """As a bearer token it is unknown (T-04); at another tenant's endpoint its client is, as at one that there is not."""
    care = TenantCare(application.store, application.tenants)
    acme = await care.create("acme", now())
    await care.create("brett", now())
    one = await client(application, acme.number)
    assert (await AsgiCaller(application.asgi, one.secret)("GET", "/t/acme/scim/v2/Users")).status == 401
    given = await one.ask(path="/t/acme/oauth/token")
    assert given.status == 200
    call = AsgiCaller(application.asgi, given.json["access_token"])
    assert (await call("GET", "/t/acme/scim/v2/Users")).status == 200
    assert (await call("GET", "/t/brett/scim/v2/Users")).status == 404
    others = ("/t/brett/oauth/token", "/t/nobody/oauth/token", "/t/default/oauth/token", "/oauth/token")
    answers = [await one.ask(path=path) for path in others]
    assert {(each.status, each.body, tuple(each.headers.items())) for each in answers} == {
        (401, answers[0].body, tuple(answers[0].headers.items()))
    }
    wrong = await replace(one, secret="wrong").ask(path="/t/acme/oauth/token")
    assert (wrong.status, wrong.body) == (401, answers[0].body)


async def test_a_tenant_that_is_switched_off_gives_none(application: Application) -> None:
    """Its endpoint answers as that of a tenant that there is not; and one that goes takes its clients along."""
    care = TenantCare(application.store, application.tenants)
    acme = await care.create("acme", now())
    one = await client(application, acme.number)
    await care.switch(acme, TenantState.DISABLED)
    await application.live.follow()
    assert (await one.ask(path="/t/acme/oauth/token")).status == 401
    await application.tenants.delete(acme.number)
    assert await SqlClients(application.store.database).client(one.record.id) is None


async def test_metadata(application: Application) -> None:
    """RFC 8414: of the default tenant, and of every name there could be, alike; what it names is there."""
    acme = await TenantCare(application.store, application.tenants).create("acme", now())
    anonymous = AsgiCaller(application.asgi)
    well_known = "/.well-known/oauth-authorization-server"
    own = (await anonymous("GET", well_known)).json
    assert (own["issuer"], own["token_endpoint"]) == (HOST, f"{HOST}/oauth/token")
    real, invented = [await anonymous("GET", f"{well_known}/t/{name}") for name in ("acme", "nobo")]
    assert real.body.replace(b"acme", b"nobo") == invented.body
    assert (await anonymous("GET", f"{well_known}/t/../x")).status == 404
    assert (await anonymous("POST", well_known, {})).status == 405
    one = await client(application, acme.number, keys=key_of(rsa("a")))
    for audience in (real.json["issuer"], real.json["token_endpoint"]):
        shown = one.assertion(rsa("a"), aud=audience, jti=audience)
        assert (await one.ask(shown, "/t/acme/oauth/token")).status == 200


async def test_t_08_wrong_secrets_are_slowed(application: Application) -> None:
    """Also in the body; the right one is not."""

    class Failed(FailedLogins):
        def wait(self, address: str, token_id: str | None) -> float:
            counted.append((address, token_id))
            return 0.0

    counted: list[tuple[str, str | None]] = []
    one = await client(application)
    edge = Edge(application.asgi, failed=Failed())
    caller = AsgiCaller(edge)
    form = urlencode({"grant_type": "client_credentials", **one.own, "client_secret": "x"}).encode()
    assert (await caller("POST", "/oauth/token", form, FORM)).status == 401
    assert counted == [("127.0.0.1", None)]
    form = urlencode({"grant_type": "client_credentials", **one.own}).encode()
    assert (await caller("POST", "/oauth/token", form, FORM)).status == 200
    assert len(counted) == 1


async def test_our_own_client_gets_a_token(application: Application) -> None:
    """The client of this package, with secret and with key, over a socket."""
    from rollbook.client.oauth import ClientCredentials, Grant
    from rollbook.client.transport import PyqwestTransport
    from rollbook.testing.http_server import served

    by_secret = await client(application)
    by_key = await client(application, keys=key_of(rsa("a")))
    loop = asyncio.get_running_loop()

    async def asked(scope: Any, receive: Any, send: Any) -> None:
        await application.asgi(scope, receive, send)

    async def here(scope: Any, receive: Any, send: Any) -> None:
        sent: list[Any] = []

        async def keep(message: Any) -> None:
            sent.append(message)

        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asked(scope, receive, keep), loop))
        for message in sent:
            await send(message)

    with served(here) as url:
        for grant in (
            Grant(f"{url}/oauth/token", by_secret.record.id, secret=by_secret.secret),
            Grant(
                f"{url}/oauth/token",
                by_key.record.id,
                key=rsa("a").as_pem(private=True).decode(),
                key_id="a",
                scope="read",
            ),
        ):
            credentials = ClientCredentials(grant, PyqwestTransport())
            token = (await credentials.header()).removeprefix("Bearer ")
            await credentials.close()
            assert (await AsgiCaller(application.asgi, token)("GET", USERS)).status == 200


async def test_looks_by_an_index(application: Application) -> None:
    """A million tokens of others cost no more."""
    of = (1, "client x")
    for sql, values in (
        (statements.ONE, ("x",)),
        (statements.OF_TENANT, (1,)),
        (statements.ENDED, (*of, 5)),
        (statements.BEYOND, (*of, *of, 5)),
        (statements.END_TOKENS, of),
        (statements.FORGET, (1, "x", 5)),
    ):
        plan = await application.store.database.read(
            lambda connection, sql=sql, values=values: connection.all(f"EXPLAIN QUERY PLAN {sql}", values)  # type: ignore[misc]
        )
        assert all("SCAN" not in str(row) for row in plan), (sql, plan)


def test_what_is_no_key() -> None:
    """PEM and JWK sets of public keys are taken, and turned into a set; anything else is refused."""
    pem = rsa("a").as_pem(private=False).decode()
    assert '"kty":"RSA"' in key_set(pem)
    assert '"kty":"EC"' in key_set(ec("b").as_pem(private=False).decode())
    assert key_set(orjson.dumps(rsa("a").as_dict(private=False)).decode())
    for text in ("", "x", "{}", '{"keys":[]}', '{"keys":[{"kty":"oct","k":"AAAA"}]}'):
        with pytest.raises(InvalidValue):
            key_set(text)
    assert '"d"' not in key_set(rsa("a").as_pem(private=True).decode())
    both = {"keys": [rsa("a").as_dict(private=True), ec("b").as_dict(private=False)]}
    assert '"d"' not in key_set(orjson.dumps(both).decode())
