"""What schemathesis is told beyond the document: where SCIM has rules that JSON Schema cannot say.

Changes cases only so far that they are what the document means; a case that breaks the document on purpose is left
as it is.
"""

import re
from collections.abc import Callable
from itertools import count
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, HookContext
from schemathesis.schemas import BaseSchema

ATTRIBUTES = ("id", "externalId", "meta.created", "schemas")
"""Attributes that every resource type has."""

_TESTS = st.sampled_from(
    [
        "id pr",
        'externalId eq "0"',
        'externalId sw "a"',
        'id ne "x"',
        'meta.created gt "2020-01-01T00:00:00Z"',
        'schemas co "urn:"',
        'not (externalId eq "b")',
        "meta.lastModified pr",
    ]
)
FILTERS = st.recursive(
    _TESTS,
    lambda inner: st.tuples(inner, st.sampled_from(("and", "or")), inner).map(
        lambda x: f"({x[0]}) {x[1]} ({x[2]})"
    ),
    max_leaves=4,
)
PATHS = st.sampled_from(
    [
        "externalId",
        "name.givenName",
        "emails",
        'emails[type eq "work"].value',
        "members",
        "title",
        "rooms",
        "active",
    ]
)
PASSWORDS = 25
"""One password in so many is sent: a hash takes as long as fifty other requests."""


_FAR_ZONE = re.compile(r"(?<=\d)[+-](1[4-9]|2\d):\d\d\Z")
"""Offsets that RFC 3339 has and xsd:dateTime does not (A-72)."""


def register_formats() -> None:
    """Values for the formats that the document has names for."""
    schemathesis.openapi.format("scim-filter", FILTERS)
    schemathesis.openapi.format("scim-path", PATHS)


def make_plausible(schema: BaseSchema) -> None:
    """Turn each valid case of the schema into one that SCIM has no further rule against."""
    turn = count()

    def map_case(_: HookContext, case: Case[Any]) -> Case[Any]:
        if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
            _ask_for_order(case.query)
            _ask_for_order(case.body)
            return case
        _settle(case.query)
        if isinstance(case.body, dict):
            body: dict[str, Any] = _whole(case.body)
            _settle(body)
            if "password" in body and next(turn) % PASSWORDS:
                del body["password"]
            if isinstance(body.get("Operations"), list):
                _name(body["Operations"])
            if case.method == "PUT":
                body.pop("faculty", None)  # immutable, and may have a value (P-3.5.1-05)
            case.body = body
        return case

    schema.hook(map_case)


def _name(operations: list[Any]) -> None:
    """A bulkId of its own for each operation that has one (P-3.7-05)."""
    for place, operation in enumerate(operations):
        if isinstance(operation, dict) and "bulkId" in operation:
            operation["bulkId"] = f"{place}{operation['bulkId']}"


def _ask_for_order(given: Any) -> None:
    """Without sortBy, sortOrder is not looked at (A-43)."""
    if isinstance(given, dict) and "sortOrder" in given and given.get("sortBy") is None:
        given["sortBy"] = "id"


def _settle(given: dict[str, Any] | None) -> None:
    """One way of choosing attributes, one of paging, names that exist, and text that is not invisible."""
    if not given:
        return
    if given.get("cursor") is not None:
        given["cursor"] = ""  # others come from the server
        given.pop("startIndex", None)
    if given.get("attributes") and given.get("excludedAttributes"):
        del given["excludedAttributes"]
    for name, change in _CHANGES.items():
        if given.get(name) is not None:
            given[name] = change(given[name])


def _whole(value: Any) -> Any:
    """A body with 1 for 1.0, which are one number in JSON Schema (A-12), no name in two spellings (A-56), near zones.

    Numbers beyond 64 bits have no more digits than are kept (S-22).
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, int) and abs(value) >= 2**63:
        return float(value % 10**300)
    if isinstance(value, str):
        return _FAR_ZONE.sub("Z", value)
    if isinstance(value, list):
        return [_whole(item) for item in value]
    if isinstance(value, dict):
        return {name: _whole(value[name]) for name in {name.lower(): name for name in sorted(value)}.values()}
    return value


def _visible(text: Any) -> Any:
    return "".join(c for c in text if c.isascii() and c.isprintable()) or "x"


_CHANGES: dict[str, Callable[[Any], Any]] = {
    "sortBy": lambda text: ATTRIBUTES[len(text) % len(ATTRIBUTES)],
    "startIndex": lambda number: min(int(number), 1000),  # an order of several types has an end (tooMany)
    "members": lambda _: [],  # they have to exist
    "userName": _visible,  # unique, so no characters that cannot be seen (T-54)
    "code": _visible,
}


def make_quick(document: Any) -> None:
    """Take out what multiplies cases: bounds that take seconds to reach, and the second media type of bodies."""
    if isinstance(document, dict):
        document.get("requestBody", {}).get("content", {}).pop("application/json", None)
        for name, most in (("maxItems", 100), ("maxLength", 1000)):
            if isinstance(document.get(name), int) and document[name] > most:
                del document[name]
        for value in document.values():
            make_quick(value)
    elif isinstance(document, list):
        for value in document:
            make_quick(value)


def close_requests(document: Any) -> None:
    """Say that requests have no attributes but those of the schemas, which holds in strict mode (A-03)."""
    for name, schema in document["components"]["schemas"].items():
        if name.endswith("Request"):
            _close(schema)


def _close(schema: Any) -> None:
    if isinstance(schema, dict):
        if "properties" in schema and "type" in schema:
            schema["additionalProperties"] = False
        for value in schema.values():
            _close(value)
    elif isinstance(schema, list):
        for value in schema:
            _close(value)
