"""Which attributes are members, groups and passwords follows from their shape, in any schema."""

import pytest
from tests.clubs import DEFINITIONS, PASSWORD, attribute, groups, members, reference

from rollbook.protocol.catalog import build_catalog
from rollbook.protocol.definitions import parse_schema
from rollbook.protocol.schema import Schema
from rollbook.protocol.shapes import derived_of, memberships_of, secret_of
from rollbook.protocol.values import JsonObject

VALUE = attribute("value", mutability="immutable")
URI = attribute("$ref", "reference", referenceTypes=["User"])


def _schema(one: JsonObject) -> Schema:
    return parse_schema({"id": "urn:x:Thing", "attributes": [one]})


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (members("User", "Group"), "members"),
        (members("Device", name="Members"), "Members"),
        (members("User", returned="request"), "members"),
        (members("User", subAttributes=[VALUE, URI]), "members"),
        (members("User", name="owners"), None),
        (members("User", multiValued=False), None),
        (members("User", required=True), None),
        (members("User", mutability="immutable"), None),
        (members("User", mutability="readOnly"), None),
        (members("external"), None),
        (members("User", subAttributes=[VALUE]), None),
        (members("User", subAttributes=[attribute("value"), URI]), None),
        (members("User", subAttributes=[VALUE, URI, attribute("role")]), None),
        (members("User", subAttributes=[{**VALUE, "type": "integer"}, URI]), None),
        (members("User", subAttributes=[VALUE, {**URI, "type": "string"}]), None),
        (attribute("members", multiValued=True), None),
    ],
)
def test_memberships(one: JsonObject, name: str | None) -> None:
    """S-71: `members` with immutable ids of resources, and nothing besides, is kept as rows."""
    assert memberships_of(_schema(one)) == name


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (groups("Group"), "groups"),
        (groups("Club", "Group", returned="request"), "groups"),
        (groups("Group", mutability="readWrite"), None),
        (groups("Group", multiValued=False), None),
        (groups("uri"), None),
        (reference("teams", "Group", mutability="readOnly", multiValued=True), None),
    ],
)
def test_derived(one: JsonObject, name: str | None) -> None:
    """S-60: readOnly `groups` that lead to resources show memberships from the other side."""
    assert derived_of(_schema(one)) == name


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (PASSWORD, "password"),
        (PASSWORD | {"name": "passWord"}, "passWord"),
        (PASSWORD | {"name": "pin"}, None),
        (PASSWORD | {"returned": "request"}, None),
        (PASSWORD | {"mutability": "readWrite"}, None),
        (PASSWORD | {"type": "binary"}, None),
        (PASSWORD | {"multiValued": True}, None),
    ],
)
def test_secrets(one: JsonObject, name: str | None) -> None:
    """P-7-10: `password`, writeOnly and never returned, is kept as a hash."""
    assert secret_of(_schema(one)) == name


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("User", {"Group"}), ("Student", {"Club"}), ("Club", {"Club"}), ("Group", set()), ("Professor", set())],
)
def test_groups_that_are_shown(kind: str, shown: set[str]) -> None:
    """S-60: `groups` leads to those resource types with members that its schema names."""
    catalog = build_catalog(DEFINITIONS)
    resource_type = catalog.resource_type(kind)
    assert resource_type is not None
    assert catalog.shown_groups(resource_type) == shown
