"""RFC 7644 §3.1, §3.8, §3.12, §3.13: media types, schemas of messages, status codes, versions of the protocol."""

import logging
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import TOKEN, Told
from tests.spec.bodies import BASE, GROUPS, USERS, create, group, patch, refusal, replace, user, where

from rollbook.app import Application, now
from rollbook.operations import tokens
from rollbook.protocol import urns
from rollbook.testing.asgi import AsgiCaller, Response

pytestmark = pytest.mark.anyio

SEARCH = {"schemas": [urns.SEARCH_REQUEST], "filter": "userName pr"}


async def answers(call: AsgiCaller, anonymous: AsgiCaller) -> list[Response]:
    """Answers of every kind that have a body."""
    made = await create(call, USERS, user())
    staff = await create(call, GROUPS, group("staff", made["id"]))
    requests: list[tuple[str, str, Any]] = [
        ("POST", USERS, user("bob")), ("GET", where(made), None), ("GET", USERS, None), ("GET", f"{USERS}?count=0", None),
        ("GET", BASE, None), ("POST", f"{USERS}/.search", SEARCH), ("POST", f"{BASE}/.search", SEARCH),
        ("PUT", where(made), user("ann", title="x")), ("PATCH", where(made), replace("title", "y")),
        ("GET", where(staff), None), ("GET", f"{BASE}/ServiceProviderConfig", None), ("GET", f"{BASE}/Schemas", None),
        ("GET", f"{BASE}/Schemas/{urns.USER}", None), ("GET", f"{BASE}/ResourceTypes", None),
        ("GET", f"{BASE}/ResourceTypes/User", None), ("GET", f"{USERS}/nobody", None), ("GET", "/nowhere", None),
        ("POST", USERS, b"{"), ("DELETE", USERS, None), ("GET", f"{USERS}?filter=x", None), ("PUT", where(made), []),
        ("GET", f"{BASE}/Me", None), ("POST", USERS, user("bob")),
    ]  # fmt: skip
    found = [await call(method, path, body) for method, path, body in requests]
    return [*found, await anonymous("GET", USERS)]


@pytest.mark.spec("P-3.1-01", "P-3.1-02", "P-3.1-03", "S-06")
async def test_every_body(call: AsgiCaller, anonymous: AsgiCaller) -> None:
    """Every body is application/scim+json, says by `schemas` what it is, and holds no null."""
    found = await answers(call, anonymous)
    assert {answer.status for answer in found} >= {200, 201, 400, 401, 404, 405, 409, 501}
    for answer in found:
        assert answer.headers["content-type"] == "application/scim+json"
        body = answer.json
        for each in (body, *body.get("Resources", ())):
            assert each["schemas"]
            assert all(urn.startswith("urn:") for urn in each["schemas"])
        is_message = "Resources" in body or "detail" in body
        assert body["schemas"][0].startswith("urn:ietf:params:scim:api:") == is_message
        assert b":null" not in answer.body


@pytest.mark.spec("P-3.1-04")
async def test_messages_are_no_schemas(call: AsgiCaller) -> None:
    """No message schema is listed under /Schemas or found there."""
    listed = (await call("GET", f"{BASE}/Schemas")).json["Resources"]
    assert [schema["id"] for schema in listed if ":api:" in schema["id"]] == []
    for urn in urns.MESSAGES:
        assert (await call("GET", f"{BASE}/Schemas/{urn}")).status == 404


@pytest.mark.spec("P-3.1-06")
async def test_an_answer_shows_what_is_stored(call: AsgiCaller) -> None:
    """The answer shows canonical values as a later GET does, not what was sent."""
    sent = user("ann", ACTIVE="False", x509Certificates=[{"value": "AQ"}], emails={"value": "a@x"})
    made = await create(call, USERS, sent)
    assert made["active"] is False
    assert made["x509Certificates"] == [{"value": "AQ=="}]
    assert made["emails"] == [{"value": "a@x"}]
    assert (await call("GET", where(made))).json == made


@pytest.mark.spec("P-3.8-02", "P-3.8-03", "P-3.8-04")
@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "application/scim+json"),
        ("*/*", "application/scim+json"),
        ("application/scim+json", "application/scim+json"),
        ("application/*", "application/scim+json"),
        ("application/json, application/scim+json", "application/scim+json"),
        ("application/json", "application/json"),
        ("text/html, application/json;q=0.9", "application/json"),
    ],
)
async def test_accept(call: AsgiCaller, accept: str | None, content_type: str) -> None:
    """A-55: SCIM's own type unless only plain JSON is acceptable."""
    answer = await call("GET", USERS, headers={} if accept is None else {"accept": accept})
    assert (answer.status, answer.headers["content-type"]) == (200, content_type)


@pytest.mark.spec("P-3.12-02", "P-3.12-04")
@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        pytest.param("GET", f"{USERS}?filter=userName", None, (400, "invalidFilter"), id="P-3.12-08 query"),
        pytest.param("GET", f"{USERS}?filter=active%20gt%20true", None, (400, "invalidFilter"), id="P-3.12-08 pair"),
        pytest.param("POST", f"{USERS}/.search", {**SEARCH, "filter": "a b"}, (400, "invalidFilter"), id="P-3.12-08 search"),
        pytest.param("PATCH", "ann", patch({"op": "remove", "path": 'emails[type xx "a"]'}), (400, "invalidFilter"),
                     id="P-3.12-08 path"),
        pytest.param("POST", USERS, user("ANN"), (409, "uniqueness"), id="P-3.12-10 P-3.12-06 create"),
        pytest.param("PUT", "ann", user("bob"), (409, "uniqueness"), id="P-3.12-10 P-3.5.1-12 replace"),
        pytest.param("PATCH", "ann", replace("userName", "Bob"), (409, "uniqueness"), id="P-3.12-10 patch"),
        pytest.param("PATCH", "ann", replace("groups", []), (400, "mutability"), id="P-3.12-11 readOnly"),
        pytest.param("PATCH", "ann", patch({"op": "remove", "path": "userName"}), (400, "mutability"), id="P-3.12-11 required"),
        pytest.param("POST", USERS, b'{"userName": "x"', (400, "invalidSyntax"), id="P-3.12-12 create"),
        pytest.param("PUT", "ann", [], (400, "invalidSyntax"), id="P-3.12-12 replace"),
        pytest.param("PATCH", "ann", {"schemas": [urns.PATCH_OP]}, (400, "invalidSyntax"), id="P-3.12-12 patch"),
        pytest.param("POST", f"{USERS}/.search", "x", (400, "invalidSyntax"), id="P-3.12-12 search"),
        pytest.param("PATCH", "ann", replace("name..x", "y"), (400, "invalidPath"), id="P-3.12-13 malformed"),
        pytest.param("PATCH", "ann", replace("nosuch", "y"), (400, "invalidPath"), id="P-3.12-13 unknown"),
        pytest.param("PATCH", "ann", replace('emails[type eq "x"]', {"value": "y"}), (400, "noTarget"), id="P-3.12-14 replace"),
        pytest.param("PATCH", "ann", patch({"op": "remove"}), (400, "noTarget"), id="P-3.12-14 remove"),
        pytest.param("POST", USERS, {"schemas": [urns.USER]}, (400, "invalidValue"), id="P-3.12-15 missing"),
        pytest.param("POST", USERS, user("x", active=5), (400, "invalidValue"), id="P-3.12-15 type"),
        pytest.param("GET", "/scim/v1/Users", None, (400, "invalidVers"), id="P-3.12-16"),
        pytest.param("GET", f"{USERS}/nobody", None, (404, None), id="404"),
        pytest.param("DELETE", USERS, None, (405, None), id="405"),
    ],
)  # fmt: skip
async def test_scim_types(
    call: AsgiCaller, method: str, path: str, body: Any, expected: tuple[int, str | None]
) -> None:
    """Each keyword of table 9 comes with its status and an Error body, and detail is always there."""
    made = await create(call, USERS, user("ann"))
    await create(call, USERS, user("bob"))
    answer = await call(method, where(made) if path == "ann" else path, body)
    assert refusal(answer) == expected
    assert (await call("GET", where(made))).json == made


@pytest.mark.spec("P-3.12-07")
async def test_statuses(application: Application, call: AsgiCaller, monkeypatch: pytest.MonkeyPatch) -> None:
    """412 for a version that moved on, 501 for what is not offered, 500 with an incident for what nobody expected."""
    made = await create(call, USERS, user())
    assert refusal(await call("PUT", where(made), user(), {"if-match": 'W/"x"'})) == (412, None)
    assert refusal(await call("GET", f"{BASE}/Me")) == (501, None)
    monkeypatch.setattr(type(application.store), "get", None)
    assert refusal(await call("GET", where(made))) == (500, None)


@pytest.mark.spec("P-3.13-01", "P-3.13-03", "P-3.13-04")
@pytest.mark.parametrize("path", ["/scim/Users", "/scim/Users/", "/scim/v2/Users", "/scim/v2/Users/"])
async def test_without_a_version_the_newest(call: AsgiCaller, path: str) -> None:
    """The version may be left out; URIs are issued with it, and both forms name one resource."""
    made = await create(call, path, user())
    assert made["meta"]["location"] == f"http://localhost:8080{USERS}/{made['id']}"
    for form in (f"/scim/Users/{made['id']}", f"{USERS}/{made['id']}"):
        assert (await call("GET", form)).json == made
    found = await call("GET", f'{USERS}?filter=meta.location%20eq%20"/Users/{made["id"]}"')
    assert found.json["totalResults"] == 1


@pytest.mark.spec("P-1.3-02", "P-1.3-03")
async def test_any_path_prefix(application: Application) -> None:
    """Under a prefix with tenant and version segments everything works, and issued URIs begin with it."""
    tenant = await application.tenants.create("tenant-a", 1, application.store.catalog)
    text = await tokens.issue(application.store, tenant.number, "a", now=now(), expires=None)
    call, prefix = AsgiCaller(application.asgi, text), "/t/tenant-a/scim/v2"
    made = (await call("POST", f"{prefix}/Users", user())).json
    staff = (await call("POST", f"{prefix}/Groups", group("staff", made["id"]))).json
    base = f"http://localhost:8080{prefix}"
    assert made["meta"]["location"] == f"{base}/Users/{made['id']}"
    assert staff["members"][0]["$ref"] == f"{base}/Users/{made['id']}"
    for path in (
        "",
        "/Users",
        "/Groups",
        f"/Users/{made['id']}",
        "/Schemas",
        "/ResourceTypes",
        "/ServiceProviderConfig",
    ):
        assert (await call("GET", prefix + path)).status == 200
    assert (await call("PATCH", f"{prefix}/Users/{made['id']}", replace("title", "x"))).status == 200
    assert (await call("POST", f"{prefix}/.search", SEARCH)).json["totalResults"] == 1
    assert (await call("DELETE", f"{prefix}/Users/{made['id']}")).status == 204
    assert (await call("GET", f"{BASE}/Users")).status == 404


@pytest.mark.spec("P-2-09")
async def test_basic_is_not_offered(call: AsgiCaller, anonymous: AsgiCaller) -> None:
    """401 names bearer tokens and nothing else, also to a caller who tries Basic."""
    for headers in ({}, {"authorization": "Basic YTpi"}):
        answer = await anonymous("GET", USERS, headers=headers)
        assert refusal(answer) == (401, None)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert "Basic" not in answer.headers["www-authenticate"]


@pytest.mark.spec("P-7-07", "P-3.12-18")
async def test_logs_tell_no_values(
    application: Application,
    call: AsgiCaller,
    anonymous: AsgiCaller,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
) -> None:
    """T-94, A-67: whatever goes wrong, no filter value, body or token is logged; a crash shows an incident only."""
    caplog.set_level(logging.DEBUG)
    marker = "SeCrEtMaRkEr"
    await create(call, USERS, user(marker, password=f"{marker}-password"))
    for path in (
        f'{USERS}?filter=userName%20eq%20"{marker}"',
        f"{USERS}?filter={marker}",
        f"{USERS}/{marker}",
    ):
        await call("GET", path)
    await call("POST", USERS, user(marker))
    await call("POST", USERS, marker.encode())
    await anonymous("GET", USERS, headers={"authorization": f"Bearer {marker}"})
    monkeypatch.setattr(type(application.store), "search", None)
    crashed = await call("GET", f'{USERS}?filter=userName%20eq%20"{marker}"')
    assert crashed.status == 500
    said = "".join(capfd.readouterr()) + caplog.text
    assert "incident" in said
    assert marker not in said
    assert TOKEN not in said
    assert "Traceback" not in crashed.body.decode()


@pytest.mark.spec("P-7-05")
async def test_attributes_are_shown_as_their_schema_says(told: Told) -> None:
    """What is never returned is not shown, not filtered on, not sorted by; a user's token shows that user alone."""
    call = await told()
    made = await create(call, USERS, user("ann", password="a long password"))
    for query in ("attributes=password", "excludedAttributes=userName"):
        assert "password" not in (await call("GET", f"{where(made)}?{query}")).json
    assert refusal(await call("GET", f"{USERS}?filter=password%20pr")) == (400, "invalidFilter")
    assert refusal(await call("GET", f"{USERS}?sortBy=password")) == (400, "invalidValue")
