"""SCIM attributes → JSON Schema: what a resource looks like in a request and in an answer (RFC 7643 §2, §7).

Follows types and characteristics only. Knows nothing of endpoints, and of OpenAPI only how it refers to a component.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rollbook.protocol import urns
from rollbook.protocol.attributes import Attribute, Mutability, Returned, Type
from rollbook.protocol.catalog import common_attributes
from rollbook.protocol.coerce import MAX_BLOB, MAX_TEXT, MAX_VALUES
from rollbook.protocol.formats import FORMATS
from rollbook.protocol.memberships import MAX_MEMBERS
from rollbook.protocol.quirks import Quirk
from rollbook.protocol.schema import ResourceType, Schema
from rollbook.protocol.values import JsonObject

TYPES: Mapping[Type, JsonObject] = {
    Type.STRING: {"type": "string"},
    Type.BOOLEAN: {"type": "boolean"},
    Type.DECIMAL: {"type": "number"},
    Type.INTEGER: {"type": "integer", "format": "int64"},
    Type.DATE_TIME: {"type": "string", "format": "date-time"},
    Type.BINARY: {"type": "string", "contentEncoding": "base64"},
    Type.REFERENCE: {"type": "string"},
}
"""Each simple type as JSON Schema. A reference is any text here, since relative and unescaped ones are kept."""

_END = r"\Z"
"""How the formats end in Python's dialect, which JSON Schema does not know."""

_NO_CONTROLS = r"^[^\u0000-\u001f\u007f-\u009f]*$"

INT64: JsonObject = {"minimum": -(2**63), "maximum": 2**63 - 1}
"""The bounds of whole numbers."""

_BOUNDS: Mapping[Type, JsonObject] = {
    Type.STRING: {"maxLength": MAX_TEXT},
    Type.BOOLEAN: {},
    Type.DECIMAL: {},
    Type.INTEGER: INT64,
    Type.DATE_TIME: {"minLength": 1},
    Type.BINARY: {
        "maxLength": MAX_BLOB,
        "pattern": "^(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2,3}={0,2})?$",
    },
    Type.REFERENCE: {"maxLength": MAX_BLOB, "pattern": _NO_CONTROLS},
}
"""What is asked of the values of each type in a request (`coerce`)."""

_ONE_PRIMARY: JsonObject = {
    "contains": {"properties": {"primary": {"const": True}}, "required": ["primary"]},
    "minContains": 0,
    "maxContains": 1,
}


@dataclass(frozen=True)
class View:
    """One side from which a resource is described: which attributes are there, and which have to be."""

    suffix: str
    """What the names of its components end in."""
    shows: Callable[[Attribute], bool]
    requires: Callable[[Attribute], bool]
    is_request: bool = False


REQUEST = View(
    "Request",
    shows=lambda attribute: attribute.mutability is not Mutability.READ_ONLY,
    requires=lambda attribute: attribute.required,
    is_request=True,
)
"""What a client sends with POST and PUT. Open, since readOnly attributes sent along are ignored (P-3.3-02)."""

ANSWER = View(
    "",
    shows=lambda attribute: attribute.returned is not Returned.NEVER,
    requires=lambda attribute: attribute.required and attribute.returned is Returned.ALWAYS,
)
"""What is returned: closed, and what a projection can take away is not required (RFC 7644 §3.9)."""

CONFIGURATION = View("", shows=lambda _: True, requires=lambda attribute: attribute.required)
"""What the discovery endpoints return: no projection, so what is required is there (RFC 7644 §4)."""


def reference(name: str) -> JsonObject:
    """A reference to the component schema of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def resource_schema(
    resource_type: ResourceType,
    view: View,
    extensions: Mapping[str, str],
    accepted: frozenset[Quirk],
    least_secret: int,
) -> JsonObject:
    """A resource with its extensions, each a component of its own.

    Args:
        resource_type: what is described.
        view: from which side.
        extensions: name of the component for each extension, by its URN.
        accepted: the quirks that are on; formats they let pass are not asked for.
        least_secret: how long a secret must be.
    """
    described = _object((*resource_type.common, *resource_type.schema.attributes), view)
    properties = described["properties"]
    base = resource_type.schema.id
    known = [base, *(extension.schema.id for extension in resource_type.extensions)]
    properties["schemas"] |= {"items": {"type": "string", "enum": known}, "contains": {"const": base}}
    for extension in resource_type.extensions:
        urn = extension.schema.id
        whole = reference(extensions[urn])
        optional = view.is_request and not extension.required
        properties[urn] = {"anyOf": [whole, {"type": "null"}]} if optional else whole
        if extension.required and view.is_request:
            described["required"].append(urn)
    if view.is_request:
        _refine(properties, resource_type, accepted, least_secret)
    return {"description": resource_type.description or resource_type.name, **described}


def extension_schema(schema: Schema, view: View) -> JsonObject:
    """The object that stands under the URN of an extension."""
    return {"description": schema.description or schema.name, **_object(schema.attributes, view)}


def configuration_schema(schema: Schema) -> JsonObject:
    """A ServiceProviderConfig, ResourceType or Schema resource."""
    own = {attribute.name for attribute in schema.attributes}
    common = [a for a in common_attributes() if a.name in {"schemas", "meta"} and a.name not in own]
    described = _object((*common, *schema.attributes), CONFIGURATION)
    described["properties"]["schemas"] |= {"items": {"type": "string", "const": schema.id}, "minItems": 1}
    if schema.id == urns.SCHEMA:
        # The schema of schemas has parts of parts itself, one level more than it says (RFC 7643 section 8.7.2).
        parts = described["properties"]["attributes"]["items"]["properties"]["subAttributes"]
        parts["items"]["properties"]["subAttributes"] = copy.deepcopy(parts)
    return {"description": schema.description or schema.name, **described}


def _refine(
    properties: JsonObject, resource_type: ResourceType, accepted: frozenset[Quirk], least_secret: int
) -> None:
    """What is asked of a request beyond the characteristics: members, secrets, formats of single attributes."""
    if resource_type.memberships in properties:
        members = properties[resource_type.memberships]
        members["maxItems"] = MAX_MEMBERS
        members["items"]["required"] = ["value"]
        members["items"]["properties"]["value"] |= {"type": "string", "minLength": 1}
    if resource_type.secret in properties:
        properties[resource_type.secret] |= {"minLength": least_secret, "pattern": _NO_CONTROLS}
    for form in () if Quirk.ANY_FORMAT in accepted else FORMATS.get(resource_type.schema.id, ()):
        if form.attribute in properties:
            whole = properties[form.attribute]
            part = whole if form.part is None else whole["items"]["properties"][form.part]
            part["pattern"] = f"^({form.pattern.pattern.removesuffix(_END)})?$"


def _object(attributes: Iterable[Attribute], view: View) -> JsonObject:
    shown = [attribute for attribute in attributes if view.shows(attribute)]
    described: JsonObject = {
        "type": "object",
        "properties": {attribute.name: _attribute(attribute, view) for attribute in shown},
        "required": [attribute.name for attribute in shown if view.requires(attribute)],
    }
    if not view.is_request:
        described["additionalProperties"] = False
    return described


def _attribute(attribute: Attribute, view: View) -> JsonObject:
    """One attribute: its value, or the array of its values; what may be cleared may be null (RFC 7643 §2.5)."""
    described = _value(attribute, view)
    if attribute.multi_valued:
        described = {"type": "array", "items": described}
        if view.is_request:
            described["maxItems"] = MAX_VALUES
            described |= _ONE_PRIMARY if attribute.sub("primary") else {}
    if view.is_request and not view.requires(attribute):
        described["type"] = [described["type"], "null"]
    if attribute.mutability is Mutability.WRITE_ONLY:
        described["writeOnly"] = True
    if attribute.mutability is Mutability.READ_ONLY:
        described["readOnly"] = True
    return ({"description": attribute.description} if attribute.description else {}) | described


def _value(attribute: Attribute, view: View) -> JsonObject:
    if attribute.is_complex:
        ours = "$ref" if view.is_request and attribute.refers else None  # not looked at (A-69)
        return _object((sub for sub in attribute.sub_attributes if sub.name != ours), view)
    described = dict(TYPES[attribute.type])
    if attribute.canonical_values:
        described["examples"] = list(attribute.canonical_values)
    if view.is_request:
        described |= _bounds(attribute)
    return described


def _bounds(attribute: Attribute) -> JsonObject:
    bounds = dict(_BOUNDS[attribute.type])
    if not attribute.required or "maxLength" not in bounds:
        return bounds
    return {"minLength": 1, "pattern": r"\S"} | bounds
