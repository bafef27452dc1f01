"""A BulkRequest body → operations as they were sent (RFC 7644 §3.7).

Knows the message only: `bulk_plan` says what each operation is about and in which order they are carried out.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rollbook.protocol import urns
from rollbook.protocol.coerce import drop_unknown
from rollbook.protocol.declared import check_schemas
from rollbook.protocol.errors import InvalidSyntax, PayloadTooLarge
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.values import JsonObject, JsonValue

METHODS = ("POST", "PUT", "PATCH", "DELETE")
"""What an operation may do (P-3.7-03)."""

_ENVELOPE = ("schemas", "failOnErrors", "Operations")
_OPERATION = ("method", "path", "bulkId", "version", "data")

_MESSAGE = frozenset({urns.BULK_REQUEST.lower()})


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as it was sent; `place` is its place in the request, counted from 0."""

    place: int
    method: str
    path: JsonValue
    bulk_id: str | None
    version: JsonValue
    data: JsonValue


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """The operations of a message, and after how many errors to stop; None for never."""

    operations: tuple[Operation, ...]
    fail_on_errors: int | None


def read_bulk(body: JsonValue, leniency: Leniency, most: int) -> BulkRequest:
    """The operations of a BulkRequest; what is wrong with a single one is left to `bulk_plan`.

    Raises:
        InvalidSyntax: not a BulkRequest, or its bulkIds cannot be trusted (P-3.7-05; A-51).
        PayloadTooLarge: more than `most` operations (P-3.7-23).
    """
    if not isinstance(body, dict):
        raise InvalidSyntax("the body must be a JSON object: a BulkRequest message (RFC 7644 section 3.7)")
    members = _members(body, _ENVELOPE, leniency)
    check_schemas(members.get("schemas"), urns.BULK_REQUEST, _MESSAGE, leniency)
    items = members.get("operations")
    if not isinstance(items, list):
        raise InvalidSyntax("Operations must be an array of operations (RFC 7644 section 3.7)")
    if len(items) > most:
        raise PayloadTooLarge(
            f"{len(items)} operations: a bulk request may have at most {most} (maxOperations); send several"
        )
    operations = tuple(_operation(place, item, leniency) for place, item in enumerate(items))
    _check_bulk_ids(operations)
    return BulkRequest(operations, _fail_on_errors(members.get("failonerrors")))


def _members(sent: JsonObject, names: tuple[str, ...], leniency: Leniency) -> dict[str, JsonValue]:
    """The members of an object by lower-case name (A-56); others than these are passed over, or refused (A-03)."""
    found = {name.lower(): value for name, value in sent.items()}
    if len(found) < len(sent):
        raise InvalidSyntax("a member is there twice, in two spellings; names ignore case (A-56)")
    for name in found.keys() - {name.lower() for name in names}:
        drop_unknown(name[:80], names, leniency)
    return found


def _operation(place: int, item: JsonValue, leniency: Leniency) -> Operation:
    if not isinstance(item, dict):
        raise InvalidSyntax(f"Operations[{place}] must be an object with method, path and data")
    members = _members(item, _OPERATION, leniency)
    method, bulk_id = members.get("method"), members.get("bulkid")
    if not isinstance(method, str):
        raise InvalidSyntax(f"Operations[{place}]: method must be one of {', '.join(METHODS)} (P-3.7-03)")
    if bulk_id is not None and not (isinstance(bulk_id, str) and bulk_id):
        raise InvalidSyntax(f"Operations[{place}]: bulkId must be a string that is not empty (P-3.7-05)")
    return Operation(place, method, members.get("path"), bulk_id, members.get("version"), members.get("data"))


def _check_bulk_ids(operations: Iterable[Operation]) -> None:
    seen: dict[str, int] = {}
    for operation in operations:
        place, bulk_id = operation.place, operation.bulk_id
        if bulk_id is None:
            if operation.method == "POST":
                raise InvalidSyntax(
                    f"Operations[{place}]: POST needs a bulkId, by which its answer is known (P-3.7-05)"
                )
        elif seen.setdefault(bulk_id, place) != place:
            raise InvalidSyntax(
                f"Operations[{place}]: bulkId {bulk_id[:64]!r} is that of Operations[{seen[bulk_id]}] too;"
                " each must be unique in the request (P-3.7-05)"
            )


def _fail_on_errors(sent: JsonValue) -> int | None:
    if sent is None:
        return None
    if not isinstance(sent, int) or isinstance(sent, bool) or sent < 1:
        raise InvalidSyntax("failOnErrors must be a whole number of at least 1; leave it out to never stop")
    return sent
