"""What answers show, and how stored resources are split by it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.protocol import urns
from rollbook.protocol.attributes import Attribute, Returned, Type
from rollbook.protocol.catalog import common_attributes
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.projection import (
    DEFAULT,
    Projection,
    join_stored,
    parse_projection,
    project,
    schemas_of,
    split_stored,
    wants,
)
from rollbook.protocol.quirks import AUTO, RFC, Leniency, Quirk
from rollbook.protocol.schema import Extension, ResourceType, Schema
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.testing.filter_rows import BADGE, CATALOG, DOCUMENTS, ENTERPRISE

# One attribute of each kind of `returned`, named after it; as single and as multi-valued complex attribute
# too, each with one part of each kind.
_SIMPLE = tuple(Attribute(str(kind), returned=kind) for kind in Returned)
_SINGLE = tuple(
    Attribute(f"{kind}One", Type.COMPLEX, returned=kind, sub_attributes=_SIMPLE) for kind in Returned
)
_MANY = tuple(
    Attribute(f"{kind}Many", Type.COMPLEX, multi_valued=True, returned=kind, sub_attributes=_SIMPLE)
    for kind in Returned
)
_ALL = (*_SIMPLE, *_SINGLE, *_MANY)
BASE, MORE = "urn:x:2.0:Thing", "urn:x:more:2.0:Thing"
THING = ResourceType(
    id="Thing",
    name="Thing",
    endpoint="/Things",
    description="",
    schema=Schema(BASE, "Thing", "", _ALL),
    extensions=(Extension(Schema(MORE, "More", "", _ALL)),),
    common=common_attributes(),
)

_PARTS = {str(kind): "x" for kind in Returned}
_VALUES: JsonObject = {
    **_PARTS,
    **{attribute.name: _PARTS for attribute in _SINGLE},
    **{attribute.name: [_PARTS, _PARTS] for attribute in _MANY},
}
FULL: JsonObject = {
    "schemas": [BASE, MORE],
    "id": "1",
    "externalId": "e",
    **_VALUES,
    MORE: _VALUES,
    "meta": dict.fromkeys(("resourceType", "created", "lastModified", "location", "version"), "x"),
}
"""A resource with a value for everything."""


def _parts(value: JsonValue) -> str:
    """Names of the parts of a value, the value of a simple attribute being its own."""
    if isinstance(value, list):
        (parts,) = {_parts(element) for element in value}
        return parts
    return " ".join(sorted(value)) if isinstance(value, dict) else str(value or "")


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


@pytest.mark.parametrize("where", ["", MORE])
@pytest.mark.parametrize("shape", ["One", "Many"])
@pytest.mark.parametrize(
    ("rule", "only", "without", "written", "attribute", "parts"),
    [
        ("P-3.9-01", "", "", "", "default", "always default"),
        ("P-3.9-01", "", "", "", "always", "always default"),
        ("P-3.9-01", "", "", "", "request", ""),
        ("P-3.9-01", "", "", "", "never", ""),
        ("A-18", "default@", "", "", "default", "always default request"),
        ("A-18", "default@.default", "", "", "default", "always default"),
        ("A-18", "default@.request", "", "", "default", "always request"),
        ("A-18", "default@.never", "", "", "default", "always"),
        ("P-3.4.2.5-02", "default", "", "", "default", ""),
        ("P-3.4.2.5-02", "default", "", "", "always", "always default"),
        ("P-3.4.2.5-02", "always@", "", "", "always", "always default request"),
        ("P-3.4.2.5-02", "always@.request", "", "", "always", "always request"),
        ("P-3.4.2.5-07", "request@", "", "", "request", "always default request"),
        ("P-3.4.2.5-07", "request@.default", "", "", "request", "always default"),
        ("P-3.4.2.5-06", "never@", "", "", "never", ""),
        ("P-3.4.2.5-06", "never@.default", "", "", "never", ""),
        ("A-18", "unknown", "", "", "always", "always default"),
        ("A-18", "unknown", "", "", "default", ""),
        ("P-3.4.2.5-03", "", "default@", "", "default", ""),
        ("P-3.4.2.5-03", "", "always@", "", "always", "always default"),
        ("P-3.4.2.5-03", "", "always@.default", "", "always", "always"),
        ("P-3.4.2.5-03", "", "default@.default", "", "default", "always"),
        ("P-3.4.2.5-03", "", "default@.always", "", "default", "always default"),
        ("P-3.4.2.5-03", "", "default", "", "default", "always default"),
        ("P-3.4.2.5-03", "", "request", "", "request", ""),
        ("A-78", "", "", "request@", "request", "always default request"),
        ("A-78", "", "", "request@.default", "request", "always default"),
        ("A-78", "", "", "default@.request", "default", "always default request"),
        ("A-78", "", "", "default@", "default", "always default request"),
        ("A-78", "", "", "other", "request", ""),
        ("A-78", "", "", "never@", "never", ""),
        ("A-78", "default", "", "request@", "request", ""),
        ("A-78", "", "request@", "request@", "request", ""),
    ],
)
def test_parts_shown(
    rule: str, only: str, without: str, written: str, attribute: str, parts: str, shape: str, where: str
) -> None:
    """Of a complex attribute, single or multi-valued, base or extension, exactly these parts are shown."""

    def names(text: str) -> list[str]:
        return [f"{where}:{name}" if where else name for name in _names(text.replace("@", shape))]

    projection = parse_projection(names(only), names(without), THING, Leniency(RFC))
    shown = project(FULL, THING, projection, frozenset(names(written)))
    holder = shown.get(where, {}) if where else shown
    assert _parts(holder.get(attribute + shape)) == parts, rule


@pytest.mark.parametrize(
    ("rule", "only", "without", "written", "shown"),
    [
        ("P-3.4.2.5-09", "", "", "", "schemas id externalId always default meta"),
        ("P-3.4.2.5-09", "default", "", "", "schemas id always default"),
        ("P-3.4.2.5-09", "meta", "", "", "schemas id always meta"),
        ("A-18", "nothing,of.this,urn:y:z", "", "", "schemas id always"),
        ("P-3.4.2.5-03", "", "id,schemas,always,default", "", "schemas id externalId always meta"),
        ("A-18", "", "nothing", "", "schemas id externalId always default meta"),
        ("P-3.4.2.5-04", "DEFAULT,Meta.Version", "", "", "schemas id always default meta"),
        ("P-3.4.2.5-04", f" {BASE.upper()}:Default ", "", "", "schemas id always default"),
        ("P-3.4.2.5-06", "never", "", "never", "schemas id always"),
        ("P-3.4.2.5-07", "request", "", "", "schemas id always request"),
        ("P-3.4.2.5-07", "", "", "request", "schemas id externalId always default request meta"),
        ("A-18", BASE, "", "", "schemas id always default request"),
        ("A-18", "", BASE, "", "schemas id externalId always meta"),
    ],
)
def test_attributes_shown(rule: str, only: str, without: str, written: str, shown: str) -> None:
    """Of the simple attributes, these are shown; names compare without case, unknown ones do nothing."""
    projection = parse_projection(_names(only), _names(without), THING, Leniency(RFC))
    out = project(FULL, THING, projection, frozenset(_names(written)))
    assert (
        " ".join(name for name in out if name != MORE and name not in {a.name for a in _ALL[4:]}) == shown
    ), rule


@pytest.mark.parametrize(
    ("only", "without", "shown"),
    [
        ("", "", "always default"),
        (MORE, "", "always default request"),
        (MORE.upper(), "", "always default request"),
        (f"{MORE}:default", "", "always default"),
        ("default", "", "always"),
        ("", MORE, "always"),
        ("", f"{MORE}:default", "always"),
    ],
)
def test_extension_shown(only: str, without: str, shown: str) -> None:
    """A-18: the URN of an extension names all of it; what is returned always stays in it too."""
    projection = parse_projection(_names(only), _names(without), THING, Leniency(RFC))
    simple = {attribute.name for attribute in _SIMPLE}
    assert " ".join(sorted(simple & set(project(FULL, THING, projection)[MORE]))) == shown


def test_nothing_empty_is_shown() -> None:
    """Values of which no part is left go, and so do the attribute and the extension without values."""
    document = {"defaultMany": [{"default": "x"}, {"always": "y"}], MORE: {"defaultOne": {"default": "x"}}}
    some = parse_projection(["defaultMany.request"], None, THING, Leniency())
    assert project(document, THING, some) == {"defaultMany": [{"always": "y"}]}
    other = parse_projection(None, [f"{MORE}:defaultOne.default", "defaultMany"], THING, Leniency())
    assert project(document, THING, other) == {}


def test_what_no_schema_defines_is_not_shown() -> None:
    """What a schema once defined and does not define any more stays inside."""
    document = {"old": 1, "urn:gone:1.0": {"a": 1}, MORE: {"old": 1}, "default": "x"}
    assert project(document, THING, DEFAULT) == {"default": "x"}
    assert split_stored(document, THING) == ({"default": "x"}, {})


def test_both_given() -> None:
    """P-3.4.2.5-05, A-17: both lists are refused in strict mode; in lenient mode attributes wins."""
    with pytest.raises(InvalidValue, match="exclude each other") as refusal:
        parse_projection(["default"], ["meta"], THING, Leniency(RFC))
    assert refusal.value.quirk == Quirk.BOTH_PROJECTIONS
    leniency = Leniency(AUTO)
    assert parse_projection(["default"], ["meta"], THING, leniency) == Projection(frozenset({"default"}))
    assert leniency.used == {Quirk.BOTH_PROJECTIONS}


@pytest.mark.parametrize("names", [None, [], [""], [" ", ""]])
def test_none_given(names: list[str] | None) -> None:
    """A list without names is no list: the default set, and no quirk is used."""
    leniency = Leniency(RFC)
    assert parse_projection(names, names, THING, leniency).is_default
    assert parse_projection(names, ["meta"], THING, leniency) == Projection(without=frozenset({"meta"}))
    assert not parse_projection(["unknown"], names, THING, leniency).is_default
    assert leniency.used == set()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("department", f"{ENTERPRISE}:department"),
        ("manager.displayName", f"{ENTERPRISE}:manager.displayName"),
        ("colour", f"{BADGE}:colour"),
        ("division", None),
    ],
)
def test_unqualified_names(name: str, text: str | None) -> None:
    """A-03: lenient mode knows an extension attribute without its URN, if one extension only defines it."""
    user = CATALOG.resource_type("User")
    assert user is not None
    expected = frozenset({text} if text else ())
    assert parse_projection([name], None, user, Leniency(AUTO)).only == expected
    assert parse_projection([name], None, user, Leniency(RFC)).only == frozenset()


_TEXTS = [
    *(path.text for path in THING.paths()),
    *(path._replace(sub=sub).text for path in THING.paths() for sub in path.attribute.sub_attributes),
    BASE, MORE, "unknown", "default.unknown",
]  # fmt: skip
_CHOICES = st.lists(st.sampled_from(_TEXTS), max_size=4)
_ELEMENT = st.fixed_dictionaries({}, optional={str(kind): st.just("x") for kind in Returned}).filter(bool)
_HOLDER = st.fixed_dictionaries(
    {},
    optional={
        **{attribute.name: st.just("x") for attribute in _SIMPLE},
        **{attribute.name: _ELEMENT for attribute in _SINGLE},
        **{attribute.name: st.lists(_ELEMENT, min_size=1, max_size=3) for attribute in _MANY},
    },
)
_DOCUMENTS = st.builds(
    lambda base, more: {"schemas": [BASE], "id": "1", **base, **({MORE: more} if more else {})},
    _HOLDER,
    _HOLDER,
)


def _keys(value: JsonValue) -> set[str]:
    if isinstance(value, list):
        return set().union(*map(_keys, value))
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set()


@given(_DOCUMENTS, _CHOICES, _CHOICES, _CHOICES)
def test_any_projection(
    document: JsonObject, only: list[str], without: list[str], written: list[str]
) -> None:
    """P-3.4.2.5-02, -03, -06: never is never shown and always is, whatever is asked; twice is once."""
    projection = parse_projection(only, without, THING, Leniency(AUTO))
    out = project(document, THING, projection, frozenset(written))
    assert not _keys(out) & {"never", "neverOne", "neverMany"}
    assert {"schemas", "id", "always"} & set(document) <= set(out)
    assert out.get(MORE, {}).get("always") == document.get(MORE, {}).get("always")
    assert project(out, THING, projection, frozenset(written)) == out


@given(_CHOICES, _CHOICES)
def test_wants(only: list[str], without: list[str]) -> None:
    """What is not wanted is not shown, and what is wanted is."""
    projection = parse_projection(only, without, THING, Leniency(AUTO))
    out = project(FULL, THING, projection)
    for name in {*FULL} - {"schemas", MORE}:
        assert wants(projection, THING, name) is (name in out)
    assert not wants(projection, THING, None)


@given(_DOCUMENTS)
def test_split_and_join(document: JsonObject) -> None:
    """Architecture §1: the stored body is the default projection, and with the rest makes the document again."""
    body, extra = split_stored(document, THING)
    assert body == project(document, THING, DEFAULT)
    assert not _keys(body) & {"never", "request", "neverOne", "neverMany", "requestOne", "requestMany"}
    assert join_stored(body, extra) == document
    assert project(join_stored(body, extra), THING, DEFAULT) == body


@pytest.mark.spec("S-09")
@pytest.mark.parametrize(("type", "document"), DOCUMENTS, ids=[document["id"] for _, document in DOCUMENTS])
def test_schemas(type: str, document: JsonObject) -> None:
    """A-04: the URNs are the base one and those of extensions with data, in the order of the type."""
    resource_type = CATALOG.resource_type(type)
    assert resource_type is not None
    assert schemas_of(document, resource_type) == document["schemas"]


def test_schemas_without_data() -> None:
    """A-04: an extension object without data does not count."""
    user = CATALOG.resource_type("User")
    assert user is not None
    assert schemas_of({"userName": "x", ENTERPRISE: {}, BADGE: {"colour": "x"}}, user) == [urns.USER, BADGE]
