"""The parameters of a query as a client sends them: in a URL, or as a SearchRequest body (RFC 7644 §3.4.2, §3.4.3)."""

from collections.abc import Mapping
from dataclasses import dataclass

from rollbook.protocol import urns
from rollbook.protocol.coerce import drop_unknown
from rollbook.protocol.declared import check_schemas, member
from rollbook.protocol.errors import InvalidCount, InvalidSyntax, InvalidValue
from rollbook.protocol.query import whole_number
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.values import JsonObject, JsonValue

PARAMETERS = (
    "filter", "sortBy", "sortOrder", "startIndex", "count", "cursor", "attributes", "excludedAttributes",
)  # fmt: skip
"""Their names (P-3.4.3-03, P-9865-2-15)."""

_MESSAGE = frozenset({urns.SEARCH_REQUEST.lower()})


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What a client asks for; None where it says nothing. An empty `cursor` begins a walk (P-9865-2-01)."""

    filter: str | None = None
    sort_by: str | None = None
    sort_order: str | None = None
    start_index: int | None = None
    count: int | None = None
    cursor: str | None = None
    attributes: tuple[str, ...] | None = None
    excluded: tuple[str, ...] | None = None


def from_parameters(given: Mapping[str, str]) -> SearchRequest:
    """The request that query parameters make; others are not looked at (P-3.4.2-01).

    Raises:
        InvalidValue, InvalidCount: a number that is none.
    """
    cursor = given.get("cursor")
    return SearchRequest(
        given.get("filter"),
        given.get("sortBy"),
        given.get("sortOrder"),
        _number("startIndex", given.get("startIndex"), InvalidValue),
        _number("count", given.get("count"), InvalidValue if cursor is None else InvalidCount),
        cursor,
        names_in(given.get("attributes")),
        names_in(given.get("excludedAttributes")),
    )


def names_in(text: str | None) -> tuple[str, ...] | None:
    """The names of a comma-separated list (P-3.4.2.5-04)."""
    return None if text is None else tuple(name for part in text.split(",") if (name := part.strip()))


def from_body(body: JsonValue, leniency: Leniency) -> SearchRequest:
    """The request that a SearchRequest message makes (P-3.4.3-02 to -04).

    Raises:
        InvalidSyntax: not such a message, or it has members that no query has.
        InvalidValue, InvalidCount: a member of another type than it must have.
    """
    if not isinstance(body, dict):
        raise InvalidSyntax(
            "the body must be a JSON object: a SearchRequest message (RFC 7644 section 3.4.3)"
        )
    check_schemas(member(body, "schemas"), urns.SEARCH_REQUEST, _MESSAGE, leniency)
    known = {name.lower() for name in (*PARAMETERS, "schemas")}
    for name in body:
        if name.lower() not in known:
            drop_unknown(name[:80], PARAMETERS, leniency)
    cursor = _text(body, "cursor")
    return SearchRequest(
        _text(body, "filter"),
        _text(body, "sortBy"),
        _text(body, "sortOrder"),
        _integer(body, "startIndex", InvalidValue),
        _integer(body, "count", InvalidValue if cursor is None else InvalidCount),
        cursor,
        _names(body, "attributes", leniency),
        _names(body, "excludedAttributes", leniency),
    )


def _number(name: str, text: str | None, fault: type[InvalidValue] | type[InvalidCount]) -> int | None:
    if text is None:
        return None
    try:
        return whole_number(name, text)
    except InvalidValue as error:
        raise fault(error.detail) from None


def _text(body: JsonObject, name: str) -> str | None:
    value = member(body, name)
    if value is not None and not isinstance(value, str):
        raise InvalidValue(f"{name} must be a JSON string")
    return value


def _integer(body: JsonObject, name: str, fault: type[InvalidValue] | type[InvalidCount]) -> int | None:
    value = member(body, name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise fault(f"{name} must be a whole JSON number such as 1 or 100")
    return value


def _names(body: JsonObject, name: str, leniency: Leniency) -> tuple[str, ...] | None:
    value = member(body, name)
    if isinstance(value, str):
        if not leniency.accepts(Quirk.SINGLE_AS_LIST):
            raise InvalidValue(f"{name} must be an array of names here", quirk=Quirk.SINGLE_AS_LIST)
        return names_in(value)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidValue(f"{name} must be an array of attribute names (P-3.4.3-04)")
    return tuple(value)
