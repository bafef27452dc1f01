"""Schema and ResourceType definitions: from and to the JSON form of RFC 7643 §6 and §7."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from rollbook.protocol import urns
from rollbook.protocol.attributes import Attribute, Mutability, Returned, Type, Uniqueness, is_name
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.schema import Extension, ResourceType, Schema
from rollbook.protocol.shapes import derived_of, memberships_of, secret_of
from rollbook.protocol.values import JsonObject, JsonValue

E = TypeVar("E", Type, Mutability, Returned, Uniqueness)

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+\Z", re.ASCII)
_SEGMENT = re.compile(r"/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z", re.ASCII)
_WITHOUT_CASE = {Type.BOOLEAN, Type.DECIMAL, Type.INTEGER, Type.DATE_TIME, Type.COMPLEX}
_WITH_CASE = {Type.REFERENCE, Type.BINARY}
_WITHOUT_UNIQUENESS = {Type.BOOLEAN, Type.DATE_TIME, Type.BINARY, Type.COMPLEX}

DISPLAY: Mapping[str, tuple[str, ...]] = {
    urns.USER: ("displayName", "name.formatted", "userName"),
    urns.GROUP: ("displayName",),
}
"""Base schema → the attributes, best first, that label a resource where others refer to it."""


def parse_schema(data: JsonValue) -> Schema:
    """Read a Schema resource.

    Raises:
        InvalidValue: naming the schema, the attribute and what would be accepted.
    """
    body = _object(data, "schema")
    urn = _text(body, "id", "schema")
    where = f"schema {urn}"
    if not _URI.match(urn):
        raise InvalidValue(f"{where}: id must be a URI such as urn:example:Device (RFC 7643 section 7)")
    attributes = _list(body, "attributes", where)
    if not attributes:
        raise InvalidValue(f"{where}: attributes must list at least one attribute (RFC 7643 section 7)")
    return Schema(
        id=urn,
        name=str(_member(body, "name") or urn.rpartition(":")[2]),
        description=str(_member(body, "description") or ""),
        attributes=parse_attributes(attributes, where),
    )


def parse_attributes(items: list[JsonValue], where: str, *, nested: bool = False) -> tuple[Attribute, ...]:
    """Read attribute definitions; `nested` ones may not be complex (S-03)."""
    attributes = tuple(_attribute(item, where, nested=nested) for item in items)
    seen: set[str] = set()
    for attribute in attributes:
        if attribute.name.lower() in seen:
            raise InvalidValue(f"{where}: attribute {attribute.name!r} is defined twice (names ignore case)")
        seen.add(attribute.name.lower())
    return attributes


def _attribute(data: JsonValue, where: str, *, nested: bool) -> Attribute:
    body = _object(data, where)
    name = _text(body, "name", where)
    here = f"{where}, attribute {name!r}"
    if not is_name(name):
        raise InvalidValue(f"{here}: a name is a letter followed by letters, digits, '-', '_' or '$' (S-01)")
    kind = _keyword(Type, body, "type", here, Type.STRING)
    if nested and kind is Type.COMPLEX:
        raise InvalidValue(f"{here}: a sub-attribute cannot be complex (RFC 7643 section 2.3.8)")
    subs = _list(body, "subAttributes", here)
    if subs and kind is not Type.COMPLEX:
        raise InvalidValue(f"{here}: only type complex has subAttributes, this is {kind}")
    if kind is Type.COMPLEX and not subs:
        raise InvalidValue(f"{here}: type complex needs subAttributes")
    found = Attribute(
        name=name,
        type=kind,
        multi_valued=_flag(body, "multiValued", here),
        description=str(_member(body, "description") or ""),
        required=_flag(body, "required", here),
        canonical_values=tuple(map(str, _list(body, "canonicalValues", here))),
        case_exact=kind in _WITH_CASE or (_flag(body, "caseExact", here) and kind not in _WITHOUT_CASE),
        mutability=_keyword(Mutability, body, "mutability", here, Mutability.READ_WRITE),
        returned=_keyword(Returned, body, "returned", here, Returned.DEFAULT),
        uniqueness=_keyword(Uniqueness, body, "uniqueness", here, Uniqueness.NONE),
        reference_types=tuple(map(str, _list(body, "referenceTypes", here))),
        sub_attributes=parse_attributes(subs, here, nested=True),
    )
    return _with_exact_ids(found) if found.refers else found


def _with_exact_ids(attribute: Attribute) -> Attribute:
    """The attribute with a `value` that is compared as ids are, whether or not its schema says so (S-40)."""
    subs = (replace(sub, case_exact=True) if sub.name == "value" else sub for sub in attribute.sub_attributes)
    return replace(attribute, sub_attributes=tuple(subs))


def parse_resource_type(
    data: JsonValue, schemas: Mapping[str, Schema], common: tuple[Attribute, ...]
) -> ResourceType:
    """Read a ResourceType resource; `schemas` are those known, by lower-case URN.

    Raises:
        InvalidValue: also when it names a schema that is not known (S-13).
    """
    body = _object(data, "resource type")
    name = _text(body, "name", "resource type")
    where = f"resource type {name!r}"
    endpoint = "/" + _text(body, "endpoint", where).strip("/")
    if not _SEGMENT.match(endpoint):
        raise InvalidValue(
            f"{where}: endpoint must be one path segment of letters, digits, '-', '_' and '.', such as"
            f" /{name[:40]}s, not {endpoint[:80]!r}"
        )
    base = _known(_text(body, "schema", where), schemas, where)
    extensions = tuple(
        Extension(
            _known(_text(_object(item, where), "schema", where), schemas, where),
            _flag(_object(item, where), "required", where),
        )
        for item in _list(body, "schemaExtensions", where)
    )
    return ResourceType(
        id=str(_member(body, "id") or name),
        name=name,
        endpoint=endpoint,
        description=str(_member(body, "description") or ""),
        schema=base,
        extensions=extensions,
        common=common,
        memberships=memberships_of(base),
        derived=derived_of(base),
        secret=secret_of(base),
        display=DISPLAY.get(base.id, ("displayName", "name", "title")),
    )


def render_schema(schema: Schema) -> JsonObject:
    """The schema as a Schema resource, without meta; every characteristic that applies is explicit (S-87)."""
    return {
        "schemas": [urns.SCHEMA],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": [render_attribute(attribute) for attribute in schema.attributes],
    }


def render_attribute(attribute: Attribute) -> JsonObject:
    """One attribute definition in JSON form."""
    kind = attribute.type
    out: JsonObject = {
        "name": attribute.name,
        "type": str(kind),
        "multiValued": attribute.multi_valued,
        "description": attribute.description,
        "required": attribute.required,
    }
    if attribute.canonical_values:
        out["canonicalValues"] = list(attribute.canonical_values)
    if kind not in _WITHOUT_CASE:
        out["caseExact"] = attribute.compares_exactly
    out["mutability"] = str(attribute.mutability)
    out["returned"] = str(attribute.returned)
    if kind not in _WITHOUT_UNIQUENESS:
        out["uniqueness"] = str(attribute.uniqueness)
    if attribute.reference_types:
        out["referenceTypes"] = list(attribute.reference_types)
    if attribute.sub_attributes:
        out["subAttributes"] = [render_attribute(sub) for sub in attribute.sub_attributes]
    return out


def render_resource_type(resource_type: ResourceType) -> JsonObject:
    """The resource type as a ResourceType resource, without meta."""
    out: JsonObject = {
        "schemas": [urns.RESOURCE_TYPE],
        "id": resource_type.id,
        "name": resource_type.name,
        "endpoint": resource_type.endpoint,
        "description": resource_type.description,
        "schema": resource_type.schema.id,
    }
    if resource_type.extensions:
        out["schemaExtensions"] = [
            {"schema": extension.schema.id, "required": extension.required}
            for extension in resource_type.extensions
        ]
    return out


def _member(body: JsonObject, name: str) -> JsonValue:
    if name in body:
        return body[name]
    return next((value for key, value in body.items() if key.lower() == name.lower()), None)


def _object(data: JsonValue, where: str) -> JsonObject:
    if not isinstance(data, dict):
        raise InvalidValue(f"{where}: expected a JSON object, got {type(data).__name__}")
    return data


def _text(body: JsonObject, name: str, where: str) -> str:
    value = _member(body, name)
    if not isinstance(value, str) or not value:
        raise InvalidValue(f"{where}: {name} must be a non-empty string")
    return value


def _flag(body: JsonObject, name: str, where: str) -> bool:
    value = _member(body, name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise InvalidValue(f"{where}: {name} must be true or false")
    return value


def _list(body: JsonObject, name: str, where: str) -> list[JsonValue]:
    value = _member(body, name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidValue(f"{where}: {name} must be an array")
    return value


def _keyword(kind: type[E], body: JsonObject, name: str, where: str, default: E) -> E:
    value = _member(body, name)
    if value is None:
        return default
    for choice in kind:
        if isinstance(value, str) and choice.lower() == value.lower():
            return choice
    raise InvalidValue(f"{where}: {name} must be one of {', '.join(kind)}, not {value!r}")


def _known(urn: str, schemas: Mapping[str, Schema], where: str) -> Schema:
    schema = schemas.get(urn.lower())
    if schema is None:
        raise InvalidValue(f"{where}: schema {urn} is not defined; add its Schema file beside it (S-13)")
    return schema
