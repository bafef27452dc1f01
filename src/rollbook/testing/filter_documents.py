"""The documents that filters of the shared table are tested on, and the types they have.

Documents are full representations in canonical spelling; `lastModified` equals `created`, `groups` and
`members` mirror each other.
"""

from rollbook.protocol import urns
from rollbook.protocol.catalog import build_catalog
from rollbook.protocol.values import JsonObject, JsonValue

DEVICE = "urn:example:params:scim:schemas:core:2.0:Device"
SUPPORT = "urn:example:params:scim:schemas:extension:support:2.0:Device"
BADGE = "urn:example:badge:1.0:User"
ENTERPRISE = urns.ENTERPRISE_USER


def _attribute(name: str, type: str = "string", **rest: JsonValue) -> JsonObject:
    return {"name": name, "type": type, **rest}


_KEY_PARTS = [
    _attribute("value", "reference", referenceTypes=["external"]),
    _attribute("type", canonicalValues=["ssh", "tls"]),
    _attribute("bits", "integer"),
    _attribute("strength", "decimal"),
    _attribute("issued", "dateTime"),
    _attribute("digest", "binary"),
    _attribute("trusted", "boolean"),
    _attribute("hosts", multiValued=True),
    _attribute("note", returned="request"),
    _attribute("secret", returned="never"),
]
DEFINITIONS: tuple[JsonObject, ...] = (
    {
        "schemas": [urns.SCHEMA],
        "id": DEVICE,
        "name": "Device",
        "description": "Every attribute type there is",
        "attributes": [
            _attribute("serial", required=True, caseExact=True, uniqueness="server"),
            _attribute("label"),
            _attribute("enabled", "boolean"),
            _attribute("slots", "integer"),
            _attribute("weight", "decimal"),
            _attribute("bought", "dateTime"),
            _attribute("fingerprint", "binary"),
            _attribute("manual", "reference", referenceTypes=["external"]),
            _attribute("keeper", "reference", referenceTypes=["User"]),
            _attribute("tags", multiValued=True),
            _attribute("ports", "integer", multiValued=True),
            _attribute(
                "place", "complex", subAttributes=[_attribute("site"), _attribute("floor", "integer")]
            ),
            _attribute("keys", "complex", multiValued=True, subAttributes=_KEY_PARTS),
            _attribute("history", multiValued=True, returned="request"),
            _attribute("pin", returned="never"),
        ],
    },
    {
        "schemas": [urns.SCHEMA],
        "id": SUPPORT,
        "name": "Support",
        "description": "An extension of Device",
        "attributes": [
            _attribute("contract"),
            _attribute("until", "dateTime"),
            _attribute(
                "contact",
                "complex",
                subAttributes=[_attribute("value", caseExact=True), _attribute("display")],
            ),
            _attribute("audit", returned="request"),
        ],
    },
    {
        "schemas": [urns.SCHEMA],
        "id": BADGE,
        "name": "Badge",
        "description": "A second extension of User, with a name the enterprise extension has too",
        "attributes": [_attribute("colour"), _attribute("number", "integer"), _attribute("division")],
    },
    {
        "schemas": [urns.RESOURCE_TYPE],
        "name": "Device",
        "endpoint": "/Devices",
        "description": "A thing with a serial number",
        "schema": DEVICE,
        "schemaExtensions": [{"schema": SUPPORT, "required": False}],
    },
)
CATALOG = build_catalog(DEFINITIONS)

_BASE = "https://scim.example.com/scim/v2"


def _meta(type: str, id: str, created: str) -> JsonObject:
    location = f"{_BASE}/{type}s/{id}"
    return {"resourceType": type, "created": created, "lastModified": created, "location": location}


def _document(type: str, schema: str, id: str, created: str, attributes: JsonObject) -> JsonObject:
    extensions = [name for name in attributes if name.startswith("urn:")]
    head: JsonObject = {"schemas": [schema, *extensions], "id": id}
    return {**head, **attributes, "meta": _meta(type, id, created)}


def _group_of(id: str, display: str) -> JsonObject:
    return {"value": id, "$ref": f"{_BASE}/Groups/{id}", "display": display, "type": "direct"}


def _member(type: str, id: str, display: str) -> JsonObject:
    return {"value": id, "$ref": f"{_BASE}/{type}s/{id}", "type": type, "display": display}


_DEVELOPERS = _group_of("g-dev", "Developers")
_USERS: dict[tuple[str, str], JsonObject] = {
    ("u-ann", "2024-01-01T08:00:00.000Z"): {
        "externalId": "E100",
        "userName": "Ann",
        "name": {"familyName": "Öztürk", "givenName": "Ann", "formatted": "Ann Öztürk"},
        "displayName": "Ann Öztürk",
        "title": "Engineer",
        "userType": "Employee",
        "profileUrl": "https://people.example.com/Ann",
        "active": True,
        "emails": [
            {"value": "ann@work.example.com", "type": "work", "primary": True},
            {"value": "ann@home.example.org", "type": "home"},
        ],
        "phoneNumbers": [{"value": "tel:+49-30-100", "type": "work"}],
        "groups": [_DEVELOPERS],
        ENTERPRISE: {
            "employeeNumber": "100",
            "department": "Engineering",
            "manager": {"value": "u-bob", "$ref": f"{_BASE}/Users/u-bob", "displayName": "Bob Stone"},
        },
    },
    ("u-bob", "2024-01-02T08:00:00.000Z"): {
        "externalId": "e100",
        "userName": "bob@example.com",
        "name": {"familyName": "Stone", "givenName": "Bob"},
        "displayName": "Bob Stone",
        "title": "Head of Engineering",
        "userType": "Employee",
        "active": True,
        "emails": [
            {"value": "bob@home.example.com", "type": "home"},
            {"value": "bob@work.example.net", "type": "work"},
        ],
        "groups": [_DEVELOPERS, _group_of("g-ops", "Operations")],
        ENTERPRISE: {"employeeNumber": "9", "department": "Engineering", "division": "North"},
        BADGE: {"colour": "red", "number": 9, "division": "Tower"},
    },
    ("u-cem", "2024-01-03T08:00:00.000Z"): {
        "userName": "cem",
        "name": {"familyName": 'O\'Brien "Cem"', "givenName": "Cem\\"},
        "displayName": "100%_sure; DROP TABLE users",
        "userType": "Contractor",
        "active": False,
        "emails": [{"value": "cem@example.org", "type": "other"}],
        BADGE: {"colour": "Blue", "number": 10},
    },
    ("u-dee", "2024-06-30T22:00:00.000Z"): {
        "userName": "ＤＥＥ",
        "displayName": "Straße 5",
        "nickName": "Jose\u0301",
        "title": "engineer (retired)",
        "active": False,
        ENTERPRISE: {"department": "Sales", "costCenter": "4711"},
    },
    ("u-eve", "2024-07-01T00:00:00.000Z"): {
        "userName": "eve",
        "displayName": "eve",
        "addresses": [{"type": "work", "locality": "Berlin", "country": "DE"}],
        "x509Certificates": [{"value": "AQIDBA=="}],
        "roles": [{"value": "admin", "primary": True}, {"value": "auditor"}],
    },
    ("u-fay", "2025-01-01T00:00:00.000Z"): {
        "userName": "fay_1",
        "displayName": "日本語の名前",
        "active": True,
        "emails": [{"value": "FAY@WORK.EXAMPLE.COM", "type": "WORK"}],
    },
}
_GROUPS: dict[tuple[str, str], JsonObject] = {
    ("g-dev", "2024-02-01T00:00:00.000Z"): {
        "displayName": "Developers",
        "externalId": "dept-dev",
        "members": [_member("User", "u-ann", "Ann Öztürk"), _member("User", "u-bob", "Bob Stone")],
    },
    ("g-ops", "2024-02-02T00:00:00.000Z"): {
        "displayName": "Operations",
        "members": [_member("User", "u-bob", "Bob Stone"), _member("Group", "g-dev", "Developers")],
    },
    ("g-new", "2024-02-03T00:00:00.000Z"): {"displayName": "dept-New"},
}
_DEVICES: dict[tuple[str, str], JsonObject] = {
    ("d-01", "2024-03-01T00:00:00.000Z"): {
        "serial": "A1",
        "label": "Router Ground Floor",
        "enabled": True,
        "slots": 9,
        "weight": 2.5,
        "bought": "2011-05-13T04:42:34.000Z",
        "fingerprint": "+/8BAg==",
        "manual": "https://docs.example.com/Router",
        "keeper": f"{_BASE}/Users/u-ann",
        "tags": ["Core", "edge"],
        "ports": [22, 443],
        "place": {"site": "Berlin", "floor": 0},
        "keys": [
            {"value": "urn:key:1", "type": "ssh", "bits": 256, "issued": "2020-01-01T00:00:00.000Z"},
            {"value": "urn:key:2", "type": "tls", "bits": 4096, "trusted": True, "hosts": ["a.example", "b"]},
        ],
        SUPPORT: {"contract": "Gold", "until": "2030-01-01T00:00:00.000Z"},
    },
    ("d-02", "2024-03-02T00:00:00.000Z"): {
        "serial": "a1",
        "label": "switch ground floor",
        "enabled": False,
        "slots": 10,
        "weight": 10,
        "bought": "2011-05-13T04:42:34.500Z",
        "fingerprint": "AQID",
        "manual": "https://docs.example.com/router",
        "keeper": f"{_BASE}/Users/u-bob",
        "tags": ["core"],
        "ports": [8080],
        "keys": [
            {"value": "urn:key:3", "type": "tls", "bits": 256, "strength": 0.5, "trusted": False},
            {"type": "ssh", "bits": 4096, "digest": "AQID", "hosts": ["b"]},
        ],
        SUPPORT: {"contact": {"value": "Desk-1", "display": "Help Desk"}},
    },
    ("d-03", "2024-03-03T00:00:00.000Z"): {"serial": "B-2", "slots": -3, "weight": -0.5, "ports": [-1]},
    ("d-04", "2024-03-04T00:00:00.000Z"): {
        "serial": "b-2",
        "label": "",
        "slots": 0,
        "weight": 0.0,
        "bought": "1969-12-31T23:59:59.999Z",
        "place": {"floor": -1},
        "keys": [{"bits": 1, "note": "only one part shown on request"}, {"secret": "xyz"}],
    },
    ("d-05", "2024-03-05T00:00:00.000Z"): {
        "serial": "9007199254740993",
        "slots": 9007199254740993,
        "tags": ["a b", "%", "_"],
        "keys": [{"secret": "xyz"}],
    },
    ("d-06", "2024-03-06T00:00:00.000Z"): {"serial": "Z", "slots": 9007199254740992, "weight": 1e300},
}
DOCUMENTS: list[tuple[str, JsonObject]] = [
    *(("User", _document("User", urns.USER, *key, body)) for key, body in _USERS.items()),
    *(("Group", _document("Group", urns.GROUP, *key, body)) for key, body in _GROUPS.items()),
    *(("Device", _document("Device", DEVICE, *key, body)) for key, body in _DEVICES.items()),
]
"""Resource type name and full representation, oldest of each type first."""
