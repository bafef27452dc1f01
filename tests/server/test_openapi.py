"""/openapi.json over HTTP: it says what the server does, neither less nor more."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.courses import DEFINITIONS
from tests.server.conftest import TOKEN, Told

from rollbook.app import Application, build, now
from rollbook.operations import tokens
from rollbook.operations.tenant_settings import read_settings
from rollbook.protocol.catalog import build_catalog
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
