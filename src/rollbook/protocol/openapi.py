"""What a service offers, as an OpenAPI 3.1 document: a pure function of its catalog and of what it announces.

Puts together paths and components; what a row becomes is for `openapi_operations`, what a resource looks like
for `openapi_schemas`. Nothing is described that is not offered.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from rollbook.protocol import openapi_messages as messages
from rollbook.protocol import openapi_operations as table
from rollbook.protocol import urns
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.openapi_operations import Row, Target, Terms
from rollbook.protocol.openapi_schemas import (
    ANSWER,
    REQUEST,
    View,
    configuration_schema,
    extension_schema,
    reference,
    resource_schema,
)
from rollbook.protocol.quirks import Quirk
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject, JsonValue

_ABOUT = (
    "SCIM 2.0 (RFC 7643, RFC 7644, RFC 9865). Every GET is answered to HEAD too, without the body; OPTIONS names the"
    " methods of a path. Names of attributes are compared without case. The formats scim-filter and scim-path are"
    " the filters and paths of RFC 7644 sections 3.4.2.2 and 3.5.2."
)

_CONFIGURATION = {
    urns.SERVICE_PROVIDER_CONFIG: "ServiceProviderConfig",
    urns.RESOURCE_TYPE: "ResourceType",
    urns.SCHEMA: "Schema",
}
_RESERVED = (
    *_CONFIGURATION.values(), "Any", "Me", "Error", "PatchOp", "SearchRequest", "Bulk", "BulkRequest", "BulkResponse",
)  # fmt: skip
_SUFFIXES = ("", "Request", "List")


@dataclass(frozen=True)
class Service:
    """The service to be described."""

    base: str
    """The absolute URI it is served at."""
    version: str
    catalog: Catalog
    config: JsonObject
    """What it announces under /ServiceProviderConfig."""
    has_me: bool = True
    accepted: frozenset[Quirk] = frozenset()
    counts: bool = True
    """Whether every page says totalResults."""
    empty_patches: frozenset[str] = frozenset()
    """Names of the resource types of which a PATCH may be answered 204."""
    require_if_match: bool = False
    open_discovery: bool = True
    least_secret: int = 0
    """How many characters a secret must have."""

    def offers(self, feature: str) -> bool:
        """Whether a feature is announced as supported."""
        return bool(self.config[feature]["supported"])

    @cached_property
    def cursors(self) -> bool:
        """Whether pages by cursor are announced (RFC 9865 §4)."""
        return bool(self.config.get("pagination", {}).get("cursor"))

    @cached_property
    def names(self) -> dict[str, str]:
        """The component name of each resource type by its id, and of each extension by its URN; all differ."""
        taken = {name + suffix for name in _RESERVED for suffix in _SUFFIXES}
        types = {kind.id: _name(kind.name, taken) for kind in self.catalog.resource_types}
        extensions = {
            ext.schema.id: ext.schema for kind in self.catalog.resource_types for ext in kind.extensions
        }
        return types | {urn: _name(schema.name, taken) for urn, schema in extensions.items()}


def document(service: Service) -> JsonObject:
    """The OpenAPI document of a service."""
    targets = list(_targets(service))
    described: JsonObject = {
        "openapi": "3.1.0",
        "info": {"title": "Rollbook", "version": service.version, "description": _ABOUT},
        "servers": [{"url": service.base}],
        "security": [{name: []} for name in _credentials(service)],
        "tags": [{"name": label} for label in dict.fromkeys(target.label for target in targets)],
        "paths": _paths(service, targets),
    }
    components: JsonObject = {
        "schemas": _schemas(service),
        "parameters": table.parameters(),
        "headers": table.headers(),
        "responses": table.refusals(),
    }
    described["components"] = _used(described["paths"], components) | {
        "securitySchemes": _credentials(service)
    }
    return described


_SCHEMES: Mapping[str, tuple[str, JsonObject]] = {
    "oauthbearertoken": ("bearer", {"type": "http", "scheme": "bearer"}),
    "oauth2": ("bearer", {"type": "http", "scheme": "bearer"}),
    "httpbasic": ("basic", {"type": "http", "scheme": "basic"}),
}
"""What OpenAPI calls the types of `authenticationSchemes` (RFC 7643 §5), and how it describes them."""


def _credentials(service: Service) -> JsonObject:
    """The ways to authenticate that are announced; each alone will do."""
    types = [each["type"] for each in service.config["authenticationSchemes"]]
    return dict(_SCHEMES[kind] for kind in types if kind in _SCHEMES)


def _targets(service: Service) -> Iterator[Target]:
    """Every path that is offered, with its rows."""
    for kind in service.catalog.resource_types:
        name = service.names[kind.id]
        schemas = {"one": name, "list": f"{name}List", "request": f"{name}Request"}
        rows = _rows_of_one(service, {kind.name})
        yield Target(kind.endpoint, table.TYPE, name, kind.name, schemas)
        yield Target(f"{kind.endpoint}/.search", table.SEARCH, name, kind.name, schemas)
        yield Target(f"{kind.endpoint}/{{id}}", rows, name, kind.name, schemas)
    schemas = {"one": "Any", "list": "AnyList", "request": "AnyRequest"}
    yield Target("/", table.QUERY, "Any", "resources of any type", schemas)
    yield Target("/.search", table.SEARCH, "Any", "resources of any type", schemas)
    if service.has_me:
        everybody = {kind.name for kind in service.catalog.resource_types}
        rows = tuple(
            replace(row, refusals=(*row.refusals, 404, 501)) for row in _rows_of_one(service, everybody)
        )
        yield Target("/Me", rows, "Me", "resource that the token acts for", schemas)
    if service.offers("bulk"):
        yield Target("/Bulk", table.BULK, "Bulk", "Bulk", {})
    for name, rows, path in (
        ("ServiceProviderConfig", table.DEFINITION, "/ServiceProviderConfig"),
        ("ResourceType", table.DEFINITIONS, "/ResourceTypes"),
        ("ResourceType", table.DEFINITION, "/ResourceTypes/{id}"),
        ("Schema", table.DEFINITIONS, "/Schemas"),
        ("Schema", table.DEFINITION, "/Schemas/{id}"),
    ):
        schemas = {"one": name, "list": f"{name}List"}
        yield Target(path, rows, name, name, schemas, is_open=service.open_discovery)


def _rows_of_one(service: Service, names: set[str]) -> tuple[Row, ...]:
    rows = table.ONE
    if not service.offers("patch"):
        rows = tuple(row for row in rows if row.verb != "patch")
    if not names & service.empty_patches:
        rows = tuple(replace(row, answers={200: "one"}) if row.verb == "patch" else row for row in rows)
    return rows


def _paths(service: Service, targets: Iterable[Target]) -> JsonObject:
    paths: JsonObject = {}
    for target in targets:
        terms = _terms(service, target)
        item = paths.setdefault(target.path, {})
        if "{id}" in target.path:
            item["parameters"] = [{"$ref": "#/components/parameters/id"}]
        for row in target.rows:
            item[row.method.lower()] = table.operation(row, target, terms)
    for kind in service.catalog.resource_types:
        _link(paths[kind.endpoint], paths[f"{kind.endpoint}/{{id}}"])
    return paths


def _terms(service: Service, target: Target) -> Terms:
    offered = set(table.parameters())
    if target.name in _CONFIGURATION.values():
        return Terms(offered)
    for feature, names in (
        ("filter", {"filter"}),
        ("sort", {"sortBy", "sortOrder"}),
        ("etag", {"If-Match", "If-None-Match"}),
    ):
        if not service.offers(feature):
            offered -= names
    if not service.cursors:
        offered.discard("cursor")
    return Terms(offered, service.require_if_match)


def _link(every: JsonObject, one: JsonObject) -> None:
    """From a resource that was created or found to what can be done with it."""
    for method, status, where in (("post", "201", "/id"), ("get", "200", "/Resources/0/id")):
        every[method]["responses"][status]["links"] = {
            row.verb: {
                "operationId": one[row.method.lower()]["operationId"],
                "parameters": {"id": f"$response.body#{where}"},
            }
            for row in table.ONE
            if row.method.lower() in one
        }


def _schemas(service: Service) -> JsonObject:
    types = service.catalog.resource_types
    found: JsonObject = {}
    for view in (ANSWER, REQUEST):
        for kind in types:
            found[service.names[kind.id] + view.suffix] = _resource(service, kind, view)
            for extension in kind.extensions:
                name = service.names[extension.schema.id] + view.suffix
                found[name] = extension_schema(extension.schema, view)
        found["Any" + view.suffix] = {
            "anyOf": [reference(service.names[kind.id] + view.suffix) for kind in types]
        }
    for schema in service.catalog.schemas:
        if schema.id in _CONFIGURATION:
            name = _CONFIGURATION[schema.id]
            found[name] = configuration_schema(schema)
            found[f"{name}List"] = messages.list_schema(reference(name))
    for name in (*(service.names[kind.id] for kind in types), "Any"):
        found[f"{name}List"] = messages.list_schema(
            reference(name), cursors=service.cursors, counts=service.counts
        )
    return found | _messages(service)


def _resource(service: Service, kind: ResourceType, view: View) -> JsonObject:
    names = {urn: name + view.suffix for urn, name in service.names.items()}
    return resource_schema(kind, view, names, service.accepted, service.least_secret)


def _messages(service: Service) -> JsonObject:
    return {
        "Error": messages.error_schema(),
        "PatchOp": messages.patch_schema(),
        "SearchRequest": messages.search_schema(
            filters=service.offers("filter"), sorts=service.offers("sort"), cursors=service.cursors
        ),
        "BulkRequest": messages.bulk_request_schema(service.config["bulk"]["maxOperations"]),
        "BulkResponse": messages.bulk_response_schema(),
    }


def _name(text: str, taken: set[str]) -> str:
    """A component name for a resource type or schema: its own if that is one and free (OpenAPI 3.1 §4.8.7)."""
    base = name = re.sub(r"[^A-Za-z0-9_]", "", text) or "Resource"
    number = 2
    while {name + suffix for suffix in _SUFFIXES} & taken:
        name, number = f"{base}{number}", number + 1
    taken.update(name + suffix for suffix in _SUFFIXES)
    return name


def _used(start: JsonValue, components: JsonObject) -> JsonObject:
    """The components that are referred to, directly or by others, in the order they are in."""
    used: set[tuple[str, str]] = set()
    waiting = list(_references(start))
    while waiting:
        kind, name = waiting.pop()
        if (kind, name) not in used:
            used.add((kind, name))
            waiting += _references(components[kind][name])
    return {
        kind: {name: described for name, described in named.items() if (kind, name) in used}
        for kind, named in components.items()
    }


def _references(value: JsonValue) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        target = value.get("$ref")
        if isinstance(target, str):
            kind, _, name = target.removeprefix("#/components/").partition("/")
            yield kind, name
        for item in value.values():
            yield from _references(item)
