"""The protocol messages as JSON Schema: errors, lists, searches, patches and bulk jobs (RFC 7644 §3, RFC 9865 §2)."""

from collections.abc import Sequence

from rollbook.protocol import urns
from rollbook.protocol.errors import BY_SCIM_TYPE
from rollbook.protocol.openapi_schemas import INT64, reference
from rollbook.protocol.values import JsonObject

_TEXT: JsonObject = {"type": "string"}
_NUMBER: JsonObject = {"type": "integer"}
_ONE_WAY_OF_PAGING: JsonObject = {
    "not": {
        "properties": {"startIndex": _NUMBER, "cursor": _TEXT},
        "required": ["startIndex", "cursor"],
    }
}
_NAMES: JsonObject = {"type": "array", "items": _TEXT}
_PATH: JsonObject = {"type": "string", "format": "scim-path", "minLength": 1}

FILTER: JsonObject = {"type": "string", "format": "scim-filter", "minLength": 1}
"""A filter (RFC 7644 §3.4.2.2); the format is a name of ours."""

SORT_BY: JsonObject = {"type": "string", "minLength": 1}

SORT_ORDER: JsonObject = {"type": "string", "enum": ["ascending", "descending"]}


def error_schema() -> JsonObject:
    """An Error (RFC 7644 §3.12)."""
    return _message(
        "What was wrong with a request",
        urns.ERROR,
        {
            "status": {"type": "string", "description": "The HTTP status", "pattern": "^[45][0-9]{2}$"},
            "scimType": {"type": "string", "enum": list(BY_SCIM_TYPE)},
            "detail": {"type": "string", "description": "What was wrong and what would be accepted"},
        },
        ("status", "detail"),
        closed=True,
    )


def list_schema(item: JsonObject, *, cursors: bool = False, counts: bool = True) -> JsonObject:
    """A ListResponse of such items (RFC 7644 §3.4.2); with `cursors` its pages may be as RFC 9865 has them.

    With `counts` every page says totalResults.
    """
    properties: JsonObject = {
        "totalResults": {"type": "integer", "minimum": 0, "description": "How many match, on all pages"},
        "startIndex": {"type": "integer", "minimum": 1, "description": "Where the page begins"},
        "itemsPerPage": {"type": "integer", "minimum": 0, "description": "How many are on this page"},
        "Resources": {"type": "array", "items": item},
    }
    required = ["itemsPerPage", "Resources"]
    if counts:
        required.append("totalResults")
    if cursors:
        properties["nextCursor"] = {"type": "string", "description": "The next page, if there is one"}
        properties["previousCursor"] = {"type": "string", "description": "The page before, if there is one"}
    else:
        required.append("startIndex")
    return _message("A page of a list", urns.LIST_RESPONSE, properties, required, closed=True)


def patch_schema() -> JsonObject:
    """A PatchOp (RFC 7644 §3.5.2)."""
    change: JsonObject = {
        "type": "object",
        "description": "Without a path the value is an object of attributes",
        "properties": {
            "op": {"type": "string", "enum": ["add", "replace"]},
            "path": _PATH,
            "value": {"type": ["object", "array", "string", "number", "boolean", "null"]},
        },
        "required": ["op", "value"],
    }
    removal: JsonObject = {
        "type": "object",
        "properties": {"op": {"type": "string", "enum": ["remove"]}, "path": _PATH},
        "required": ["op", "path"],
    }
    operations: JsonObject = {"type": "array", "minItems": 1, "items": {"oneOf": [change, removal]}}
    return _message(
        "Changes of one resource: all of them or none",
        urns.PATCH_OP,
        {"Operations": operations},
        ("Operations",),
    )


def search_schema(*, filters: bool, sorts: bool, cursors: bool) -> JsonObject:
    """A SearchRequest (RFC 7644 §3.4.3) with what is offered of it; null is as good as nothing."""
    properties: JsonObject = {"attributes": _NAMES, "excludedAttributes": _NAMES}
    if filters:
        properties["filter"] = FILTER
    if sorts:
        properties |= {"sortBy": SORT_BY, "sortOrder": SORT_ORDER}
    properties |= {"startIndex": _NUMBER | INT64, "count": _NUMBER | INT64}
    if cursors:
        properties["cursor"] = _TEXT
    nullable = {name: _or_null(schema) for name, schema in properties.items()}
    return _message("A query", urns.SEARCH_REQUEST, nullable) | (_ONE_WAY_OF_PAGING if cursors else {})


def _or_null(schema: JsonObject) -> JsonObject:
    choices = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **choices}


def bulk_request_schema(most: int) -> JsonObject:
    """A BulkRequest of at most that many operations (RFC 7644 §3.7)."""
    operation = {
        "oneOf": [
            _operation(("POST",), ("bulkId", "data")),
            _operation(("PUT", "PATCH"), ("data",)),
            _operation(("DELETE",), ()),
        ]
    }
    properties: JsonObject = {
        "failOnErrors": _NUMBER | INT64 | {"minimum": 1, "description": "Stop after so many errors"},
        "Operations": {"type": "array", "maxItems": most, "items": operation},
    }
    return _message("Several requests in one", urns.BULK_REQUEST, properties, ("Operations",))


def _operation(methods: Sequence[str], required: Sequence[str]) -> JsonObject:
    """An operation of a bulk request by one of the methods, with what these need beside a path."""
    return {
        "type": "object",
        "properties": {
            "method": {"type": "string", "enum": list(methods)},
            "path": {"type": "string", "minLength": 1, "description": "Relative to the base URI"},
            "bulkId": {
                "type": "string",
                "minLength": 1,
                "description": "Names a resource to be created within the request",
            },
            "version": {"type": "string", "description": "The version expected, as If-Match has it"},
            "data": {"type": "object", "description": "The body that the single request would have"},
        },
        "required": ["method", "path", *required],
    }


def bulk_response_schema() -> JsonObject:
    """A BulkResponse (RFC 7644 §3.7.3)."""
    result: JsonObject = {
        "type": "object",
        "properties": {
            "method": {"type": "string", "description": "As it was sent"},
            "bulkId": _TEXT,
            "version": _TEXT,
            "location": _TEXT,
            "status": {"type": "string", "pattern": "^[1-5][0-9]{2}$"},
            "response": {
                "type": "object",
                "description": "The body that the single request would be answered with",
            },
        },
        "required": ["method", "status"],
        "additionalProperties": False,
    }
    operations: JsonObject = {"type": "array", "items": result}
    return _message(
        "One result for each operation that was processed",
        urns.BULK_RESPONSE,
        {"Operations": operations},
        ("Operations",),
        closed=True,
    )


def one_status(status: int) -> JsonObject:
    """The Error of that HTTP status, which it repeats (P-3.2-05)."""
    return {"allOf": [reference("Error"), {"properties": {"status": {"const": str(status)}}}]}


def _message(
    description: str, urn: str, properties: JsonObject, required: Sequence[str] = (), *, closed: bool = False
) -> JsonObject:
    schemas: JsonObject = {"type": "array", "items": {"type": "string", "const": urn}, "minItems": 1}
    described: JsonObject = {
        "type": "object",
        "description": description,
        "properties": {"schemas": schemas} | properties,
        "required": ["schemas", *required],
    }
    return described | ({"additionalProperties": False} if closed else {})
