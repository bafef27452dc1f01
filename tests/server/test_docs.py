"""/docs: the OpenAPI document as a page, whole and harmless by itself."""

import base64
import hashlib
import re
from html import unescape

import pytest
from tests.courses import DEFINITIONS
from tests.server.conftest import Told

from rollbook.server.docs import render
from rollbook.server.edge import secured
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

MARKER = "<script>alert(1)</script>\"'"


def links(page: str) -> set[str]:
    """Whatever the page refers to."""
    return {
        unescape(found)
        for found in re.findall(r"""(?:href|src|action|url)\s*[=(]\s*["']?([^"'\s>)]+)""", page)
    }


async def test_everything_described_is_on_the_page(told: Told) -> None:
    """Each operation and each schema of the document has its place there, those of own resource types too."""
    call = await told(definitions=DEFINITIONS)
    answer = await call("GET", "/docs")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = answer.body.decode()
    document = (await call("GET", "/openapi.json")).json
    anchors = re.findall(r'id="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    operations = {
        operation["operationId"]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    }
    assert operations | {f"schema-{name}" for name in document["components"]["schemas"]} <= set(anchors)
    assert "createCourse" in operations
    for name in ("userName", "familyName", "password"):
        assert f">{name}</code>" in page
    assert "write only" in page


async def test_asks_for_nothing_else(call: AsgiCaller) -> None:
    """No script, no form, no address but places of its own and the document: it works offline, and sends nothing (T-77)."""
    page = (await call("GET", "/docs")).body.decode()
    anchors = {f"#{name}" for name in re.findall(r'id="([^"]+)"', page)}
    assert links(page) <= anchors | {"openapi.json"}
    assert not re.search(r"<(script|form|iframe|img|link|object|embed)|\son\w+=|\sstyle=", page)
    assert "@import" not in page


async def test_its_policy_admits_its_style_only(call: AsgiCaller) -> None:
    """The one style has the hash that the policy names; the policy is the page's own also at the edge."""
    answer = await call("GET", "/docs")
    (style,) = re.findall(r"<style>(.*?)</style>", answer.body.decode(), re.DOTALL)
    known = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert f"style-src 'sha256-{known}';" in policy
    assert policy.startswith("default-src 'none';")
    given = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    sent = [value for name, value in secured(given, "http") if name == b"content-security-policy"]
    assert sent == [policy.encode()]


def test_t_77_what_schemas_say_is_text() -> None:
    """Names and descriptions that somebody wrote into a schema are shown as they are, never as markup."""
    operation = {
        "operationId": "x", "summary": MARKER, "description": MARKER, "tags": [MARKER], "responses": {"200": {"description": MARKER}},
        "parameters": [{"name": MARKER, "in": "query", "description": MARKER, "schema": {"enum": [MARKER]}}],
    }  # fmt: skip
    schema = {
        "description": MARKER,
        "properties": {MARKER: {"type": MARKER, "description": MARKER, "examples": [MARKER]}},
    }
    page = render(
        {
            "info": {"title": MARKER, "version": MARKER, "description": MARKER},
            "servers": [{"url": MARKER}],
            "paths": {f"/{MARKER}": {"get": operation}},
            "components": {"securitySchemes": {"bearer": {"scheme": "bearer"}}, "schemas": {MARKER: schema}},
        },
        "openapi.json",
    ).decode()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 12


async def test_is_open_like_discovery(anonymous: AsgiCaller, told: Told) -> None:
    """Without a token the page is there, unless discovery is closed (A-61)."""
    answer = await anonymous("GET", "/docs", headers={"accept": "text/html,*/*;q=0.8"})
    assert answer.status == 200
    again = await anonymous("GET", "/docs", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert (await anonymous("HEAD", "/docs")).body == b""
    call = await told("open-discovery=off")
    assert (await AsgiCaller(call.app)("GET", "/docs")).status == 401
    assert (await call("GET", "/docs")).status == 200
