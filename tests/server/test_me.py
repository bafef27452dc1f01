"""/Me: the resource a token acts for (RFC 7644 §3.11), and what its user may do."""

from typing import Any

import pytest
from tests.server.conftest import TOKEN, Told

from rollbook.app import Application
from rollbook.operations import tokens
from rollbook.protocol import urns
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

BASE = "/scim/v2"
ANN = {"schemas": [urns.USER], "userName": "ann", "nickName": "A", "active": True}


async def user_and_token(application: Application, call: AsgiCaller) -> tuple[dict[str, Any], AsgiCaller]:
    """A user, and a caller with a token that acts for that user."""
    user = (await call("POST", f"{BASE}/Users", ANN)).json
    at = application.services.now()
    text = await tokens.issue(application.store, 1, "ann's", now=at, expires=None, user=user["id"])
    return user, AsgiCaller(application.asgi, text)


def patch(path: str, value: Any) -> dict[str, Any]:
    """A PatchOp that replaces one attribute."""
    return {"schemas": [urns.PATCH_OP], "Operations": [{"op": "replace", "path": path, "value": value}]}


@pytest.mark.spec("P-3.11-03", "P-3.11-04", "P-2-03")
async def test_me_is_the_users_own_resource(application: Application, call: AsgiCaller) -> None:
    """GET /Me answers what GET of the resource does, under its permanent URI."""
    user, own = await user_and_token(application, call)
    answer = await own("GET", f"{BASE}/Me")
    assert (answer.status, answer.json) == (200, user)
    assert answer.headers["location"] == user["meta"]["location"]
    assert answer.headers["etag"] == user["meta"]["version"]
    assert (await own("GET", f"{BASE}/Me?attributes=userName")).json.keys() == {"schemas", "id", "userName"}
    assert (await own("GET", f"{BASE}/Me", headers={"if-none-match": user["meta"]["version"]})).status == 304


@pytest.mark.spec("P-3.11-01")
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "POST"])
async def test_me_for_a_token_of_nobody(call: AsgiCaller, method: str) -> None:
    """A token that acts for no user gets 501, and is told how to make one that does."""
    answer = await call(method, f"{BASE}/Me", ANN if method in {"PUT", "POST", "PATCH"} else None)
    assert answer.status == 501
    if method != "POST":
        assert "rollbook token create --user" in answer.json["detail"]


@pytest.mark.spec("P-3.11-06")
async def test_me_after_the_user_is_gone(application: Application, call: AsgiCaller) -> None:
    """A-59, T-39: without the resource there is no /Me."""
    user, own = await user_and_token(application, call)
    assert (await call("DELETE", f"{BASE}/Users/{user['id']}")).status == 204
    assert (await own("GET", f"{BASE}/Me")).status == 404


@pytest.mark.spec("P-2-02", "P-2-03", "P-2-13", "P-7-11")
async def test_a_user_reads_nothing_else(application: Application, call: AsgiCaller) -> None:
    """T-19: lists, filters, other users and every change are 403 for a token that acts for a user."""
    user, own = await user_and_token(application, call)
    other = (await call("POST", f"{BASE}/Users", ANN | {"userName": "bob"})).json
    for method, path, body in [
        ("GET", "/Users", None),
        ("GET", "", None),
        ("POST", "/.search", {"schemas": [urns.SEARCH_REQUEST]}),
        ("POST", "/Users/.search", {"schemas": [urns.SEARCH_REQUEST]}),
        ("GET", f"/Users/{other['id']}", None),
        ("GET", "/Users/invented", None),
        ("POST", "/Users", ANN | {"userName": "eve"}),
        ("PUT", "/Me", ANN),
        ("PATCH", "/Me", patch("nickName", "B")),
        ("DELETE", "/Me", None),
        ("DELETE", f"/Users/{user['id']}", None),
    ]:
        assert (await own(method, BASE + path, body)).status == 403, (method, path)
    assert (await own("GET", f"{BASE}/Users/{user['id']}")).status == 200


async def test_self_service(told: Told) -> None:
    """With self-service a user changes what it names and nothing else, by PATCH or PUT, under either address."""
    call = await told("self-service=nickName,password")
    user = (await call("POST", f"{BASE}/Users", ANN)).json
    store = tokens_of(call)
    text = await tokens.issue(store, 1, "ann's", now=1, expires=None, user=user["id"])
    own = AsgiCaller(call.app, text)
    assert (await own("PATCH", f"{BASE}/Me", patch("nickName", "B"))).json["nickName"] == "B"
    assert (await own("PATCH", f"{BASE}/Users/{user['id']}", patch("password", "a new one!"))).status == 200
    assert (await own("PUT", f"{BASE}/Me", ANN | {"nickName": "C"})).json["nickName"] == "C"
    for body in (patch("active", False), patch("roles", [{"value": "admin"}]), patch("userName", "root")):
        answer = await own("PATCH", f"{BASE}/Me", body)
        assert answer.status == 403
        assert body["Operations"][0]["path"] in answer.json["detail"]
    assert (await own("PUT", f"{BASE}/Me", ANN | {"title": "Boss"})).status == 403
    assert (await own("DELETE", f"{BASE}/Me")).status == 403
    assert (await call("GET", f"{BASE}/Users/{user['id']}")).json["active"] is True


def tokens_of(call: AsgiCaller) -> Any:
    """The store of a server that `told` started."""
    from tests.server.conftest import STORES

    return STORES[call]


@pytest.mark.spec("P-3.11-01")
async def test_me_switched_off(told: Told) -> None:
    """Without the feature every method is 501, for tokens that act for a user too."""
    call = await told("off=me")
    user = (await call("POST", f"{BASE}/Users", ANN)).json
    text = await tokens.issue(tokens_of(call), 1, "ann's", now=1, expires=None, user=user["id"])
    for asking in (call, AsgiCaller(call.app, text)):
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            assert (await asking(method, f"{BASE}/Me", ANN if method != "GET" else None)).status == 501
    assert TOKEN
