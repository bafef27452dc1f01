"""Resource types of our own with members, groups, passwords and references, recognised by shape."""

from rollbook.protocol import urns
from rollbook.protocol.values import JsonObject, JsonValue

CLUB, STUDENT, PROFESSOR = (f"urn:example:clubs:2.0:{name}" for name in ("Club", "Student", "Professor"))
DESK = "urn:example:clubs:2.0:Desk"


def attribute(name: str, type: str = "string", **rest: JsonValue) -> JsonObject:
    """An attribute definition."""
    return {"name": name, "type": type, **rest}


def reference(name: str, *types: str, parts: tuple[JsonObject, ...] = (), **rest: JsonValue) -> JsonObject:
    """A complex attribute that refers to resources of those types by `value`."""
    own = (attribute("value"), attribute("$ref", "reference", referenceTypes=list(types)))
    return attribute(name, "complex", subAttributes=[*own, *parts], **rest)


def members(*types: str, **rest: JsonValue) -> JsonObject:
    """An attribute that is kept as memberships."""
    parts = [
        attribute("value", mutability="immutable"),
        attribute("$ref", "reference", referenceTypes=list(types)),
        attribute("display"),
    ]
    return attribute("members", "complex", multiValued=True, subAttributes=parts) | rest


def groups(*types: str, **rest: JsonValue) -> JsonObject:
    """An attribute that shows memberships from the other side."""
    shape: JsonObject = {"multiValued": True, "mutability": "readOnly", **rest}
    return reference("groups", *types, parts=(attribute("type"),), **shape)


PASSWORD = attribute("password", mutability="writeOnly", returned="never")
_LABEL = attribute("display", mutability="readOnly")


def _schema(urn: str, *attributes: JsonObject) -> JsonObject:
    return {"schemas": [urns.SCHEMA], "id": urn, "attributes": list(attributes)}


def _type(urn: str, *extensions: str) -> JsonObject:
    name = urn.rpartition(":")[2]
    return {
        "schemas": [urns.RESOURCE_TYPE],
        "name": name,
        "endpoint": f"/{name}s",
        "schema": urn,
        "schemaExtensions": [{"schema": extension, "required": False} for extension in extensions],
    }


_NAME = attribute("displayName", required=True)
DEFINITIONS: list[JsonObject] = [
    _schema(CLUB, _NAME, members("Student", "Professor", "Club"), groups("Club")),
    _type(CLUB),
    _schema(
        STUDENT,
        _NAME,
        PASSWORD,
        groups("Club"),
        reference("advisors", "Professor", parts=(_LABEL, attribute("type")), multiValued=True),
        reference("tutor", "Student", "Professor", parts=(attribute("since", "dateTime"),)),
        reference(
            "sponsor", "User", parts=(attribute("displayName", mutability="readOnly"),), returned="request"
        ),
    ),
    _type(STUDENT, DESK),
    _schema(DESK, reference("keeper", "Professor", parts=(_LABEL,), required=True), attribute("room")),
    _schema(PROFESSOR, _NAME, reference("deputy", "Professor", parts=(_LABEL,))),
    _type(PROFESSOR),
]
"""As `build_catalog` reads them, and `--schemas` from files."""
