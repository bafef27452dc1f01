"""What would no longer be valid when a resource type is defined otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.protocol import urns
from rollbook.protocol.catalog import build_catalog
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.schema_change import Fault, judge
from rollbook.protocol.values import JsonObject, JsonValue

THING, MORE = "urn:x:Thing", "urn:x:More"


def thing(
    *attributes: JsonObject, more: tuple[JsonObject, ...] | None = None, required: bool = False
) -> ResourceType:
    """A resource type with those attributes, and those of an extension."""
    definitions: list[JsonValue] = [
        {"schemas": [urns.SCHEMA], "id": THING, "attributes": list(attributes) or [{"name": "other"}]},
        {"name": "Thing", "endpoint": "/Things", "schema": THING},
    ]
    if more is not None:
        definitions[0:0] = [{"schemas": [urns.SCHEMA], "id": MORE, "attributes": list(more)}]
        definitions[-1]["schemaExtensions"] = [{"schema": MORE, "required": required}]
    found = build_catalog(definitions).resource_type("Thing")
    assert found is not None
    return found


def a(name: str, type: str = "string", **rest: JsonValue) -> JsonObject:
    """An attribute."""
    return {"name": name, "type": type, **rest}


BOX = a("box", "complex", subAttributes=[a("kind"), a("depth", "integer")])
PORTS = a("ports", "complex", multiValued=True, subAttributes=[a("value"), a("speed", "integer")])
BOSS = a(
    "boss",
    "complex",
    subAttributes=[a("value"), a("$ref", "reference", referenceTypes=["User"], mutability="readOnly")],
)

ROWS: list[tuple[str, JsonObject, ResourceType, list[tuple[Fault, str]], JsonObject]] = [
    ("the same", {"a": "x"}, thing(a("a")), [], {"a": "x"}),
    ("externalId stays", {"externalId": "e"}, thing(a("a")), [], {"externalId": "e"}),
    ("attribute gone", {"a": "x", "b": "y"}, thing(a("a")), [(Fault.DROPPED, "b")], {"a": "x"}),
    ("other type", {"a": "x"}, thing(a("a", "integer")), [(Fault.UNFIT, "a")], {"a": "x"}),
    ("number as decimal", {"a": 5}, thing(a("a", "decimal")), [], {"a": 5}),
    ("text as date", {"a": "2026-11-23T09:30:00.000Z"}, thing(a("a", "dateTime")), [], {"a": "2026-11-23T09:30:00.000Z"}),
    ("date in another form", {"a": "2026-11-23T09:30:00Z"}, thing(a("a", "dateTime")), [(Fault.UNFIT, "a")],
     {"a": "2026-11-23T09:30:00Z"}),
    ("one becomes many", {"a": "x"}, thing(a("a", multiValued=True)), [(Fault.UNFIT, "a")], {"a": "x"}),
    ("many become one", {"a": ["x"]}, thing(a("a")), [(Fault.UNFIT, "a")], {"a": ["x"]}),
    ("simple becomes complex", {"box": "x"}, thing(BOX), [(Fault.UNFIT, "box")], {"box": "x"}),
    ("part gone", {"box": {"kind": "k", "lid": "l"}}, thing(BOX), [(Fault.DROPPED, "box.lid")], {"box": {"kind": "k"}}),
    ("all parts gone", {"box": {"lid": "l"}}, thing(BOX), [(Fault.DROPPED, "box.lid")], {}),
    ("part of many gone", {"ports": [{"value": "1", "x": 1}, {"x": 2}]}, thing(PORTS), [(Fault.DROPPED, "ports.x")],
     {"ports": [{"value": "1"}]}),
    ("part of another type", {"box": {"depth": "d"}}, thing(BOX), [(Fault.UNFIT, "box")], {"box": {"depth": "d"}}),
    ("required", {}, thing(a("a", required=True)), [(Fault.MISSING, "a")], {}),
    ("required is what is dropped", {"box": {"lid": "l"}}, thing(BOX | {"required": True}),
     [(Fault.DROPPED, "box.lid"), (Fault.MISSING, "box")], {}),
    ("extension gone", {MORE: {"m": "x"}}, thing(a("a")), [(Fault.DROPPED, MORE)], {}),
    ("extension attribute gone", {MORE: {"m": "x", "n": 1}}, thing(more=(a("m"),)), [(Fault.DROPPED, f"{MORE}:n")],
     {MORE: {"m": "x"}}),
    ("extension required", {"other": "o"}, thing(more=(a("m"),), required=True), [(Fault.MISSING, MORE)], {"other": "o"}),
    ("readOnly is the server's", {"a": "x"}, thing(a("a", "integer", mutability="readOnly")), [], {"a": "x"}),
    ("what the server makes of a reference", {"boss": {"$ref": "/Users/1", "value": "1"}}, thing(BOSS),
     [(Fault.DROPPED, "boss.$ref")], {"boss": {"value": "1"}}),
    ("case rules are no fault", {"a": "X"}, thing(a("a", caseExact=True)), [], {"a": "X"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "kind", "faults", "left"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_judge(
    document: JsonObject, kind: ResourceType, faults: list[tuple[Fault, str]], left: JsonObject
) -> None:
    """Each attribute that is gone, does not fit or is missing is found by name, and what would be left is told."""
    judged = judge(document, kind)
    assert [(finding.fault, finding.where) for finding in judged.findings] == faults
    assert judged.document == left


def test_members_of_a_type_without_members() -> None:
    """Memberships are rows: where the type has no attribute for them any more, they would be dropped."""
    assert [finding.where for finding in judge({}, thing(a("a")), has_members=True).findings] == ["members"]


_VALUES = st.sampled_from(
    ["x", 5, True, 1.5, ["x"], [1], {"kind": "k"}, {"depth": 1, "lid": "l"}, [{"value": "v"}]]
)
_KINDS = st.sampled_from(
    [thing(a("a"), BOX), thing(a("a", "integer"), PORTS), thing(a("a", multiValued=True), more=(a("m"),))]
)


@given(st.dictionaries(st.sampled_from(["a", "box", "ports", "gone"]), _VALUES), _KINDS)
def test_what_is_left_has_nothing_to_drop(document: JsonObject, kind: ResourceType) -> None:
    """Judged again, the document that is left has the same faults but for what was dropped, and stays."""
    first = judge(document, kind)
    second = judge(first.document, kind)
    assert second.document == first.document
    dropped = {finding for finding in first.findings if finding.fault is Fault.DROPPED}
    assert set(second.findings) == set(first.findings) - dropped
