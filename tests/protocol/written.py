"""What the tests of the write half share: a resource type that has everything, and short ways to call."""

from collections.abc import Mapping

from rollbook.protocol import urns
from rollbook.protocol.catalog import build_catalog
from rollbook.protocol.patch import apply, parse_patch
from rollbook.protocol.quirks import AUTO, RFC, Leniency, Profile, Quirk
from rollbook.protocol.resource import Change, Member, Present, Resource
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.validate import read_body
from rollbook.protocol.values import JsonObject, JsonValue

GADGET_URN = "urn:example:params:scim:schemas:core:2.0:Gadget"
OWNER_URN = "urn:example:params:scim:schemas:extension:owner:1.0:Gadget"
EXTRA_URN = "urn:example:params:scim:schemas:extension:extra:1.0:Gadget"
ENTERPRISE = urns.ENTERPRISE_USER


def _attribute(name: str, type: str = "string", **rest: JsonValue) -> JsonObject:
    return {"name": name, "type": type, **rest}


def _schema(urn: str, *attributes: JsonObject) -> JsonObject:
    return {
        "schemas": [urns.SCHEMA],
        "id": urn,
        "name": urn.rsplit(":", maxsplit=1)[-1],
        "attributes": list(attributes),
    }


_GADGET = _schema(
    GADGET_URN,
    _attribute("label", required=True),
    _attribute("serial", mutability="immutable"),
    _attribute("code", caseExact=True, uniqueness="server"),
    _attribute("pin", mutability="writeOnly", returned="never"),
    _attribute("state", mutability="readOnly"),
    _attribute("size", "integer"),
    _attribute("weight", "decimal"),
    _attribute("on", "boolean"),
    _attribute("made", "dateTime"),
    _attribute("picture", "binary"),
    _attribute("manual", "reference", referenceTypes=["external"]),
    _attribute("tags", multiValued=True),
    _attribute("marks", "integer", multiValued=True),
    _attribute("seals", multiValued=True, mutability="immutable"),
    _attribute(
        "ports",
        "complex",
        multiValued=True,
        subAttributes=[
            _attribute("value"),
            _attribute("type"),
            _attribute("primary", "boolean"),
            _attribute("speed", "integer"),
            _attribute("maker", mutability="immutable"),
            _attribute("uptime", "integer", mutability="readOnly"),
            _attribute("names", multiValued=True),
        ],
    ),
    _attribute(
        "sites",
        "complex",
        multiValued=True,
        subAttributes=[_attribute("street", required=True), _attribute("note"), _attribute("type")],
    ),
    _attribute(
        "box",
        "complex",
        subAttributes=[
            _attribute("kind", required=True),
            _attribute("lid", mutability="immutable"),
            _attribute("depth", "integer"),
            _attribute("seen", mutability="readOnly"),
            _attribute("notes", multiValued=True),
        ],
    ),
)
_OWNER = _schema(OWNER_URN, _attribute("owner", required=True), _attribute("since", "dateTime"))
_EXTRA = _schema(
    EXTRA_URN,
    _attribute("colour", required=True),
    _attribute("shape"),
    _attribute("size", "integer"),
    _attribute("grade", mutability="readOnly"),
    _attribute("keeper", "complex", subAttributes=[_attribute("value"), _attribute("note")]),
)
_GADGET_TYPE = {
    "schemas": [urns.RESOURCE_TYPE],
    "name": "Gadget",
    "endpoint": "/Gadgets",
    "schema": GADGET_URN,
    "schemaExtensions": [
        {"schema": OWNER_URN, "required": True},
        {"schema": EXTRA_URN, "required": False},
    ],
}
CATALOG = build_catalog([_GADGET, _OWNER, _EXTRA, _GADGET_TYPE])


def _type(name: str) -> ResourceType:
    found = CATALOG.resource_type(name)
    assert found is not None
    return found


USER, GROUP, GADGET = _type("User"), _type("Group"), _type("Gadget")

LEAST: Mapping[str, JsonObject] = {
    "User": {"userName": "ann"},
    "Group": {"displayName": "Staff"},
    "Gadget": {"label": "x", OWNER_URN: {"owner": "ann"}},
}
"""The least each type needs, without `schemas`."""


def only(*quirks: Quirk) -> Profile:
    """A profile with just these switched on."""
    return Profile("test", frozenset(quirks))


def without(quirk: Quirk) -> Profile:
    """A profile with all but one switched on."""
    return Profile("test", frozenset(Quirk) - {quirk})


def read(
    body: JsonValue, resource_type: ResourceType = USER, profile: Profile = RFC, *, at_create: bool = False
) -> Resource:
    """Validate a body as it stands."""
    return read_body(body, resource_type, Leniency(profile), at_create=at_create)


def body_of(resource_type: ResourceType, attributes: JsonObject) -> JsonObject:
    """A complete body: what the type needs, and these attributes."""
    return {"schemas": [resource_type.schema.id], **LEAST[resource_type.name], **attributes}


def document_of(resource_type: ResourceType, attributes: JsonObject, profile: Profile = RFC) -> JsonObject:
    """What validation makes of a complete body with these attributes."""
    return read(body_of(resource_type, attributes), resource_type, profile).document


def operation(op: str, path: str | None = None, **rest: JsonValue) -> JsonObject:
    """One operation of a PATCH; give `value=` if there is one."""
    return {"op": op, **({} if path is None else {"path": path}), **rest}


def message(*operations: JsonObject) -> JsonObject:
    """A PatchOp message."""
    return {"schemas": [urns.PATCH_OP], "Operations": list(operations)}


def patched(
    document: JsonObject,
    *operations: JsonObject,
    resource_type: ResourceType = USER,
    profile: Profile = RFC,
    members: tuple[Member, ...] = (),
) -> Change:
    """What these operations change."""
    patch = parse_patch(message(*operations), resource_type, Leniency(profile))
    return apply(patch, Present(document, {row.value: row for row in members}))


def after(
    document: JsonObject,
    *operations: JsonObject,
    resource_type: ResourceType = USER,
    profile: Profile = RFC,
) -> JsonObject:
    """The document after these operations."""
    change = patched(document, *operations, resource_type=resource_type, profile=profile)
    return document if change.document is None else change.document


__all__ = [
    "AUTO",
    "CATALOG",
    "ENTERPRISE",
    "EXTRA_URN",
    "GADGET",
    "GADGET_URN",
    "GROUP",
    "LEAST",
    "OWNER_URN",
    "RFC",
    "USER",
    "after",
    "body_of",
    "document_of",
    "message",
    "only",
    "operation",
    "patched",
    "read",
    "without",
]
