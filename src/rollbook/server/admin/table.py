"""The route table of /admin/v1, and its OpenAPI document, which is made from it and from the shapes."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from rollbook import __version__
from rollbook.protocol.values import JsonObject
from rollbook.server.admin import (
    clients,
    definitions,
    issuers,
    keys,
    matches,
    orders,
    runs,
    targets,
    tenants,
    tokens,
)
from rollbook.server.admin.problems import PROBLEM
from rollbook.server.admin.rows import MOST, PAGE, Row
from rollbook.server.admin.shapes import Problem, Shape
from rollbook.server.requests import JSON

ROWS: tuple[Row, ...] = (
    *tenants.ROWS,
    *tokens.ROWS,
    *issuers.ROWS,
    *clients.ROWS,
    *keys.ROWS,
    *definitions.ROWS,
    *targets.ROWS,
    *runs.ROWS,
    *orders.ROWS,
    *matches.ROWS,
)
"""Every operation; what is not here is not served."""

_ABOUT = (
    "What the commands of Rollbook do for tenants, tokens, issuers, clients, schemas, targets and runs, for programs. It takes tokens with the scope admin:read or admin:"
    " those of the default tenant for all tenants, those of another for that one. Whoever has another token finds nothing here."
    " Errors are problem details (RFC 9457). Every GET is answered to HEAD, too."
)

_PARAMETERS: JsonObject = {
    "tenant": {
        "name": "tenant",
        "in": "path",
        "required": True,
        "description": "The name of a tenant",
        "schema": {"type": "string"},
    },
    "id": {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The public id of a token or client",
        "schema": {"type": "string"},
    },
    "name": {
        "name": "name",
        "in": "path",
        "required": True,
        "description": "The name of a target, issuer or resource type, or the URN of a schema",
        "schema": {"type": "string"},
    },
    "number": {
        "name": "number",
        "in": "path",
        "required": True,
        "description": "The number of a run or order",
        "schema": {"type": "integer", "minimum": 1},
    },
    "cursor": {
        "name": "cursor",
        "in": "query",
        "description": "nextCursor of the page before",
        "schema": {"type": "string"},
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "description": "The most on the page",
        "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": PAGE},
    },
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": "The ETag of what was looked at; 412 if it is another by now",
        "schema": {"type": "string"},
    },
}

_STATUSES = {
    200: "Done",
    201: "Made",
    202: "Begun; it goes on by itself",
    204: "Done; nothing of it is left",
    400: "The request breaks a rule",
    401: "There is no valid token",
    403: "The token may not do that",
    404: "There is no such thing, or it is not this token's to see",
    408: "The body did not arrive in time",
    409: "A name is taken, or the request does not fit the present state",
    412: "It is another by now than If-Match names",
    413: "The body is too large",
    415: "The body is of a media type or encoding that is not read here",
    428: "This needs the header If-Match",
    429: "More requests than are allowed; ask again when Retry-After says",
    500: "Something nobody expected",
    503: "The store cannot take the request now",
}


class _Untitled(GenerateJsonSchema):
    """Names stand where they belong already."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's own signature
        """Whether a member has a title."""
        return False


@lru_cache(maxsize=16)
def document(base: str) -> JsonObject:
    """The OpenAPI document of all rows, served at a base URI."""
    paths: JsonObject = {}
    for row in ROWS:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Rollbook administration", "version": __version__, "description": _ABOUT},
        "servers": [{"url": base}],
        "security": [{"bearer": []}],
        "tags": [{"name": name} for name in dict.fromkeys(row.group for row in ROWS)],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "parameters": {name: said for name, said in _PARAMETERS.items() if _is_used(name)},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _is_used(name: str) -> bool:
    return any(name in _parameters(row) for row in ROWS)


def _operation(row: Row) -> JsonObject:
    needs = "admin" if row.needs_write else "admin:read"
    whose = ", of the default tenant" if row.for_server else ""
    described: JsonObject = {
        "operationId": row.id,
        "summary": row.summary,
        "description": f"Needs a token with the scope {needs}{whose}.",
        "tags": [row.group],
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in _parameters(row)],
        "responses": dict(_responses(row)),
    }
    if row.body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": _ref(row.body.__name__)}}}
    return described


def _parameters(row: Row) -> list[str]:
    found = [name for name in _PARAMETERS if f"{{{name}}}" in row.path]
    return found + ["cursor", "limit"] * row.is_paged + ["If-Match"] * row.is_conditional


def _responses(row: Row) -> Iterator[tuple[str, JsonObject]]:
    answer: JsonObject = {"description": _STATUSES[row.status]}
    if row.answer is not None:
        answer["content"] = {JSON: {"schema": _ref(row.answer.__name__)}}
    yield str(row.status), answer
    if row.status == 202:
        yield "204", {"description": _STATUSES[204]}
    refusals = {400, 401, 403, 404, 429, 500, 503, *row.refusals}
    refusals |= {408, 413, 415} if row.body is not None else set()
    refusals |= {412} if row.is_conditional else set()
    refusals |= {428} if row.needs_match else set()
    for status in sorted(refusals):
        yield (
            str(status),
            {
                "description": _STATUSES[status],
                "content": {PROBLEM: {"schema": _ref(Problem.__name__)}},
            },
        )


def _schemas() -> JsonObject:
    bodies: dict[type[Shape], JsonSchemaMode] = {
        row.body: "validation" for row in ROWS if row.body is not None
    }
    answers: dict[type[Shape], JsonSchemaMode] = {
        row.answer: "serialization" for row in ROWS if row.answer is not None
    }
    _, found = models_json_schema(
        [*bodies.items(), *answers.items(), (Problem, "validation")],
        by_alias=True,
        ref_template="#/components/schemas/{model}",
        schema_generator=_Untitled,
    )
    schemas: JsonObject = found["$defs"]
    for schema in schemas.values():
        schema.pop("title", None)
    return schemas


def _ref(name: str) -> JsonObject:
    return {"$ref": f"#/components/schemas/{name}"}
