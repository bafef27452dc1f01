"""Attributes as JSON Schema."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.courses import CREDIT, DEFINITIONS

from rollbook.protocol import urns
from rollbook.protocol.attributes import Type
from rollbook.protocol.catalog import Catalog, build_catalog
from rollbook.protocol.compare import decode_binary
from rollbook.protocol.openapi_schemas import (
    ANSWER,
    REQUEST,
    TYPES,
    View,
    configuration_schema,
    extension_schema,
    resource_schema,
)
from rollbook.protocol.quirks import AUTO, Quirk
from rollbook.protocol.values import JsonObject

CATALOG = build_catalog(DEFINITIONS)
BASE64 = "^(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2,3}={0,2})?$"
NAMES = {urns.ENTERPRISE_USER: "Enterprise", CREDIT: "Credit"}


def described(name: str, view: View, accepted: frozenset[Quirk] = AUTO.quirks) -> JsonObject:
    """The JSON Schema of a resource type."""
    kind = CATALOG.resource_type(name)
    assert kind is not None
    return resource_schema(kind, view, NAMES, accepted, 8)


def test_every_type_has_a_schema() -> None:
    """All simple types of RFC 7643 section 2.3 are in the table."""
    assert set(TYPES) == set(Type) - {Type.COMPLEX}


@pytest.mark.parametrize(
    ("attribute", "request_schema"),
    [
        ("code", {"type": "string", "minLength": 1, "pattern": r"\S", "maxLength": 65_536}),
        ("title", {"type": ["string", "null"], "examples": ["Lecture", "Seminar"], "maxLength": 65_536}),
        (
            "seats",
            {"type": ["integer", "null"], "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
        ),
        ("fee", {"type": ["number", "null"]}),
        ("open", {"type": ["boolean", "null"]}),
        ("begins", {"type": ["string", "null"], "format": "date-time", "minLength": 1}),
        (
            "key",
            {
                "type": ["string", "null"],
                "contentEncoding": "base64",
                "maxLength": 1_048_576,
                "pattern": BASE64,
            },
        ),
        (
            "homepage",
            {
                "type": ["string", "null"],
                "maxLength": 1_048_576,
                "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$",
            },
        ),
        (
            "tags",
            {"type": ["array", "null"], "maxItems": 10_000, "items": {"type": "string", "maxLength": 65_536}},
        ),
        ("faculty", {"type": ["string", "null"], "maxLength": 65_536}),
        ("enrolled", None),
        ("id", None),
        ("meta", None),
        ("pin", {"type": ["string", "null"], "maxLength": 65_536, "writeOnly": True}),
        ("notes", {"type": ["string", "null"], "maxLength": 65_536}),
    ],
)
def test_requests(attribute: str, request_schema: JsonObject | None) -> None:
    """In a request an attribute has its type, may be null unless it is required, and is not there if readOnly."""
    assert described("Course", REQUEST)["properties"].get(attribute) == request_schema


@pytest.mark.parametrize(
    ("attribute", "answer"),
    [
        ("code", {"type": "string"}),
        ("seats", {"type": "integer", "format": "int64"}),
        ("tags", {"type": "array", "items": {"type": "string"}}),
        ("enrolled", {"type": "integer", "format": "int64", "readOnly": True}),
        ("pin", None),
        ("notes", {"type": "string"}),
        (
            "exam",
            {
                "type": "object",
                "additionalProperties": False,
                "required": [],
                "properties": {
                    "at": {"type": "string", "format": "date-time"},
                    "minutes": {"type": "integer", "format": "int64"},
                },
            },
        ),
    ],
)
def test_answers(attribute: str, answer: JsonObject | None) -> None:
    """In an answer nothing is null, and what is returned never is not there, parts neither (P-3.4.2.5-06)."""
    assert described("Course", ANSWER)["properties"].get(attribute) == answer


@pytest.mark.parametrize(
    ("name", "view", "required"),
    [
        ("User", REQUEST, {"schemas", "userName"}),
        ("User", ANSWER, {"schemas", "id"}),
        ("Group", REQUEST, {"schemas", "displayName"}),
        ("Course", REQUEST, {"schemas", "code", CREDIT}),
        ("Course", ANSWER, {"schemas", "id", "code"}),
    ],
)
def test_required(name: str, view: View, required: set[str]) -> None:
    """A request needs what its schema requires and required extensions; an answer what no projection takes away."""
    assert set(described(name, view)["required"]) == required


@pytest.mark.parametrize("view", [REQUEST, ANSWER])
def test_only_answers_are_closed(view: View) -> None:
    """What is sent beside the schema may be read over; what is not in it is never returned (P-3.3-02)."""
    assert ("additionalProperties" in described("User", view)) is (view is ANSWER)


@pytest.mark.parametrize(
    ("name", "body", "fits"),
    [
        pytest.param("User", {"schemas": [urns.USER], "userName": "ann"}, True, id="least"),
        pytest.param("User", {"schemas": [urns.USER], "userName": None}, False, id="P-3.3-13"),
        pytest.param("User", {"schemas": [urns.USER], "userName": ""}, False, id="P-3.3-13-empty"),
        pytest.param("User", {"schemas": [urns.GROUP], "userName": "ann"}, False, id="A-01"),
        pytest.param("User", {"userName": "ann"}, False, id="P-3.1-02"),
        pytest.param("User", {"schemas": [urns.USER], "userName": "a", "id": 5}, True, id="P-3.3-02"),
        pytest.param("User", {"schemas": [urns.USER], "userName": "a", "password": "short"}, False, id="A-68"),
        pytest.param("User", {"schemas": [urns.USER], "userName": "a", "password": "long\nenough"}, False, id="controls"),
        pytest.param("User", {"schemas": [urns.USER], "userName": "a", "password": "long enough"}, True, id="password"),
        pytest.param("User", {"schemas": [urns.USER], "userName": "a", "emails": [{"primary": True}] * 2}, False, id="A-24"),
        pytest.param("User", {"schemas": [urns.USER], "userName": "a", "emails": None}, True, id="P-3.3-04"),
        pytest.param("User", {"schemas": [urns.USER], "userName": "a", "active": "true"}, False, id="A-12"),
        pytest.param("Group", {"schemas": [urns.GROUP], "displayName": "g", "members": [{}]}, False, id="S-72"),
        pytest.param("Group", {"schemas": [urns.GROUP], "displayName": "g", "members": [{"value": "1"}]}, True, id="S-72-ok"),
    ],
)  # fmt: skip
def test_bodies(name: str, body: JsonObject, fits: bool) -> None:
    """The schema of a request takes what the server takes in strict mode, and refuses what it refuses."""
    schema = described(name, REQUEST, frozenset()) | {"components": {}}
    schema["properties"].pop(urns.ENTERPRISE_USER, None)
    assert Draft202012Validator(schema).is_valid(body) is fits


@pytest.mark.parametrize(("accepted", "fits"), [(frozenset(), False), (AUTO.quirks, True)])
def test_formats(accepted: frozenset[Quirk], fits: bool) -> None:
    """S-59, A-74: the country of an address has a format unless the quirk is on that lets any pass."""
    part = described("User", REQUEST, accepted)["properties"]["addresses"]["items"]["properties"]["country"]
    check = Draft202012Validator(part)
    assert check.is_valid("Germany") is fits
    assert check.is_valid("DE")
    assert check.is_valid(None)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        ("AA", True),
        ("AA==", True),
        ("AAE=", True),
        ("-_+/", True),
        ("A", False),
        ("A===", False),
        ("A A=", False),
    ],
)
def test_binary(text: str, fits: bool) -> None:
    """S-25: base64 in either alphabet, padded or not; what the pattern takes, the server takes."""
    assert Draft202012Validator({"pattern": BASE64}).is_valid(text) is fits
    if fits:
        decode_binary(text)


@pytest.mark.parametrize(
    ("name", "view", "urn", "schema"),
    [
        (
            "User",
            REQUEST,
            urns.ENTERPRISE_USER,
            {"anyOf": [{"$ref": "#/components/schemas/Enterprise"}, {"type": "null"}]},
        ),
        ("User", ANSWER, urns.ENTERPRISE_USER, {"$ref": "#/components/schemas/Enterprise"}),
        ("Course", REQUEST, CREDIT, {"$ref": "#/components/schemas/Credit"}),
    ],
)
def test_extensions_stand_under_their_urn(name: str, view: View, urn: str, schema: Any) -> None:
    """RFC 7643 section 3.3: an extension is an object named by its URN; one that is required cannot be null."""
    assert described(name, view)["properties"][urn] == schema


def test_extension() -> None:
    """An extension is a component of its own, with its own required attributes."""
    schema = CATALOG.schema(CREDIT)
    assert schema is not None
    assert extension_schema(schema, REQUEST)["required"] == ["points"]


@pytest.mark.parametrize("catalog", [CATALOG])
@pytest.mark.parametrize("urn", [urns.SERVICE_PROVIDER_CONFIG, urns.RESOURCE_TYPE, urns.SCHEMA])
def test_configuration(catalog: Catalog, urn: str) -> None:
    """What discovery returns is closed, has meta, and all that its schema requires (RFC 7643 sections 5 to 7)."""
    schema = catalog.schema(urn)
    assert schema is not None
    found = configuration_schema(schema)
    assert found["additionalProperties"] is False
    assert "meta" in found["properties"]
    assert set(found["required"]) == {"schemas", *(a.name for a in schema.attributes if a.required)}
