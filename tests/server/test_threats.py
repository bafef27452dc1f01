"""What an attacker tries at every place of a server: rows of docs/security.md that no other file has."""

import ast
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.routing import Route

import rollbook
from rollbook.app import Application
from rollbook.operations.tenant_settings import TenantSettings
from rollbook.protocol import urns
from rollbook.protocol.catalog import core_catalog
from rollbook.server.exchange import Access, Endpoint
from rollbook.server.routes import PATH, tenant_routes
from rollbook.storage.sql.transfer import tables
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

USERS = f"{PATH}/Users"
DEEP = (33, 1000, 100_000)
NAMES = (
    "__class__",
    "__dict__",
    "__proto__",
    "toString",
    "constructor",
    "model_fields",
    "_sa_instance_state",
    "userName.__class__",
    "name.__init__.__globals__",
)
SQL = (
    "'; DROP TABLE resource; --",
    '" OR "1"="1',
    "userName' OR 1=1 --",
    "x) UNION SELECT 1 --",
    "%27%20OR",
    "\\'; --",
)


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """A PATCH."""
    return {"schemas": [urns.PATCH_OP], "Operations": list(operations)}


async def make(call: AsgiCaller, **attributes: Any) -> str:
    """A user."""
    answer = await call("POST", USERS, {"schemas": [urns.USER], **attributes})
    assert answer.status == 201, answer.body
    return str(answer.json["id"])


def every_byte(folder: Path) -> bytes:
    """What lies in a folder's databases."""
    return b"".join(file.read_bytes() for file in folder.glob("*.db*"))


async def everything(call: AsgiCaller) -> Any:
    """What is there."""
    answer = await call("GET", PATH)
    assert answer.status == 200
    return answer.json


OPEN = {"/ServiceProviderConfig", "/Schemas", "/Schemas/{id:path}", "/ResourceTypes", "/ResourceTypes/{id}"}


async def test_t_01_every_route_asks_for_a_token(application: Application) -> None:
    """Each route and method of the table, also those to come: discovery is open, everything else is 401 with a challenge."""
    stranger = AsgiCaller(application.asgi)
    routes = tenant_routes(core_catalog(), TenantSettings(), PATH)
    asked = set()
    for route in routes:
        assert isinstance(route, Route)
        assert isinstance(route.endpoint, Endpoint), "a route of another kind has no policy"
        below = route.path.removeprefix(PATH)
        asked.add(below)
        assert (route.endpoint.access is Access.DISCOVERY) == (below in OPEN), below
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "BREW"):
            answer = await stranger(
                method,
                route.path.replace("{id:id}", "some").replace("{id}", "some").replace("{id:path}", "some"),
                {} if method in {"POST", "PUT", "PATCH"} else None,
            )
            if below not in OPEN:
                assert (answer.status, answer.headers.get("www-authenticate", "")[:6]) == (401, "Bearer"), (
                    method,
                    below,
                )
    assert asked >= OPEN | {"/Users", "/Users/{id:id}", "/Groups/.search", "/Bulk", "/Me", "/.search", ""}


async def test_t_01_a_route_has_the_strictest_policy_unless_it_says_otherwise() -> None:
    """Whoever adds a route and says nothing has one that asks for a token and its rights."""
    assert Endpoint({}).access is Access.OWN


async def test_t_03_digests_are_compared_in_constant_time() -> None:
    """Where tokens and signatures are decided about, `hmac.compare_digest` does it, and nothing else compares digests."""
    source = (Path(rollbook.__file__).parent / "operations" / "tokens.py").read_text("utf-8")
    tree = ast.parse(source)
    compared = {
        ast.unparse(side)
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
        for side in (node.left, *node.comparators)
    }
    assert not any("digest" in text for text in compared)
    assert "compare_digest" in source


async def test_t_04_a_token_counts_in_its_header_only(application: Application) -> None:
    """Not in the query, in a cookie, by another header or scheme; and what is refused repeats nothing of it."""
    token = str(application.settings.bootstrap_token)
    stranger = AsgiCaller(application.asgi)
    for target, headers in (
        (f"{USERS}?access_token={token}", {}),
        (f"{USERS}?token={token}", {}),
        (USERS, {"cookie": f"token={token}; session={token}"}),
        (USERS, {"x-api-key": token}),
        (USERS, {"proxy-authorization": f"Bearer {token}"}),
        (USERS, {"authorization": token}),
        (USERS, {"authorization": f"Token {token}"}),
        (USERS, {"authorization": f"Bearer {token}, Bearer {token}"}),
        (USERS, {"authorization": f'Bearer "{token}"'}),
        (USERS, {"authorization": f"Bearer {token}\x00"}),
    ):
        answer = await stranger("GET", target, headers=headers)
        assert answer.status == 401, (target, headers)
        assert token not in answer.body.decode()
    body = await stranger(
        "POST", f"{USERS}/.search", {"schemas": [urns.SEARCH_REQUEST], "access_token": token}
    )
    assert body.status == 401


def test_t_16_nothing_is_without_a_tenant() -> None:
    """No row of any table may lack its tenant: a condition "if there is one" would let it through."""
    snapshot = (Path(rollbook.__file__).parent / "storage/sql/snapshot_sqlite.sql").read_text("utf-8")
    lines = [line.strip() for line in snapshot.splitlines()]
    columns = [line for line in lines if line.lower().startswith(("tenant ", '"tenant" '))]
    assert len(columns) > 10
    assert [line for line in columns if "NOT NULL" not in line.upper()] == []
    assert sum("tenant" in table.columns for table in tables()) > 10


@pytest.mark.parametrize(
    "external",
    ["1", "-1", "admin", "me", "{id}", "1" + "0" * 30, "../Users", "0190b1a2-0000-7000-8000-000000000000"],
)
async def test_t_24_an_external_id_is_nobodys_id(call: AsgiCaller, external: str) -> None:
    """Whatever it looks like, also like another user's id: nobody is read, changed or removed by it (CVE-2025-41115)."""
    ann = await make(call, userName="ann")
    external = external.replace("{id}", ann)
    bob = await make(call, userName="bob", externalId=external)
    before = await everything(call)
    wanted = (200, ann) if external == ann else (404, None)
    body = {"schemas": [urns.USER], "userName": "eve"}
    answer = await call("GET", f"{USERS}/{quote(external, safe='')}")
    assert (answer.status, answer.json.get("id")) == wanted
    if external != ann:
        for method, sent in (
            ("PUT", body),
            ("PATCH", patch({"op": "replace", "path": "title", "value": "x"})),
            ("DELETE", None),
        ):
            assert (await call(method, f"{USERS}/{quote(external, safe='')}", sent)).status == 404
        assert await everything(call) == before
    listed = await call("GET", f"{USERS}?filter=" + quote(f'externalId eq "{external}"'))
    assert [user["id"] for user in listed.json["Resources"]] == [bob]


async def test_t_25_a_name_like_an_id_is_a_name(call: AsgiCaller) -> None:
    """A userName that spells another's id names its owner only, and joins no group in their place."""
    ann = await make(call, userName="ann")
    bob = await make(call, userName=ann)
    assert (await call("GET", f"{USERS}/{ann}")).json["userName"] == "ann"
    found = await call("GET", f"{USERS}?filter=" + quote(f'userName eq "{ann}"'))
    assert [user["id"] for user in found.json["Resources"]] == [bob]
    group = {"schemas": [urns.GROUP], "displayName": "g", "members": [{"value": ann}]}
    answer = await call("POST", f"{PATH}/Groups", group)
    assert [member["display"] for member in answer.json["members"]] == ["ann"]


STRANGE = {"isAdmin": True, "tenant": 2, "passwordHash": "x", "deleted": True, "is_superuser": True, "pk": 1}


@pytest.mark.parametrize("profile", ["strict", "lenient"])
async def test_t_31_what_no_schema_has_is_not_stored(told: Any, tmp_path: Path, profile: str) -> None:
    """Dropped where leniency says so, refused in strict mode; in neither is it found in what is stored."""
    call = await told(*(["profile=rfc"] if profile == "strict" else []))
    body = {"schemas": [urns.USER], "userName": "ann", **STRANGE}
    made = await call("POST", USERS, body)
    assert made.status == (400 if profile == "strict" else 201), made.body
    own = await make(call, userName="bob")
    await call("PUT", f"{USERS}/{own}", {"schemas": [urns.USER], "userName": "bob", **STRANGE})
    for name, value in STRANGE.items():
        await call("PATCH", f"{USERS}/{own}", patch({"op": "add", "path": name, "value": value}))
        await call("PATCH", f"{USERS}/{own}", patch({"op": "add", "value": {name: value}}))
    for user in (await call("GET", USERS)).json["Resources"]:
        assert not set(user) & set(STRANGE)
    stored = every_byte(tmp_path)
    assert b"userName" in stored
    assert b"is_superuser" not in stored
    assert b"passwordHash" not in stored


PLACES: dict[str, tuple[str, str, Any]] = {
    "filter": ("GET", USERS + "?filter={quoted}%20eq%20%22x%22", None),
    "filter value": ("GET", USERS + "?filter=userName%20eq%20%22{quoted}%22", None),
    "sortBy": ("GET", USERS + "?sortBy={quoted}", None),
    "sortOrder": ("GET", USERS + "?sortBy=userName&sortOrder={quoted}", None),
    "attributes": ("GET", USERS + "?attributes={quoted}", None),
    "excludedAttributes": ("GET", USERS + "?excludedAttributes={quoted}", None),
    "count": ("GET", USERS + "?count={quoted}", None),
    "cursor": ("GET", USERS + "?cursor={quoted}", None),
    "id": ("GET", USERS + "/{quoted}", None),
    "type": ("GET", PATH + "/{quoted}", None),
    "schema": ("GET", PATH + "/Schemas/{quoted}", None),
    "tenant": ("GET", "/t/{quoted}/scim/v2/Users", None),
    "search": ("POST", USERS + "/.search", {"schemas": [urns.SEARCH_REQUEST], "filter": "{name} pr", "sortBy": "{name}"}),
    "key": ("POST", USERS, {"schemas": [urns.USER], "userName": "eve", "{name}": "x"}),
    "key of a part": ("POST", USERS, {"schemas": [urns.USER], "userName": "eve", "name": {"{name}": "x"}}),
    "value": ("POST", USERS, {"schemas": [urns.USER], "userName": "eve{name}"}),
    "schemas": ("POST", USERS, {"schemas": [urns.USER, "{name}"], "userName": "eve", "{name}": {"a": 1}}),
    "path": ("PATCH", USERS + "/{id}", patch({"op": "add", "path": "{name}", "value": "x"})),
    "path of a part": ("PATCH", USERS + "/{id}", patch({"op": "add", "path": "name.{name}", "value": "x"})),
    "filter of a path": ("PATCH", USERS + "/{id}", patch({"op": "remove", "path": 'emails[{name} eq "x"]'})),
    "value of PATCH": ("PATCH", USERS + "/{id}", patch({"op": "add", "value": {"{name}": "x"}})),
    "op": ("PATCH", USERS + "/{id}", patch({"op": "{name}", "path": "title", "value": "x"})),
    "method of bulk": ("POST", PATH + "/Bulk", {"schemas": [urns.BULK_REQUEST], "Operations": [{"method": "{name}", "path": "/Users", "bulkId": "b"}]}),
    "path of bulk": ("POST", PATH + "/Bulk", {"schemas": [urns.BULK_REQUEST], "Operations": [{"method": "GET", "path": "/{name}"}]}),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
async def test_t_37_t_58_names_are_looked_up_in_schemas(call: AsgiCaller, place: str) -> None:
    """Names of the language's own objects, and SQL, wherever a name or value is taken: SCIM's answers, nobody else touched, no 5xx."""
    ann = await make(call, userName="ann", title="a")
    before = (await call("GET", f"{USERS}/{ann}")).json
    method, target, body = PLACES[place]
    for name in (*NAMES, *SQL):
        own = await make(call, userName="own")
        written = json.dumps(name)[1:-1]
        sent = json.loads(json.dumps(body).replace("{name}", written)) if body else None
        answer = await call(
            method, target.replace("{quoted}", quote(name, safe="")).replace("{id}", own), sent
        )
        assert answer.status < 500, (place, name, answer.body)
        if method == "GET" and answer.status == 200 and "filter" in place:
            assert answer.json["totalResults"] == 0, (place, name)
        for user in (await call("GET", USERS)).json["Resources"]:
            if user["id"] != ann:
                assert (await call("DELETE", f"{USERS}/{user['id']}")).status == 204
    assert (await call("GET", f"{USERS}/{ann}")).json == before


@pytest.mark.parametrize("depth", DEEP)
@pytest.mark.parametrize(
    ("opened", "closed"), [("(", ")"), ("not (", ")"), ("emails[", "]"), ("(not (", "))")]
)
async def test_t_41_deep_filters_and_paths(call: AsgiCaller, opened: str, closed: str, depth: int) -> None:
    """Nested beyond the limit, closed or not, wherever a filter stands: 400, and never a recursion that ends anything."""
    own = await make(call, userName="ann")
    for text in (opened * depth + "title pr" + closed * depth, opened * depth):
        search = {"schemas": [urns.SEARCH_REQUEST], "filter": text}
        changes = [
            patch({"op": "remove", "path": f"emails[{text}]"}),
            patch({"op": "remove", "path": text}),
            patch({"op": "remove", "path": "members", "value": [{"value": text}]}),
        ]
        bulk = {
            "schemas": [urns.BULK_REQUEST],
            "Operations": [
                {"method": "PATCH", "path": f"/Users/{own}", "data": change} for change in changes
            ],
        }
        answers = [
            await call("POST", f"{USERS}/.search", search),
            await call("POST", f"{PATH}/.search", search),
        ]
        answers += [await call("PATCH", f"{USERS}/{own}", change) for change in changes]
        if depth < 100_000:
            answers.append(await call("GET", f"{USERS}?filter={quote(text)}"))
        assert {answer.status for answer in answers} <= {400, 413}, [answer.body[:200] for answer in answers]
        done = await call("POST", f"{PATH}/Bulk", bulk)
        assert done.status in {200, 413}
        if done.status == 200:
            assert {each["status"] for each in done.json["Operations"]} == {"400"}
    assert (await call("GET", f"{USERS}/{own}")).status == 200
