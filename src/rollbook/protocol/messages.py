"""The bodies of protocol messages: ListResponse and Error (RFC 7644 §3.4.2, §3.12)."""

from collections.abc import Sequence

from rollbook.protocol import urns
from rollbook.protocol.errors import ScimError
from rollbook.protocol.values import JsonObject


def error_body(error: ScimError) -> JsonObject:
    """The Error message for an error; it names the switch that would have accepted the request (P-3.12)."""
    body: JsonObject = {"schemas": [urns.ERROR], "status": str(error.status)}
    if error.scim_type is not None:
        body["scimType"] = error.scim_type
    body["detail"] = error.detail
    if error.quirk is not None:
        body["detail"] += f" (the compatibility switch {error.quirk} would accept this)"
    return body


def list_response(resources: Sequence[JsonObject]) -> JsonObject:
    """The ListResponse message of a list that is whole; Resources is there even when empty (A-40)."""
    return {
        "schemas": [urns.LIST_RESPONSE],
        "totalResults": len(resources),
        "startIndex": 1,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }


_HEAD = f'{{"schemas":["{urns.LIST_RESPONSE}"]'


LIST_END = b"]}"
"""See `list_head`."""


def list_head(
    number: int,
    *,
    total: int | None,
    start_index: int | None = None,
    previous: str | None = None,
    next: str | None = None,
) -> bytes:
    """The ListResponse message of one page up to the first of so many resources.

    These are JSON already, and are joined, not read: between them are commas, and `LIST_END` ends the message.

    What is None is left out: a page by cursor has no index, the last one nothing next (RFC 9865 table 2).
    Cursors have no character that JSON would escape (P-9865-2-02).
    """
    head = _HEAD
    if total is not None:
        head += f',"totalResults":{total:d}'
    if start_index is not None:
        head += f',"startIndex":{start_index:d}'
    head += f',"itemsPerPage":{number}'
    if previous is not None:
        head += f',"previousCursor":"{previous}"'
    if next is not None:
        head += f',"nextCursor":"{next}"'
    return head.encode() + b',"Resources":['
