"""Rows of operations as OpenAPI."""

import pytest

from rollbook.protocol import openapi_operations as table
from rollbook.protocol.openapi_operations import Row, Target, Terms

EVERYTHING = frozenset(table.parameters())
WITHOUT_ETAGS = EVERYTHING - {"If-Match", "If-None-Match"}
ROWS = {row.verb: row for row in (*table.ONE, *table.TYPE, *table.SEARCH, *table.BULK)}


def target(path: str = "/Users/{id}", *, is_open: bool = False) -> Target:
    """A target that rows can be applied to."""
    return Target(path, (), "User", "User", {"one": "User", "request": "UserRequest"}, is_open)


@pytest.mark.parametrize(
    ("row", "path", "terms", "statuses"),
    [
        (ROWS["read"], "/{id}", Terms(EVERYTHING), "200 304 400 401 403 404 406 429 500 503"),
        (ROWS["read"], "/{id}", Terms(WITHOUT_ETAGS), "200 400 401 403 404 406 429 500 503"),
        (ROWS["query"], "/Users", Terms(EVERYTHING), "200 400 401 403 406 429 500 503"),
        (ROWS["create"], "/Users", Terms(EVERYTHING), "201 400 401 403 406 408 409 413 415 429 500 503"),
        (ROWS["replace"], "/{id}", Terms(EVERYTHING), "200 400 401 403 404 406 408 409 412 413 415 429 500 503"),
        (ROWS["replace"], "/{id}", Terms(WITHOUT_ETAGS), "200 400 401 403 404 406 408 409 413 415 429 500 503"),
        (ROWS["patch"], "/{id}", Terms(EVERYTHING), "200 204 400 401 403 404 406 408 409 412 413 415 429 500 503"),
        (ROWS["delete"], "/{id}", Terms(EVERYTHING), "204 400 401 403 404 406 412 429 500 503"),
        (ROWS["delete"], "/{id}", Terms(EVERYTHING, require_if_match=True), "204 400 401 403 404 406 412 428 429 500 503"),
        (ROWS["send"], "/Bulk", Terms(EVERYTHING), "200 400 401 403 406 408 413 415 429 500 503"),
    ],
)  # fmt: skip
def test_statuses(row: Row, path: str, terms: Terms, statuses: str) -> None:
    """Each operation has the statuses that its parameters, body and path bring, and no others."""
    found = table.operation(row, target(path), terms)["responses"]
    assert " ".join(found) == statuses


def test_open_operations_need_no_token() -> None:
    """P-4-09: what is open says so, and is never 401."""
    found = table.operation(table.DEFINITIONS[0], target("/Schemas", is_open=True), Terms(EVERYTHING))
    assert found["security"] == []
    assert "401" not in found["responses"]


@pytest.mark.parametrize("verb", ["create", "replace", "patch"])
def test_bodies_are_of_both_media_types(verb: str) -> None:
    """P-3.8: requests and answers are SCIM's media type or plain JSON."""
    found = table.operation(ROWS[verb], target(), Terms(EVERYTHING))
    assert tuple(found["requestBody"]["content"]) == table.MEDIA_TYPES
    success = next(answer for answer in found["responses"].values() if "content" in answer)
    assert tuple(success["content"]) == table.MEDIA_TYPES


def test_versions_are_described_where_they_are_sent() -> None:
    """P-3.14-02: answers about one resource have ETag and its URI; without etags the URI only."""
    described = [
        list(table.operation(ROWS["create"], target(), Terms(terms))["responses"]["201"]["headers"])
        for terms in (EVERYTHING, WITHOUT_ETAGS)
    ]
    assert described == [["ETag", "Location", "Content-Location"], ["Location", "Content-Location"]]


def test_lists_of_names_are_joined_by_commas() -> None:
    """P-3.4.2.5-04: attributes=a,b and not attributes=a&attributes=b."""
    parameter = table.parameters()["attributes"]
    assert (parameter["style"], parameter["explode"]) == ("form", False)
