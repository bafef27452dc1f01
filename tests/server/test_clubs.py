"""Members, groups and passwords of resource types of our own, over HTTP."""

from typing import Any

import orjson
import pytest
from tests.clubs import CLUB, DEFINITIONS, STUDENT
from tests.server.conftest import STORES, Told
from tests.server.test_endpoints import BASE, patch

from rollbook.protocol import urns
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

PATH = "/scim/v2"


@pytest.fixture
async def clubs(told: Told) -> AsgiCaller:
    """A server with clubs, students and professors."""
    return await told(definitions=DEFINITIONS)


async def create(call: AsgiCaller, kind: str, **attributes: Any) -> Any:
    """Create a resource of a type and return its representation."""
    urn = {"User": urns.USER, "Group": urns.GROUP}.get(kind, f"urn:example:clubs:2.0:{kind}")
    answer = await call("POST", f"{PATH}/{kind}s", {"schemas": [urn], **attributes})
    assert answer.status == 201, answer.body
    return answer.json


async def read(call: AsgiCaller, resource: Any, query: str = "") -> Any:
    """The representation of a resource."""
    kind = resource["meta"]["resourceType"]
    return (await call("GET", f"{PATH}/{kind}s/{resource['id']}{query}")).json


async def test_members(clubs: AsgiCaller) -> None:
    """S-71: members are added and removed one by one; answers have the parts that the schema has."""
    ann, bob = [await create(clubs, "Student", displayName=name) for name in ("Ann", "Bob")]
    club = await create(clubs, "Club", displayName="Chess", members=[{"value": ann["id"]}])
    shown = {"value": ann["id"], "$ref": f"{BASE}/Students/{ann['id']}", "display": "Ann"}
    assert club["members"] == [shown]
    where = f"{PATH}/Clubs/{club['id']}"
    add = {"op": "add", "path": "members", "value": [{"value": bob["id"], "$ref": None}]}
    remove = {"op": "remove", "path": f'members[value eq "{ann["id"]}"]'}
    assert (await clubs("PATCH", where, patch(add, remove))).status == 204
    assert [member["display"] for member in (await read(clubs, club))["members"]] == ["Bob"]
    found = await clubs("GET", f"{PATH}/Clubs?filter=members.value%20eq%20%22{bob['id']}%22")
    assert found.json["totalResults"] == 1
    answer = await clubs("PATCH", where, patch({**add, "value": [{"value": "nobody"}]}))
    assert (answer.status, answer.json["scimType"]) == (400, "invalidValue")


async def test_groups_lead_where_the_schema_says(clubs: AsgiCaller) -> None:
    """S-60: a student shows clubs and no groups, a user groups and no clubs, a club clubs."""
    user, student = await create(clubs, "User", userName="u"), await create(clubs, "Student", displayName="S")
    both = [{"value": user["id"]}, {"value": student["id"]}]
    group = await create(clubs, "Group", displayName="G", members=both)
    club = await create(clubs, "Club", displayName="C", members=both)
    outer = await create(clubs, "Club", displayName="O", members=[{"value": club["id"]}])
    assert [each["value"] for each in (await read(clubs, user))["groups"]] == [group["id"]]
    assert (await read(clubs, student))["groups"] == [
        {"value": club["id"], "$ref": f"{BASE}/Clubs/{club['id']}", "type": "direct"}
    ]
    assert [each["value"] for each in (await read(clubs, club))["groups"]] == [outer["id"]]
    assert [member["type"] for member in (await read(clubs, group))["members"]] == ["User", "Student"]
    for kind, one in (("Users", group), ("Students", club)):
        for text in (f'groups.value eq "{one["id"]}"', "groups pr", 'groups[type eq "direct"]'):
            assert (await clubs("GET", f"{PATH}/{kind}?filter={text}")).json["totalResults"] == 1
        for other in {group["id"], club["id"]} - {one["id"]}:
            text = f'groups.value eq "{other}"'
            assert (await clubs("GET", f"{PATH}/{kind}?filter={text}")).json["totalResults"] == 0
            text = f'not (groups.value eq "{other}")'
            assert (await clubs("GET", f"{PATH}/{kind}?filter={text}")).json["totalResults"] == 1


async def test_passwords_are_hashed(clubs: AsgiCaller) -> None:
    """P-7-10: of a password of any schema only a hash is kept, and it is never shown."""
    student = await create(clubs, "Student", displayName="S", password="correct horse")
    assert "password" not in student
    store = STORES[clubs]
    kind = store.catalog.resource_type("Student")
    assert kind is not None
    record = await store.get(1, kind, student["id"])
    assert record is not None
    assert record.extra is not None
    assert orjson.loads(record.extra)["password"].startswith("$argon2id$")
    change = patch({"op": "replace", "path": "password", "value": "short"})
    assert (await clubs("PATCH", f"{PATH}/Students/{student['id']}", change)).status == 400


@pytest.mark.spec("P-3.4.2.5-07")
async def test_members_returned_on_request(told: Told) -> None:
    """RFC 7643 §7: members that are returned on request are shown when they are asked for, and after they were written."""
    [club, *others] = DEFINITIONS
    quiet = [{**a, "returned": "request"} if a["name"] == "members" else a for a in club["attributes"]]
    call = await told(definitions=[{**club, "attributes": quiet}, *others])
    ann = await create(call, "Student", displayName="Ann")
    made = await create(call, "Club", displayName="Chess", members=[{"value": ann["id"]}])
    assert [each["value"] for each in made["members"]] == [ann["id"]]
    assert "members" not in await read(call, made)
    assert [each["value"] for each in (await read(call, made, "?attributes=members"))["members"]] == [
        ann["id"]
    ]
    assert CLUB in made["schemas"]
    assert STUDENT in ann["schemas"]
