"""Schema and ResourceType definitions, in and out of their JSON form."""

import json

import pytest

from rollbook.protocol import urns
from rollbook.protocol.attributes import Attribute, Mutability, Returned, Type, Uniqueness
from rollbook.protocol.catalog import common_attributes, core_catalog
from rollbook.protocol.definitions import (
    parse_attributes,
    parse_resource_type,
    parse_schema,
    render_attribute,
    render_resource_type,
    render_schema,
)
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.schema import ResourceType, Schema
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.testing.filter_rows import CATALOG


def _one(**members: JsonValue) -> Attribute:
    (attribute,) = parse_attributes([{"name": "a", **members}], "schema urn:x")
    return attribute


def test_defaults() -> None:
    """RFC 7643 §2.2: characteristics that are not given have the defaults of the RFC."""
    assert _one() == Attribute("a")
    assert (_one().type, _one().mutability, _one().returned, _one().uniqueness) == (
        Type.STRING, Mutability.READ_WRITE, Returned.DEFAULT, Uniqueness.NONE,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("members", "attribute"),
    [
        ({"TYPE": "DateTime"}, Attribute("a", Type.DATE_TIME)),
        ({"multiValued": True, "required": True}, Attribute("a", multi_valued=True, required=True)),
        ({"caseExact": True}, Attribute("a", case_exact=True)),
        ({"caseExact": True, "type": "integer"}, Attribute("a", Type.INTEGER)),
        ({"mutability": "writeonly", "returned": "Never"},
         Attribute("a", mutability=Mutability.WRITE_ONLY, returned=Returned.NEVER)),
        ({"uniqueness": "global", "description": "d"}, Attribute("a", uniqueness=Uniqueness.GLOBAL, description="d")),
        ({"canonicalValues": ["x", "y"]}, Attribute("a", canonical_values=("x", "y"))),
        ({"type": "reference", "referenceTypes": ["User"]}, Attribute("a", Type.REFERENCE, case_exact=True, reference_types=("User",))),
        ({"type": "complex", "subAttributes": [{"name": "b"}]},
         Attribute("a", Type.COMPLEX, sub_attributes=(Attribute("b"),))),
        ({"canonicalValues": None, "subAttributes": None, "returned": None}, Attribute("a")),
    ],
)  # fmt: skip
def test_characteristics(members: JsonObject, attribute: Attribute) -> None:
    """RFC 7643 §7: each characteristic is read; names and keywords in any case, null as not given."""
    assert _one(**members) == attribute


@pytest.mark.parametrize(
    ("schema", "fragment"),
    [
        ([], "schema: expected a JSON object, got list"),
        ({}, "schema: id must be a non-empty string"),
        ({"id": "Device"}, "schema Device: id must be a URI"),
        ({"id": "urn:x y"}, "id must be a URI"),
        ({"id": "urn:x"}, "schema urn:x: attributes must list at least one attribute"),
        ({"id": "urn:x", "attributes": {}}, "attributes must be an array"),
        ({"id": "urn:x", "attributes": ["a"]}, "schema urn:x: expected a JSON object, got str"),
    ],
)
def test_schema_refused(schema: JsonValue, fragment: str) -> None:
    """A Schema that is none is refused with the place and what would be accepted."""
    with pytest.raises(InvalidValue) as refusal:
        parse_schema(schema)
    assert fragment in refusal.value.detail


@pytest.mark.parametrize(
    ("members", "fragment"),
    [
        ({"name": None}, "name must be a non-empty string"),
        ({"name": "a b"}, "attribute 'a b': a name is a letter followed by"),
        ({"name": "a.b"}, "(S-01)"),
        ({"type": "text"}, "attribute 'a': type must be one of string, boolean, decimal"),
        ({"type": 5}, "type must be one of"),
        (
            {"mutability": "rw"},
            "mutability must be one of readOnly, readWrite, immutable, writeOnly, not 'rw'",
        ),
        ({"returned": "sometimes"}, "returned must be one of always, never, default, request"),
        ({"uniqueness": "yes"}, "uniqueness must be one of none, server, global"),
        ({"required": "true"}, "required must be true or false"),
        ({"multiValued": 1}, "multiValued must be true or false"),
        ({"canonicalValues": "x"}, "canonicalValues must be an array"),
        ({"type": "complex"}, "type complex needs subAttributes"),
        ({"subAttributes": [{"name": "b"}]}, "only type complex has subAttributes, this is string"),
        (
            {"type": "complex", "subAttributes": [{"name": "b"}, {"name": "B"}]},
            "attribute 'B' is defined twice",
        ),
        (
            {
                "type": "complex",
                "subAttributes": [{"name": "b", "type": "complex", "subAttributes": [{"name": "c"}]}],
            },
            "attribute 'a', attribute 'b': a sub-attribute cannot be complex",
        ),
    ],
)
def test_attribute_refused(members: JsonObject, fragment: str) -> None:
    """A refusal names the attribute, the rule and what would be accepted."""
    with pytest.raises(InvalidValue) as refusal:
        parse_schema({"id": "urn:x", "attributes": [{"name": "a", **members}]})
    assert fragment in refusal.value.detail
    assert refusal.value.detail.startswith("schema urn:x")


def test_name_twice() -> None:
    """S-02: names that differ in case only are one name."""
    with pytest.raises(InvalidValue, match="'A' is defined twice"):
        parse_schema({"id": "urn:x", "attributes": [{"name": "a"}, {"name": "A"}]})


@pytest.mark.parametrize(
    "schema", [s for s in CATALOG.schemas if s.id != urns.SCHEMA], ids=lambda schema: schema.id
)
def test_schema_round_trip(schema: Schema) -> None:
    """S-87: a schema, rendered and read, renders the same again."""
    rendered = json.loads(json.dumps(render_schema(schema)))
    assert rendered["schemas"] == [urns.SCHEMA]
    assert render_schema(parse_schema(rendered)) == rendered
    assert [attribute["name"] for attribute in rendered["attributes"]] == [a.name for a in schema.attributes]


@pytest.mark.parametrize(
    ("attribute", "shown", "hidden"),
    [
        (Attribute("a"), {"type", "multiValued", "description", "required", "caseExact", "mutability", "returned",
                          "uniqueness"}, {"subAttributes", "referenceTypes", "canonicalValues"}),
        (Attribute("a", Type.BOOLEAN), {"required"}, {"caseExact", "uniqueness"}),
        (Attribute("a", Type.INTEGER), {"uniqueness"}, {"caseExact"}),
        (Attribute("a", Type.COMPLEX, sub_attributes=(Attribute("b"),)), {"subAttributes"}, {"caseExact", "uniqueness"}),
        (Attribute("a", canonical_values=("x",)), {"canonicalValues"}, {"subAttributes"}),
    ],
)  # fmt: skip
def test_render_attribute(attribute: Attribute, shown: set[str], hidden: set[str]) -> None:
    """S-87: characteristics that apply to the type are explicit, others are left out."""
    out = render_attribute(attribute)
    assert shown <= set(out)
    assert not hidden & set(out)


def test_references_say_that_they_heed_case() -> None:
    """RFC 7643 §2.3.7: caseExact of a reference is shown as what holds."""
    assert render_attribute(Attribute("a", Type.REFERENCE))["caseExact"] is True


def _resource_type(**members: JsonValue) -> ResourceType:
    schemas = {schema.id.lower(): schema for schema in CATALOG.schemas}
    document = {"name": "Thing", "endpoint": "/Things", "schema": urns.USER, **members}
    return parse_resource_type(document, schemas, common_attributes())


def test_resource_type() -> None:
    """RFC 7643 §6: a resource type has its schema, extensions and common attributes; the id is its name."""
    thing = _resource_type(
        endpoint="Things/", schemaExtensions=[{"schema": urns.ENTERPRISE_USER.upper(), "required": True}]
    )
    assert (thing.id, thing.name, thing.endpoint) == ("Thing", "Thing", "/Things")
    assert thing.schema.id == urns.USER
    assert [(ext.schema.id, ext.required) for ext in thing.extensions] == [(urns.ENTERPRISE_USER, True)]
    assert thing.common == common_attributes()


@pytest.mark.parametrize(
    ("members", "fragment"),
    [
        ({"name": ""}, "resource type: name must be a non-empty string"),
        ({"endpoint": None}, "resource type 'Thing': endpoint must be a non-empty string"),
        ({"endpoint": "/a/b"}, "endpoint must be one path segment of letters"),
        ({"endpoint": "/a\r\nb"}, "endpoint must be one path segment"),
        ({"endpoint": "/a?b"}, "endpoint must be one path segment"),
        ({"endpoint": "/"}, "endpoint must be one path segment"),
        ({"schema": "urn:x:unknown"}, "schema urn:x:unknown is not defined; add its Schema file"),
        ({"schemaExtensions": [{"schema": "urn:x:unknown"}]}, "schema urn:x:unknown is not defined"),
        ({"schemaExtensions": ["urn:x"]}, "expected a JSON object, got str"),
        ({"schemaExtensions": {}}, "schemaExtensions must be an array"),
    ],
)
def test_resource_type_refused(members: JsonObject, fragment: str) -> None:
    """S-13: a resource type that names what is not there, or has no place to be served, is refused."""
    with pytest.raises(InvalidValue) as refusal:
        _resource_type(**members)
    assert fragment in refusal.value.detail


@pytest.mark.parametrize("name", ["User", "Group", "Device"])
def test_resource_type_round_trip(name: str) -> None:
    """A resource type, rendered and read, is itself again."""
    found = CATALOG.resource_type(name)
    assert found is not None
    schemas = {schema.id.lower(): schema for schema in CATALOG.schemas}
    assert parse_resource_type(render_resource_type(found), schemas, common_attributes()) == found


def test_roles_of_attributes() -> None:
    """Which attribute of the core is a membership, derived or secret."""
    user, group = (core_catalog().resource_type(name) for name in ("User", "Group"))
    assert user is not None
    assert group is not None
    assert (user.memberships, user.derived, user.secret) == (None, "groups", "password")
    assert (group.memberships, group.derived, group.secret) == ("members", None, None)
    assert user.display[0] == "displayName"


@pytest.mark.parametrize(("kinds", "exact"), [(["User"], True), (["external", "uri"], False)])
def test_ids_are_compared_exactly(kinds: list[str], exact: bool) -> None:
    """S-40: the id in a value that refers to a resource heeds case, whether or not its schema says so."""
    uri: JsonObject = {"name": "$ref", "type": "reference", "referenceTypes": kinds}
    found = _one(type="complex", subAttributes=[{"name": "value"}, uri, {"name": "x"}])
    assert [sub.case_exact for sub in found.sub_attributes] == [exact, True, False]
