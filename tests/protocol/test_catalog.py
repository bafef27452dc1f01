"""The schemas and resource types one service offers."""

import pytest

from rollbook.protocol import urns
from rollbook.protocol.attributes import Mutability, Returned, Type, Uniqueness
from rollbook.protocol.catalog import Adjustment, build_catalog, common_attributes, core_catalog
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.values import JsonObject, JsonValue


def _schema(id: str, *names: str) -> JsonObject:
    return {"schemas": [urns.SCHEMA], "id": id, "attributes": [{"name": name} for name in names or ("a",)]}


def _type(name: str, schema: str, **members: JsonValue) -> JsonObject:
    return {
        "schemas": [urns.RESOURCE_TYPE],
        "name": name,
        "endpoint": f"/{name}s",
        "schema": schema,
        **members,
    }


def test_core() -> None:
    """Without configuration there are User with the enterprise extension, Group, and the schemas of discovery."""
    catalog = core_catalog()
    assert [(kind.name, kind.endpoint) for kind in catalog.resource_types] == [
        ("User", "/Users"),
        ("Group", "/Groups"),
    ]
    assert {schema.id for schema in catalog.schemas} == {
        urns.USER, urns.GROUP, urns.ENTERPRISE_USER, urns.SERVICE_PROVIDER_CONFIG, urns.RESOURCE_TYPE, urns.SCHEMA,
    }  # fmt: skip
    assert not urns.MESSAGES & {schema.id for schema in catalog.schemas}
    user = catalog.resource_type("User")
    assert user is not None
    assert [(ext.schema.id, ext.required) for ext in user.extensions] == [(urns.ENTERPRISE_USER, False)]


@pytest.mark.parametrize(
    ("type", "name", "kind", "mutability", "returned", "uniqueness"),
    [
        ("User", "id", Type.STRING, Mutability.READ_ONLY, Returned.ALWAYS, Uniqueness.SERVER),
        ("User", "userName", Type.STRING, Mutability.READ_WRITE, Returned.DEFAULT, Uniqueness.SERVER),
        ("User", "password", Type.STRING, Mutability.WRITE_ONLY, Returned.NEVER, Uniqueness.NONE),
        ("User", "groups", Type.COMPLEX, Mutability.READ_ONLY, Returned.DEFAULT, Uniqueness.NONE),
        ("User", "meta.created", Type.DATE_TIME, Mutability.READ_ONLY, Returned.DEFAULT, Uniqueness.NONE),
        (
            "User",
            "x509Certificates.value",
            Type.BINARY,
            Mutability.READ_WRITE,
            Returned.DEFAULT,
            Uniqueness.NONE,
        ),
        ("Group", "members.value", Type.STRING, Mutability.IMMUTABLE, Returned.DEFAULT, Uniqueness.NONE),
        ("Group", "members.$ref", Type.REFERENCE, Mutability.IMMUTABLE, Returned.DEFAULT, Uniqueness.NONE),
    ],
)
def test_core_characteristics(
    type: str, name: str, kind: Type, mutability: Mutability, returned: Returned, uniqueness: Uniqueness
) -> None:
    """RFC 7643 §8.7: attributes that much hangs on have the characteristics of the RFC."""
    resource_type = core_catalog().resource_type(type)
    assert resource_type is not None
    path = resource_type.find(name)
    assert path is not None
    leaf = path.leaf
    assert (leaf.type, leaf.mutability, leaf.returned, leaf.uniqueness) == (
        kind,
        mutability,
        returned,
        uniqueness,
    )


def test_common_attributes() -> None:
    """RFC 7643 §3.1: every resource has schemas, id, externalId and meta, and no schema lists them."""
    common = {attribute.name for attribute in common_attributes()}
    assert common == {"schemas", "id", "externalId", "meta"}
    for resource_type in core_catalog().resource_types:
        assert not common & {attribute.name for attribute in resource_type.schema.attributes}


def test_lookup() -> None:
    """P-3.2-08: endpoints compare exactly, URNs without case."""
    catalog = core_catalog()
    assert catalog.at("/Users") is catalog.resource_type("User") is not None
    assert catalog.at("/users") is None
    assert catalog.resource_type("user") is None
    found = catalog.schema(urns.USER.upper())
    assert found is not None
    assert found.id == urns.USER
    assert catalog.schema("urn:x") is None


def test_custom_type() -> None:
    """P-3.2-02: a resource type of the configuration is served where it says, with its extensions."""
    catalog = build_catalog(
        [
            _type("Device", "urn:x:Device", schemaExtensions=[{"schema": "URN:X:more", "required": True}]),
            _schema("urn:x:Device", "serial"),
            _schema("urn:x:more", "colour"),
        ]
    )
    device = catalog.at("/Devices")
    assert device is not None
    assert device.find("serial") is not None
    assert device.find("urn:x:more:colour") is not None
    assert device.find("meta.version") is not None
    assert len(catalog.resource_types) == 3


@pytest.mark.parametrize(
    ("urn", "owner"),
    [("urn:x:User", "User"), ("urn:x:1.0:USER", "User"), ("urn:x:Group", "Group"), ("urn:x:UserX", None)],
)
def test_loose_schema(urn: str, owner: str | None) -> None:
    """A Schema that no type names and whose URN ends in :User or :Group extends that type, optionally."""
    catalog = build_catalog([_schema(urn, "colour")])
    assert catalog.schema(urn) is not None
    for resource_type in catalog.resource_types:
        extension = resource_type.extension(urn)
        assert (extension is not None) is (resource_type.name == owner)
        assert extension is None or not extension.required


def test_named_schema_is_not_loose() -> None:
    """A Schema that some type names extends no other, whatever its URN ends in."""
    catalog = build_catalog([_schema("urn:x:User"), _type("Person", "urn:x:User")])
    user = catalog.resource_type("User")
    assert user is not None
    assert user.extension("urn:x:User") is None


def test_core_type_replaced() -> None:
    """A ResourceType named like a core one takes its place and says itself which extensions it has."""
    catalog = build_catalog([_type("User", urns.USER)])
    user = catalog.resource_type("User")
    assert user is not None
    assert user.extensions == ()
    other = build_catalog([_schema("urn:x:Own"), _type("User", "urn:x:Own"), _schema("urn:y:User")])
    own = other.resource_type("User")
    assert own is not None
    assert (own.schema.id, own.extensions, own.secret) == ("urn:x:Own", (), None)


def test_recognised_without_schemas() -> None:
    """A definition without `schemas` is told by what it has: endpoint or attributes."""
    schema = {key: value for key, value in _schema("urn:x:T").items() if key != "schemas"}
    kind = {key: value for key, value in _type("T", "urn:x:T").items() if key != "schemas"}
    assert build_catalog([schema, kind]).resource_type("T") is not None


@pytest.mark.parametrize(
    ("definitions", "fragment"),
    [
        ([[]], "a definition must be a JSON object"),
        ([{}], "neither attributes (Schema) nor endpoint (ResourceType)"),
        ([{"schemas": 5}], "neither attributes"),
        ([_schema("urn:x:a"), _schema("URN:x:A")], "schema URN:x:A is defined twice"),
        ([_schema(urns.USER)], f"schema {urns.USER} is defined twice"),
        (
            [_schema("urn:x:a"), _type("T", "urn:x:a"), _type("T", "urn:x:a")],
            "resource type 'T' is defined twice",
        ),
        ([_type("T", "urn:x:a")], "schema urn:x:a is not defined"),
        (
            [_schema("urn:x:a"), _type("T", "urn:x:a", endpoint="/users")],
            "'User' and 'T' share endpoint /users",
        ),
        ([_schema("urn:x:a"), _type("T", "urn:x:a", endpoint="/bulk")], "endpoint /bulk is SCIM's own"),
        ([_schema("urn:x:a"), _type("T", "urn:x:a", endpoint="/.search")], "one path segment"),
        ([_schema("urn:x:a"), _type("T", "urn:x:a", endpoint="/Bulk")], "is SCIM's own"),
        ([_schema("urn:x:a"), _type("T", "urn:x:a", endpoint="/Me")], "endpoint /Me is SCIM's own"),
    ],
)
def test_refused(definitions: list[JsonValue], fragment: str) -> None:
    """S-13: definitions that clash, or name what is not there, are refused by name."""
    with pytest.raises(InvalidValue) as refusal:
        build_catalog(definitions)
    assert fragment in refusal.value.detail


def test_definitions_make_an_equal_catalog() -> None:
    """What a catalog adds to the core can be kept as documents and read again."""
    documents = [
        _schema("urn:example:hr:2.0:User", "birthDate"),
        _schema("urn:example:device:1.0:Device", "serial"),
        _type("Device", "urn:example:device:1.0:Device"),
        _type("User", urns.USER, schemaExtensions=[{"schema": urns.ENTERPRISE_USER, "required": True}]),
    ]
    for catalog in (core_catalog(), build_catalog(documents)):
        assert build_catalog(catalog.documents) == catalog


@pytest.mark.parametrize(
    "chosen",
    [(), *((each,) for each in Adjustment), tuple(Adjustment)],
    ids=lambda chosen: ", ".join(chosen) or "none",
)
def test_what_is_adjusted(chosen: tuple[Adjustment, ...]) -> None:
    """S-70, A-76: what was chosen is defined otherwise in types and schemas alike, and nothing else is."""
    definitions = [_schema("urn:x:T", "a"), _type("T", "urn:x:T")]
    catalog = build_catalog(definitions, frozenset(chosen))
    plain = build_catalog(catalog.documents)
    assert build_catalog(catalog.documents, catalog.adjusted) == catalog
    changed = {
        f"{kind.name}:{path.text}"
        for kind, before in zip(catalog.resource_types, plain.resource_types, strict=True)
        for path, was in zip(kind.paths(), before.paths(), strict=True)
        if path != was
    }
    expected = {
        Adjustment.UNIQUE_GROUP_NAMES: {"Group:displayName"},
        Adjustment.UNIQUE_EXTERNAL_IDS: {"User:externalId", "Group:externalId", "T:externalId"},
        Adjustment.LABELS_ON_REQUEST: {
            "User:groups",
            f"User:{urns.ENTERPRISE_USER}:manager",
            "Group:members",
        },
    }
    assert changed == set().union(*(expected[each] for each in chosen))
    for kind in catalog.resource_types:
        assert catalog.schema(kind.schema.id) == kind.schema


def test_what_becomes_unique() -> None:
    """The attribute itself says so, as /Schemas announces it."""
    catalog = build_catalog([], frozenset({Adjustment.UNIQUE_GROUP_NAMES}))
    group = catalog.schema(urns.GROUP)
    name = group.attribute("displayName") if group else None
    assert name is not None
    assert name.uniqueness is Uniqueness.SERVER


@pytest.mark.parametrize(
    ("name", "urn", "attribute", "label"),
    [
        ("User", urns.USER, "groups", "display"),
        ("User", urns.ENTERPRISE_USER, "manager", "displayName"),
        ("Group", urns.GROUP, "members", "display"),
    ],
)
def test_labels_on_request(name: str, urn: str, attribute: str, label: str) -> None:
    """What labels members, groups and managers becomes readOnly and returned on request; all else stays as it is."""
    before, after = core_catalog(), build_catalog([], frozenset({Adjustment.LABELS_ON_REQUEST}))
    old, new = before.schema(urn), after.schema(urn)
    kind = after.resource_type(name)
    assert old is not None
    assert new is not None
    assert kind is not None
    assert kind.urns[urn.lower()] is new
    changed = [a.name for a, b in zip(new.attributes, old.attributes, strict=True) if a != b]
    assert changed == [attribute]
    path = kind.find(f"{urn}:{attribute}.{label}")
    assert path is not None
    assert (path.leaf.mutability, path.leaf.returned) == (Mutability.READ_ONLY, Returned.REQUEST)
