"""The operations of SCIM as OpenAPI describes them: a table of rows, and what a row becomes (RFC 7644 §3, §4).

Knows which parameters, bodies, headers and statuses an operation has. What a service offers is for `openapi` to say.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from rollbook.protocol.openapi_messages import FILTER, SORT_BY, SORT_ORDER, one_status
from rollbook.protocol.openapi_schemas import reference
from rollbook.protocol.values import JsonObject

MEDIA_TYPES = ("application/scim+json", "application/json")
"""What bodies may be sent and answered as, the usual one first."""


@dataclass(frozen=True)
class Row:
    """One operation. None among its answers is one without a body.

    Body and answers name a component schema; `one`, `list` and `request` stand for those of the target.
    """

    verb: str
    method: str
    summary: str
    answers: Mapping[int, str | None]
    parameters: tuple[str, ...] = ()
    body: str | None = None
    refusals: tuple[int, ...] = ()
    """Statuses beside those that every operation has, and those that a body brings."""
    headers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """A path with the rows it offers, and what these are about."""

    path: str
    rows: tuple[Row, ...]
    name: str
    """What the ids of its operations end in."""
    label: str
    """What its operations are about, for people; they are grouped by it."""
    schemas: Mapping[str, str]
    """Component schemas: `one`, `list`, `request`."""
    is_open: bool = False
    """Whether it is answered without a token."""


@dataclass(frozen=True)
class Terms:
    """What of rows a service offers: parameters by name, and whether changes need If-Match."""

    parameters: Collection[str]
    require_if_match: bool = False


_PROJECTION = ("attributes", "excludedAttributes")
_QUERY = (*_PROJECTION, "filter", "sortBy", "sortOrder", "startIndex", "count", "cursor")
_ONE = ("ETag", "Location", "Content-Location")
_UNCHANGED = ("If-None-Match",)

_READ = Row(
    "read", "GET", "Read one {label}", {200: "one", 304: None},
    (*_PROJECTION, "filter", *_UNCHANGED), None, (), _ONE,
)  # fmt: skip
_REPLACE = Row(
    "replace", "PUT", "Replace one {label}", {200: "one"},
    (*_PROJECTION, "If-Match"), "request", (409, 412, 428), _ONE,
)  # fmt: skip
_PATCH = Row(
    "patch", "PATCH", "Change one {label} in part", {200: "one", 204: None},
    (*_PROJECTION, "If-Match"), "PatchOp", (409, 412, 428), _ONE,
)  # fmt: skip
_DELETE = Row("delete", "DELETE", "Delete one {label}", {204: None}, ("If-Match",), None, (412, 428))
_LIST = Row("list", "GET", "List every {label}", {200: "list", 304: None}, _UNCHANGED, headers=("ETag",))
_SHOW = Row("read", "GET", "Read one {label}", {200: "one", 304: None}, _UNCHANGED, headers=("ETag",))

ONE: tuple[Row, ...] = (_READ, _REPLACE, _PATCH, _DELETE)
"""On one resource (RFC 7644 §3.4.1, §3.5, §3.6)."""

QUERY = (Row("query", "GET", "Query {label}", {200: "list"}, _QUERY),)
"""On the base URI (RFC 7644 §3.4.2.1)."""

TYPE = (
    *QUERY,
    Row("create", "POST", "Create one {label}", {201: "one"}, _PROJECTION, "request", (409,), _ONE),
)
"""On the endpoint of a resource type (RFC 7644 §3.3, §3.4.2)."""

SEARCH = (Row("search", "POST", "Query {label} by a body", {200: "list"}, (), "SearchRequest"),)
"""On `.search` (RFC 7644 §3.4.3)."""

BULK = (Row("send", "POST", "Send several requests in one", {200: "BulkResponse"}, (), "BulkRequest"),)
"""On /Bulk (RFC 7644 §3.7)."""

DEFINITIONS, DEFINITION = (_LIST,), (_SHOW,)
"""On the discovery endpoints (RFC 7644 §4)."""

_TEXT: JsonObject = {"type": "string"}
_NUMBER: JsonObject = {"type": "integer"}
_NAMES: JsonObject = {"type": "array", "items": _TEXT}

_PARAMETERS: Mapping[str, tuple[str, JsonObject, str]] = {
    "id": ("path", {"type": "string", "minLength": 1}, "The id that the server gave"),
    "attributes": ("query", _NAMES, "What to show instead of the usual attributes (RFC 7644 section 3.9)"),
    "excludedAttributes": (
        "query",
        _NAMES,
        "Which of the usual attributes to leave out (RFC 7644 section 3.9)",
    ),
    "filter": ("query", FILTER, "What to find (RFC 7644 section 3.4.2.2)"),
    "sortBy": ("query", SORT_BY, "The attribute to order by"),
    "sortOrder": ("query", SORT_ORDER, "The direction of the order"),
    "startIndex": ("query", _NUMBER, "The first resource of the page, counted from 1"),
    "count": ("query", _NUMBER, "The most resources on the page"),
    "cursor": ("query", _TEXT, "Empty for the first page, then nextCursor of the page before (RFC 9865)"),
    "If-Match": ("header", _TEXT, "The version to change; 412 if the resource has another one"),
    "If-None-Match": ("header", _TEXT, "The version already known; 304 if it is still that"),
}
"""Name → where it stands, what it looks like, what it means."""

_HEADERS: Mapping[str, str] = {
    "ETag": "The version",
    "Location": "The permanent URI",
    "Content-Location": "The permanent URI",
    "WWW-Authenticate": "How to authenticate",
    "Retry-After": "Seconds to wait",
}

_STATUSES: Mapping[int, str] = {
    200: "Done",
    201: "Created",
    204: "Done; there is nothing to show",
    304: "The version that If-None-Match names is the present one",
    400: "The request breaks a rule; scimType says of which kind",
    401: "There is no valid token",
    403: "The token is not for this, or this may not be asked in this way",
    404: "There is no such resource",
    406: "The Accept header admits nothing that is sent here",
    408: "The body did not arrive in time",
    409: "A value that must be unique is in use, or the request does not fit the present state",
    412: "The resource has another version than If-Match names",
    413: "The body is too large",
    415: "The body is of a media type or encoding that is not read here",
    428: "Changes need the header If-Match",
    429: "More requests than are allowed; ask again when Retry-After says",
    500: "Something nobody expected",
    501: "This is not offered to this token",
    503: "The store cannot take the request now",
}

_ALWAYS = (400, 403, 406, 429, 500, 503)
_WITH_BODY = (408, 413, 415)
_REFUSAL_HEADERS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}


def operation(row: Row, target: Target, terms: Terms) -> JsonObject:
    """One operation of the document, links aside."""
    described: JsonObject = {
        "operationId": row.verb + target.name,
        "summary": row.summary.format(label=target.label),
        "tags": [target.label],
    }
    parameters = [name for name in row.parameters if name in terms.parameters]
    if parameters:
        described["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in parameters]
    if row.body is not None:
        body = target.schemas.get(row.body, row.body)
        described["requestBody"] = {"required": True, "content": _content(reference(body))}
    described["responses"] = _answers(row, target, terms) | {
        str(status): {"$ref": f"#/components/responses/{status}"} for status in _refusals(row, target, terms)
    }
    if target.is_open:
        described["security"] = []
    return described


def _answers(row: Row, target: Target, terms: Terms) -> JsonObject:
    headers = [name for name in row.headers if name != "ETag" or "If-None-Match" in terms.parameters]
    answers: JsonObject = {}
    for status, name in row.answers.items():
        if status == 304 and "If-None-Match" not in terms.parameters:
            continue
        answer = answers[str(status)] = _response(status, headers)
        if name is not None:
            answer["content"] = _content(reference(target.schemas.get(name, name)))
    return answers


def _refusals(row: Row, target: Target, terms: Terms) -> Iterator[int]:
    possible = {*_ALWAYS, *row.refusals, *(() if row.body is None else _WITH_BODY)}
    if not target.is_open:
        possible.add(401)
    if "{id}" in target.path:
        possible.add(404)
    if "If-Match" not in terms.parameters:
        possible -= {412, 428}
    if not terms.require_if_match:
        possible.discard(428)
    return iter(sorted(possible))


def parameters() -> JsonObject:
    """The component for each parameter."""
    return {
        name: {"name": name, "in": place, "description": meaning, "schema": schema}
        | ({"required": True} if place == "path" else {})
        | ({"style": "form", "explode": False} if schema is _NAMES else {})
        for name, (place, schema, meaning) in _PARAMETERS.items()
    }


def refusals() -> JsonObject:
    """The component for each answer that is an Error, by its status."""
    return {
        str(status): _response(status, _REFUSAL_HEADERS.get(status, ()))
        | {"content": _content(one_status(status))}
        for status in _STATUSES
        if status >= 400
    }


def headers() -> JsonObject:
    """The component for each header of an answer."""
    return {name: {"description": meaning, "schema": _TEXT} for name, meaning in _HEADERS.items()}


def _response(status: int, names: Collection[str]) -> JsonObject:
    described: JsonObject = {"description": _STATUSES[status]}
    if names:
        described["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return described


def _content(schema: JsonObject) -> JsonObject:
    return {media_type: {"schema": schema} for media_type in MEDIA_TYPES}
