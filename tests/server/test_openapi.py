"""/openapi.json over HTTP: it says what the server does, neither less nor more."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.courses import DEFINITIONS
from tests.server.conftest import TOKEN, Told

from rollbook.app import Application, build, now
from rollbook.operations import tokens
from rollbook.operations.discovery import service_provider_config
from rollbook.operations.tenant_care import TenantCare
from rollbook.operations.tenant_settings import Limits, TenantSettings, read_settings
from rollbook.protocol.catalog import build_catalog, core_catalog
from rollbook.protocol.openapi import Service, document
from rollbook.server.routes import routed
from rollbook.settings import Settings
from rollbook.storage.sql.databases import open_store
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

BASE = "/scim/v2"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NOT_OFFERED = {405, 501}


@asynccontextmanager
async def serving(tmp_path: Path, *assignments: str) -> AsyncIterator[Application]:
    """A server with a resource type of our own, told some settings."""
    url = f"sqlite:///{tmp_path / 'openapi.db'}"
    settings = Settings(database=url, bootstrap_token=TOKEN, tenant=read_settings(assignments))
    store = open_store(url, build_catalog(DEFINITIONS))
    await store.open()
    application = await build(settings, store)
    yield application
    application.services.passwords.close()
    await store.close()


def routes(application: Application) -> set[str]:
    """The path of every route under the base URI, as OpenAPI writes it."""
    router: Any = routed(application.tenant.catalog, application.tenant.settings)
    while not hasattr(router, "routes"):
        router = router.app
    below = {route.path.removeprefix(BASE) for route in router.routes if route.path.startswith(BASE)}
    below.remove("/openapi.json")  # the document itself
    return {re.sub(r"\{(\w+):\w+\}", r"{\1}", path) or "/" for path in below}


@pytest.mark.parametrize(
    "assignments",
    [
        pytest.param((), id="default"),
        pytest.param(("off=patch,bulk,filter,sort,etag,change-password,me",), id="little"),
        pytest.param(("require-if-match=on", "open-discovery=off", "patch-answer=empty"), id="told"),
    ],
)
async def test_every_operation_is_described_and_no_other(
    tmp_path: Path, assignments: tuple[str, ...]
) -> None:
    """Each method of each route is in the document if the server offers it, and only then (P-3.2-06, P-4-10)."""
    async with serving(tmp_path, *assignments) as application:
        call = AsgiCaller(application.asgi, TOKEN)
        described = (await call("GET", "/openapi.json")).json["paths"]
        user = (await call("POST", f"{BASE}/Users", {"userName": "ann"})).json["id"]
        text = await tokens.issue(application.store, 1, "ann's", now=now(), expires=None, user=user)
        own = AsgiCaller(application.asgi, text)
        offered = set()
        for path in routes(application):
            for method in METHODS:
                caller = own if path == "/Me" else call
                answer = await caller(method, BASE + path.replace("{id}", "unknown"), {})
                if answer.status not in NOT_OFFERED:
                    offered.add((method, path))
    assert offered == {
        (method.upper(), path)
        for path, item in described.items()
        for method in item
        if method.upper() in METHODS
    }
    assert ("GET", "/Courses/{id}") in offered


async def test_is_open_like_discovery(anonymous: AsgiCaller, told: Told) -> None:
    """Without a token the document is there, unless discovery is closed (P-4-09)."""
    answer = await anonymous("GET", "/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json["paths"]["/Schemas"]["get"]["security"] == []
    call = await told("open-discovery=off")
    assert (await AsgiCaller(call.app)("GET", "/openapi.json")).status == 401
    closed = await call("GET", "/openapi.json")
    assert closed.status == 200
    assert "security" not in closed.json["paths"]["/Schemas"]["get"]


async def test_can_be_asked_again(anonymous: AsgiCaller) -> None:
    """A second request with the ETag is answered 304 (P-4-12)."""
    answer = await anonymous("GET", "/openapi.json")
    again = await anonymous("GET", "/openapi.json", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


async def test_names_the_base_it_was_asked_under(anonymous: AsgiCaller) -> None:
    """The server of the document is the base URI of the request, if that is allowed (A-46, T-50)."""
    for host, base in (("localhost:99", "http://localhost:99"), ("evil.example", "http://127.0.0.1:8080")):
        answer = await anonymous("GET", "/openapi.json", headers={"host": host})
        assert answer.json["servers"] == [{"url": base + BASE}]


async def test_cannot_be_written(call: AsgiCaller) -> None:
    """The document is the server's (405 with Allow)."""
    answer = await call("POST", "/openapi.json", {})
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_is_below_the_base_uri_too(anonymous: AsgiCaller) -> None:
    """Whoever has been given the SCIM base URI only finds the document there: the same one."""
    beside, below = [await anonymous("GET", path) for path in ("/openapi.json", f"{BASE}/openapi.json")]
    assert (below.status, below.body) == (200, beside.body)


async def test_i_08_each_tenant_has_its_own(application: Application) -> None:
    """A tenant's document and page are its own, by its schemas and base; another's token finds what an unknown name has."""
    care, at = TenantCare(application.store, application.tenants), now()
    made = await care.create("acme", at, documents=DEFINITIONS)
    other = await care.create("brett", at, settings=["open-discovery=on"])
    await application.live.follow()
    mine, theirs = [
        AsgiCaller(
            application.asgi,
            await tokens.issue(application.store, each.number, "t", now=at, expires=None),
        )
        for each in (made, other)
    ]
    for name in ("openapi.json", "scim/v2/openapi.json"):
        whole = (await mine("GET", f"/t/acme/{name}")).json
        OpenAPIV31SpecValidator(whole).validate()
        assert whole["servers"] == [{"url": "http://localhost:8080/t/acme/scim/v2"}]
        assert "/Courses" in whole["paths"]
        assert "/Courses" not in (await theirs("GET", f"/t/brett/{name}")).json["paths"]
    for name in ("openapi.json", "docs", "scim/v2/openapi.json"):
        for token, status in ((None, 401), ("wrong", 401), (theirs.token, 404)):
            answers = [
                await AsgiCaller(application.asgi, token)("GET", f"/t/{tenant}/{name}")
                for tenant in ("acme", "nobody")
            ]
            assert [each.status for each in answers] == [status, status]
            assert answers[0].body == answers[1].body
        assert (await AsgiCaller(application.asgi)("GET", f"/t/brett/{name}")).status == 200


@pytest.mark.parametrize(
    ("types", "known"),
    [(["oauthbearertoken"], ["bearer"]), (["oauth2", "httpbasic"], ["bearer", "basic"])],
)
def test_security_is_what_is_announced(types: list[str], known: list[str]) -> None:
    """The ways to authenticate in the document are those of ServiceProviderConfig (P-4-10)."""
    config = service_provider_config(TenantSettings(), Limits(), BASE)
    config["authenticationSchemes"] = [{"type": each} for each in types]
    whole = document(Service(BASE, "1", core_catalog(), config))
    assert list(whole["components"]["securitySchemes"]) == known
    assert whole["security"] == [{name: []} for name in known]
    OpenAPIV31SpecValidator(whole).validate()
