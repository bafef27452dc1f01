"""Protocol messages as JSON Schema."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rollbook.protocol import openapi_messages as messages
from rollbook.protocol import urns
from rollbook.protocol.errors import BY_SCIM_TYPE, NotFound
from rollbook.protocol.messages import LIST_END, error_body, list_head, list_response
from rollbook.protocol.values import JsonObject

ANY: JsonObject = {"type": "object"}


def _joined(items: list[bytes], **about: Any) -> bytes:
    """The message around those resources."""
    return b"".join((list_head(len(items), **about), b",".join(items), LIST_END))


def fits(schema: JsonObject, value: Any) -> bool:
    """Whether the value is valid by the schema."""
    Draft202012Validator.check_schema(schema)
    return bool(Draft202012Validator(schema).is_valid(value))


@pytest.mark.parametrize("error", [NotFound("gone"), *(cls("no") for cls in BY_SCIM_TYPE.values())])
def test_errors_we_send(error: Any) -> None:
    """Every Error this server makes is one by its schema (P-3.12-01)."""
    assert fits(messages.error_schema(), error_body(error))


@pytest.mark.parametrize("change", [{"scimType": "odd"}, {"status": 404}, {"detail": None}, {"more": 1}])
def test_errors_nobody_sends(change: JsonObject) -> None:
    """An Error is closed: status a string, scimType one of the RFC's (P-3.12-01, -02)."""
    assert not fits(messages.error_schema(), error_body(NotFound("gone")) | change)


def test_status_is_repeated() -> None:
    """P-3.2-05: the Error of a status says that status."""
    schema = {"allOf": [messages.one_status(404)["allOf"][1]]}
    assert fits(schema, error_body(NotFound("gone")))
    assert not fits(schema, error_body(BY_SCIM_TYPE["invalidValue"]("no")))


PAGES: list[Any] = [
    list_response([{"id": "1"}]),
    json.loads(_joined([b"{}"], total=9, start_index=2)),
    json.loads(_joined([b"{}"], total=9, next="c")),
    json.loads(_joined([], total=None, previous="c")),
]


@pytest.mark.parametrize(
    ("cursors", "counts", "valid"),
    [
        (False, True, [True, True, False, False]),
        (True, True, [True, True, True, False]),
        (True, False, [True, True, True, True]),
    ],
)
def test_lists(cursors: bool, counts: bool, valid: list[bool]) -> None:
    """Pages by index and by cursor differ in what they must have (P-3.4.2-06, P-9865-2-03, P-9865-2-07)."""
    schema = messages.list_schema(ANY, cursors=cursors, counts=counts)
    assert [fits(schema, page) for page in PAGES] == valid


@pytest.mark.parametrize(
    ("operation", "valid"),
    [
        ({"op": "add", "value": {"title": "x"}}, True),
        ({"op": "replace", "path": "title", "value": None}, True),
        ({"op": "remove", "path": "title"}, True),
        ({"op": "remove"}, False),
        ({"op": "add", "path": "title"}, False),
        ({"op": "move", "path": "title", "value": 1}, False),
        ({"path": "title", "value": 1}, False),
    ],
)
def test_patches(operation: JsonObject, valid: bool) -> None:
    """An operation has op; add and replace a value, remove a path (P-3.5.2-05, P-3.5.2-07)."""
    assert fits(messages.patch_schema(), {"schemas": [urns.PATCH_OP], "Operations": [operation]}) is valid


@pytest.mark.parametrize(
    ("body", "valid"),
    [
        ({"filter": "userName pr", "attributes": ["id"], "sortBy": "id", "sortOrder": "descending"}, True),
        ({"filter": None, "cursor": "", "count": 5}, True),
        ({"cursor": "", "startIndex": None}, True),
        ({"cursor": "", "startIndex": 1}, False),
        ({"filter": ""}, False),
        ({"attributes": "id"}, False),
        ({"count": "5"}, False),
        ({"sortOrder": "upwards"}, False),
    ],
)
def test_searches(body: JsonObject, valid: bool) -> None:
    """A SearchRequest has the parameters of a query, lists as arrays (P-3.4.3-03, P-3.4.3-04)."""
    schema = messages.search_schema(filters=True, sorts=True, cursors=True)
    assert fits(schema, {"schemas": [urns.SEARCH_REQUEST]} | body) is valid


def test_a_search_has_what_is_offered() -> None:
    """Parameters of parts that are switched off are not described."""
    assert set(messages.search_schema(filters=False, sorts=False, cursors=False)["properties"]) == {
        "schemas", "attributes", "excludedAttributes", "startIndex", "count",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("operations", "valid"),
    [
        ([{"method": "POST", "path": "/Users", "bulkId": "a", "data": {}}], True),
        ([{"method": "POST", "path": "/Users", "data": {}}], False),
        ([{"method": "PUT", "path": "/Users/1", "data": {}}], True),
        ([{"method": "PATCH", "path": "/Users/1"}], False),
        ([{"method": "GET", "path": "/Users"}], False),
        ([{"method": "DELETE"}], False),
        ([{"method": "DELETE", "path": "/Users/1"}] * 3, False),
    ],
)
def test_bulk_requests(operations: list[JsonObject], valid: bool) -> None:
    """Each operation has method and path; there are at most as many as announced (P-3.7-03 to -06, -22)."""
    schema = messages.bulk_request_schema(2)
    assert fits(schema, {"schemas": [urns.BULK_REQUEST], "Operations": operations}) is valid


@pytest.mark.parametrize(
    ("result", "valid"),
    [
        ({"method": "POST", "bulkId": "a", "status": "201", "location": "https://x/Users/1"}, True),
        ({"method": "POST", "status": 201}, False),
        ({"method": "POST", "status": {"code": "201"}}, False),
    ],
)
def test_bulk_responses(result: JsonObject, valid: bool) -> None:
    """The status of a result is a string (P-3.7-14)."""
    body = {"schemas": [urns.BULK_RESPONSE], "Operations": [result]}
    assert fits(messages.bulk_response_schema(), body) is valid
