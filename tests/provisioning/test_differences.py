"""Comparing two documents, and saying the differences in PATCH or PUT form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.provisioning.world import ENTERPRISE, GROUP, USER, mapping, path_of

from rollbook.protocol import urns
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning.differences import (
    Difference,
    Managed,
    compare,
    create_body,
    managed_by,
    member_operations,
    operations,
    reference_paths,
    replacement,
    value_at,
)
from rollbook.provisioning.expressions import Subject
from rollbook.testing.scripted_target import apply_operation


def managed(*paths: str) -> tuple[Managed, ...]:
    """What a mapping of these paths fills."""
    return managed_by(mapping(USER, Subject.USER, {path: path for path in paths}))


def found(paths: str, wanted: JsonObject, present: JsonObject) -> list[tuple[str, JsonValue, JsonValue]]:
    """The differences as plain values."""
    items = compare(managed(*paths.split()), wanted, present)
    return [(item.attribute, item.old, item.new) for item in items]


WORK = {"type": "work", "value": "a@x", "primary": True}
HOME = {"type": "home", "value": "b@x"}
MANAGER = f"{ENTERPRISE}:manager"

ROWS: dict[str, tuple[str, JsonObject, JsonObject, list[tuple[str, JsonValue, JsonValue]]]] = {
    "equal": ("title", {"title": "A"}, {"title": "A"}, []),
    "changed": ("title", {"title": "A"}, {"title": "B"}, [("title", "B", "A")]),
    "case-is-a-difference": ("title", {"title": "Lead"}, {"title": "lead"}, [("title", "lead", "Lead")]),
    "new": ("title", {"title": "A"}, {}, [("title", None, "A")]),
    "gone": ("title", {}, {"title": "B"}, [("title", "B", None)]),
    "unmanaged-is-left-alone": ("title", {}, {"nickName": "B"}, []),
    "c-4-02-other-case-of-name": ("title", {"title": "A"}, {"TITLE": "A"}, []),
    "c-4-03-null-is-absent": ("title emails", {}, {"title": None, "emails": []}, []),
    "boolean-as-text": ("active", {"active": True}, {"active": "True"}, []),
    "boolean-differs": ("active", {"active": False}, {"active": True}, [("active", True, False)]),
    "part": (
        "name.familyName",
        {"name": {"familyName": "A"}},
        {"name": {"familyName": "B", "givenName": "C"}},
        [("name.familyName", "B", "A")],
    ),
    "part-of-nothing": (
        "name.familyName",
        {"name": {"familyName": "A"}},
        {},
        [("name", None, {"familyName": "A"})],
    ),
    "part-gone": (
        "name.familyName name.givenName",
        {"name": {"givenName": "C"}},
        {"name": {"familyName": "B", "givenName": "C", "formatted": "C B"}},
        [("name.familyName", "B", None)],
    ),
    "whole-gone": ("name", {}, {"name": {"familyName": "B"}}, [("name", {"familyName": "B"}, None)]),
    "c-4-11-order-of-values": ("emails", {"emails": [WORK, HOME]}, {"emails": [HOME, WORK]}, []),
    "c-4-11-primary-false": (
        "emails",
        {"emails": [WORK, HOME]},
        {"emails": [WORK, {**HOME, "primary": False}]},
        [],
    ),
    "c-4-11-server-adds-parts": (
        "emails",
        {"emails": [{"value": "a@x"}]},
        {"emails": [{"value": "a@x", "display": "A", "type": "work"}]},
        [],
    ),
    "values-replaced-whole": ("emails", {"emails": [WORK]}, {"emails": [HOME]}, [("emails", [HOME], [WORK])]),
    "values-gone": ("emails", {}, {"emails": [HOME]}, [("emails", [HOME], None)]),
    "value-instead-of-list": ("emails", {"emails": [{"value": "a@x"}]}, {"emails": {"value": "a@x"}}, []),
    "extension": (
        f"{ENTERPRISE}:department",
        {ENTERPRISE: {"department": "A"}},
        {ENTERPRISE: {"department": "B"}},
        [(f"{ENTERPRISE}:department", "B", "A")],
    ),
    "extension-urn-in-other-case": (
        f"{ENTERPRISE}:department",
        {ENTERPRISE: {"department": "A"}},
        {ENTERPRISE.lower(): {"department": "A"}},
        [],
    ),
    "reference-same": (
        MANAGER,
        {ENTERPRISE: {"manager": {"value": "7"}}},
        {ENTERPRISE: {"manager": {"value": "7", "$ref": "../Users/7", "displayName": "G"}}},
        [],
    ),
    "reference-differs": (
        MANAGER,
        {ENTERPRISE: {"manager": {"value": "7"}}},
        {ENTERPRISE: {"manager": {"value": "8", "$ref": "../Users/8"}}},
        [(MANAGER, {"value": "8", "$ref": "../Users/8"}, {"value": "7"})],
    ),
    "reference-gone": (
        MANAGER,
        {},
        {ENTERPRISE: {"manager": {"value": "8"}}},
        [(MANAGER, {"value": "8"}, None)],
    ),
    "never-returned-cannot-differ": ("password", {"password": "x"}, {}, []),
    "c-6-06-read-only": ("groups", {"groups": [{"value": "1"}]}, {}, []),
}


@pytest.mark.parametrize(("paths", "wanted", "present", "expected"), ROWS.values(), ids=ROWS.keys())
def test_compare(
    paths: str,
    wanted: JsonObject,
    present: JsonObject,
    expected: list[tuple[str, JsonValue, JsonValue]],
) -> None:
    """Only managed attributes count, values that mean the same are the same, the rest is named with both sides."""
    assert found(paths, wanted, present) == expected


def test_c_3_09_operations() -> None:
    """One operation for each path: replace with a value, remove without; extensions by their full URN (C-3-06)."""
    differences = compare(
        managed("title", "emails", f"{ENTERPRISE}:department"),
        {"emails": [WORK], ENTERPRISE: {"department": "A"}},
        {"title": "B"},
    )
    assert operations(differences) == (
        {"op": "remove", "path": "title"},
        {"op": "replace", "path": "emails", "value": [WORK]},
        {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "A"},
    )


def test_c_3_02_create_body() -> None:
    """A body has the URNs of what it uses and no empty values."""
    body = create_body(USER, {"userName": "a", "title": None, "emails": [], ENTERPRISE: {"department": "A"}})
    assert body == {"schemas": [urns.USER, ENTERPRISE], "userName": "a", ENTERPRISE: {"department": "A"}}
    assert create_body(GROUP, {"displayName": "g", ENTERPRISE: {}}) == {
        "schemas": [urns.GROUP],
        "displayName": "g",
    }


def test_c_6_02_replacement_keeps_what_is_not_ours() -> None:
    """A PUT carries everything the target holds but readOnly values, with the differences applied (C-3-03)."""
    present: JsonObject = {
        "schemas": [urns.USER],
        "id": "7",
        "meta": {"version": "x"},
        "userName": "a",
        "nickName": "n",
        "title": "old",
        "groups": [{"value": "1"}],
        "name": {"givenName": "g", "familyName": "f"},
    }
    wanted = {"userName": "a", "name": {"familyName": "new"}, ENTERPRISE: {"department": "A"}}
    differences = compare(
        managed("userName", "title", "name.familyName", f"{ENTERPRISE}:department"), wanted, present
    )
    assert replacement(USER, present, differences) == {
        "schemas": [urns.USER, ENTERPRISE],
        "userName": "a",
        "nickName": "n",
        "name": {"givenName": "g", "familyName": "new"},
        ENTERPRISE: {"department": "A"},
    }
    assert present["title"] == "old"


def test_c_6_07_member_operations() -> None:
    """Members go by value path, one each, and come in one list; ids are quoted as filters want it."""
    assert member_operations(["1", "2"], ['a"\\b']) == (
        {"op": "remove", "path": 'members[value eq "a\\"\\\\b"]'},
        {"op": "add", "path": "members", "value": [{"value": "1"}, {"value": "2"}]},
    )
    assert member_operations([], ["x"]) == ({"op": "remove", "path": 'members[value eq "x"]'},)


def test_managed_by_joins_parts() -> None:
    """Parts of one attribute are one entry; a rule for the whole wins over parts."""
    assert managed("name.familyName", "title", "name.givenName") == (
        Managed(path_of(USER, "name"), frozenset({"familyName", "givenName"})),
        Managed(path_of(USER, "title")),
    )
    assert managed("name.familyName", "name") == (Managed(path_of(USER, "name")),)


def test_reference_paths() -> None:
    """References are found by the schema: a value beside a $ref to a user or a group."""
    paths = reference_paths(managed(MANAGER, "title", "name", "emails"))
    assert [path.text for path in paths] == [MANAGER]


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), min_size=1, max_size=5)
EMAILS = st.lists(
    st.fixed_dictionaries({"value": TEXTS}, optional={"type": st.sampled_from(["work", "home"])}), max_size=3
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "title": TEXTS,
        "active": st.booleans(),
        "emails": EMAILS,
        "name": st.fixed_dictionaries({}, optional={"familyName": TEXTS, "givenName": TEXTS}),
        ENTERPRISE: st.fixed_dictionaries(
            {}, optional={"department": TEXTS, "manager": st.fixed_dictionaries({"value": TEXTS})}
        ),
    },
)
EVERYTHING = managed(
    "title", "active", "emails", "name.familyName", "name.givenName", f"{ENTERPRISE}:department", MANAGER
)


@given(DOCUMENTS, DOCUMENTS)
def test_i_16_applying_the_differences_leaves_none(wanted: JsonObject, present: JsonObject) -> None:
    """After the PATCH, and after the PUT, there is nothing left to do."""
    differences = compare(EVERYTHING, wanted, present)
    put = replacement(USER, present, differences)
    assert compare(EVERYTHING, wanted, put) == ()
    for operation in operations(differences):
        apply_operation(present, operation)
    assert compare(EVERYTHING, wanted, present) == ()


@given(DOCUMENTS)
def test_a_document_does_not_differ_from_itself(document: JsonObject) -> None:
    """What is there already causes nothing."""
    assert compare(EVERYTHING, document, document) == ()


def test_value_at_reads_liberally() -> None:
    """Names in any case are found; an extension that is no object has no values."""
    department = path_of(USER, f"{ENTERPRISE}:department")
    assert value_at({ENTERPRISE.upper(): {"DEPARTMENT": "A"}}, department) == "A"
    assert value_at({ENTERPRISE: "x"}, department) is None


def test_difference_names_its_attribute() -> None:
    """A difference is called by its full path."""
    assert Difference(path_of(USER, MANAGER), None, {"value": "1"}).attribute == MANAGER
