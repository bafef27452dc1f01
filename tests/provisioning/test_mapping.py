"""Mappings: what gets into a document, and what never does."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.schema import AttributePath
from rollbook.provisioning.expressions import Subject, compile_expression
from rollbook.provisioning.mapping import (
    Computed,
    Constant,
    CopyAttribute,
    CopyColumn,
    apply_mapping,
    day,
    describe,
    mapped_paths,
    named_by,
    overlay,
    record_inputs,
    resource_inputs,
    tidy,
)
from rollbook.provisioning.model import Assignment, MappingError, ObjectMapping, Rule
from rollbook.provisioning.names import Names

USER = core_catalog().resource_types[0]
NAMES = Names(USER)
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
TODAY = datetime(2026, 11, 23, tzinfo=UTC)


def path(text: str) -> AttributePath:
    """The attribute of that name."""
    found = NAMES.find(text)
    assert found is not None
    return found


def computed(text: str, subject: Subject = Subject.RECORD, fills: str = "title") -> Computed:
    """An expression as a rule."""
    return Computed(compile_expression(text, subject), fills)


def mapped(record: dict[str, str], *rules: tuple[Any, ...]) -> dict[str, Any]:
    """What these rules make of a record."""
    assignments = [Assignment(path(rule[0]), rule[1], rule[2] if len(rule) > 2 else None) for rule in rules]
    return apply_mapping(ObjectMapping(tuple(assignments)), record_inputs(record, TODAY))


@pytest.mark.parametrize(
    ("rules", "document"),
    [
        ([("userName", CopyColumn("a"))], {"userName": "x"}),
        ([("name.givenName", CopyColumn("a"))], {"name": {"givenName": "x"}}),
        (
            [("name.givenName", CopyColumn("a")), ("name.familyName", CopyColumn("b"))],
            {"name": {"givenName": "x", "familyName": "y"}},
        ),
        ([("enterprise.department", CopyColumn("a"))], {ENTERPRISE: {"department": "x"}}),
        ([("enterprise.manager.value", CopyColumn("a"))], {ENTERPRISE: {"manager": {"value": "x"}}}),
        ([("active", Constant(False))], {"active": False}),
        ([("title", CopyColumn("empty"))], {}),
        ([("name.givenName", CopyColumn("empty"))], {}),
        ([("enterprise.manager.value", CopyColumn("empty"))], {}),
        ([("title", computed("null"))], {}),
        ([("title", computed("record.?none"))], {}),
        ([("active", computed('record.empty == ""'))], {"active": True}),
    ],
)
def test_documents(rules: list[Any], document: dict[str, Any]) -> None:
    """Parts and extensions nest, empty texts and null leave the attribute out, false stays."""
    assert mapped({"a": "x", "b": "y", "empty": ""}, *rules) == document


WORK = ("emails.type", Constant("work"), 0)
PRIMARY = ("emails.primary", Constant(True), 0)


@pytest.mark.parametrize(
    ("rules", "values"),
    [
        (
            [WORK, PRIMARY, ("emails.value", CopyColumn("a"), 0)],
            [{"type": "work", "primary": True, "value": "x"}],
        ),
        ([WORK, PRIMARY, ("emails.value", CopyColumn("empty"), 0)], None),
        (
            [("emails.value", CopyColumn("a"), 0), ("emails.value", CopyColumn("b"), 1)],
            [{"value": "x"}, {"value": "y"}],
        ),
        ([("emails.value", CopyColumn("empty"), 0), ("emails.value", CopyColumn("b"), 1)], [{"value": "y"}]),
        ([WORK, ("emails.value", Constant("all@x"), 0)], [{"type": "work", "value": "all@x"}]),
        (
            [("emails.value", CopyColumn("a"), 0), ("emails.display", CopyColumn("empty"), 0)],
            [{"value": "x"}],
        ),
        ([WORK, ("emails.display", CopyColumn("empty"), 0), ("emails.value", CopyColumn("empty"), 0)], None),
    ],
)
def test_values_built_of_parts(rules: list[Any], values: list[Any] | None) -> None:
    """A value without its `value` part is none, whatever constants stand beside it."""
    assert mapped({"a": "x", "b": "y", "empty": ""}, *rules).get("emails") == values


def test_an_address_of_constants_only_is_left_out() -> None:
    """Where there is no `value` part, something that is no constant must have a value."""
    rules = [("addresses.type", Constant("work"), 0), ("addresses.locality", CopyColumn("city"), 0)]
    assert mapped({"city": ""}, *rules) == {}
    assert mapped({"city": "Ulm"}, *rules) == {"addresses": [{"type": "work", "locality": "Ulm"}]}


def test_a_failing_rule_names_its_attribute() -> None:
    """The error says which attribute, why, and shows the expression."""
    with pytest.raises(MappingError) as failed:
        mapped({}, ("title", computed("record.x")))
    assert failed.value.attribute == "title"
    assert str(failed.value) == ('title: there is no x; if it may be missing: .?x.orValue("") (in: record.x)')


def user_inputs(document: dict[str, Any]) -> Any:
    """The inputs of a target's rules."""
    return resource_inputs(NAMES, Subject.USER, document, TODAY)


ANN = {
    "userName": "ann",
    "name": {"givenName": "Ann", "familyName": "M"},
    "emails": [{"value": "a@x", "type": "work"}, {"value": "b@x"}],
    "birthDate": "1990-01-01",
    ENTERPRISE: {"department": "R&D", "manager": {"value": "7"}},
}


@pytest.mark.parametrize(
    ("fills", "rule", "document"),
    [
        ("emails", CopyAttribute(Subject.USER, path("emails")), {"emails": ANN["emails"]}),
        ("name", CopyAttribute(Subject.USER, path("name")), {"name": ANN["name"]}),
        ("title", CopyAttribute(Subject.USER, path("name.familyName")), {"title": "M"}),
        ("title", CopyAttribute(Subject.USER, path("enterprise.department")), {"title": "R&D"}),
        ("title", CopyAttribute(Subject.USER, path("nickName")), {}),
        (
            "enterprise.manager",
            CopyAttribute(Subject.USER, path("enterprise.manager")),
            {ENTERPRISE: {"manager": {"value": "7"}}},
        ),
        ("title", computed("user.enterprise.department", Subject.USER), {"title": "R&D"}),
        ("title", computed(f'user["{ENTERPRISE}"].department', Subject.USER), {"title": "R&D"}),
    ],
)
def test_rules_of_targets(fills: str, rule: Rule, document: dict[str, Any]) -> None:
    """Whole attributes, parts and extensions are copied; expressions know short names and URNs."""
    mapping = ObjectMapping((Assignment(path(fills), rule),))
    assert apply_mapping(mapping, user_inputs(ANN)) == document


DOCUMENTS = st.dictionaries(
    st.sampled_from(["userName", "title", "nickName", "displayName", "locale", "userType"]), st.text()
)


@given(DOCUMENTS, st.sets(st.sampled_from(["userName", "title", "nickName"])))
def test_nothing_that_is_not_mapped_gets_out(document: dict[str, str], names: set[str]) -> None:
    """I-12: the keys of the result are among the mapped paths, whatever the document holds."""
    rules = (Assignment(path(name), CopyAttribute(Subject.USER, path(name))) for name in sorted(names))
    mapping = ObjectMapping(tuple(rules))
    out = apply_mapping(mapping, user_inputs(document))
    assert set(out) <= mapped_paths(mapping) == names


def test_expressions_share_what_they_name() -> None:
    """What one names is there for all; where one may read anything, all are given everything."""
    by_name = (
        Assignment(path("title"), computed("user.userName", Subject.USER)),
        Assignment(path("nickName"), computed("user.name.familyName", Subject.USER)),
    )
    assert named_by(ObjectMapping(by_name)) == frozenset({"userName", "name"})
    inputs = resource_inputs(NAMES, Subject.USER, ANN, TODAY, frozenset({"userName", "name"}))
    assert apply_mapping(ObjectMapping(by_name), inputs) == {"title": "ann", "nickName": "M"}
    whole = (*by_name, Assignment(path("locale"), computed("string(size(user))", Subject.USER)))
    assert named_by(ObjectMapping(whole)) is None


def test_the_allow_list_names_parts() -> None:
    """Paths are in standard notation, parts of lists included."""
    rules = (
        Assignment(path("emails.value"), CopyColumn("a"), 0),
        Assignment(path("enterprise.department"), CopyColumn("b")),
    )
    assert mapped_paths(ObjectMapping(rules)) == {"emails.value", f"{ENTERPRISE}:department"}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("", None),
        ([], None),
        ({}, None),
        (0, 0),
        (False, False),
        ([{"value": ""}, {"value": "x", "display": None}], [{"value": "x"}]),
        ({"a": {"b": ""}}, None),
    ],
)
def test_tidy(value: Any, kept: Any) -> None:
    """Empty things are no values, at any depth; false and zero are (S-05)."""
    assert tidy(value) == kept


def test_overlay_changes_owned_places_only() -> None:
    """What the rules fill is set or removed; everything else stays, and the arguments stay as they were."""
    present = {"userName": "a", "title": "Dr.", "name": {"givenName": "A", "middleName": "B"}, "active": True}
    wanted = {"userName": "b", "name": {"familyName": "C"}}
    places = [path("userName"), path("name.givenName"), path("name.familyName"), path("title")]
    assert overlay(present, places, wanted) == {
        "userName": "b",
        "name": {"middleName": "B", "familyName": "C"},
        "active": True,
    }
    assert present["name"] == {"givenName": "A", "middleName": "B"}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (CopyColumn("a"), "from: a"),
        (CopyAttribute(Subject.USER, path("enterprise.department")), f"from: {ENTERPRISE}:department"),
        (Constant(True), "value: true"),
        (Constant("ü"), 'value: "ü"'),
        (computed("record.a"), "expr: record.a"),
    ],
)
def test_rules_describe_themselves(rule: Rule, text: str) -> None:
    """For explain and for the digest of a target."""
    assert describe(rule) == text


def test_a_day_begins_at_midnight_utc() -> None:
    """`today` is the start of the day in UTC."""
    assert day(datetime.fromisoformat("2026-11-24T00:30:00+02:00")) == datetime(2026, 11, 23, tzinfo=UTC)
