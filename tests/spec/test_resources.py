"""RFC 7644 §3.3 to §3.6, §3.14: what happens to one resource."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest
from tests.server.conftest import Told
from tests.spec.bodies import (
    BASE,
    ENTERPRISE,
    GROUPS,
    USERS,
    create,
    group,
    patch,
    refusal,
    replace,
    user,
    where,
)

from rollbook.app import Application
from rollbook.protocol import urns
from rollbook.storage.ids import new_id
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

HAS_ENTERPRISE = quote(f'schemas eq "{ENTERPRISE}"')


@pytest.mark.spec("P-3.2-01", "P-3.2-03", "P-3.3-05", "P-3.3-06", "P-3.3-07", "P-3.4.1-01", "P-3.4.1-03", "P-3.5-01",
                  "P-3.5.1-10", "P-3.6-05", "P-3.14-03", "S-43", "S-44", "S-45")  # fmt: skip
@pytest.mark.parametrize(
    ("endpoint", "body", "changed", "kind"),
    [
        (USERS, user("ann", title="a"), user("ann", title="b"), "User"),
        (GROUPS, group("staff"), group("board"), "Group"),
    ],
)
async def test_a_life(call: AsgiCaller, endpoint: str, body: Any, changed: Any, kind: str) -> None:
    """POST creates, GET reads, PUT replaces, PATCH changes in part, DELETE removes; headers match meta throughout."""
    created = await call("POST", endpoint, body)
    assert created.status == 201
    resource = created.json
    assert {"schemas", "id", "meta"} <= resource.keys()
    path, meta = f"{endpoint}/{resource['id']}", resource["meta"]
    assert meta["resourceType"] == kind
    assert meta["created"] == meta["lastModified"]
    read = await call("GET", path)
    assert (read.status, read.json) == (200, resource)
    replaced = await call("PUT", path, changed)
    assert replaced.status == 200
    assert replaced.json == (await call("GET", path)).json
    shown = await call("PUT", f"{path}?attributes=meta.created", changed)
    assert shown.json.keys() == {"schemas", "id", "meta"}
    patched = await call("PATCH", f"{path}?attributes=externalId", replace("externalId", "e"))
    assert patched.json["externalId"] == "e"
    for answer in (created, read, replaced):
        meta = answer.json["meta"]
        assert answer.headers["location"] == answer.headers["content-location"] == meta["location"]
        assert meta["location"].endswith(path)
        assert answer.headers["etag"] == meta["version"]
        assert meta["version"].startswith('W/"')
    gone = await call("DELETE", path)
    assert (gone.status, gone.body) == (204, b"")
    assert (await call("GET", path)).status == 404


@pytest.mark.spec("P-3.3-15")
@pytest.mark.parametrize(
    ("schemas", "lenient", "strict"),
    [
        ([urns.USER], 201, 201),
        ([urns.USER.upper()], 201, 201),
        (None, 201, 400),
        ([], 201, 400),
        (["urn:unknown:schema"], 201, 400),
        ([urns.USER, "urn:unknown:schema"], 201, 400),
        ([urns.GROUP], 400, 400),
        ([urns.PATCH_OP], 400, 400),
    ],
)
async def test_schemas_of_a_body(told: Told, schemas: list[str] | None, lenient: int, strict: int) -> None:
    """A-01, A-02: the base schema is assumed where none is named in lenient mode; another kind of body never is."""
    for profile, status in (("auto", lenient), ("rfc", strict)):
        call = await told(f"profile={profile}")
        for name, method in ((f"{profile}", "POST"), (f"{profile}2", "PUT")):
            path = USERS if method == "POST" else where(await create(call, USERS, user(name)))
            body = {"userName": name, **({} if schemas is None else {"schemas": schemas})}
            answer = await call(method, path, body)
            if status == 400:
                assert refusal(answer) == (400, "invalidSyntax")
            else:
                assert answer.status == (201 if method == "POST" else 200)
                assert answer.json["schemas"] == [urns.USER]


@pytest.mark.spec("P-3.3-19")
@pytest.mark.parametrize(
    ("endpoint", "body", "scim_type"),
    [
        (USERS, user("new", x509Certificates=[{"value": "!"}]), "invalidValue"),
        (USERS, user("TAKEN", displayName="x"), "uniqueness"),
        (GROUPS, group("new", "nobody"), "invalidValue"),
    ],
)
async def test_a_create_that_fails_leaves_nothing(
    application: Application, call: AsgiCaller, endpoint: str, body: Any, scim_type: str
) -> None:
    """A-49: after an error there is no resource, no index row, no log entry."""
    await create(call, USERS, user("taken"))
    store = application.store
    before = await store.last_change(1)
    assert refusal(await call("POST", endpoint, body))[1] == scim_type
    assert await store.last_change(1) == before
    assert (await call("GET", BASE)).json["totalResults"] == 1
    assert await store.check() == []


@pytest.mark.spec("P-3.3-11", "P-3.6-09", "S-40")
def test_ids() -> None:
    """An id is never given twice, is not empty, and "bulkId" is not in it."""
    made = [new_id() for _ in range(20_000)]
    assert len(set(made)) == len(made)
    assert all(each and "bulkid" not in each.lower() and each.isascii() for each in made)


@pytest.mark.spec("P-3.6-09", "S-40")
async def test_an_id_is_not_given_again(call: AsgiCaller) -> None:
    """A resource made after another was removed has another id, and the old one stays unknown."""
    first = await create(call, USERS, user())
    await call("DELETE", where(first))
    second = await create(call, USERS, user())
    assert second["id"] != first["id"]
    assert (await call("GET", where(first))).status == 404
    assert (await call("GET", f"{USERS}?filter=id%20eq%20%22{second['id'].upper()}%22")).json[
        "totalResults"
    ] == 0


@pytest.mark.spec("P-3.4.1-04", "P-3.4.2.5-07", "P-3.4.2.5-08")
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "userName name emails title active meta urn"),
        ("attributes=nosuch", ""),
        ("attributes=userName,nosuch", "userName"),
        ("attributes=name", "name"),
        ("attributes=name.givenName", "name"),
        (f"attributes={ENTERPRISE}", "urn"),
        (f"attributes={ENTERPRISE}:department", "urn"),
        (f"attributes={urns.USER}:userName", "userName"),
        ("attributes=USERNAME", "userName"),
        ("attributes=meta", "meta"),
        ("excludedAttributes=emails,title", "userName name active meta urn"),
        ("excludedAttributes=name.givenName", "userName name emails title active meta urn"),
        ("excludedAttributes=id,schemas,meta", "userName name emails title active urn"),
        (f"excludedAttributes={ENTERPRISE}", "userName name emails title active meta"),
        ("excludedAttributes=nosuch", "userName name emails title active meta urn"),
    ],
)
async def test_what_is_shown(call: AsgiCaller, query: str, names: str) -> None:
    """A-18: the default set, what `attributes` names, or what `excludedAttributes` leaves; id and schemas always."""
    body = user(
        "ann",
        name={"givenName": "Ann", "familyName": "Lee"},
        emails=[{"value": "a@x"}],
        title="t",
        **{ENTERPRISE: {"department": "IT", "division": "D"}},
    )
    made = await create(call, USERS, body)
    shown = (await call("GET", f"{where(made)}?{query}")).json
    expected = {ENTERPRISE if name == "urn" else name for name in names.split()}
    assert shown.keys() == {"schemas", "id"} | expected
    listed = (await call("GET", f"{USERS}?{query}")).json["Resources"][0]
    assert listed == shown
    if query == "attributes=name":
        assert shown["name"] == body["name"]
    if "givenName" in query:
        assert shown["name"] == ({"givenName": "Ann"} if query.startswith("attr") else {"familyName": "Lee"})
    if query.endswith(":department"):
        assert shown[ENTERPRISE] == {"department": "IT"}


@pytest.mark.spec("P-3.4.1-05", "P-3.14-05")
@pytest.mark.parametrize(
    ("header", "status"),
    [("{}", 304), ('W/"other", {}', 304), ("*", 304), ('W/"other"', 200), ("nonsense", 200)],
)
async def test_read_again(call: AsgiCaller, header: str, status: int) -> None:
    """A fitting If-None-Match is answered 304 without a body."""
    made = await create(call, USERS, user())
    answer = await call("GET", where(made), headers={"if-none-match": header.format(made["meta"]["version"])})
    assert answer.status == status
    assert bool(answer.body) == (status == 200)
    assert answer.headers["etag"] == made["meta"]["version"]


@pytest.mark.spec(
    "P-3.4.2-02", "P-3.4.2-03", "P-3.4.2-04", "P-3.4.2-05", "P-3.4.2-06", "P-3.4.2-07", "P-3.4.2-09"
)
async def test_lists(call: AsgiCaller) -> None:
    """Totals count every match; Resources is there even when empty; entries are what GET gives."""
    for number in range(25):
        await create(call, USERS, user(f"u{number}"))
    page = (await call("GET", f"{USERS}?count=10")).json
    assert page["schemas"] == [urns.LIST_RESPONSE]
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (25, 1, 10)
    for resource in page["Resources"]:
        assert resource == (await call("GET", where(resource))).json
    nothing = await call("GET", f"{USERS}?filter=userName%20eq%20%22nobody%22")
    assert nothing.status == 200
    assert (nothing.json["totalResults"], nothing.json["Resources"]) == (0, [])


@pytest.mark.spec("P-3.4.2.2-26", "S-54")
async def test_a_default_is_found(call: AsgiCaller) -> None:
    """A filter sees the default a client was shown; an inactive user is still there to be read."""
    made = await create(call, USERS, user())
    assert made["active"] is True
    assert (await call("GET", f"{USERS}?filter=active%20eq%20true")).json["totalResults"] == 1
    off = await call("PATCH", where(made), replace("active", False))
    assert off.json["active"] is False
    assert (await call("GET", f"{USERS}?filter=active%20eq%20true")).json["totalResults"] == 0
    assert (await call("GET", where(made))).status == 200


@pytest.mark.spec("P-3.5-02")
async def test_patch_is_announced(call: AsgiCaller) -> None:
    """What is announced works."""
    assert (await call("GET", f"{BASE}/ServiceProviderConfig")).json["patch"] == {"supported": True}
    made = await create(call, USERS, user())
    assert (await call("PATCH", where(made), replace("title", "x"))).json["title"] == "x"


@pytest.mark.spec("P-3.5.1-03", "P-3.5.1-13", "S-55")
async def test_put_keeps_what_the_client_cannot_read(application: Application, call: AsgiCaller) -> None:
    """A-05: a password left out of PUT is kept as it is; it is hashed, and shown nowhere."""
    made = await create(call, USERS, user("ann", password="a long password"))

    async def stored() -> Any:
        kind = application.tenant.catalog.resource_type("User")
        assert kind is not None
        record = await application.store.get(1, kind, made["id"])
        assert record is not None
        return record.extra

    before = await stored()
    assert b"argon2id" in before
    assert b"a long password" not in before
    assert "password" not in (await call("PUT", where(made), user("ann", title="x"))).json
    assert await stored() == before


@pytest.mark.spec("S-55", "P-3.3-20")
@pytest.mark.parametrize(
    "query", ["", "?attributes=password", "?attributes=userName,PASSWORD", "?excludedAttributes=title"]
)
async def test_nobody_is_shown_a_password(call: AsgiCaller, query: str) -> None:
    """Whoever asks for it, in any request, and also who has just written it, gets everything else."""
    body = user("ann", password="a long password", title="x")
    made = (await call("POST", f"{USERS}{query}", body)).json
    path = f"{USERS}/{made['id']}{query}"
    answers = [
        made,
        (await call("GET", path)).json,
        (await call("PUT", path, body)).json,
        (await call("PATCH", path, replace("password", "another password"))).json,
        (await call("GET", f"{USERS}{query}")).json["Resources"][0],
    ]
    assert [answer for answer in answers if "password" in answer or "a long password" in str(answer)] == []
    assert {answer["id"] for answer in answers} == {made["id"]}


@pytest.mark.spec("P-3.5.1-15", "P-3.14-08")
async def test_version_and_time_follow_the_resource(call: AsgiCaller) -> None:
    """A-31: they move with the resource's own attributes, not with projection, repetition or its groups."""
    made = await create(call, USERS, user("ann", title="x"))
    meta, path = made["meta"], where(made)
    assert (await call("PUT", path, user("ann", title="x"))).json["meta"] == meta
    assert (await call("GET", f"{path}?attributes=userName")).headers["etag"] == meta["version"]
    staff = await create(call, GROUPS, group("staff", made["id"]))
    in_group = (await call("GET", path)).json
    assert in_group["meta"] == meta
    assert in_group["groups"]
    await asyncio.sleep(0.002)
    changed = (await call("PUT", path, user("ann", title="y"))).json["meta"]
    assert changed["version"] != meta["version"]
    assert changed["lastModified"] > meta["lastModified"]
    assert changed["created"] == meta["created"]
    assert (await call("GET", where(staff))).json["meta"] == staff["meta"]
    left = await call("PATCH", where(staff), patch({"op": "remove", "path": "members"}))
    assert left.headers["etag"] != staff["meta"]["version"]


@pytest.mark.spec("P-3.5.1-16", "P-3.5.2-19", "P-3.6-07", "P-3.14-06", "P-3.14-07", "P-3.14-09")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_conditional_changes(call: AsgiCaller, method: str) -> None:
    """A change that names another version is 412 and changes nothing; the present one, in a list or `*`, lets it be."""
    bodies: dict[str, Any] = {
        "PUT": user("ann", title="new"),
        "PATCH": replace("title", "new"),
        "DELETE": None,
    }
    for header, status in (('W/"old"', 412), ("nonsense", 412), ('W/"old", {}', 0), ("{}", 0), ("*", 0)):
        made = await create(call, USERS, user("ann", title="old"))
        version = made["meta"]["version"]
        answer = await call(method, where(made), bodies[method], {"if-match": header.format(version)})
        if status:
            assert refusal(answer) == (412, None)
            assert (await call("GET", where(made))).json == made
            await call("DELETE", where(made))
        else:
            assert answer.status in {200, 204}
            await call("DELETE", where(made))
    assert (await call(method, f"{USERS}/nobody", bodies[method], {"if-match": "*"})).status == 404


@pytest.mark.spec("P-3.5.2-11", "P-3.5.2-12")
async def test_schemas_during_a_patch(call: AsgiCaller) -> None:
    """An extension attribute brings its URN, which later operations and filters see; it goes with the last one."""
    made = await create(call, USERS, user())
    added = {"op": "add", "path": f"{ENTERPRISE}:department", "value": "IT"}
    answer = await call(
        "PATCH", where(made), patch(added, {"op": "replace", "path": "department", "value": "HR"})
    )
    assert answer.json["schemas"] == [urns.USER, ENTERPRISE]
    assert answer.json[ENTERPRISE] == {"department": "HR"}
    found = await call("GET", f"{USERS}?filter={HAS_ENTERPRISE}")
    assert found.json["totalResults"] == 1
    removed = {"op": "remove", "path": f'schemas[value eq "{ENTERPRISE}"]'}
    gone = await call("PATCH", where(made), patch(added, removed))
    assert gone.json["schemas"] == [urns.USER]
    assert ENTERPRISE not in gone.json


@pytest.mark.spec("P-3.5.2-16", "P-3.5.2-14")
@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "replace", "path": "id", "value": "x"}, (400, "mutability")),
        ({"op": "add", "path": "meta.version", "value": "x"}, (400, "mutability")),
        ({"op": "remove", "path": "groups"}, (400, "mutability")),
        ({"op": "replace", "path": "active", "value": [1, 2]}, (400, "invalidValue")),
        ({"op": "add", "path": "emails", "value": "a@x"}, (400, "invalidValue")),
        ({"op": "replace", "path": "name", "value": 5}, (400, "invalidValue")),
    ],
)
async def test_operations_that_do_not_fit(
    call: AsgiCaller, operation: Any, expected: tuple[int, str]
) -> None:
    """What does not fit mutability or schema is refused, and the operations before it are undone."""
    made = await create(call, USERS, user())
    first = {"op": "replace", "path": "title", "value": "changed"}
    assert refusal(await call("PATCH", where(made), patch(first, operation))) == expected
    assert (await call("GET", where(made))).json == made


@pytest.mark.spec("P-3.5.2-20")
async def test_no_authorization_in_answers(call: AsgiCaller) -> None:
    """No answer repeats the Authorization header, the 204 of a PATCH least of all."""
    staff = await create(call, GROUPS, group())
    answer = await call("PATCH", where(staff), replace("displayName", "x"))
    assert answer.status == 204
    assert "authorization" not in answer.headers
    assert answer.body == b""


@pytest.mark.spec("P-3.5.2-25")
async def test_keys_that_are_paths(call: AsgiCaller) -> None:
    """A-23: dotted and URN-prefixed keys of a path-less value are read as paths."""
    made = await create(call, USERS, user("ann", name={"familyName": "Lee"}))
    value = {"displayName": "A", "name.givenName": "Ann", f"{ENTERPRISE}:employeeNumber": "7"}
    changed = (await call("PATCH", where(made), replace(None, value))).json
    assert changed["name"] == {"familyName": "Lee", "givenName": "Ann"}
    assert changed[ENTERPRISE] == {"employeeNumber": "7"}
    assert changed["displayName"] == "A"


@pytest.mark.spec("P-3.5.2.1-09")
async def test_what_is_there_already(call: AsgiCaller) -> None:
    """A-25: a value equal on the parts sent, a member equal by id: added again it changes nothing."""
    mail = {"value": "A@x", "type": "work", "display": "A"}
    ann = await create(call, USERS, user("ann", emails=[mail]))
    staff = await create(call, GROUPS, group("staff", ann["id"]))
    again = {"op": "add", "path": "emails", "value": [{"value": "a@X", "type": "WORK"}]}
    assert (await call("PATCH", where(ann), patch(again))).json["meta"] == ann["meta"]
    member = {
        "op": "add",
        "path": "members",
        "value": [{"value": ann["id"], "display": "another", "type": "User"}],
    }
    assert (await call("PATCH", where(staff), patch(member))).headers["etag"] == staff["meta"]["version"]
    other = {"op": "add", "path": "emails", "value": [{"value": "a@x", "type": "home"}]}
    assert len((await call("PATCH", where(ann), patch(other))).json["emails"]) == 2


@pytest.mark.spec("P-3.5.2.1-10")
async def test_one_for_many_and_many_for_one(told: Told) -> None:
    """A-26: a bare value where a list is due, a list of one where a value is due: in lenient mode only."""
    for profile in ("auto", "rfc"):
        call = await told(f"profile={profile}")
        made = await create(call, USERS, user(profile))
        for operation in (
            {"op": "add", "path": "emails", "value": {"value": "a@x"}},
            {"op": "add", "path": f"{ENTERPRISE}:manager", "value": [{"value": made["id"]}]},
        ):
            answer = await call("PATCH", where(made), patch(operation))
            if profile == "rfc":
                assert refusal(answer) == (400, "invalidValue")
                assert "single-as-list" in answer.json["detail"]
            else:
                assert answer.status == 200
        if profile == "auto":
            changed = (await call("GET", where(made))).json
            assert changed["emails"] == [{"value": "a@x"}]
            assert changed[ENTERPRISE]["manager"]["value"] == made["id"]


@pytest.mark.spec("P-3.5.2.3-13")
async def test_replace_members_is_a_difference(application: Application, call: AsgiCaller) -> None:
    """A-36: the log of a replaced list names only members who came or went."""
    ids = [(await create(call, USERS, user(f"u{number}")))["id"] for number in range(4)]
    staff = await create(call, GROUPS, group("staff", *ids[:3]))
    value = [{"value": each} for each in ids[1:]]
    await call("PATCH", where(staff), replace("members", value))
    (entry,) = [e for e in await application.store.changes(1, 0, 100) if e.operation == "update"]
    assert entry.detail == {"members": {"add": [ids[3]], "remove": [ids[0]]}}


@pytest.mark.spec("P-3.6-01", "P-3.6-02", "P-3.6-03", "P-3.6-04")
async def test_what_is_removed_is_gone(call: AsgiCaller) -> None:
    """A removed resource is in no list, filter or root query, in no group, and its name is free."""
    made = await create(call, USERS, user("ann"))
    staff = await create(call, GROUPS, group("staff", made["id"]))
    await call("DELETE", where(made))
    for path in (
        USERS,
        f"{USERS}?filter=userName%20eq%20%22ann%22",
        f"{BASE}?filter=userName%20pr",
        f"{USERS}?filter=id%20eq%20%22{made['id']}%22",
        f"{USERS}?sortBy=userName",
        f"{USERS}?cursor=",
    ):
        assert (await call("GET", path)).json["totalResults"] == 0
    assert "members" not in (await call("GET", where(staff))).json
    for method, body in (
        ("GET", None),
        ("PUT", user("ann")),
        ("PATCH", replace("title", "x")),
        ("DELETE", None),
    ):
        assert (await call(method, where(made), body)).status == 404
    assert (await call("POST", USERS, user("ann"))).status == 201
