"""What is stored of a document, what filters see of it, and what the log says of its changes."""

import orjson
import pytest

from rollbook.protocol import urns
from rollbook.protocol.resource import Member
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import Record
from rollbook.storage.documents import changed_attributes, decode, encode, label, view
from rollbook.testing.filter_rows import CATALOG, DEVICE, DOCUMENTS, ENTERPRISE, SUPPORT


def _type(name: str) -> ResourceType:
    found = CATALOG.resource_type(name)
    assert found is not None
    return found


def _asserted(document: JsonObject, resource_type: ResourceType) -> JsonObject:
    computed = {"id", "meta", "schemas", resource_type.memberships, resource_type.derived}
    found = {name: value for name, value in document.items() if name not in computed}
    return resource_type.references.kept(found)


@pytest.mark.parametrize(("name", "document"), DOCUMENTS, ids=[document["id"] for _, document in DOCUMENTS])
def test_what_is_stored_is_the_document(name: str, document: JsonObject) -> None:
    """Nothing is lost or added between a document and its bytes."""
    resource_type = _type(name)
    asserted = _asserted(document, resource_type)
    stored = encode(asserted, resource_type)
    assert decode(stored.body, stored.extra) == asserted
    assert orjson.loads(stored.body)["schemas"] == document["schemas"]


@pytest.mark.parametrize(
    ("document", "body", "extra"),
    [
        ({"serial": "A"}, {"serial": "A"}, None),
        ({"serial": "A", "pin": "1"}, {"serial": "A"}, {"pin": "1"}),
        ({"serial": "A", "history": ["x"]}, {"serial": "A"}, {"history": ["x"]}),
        (
            {"serial": "A", SUPPORT: {"contract": "Gold", "audit": "x"}},
            {"serial": "A", SUPPORT: {"contract": "Gold"}},
            {SUPPORT: {"audit": "x"}},
        ),
        (
            {"serial": "A", "keys": [{"bits": 1, "secret": "s"}]},
            {"serial": "A", "keys": [{"bits": 1}]},
            {"keys": [{"bits": 1, "secret": "s"}]},
        ),
    ],
    ids=["plain", "never", "request", "extension", "part"],
)
def test_what_is_not_shown_lies_apart(
    document: JsonObject, body: JsonObject, extra: JsonObject | None
) -> None:
    """S-61: the bytes that are sent as they lie hold nothing that is returned on request or never."""
    stored = encode(document, _type("Device"))
    sent = orjson.loads(stored.body)
    assert sent.pop("schemas") == [DEVICE, *([SUPPORT] if SUPPORT in document else [])]
    assert sent == body
    assert (None if stored.extra is None else orjson.loads(stored.extra)) == extra
    assert decode(stored.body, stored.extra) == document


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"userName": "ann", "displayName": "Ann A.", "name": {"formatted": "A. A."}}, "Ann A."),
        ({"userName": "ann", "name": {"formatted": "A. A."}}, "A. A."),
        ({"userName": "ann", "displayName": "", "name": {"givenName": "Ann"}}, "ann"),
        ({}, None),
    ],
)
def test_label_is_the_best_there_is(document: JsonObject, expected: str | None) -> None:
    """A resource is labelled by the first of its type's display attributes that has a text."""
    assert label(document, _type("User")) == expected


def test_view_is_the_full_representation() -> None:
    """Filters see id, meta, members and groups, and what is never sent; references are paths."""
    stored = encode({"userName": "ann", "password": "hash"}, _type("User"))
    groups = (Member("g", "Group", "All"),)
    record = Record("u", "User", 'W/"0-2"', 1000, 2001, stored.body, stored.extra, None, groups)
    assert view(record, _type("User")) == {
        "schemas": [urns.USER],
        "id": "u",
        "userName": "ann",
        "password": "hash",
        "groups": [{"value": "g", "type": "direct", "display": "All"}],
        "meta": {
            "resourceType": "User",
            "created": "1970-01-01T00:00:01.000Z",
            "lastModified": "1970-01-01T00:00:02.001Z",
            "location": "/Users/u",
            "version": 'W/"0-2"',
        },
    }
    members = (Member("u", "User"),)
    group = encode({"displayName": "All"}, _type("Group"))
    record = Record("g", "Group", 'W/"0-1"', 0, 0, group.body, None, members, None)
    assert view(record, _type("Group"))["members"] == [{"value": "u", "type": "User"}]


def test_changed_attributes_are_top_level_names() -> None:
    """Added, removed and altered attributes are named, those of extensions behind their URN."""
    old = {
        "userName": "a",
        "title": "x",
        "name": {"givenName": "A"},
        ENTERPRISE: {"department": "D", "division": "E"},
    }
    new = {"userName": "a", "nickName": "n", "name": {"givenName": "B"}, ENTERPRISE: {"division": "F"}}
    assert changed_attributes(old, new) == [
        "name",
        "nickName",
        "title",
        f"{ENTERPRISE}:department",
        f"{ENTERPRISE}:division",
    ]
    assert changed_attributes(old, dict(old)) == []
    assert changed_attributes({}, {ENTERPRISE: {"department": "D"}}) == [f"{ENTERPRISE}:department"]
