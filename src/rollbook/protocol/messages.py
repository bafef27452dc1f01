"""The bodies of protocol messages: ListResponse and Error (RFC 7644 §3.4.2, §3.12)."""

import json
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


def list_response(
    total: int, start_index: int, items_per_page: int, resources: Sequence[JsonObject]
) -> JsonObject:
    """The ListResponse message; Resources is there even when empty (A-40)."""
    return {
        "schemas": [urns.LIST_RESPONSE],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": items_per_page,
        "Resources": list(resources),
    }


_HEAD = json.dumps(list_response(0, 0, 0, ()), separators=(",", ":")).partition('"totalResults"')[0]


def list_response_bytes(total: int, start_index: int, items: Sequence[bytes]) -> bytes:
    """The ListResponse message around resources that are JSON already; they are joined, not read."""
    head = f'{_HEAD}"totalResults":{total:d},"startIndex":{start_index:d},"itemsPerPage":{len(items)},"Resources":['
    return b"".join((head.encode(), b",".join(items), b"]}"))
