"""References: recognised by shape, found and completed in documents and in their bytes, kept and taken out."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.clubs import DEFINITIONS, DESK, attribute, members, reference

from rollbook.protocol import urns
from rollbook.protocol.catalog import build_catalog, core_catalog
from rollbook.protocol.definitions import parse_schema
from rollbook.protocol.references import Reference, TypeReferences
from rollbook.protocol.schema import Extension, ResourceType, Schema
from rollbook.protocol.values import JsonObject

CATALOG = build_catalog(DEFINITIONS)


def _type(name: str) -> ResourceType:
    found = CATALOG.resource_type(name)
    assert found is not None
    return found


def _schema(*attributes: JsonObject, urn: str = "urn:x:Thing") -> Schema:
    return parse_schema({"id": urn, "attributes": list(attributes)})


def _thing(*attributes: JsonObject, extension: JsonObject | None = None) -> TypeReferences:
    """The references of a type with those attributes, and one in an extension."""
    extensions = (Extension(_schema(extension, urn="urn:x:more:Thing")),) if extension else ()
    return ResourceType("T", "T", "/Ts", "", _schema(*attributes), extensions).references


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("User", {f"{urns.ENTERPRISE_USER}:manager": ({"User"}, "displayName")}),
        ("Group", {}),
        ("Club", {}),
        (
            "Student",
            {
                "advisors": ({"Professor"}, "display"),
                "tutor": ({"Student", "Professor"}, None),
                "sponsor": ({"User"}, "displayName"),
                f"{DESK}:keeper": ({"Professor"}, "display"),
            },
        ),
    ],
)
def test_references_of_a_type(kind: str, found: dict[str, object]) -> None:
    """A-69, S-74: `value` beside a `$ref` to resources is a reference; members and groups are more than that."""
    references = _type(kind).references
    assert {one.path.text: ({*one.types}, one.label) for one in references.each} == found
    assert references.are_plain


@pytest.mark.parametrize(
    ("one", "is_reference", "label"),
    [
        (reference("a", "User"), True, None),
        (reference("a", "User", multiValued=True), True, None),
        (reference("a", "User", "external"), True, None),
        (reference("a", "User", parts=(attribute("display", mutability="readOnly"),)), True, "display"),
        (reference("a", "User", parts=(attribute("display"),)), True, None),
        (reference("a", "User", parts=(attribute("displayName", "integer", mutability="readOnly"),)), True, None),
        (members("User", name="owners"), True, None),
        (reference("a", "external", "uri"), False, None),
        (reference("a"), False, None),
        (attribute("a", "complex", subAttributes=[attribute("value")]), False, None),
        (attribute("a", "reference", referenceTypes=["User"]), False, None),
    ],
)  # fmt: skip
def test_shapes(one: JsonObject, is_reference: bool, label: str | None) -> None:
    """The label is the server's only if it is readOnly; a URI elsewhere is no reference to a resource."""
    each = _thing(one).each
    assert [found.label for found in each] == ([label] if is_reference else [])


@pytest.mark.parametrize(
    ("other", "plain"),
    [
        (attribute("b"), True),
        (attribute("a"), True),
        (attribute("a", multiValued=True), True),
        (attribute("b", "complex", subAttributes=[attribute("value")]), True),
        (attribute("a", "complex", subAttributes=[attribute("value")]), False),
        (reference("a", "Group"), False),
    ],
)
def test_names_tell_references_apart(other: JsonObject, plain: bool) -> None:
    """Bytes are looked through only where a name says enough."""
    assert _thing(reference("a", "User"), extension=other).are_plain is plain


# Text that looks like a reference, or like the end of one, wherever text may stand.
_NASTY = st.sampled_from(
    [
        '","one":{"value":"',
        ',"many":[{"value":"a"}]',
        '{"value":"x"}',
        '"',
        "\\",
        '\\"',
        "]",
        "}",
        '},"a":[{"value":"y"',
        "",
        "é\u2028\U0001f600",
    ]
)
_TEXT = st.one_of(_NASTY, st.text(max_size=6), st.lists(_NASTY, max_size=3).map("".join))
_VALUE = st.fixed_dictionaries(
    {},
    optional={
        "value": _TEXT,
        "note": _TEXT,
        "tags": st.lists(_TEXT, min_size=1, max_size=3),
        "size": st.integers(-9, 9),
    },
)
_DOCUMENT = st.fixed_dictionaries(
    {},
    optional={
        "text": _TEXT,
        "one": _VALUE,
        "many": st.lists(_VALUE, max_size=4),
        "other": _VALUE,
        "urn:x:more:Thing": st.fixed_dictionaries({}, optional={"far": _VALUE, "text": _TEXT}),
    },
)
_PARTS = (
    attribute("note"),
    attribute("tags", multiValued=True),
    attribute("size", "integer"),
    attribute("display", mutability="readOnly"),
)
_PLAIN = _thing(
    reference("one", "User", parts=_PARTS),
    reference("many", "User", parts=_PARTS, multiValued=True),
    attribute("other", "complex", subAttributes=[attribute("value"), *_PARTS]),
    attribute("text"),
    extension=reference("far", "User", parts=_PARTS),
)
_CLASHING = _thing(*(
    reference("one", "User", parts=_PARTS), reference("many", "User", parts=_PARTS, multiValued=True),
    reference("far", "User"),
), extension=reference("far", "User", parts=_PARTS))  # fmt: skip


def _complete(one: Reference, identifier: str) -> JsonObject:
    return (
        {}
        if len(identifier) % 3 == 2
        else {"$ref": f"/{one.path.attribute.name}/{identifier}", "display": identifier}
    )


@pytest.mark.parametrize("references", [_PLAIN, _CLASHING], ids=["plain", "clashing"])
@given(document=_DOCUMENT)
def test_bytes_and_documents_agree(references: TypeReferences, document: JsonObject) -> None:
    """What is found in, and joined to, stored bytes is what is found in, and joined to, the document."""
    kept = references.kept(document)
    body = orjson.dumps(kept)
    assert references.ids_in([body]) == references.ids(kept) == references.ids(document)
    completed = orjson.loads(references.completed(body, _complete, orjson.dumps))
    whole = orjson.loads(body)
    references.complete(whole, _complete)
    assert completed == whole
    assert json.loads(json.dumps(completed)) == completed
    assert references.kept(completed) == kept


def test_stored_bytes_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Architecture §1: completing a body of the usual kind takes no parser, nor does one without references."""
    references = core_catalog().resource_types[0].references
    manager: Any = {urns.ENTERPRISE_USER: {"manager": {"value": "7"}}}
    monkeypatch.setattr("rollbook.protocol.references.json.loads", None)
    for document, ids in (({"userName": "manager"}, set()), (manager, {"7"})):
        body = orjson.dumps(document)
        assert references.ids_in([body]) == ids
        completed = references.completed(body, lambda *_: {"$ref": "x"}, orjson.dumps)
        assert (completed == body) is (not ids)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"tutor": {"value": "7"}}, '{"tutor":{"value":"7"}}'),
        ({"tutor": {"since": "x", "$ref": "../Students/7", "value": "7"}}, '{"tutor":{"value":"7","since":"x"}}'),
        ({"advisors": [{"display": "x", "value": "7"}, {"type": "a"}, {"type": "a", "value": "8"}]},
         '{"advisors":[{"value":"7"},{"type":"a"},{"value":"8","type":"a"}]}'),
        ({DESK: {"room": "1", "keeper": {"$ref": "x", "value": "7", "display": "x"}}},
         f'{{"{DESK}":{{"room":"1","keeper":{{"value":"7"}}}}}}'),
    ],
)  # fmt: skip
def test_kept(sent: JsonObject, kept: str) -> None:
    """A-69: what the server makes is not stored, and the id comes first."""
    assert orjson.dumps(_type("Student").references.kept(sent)).decode() == kept


@pytest.mark.parametrize(
    ("document", "gone", "left"),
    [
        ({"a": 1, "tutor": {"value": "7", "since": "x"}}, "7", {"a": 1}),
        ({"tutor": {"value": "8"}}, "7", {"tutor": {"value": "8"}}),
        ({"advisors": [{"value": "7", "type": "a"}, {"value": "8"}, {"value": "7"}]}, "7", {"advisors": [{"value": "8"}]}),
        ({"advisors": [{"value": "7"}]}, "7", {}),
        ({"sponsor": {"value": "7"}}, "7", {"sponsor": {"value": "7"}}),
        ({DESK: {"keeper": {"value": "7"}}}, "7", {DESK: {"keeper": {"value": "7"}}}),
    ],
    ids=["single", "another", "some of many", "all of many", "for another type", "required"],
)  # fmt: skip
def test_without(document: JsonObject, gone: str, left: JsonObject) -> None:
    """A-37: references to a deleted professor go; what a schema requires, and what was for users, stays."""
    before = orjson.dumps(document)
    assert _type("Student").references.without(document, "Professor", gone) == left
    assert orjson.dumps(document) == before


def test_a_required_list_keeps_its_last() -> None:
    """A-37: of several required values those that lead nowhere go, as long as one is left."""
    references = _thing(reference("a", "User", multiValued=True, required=True))
    both: JsonObject = {"a": [{"value": "7"}, {"value": "8"}]}
    assert references.without(both, "User", "7") == {"a": [{"value": "8"}]}
    assert references.without({"a": [{"value": "7"}]}, "User", "7") == {"a": [{"value": "7"}]}


def test_added() -> None:
    """A-70: those references count that were not there before, wherever in the attribute they stand."""
    references = _type("Student").references
    old = {"advisors": [{"value": "1"}, {"value": "2"}], "tutor": {"value": "1"}}
    new = {"advisors": [{"value": "3"}, {"value": "2", "type": "x"}], "tutor": {"value": "2"}}
    assert [(one.path.text, identifier) for one, identifier in references.added(old, new)] == [
        ("advisors", "3"),
        ("tutor", "2"),
    ]
