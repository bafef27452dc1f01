"""The SCIM endpoints over HTTP: status, headers and bodies (RFC 7644 §3, §4)."""

from typing import Any

import pytest

from rollbook.app import Application
from rollbook.operations import tokens
from rollbook.protocol import urns
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

USERS = "/scim/v2/Users"
GROUPS = "/scim/v2/Groups"
BASE = "http://localhost:8080/scim/v2"
ALICE = {
    "schemas": [urns.USER, urns.ENTERPRISE_USER],
    "userName": "Alice",
    "externalId": "e-1",
    "name": {"givenName": "Alice", "familyName": "Åström"},
    "emails": [{"value": "alice@example.com", "type": "work", "primary": True}],
    urns.ENTERPRISE_USER: {"department": "Engineering"},
}


async def create_user(call: AsgiCaller, **changes: Any) -> Any:
    """Create a user and return its representation."""
    answer = await call("POST", USERS, ALICE | changes)
    assert answer.status == 201, answer.body
    return answer.json


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """A PatchOp message."""
    return {"schemas": [urns.PATCH_OP], "Operations": list(operations)}


async def test_create(call: AsgiCaller) -> None:
    """POST answers 201 with the resource, its URI and its version (P-3.3-01 to P-3.3-10, P-3.14-02)."""
    answer = await call(
        "POST", USERS, ALICE | {"id": "mine", "meta": {"resourceType": "Group"}, "groups": []}
    )
    body = answer.json
    assert answer.status == 201
    assert answer.headers["content-type"] == "application/scim+json"
    assert body["id"] != "mine"
    assert body["meta"]["resourceType"] == "User"
    assert body["meta"]["created"] == body["meta"]["lastModified"]
    assert answer.headers["location"] == body["meta"]["location"] == f"{BASE}/Users/{body['id']}"
    assert answer.headers["content-location"] == answer.headers["location"]
    assert answer.headers["etag"] == body["meta"]["version"]
    assert body["active"] is True
    assert set(body["schemas"]) == {urns.USER, urns.ENTERPRISE_USER}
    assert (await call("GET", f"{USERS}/{body['id']}")).json == body


async def test_unique(call: AsgiCaller) -> None:
    """A second user of the name, in other letters, is 409/uniqueness (P-3.3-08)."""
    await create_user(call)
    answer = await call("POST", USERS, ALICE | {"userName": "ALICE"})
    assert (answer.status, answer.json["scimType"]) == (409, "uniqueness")
    assert "userName" in answer.json["detail"]


async def test_password_never_returned(call: AsgiCaller) -> None:
    """A password is shown nowhere, asked for or not (P-3.3-20, P-3.4.2.5-06, I-13)."""
    user = await create_user(call, password="correct horse battery")
    answers = [
        await call("GET", f"{USERS}/{user['id']}?attributes=password,userName"),
        await call("GET", f"{USERS}?attributes=password"),
        await call(
            "PATCH",
            f"{USERS}/{user['id']}",
            patch({"op": "replace", "path": "password", "value": "another one!"}),
        ),
    ]
    assert "password" not in user
    for answer in answers:
        assert answer.status == 200
        assert b"password" not in answer.body
        assert b"argon2" not in answer.body


@pytest.mark.parametrize("password", ["short", "x" * 1025])
async def test_password_policy(call: AsgiCaller, password: str) -> None:
    """A password outside the policy is refused without being repeated (A-68, T-60)."""
    answer = await call("POST", USERS, ALICE | {"password": password})
    assert (answer.status, answer.json["scimType"]) == (400, "invalidValue")
    assert password not in answer.json["detail"]


async def test_replace(call: AsgiCaller) -> None:
    """PUT replaces what is given, clears what is not, ignores readOnly values (P-3.5.1-01 to P-3.5.1-17)."""
    user = await create_user(call)
    answer = await call(
        "PUT", f"{USERS}/{user['id']}", {"schemas": [urns.USER], "userName": "alice", "id": "other"}
    )
    assert answer.status == 200
    assert answer.json["id"] == user["id"]
    assert answer.json["userName"] == "alice"
    assert "emails" not in answer.json
    assert answer.json["schemas"] == [urns.USER]
    assert answer.json["meta"]["version"] != user["meta"]["version"]
    assert answer.json["meta"]["created"] == user["meta"]["created"]


async def test_nothing_changed(call: AsgiCaller) -> None:
    """A PUT or PATCH without effect leaves version and lastModified alone (P-3.5.1-14, P-3.5.2.1-08)."""
    user = await create_user(call)
    replaced = await call("PUT", f"{USERS}/{user['id']}", user)
    patched = await call(
        "PATCH", f"{USERS}/{user['id']}", patch({"op": "replace", "path": "name.givenName", "value": "Alice"})
    )
    assert replaced.json["meta"] == user["meta"]
    assert patched.json["meta"] == user["meta"]


async def test_put_creates_nothing(call: AsgiCaller) -> None:
    """PUT to an unknown id is 404 (P-3.2-04, P-3.5.1-11)."""
    assert (await call("PUT", f"{USERS}/unknown", ALICE)).status == 404
    assert (await call("GET", USERS)).json["totalResults"] == 0


async def test_delete(call: AsgiCaller) -> None:
    """DELETE answers 204; afterwards every operation is 404, and the name is free (P-3.6-01 to P-3.6-06)."""
    user = await create_user(call)
    where = f"{USERS}/{user['id']}"
    answer = await call("DELETE", where)
    assert (answer.status, answer.body) == (204, b"")
    for method, body in [
        ("GET", None),
        ("PUT", ALICE),
        ("DELETE", None),
        ("PATCH", patch({"op": "remove", "path": "title"})),
    ]:
        assert (await call(method, where, body)).status == 404
    assert (await call("GET", USERS)).json["totalResults"] == 0
    assert (await create_user(call))["id"] != user["id"]


async def test_list(call: AsgiCaller) -> None:
    """A list counts every match and shows a page of whole resources (P-3.4.2-02 to P-3.4.2-09)."""
    made = [await create_user(call, userName=f"user{n}") for n in range(5)]
    body = (await call("GET", f"{USERS}?startIndex=2&count=2")).json
    assert body["schemas"] == [urns.LIST_RESPONSE]
    assert (body["totalResults"], body["startIndex"], body["itemsPerPage"]) == (5, 2, 2)
    assert body["Resources"] == made[1:3]


@pytest.mark.parametrize(
    ("query", "total", "items"),
    [
        pytest.param("count=0", 3, 0, id="P-3.4.2.4-04"),
        pytest.param("count=-1", 3, 0, id="P-3.4.2.4-03"),
        pytest.param("startIndex=0&count=1", 3, 1, id="P-3.4.2.4-01"),
        pytest.param("startIndex=1000", 3, 0, id="P-3.4.2.4-09"),
        pytest.param("count=100000", 3, 3, id="P-3.4.2.4-11"),
        pytest.param('filter=userName%20eq%20"USER1"', 1, 1, id="P-3.4.2.2-15"),
        pytest.param("filter=userName+eq+%22nobody%22&", 0, 0, id="P-3.4.2-07"),
        pytest.param('filter=emails[type eq "work" and value co "@example"]', 3, 3, id="P-3.4.2.2-10"),
        pytest.param('filter=title ne "x"', 3, 3, id="P-3.4.2.2-22"),
        pytest.param("foo=bar", 3, 3, id="P-3.4.2-01"),
    ],
)
async def test_queries(call: AsgiCaller, query: str, total: int, items: int) -> None:
    """Filters and pages as the specification has them."""
    for n in range(3):
        await create_user(call, userName=f"user{n}")
    answer = await call("GET", f"{USERS}?{query}")
    assert answer.status == 200
    assert answer.json["totalResults"] == total
    assert answer.json["itemsPerPage"] == len(answer.json["Resources"]) == items


@pytest.mark.parametrize(
    ("query", "scim_type"),
    [
        ("filter=", "invalidFilter"),
        ("filter=userName", "invalidFilter"),
        ("filter=foo eq 1", "invalidFilter"),
        ("filter=active gt true", "invalidFilter"),
        ("filter=" + "(" * 5000, "invalidFilter"),
        ("filter=" + "a" * 60_000, "invalidFilter"),
        ("count=abc", "invalidValue"),
        ("startIndex=1_0", "invalidValue"),
    ],
)
async def test_refused_queries(call: AsgiCaller, query: str, scim_type: str) -> None:
    """A bad query is 400 with its scimType, never a wider answer (I-23)."""
    answer = await call("GET", f"{USERS}?{query}")
    assert (answer.status, answer.json["scimType"]) == (400, scim_type)


async def test_projection(call: AsgiCaller) -> None:
    """`attributes` and `excludedAttributes` shape every answer (P-3.4.2.5-01 to P-3.4.2.5-04, P-3.9-02)."""
    answer = await call("POST", f"{USERS}?attributes=userName", ALICE)
    assert set(answer.json) == {"schemas", "id", "userName"}
    where = f"{USERS}/{answer.json['id']}"
    names = await call("GET", f"{where}?attributes=NAME.givenName,{urns.ENTERPRISE_USER}:department")
    assert names.json["name"] == {"givenName": "Alice"}
    assert names.json[urns.ENTERPRISE_USER] == {"department": "Engineering"}
    without = await call("GET", f"{where}?excludedAttributes=id,emails,meta")
    assert "emails" not in without.json
    assert without.json["id"] == answer.json["id"]
    listed = await call("GET", f"{USERS}?attributes=emails.value")
    assert listed.json["Resources"][0]["emails"] == [{"value": "alice@example.com"}]


async def test_groups(call: AsgiCaller) -> None:
    """Members are shown on the group and, from the other side, on the user (S-60, S-71, P-3.5.2-17)."""
    user = await create_user(call, displayName="Alice A.")
    group = (
        await call("POST", GROUPS, {"displayName": "Tour", "members": [{"value": user["id"], "$ref": None}]})
    ).json
    assert group["members"] == [
        {"value": user["id"], "$ref": user["meta"]["location"], "display": "Alice A.", "type": "User"}
    ]
    seen = (await call("GET", f"{USERS}/{user['id']}")).json
    assert seen["groups"] == [
        {"value": group["id"], "$ref": group["meta"]["location"], "display": "Tour", "type": "direct"}
    ]
    assert seen["meta"]["version"] == user["meta"]["version"]
    removed = await call(
        "PATCH",
        f"{GROUPS}/{group['id']}",
        patch({"op": "remove", "path": f'members[value eq "{user["id"]}"]'}),
    )
    assert (removed.status, removed.body) == (204, b"")
    assert removed.headers["etag"] != group["meta"]["version"]
    assert "members" not in (await call("GET", f"{GROUPS}/{group['id']}")).json


async def test_deleted_member(call: AsgiCaller) -> None:
    """A deleted user is in no group, and the group has a new version (P-3.6-08, A-37)."""
    user = await create_user(call)
    group = (await call("POST", GROUPS, {"displayName": "Tour", "members": [{"value": user["id"]}]})).json
    await call("DELETE", f"{USERS}/{user['id']}")
    now = (await call("GET", f"{GROUPS}/{group['id']}")).json
    assert "members" not in now
    assert now["meta"]["version"] != group["meta"]["version"]


async def test_group_patch_with_attributes(call: AsgiCaller) -> None:
    """PATCH of a group answers 200 when `attributes` is given (P-3.5.2-18)."""
    group = (await call("POST", GROUPS, {"displayName": "Tour"})).json
    answer = await call(
        "PATCH",
        f"{GROUPS}/{group['id']}?attributes=displayName",
        patch({"op": "replace", "path": "displayName", "value": "Ping-pong"}),
    )
    assert (answer.status, answer.json["displayName"]) == (200, "Ping-pong")


async def test_unknown_member(call: AsgiCaller) -> None:
    """A member that does not exist is refused and nothing changes (A-70)."""
    answer = await call("POST", GROUPS, {"displayName": "Tour", "members": [{"value": "nobody"}]})
    assert (answer.status, answer.json["scimType"]) == (400, "invalidValue")
    assert "nobody" in answer.json["detail"]
    assert (await call("GET", GROUPS)).json["totalResults"] == 0


async def test_atomic_patch(call: AsgiCaller) -> None:
    """An error in the second operation undoes the first (P-3.5.2-14)."""
    user = await create_user(call)
    answer = await call(
        "PATCH",
        f"{USERS}/{user['id']}",
        patch({"op": "replace", "path": "title", "value": "Boss"}, {"op": "remove", "path": "userName"}),
    )
    assert (answer.status, answer.json["scimType"]) == (400, "mutability")
    assert (await call("GET", f"{USERS}/{user['id']}")).json == user


async def test_preconditions(call: AsgiCaller) -> None:
    """If-Match guards PUT, PATCH and DELETE; If-None-Match saves a body (P-3.14-05 to P-3.14-09)."""
    user = await create_user(call)
    where, version = f"{USERS}/{user['id']}", user["meta"]["version"]
    title = patch({"op": "add", "path": "title", "value": "Boss"})
    assert (await call("GET", where, headers={"if-none-match": version})).status == 304
    assert (await call("PATCH", where, title, {"if-match": 'W/"other"'})).status == 412
    assert (await call("PATCH", where, title, {"if-match": version})).status == 200
    assert (await call("PUT", where, ALICE, {"if-match": version})).status == 412
    assert (await call("DELETE", where, headers={"if-match": version})).status == 412
    assert (await call("GET", where, headers={"if-none-match": version})).status == 200
    known = (await call("GET", where)).headers["etag"]
    for unless in ("*", known, f'"x", {known}'):  # RFC 9110 §13.1.2
        for method, body in (("PATCH", title), ("PUT", ALICE), ("DELETE", None)):
            assert (await call(method, where, body, {"if-none-match": unless})).status == 412, (
                method,
                unless,
            )
    assert (await call("GET", where)).headers["etag"] == known
    assert (await call("PATCH", where, title, {"if-none-match": version, "if-match": known})).status == 200
    assert (await call("DELETE", where, headers={"if-match": "*"})).status == 204
    assert (await call("DELETE", where, headers={"if-match": "*"})).status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("DELETE", USERS, 405, id="P-3.2-06"),
        pytest.param("POST", "/scim/v2/Schemas", 405, id="P-4-08"),
        pytest.param("GET", "/scim/v2/users", 404, id="P-3.2-08"),
        pytest.param("GET", "/scim/v2/Foo", 404, id="P-3.12-05"),
        pytest.param("GET", "/elsewhere", 404, id="P-3.12-01"),
        pytest.param("GET", "/scim/v9/Users", 400, id="P-3.13-02 P-3.12-16"),
        pytest.param("GET", "/scim/v2/Users/unknown", 404, id="P-3.4.1-02"),
        pytest.param("GET", "/scim/v2/Me", 501, id="P-3.11-01"),
        pytest.param("GET", "/scim/v2/Users/.search", 405, id="P-3.2-06 .search"),
        pytest.param("GET", "/scim/v2/Schemas?filter=id pr", 403, id="P-4-06"),
        pytest.param("GET", "/scim/v2/Schemas/urn:none", 404, id="P-4-03"),
    ],
)
async def test_errors(call: AsgiCaller, method: str, path: str, status: int) -> None:
    """Whatever goes wrong is answered with a SCIM Error body (P-3.12-01)."""
    answer = await call(method, path, {} if method == "POST" else None)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/scim+json"
    assert answer.json["schemas"] == [urns.ERROR]
    assert answer.json["status"] == str(status)
    assert answer.json["detail"]
    if status == 405:
        assert method not in answer.headers["allow"]


async def test_discovery(call: AsgiCaller, anonymous: AsgiCaller) -> None:
    """Discovery is open, complete and consistent (P-4-01 to P-4-07, P-4-12, A-61, A-62)."""
    config = await anonymous("GET", "/scim/v2/ServiceProviderConfig")
    assert config.json["schemas"] == [urns.SERVICE_PROVIDER_CONFIG]
    assert config.json["patch"] == {"supported": True}
    schemas = (await anonymous("GET", "/scim/v2/Schemas?count=1")).json
    assert schemas["totalResults"] == len(schemas["Resources"])
    ids = {schema["id"] for schema in schemas["Resources"]}
    types = (await anonymous("GET", "/scim/v2/ResourceTypes")).json["Resources"]
    for kind in types:
        assert {kind["schema"], *(ext["schema"] for ext in kind.get("schemaExtensions", []))} <= ids
        assert (await anonymous("GET", f"/scim/v2/ResourceTypes/{kind['id']}")).json == kind
        assert (await call("GET", f"/scim/v2{kind['endpoint']}")).status == 200
    assert not any(":api:" in urn for urn in ids)
    one = await anonymous("GET", f"/scim/v2/Schemas/{urns.USER.upper()}")
    assert one.json["id"] == urns.USER
    again = await anonymous("GET", "/scim/v2/Schemas", headers={"if-none-match": one.headers["etag"]})
    assert again.status == 200
    assert (
        await anonymous(
            "GET", f"/scim/v2/Schemas/{urns.USER}", headers={"if-none-match": one.headers["etag"]}
        )
    ).status == 304


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Bearer",
        "Bearer wrong",
        "Basic dXNlcjpwYXNz",
        "Bearer " + "x" * 65_536,
        "bearer \x00",
        "Bearer ü",
    ],
)
async def test_unauthorised(anonymous: AsgiCaller, header: str | None) -> None:
    """Without a known bearer token the answer is 401 with a challenge (P-2-01, T-01, T-02)."""
    answer = await anonymous("GET", USERS, headers={"authorization": header} if header else None)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json["status"] == "401"


async def test_methods(call: AsgiCaller) -> None:
    """HEAD answers like GET without a body, OPTIONS lists methods, a trailing slash is nothing (P-3.2-07)."""
    user = await create_user(call)
    where = f"{USERS}/{user['id']}"
    got, head = await call("GET", where), await call("HEAD", where)
    assert (head.status, head.body) == (200, b"")
    assert head.headers == got.headers
    assert "PATCH" in (await call("OPTIONS", where)).headers["allow"]
    assert (await call("GET", f"{USERS}/")).json["totalResults"] == 1


async def test_filter_on_one(call: AsgiCaller) -> None:
    """A filter on one resource gives the resource or 404 (P-3.4.2.1-08)."""
    user = await create_user(call)
    assert (await call("GET", f'{USERS}/{user["id"]}?filter=userName eq "alice"')).json == user
    assert (await call("GET", f'{USERS}/{user["id"]}?filter=userName eq "bob"')).status == 404


async def test_hosts(call: AsgiCaller) -> None:
    """Issued URIs follow a loopback Host and ignore any other (P-1.3-03, T-50)."""
    user = await create_user(call)
    local = await call("GET", f"{USERS}/{user['id']}", headers={"host": "127.0.0.1:9999"})
    foreign = await call("GET", f"{USERS}/{user['id']}", headers={"host": "evil.example"})
    assert local.json["meta"]["location"].startswith("http://127.0.0.1:9999/scim/v2/Users/")
    assert foreign.json["meta"]["location"].startswith("http://127.0.0.1:8080/scim/v2/Users/")


@pytest.mark.parametrize("segment", ["a%0d%0aSet-Cookie:x", "%2e%2e", "é", "a%00b", "x" * 5000])
async def test_hostile_ids(call: AsgiCaller, segment: str) -> None:
    """Text from the path never reaches a header (T-49)."""
    answer = await call("GET", f"{USERS}/{segment}")
    assert answer.status == 404
    assert not any("\r" in value or "Set-Cookie" in value for value in answer.headers.values())


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ('meta.location eq "{location}"', True),
        ('meta.location eq "/Users/{id}"', True),
        ('meta.location eq "Users/{id}"', True),
        ('meta.location eq "http://elsewhere/scim/v2/Users/{id}"', False),
        ('meta.location ne "{location}"', False),
        ("meta.location pr", True),
        ('groups.$ref eq "{group}"', True),
        ('groups[$ref eq "{group}"]', True),
        ('groups.$ref eq "{location}"', False),
        ("not (groups.$ref pr)", False),
    ],
)
async def test_filters_on_issued_uris(call: AsgiCaller, template: str, found: bool) -> None:
    """A filter on a URI this server issued finds what the URI names (S-26, S-33, I-06)."""
    user = await create_user(call)
    group = (await call("POST", GROUPS, {"displayName": "Tour", "members": [{"value": user["id"]}]})).json
    text = template.format(location=user["meta"]["location"], id=user["id"], group=group["meta"]["location"])
    answer = await call("GET", f"{USERS}?filter={text}")
    assert answer.json["totalResults"] == int(found), answer.body


async def test_members_by_uri(call: AsgiCaller) -> None:
    """Groups are found by the URI of a member; other operators on it are refused in words (P-3.4.2.2-07)."""
    user = await create_user(call)
    await call("POST", GROUPS, {"displayName": "Tour", "members": [{"value": user["id"]}]})
    location = user["meta"]["location"]
    assert (await call("GET", f'{GROUPS}?filter=members.$ref eq "{location}"')).json["totalResults"] == 1
    refused = await call("GET", f'{GROUPS}?filter=members.$ref co "Users"')
    assert (refused.status, refused.json["scimType"]) == (400, "invalidFilter")
    assert "members.value" in refused.json["detail"]


async def test_token_of_a_user(application: Application, call: AsgiCaller) -> None:
    """A token that acts for a user reads that user and does nothing else (P-2-02, P-2-03)."""
    user, other = await create_user(call), await create_user(call, userName="bob")
    at = application.services.now()
    text = await tokens.issue(application.store, 1, "self", now=at, expires=at + 60_000, user=user["id"])
    own = AsgiCaller(application.asgi, text)
    assert (await own("GET", f"{USERS}/{user['id']}")).status == 200
    title = patch({"op": "add", "path": "title", "value": "Boss"})
    for method, path, body in [
        ("GET", USERS, None),
        ("GET", f"{USERS}/{other['id']}", None),
        ("POST", USERS, ALICE),
        ("PATCH", f"{USERS}/{user['id']}", title),
        ("DELETE", f"{USERS}/{user['id']}", None),
        ("GET", GROUPS, None),
    ]:
        assert (await own(method, path, body)).status == 403, (method, path)
    assert (await own("GET", "/scim/v2/Schemas")).status == 200


@pytest.mark.parametrize("name", ["host", "authorization", "content-type"])
async def test_repeated_headers(application: Application, name: str) -> None:
    """A header that says what a request is may be there once only (T-48)."""
    sent = {}

    async def send(message: Any) -> None:
        sent.update(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    headers = [(b"host", b"localhost"), (b"authorization", b"Bearer x"), (b"content-type", b"text/xml")]
    headers.append((name.encode(), b"other"))
    scope = {
        "type": "http", "method": "GET", "scheme": "http", "path": USERS, "query_string": b"",
        "root_path": "", "headers": headers, "http_version": "1.1",
    }  # fmt: skip
    await application.asgi(scope, receive, send)
    assert sent["type"] == "http.response.body"
    assert b"twice" in sent["body"]
