"""What stands around the server: headers of every answer, proxies, allow lists, wrong credentials."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.routing import Route
from tests.server.conftest import TOKEN, Told
from tests.server.test_tenants import customer

from rollbook.app import Application
from rollbook.operations.networks import read_networks
from rollbook.protocol.errors import InvalidValue
from rollbook.server.certificates import CERTIFICATE, Certificate, client_certificate
from rollbook.server.edge import STALLED_SECONDS, Edge, secured
from rollbook.server.limits import FailedLogins
from rollbook.server.peers import peer, settle
from rollbook.server.requests import AsgiApp, Receive, Scope, Send
from rollbook.server.routes import PATH, tenant_routes
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

PROXY, STRANGER = "10.0.0.1", "203.0.113.9"
TRUSTED = read_networks("10.0.0.0/8")


def scope_of(sender: str, *headers: tuple[str, str]) -> Scope:
    """A request from an address."""
    pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return {
        "type": "http",
        "scheme": "http",
        "client": (sender, 1),
        "headers": [(b"host", b"inner:8080"), *pairs],
    }


FOR, HOST, PROTO = "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(FOR, "198.51.100.7")], "198.51.100.7"),
        ([(FOR, "6.6.6.6, 198.51.100.7")], "198.51.100.7"),
        ([(FOR, "6.6.6.6"), (FOR, "198.51.100.7")], "198.51.100.7"),
        ([(FOR, "198.51.100.7, 10.0.0.9")], "198.51.100.7"),
        ([(FOR, "198.51.100.7:4711")], "198.51.100.7"),
        ([(FOR, "[2001:db8::1]:4711")], "2001:db8::1"),
        ([(FOR, "2001:db8::1")], "2001:db8::1"),
        ([(FOR, "6.6.6.6, nonsense")], PROXY),
        ([(FOR, "")], PROXY),
        ([(FOR, "10.0.0.9")], "10.0.0.9"),
        ([("Forwarded", 'for=6.6.6.6, for="[2001:db8::1]:47";proto=https')], "2001:db8::1"),
        ([("Forwarded", "for=_hidden")], PROXY),
        ([("Forwarded", "For=198.51.100.7"), (FOR, "6.6.6.6")], "198.51.100.7"),
        ([("X-Real-IP", "6.6.6.6")], PROXY),
    ],
)
def test_t_06_who_asks_behind_a_trusted_proxy(headers: list[tuple[str, str]], expected: str) -> None:
    """The last address that is no proxy's: what stands before it is the client's own invention."""
    scope = scope_of(PROXY, *headers)
    settle(scope, TRUSTED)
    assert peer(scope) == expected


FORGED = [
    (FOR, "10.0.0.1"),
    (HOST, "evil.example"),
    (PROTO, "https"),
    ("X-Forwarded-Prefix", "/x"),
    ("Forwarded", "for=10.0.0.1;host=evil.example;proto=https"),
    ("X-Real-IP", "10.0.0.1"),
    ("X-Remote-User", "admin"),
    ("Client-Cert", ":AAAA:"),
    ("X-Forwarded-Client-Cert", "Cert=x"),
]


@pytest.mark.parametrize("trusted", [(), TRUSTED], ids=["nobody", "others"])
def test_t_06_from_a_stranger_nothing_is_believed(trusted: Any) -> None:
    """Address, scheme, host and certificate stay those of the connection, and nobody behind sees the headers."""
    scope = scope_of(STRANGER, *FORGED)
    settle(scope, trusted)
    assert peer(scope) == STRANGER
    assert scope["scheme"] == "http"
    assert scope["headers"] == [(b"host", b"inner:8080")]
    assert client_certificate(scope) is None


def test_t_06_by_default_nobody_is_trusted() -> None:
    """Not even this machine."""
    scope = scope_of("127.0.0.1", *FORGED)
    settle(scope, ())
    assert peer(scope) == "127.0.0.1"


def test_scheme_and_host_from_a_trusted_proxy() -> None:
    """They stand where the server looks for them; a host that is none is not taken."""
    scope = scope_of(PROXY, (PROTO, "https"), (HOST, "scim.example.com"))
    settle(scope, TRUSTED)
    assert scope["scheme"] == "https"
    assert scope["headers"] == [(b"host", b"scim.example.com")]
    scope = scope_of(PROXY, (PROTO, "gopher"), (HOST, "a b"))
    settle(scope, TRUSTED)
    assert (scope["scheme"], scope["headers"]) == ("http", [(b"host", b"inner:8080")])


def test_one_address_has_one_form() -> None:
    """A socket for both kinds of addresses shows an IPv4 one as what it is."""
    scope = scope_of("::ffff:10.0.0.1", (FOR, "198.51.100.7"))
    settle(scope, TRUSTED)
    assert peer(scope) == "198.51.100.7"
    assert peer(scope_of("::ffff:192.0.2.1")) == "192.0.2.1"
    assert peer({"client": None}) == ""


def test_a_network_that_is_none_is_told() -> None:
    """Bits after the prefix are a mistake, not rounded away."""
    with pytest.raises(InvalidValue, match="has host bits set"):
        read_networks("10.0.0.1/8")


# Client certificates


def certificate(subject: str, issuer: str) -> bytes:
    """A certificate in PEM form."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


PEM = certificate("okta", "Our CA")
DER = x509.load_pem_x509_certificate(PEM).public_bytes(serialization.Encoding.DER)
PLAIN = base64.b64encode(DER).decode()
FORMS = {
    "RFC 9440": ("Client-Cert", f":{PLAIN}:"),
    "nginx": ("X-Client-Cert", quote(PEM.decode(), safe="")),
    "nginx ingress": ("ssl-client-cert", quote(PEM.decode())),
    "Envoy": (
        "X-Forwarded-Client-Cert",
        f'Hash=6;Cert="{quote(certificate("other", "x").decode())}",By=u;Hash=5;Cert="{quote(PEM.decode(), safe="")}";Subject="CN=a,b"',
    ),
    "Caddy": ("X-Client-Certificate", PLAIN),
}


def shown(sender: str, *headers: tuple[str, str]) -> Certificate | None:
    """The certificate of a request, as the server sees it."""
    scope = scope_of(sender, *headers)
    settle(scope, TRUSTED)
    return client_certificate(scope)


@pytest.mark.parametrize("form", FORMS)
def test_t_20_certificates_in_the_forms_of_proxies(form: str) -> None:
    """A trusted proxy's header says which certificate the client showed; a stranger's says nothing."""
    found = shown(PROXY, FORMS[form])
    assert found is not None
    assert (found.subject, found.issuer) == ("CN=okta", "CN=Our CA")
    assert found.holds_at(round(datetime.now(UTC).timestamp() * 1000))
    assert not found.holds_at(0)
    assert shown(STRANGER, FORMS[form]) is None


@pytest.mark.parametrize("form", FORMS)
def test_t_20_the_certificate_of_a_connection(form: str) -> None:
    """It is its client's, whatever a header says; a trusted proxy's own is nobody's, and its header is whom it speaks for."""
    own = x509.load_pem_x509_certificate(certificate("own", "Our CA")).public_bytes(
        serialization.Encoding.DER
    )

    def subject(sender: str, *headers: tuple[str, str]) -> str | None:
        scope = {**scope_of(sender, *headers), CERTIFICATE: own}
        settle(scope, TRUSTED)
        found = client_certificate(scope)
        return None if found is None else found.subject

    assert subject(STRANGER) == subject(STRANGER, FORMS[form]) == "CN=own"
    assert subject(PROXY) is None
    assert subject(PROXY, FORMS[form]) == "CN=okta"
    assert subject(PROXY, ("X-Forwarded-For", STRANGER)) is None


def test_t_20_the_same_subject_from_another_ca_is_another() -> None:
    """What pins a certificate tells two apart that only have their subject in common."""
    ours = shown(PROXY, FORMS["Caddy"])
    forged = shown(PROXY, ("X-Client-Cert", quote(certificate("okta", "Other CA").decode())))
    assert ours is not None
    assert forged is not None
    assert ours.subject == forged.subject
    assert ours.issuer != forged.issuer
    assert ours.key_sha256 != forged.key_sha256


@pytest.mark.parametrize(
    "headers",
    [
        [("Client-Cert", ":AAAA:")],
        [("Client-Cert", "%%%")],
        [("Client-Cert", ":" + "A" * 20_000 + ":")],
        [FORMS["RFC 9440"], ("X-Client-Cert", quote(certificate("x", "y").decode()))],
        [FORMS["RFC 9440"], FORMS["RFC 9440"]],
    ],
    ids=["no certificate", "no base64", "too long", "two opinions", "twice"],
)
def test_t_20_what_is_no_certificate_is_none(headers: list[tuple[str, str]]) -> None:
    """Nor is anything that two headers disagree on."""
    assert shown(PROXY, *headers) is None


# Headers of answers


DESCRIBED = {
    "/openapi.json",
    *(f"{PATH}/{name}" for name in ("ServiceProviderConfig", "Schemas", "ResourceTypes")),
}
"""What says nothing of people."""


def edged(application: Application) -> AsgiCaller:
    """The server as it is served."""
    return AsgiCaller(Edge(application.asgi, TRUSTED), TOKEN)


async def test_every_answer_has_security_headers(application: Application) -> None:
    """Each route, each method, with and without a token, and what there is not: nosniff, no-store, a policy, no version."""
    call = edged(application)
    paths = [
        route.path.replace("{id:id}", "x")
        for route in tenant_routes(application.tenant.catalog, application.tenant.settings, PATH)
        if isinstance(route, Route)
    ]
    assert len(paths) > 8
    for caller in (call, AsgiCaller(call.app)):
        for path in [*paths, "/openapi.json", "/nowhere", "/t/x/scim/v2/Users"]:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
                answer = await caller(method, path)
                told = answer.headers
                assert told["x-content-type-options"] == "nosniff", (method, path)
                described = answer.status == 200 and path in DESCRIBED
                assert told["cache-control"] == ("max-age=60" if described else "no-store"), (method, path)
                assert "default-src 'none'" in told["content-security-policy"], (method, path)
                assert told["server"] == "rollbook", (method, path)
                assert "strict-transport-security" not in told, (method, path)


def test_https_is_to_stay() -> None:
    """Over TLS, browsers are told to come by TLS only; in clear text that would mean nothing."""
    assert b"strict-transport-security" in dict(secured([], "https"))
    assert b"strict-transport-security" not in dict(secured([], "http"))


def test_a_page_may_load_what_is_ours() -> None:
    """HTML gets a policy for pages; what an answer says itself stands."""
    page = dict(secured([(b"content-type", b"text/html; charset=utf-8")], "http"))
    assert b"script-src 'self'" in page[b"content-security-policy"]
    assert page[b"referrer-policy"] == b"no-referrer"
    own = dict(secured([(b"cache-control", b"max-age=60")], "http"))
    assert own[b"cache-control"] == b"max-age=60"


async def test_t_50_issued_uris_behind_a_proxy(application: Application) -> None:
    """They follow what a trusted proxy says of the scheme, if the host is one that is allowed; nobody else's word."""
    caller = AsgiCaller(_from(PROXY, Edge(application.asgi, TRUSTED)), TOKEN)
    config = "/scim/v2/ServiceProviderConfig"
    headers = {PROTO: "https", HOST: "localhost"}
    answer = await caller("GET", config, headers=headers)
    assert answer.json["meta"]["location"] == f"https://localhost{config}"
    forged = await AsgiCaller(_from(STRANGER, Edge(application.asgi, TRUSTED)))(
        "GET", config, headers=headers
    )
    assert forged.json["meta"]["location"] == f"http://localhost:8080{config}"
    evil = await caller("GET", config, headers={HOST: "evil.example"})
    assert "evil" not in evil.json["meta"]["location"]


def _from(address: str, app: AsgiApp) -> AsgiApp:
    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        scope["client"] = (address, 1)
        await app(scope, receive, send)

    return asked


# Allow lists


async def test_t_06_an_allow_list_is_not_passed_by_a_header(told: Told) -> None:
    """Who asks from outside is refused before anything else is looked at, whatever they claim to be."""
    inner = (await told("allow-from=192.0.2.0/24,2001:db8::/32")).app
    inside, outside = (AsgiCaller(_from(each, Edge(inner)), TOKEN) for each in ("192.0.2.5", STRANGER))
    assert (await inside("GET", "/scim/v2/Users")).status == 200
    answer = await outside("GET", "/scim/v2/Users")
    assert answer.status == 403
    assert answer.json["detail"] == "requests from this address are not answered here"
    nobody = await AsgiCaller(outside.app)("GET", "/scim/v2/Users", headers={FOR: "192.0.2.5"})
    assert (nobody.status, nobody.body) == (403, answer.body)
    behind = AsgiCaller(_from(PROXY, Edge(inner, TRUSTED)), TOKEN)
    assert (await behind("GET", "/scim/v2/Users", headers={FOR: "192.0.2.5"})).status == 200
    assert (await behind("GET", "/scim/v2/Users", headers={FOR: f"192.0.2.5, {STRANGER}"})).status == 403


# Wrong credentials, and whoever does not read


async def test_t_08_the_good_token_goes_on(application: Application) -> None:
    """After many wrong ones from an address, wrong ones wait there; a valid token from it does not."""
    call = AsgiCaller(Edge(application.asgi), TOKEN)
    guess = AsgiCaller(call.app, "wrong")
    loop = asyncio.get_running_loop()
    began = loop.time()
    guesses = [asyncio.create_task(guess("GET", "/scim/v2/Users")) for _ in range(14)]
    await asyncio.wait(guesses[:10])
    assert loop.time() - began < 0.9
    for _ in range(20):
        assert (await call("GET", "/scim/v2/Users")).status == 200
    assert loop.time() - began < 0.9
    assert not any(task.done() for task in guesses[10:])
    done = await guesses[10]
    assert done.status == 401
    assert loop.time() - began >= 0.9
    for task in guesses:
        task.cancel()


async def test_no_credential_is_no_guess(application: Application) -> None:
    """Requests without any are answered at once, however many."""
    failed = FailedLogins()
    nobody = AsgiCaller(Edge(application.asgi, (), failed))
    assert {(await nobody("GET", "/scim/v2/Users")).status for _ in range(30)} == {401}
    assert failed.wait("127.0.0.1", None) == 0


async def test_t_47_an_answer_that_nobody_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of a long answer that is not taken in time ends it; what is behind is freed."""
    monkeypatch.setattr("rollbook.server.edge.STALLED_SECONDS", 0.05)
    ended = []

    async def long(_scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        finally:
            ended.append(True)

    async def stuck(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await Edge(long)(scope_of(STRANGER), _nothing, stuck)
    assert ended
    assert STALLED_SECONDS == 30


async def _nothing() -> Any:
    return {}


@pytest.mark.parametrize("discovery", ["on", "off"])
async def test_an_allow_list_does_not_show_that_there_is_a_tenant(
    application: Application, discovery: str
) -> None:
    """From outside, a tenant with a list answers as one that there is not: with its own token, a wrong one, or none."""
    acme = await customer(application, "acme", "allow-from=192.0.2.0/24", f"open-discovery={discovery}")
    app = Edge(application.asgi)
    inside = AsgiCaller(_from("192.0.2.1", app), acme.call.token)
    assert (await inside("GET", "/t/acme/scim/v2/Users")).status == 200
    for token in (acme.call.token, "wrong", None):
        outside = AsgiCaller(_from(STRANGER, app), token)
        for path in ("Users", "Schemas", "nowhere"):
            real, invented = [
                await outside("GET", f"/t/{name}/scim/v2/{path}") for name in ("acme", "nobody")
            ]
            assert (real.status, real.headers, real.body) == (
                invented.status,
                invented.headers,
                invented.body,
            )
            assert real.status == (404 if token == acme.call.token else 401)


async def test_an_allow_list_of_a_tenant_with_a_host_name(application: Application) -> None:
    """From outside its host name is answered as any other that nobody has: by the default tenant."""
    acme = await customer(application, "acme", "allow-from=192.0.2.0/24", host="scim.acme.example")
    asked = ("GET", "/scim/v2/Users")
    inside = AsgiCaller(_from("192.0.2.1", application.asgi), acme.call.token)
    assert (await inside(*asked, headers={"host": "scim.acme.example"})).status == 200
    for token in (acme.call.token, TOKEN, None):
        outside = AsgiCaller(_from(STRANGER, application.asgi), token)
        real, invented = [
            await outside(*asked, headers={"host": host}) for host in ("scim.acme.example", "nobody.example")
        ]
        assert (real.status, real.body) == (invented.status, invented.body)
