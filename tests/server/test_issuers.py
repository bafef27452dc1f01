"""JWT access tokens of outside issuers: taken, forged, rotated, mapped (T-05, T-07, T-10; RFC 9068, RFC 8725)."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import apsw
import pytest
from joserfc.jwk import RSAKey
from tests.server import outside_issuer as outside
from tests.server.outside_issuer import AUDIENCE, OutsideIssuer, ec, ed, rsa

from rollbook.app import Application, now
from rollbook.operations import key_sets, tokens
from rollbook.operations.issuers import Issuer, checked, read_words
from rollbook.operations.key_fetching import metadata_places
from rollbook.operations.key_sets import FLOOR_SECONDS, FRESH_SECONDS, LIMIT_SECONDS, KeySets
from rollbook.operations.rights import ALL, Rights
from rollbook.operations.tenant_care import TenantCare
from rollbook.protocol import urns
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import InvalidValue, Uniqueness
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.issuers import OF_TENANT, OF_URL, OTHER, SqlIssuers
from rollbook.testing.asgi import AsgiCaller, Response

pytestmark = pytest.mark.anyio

BASE = "/scim/v2"
USERS = f"{BASE}/Users"


@pytest.fixture
def issuer() -> Iterator[OutsideIssuer]:
    """One that is served, with a key for RS256."""
    with outside.outside_issuer() as made:
        yield made


class Clock:
    """Seconds that tests move."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        """What it is."""
        return self.at


async def known(application: Application, issuer: OutsideIssuer, tenant: int = 1, **about: Any) -> Clock:
    """Make an issuer known to a tenant; the clock by which its keys grow old."""
    made = Issuer(
        tenant, about.pop("name", "idp"), about.pop("url", issuer.url), about.pop("audience", AUDIENCE)
    )
    record = checked(replace(made, **about), core_catalog()).record(now())
    await SqlIssuers(application.store.database).put(record, new=True)
    await application.live.follow()
    clock = Clock()
    assert application.verifier.outside is not None
    application.verifier.outside.keys = KeySets(clock=clock)
    return clock


async def asked(
    application: Application, token: str, method: str = "GET", path: str = USERS, body: Any = None
) -> Response:
    """What a request with that token is answered; nothing is remembered of another one."""
    application.verifier._known.clear()
    return await AsgiCaller(application.asgi, token)(method, path, body)


def user(name: str, **attributes: Any) -> dict[str, Any]:
    """A User."""
    return {"schemas": [urns.USER], "userName": name, **attributes}


async def test_a_token_of_an_issuer_is_taken(server: Application, issuer: OutsideIssuer) -> None:
    """On both databases: found by metadata, checked by its key, and what is written has its name."""
    await known(server, issuer)
    token = issuer.token()
    made = await asked(server, token, "POST", USERS, user("ann"))
    assert made.status == 201
    assert (await asked(server, token, "GET", f"{USERS}/{made.json['id']}")).status == 200
    assert (await server.store.changes(1, 0, 10))[-1].author == "idp svc"
    assert issuer.asked == [
        "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/keys",
    ]  # fmt: skip


async def test_metadata_by_rfc_8414(application: Application) -> None:
    """The place of RFC 8414 is asked first, and enough."""
    with outside.outside_issuer(form="/.well-known/oauth-authorization-server") as issuer:
        await known(application, issuer)
        assert (await asked(application, issuer.token())).status == 200
        assert issuer.asked == ["/.well-known/oauth-authorization-server", "/keys"]


def test_where_metadata_are() -> None:
    """RFC 8414 §3.1 puts the well-known name before the path; OpenID Connect behind it."""
    assert metadata_places("https://login.example.com/acme/v2.0") == (
        "https://login.example.com/.well-known/oauth-authorization-server/acme/v2.0",
        "https://login.example.com/acme/v2.0/.well-known/openid-configuration",
    )


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", rsa("one")),
        ("PS384", rsa("one")),
        ("ES256", ec("two")),
        ("EdDSA", ed("three")),
        ("Ed25519", ed("three")),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_each_kind_of_signature(
    application: Application, issuer: OutsideIssuer, algorithm: str, key: Any
) -> None:
    """With its algorithm pinned a token is taken; pinned to another one it is not."""
    issuer.keys = [key]
    await known(application, issuer, algorithms=(algorithm,))
    assert (await asked(application, issuer.token(header={"alg": algorithm}))).status == 200
    issuers = SqlIssuers(application.store.database)
    other = "ES512" if algorithm != "ES512" else "RS256"
    await issuers.put(Issuer(1, "idp", issuer.url, AUDIENCE, algorithms=(other,)).record(0), new=False)
    await application.live.follow()
    assert (await asked(application, issuer.token(header={"alg": algorithm}))).status == 401


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unsigned(issuer: OutsideIssuer, algorithm: str) -> str:
    claims = issuer.token().split(".")[1]
    return f"{_part({'alg': algorithm, 'typ': 'at+jwt', 'kid': 'one'})}.{claims}."


def _hs256(issuer: OutsideIssuer) -> str:
    """Signed with the public key as if it were a shared one; libraries refuse to do that."""
    head = f"{_part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'one'})}.{issuer.token().split('.')[1]}"
    mac = hmac.digest(rsa("one").as_pem(private=False), head.encode(), "sha256")
    return f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _changed(token: str) -> str:
    header, claims, signature = token.split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    return f"{header}.{_part(said | {'scope': 'write'})}.{signature}"


FORGED: Sequence[tuple[str, Any]] = (
    ("alg none", lambda issuer: _unsigned(issuer, "none")),
    ("alg None", lambda issuer: _unsigned(issuer, "None")),
    ("HS256 with the public key", _hs256),
    ("another's key with the same kid", lambda issuer: issuer.token(RSAKey.generate_key(2048, {"kid": "one"}))),
    ("its own key brought along", lambda issuer: issuer.token(rsa("evil"), {"jwk": rsa("evil").as_dict(private=False)})),
    ("its own key, and the kid of ours", lambda issuer: issuer.token(rsa("evil"), {"kid": "one", "jwk": rsa("evil").as_dict(private=False)})),
    ("jku", lambda issuer: issuer.token(header={"jku": "http://127.0.0.1:1/keys"})),
    ("x5u", lambda issuer: issuer.token(header={"x5u": "http://127.0.0.1:1/cert"})),
    ("x5c", lambda issuer: issuer.token(header={"x5c": ["MIIB"]})),
    ("crit", lambda issuer: issuer.token(header={"crit": ["b64"], "b64": True})),
    ("a kid that is a path", lambda issuer: issuer.token(header={"kid": "../../../dev/null"})),
    ("a kid that is SQL", lambda issuer: issuer.token(header={"kid": "' OR 1=1 --"})),
    ("another algorithm of the same key", lambda issuer: issuer.token(header={"alg": "RS512"})),
    ("an id token", lambda issuer: issuer.token(header={"typ": "JWT"})),
    ("no typ", lambda issuer: issuer.token(header={"typ": None})),
    ("a logout token", lambda issuer: issuer.token(header={"typ": "logout+jwt"})),
    ("for another service", lambda issuer: issuer.token(aud="https://other.example.com")),
    ("for nobody", lambda issuer: issuer.token(aud=None)),
    ("for an audience that begins so", lambda issuer: issuer.token(aud=AUDIENCE + ".evil.example")),
    ("another issuer", lambda issuer: issuer.token(iss="https://evil.example.com")),
    ("an issuer that begins so", lambda issuer: issuer.token(iss=issuer.url + "/")),
    ("no issuer", lambda issuer: issuer.token(iss=None)),
    ("claims changed", lambda issuer: _changed(issuer.token(scope="read"))),
    ("signature cut", lambda issuer: issuer.token()[:-4]),
)  # fmt: skip

LATE: Sequence[tuple[str, Any, str]] = (
    ("no end", lambda issuer: issuer.token(exp=None), "exp is missing"),
    ("ended", lambda issuer: issuer.token(exp=now() // 1000 - 61), "expired"),
    ("an end that is no time", lambda issuer: issuer.token(exp="tomorrow"), "exp is no time"),
    ("an end beyond all times", lambda issuer: issuer.token(exp=1e300), "exp is no time"),
    ("not begun", lambda issuer: issuer.token(nbf=now() // 1000 + 120), "nbf"),
    ("made tomorrow", lambda issuer: issuer.token(iat=now() // 1000 + 120), "iat"),
)


@pytest.mark.parametrize("cnf", [{"jkt": "thumbprint"}, {"x5t#S256": "thumbprint"}, {"jwk": {}}, {}, "x"])
async def test_t_22_a_bound_token_is_none(application: Application, issuer: OutsideIssuer, cnf: Any) -> None:
    """T-22: a token that is good only with a proof (DPoP, client certificates) is not taken as if it were good without."""
    await known(application, issuer)
    assert (await asked(application, issuer.token())).status == 200
    refused = await asked(application, issuer.token(cnf=cnf))
    assert refused.status == 401
    assert "cnf" in refused.json["detail"]


@pytest.mark.parametrize(("what", "forge"), FORGED, ids=[each[0] for each in FORGED])
async def test_t_05_forged_tokens(
    application: Application, issuer: OutsideIssuer, what: str, forge: Any
) -> None:
    """Each is refused in the very words for a token that nobody ever made; the one they are made from is taken."""
    await known(application, issuer)
    assert (await asked(application, issuer.token())).status == 200, what
    refused = await asked(application, forge(issuer))
    unknown = await asked(application, tokens.new_token()[0])
    assert (refused.status, refused.body, refused.headers) == (401, unknown.body, unknown.headers)
    assert refused.headers["www-authenticate"] == 'Bearer realm="rollbook", error="invalid_token"'


@pytest.mark.parametrize(("what", "make", "says"), LATE, ids=[each[0] for each in LATE])
async def test_t_05_out_of_time(
    application: Application, issuer: OutsideIssuer, what: str, make: Any, says: str
) -> None:
    """Who has a token of the issuer is told what is wrong with it."""
    await known(application, issuer)
    refused = await asked(application, make(issuer))
    assert (refused.status, says in refused.json["detail"]) == (401, True), (what, refused.body)


async def test_t_05_clocks_may_differ(application: Application, issuer: OutsideIssuer) -> None:
    """Half a minute too late or too early is in time."""
    await known(application, issuer)
    seconds = now() // 1000
    fine = [issuer.token(exp=seconds - 30), issuer.token(nbf=seconds + 30), issuer.token(iat=seconds + 30)]
    assert [(await asked(application, token)).status for token in fine] == [200, 200, 200]


async def test_t_05_a_remembered_token_ends_with_its_time(
    application: Application, issuer: OutsideIssuer
) -> None:
    """What was found right a moment ago is refused once it has ended."""
    await known(application, issuer)
    token = issuer.token()
    found = await application.verifier.verify(token, now())
    assert found.expires is not None
    assert await application.verifier.verify(token, now()) == found
    with pytest.raises(Exception, match="expired"):
        await application.verifier.verify(token, found.expires)


async def test_t_05_keys_of_an_issuer_are_its_own(application: Application, issuer: OutsideIssuer) -> None:
    """Two tenants with two issuers whose keys have the same id: each opens its own tenant, and nothing of the other."""
    care = TenantCare(application.store, application.tenants)
    acme = await care.create("acme", now())
    brett = await care.create("brett", now())
    with outside.outside_issuer(keys=[RSAKey.generate_key(2048, {"kid": "one"})]) as other:
        await known(application, issuer, acme.number)
        await known(application, other, brett.number)
        a, b = "/t/acme/scim/v2/Users", "/t/brett/scim/v2/Users"
        assert [(await asked(application, issuer.token(), "GET", path)).status for path in (a, b)] == [
            200,
            404,
        ]
        assert [(await asked(application, other.token(), "GET", path)).status for path in (a, b)] == [
            404,
            200,
        ]
        # signed by the one in the name of the other
        crossed = other.token(other.keys[0], iss=issuer.url)
        assert [(await asked(application, crossed, "GET", path)).status for path in (a, b)] == [401, 401]


async def test_t_10_one_issuer_for_two_tenants(application: Application, issuer: OutsideIssuer) -> None:
    """The audience says which; a token for both is for neither, and two tenants cannot share one."""
    acme = await TenantCare(application.store, application.tenants).create("acme", now())
    await known(application, issuer)
    await known(application, issuer, acme.number, audience="acme")
    paths = (USERS, "/t/acme/scim/v2/Users", "/t/nobody/scim/v2/Users")
    answers = [
        [(await asked(application, issuer.token(aud=aud), "GET", path)).status for path in paths]
        for aud in (AUDIENCE, "acme")
    ]
    assert answers == [[200, 404, 404], [404, 200, 404]]
    assert (await asked(application, issuer.token(aud=[AUDIENCE, "acme"]))).status == 401
    assert (await asked(application, issuer.token(aud=[AUDIENCE, "elsewhere"]))).status == 200
    with pytest.raises(Uniqueness, match="audience of its own"):
        await known(application, issuer, acme.number, name="second")


async def test_t_10_another_tenants_token_finds_nothing(
    application: Application, issuer: OutsideIssuer
) -> None:
    """It is answered at a tenant as at one that there is not, byte for byte."""
    await TenantCare(application.store, application.tenants).create("acme", now())
    await known(application, issuer)
    token = issuer.token()
    real = await asked(application, token, "GET", "/t/acme/scim/v2/Users")
    invented = await asked(application, token, "GET", "/t/nobody/scim/v2/Users")
    assert (real.status, real.body, real.headers) == (404, invented.body, invented.headers)


async def test_t_07_an_unknown_key_is_asked_for_once_a_minute(
    application: Application, issuer: OutsideIssuer
) -> None:
    """A key that is new is found at once, if the last look was a minute ago; what strangers invent costs no more calls."""
    clock = await known(application, issuer)
    assert (await asked(application, issuer.token())).status == 200
    for _ in range(20):
        assert (await asked(application, issuer.token(header={"kid": "invented"}))).status == 401
    assert issuer.asked.count("/keys") == 1
    clock.at += FLOOR_SECONDS
    issuer.keys = [rsa("new"), rsa("one")]
    assert (await asked(application, issuer.token())).status == 200
    assert (await asked(application, issuer.token(rsa("one")))).status == 200
    assert issuer.asked.count("/keys") == 2


async def test_t_07_whoever_asks_meanwhile_waits(issuer: OutsideIssuer) -> None:
    """Of many tokens at once one asks the issuer, all are taken; and if that one's client leaves, the others are, too."""
    begun, asked = asyncio.Event(), 0
    document = {"keys": [key.as_dict(private=False) for key in issuer.keys]}

    async def slowly(_: Issuer) -> key_sets.KeySet:
        nonlocal asked
        asked += 1
        begun.set()
        await asyncio.sleep(0.05)
        return key_sets.read_keys(document)

    sets = KeySets(fetch=slowly)
    about = Issuer(1, "login", issuer.url, AUDIENCE)
    identifier = str(document["keys"][0]["kid"])
    first = asyncio.create_task(sets.key(about, identifier, "RS256"))
    await begun.wait()
    others = [asyncio.create_task(sets.key(about, identifier, "RS256")) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    assert all([await each is not None for each in others])
    assert asked == 1


async def test_t_07_a_removed_key_stops(application: Application, issuer: OutsideIssuer) -> None:
    """Ten minutes after it was taken away at the latest."""
    clock = await known(application, issuer)
    old = issuer.token()
    assert (await asked(application, old)).status == 200
    issuer.keys = [rsa("new")]
    clock.at += FRESH_SECONDS - 1
    assert (await asked(application, old)).status == 200
    clock.at += 1
    assert (await asked(application, old)).status == 401


@pytest.mark.parametrize(
    "fails", [outside.huge, outside.broken, outside.elsewhere("/keys")], ids=["huge", "broken", "redirect"]
)
async def test_t_07_known_keys_go_on(application: Application, issuer: OutsideIssuer, fails: Any) -> None:
    """While the issuer has no sensible answer its known keys are used, for a day; then its tokens are refused, till it is back."""
    clock = await known(application, issuer)
    token = issuer.token()
    assert (await asked(application, token)).status == 200
    issuer.fails = fails
    clock.at += LIMIT_SECONDS
    assert (await asked(application, token)).status == 200
    clock.at += FLOOR_SECONDS
    before = len(issuer.asked)
    assert (await asked(application, token)).status == 401
    assert len(issuer.asked) > before
    issuer.fails = None
    clock.at += FLOOR_SECONDS
    assert (await asked(application, token)).status == 200


@pytest.mark.parametrize(
    "fails",
    [outside.huge, outside.broken, outside.elsewhere("/keys"), outside.slow],
    ids=["huge", "broken", "redirect", "slow"],
)
async def test_t_07_without_keys_nobody_is_let_in(
    application: Application, issuer: OutsideIssuer, fails: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An issuer that was never reached: refused in the usual words, and asked again soon."""
    monkeypatch.setattr(key_sets, "FETCH_SECONDS", 0.3)
    clock = await known(application, issuer)
    issuer.fails = fails
    refused = await asked(application, issuer.token())
    assert (refused.status, refused.body) == (401, (await asked(application, tokens.new_token()[0])).body)
    issuer.fails = None
    assert (await asked(application, issuer.token())).status == 401
    clock.at += key_sets.FIRST_FLOOR_SECONDS
    assert (await asked(application, issuer.token())).status == 200


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://other.example.com"},
        {"jwks_uri": "http://169.254.169.254/latest/meta-data"},
        {"jwks_uri": "https://169.254.169.254/latest/meta-data"},
        {"jwks_uri": "https://10.0.0.7/keys"},
        {"jwks_uri": "https://localhost/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": 7},
    ],
    ids=str,
)
async def test_t_07_metadata_lead_nowhere_inside(
    application: Application, issuer: OutsideIssuer, metadata: dict[str, Any]
) -> None:
    """Metadata of another issuer are none, and what they name is asked only where calls may go."""
    issuer.metadata = metadata
    await known(application, issuer)
    token = issuer.token()
    assert (await asked(application, token)).status == 401
    assert application.verifier.outside is not None
    with pytest.raises(InvalidValue, match="issuer"):
        await application.verifier.outside.judged(token, 1, now())


async def test_t_07_a_name_of_an_inner_network(application: Application, issuer: OutsideIssuer) -> None:
    """An issuer whose name leads inside is asked only if whoever runs the server says so."""
    await known(application, issuer, url="https://ip6-localhost", name="inner")
    token = issuer.token(iss="https://ip6-localhost")
    assert (await asked(application, token)).status == 401
    assert issuer.asked == []


async def test_a_file_of_keys(application: Application, issuer: OutsideIssuer) -> None:
    """With keys of a file the issuer is never asked, and nobody's token makes work of reading them."""
    keys = json.dumps({"keys": [rsa("one").as_dict(private=False), {"kty": "oct", "k": "AAAA"}]})
    await known(application, issuer, keys=keys)
    before = key_sets.keys_of.cache_info().misses
    assert (await asked(application, issuer.token())).status == 200
    assert (
        await asked(application, issuer.token(header={"kid": None}))
    ).status == 200  # there is one key only
    assert (await asked(application, issuer.token(rsa("evil")))).status == 401
    assert issuer.asked == []
    assert key_sets.keys_of.cache_info().misses <= before + 1  # they are read once, whoever asks


UNUSABLE: Sequence[tuple[str, dict[str, Any]]] = (
    ("for encryption", rsa("one").as_dict(private=False) | {"use": "enc"}),
    ("of another algorithm", rsa("one").as_dict(private=False) | {"alg": "PS256"}),
    ("private", rsa("one").as_dict(private=True)),
    ("small", {"kty": "RSA", "kid": "one", "n": "x" * 171, "e": "AQAB"}),
    ("shared", {"kty": "oct", "kid": "one", "k": "AAAA"}),
    ("broken", {"kty": "RSA", "kid": "one", "n": 7, "e": "AQAB"}),
    ("of another curve", ec("one").as_dict(private=False)),
)


@pytest.mark.parametrize(("what", "said"), UNUSABLE, ids=[each[0] for each in UNUSABLE])
def test_t_05_keys_that_are_of_no_use(what: str, said: dict[str, Any]) -> None:
    """A set may have any keys; only public ones for signatures of that algorithm are used."""
    assert key_sets.pick(key_sets.read_keys({"keys": [said]}), "one", "RS256") is None, what


SCOPES: Sequence[tuple[dict[str, Any], dict[str, Any], Rights | None]] = (
    ({}, {"scope": "write"}, ALL),
    ({}, {"scope": "read"}, Rights(writes=False)),
    ({}, {"scp": ["read", "users"]}, Rights(writes=False, types=frozenset({"User"}))),
    ({}, {"scp": "openid write type:Device"}, Rights(types=frozenset({"Device"}))),
    ({}, {"scope": "openid profile"}, None),
    ({}, {"scope": "users"}, None),
    ({}, {"scope": {"write": True}}, None),
    ({}, {"roles": ["write"]}, None),
    ({"claims": ("roles",)}, {"roles": ["write"], "scope": "read"}, ALL),
    ({"words": {"SCIM.Read": "read users"}}, {"scope": "SCIM.Read write"}, Rights(writes=False, types=frozenset({"User"}))),
    ({"rights": Rights(writes=False)}, {"scope": "write"}, Rights(writes=False)),
    ({"rights": Rights(types=frozenset({"User"}))}, {"scope": "write groups"}, None),
    ({"rights": Rights(types=frozenset({"User", "Group"}))}, {"scope": "write groups"}, Rights(types=frozenset({"Group"}))),
    ({"rights": Rights(within='userType eq "x"', profile="rfc")}, {"scope": "read"}, Rights(writes=False, within='userType eq "x"', profile="rfc")),
)  # fmt: skip


@pytest.mark.parametrize(("told", "claims", "expected"), SCOPES, ids=map(str, range(len(SCOPES))))
def test_t_09_what_a_token_may_do(
    told: dict[str, Any], claims: dict[str, Any], expected: Rights | None
) -> None:
    """What its claims say, in our words or in those mapped, and never more than was said of the issuer."""
    assert Issuer(1, "idp", "https://x", "a", **told).granted(claims) == expected


async def test_t_09_scopes_act(application: Application, issuer: OutsideIssuer) -> None:
    """A token to read does not write; one without any scope of ours is told what is missing (A-58)."""
    await known(application, issuer)
    refused = await asked(application, issuer.token(scope="read"), "POST", USERS, user("ann"))
    assert refused.status == 403
    assert (
        refused.headers["www-authenticate"]
        == 'Bearer realm="rollbook", error="insufficient_scope", scope="write"'
    )
    refused = await asked(application, issuer.token(scope="openid"))
    assert refused.status == 403
    assert refused.headers["www-authenticate"].endswith('error="insufficient_scope", scope="read write"')
    assert (await asked(application, issuer.token(scope="read"))).status == 200


@asynccontextmanager
async def _people(application: Application, issuer: OutsideIssuer) -> AsyncIterator[dict[str, str]]:
    await known(application, issuer, name="admin", audience="admin")
    ids = {}
    for name in ("ann", "bob"):
        made = await asked(
            application, issuer.token(aud="admin"), "POST", USERS, user(name, externalId=name.upper())
        )
        ids[name] = made.json["id"]
    yield ids


@pytest.mark.parametrize(("attribute", "value"), [("userName", "Ann"), ("externalId", "ANN"), ("id", "")])
async def test_me_is_whom_a_claim_names(
    application: Application, issuer: OutsideIssuer, attribute: str, value: str
) -> None:
    """A token for people reads its own user and nobody else; one for nobody here finds no /Me (A-59)."""
    async with _people(application, issuer) as ids:
        await known(application, issuer, user_claim="email", user_attribute=attribute)
        token = issuer.token(email=value or ids["ann"])
        assert (await asked(application, token, "GET", f"{BASE}/Me")).json["id"] == ids["ann"]
        assert (await asked(application, token, "GET", f"{USERS}/{ids['bob']}")).status == 403
        assert (await asked(application, token)).status == 403
        for nobody in ("zoe", "", None, 7, "\uff41nn", 'x" or userName pr or userName eq "'):
            token = issuer.token(email=nobody)
            assert (await asked(application, token, "GET", f"{BASE}/Me")).status == 404
            assert (await asked(application, token)).status == 403
            assert (await asked(application, token, "GET", BASE)).status == 403


async def test_t_39_who_is_switched_off(application: Application, issuer: OutsideIssuer) -> None:
    """A token for somebody whose user is switched off opens nothing, however long the issuer lets it live."""
    async with _people(application, issuer) as ids:
        await known(application, issuer, user_claim="sub")
        token = issuer.token(sub="ann")
        assert (await asked(application, token, "GET", f"{BASE}/Me")).status == 200
        admin = issuer.token(aud="admin")
        off = {
            "schemas": [urns.PATCH_OP],
            "Operations": [{"op": "replace", "path": "active", "value": False}],
        }
        assert (await asked(application, admin, "PATCH", f"{USERS}/{ids['ann']}", off)).status == 200
        assert (await AsgiCaller(application.asgi, token)("GET", f"{BASE}/Me")).status == 401


async def test_t_14_an_issuer_that_is_removed(application: Application, issuer: OutsideIssuer) -> None:
    """Its tokens write nothing more at once, though this process has not looked yet, and read nothing after a second."""
    await known(application, issuer)
    call = AsgiCaller(application.asgi, issuer.token())
    assert (await call("POST", USERS, user("ann"))).status == 201
    assert await SqlIssuers(application.store.database).remove(1, "idp")
    assert (await call("POST", USERS, user("bob"))).status == 401
    assert (await call("GET", USERS)).status == 401


async def test_deleting_a_tenant_takes_its_issuers(application: Application, issuer: OutsideIssuer) -> None:
    """With the first step of the deletion nobody is let in by them any more."""
    care = TenantCare(application.store, application.tenants)
    acme = await care.create("acme", now())
    await known(application, issuer, acme.number)
    await application.tenants.delete(acme.number)
    assert list(await SqlIssuers(application.store.database).of_url(issuer.url)) == []


async def test_a_long_token_is_none(application: Application, issuer: OutsideIssuer) -> None:
    """Names of a few hundred groups fit; 64 kB are refused before anything is read (T-02)."""
    await known(application, issuer)
    assert (await asked(application, issuer.token(groups=["g" * 30] * 200))).status == 200
    assert (await asked(application, issuer.token(groups=["g" * 30] * 2000))).status == 401


async def test_own_finecost_what_they_did(application: Application, issuer: OutsideIssuer) -> None:
    """A request with one of our own tokens takes the same statements with issuers and without."""
    text = await tokens.issue(application.store, 1, "own", now=now(), expires=None)
    before = await _statements(application, text)
    await known(application, issuer)
    assert await _statements(application, text) == before
    seen: list[str] = []
    jwt = issuer.token()
    await asked(application, jwt)
    _trace(application, seen)
    await asked(application, jwt)
    assert [sql for sql in seen if "issuer" in sql] == []  # remembered; with keys, for ten minutes


async def _statements(application: Application, token: str) -> list[str]:
    seen: list[str] = []
    await asked(application, token)
    _trace(application, seen)
    await asked(application, token)
    _trace(application, None)
    return seen


def _trace(application: Application, seen: list[str] | None) -> None:
    connection: apsw.Connection = application.store.database._near._apsw  # type: ignore[attr-defined]

    def note(_cursor: apsw.Cursor, sql: str, _bindings: object) -> bool:
        if seen is not None:
            seen.append(sql)
        return True

    connection.set_exec_trace(None if seen is None else note)


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"url": "http://login.example.com"}, "https://"),
        ({"url": "https://user@login.example.com"}, "write a URL"),
        ({"url": "login"}, "write a URL"),
        ({"url": "https://[x"}, "no URL"),
        ({"algorithms": ("HS256",)}, "RS256"),
        ({"algorithms": ("none",)}, "RS256"),
        ({"algorithms": ()}, "RS256"),
        ({"types": ("id+jwt",)}, "JWT, none"),
        ({"audience": ""}, "--audience"),
        ({"name": "a b"}, "a name has"),
        ({"user_attribute": "nickName"}, "userName"),
        ({"words": {"x": "everything"}}, "read, write"),
        ({"jwks": "https://x/keys", "keys": "{}"}, "one of them"),
    ],
    ids=str,
)
def test_what_cannot_be_said_of_an_issuer(about: dict[str, Any], says: str) -> None:
    """Each mistake names its option and what would do."""
    issuer = replace(Issuer(1, "idp", "https://login.example.com", "a"), **about)
    with pytest.raises(InvalidValue, match=says):
        checked(issuer, core_catalog())


def test_words_that_are_mapped() -> None:
    """The last = parts, since a word of somebody else may have some."""
    assert read_words(["https://x/?a=b=read users"]) == {"https://x/?a=b": "read users"}
    with pytest.raises(InvalidValue, match="WORD=SCOPE"):
        read_words(["read"])


async def test_looks_by_an_index(application: Application) -> None:
    """Ten thousand tenants' issuers cost no more."""
    for sql, values in ((OF_URL, ("x",)), (OF_TENANT, (1,)), (OTHER, ("x", "y", 1, "z"))):
        explain = partial(_plan, sql, values)
        plan = await application.store.database.read(explain)
        assert all("SEARCH" in str(row) for row in plan), plan


def _plan(sql: str, values: tuple[Any, ...], connection: Connection) -> Sequence[Any]:
    return connection.all(f"EXPLAIN QUERY PLAN {sql}", values)
