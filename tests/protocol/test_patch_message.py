"""PATCH messages: envelope, paths, values, and which refusal comes first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.written import (
    ENTERPRISE,
    EXTRA_URN,
    GADGET,
    GROUP,
    USER,
    message,
    only,
    operation,
    without,
)

from rollbook.protocol import urns
from rollbook.protocol.errors import (
    InvalidFilter,
    InvalidPath,
    InvalidSyntax,
    InvalidValue,
    Mutability,
    NoTarget,
    RequestError,
    TooMany,
)
from rollbook.protocol.patch import parse_patch
from rollbook.protocol.patch_message import MAX_OPERATIONS
from rollbook.protocol.patch_steps import Patch
from rollbook.protocol.quirks import AUTO, RFC, Leniency, Profile, Quirk
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject, JsonValue

TITLE = operation("replace", "title", value="x")


def parse(
    *operations: JsonObject, resource_type: ResourceType = USER, profile: Profile = RFC, id: str | None = None
) -> Patch:
    """Parse these operations."""
    return parse_patch(message(*operations), resource_type, Leniency(profile), id=id)


ENVELOPES: list[tuple[str, JsonValue, str]] = [
    ("array", [], "must be a JSON object"),
    ("text", "x", "must be a JSON object"),
    ("P-3.5.2-03 absent", {"schemas": [urns.PATCH_OP]}, "at least one operation"),
    ("P-3.5.2-03 empty", {"schemas": [urns.PATCH_OP], "Operations": []}, "at least one operation"),
    (
        "P-3.5.2-03 A-26 object",
        {"schemas": [urns.PATCH_OP], "Operations": TITLE},
        "Operations must be an array",
    ),
    ("A-01 search", {"schemas": [urns.SEARCH_REQUEST], "Operations": [TITLE]}, "not what belongs here"),
    ("A-01 resource", {"schemas": [urns.USER], "Operations": [TITLE]}, "not what belongs here"),
    ("operation", message("x"), "each operation must be an object"),  # type: ignore[arg-type]  # wrong on purpose
    ("P-3.5.2-05 missing", message({"path": "title", "value": "x"}), "op must be add, remove or replace"),
    ("P-3.5.2-05 number", message({"op": 5}), "op must be add, remove or replace"),
    ("P-3.5.2-15 move", message({"op": "move", "path": "title", "from": "x"}), "not 'move'"),
    ("P-3.5.2-15 copy", message({"op": "copy", "path": "title", "from": "x"}), "not 'copy'"),
    ("P-3.5.2-15 test", message({"op": "test", "path": "title", "value": "x"}), "not 'test'"),
    ("A-56 op", message({"op": "add", "OP": "remove", "path": "title", "value": "x"}), "there twice"),
    (
        "A-56 Operations",
        {"schemas": [urns.PATCH_OP], "Operations": [TITLE], "operations": [TITLE]},
        "there twice",
    ),
    ("A-56 in the value", message(operation("add", value={"title": "x", "TITLE": "y"})), "there twice"),
]


@pytest.mark.parametrize(("body", "words"), [row[1:] for row in ENVELOPES], ids=[row[0] for row in ENVELOPES])
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_p_3_5_2_a_malformed_message_is_refused(body: JsonValue, words: str, profile: Profile) -> None:
    """P-3.5.2-02 to -05, -15: 400/invalidSyntax in both modes."""
    with pytest.raises(InvalidSyntax) as caught:
        parse_patch(body, USER, Leniency(profile))
    assert words in caught.value.detail
    assert caught.value.quirk is None


@pytest.mark.parametrize(
    ("body", "quirk"),
    [
        ({"Operations": [TITLE]}, Quirk.MISSING_SCHEMAS),
        ({"schemas": [urns.PATCH_OP, "urn:x"], "Operations": [TITLE]}, Quirk.UNKNOWN_SCHEMAS),
        ({"schemas": [urns.PATCH_OP], "operations": [TITLE]}, Quirk.OPERATION_CASE),
        (message({**TITLE, "op": "Replace"}), Quirk.OPERATION_CASE),
        (message({"OP": "replace", "Path": "title", "VALUE": "x"}), Quirk.OPERATION_CASE),
    ],
    ids=["P-3.5.2-02", "A-02", "P-3.5.2-04", "P-3.5.2-06", "A-19"],
)
def test_leniency_reads_other_envelopes(body: JsonObject, quirk: Quirk) -> None:
    """A-01, A-19: one switch makes the difference, and its absence is named."""
    assert parse_patch(body, USER, Leniency(only(quirk))) == parse(TITLE)
    with pytest.raises(InvalidSyntax) as caught:
        parse_patch(body, USER, Leniency(without(quirk)))
    assert caught.value.quirk == quirk


def test_a_26_schemas_as_one_string() -> None:
    """A-26: one URN without array is leniency."""
    body = {"schemas": urns.PATCH_OP, "Operations": [TITLE]}
    assert parse_patch(body, USER, Leniency(only(Quirk.SINGLE_AS_LIST))) == parse(TITLE)
    with pytest.raises(InvalidValue):
        parse_patch(body, USER, Leniency(RFC))


def test_a_19_other_members_of_an_operation_are_ignored() -> None:
    """A-19: Entra sends a name with each operation; null as path is no path."""
    assert parse({**TITLE, "name": "addMember"}) == parse(TITLE)
    assert parse({"op": "add", "path": None, "value": {"title": "x"}}) == parse(
        operation("add", value={"title": "x"})
    )


def test_t_53_operations_are_limited() -> None:
    """T-53: the number of operations has a limit, 400/tooMany."""
    assert len(parse(*[TITLE] * MAX_OPERATIONS).steps) == MAX_OPERATIONS
    with pytest.raises(TooMany, match="5001 operations: at most 5000"):
        parse(*[TITLE] * (MAX_OPERATIONS + 1))


PATHS: list[tuple[str, JsonObject, type[RequestError], str]] = [
    ("P-3.5.2-07", operation("remove"), NoTarget, "remove needs a path"),
    ("P-3.5.2.2-01 with value", operation("remove", value={"title": "x"}), NoTarget, "remove needs a path"),
    ("P-3.5.2-08 index", operation("add", "emails[0]", value="x"), RequestError, ""),
    ("P-3.5.2-08 dots", operation("add", "name..x", value="x"), InvalidPath, ""),
    ("P-3.5.2-08 pointer", operation("add", "/emails/-", value="x"), InvalidPath, ""),
    ("P-3.5.2-08 empty", operation("add", "", value="x"), InvalidPath, ""),
    ("P-3.5.2-08 number", operation("add", value="x") | {"path": 5}, InvalidPath, "path must be a string"),
    ("P-3.5.2-08 open bracket", operation("add", 'emails[type eq "work"', value="x"), InvalidPath, ""),
    ("P-3.5.2-09", operation("add", 'emails[type zz "x"]', value={}), InvalidFilter, ""),
    ("P-3.5.2-09 attribute", operation("add", 'emails[foo eq "x"]', value={}), InvalidFilter, "no part foo"),
    ("P-3.5.2-24", operation("add", "foo", value="x"), InvalidPath, "foo is no attribute of User"),
    ("P-3.5.2-24 part", operation("add", "name.foo", value="x"), InvalidPath, "name.foo is no attribute"),
    ("P-3.5.2-24 part of values", operation("add", 'emails[type eq "x"].foo', value="x"), InvalidPath, "no part foo"),
    ("P-3.5.2-24 known URN", operation("add", f"{ENTERPRISE}:foo", value="x"), InvalidPath, "is no attribute"),
    ("T-37", operation("add", "__proto__.x", value="x"), InvalidPath, ""),
    ("brackets on one value", operation("add", 'name[givenName eq "x"]', value={}), InvalidPath, "multi-valued"),
    ("brackets on text", operation("add", 'title[value eq "x"]', value="x"), InvalidPath, "multi-valued"),
    ("test on a part", operation("add", 'emails.type eq "x"', value="x"), InvalidPath, "multi-valued"),
    ("third level", operation("add", "name.givenName.x", value="x"), InvalidPath, ""),
    ("P-3.5.2.1-14 id", operation("add", "id", value="x"), Mutability, "id is readOnly"),
    ("P-3.5.2.3-12 meta", operation("replace", "meta", value={}), Mutability, "meta is readOnly"),
    ("T13 part", operation("replace", "meta.version", value="x"), Mutability, "meta.version is readOnly"),
    ("P-3.5.2.2-06 id", operation("remove", "id"), Mutability, "id is readOnly"),
    ("S-60", operation("add", "groups", value=[{"value": "x"}]), Mutability, "groups is readOnly"),
    ("S-60 filter", operation("remove", 'groups[value eq "x"]'), Mutability, "groups is readOnly"),
    ("readOnly part", operation("add", f"{ENTERPRISE}:manager.displayName", value="x"), Mutability, "is readOnly"),
    ("P-3.5.2.1-01", operation("add", "title"), InvalidValue, "title: add needs a value"),
    ("P-3.5.2.1-01 null", operation("add", "title", value=None), InvalidValue, "title: add needs a value"),
    ("P-3.5.2.3-10", operation("replace", "title"), InvalidValue, "title: replace needs a value"),
    ("P-3.5.2.3-10 URN", operation("replace", ENTERPRISE), InvalidValue, "replace needs a value"),
    ("P-3.5.2.3-10 no path", operation("replace"), InvalidValue, "replace needs a value"),
    ("P-3.5.2.3-10 schemas", operation("add", "schemas"), InvalidValue, "schemas: add needs a value"),
    ("P-3.5.2.1-02", operation("add", value="x"), InvalidValue, "must be an object of attributes"),
    ("P-3.5.2.1-02 null", operation("add", value=None), InvalidValue, "must be an object of attributes"),
    ("T9", operation("add", ENTERPRISE, value="x"), InvalidValue, "must be an object of attributes"),
    ("type", operation("replace", "active", value="maybe"), InvalidValue, "active: "),
    ("type of a part", operation("replace", "name.givenName", value=5), InvalidValue, "name.givenName: 5"),
    ("type in an object", operation("replace", value={"name": {"givenName": 5}}), InvalidValue, "name.givenName: 5"),
    ("P-3.5.2-22", operation("add", "emails", value=[{"value": "a", "primary": True}, {"value": "b", "primary": True}]),
     InvalidValue, "several values are primary"),
    ("A-91", operation("remove", 'members[value eq "x"].displayName'), InvalidPath, ""),
    ("T12 base", operation("remove", "schemas", value=[urns.USER]), Mutability, "base schema"),
    ("T12 all", operation("remove", "schemas"), Mutability, "base schema"),
    ("T9 base", operation("remove", urns.USER), Mutability, "base schema"),
    ("A-64", operation("replace", "userName", value="a\u200bb"), InvalidValue, "userName: control"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "error", "words"), [row[1:] for row in PATHS], ids=[row[0] for row in PATHS]
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_an_operation_that_can_never_succeed_is_refused(
    sent: JsonObject, error: type[RequestError], words: str, profile: Profile
) -> None:
    """Path, filter, mutability and value are judged before any resource is read, in both modes."""
    with pytest.raises(error) as caught:
        parse(sent, profile=profile)
    assert words in caught.value.detail
    assert caught.value.quirk is None


FIRST: list[tuple[str, list[JsonObject], type[RequestError]]] = [
    ("syntax before path", [operation("add", "name..x", value="x"), {"op": "move"}], InvalidSyntax),
    ("path before filter", [operation("add", 'emails[type zz "x"]..', value="x")], RequestError),
    ("filter before attribute", [operation("add", 'emails[type zz "x"].foo', value="x")], InvalidFilter),
    ("attribute before mutability", [operation("add", "meta.foo", value="x")], InvalidPath),
    ("mutability before value", [operation("add", "id")], Mutability),
    ("target before value", [operation("remove", value=5)], NoTarget),
]


@pytest.mark.parametrize(("sent", "error"), [row[1:] for row in FIRST], ids=[row[0] for row in FIRST])
def test_which_error_comes_first(sent: list[JsonObject], error: type[RequestError]) -> None:
    """protocol.md, end: structure, path, filter, attribute, mutability, target, value."""
    with pytest.raises(error):
        parse(*sent)


MANAGER = f"{ENTERPRISE}:manager"
LENIENT: list[tuple[str, JsonObject, Quirk, JsonObject | None, type[RequestError]]] = [
    ("A-20 part of all", operation("replace", "emails.type", value="x"), Quirk.SUB_ATTRIBUTE_OF_ALL, None, InvalidPath),
    ("A-20 unknown URN", operation("replace", "urn:x:y:1.0:User:foo", value="x"), Quirk.UNKNOWN_ATTRIBUTES, None,
     InvalidPath),
    ("A-03 without URN", operation("replace", "department", value="x"), Quirk.UNQUALIFIED_EXTENSION,
     operation("replace", f"{ENTERPRISE}:department", value="x"), InvalidPath),
    ("A-03 part without URN", operation("replace", "manager.value", value="7"), Quirk.UNQUALIFIED_EXTENSION,
     operation("replace", f"{MANAGER}.value", value="7"), InvalidPath),
    ("A-12", operation("replace", "active", value="False"), Quirk.STRING_BOOLEANS,
     operation("replace", "active", value=False), InvalidValue),
    ("A-23 part", operation("add", value={"name.givenName": "x"}), Quirk.DOTTED_KEYS,
     operation("add", "name.givenName", value="x"), InvalidPath),
    ("A-23 URN", operation("add", value={f"{ENTERPRISE}:department": "x"}), Quirk.DOTTED_KEYS,
     operation("add", f"{ENTERPRISE}:department", value="x"), InvalidPath),
    ("A-23 filter", operation("add", value={'emails[type eq "work"].value': "x"}), Quirk.DOTTED_KEYS,
     operation("add", 'emails[type eq "work"].value', value="x"), InvalidPath),
    ("A-23 base URN", operation("add", value={urns.USER: {"title": "x"}}), Quirk.DOTTED_KEYS,
     operation("add", "title", value="x"), InvalidPath),
    ("A-23 in an extension", operation("add", ENTERPRISE, value={"manager.value": "7"}), Quirk.DOTTED_KEYS,
     operation("add", f"{MANAGER}.value", value="7"), InvalidPath),
    ("A-26 one for many", operation("add", "emails", value={"value": "x"}), Quirk.SINGLE_AS_LIST,
     operation("add", "emails", value=[{"value": "x"}]), InvalidValue),
    ("A-26 one in an array", operation("add", MANAGER, value=[{"value": "7"}]), Quirk.SINGLE_AS_LIST,
     operation("add", MANAGER, value={"value": "7"}), InvalidValue),
    ("A-26 one text in an array", operation("replace", "title", value=["x"]), Quirk.SINGLE_AS_LIST, TITLE, InvalidValue),
    ("A-26 object in an array", operation("replace", value=[{"title": "x"}]), Quirk.SINGLE_AS_LIST, TITLE, InvalidValue),
    ("A-26 selected in an array", operation("replace", 'emails[type eq "work"]', value=[{"value": "x"}]),
     Quirk.SINGLE_AS_LIST, operation("replace", 'emails[type eq "work"]', value={"value": "x"}), InvalidValue),
    ("A-28", operation("replace", value={"id": "7", "title": "x"}), Quirk.READ_ONLY_IN_PATCH, TITLE, Mutability),
    ("A-28 groups", operation("add", value={"groups": []}), Quirk.READ_ONLY_IN_PATCH, None, Mutability),
    ("A-03 key", operation("replace", value={"foo": 1, "title": "x"}), Quirk.UNKNOWN_ATTRIBUTES, TITLE, InvalidPath),
    ("A-03 key in an extension", operation("replace", ENTERPRISE, value={"foo": 1}), Quirk.UNKNOWN_ATTRIBUTES, None,
     InvalidPath),
    ("A-03 key with URN", operation("replace", value={"urn:x:y": {}, "title": "x"}), Quirk.UNKNOWN_ATTRIBUTES, TITLE,
     InvalidPath),
    ("A-03 extension key", operation("replace", value={"department": "x"}), Quirk.UNQUALIFIED_EXTENSION,
     operation("replace", f"{ENTERPRISE}:department", value="x"), InvalidPath),
    ("A-79", operation("add", MANAGER, value="7"), Quirk.MANAGER_AS_STRING,
     operation("add", MANAGER, value={"value": "7"}), InvalidValue),
    ("A-79 empty", operation("add", MANAGER, value=""), Quirk.MANAGER_AS_STRING, operation("remove", MANAGER),
     InvalidValue),
    ("T12 A-02", operation("add", "schemas", value=["urn:x"]), Quirk.UNKNOWN_SCHEMAS, None, InvalidValue),
    ("A-30", operation("remove", "emails", value=[{"value": "x"}]), Quirk.VALUE_LIST_REMOVAL, None, InvalidValue),
    ("A-12 in a filter", operation("remove", 'roles[primary eq "True"]'), Quirk.STRING_BOOLEANS,
     operation("remove", "roles[primary eq true]"), InvalidFilter),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "quirk", "strict"), [row[1:4] for row in LENIENT], ids=[row[0] for row in LENIENT]
)
def test_leniency_reads_it_as_strict_input(sent: JsonObject, quirk: Quirk, strict: JsonObject | None) -> None:
    """One switch makes the difference; where there is a strict way to say it, both mean the same."""
    leniency = Leniency(only(quirk))
    patch = parse_patch(message(sent), USER, leniency)
    assert leniency.used == {quirk}
    if strict is not None:
        assert patch == parse(strict)


@pytest.mark.parametrize(
    ("sent", "quirk", "error"),
    [(row[1], row[2], row[4]) for row in LENIENT],
    ids=[row[0] for row in LENIENT],
)
def test_the_refusal_names_the_quirk_that_is_off(
    sent: JsonObject, quirk: Quirk, error: type[RequestError]
) -> None:
    """With all other switches on it is refused, with the error of the RFC and the name of the switch."""
    with pytest.raises(error) as caught:
        parse(sent, profile=without(quirk))
    assert caught.value.quirk == quirk


@pytest.mark.parametrize(
    "sent",
    [
        operation("replace", "urn:x:y:1.0:User:foo", value="x"),
        operation("add", "urn:x:y:1.0:User", value={"a": 1}),
        operation("remove", "urn:x:y:1.0:User:foo.bar"),
    ],
)
def test_a_20_operations_below_an_unknown_urn_are_passed_over(sent: JsonObject) -> None:
    """A-20, P-3.5.2-24: lenient mode skips the operation, the others run."""
    assert parse(sent, TITLE, profile=AUTO) == parse(TITLE)


@pytest.mark.parametrize("value", [[], None, {}], ids=repr)
def test_a_path_less_value_may_be_empty(value: JsonValue) -> None:
    """An object without attributes asks for nothing; null attributes add nothing (RFC 7643 §2.5)."""
    assert parse(operation("add", value={"title": value} if value != {} else {})).steps == ()


def test_a_28_a_path_less_value_may_repeat_the_id() -> None:
    """A-28: the resource's own id is no change, in strict mode too; another one is 400/mutability."""
    sent = operation("replace", value={"id": "7", "title": "x"})
    assert parse(sent, id="7") == parse(TITLE)
    with pytest.raises(Mutability):
        parse(sent, id="8")


def test_p_3_5_2_10_paths_ignore_case_and_take_urns() -> None:
    """P-3.5.2-10: any case, with the URN of the base schema or without."""
    strict = parse(operation("add", "name.familyName", value="x"))
    for path in ("NAME.FamilyName", f"{urns.USER}:name.familyName", f"{urns.USER.upper()}:NAME.FAMILYNAME"):
        assert parse(operation("add", path, value="x")) == strict


@pytest.mark.parametrize("schemas", [[urns.USER], [urns.USER, ENTERPRISE], [ENTERPRISE.upper()], []])
@pytest.mark.parametrize("op", ["add", "replace"])
def test_t12_schemas_follow_the_data(schemas: list[str], op: str) -> None:
    """A-04, T12: an URN of the type does nothing without data, by path and by key."""
    assert parse(operation(op, "schemas", value=schemas)).steps == ()
    assert parse(operation(op, value={"schemas": schemas})).steps == ()


def test_t12_removing_an_urn_removes_its_data() -> None:
    """A-04, T12: by value list and by filter, the same as removing the extension by its URN."""
    strict = parse(operation("remove", EXTRA_URN), resource_type=GADGET)
    assert {step.target.path.attribute.name for step in strict.steps} == {"colour", "shape", "size", "keeper"}
    for sent in (
        operation("remove", "schemas", value=[EXTRA_URN]),
        operation("remove", f'schemas[value eq "{EXTRA_URN}"]'),
        operation("remove", f'schemas eq "{EXTRA_URN}"'),
        operation("replace", EXTRA_URN, value=None),
        operation("replace", value={EXTRA_URN: None}),
    ):
        assert parse(sent, resource_type=GADGET) == strict


REMOVALS: list[tuple[str, JsonValue]] = [
    ("text", "x"),
    ("unknown shape", {"foo": [{"value": "x"}]}),
    ("empty object", [{}]),
    ("null inside", [None]),
    ("number", 5),
    ("list in a list", [[{"value": "x"}]]),
]


@pytest.mark.parametrize("value", [row[1] for row in REMOVALS], ids=[row[0] for row in REMOVALS])
@pytest.mark.parametrize("path", ["emails", "members"])
def test_a_30_a_removal_that_is_not_understood_removes_nothing(value: JsonValue, path: str) -> None:
    """A-30: 400/invalidValue in lenient mode; it is never widened to all values."""
    resource_type = USER if path == "emails" else GROUP
    with pytest.raises(InvalidValue):
        parse(operation("remove", path, value=value), resource_type=resource_type, profile=AUTO)


_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["value", "type", "primary", "name", "name.givenName", "emails", "members", "id", "x"]
            ),
            inner,
        ),
    ),
    max_leaves=6,
)
_PATHS = st.one_of(
    st.none(),
    st.text(max_size=6),
    st.sampled_from(
        ["title", "name", "emails", 'emails[type eq "work"].value', "emails.type", "schemas", ENTERPRISE]
    ),
)


@given(st.sampled_from(["add", "remove", "Replace", "x"]), _PATHS, _VALUES, st.sampled_from([RFC, AUTO]))
def test_any_operation_is_parsed_or_refused(
    op: str, path: str | None, value: JsonValue, profile: Profile
) -> None:
    """No operation brings anything but a patch or a RequestError."""
    try:
        patch = parse(operation(op, path, value=value), profile=profile)
    except RequestError:
        return
    assert patch.resource_type is USER
