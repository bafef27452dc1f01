"""A resource type of our own with attributes of every type and characteristic, and an extension that is required."""

from rollbook.protocol import urns
from rollbook.protocol.values import JsonObject

COURSE = "urn:example:university:2.0:Course"
CREDIT = "urn:example:university:2.0:Credit"

DEFINITIONS: list[JsonObject] = [
    {
        "schemas": [urns.SCHEMA],
        "id": COURSE,
        "name": "Course",
        "description": "What is taught",
        "attributes": [
            {
                "name": "code",
                "type": "string",
                "required": True,
                "uniqueness": "server",
                "returned": "always",
            },
            {"name": "title", "type": "string", "canonicalValues": ["Lecture", "Seminar"]},
            {"name": "seats", "type": "integer"},
            {"name": "fee", "type": "decimal"},
            {"name": "open", "type": "boolean"},
            {"name": "begins", "type": "dateTime"},
            {"name": "key", "type": "binary"},
            {"name": "homepage", "type": "reference", "referenceTypes": ["external"]},
            {"name": "tags", "type": "string", "multiValued": True},
            {"name": "grades", "type": "integer", "multiValued": True},
            {"name": "faculty", "type": "string", "mutability": "immutable"},
            {"name": "enrolled", "type": "integer", "mutability": "readOnly"},
            {"name": "pin", "type": "string", "mutability": "writeOnly", "returned": "never"},
            {"name": "notes", "type": "string", "returned": "request"},
            {
                "name": "rooms",
                "type": "complex",
                "multiValued": True,
                "subAttributes": [
                    {"name": "value", "type": "string", "required": True},
                    {"name": "floor", "type": "integer"},
                    {"name": "type", "type": "string"},
                    {"name": "primary", "type": "boolean"},
                    {"name": "checked", "type": "dateTime", "mutability": "readOnly"},
                ],
            },
            {
                "name": "exam",
                "type": "complex",
                "subAttributes": [
                    {"name": "at", "type": "dateTime"},
                    {"name": "minutes", "type": "integer"},
                    {"name": "questions", "type": "string", "returned": "never"},
                ],
            },
        ],
    },
    {
        "schemas": [urns.SCHEMA],
        "id": CREDIT,
        "name": "Credit points",
        "attributes": [
            {"name": "points", "type": "integer", "required": True},
            {"name": "scale", "type": "string"},
        ],
    },
    {
        "schemas": [urns.RESOURCE_TYPE],
        "name": "Course",
        "endpoint": "/Courses",
        "description": "Lectures and seminars",
        "schema": COURSE,
        "schemaExtensions": [{"schema": CREDIT, "required": True}],
    },
]
"""As `build_catalog` reads them, and `--schemas` from files."""
