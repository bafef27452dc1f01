"""The set of schemas and resource types one service offers (RFC 7643 §6, §7)."""

import json
from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache, cached_property
from importlib.resources import files

from rollbook.protocol import urns
from rollbook.protocol.attributes import Attribute, Mutability, Returned, Type, Uniqueness
from rollbook.protocol.definitions import (
    parse_attributes,
    parse_resource_type,
    parse_schema,
    render_resource_type,
    render_schema,
)
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.schema import Extension, ResourceType, Schema
from rollbook.protocol.values import JsonObject, JsonValue

_LABELS = frozenset({"display", "displayName"})
"""Parts that say what a resource is called, where others refer to it."""

_RESERVED = {"serviceproviderconfig", "resourcetypes", "schemas", "bulk", "me", ".search"}


class Adjustment(StrEnum):
    """What a service may choose to define otherwise than the RFC's own schemas do."""

    UNIQUE_GROUP_NAMES = "unique-group-names"
    """displayName of groups is unique (S-70)."""
    UNIQUE_EXTERNAL_IDS = "unique-external-ids"
    """externalId is unique within each resource type (A-76)."""
    LABELS_ON_REQUEST = "labels-on-request"
    """What labels members, groups and references is the server's own, and returned on request only."""


@dataclass(frozen=True)
class Catalog:
    """Everything that is served: resource types, and all schemas including those of the configuration.

    `documents` are the definitions it was made of beside the core, by which it can be made again; `adjusted` is
    what was chosen to be otherwise than there.
    """

    schemas: tuple[Schema, ...]
    resource_types: tuple[ResourceType, ...]
    documents: tuple[JsonObject, ...] = field(default=(), compare=False)
    adjusted: frozenset["Adjustment"] = field(default=frozenset(), compare=False)

    @cached_property
    def _by_name(self) -> dict[str, ResourceType]:
        return {resource_type.name: resource_type for resource_type in self.resource_types}

    @cached_property
    def _by_endpoint(self) -> dict[str, ResourceType]:
        return {resource_type.endpoint: resource_type for resource_type in self.resource_types}

    def resource_type(self, name: str) -> ResourceType | None:
        """The resource type of that name, or None."""
        return self._by_name.get(name)

    def at(self, endpoint: str) -> ResourceType | None:
        """The resource type served under `/Endpoint`, compared exactly (P-3.2-08), or None."""
        return self._by_endpoint.get(endpoint)

    @cached_property
    def has_decimals(self) -> bool:
        """Whether any attribute is a decimal, whose digits have to be kept (S-22)."""
        return any(path.leaf.type is Type.DECIMAL for kind in self.resource_types for path in kind.paths())

    def shown_groups(self, resource_type: ResourceType) -> frozenset[str]:
        """The types with members that `groups` of resources of that type may lead to, by name (S-60)."""
        return self._shown_groups.get(resource_type.name, frozenset())

    @cached_property
    def _shown_groups(self) -> dict[str, frozenset[str]]:
        groups = frozenset(kind.name for kind in self.resource_types if kind.memberships is not None)
        derived = {kind.name: kind.find(f"{kind.derived}.$ref") for kind in self.resource_types}
        return {
            name: groups.intersection(path.leaf.reference_types) for name, path in derived.items() if path
        }

    def schema(self, urn: str) -> Schema | None:
        """The schema of that URN in any case, or None."""
        return next((schema for schema in self.schemas if schema.id.lower() == urn.lower()), None)


@cache
def common_attributes() -> tuple[Attribute, ...]:
    """`schemas`, `id`, `externalId` and `meta`, which every resource has (RFC 7643 §3.1)."""
    return parse_attributes(_packaged("common"), "common attributes")


@cache
def core_catalog() -> Catalog:
    """User with the enterprise extension, and Group: what is served without any configuration."""
    return build_catalog(())


def build_catalog(definitions: Iterable[JsonValue], adjusted: frozenset[Adjustment] = frozenset()) -> Catalog:
    """The core catalog with further Schema and ResourceType documents in RFC form.

    A Schema that no ResourceType names and whose URN ends in `:User` or `:Group` becomes an optional
    extension of that type. A ResourceType named like a core one replaces it. `adjusted` defines
    some things otherwise than the core.

    Raises:
        InvalidValue: a document is neither, is malformed, or clashes with another one.
    """
    schemas = {schema.id.lower(): schema for schema in _core_schemas()}
    core_urns = set(schemas)
    common = common_attributes()
    if Adjustment.UNIQUE_GROUP_NAMES in adjusted:
        schemas[urns.GROUP.lower()] = _with_unique(schemas[urns.GROUP.lower()], "displayName")
    if Adjustment.UNIQUE_EXTERNAL_IDS in adjusted:
        common = _unique_among(common, "externalId")
    own_types: dict[str, JsonObject] = {}
    for document in definitions:
        if is_resource_type(document):
            name = str(document.get("name"))
            if name in own_types:
                raise InvalidValue(f"resource type {name!r} is defined twice")
            own_types[name] = document
            continue
        schema = parse_schema(document)
        if schema.id.lower() in schemas:
            raise InvalidValue(f"schema {schema.id} is defined twice")
        schemas[schema.id.lower()] = schema
    documents = (_CORE_TYPES | own_types).values()
    types = [parse_resource_type(document, schemas, common) for document in documents]
    kept = [render_schema(schema) for urn, schema in schemas.items() if urn not in core_urns]
    kept += [render_resource_type(kind) for kind in types if kind.name in own_types]
    named = {urn for resource_type in types for urn in resource_type.urns}
    loose = [schema for urn, schema in schemas.items() if urn not in named | core_urns]
    types = [_extended(resource_type, loose) for resource_type in types]
    _check_endpoints(types)
    if Adjustment.LABELS_ON_REQUEST in adjusted:
        types = list(map(_with_labels_on_request, types))
        schemas |= {urn: schema for kind in types for urn, schema in kind.urns.items()}
    return Catalog(tuple(schemas.values()), tuple(types), tuple(kept), adjusted)


def check_definition(document: JsonValue) -> None:
    """Judge one definition by itself, so that the file it is from can be named.

    Raises:
        InvalidValue: it is malformed; whether what it refers to is there, only a catalog tells.
    """
    if not is_resource_type(document):
        parse_schema(document)


def is_core(urn: str) -> bool:
    """Whether a schema of that URN is one of the RFC's own."""
    return any(schema.id.lower() == urn.lower() for schema in _core_schemas())


def _with_unique(schema: Schema, name: str) -> Schema:
    return replace(schema, attributes=_unique_among(schema.attributes, name))


def _unique_among(attributes: tuple[Attribute, ...], name: str) -> tuple[Attribute, ...]:
    return tuple(
        replace(each, uniqueness=Uniqueness.SERVER) if each.name == name else each for each in attributes
    )


def _with_labels_on_request(resource_type: ResourceType) -> ResourceType:
    held = {resource_type.memberships, resource_type.derived}
    extensions = tuple(
        replace(extension, schema=_labels_on_request(extension.schema, frozenset()))
        for extension in resource_type.extensions
    )
    schema = _labels_on_request(resource_type.schema, held)
    return replace(resource_type, schema=schema, extensions=extensions)


def _labels_on_request(schema: Schema, held: Container[str | None]) -> Schema:
    """The schema with the labels of attributes that are `held` as rows, and of references, where readOnly."""

    def changed(attribute: Attribute) -> Attribute:
        ours = attribute.name in held
        if not ours and attribute.sub("$ref") is None:
            return attribute
        subs = tuple(
            replace(sub, mutability=Mutability.READ_ONLY, returned=Returned.REQUEST)
            if sub.name in _LABELS and (ours or sub.mutability is Mutability.READ_ONLY)
            else sub
            for sub in attribute.sub_attributes
        )
        return replace(attribute, sub_attributes=subs)

    return replace(schema, attributes=tuple(map(changed, schema.attributes)))


def _extended(resource_type: ResourceType, loose: list[Schema]) -> ResourceType:
    own = {"User": urns.USER, "Group": urns.GROUP}.get(resource_type.name)
    if own != resource_type.schema.id:
        return resource_type
    fitting = [
        schema for schema in loose if schema.id.rpartition(":")[2].lower() == resource_type.name.lower()
    ]
    extensions = resource_type.extensions + tuple(Extension(schema) for schema in fitting)
    return replace(resource_type, extensions=extensions)


def _check_endpoints(types: list[ResourceType]) -> None:
    seen: dict[str, str] = {}
    for resource_type in types:
        segment = resource_type.endpoint[1:].lower()
        if segment in _RESERVED:
            raise InvalidValue(
                f"resource type {resource_type.name!r}: endpoint {resource_type.endpoint} is SCIM's own"
            )
        if segment in seen:
            raise InvalidValue(
                f"resource types {seen[segment]!r} and {resource_type.name!r} share endpoint {resource_type.endpoint}"
            )
        seen[segment] = resource_type.name


def is_resource_type(document: JsonValue) -> bool:
    """Whether a definition is a ResourceType; else it is a Schema.

    Raises:
        InvalidValue: it is neither.
    """
    if not isinstance(document, dict):
        raise InvalidValue("a definition must be a JSON object: a Schema or a ResourceType in RFC 7643 form")
    schemas = document.get("schemas")
    listed = [str(urn).lower() for urn in schemas] if isinstance(schemas, list) else []
    if urns.RESOURCE_TYPE.lower() in listed:
        return True
    if urns.SCHEMA.lower() in listed:
        return False
    if "endpoint" in document:
        return True
    if "attributes" in document:
        return False
    raise InvalidValue("a definition has neither attributes (Schema) nor endpoint (ResourceType)")


@cache
def _core_schemas() -> tuple[Schema, ...]:
    names = ("user", "group", "enterprise_user", "service_provider_config", "resource_type", "schema")
    # The Schema schema describes subAttributes inside attributes: its one deeper level is the RFC's own.
    return tuple(_core_schema(_packaged(name)) for name in names)


def _core_schema(document: JsonObject) -> Schema:
    if document["id"] != urns.SCHEMA:
        return parse_schema(document)
    attributes = tuple(_schema_attribute(item) for item in document["attributes"])
    return Schema(document["id"], document["name"], document["description"], attributes)


def _schema_attribute(item: JsonObject) -> Attribute:
    flat = {key: value for key, value in item.items() if key != "subAttributes"} | {"type": "string"}
    (plain,) = parse_attributes([flat], "Schema")
    subs = tuple(_schema_attribute(sub) for sub in item.get("subAttributes", ()))
    return replace(plain, type=Type(item["type"]), sub_attributes=subs)


def _packaged(name: str) -> JsonValue:
    return json.loads(files("rollbook.protocol.schemas").joinpath(f"{name}.json").read_text("utf-8"))


_CORE_TYPES: dict[str, JsonObject] = {
    "User": {
        "name": "User",
        "endpoint": "/Users",
        "description": "Accounts of people and services",
        "schema": urns.USER,
        "schemaExtensions": [{"schema": urns.ENTERPRISE_USER, "required": False}],
    },
    "Group": {
        "name": "Group",
        "endpoint": "/Groups",
        "description": "Sets of users and of other groups",
        "schema": urns.GROUP,
    },
}
