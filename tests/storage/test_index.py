"""Which rows a document has in the value index."""

import hashlib

import pytest

from rollbook.protocol import urns
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage.sql.index import (
    CUT,
    KEPT,
    TypeIndex,
    cut,
    dictionary_names,
    fingerprint,
    index_rows,
    indexed_paths,
    schema_key,
    type_index,
)
from rollbook.testing.filter_rows import BADGE, CATALOG, ENTERPRISE, SUPPORT


def _type(name: str) -> ResourceType:
    found = CATALOG.resource_type(name)
    assert found is not None
    return found


def _index(name: str) -> TypeIndex:
    resource_type = _type(name)
    names = dictionary_names(resource_type)
    return type_index(resource_type, {text: number for number, text in enumerate(names, 1)})


def _rows(name: str, document: JsonObject) -> tuple[set[tuple[str, bytes, int]], set[tuple[str, bytes]]]:
    """Rows of values, with the names of attributes in place of numbers; those of long keys begin with a minus."""
    index = _index(name)
    names = {number: indexed.path.text for number, indexed in index.by_number.items()}
    names |= {-number: f"-{text}" for number, text in names.items()} | {index.schemas: "schemas"}
    rows = index_rows(index, document)
    return (
        {(names[number], key, element) for number, key, element in rows.values if number in names},
        {(names[number], key) for number, key in rows.uniques},
    )


def _lacking(name: str, document: JsonObject) -> set[str]:
    """The attributes under which the document is listed for having no value."""
    index = _index(name)
    names = {indexed.none: indexed.path.text for indexed in index.attributes if indexed.none is not None}
    rows = index_rows(index, document).values
    assert all((key, element) == (b"", 0) for number, key, element in rows if number in names)
    return {names[number] for number, _, _ in rows if number in names}


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        (
            "User",
            {
                "externalId", "userName", "displayName", "name.givenName", "name.familyName", "emails.value",
                f"{ENTERPRISE}:employeeNumber", f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager.value",
                f"{BADGE}:colour", f"{BADGE}:division",
            },
        ),
        ("Group", {"externalId", "displayName"}),
        (
            "Device",
            {
                "externalId", "serial", "label", "manual", "keeper", "tags", "history", "keys.value",
                f"{SUPPORT}:contract", f"{SUPPORT}:contact.value", f"{SUPPORT}:audit",
            },
        ),
    ],
)  # fmt: skip
def test_indexed_attributes(name: str, paths: set[str]) -> None:
    """What people look up by is indexed; of other schemas every text and every `value`, but no secret."""
    assert {path.text for path in indexed_paths(_type(name))} == paths


def test_user_has_a_row_per_value() -> None:
    """Values are prepared, numbered by element, and unique ones of one value lie in their own table only."""
    values, uniques = _rows(
        "User",
        {
            "userName": "ANN",
            "externalId": "E1",
            "title": "Boss",
            "emails": [{"value": "A@x.org", "type": "work"}, {"type": "home"}, {"value": "b@x.org"}],
            ENTERPRISE: {"manager": {"value": "U-1"}},
        },
    )
    assert uniques == {("userName", b"ann")}
    assert values == {
        ("externalId", b"E1", 0),
        ("emails.value", b"a@x.org", 0),
        ("emails.value", b"b@x.org", 2),
        (f"{ENTERPRISE}:manager.value", b"U-1" if _exact(f"{ENTERPRISE}:manager.value") else b"u-1", 0),
        ("schemas", schema_key(ENTERPRISE), 0),
    }


@pytest.mark.parametrize(
    ("name", "document", "lacks"),
    [
        ("Group", {"displayName": "g"}, {"externalId"}),
        ("Group", {"displayName": "g", "externalId": "e"}, set()),
        (
            "User",
            {"userName": "a", "name": {"familyName": "f"}, "displayName": "", BADGE: {"colour": "red"}},
            {
                "externalId", "name.givenName", f"{ENTERPRISE}:employeeNumber", f"{ENTERPRISE}:department",
                f"{ENTERPRISE}:manager.value", f"{BADGE}:division",
            },
        ),
        (
            "Device",
            {"serial": "A", "label": 5},
            {
                "externalId", "label", "manual", "keeper", f"{SUPPORT}:contract", f"{SUPPORT}:contact.value",
                f"{SUPPORT}:audit",
            },
        ),
    ],
)  # fmt: skip
def test_what_has_no_value_is_listed(name: str, document: JsonObject, lacks: set[str]) -> None:
    """A resource has a row for each indexed attribute that it may have one value of and has none."""
    assert _lacking(name, document) == lacks


def _exact(text: str) -> bool:
    path = _type("User").find(text)
    assert path is not None
    return path.leaf.compares_exactly


def test_a_value_of_the_wrong_type_has_no_row() -> None:
    """A document stored before its attribute changed type can still be indexed."""
    assert _rows("Device", {"serial": "A", "label": 5, "tags": ["x", 7]}) == (
        {("tags", b"x", 0)},
        {("serial", b"A")},
    )


def test_long_keys_are_cut_and_marked() -> None:
    """A key of the limit or more keeps its beginning and a digest, and is found under the negative number."""
    long = "x" * CUT
    values, uniques = _rows("User", {"userName": long, "displayName": long, "externalId": long[1:]})
    key = b"x" * KEPT + hashlib.sha256(long.encode()).digest()
    assert uniques == {("userName", key)}
    assert values == {
        ("-userName", key, 0),
        ("displayName", key, 0),
        ("-displayName", key, 0),
        ("externalId", long[1:].encode(), 0),
    }


@pytest.mark.parametrize("length", [0, 1, CUT - 1])
def test_short_keys_are_kept(length: int) -> None:
    """Only keys as long as a cut one are cut, so that none is mistaken for another."""
    assert cut(b"k" * length) == b"k" * length
    assert len(cut(b"k" * CUT)) == len(cut(b"k" * (CUT + 1000))) == CUT


def test_fingerprint_tells_what_is_indexed() -> None:
    """T-56: it changes with the indexed attributes, and names the Unicode tables."""
    plain = core_catalog().resource_type("User")
    assert plain is not None
    assert fingerprint(plain) != fingerprint(_type("User"))
    assert fingerprint(plain).startswith("unicode ")
    assert "userName string folded unique" in fingerprint(plain)


def test_dictionary_names_carry_the_type() -> None:
    """The same attribute of two types has two numbers, so that one row range holds one type."""
    assert "User:externalId" in dictionary_names(_type("User"))
    assert "Group:externalId" in dictionary_names(_type("Group"))
    assert urns.USER not in dictionary_names(_type("User"))
