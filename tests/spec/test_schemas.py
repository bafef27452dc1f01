"""RFC 7643: types, attributes of User and Group, configuration resources; RFC 7644 §4, §5."""

import unicodedata
from typing import Any
from urllib.parse import quote

import pytest
from tests.server.conftest import Told
from tests.spec.bodies import BASE, GROUPS, USERS, create, group, patch, refusal, user, where

from rollbook.operations.passwords import PasswordHasher, opaque
from rollbook.protocol import urns
from rollbook.protocol.definitions import parse_schema
from rollbook.protocol.errors import InvalidValue
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

CORE = (
    urns.USER,
    urns.GROUP,
    urns.ENTERPRISE_USER,
    urns.SERVICE_PROVIDER_CONFIG,
    urns.RESOURCE_TYPE,
    urns.SCHEMA,
)


async def found(call: AsgiCaller, condition: str) -> int:
    """How many users a filter finds."""
    total: int = (await call("GET", f"{USERS}?filter={quote(condition)}")).json["totalResults"]
    return total


@pytest.mark.spec("P-4-02", "P-4-03", "P-4-05", "P-4-07", "P-4-11", "S-12", "S-86", "S-88")
async def test_schemas(call: AsgiCaller) -> None:
    """/Schemas lists every schema whole whatever is asked, each found by its URN, and none lists common attributes."""
    listed = (await call("GET", f"{BASE}/Schemas?count=1&startIndex=3&sortBy=id")).json
    ids = [schema["id"] for schema in listed["Resources"]]
    assert listed["totalResults"] == len(ids) == len(set(ids))
    assert set(CORE) <= set(ids)
    for schema in listed["Resources"]:
        assert schema["meta"]["resourceType"] == "Schema"
        assert schema["meta"]["location"].endswith(f"/Schemas/{schema['id']}")
        for path in (f"{BASE}/Schemas/{schema['id']}", f"{BASE}/Schemas/{schema['id'].upper()}"):
            assert (await call("GET", path)).json == schema
        if schema["id"] in {urns.USER, urns.GROUP, urns.ENTERPRISE_USER}:
            assert not {"id", "externalId", "meta", "schemas"} & {
                each["name"] for each in schema["attributes"]
            }
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert (await call(method, f"{BASE}/Schemas/{schema['id']}", {})).status == 405


@pytest.mark.spec("P-4-04", "P-4-05", "P-3.2-01", "S-83", "S-84", "S-85", "S-88")
async def test_resource_types(call: AsgiCaller) -> None:
    """/ResourceTypes lists every type with its endpoint and schemas, which exist; id equals name."""
    listed = (await call("GET", f"{BASE}/ResourceTypes?count=1")).json
    types = {each["name"]: each for each in listed["Resources"]}
    assert listed["totalResults"] == len(types)
    assert {name: each["endpoint"] for name, each in types.items()} == {"User": "/Users", "Group": "/Groups"}
    assert types["User"]["schemaExtensions"] == [{"schema": urns.ENTERPRISE_USER, "required": False}]
    for name, each in types.items():
        assert each["id"] == name
        assert each["meta"]["resourceType"] == "ResourceType"
        assert (await call("GET", f"{BASE}/ResourceTypes/{name}")).json == each
        assert (await call("GET", f"{BASE}/Schemas/{each['schema']}")).json["id"] == each["schema"]
        assert (await call("GET", BASE + each["endpoint"])).status == 200
    made = await create(call, USERS, user())
    assert made["meta"]["resourceType"] in types


@pytest.mark.spec("P-4-01", "S-80", "S-81", "S-82", "S-88")
async def test_service_provider_config(call: AsgiCaller) -> None:
    """One object with every part that is required, and the scheme that is really offered."""
    config = (await call("GET", f"{BASE}/ServiceProviderConfig")).json
    assert config["schemas"] == [urns.SERVICE_PROVIDER_CONFIG]
    assert "id" not in config
    for name in ("patch", "bulk", "filter", "changePassword", "sort", "etag"):
        assert isinstance(config[name]["supported"], bool)
    assert isinstance(config["bulk"]["maxOperations"], int)
    assert isinstance(config["bulk"]["maxPayloadSize"], int)
    assert isinstance(config["filter"]["maxResults"], int)
    assert {"cursor", "index"} <= config["pagination"].keys()
    assert "securityEvents" not in config
    schemes = config["authenticationSchemes"]
    assert [scheme["type"] for scheme in schemes] == ["oauthbearertoken", "oauth2"]
    assert all(scheme["name"] and scheme["description"] for scheme in schemes)
    assert config["meta"]["resourceType"] == "ServiceProviderConfig"
    assert config["meta"]["location"].endswith("/ServiceProviderConfig")


@pytest.mark.spec("P-5-01")
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("åsa", unicodedata.normalize("NFD", "åsa")),
        ("bjensen", "\uff22\uff2a\uff25\uff2e\uff33\uff25\uff2e"),
        ("straße", "STRASSE"),
        ("ſam", "Sam"),
        ("ﬁona", "Fiona"),
        ("john smith", "John\u00a0Smith"),
    ],
)
async def test_names_that_are_one(call: AsgiCaller, first: str, second: str) -> None:
    """P-5-02, A-64: names that differ by width, case or composition clash, and the stored one comes back as sent."""
    made = await create(call, USERS, user(first))
    assert refusal(await call("POST", USERS, user(second))) == (409, "uniqueness")
    assert await found(call, f'userName eq "{second}"') == 1
    assert made["userName"] == first


@pytest.mark.spec("P-5-01", "S-55")
@pytest.mark.parametrize(
    ("sent", "same"),
    [
        ("a long password", "a\u00a0long\u3000password"),
        ("naïve-password", unicodedata.normalize("NFD", "naïve-password")),
    ],
)
async def test_passwords_that_are_one(sent: str, same: str) -> None:
    """OpaqueString: other spaces count as the ASCII one, composed as decomposed; case and width count."""
    from argon2 import PasswordHasher as Argon2

    hasher = PasswordHasher()
    try:
        hashes = await hasher.hashes([sent, same])
    finally:
        hasher.close()
    for one in hashes.values():
        assert Argon2().verify(one, opaque(sent))
    assert opaque(sent) == opaque(same) != opaque(sent.upper())
    with pytest.raises(InvalidValue, match="control characters"):
        await hasher.hashes(["a long\tpassword"])


@pytest.mark.usefixtures("usual_hashes")
async def test_t_32_what_a_hash_costs() -> None:
    """Argon2id as RFC 9106 §4 recommends it where memory is short: 64 MiB, three rounds, four lanes."""
    hasher = PasswordHasher()
    try:
        (hashed,) = (await hasher.hashes(["a long password"])).values()
    finally:
        hasher.close()
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.mark.spec("S-03", "S-08")
@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        ({"type": "complex", "subAttributes": [{"name": "b", "type": "complex", "subAttributes": [{"name": "c"}]}]},
         "a sub-attribute cannot be complex"),
        ({"type": "string", "subAttributes": [{"name": "b"}]}, "only type complex has subAttributes"),
        ({"type": "complex"}, "type complex needs subAttributes"),
        ({"type": "money"}, "type must be one of string, boolean, decimal"),
    ],
)  # fmt: skip
def test_definitions_that_are_none(attribute: dict[str, Any], said: str) -> None:
    """There are eight data types, and attributes have two levels."""
    definition = {"id": "urn:x:Thing", "attributes": [{"name": "a", **attribute}]}
    with pytest.raises(InvalidValue, match=said):
        parse_schema(definition)


@pytest.mark.spec("S-31", "S-56", "S-62", "S-51")
async def test_values_come_back_as_sent(told: Told) -> None:
    """A-75: nothing is canonicalised or restricted; roles and entitlements are opaque; a name may have any parts."""
    call = await told("profile=rfc")
    sent = {
        "name": {"formatted": "Ann Lee"},
        "emails": [{"value": "Ann@EXAMPLE.com", "type": "office"}],
        "phoneNumbers": [{"value": "030 1234"}],
        "roles": [{"value": '{"id": "7", "value": "Admin"}'}],
        "entitlements": [{"value": "  any thing "}],
    }
    made = await create(call, USERS, user("ann", **sent))
    assert {name: made[name] for name in sent} == sent
    assert await found(call, r'roles.value eq "{\"id\": \"7\", \"value\": \"Admin\"}"') == 1
    parts = {"givenName": "Bob"}
    assert (await create(call, USERS, user("bob", name=parts)))["name"] == parts


@pytest.mark.spec("S-52")
async def test_the_label_of_a_member(call: AsgiCaller) -> None:
    """Where a user is referred to, displayName labels them; nickName does not; without it the name, then userName."""
    people = [
        await create(call, USERS, user("a", displayName="Label", nickName="nick")),
        await create(call, USERS, user("b", nickName="nick", name={"formatted": "Bob B"})),
        await create(call, USERS, user("c", nickName="nick")),
    ]
    staff = await create(call, GROUPS, group("staff", *(person["id"] for person in people)))
    assert [member["display"] for member in staff["members"]] == ["Label", "Bob B", "c"]


@pytest.mark.spec("S-60")
async def test_groups_of_a_user(call: AsgiCaller) -> None:
    """`groups` is computed: value, $ref, label and type; no client can write it."""
    made = await create(call, USERS, user("ann", groups=[{"value": "invented"}]))
    assert "groups" not in made
    staff = await create(call, GROUPS, group("staff", made["id"]))
    shown = (await call("GET", where(made))).json["groups"]
    expected = {"value": staff["id"], "$ref": staff["meta"]["location"], "display": "staff", "type": "direct"}
    assert shown == [expected]
    assert refusal(await call("PATCH", where(made), patch({"op": "remove", "path": "groups"}))) == (
        400,
        "mutability",
    )
    assert (await call("PUT", where(made), user("ann", groups=[]))).json["groups"] == shown
