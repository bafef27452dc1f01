"""Bodies of protocol messages."""

import json
from typing import Any

import pytest

from rollbook.protocol import urns
from rollbook.protocol.errors import InternalError, InvalidFilter, NotFound, ScimError, Sensitive, Uniqueness
from rollbook.protocol.messages import LIST_END, error_body, list_head, list_response
from rollbook.protocol.quirks import Quirk
from rollbook.protocol.values import JsonObject


@pytest.mark.parametrize(
    ("error", "body"),
    [
        (InvalidFilter("no"), {"status": "400", "scimType": "invalidFilter", "detail": "no"}),
        (Uniqueness("taken"), {"status": "409", "scimType": "uniqueness", "detail": "taken"}),
        (Sensitive("post it"), {"status": "403", "scimType": "sensitive", "detail": "post it"}),
        (NotFound("gone"), {"status": "404", "detail": "gone"}),
        (InternalError("incident 7"), {"status": "500", "detail": "incident 7"}),
        (
            InvalidFilter("no", quirk=Quirk.BARE_WORDS),
            {
                "status": "400",
                "scimType": "invalidFilter",
                "detail": "no (the compatibility switch bare-words would accept this)",
            },
        ),
    ],
)
def test_error_body(error: ScimError, body: JsonObject) -> None:
    """P-3.12-01, -02: status as a string, detail always, scimType where there is one, the switch if any."""
    assert error_body(error) == {"schemas": [urns.ERROR], **body}


@pytest.mark.parametrize("items", [[], [{"id": "1"}], [{"id": "1"}, {"id": "ü"}]])
def test_list_response(items: list[JsonObject]) -> None:
    """P-3.4.2-02 to -08, A-40: integers, and Resources always; joined bytes say the same as the object."""
    body = list_response(items)
    assert body == {
        "schemas": [urns.LIST_RESPONSE],
        "totalResults": len(items),
        "startIndex": 1,
        "itemsPerPage": len(items),
        "Resources": items,
    }
    parts = [json.dumps(item, ensure_ascii=False).encode() for item in items]
    joined = _joined(parts, total=len(items), start_index=1)
    assert json.loads(joined) == body
    assert list(json.loads(joined)) == list(body)


def _joined(items: list[bytes], **about: Any) -> bytes:
    """The message around those resources."""
    return b"".join((list_head(len(items), **about), b",".join(items), LIST_END))


def test_page_by_cursor() -> None:
    """RFC 9865 table 2: cursors stand where there are neighbours; what is not known is left out."""
    page = json.loads(_joined([b"{}"], total=None, previous="a-1", next="b_2"))
    assert page == {
        "schemas": [urns.LIST_RESPONSE],
        "itemsPerPage": 1,
        "previousCursor": "a-1",
        "nextCursor": "b_2",
        "Resources": [{}],
    }


def test_resources_are_not_read() -> None:
    """Architecture §1: bytes of resources go out as they lie."""
    assert _joined([b'{"a" :  1.50}'], total=1, start_index=1).endswith(b'"Resources":[{"a" :  1.50}]}')
