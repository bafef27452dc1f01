"""What a tenant can be told changes what the server does, and what it announces (P-4-10)."""

from typing import Any
from urllib.parse import quote

import pytest
from tests.server.conftest import Told

from rollbook.protocol import urns
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

BASE = "/scim/v2"
ANN = {"schemas": [urns.USER], "userName": "ann", "title": "Boss"}
STAFF = {"schemas": [urns.GROUP], "displayName": "Staff"}


def patch(path: str, value: Any) -> dict[str, Any]:
    """A PatchOp that replaces one attribute."""
    return {"schemas": [urns.PATCH_OP], "Operations": [{"op": "replace", "path": path, "value": value}]}


async def made(call: AsgiCaller, kind: str, body: dict[str, Any]) -> str:
    """Create a resource; the path it is served under."""
    answer = await call("POST", f"{BASE}/{kind}", body)
    assert answer.status == 201, answer.body
    return f"{BASE}/{kind}/{answer.json['id']}"


async def config(call: AsgiCaller) -> Any:
    """What the server announces."""
    return (await call("GET", f"{BASE}/ServiceProviderConfig")).json


@pytest.mark.spec("P-3.5.2-17", "P-3.5.2-18")
@pytest.mark.parametrize(
    ("setting", "user", "group"), [("usual", 200, 204), ("resource", 200, 200), ("empty", 204, 204)]
)
async def test_patch_answer(told: Told, setting: str, user: int, group: int) -> None:
    """A-21: 200 with the resource or 204 without a body; 200 whenever the request says what to show."""
    call = await told(f"patch-answer={setting}")
    for kind, body, path, status in (
        ("Users", ANN, "title", user),
        ("Groups", STAFF, "displayName", group),
    ):
        where = await made(call, kind, body)
        answer = await call("PATCH", where, patch(path, f"new {setting}"))
        assert answer.status == status
        assert bool(answer.body) == (status == 200)
        assert answer.headers["etag"]
        for query in (f"attributes={path}", "excludedAttributes=externalId", "attributes=nosuch"):
            shown = await call("PATCH", f"{where}?{query}", patch(path, query))
            assert shown.status == 200
            assert shown.json["id"]


@pytest.mark.spec("P-3.14-10")
async def test_require_if_match(told: Told) -> None:
    """With the setting a change without If-Match is 428 and changes nothing; with it, it is made."""
    call = await told("require-if-match=on")
    where = await made(call, "Users", ANN)
    version = (await call("GET", where)).json["meta"]["version"]
    for method, body in (("PUT", ANN), ("PATCH", patch("title", "x")), ("DELETE", None)):
        answer = await call(method, where, body)
        assert (answer.status, answer.json["status"]) == (428, "428")
        assert "If-Match" in answer.json["detail"]
    assert (await call("GET", where)).json["meta"]["version"] == version
    assert (await call("PATCH", where, patch("title", "x"), {"if-match": version})).status == 200
    assert (await call("DELETE", where, headers={"if-match": "*"})).status == 204


@pytest.mark.spec("P-3.5.2-01", "P-4-10", "P-3.2-06")
async def test_patch_switched_off(told: Told) -> None:
    """Without PATCH it is 501, and announced so."""
    call = await told("off=patch")
    where = await made(call, "Users", ANN)
    assert (await call("PATCH", where, patch("title", "x"))).status == 501
    assert (await call("GET", where)).json["title"] == "Boss"
    assert (await config(call))["patch"] == {"supported": False}


@pytest.mark.spec("P-3.4.2.2-01", "P-4-10")
async def test_filter_switched_off(told: Told) -> None:
    """Without filters a request with one is 501, never the unfiltered list."""
    call = await told("off=filter")
    where = await made(call, "Users", ANN)
    text = quote('userName eq "nobody"')
    for path in (f"{BASE}/Users?filter={text}", f"{BASE}?filter={text}", f"{where}?filter={text}"):
        assert (await call("GET", path)).status == 501
    body = {"schemas": [urns.SEARCH_REQUEST], "filter": 'userName eq "nobody"'}
    assert (await call("POST", f"{BASE}/Users/.search", body)).status == 501
    assert (await config(call))["filter"]["supported"] is False


@pytest.mark.spec("P-3.4.2.3-01", "P-4-10")
async def test_sort_switched_off(told: Told) -> None:
    """Without sorting sortBy is a parameter like any unknown one: not looked at."""
    call = await told("off=sort")
    for name in ("b", "a"):
        await made(call, "Users", ANN | {"userName": name})
    for query in ("sortBy=userName", "sortBy=name&sortOrder=up"):
        found = (await call("GET", f"{BASE}/Users?{query}")).json["Resources"]
        assert [user["userName"] for user in found] == ["b", "a"]
    assert (await config(call))["sort"] == {"supported": False}


@pytest.mark.spec("P-3.14-01", "P-4-10")
async def test_versions_switched_off(told: Told) -> None:
    """Without ETags none is shown and no condition is heeded."""
    call = await told("off=etag", "require-if-match=on")
    where = await made(call, "Users", ANN)
    answer = await call("GET", where, headers={"if-none-match": "*"})
    assert answer.status == 200
    assert "etag" not in answer.headers
    assert "version" not in answer.json["meta"]
    assert (await call("PATCH", where, patch("title", "x"), {"if-match": 'W/"other"'})).status == 200
    assert (await call("DELETE", where)).status == 204
    assert (await config(call))["etag"] == {"supported": False}


@pytest.mark.spec("P-3.5-03", "P-4-10")
async def test_password_change_switched_off(told: Told) -> None:
    """A-68: a password comes with POST; later ones are 403 and change nothing."""
    call = await told("off=change-password")
    where = await made(call, "Users", ANN | {"password": "the first one"})
    version = (await call("GET", where)).json["meta"]["version"]
    for method, body in (
        ("PUT", ANN | {"password": "another one"}),
        ("PATCH", patch("password", "another one")),
        ("PATCH", {"schemas": [urns.PATCH_OP], "Operations": [{"op": "remove", "path": "password"}]}),
    ):
        answer = await call(method, where, body)
        assert answer.status == 403
        assert "another one" not in answer.json["detail"]
    assert (await call("GET", where)).json["meta"]["version"] == version
    assert (await call("PATCH", where, patch("title", "x"))).status == 200
    assert (await config(call))["changePassword"] == {"supported": False}


@pytest.mark.spec("P-3.4.2.1-06")
async def test_unknown_attributes_in_filters(told: Told) -> None:
    """A-09: refused by default with the name of the switch; with it they count as having no value."""
    for settings, status in (((), 400), (("quirks=+unknown-in-filter",), 200)):
        call = await told(*settings)
        answer = await call("GET", f"{BASE}/Users?filter=foo%20eq%201")
        assert answer.status == status
        if status == 400:
            assert answer.json["scimType"] == "invalidFilter"
            assert "unknown-in-filter" in answer.json["detail"]
        else:
            assert answer.json["totalResults"] == 0


async def test_whole_replace(told: Told) -> None:
    """A-32: with the switch, replace on a complex attribute drops the parts it does not name."""
    for settings, kept in (((), "Lee"), (("quirks=+whole-replace",), None)):
        call = await told(*settings)
        name = {"givenName": "Ann", "familyName": "Lee"}
        where = await made(call, "Users", ANN | {"userName": f"a{len(settings)}", "name": name})
        answer = await call("PATCH", where, patch("name", {"givenName": "Bea"}))
        assert answer.json["name"].get("familyName") == kept
        assert answer.json["name"]["givenName"] == "Bea"


@pytest.mark.spec("P-4-09")
async def test_closed_discovery(told: Told) -> None:
    """A-61: closed, the discovery endpoints need a token; open is the default."""
    call = await told("open-discovery=off")
    anonymous = AsgiCaller(call.app)
    for name in ("ServiceProviderConfig", "Schemas", "ResourceTypes", "Schemas/x", "ResourceTypes/User"):
        assert (await anonymous("GET", f"{BASE}/{name}")).status == 401
        assert (await call("GET", f"{BASE}/{name}")).status in {200, 404}


async def test_display_when_asked_for(told: Told) -> None:
    """With display=asked members and groups come without `display` unless `attributes` names it, after a write too."""
    call = await told("display=asked", "patch-answer=resource")
    user = (await call("GET", await made(call, "Users", ANN))).json
    sent = {"members": [{"value": user["id"], "display": "sent"}]}
    where = await made(call, "Groups", STAFF | sent)
    members = [{"value": user["id"], "$ref": user["meta"]["location"], "type": "User"}]
    answers = [
        await call("GET", where),
        await call("PATCH", where, patch("members", sent["members"])),
        await call("PUT", where, STAFF | sent),
        await call("GET", f"{where}?excludedAttributes=externalId"),
        await call("PUT", f"{where}?excludedAttributes=externalId", STAFF | sent),
    ]
    assert [answer.json["members"] for answer in answers] == [members] * 5
    asked = (await call("GET", f"{where}?attributes=members.display,members.value")).json
    assert asked["members"] == [{"value": user["id"], "display": "ann"}]
    seen = f"{BASE}/Users/{user['id']}"
    assert "display" not in (await call("GET", seen)).json["groups"][0]
    assert (await call("GET", f"{seen}?attributes=groups.display")).json["groups"] == [{"display": "Staff"}]


async def test_managers_are_called_by_name_when_asked(told: Told) -> None:
    """With display=asked a manager comes without `displayName`, as it was sent; scim2-tester compares it strictly."""
    call = await told("display=asked")
    boss = (await call("GET", await made(call, "Users", ANN))).json
    manager = {"value": boss["id"], "$ref": boss["meta"]["location"]}
    user = {
        "schemas": [urns.USER, urns.ENTERPRISE_USER],
        "userName": "bob",
        urns.ENTERPRISE_USER: {"manager": manager},
    }
    where = await made(call, "Users", user)
    answers = [
        await call("GET", where),
        await call("PUT", where, user),
        await call("PATCH", where, patch(f"{urns.ENTERPRISE_USER}:manager", manager)),
    ]
    assert [answer.json[urns.ENTERPRISE_USER]["manager"] for answer in answers] == [manager] * 3
    listed = (await call("GET", f"{BASE}/Users?filter=userName%20eq%20%22bob%22")).json["Resources"]
    assert listed[0][urns.ENTERPRISE_USER]["manager"] == manager


async def test_display_is_announced(told: Told) -> None:
    """What display=asked does stands in the schema: readOnly, returned on request (P-4-10)."""
    for setting, said in (("asked", ("readOnly", "request")), ("always", ("immutable", "default"))):
        call = await told(f"display={setting}")
        schema = (await call("GET", f"{BASE}/Schemas/{urns.GROUP}")).json
        members = next(each for each in schema["attributes"] if each["name"] == "members")
        part = next(each for each in members["subAttributes"] if each["name"] == "display")
        assert (part["mutability"], part["returned"]) == said


@pytest.mark.parametrize(
    ("setting", "shown"), [("off", None), ("on", "operation-case, string-booleans")], ids=["off", "on"]
)
async def test_explain(told: Told, setting: str, shown: str | None) -> None:
    """With the switch an answer names the quirks that its request needed; without need, or switch, there is none."""
    call = await told(f"explain={setting}")
    where = await made(call, "Users", ANN)
    operations = [{"op": "Replace", "path": "active", "value": "False"}]
    odd = await call("PATCH", where, {"schemas": [urns.PATCH_OP], "Operations": operations})
    assert odd.headers.get("rollbook-accepted-as") == shown
    assert "rollbook-accepted-as" not in (await call("GET", where)).headers
