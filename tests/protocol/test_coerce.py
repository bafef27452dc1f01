"""Values of each type: what is taken, in which form, and what is refused with which advice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.written import ENTERPRISE, EXTRA_URN, GADGET, USER, only, without

from rollbook.protocol import coerce
from rollbook.protocol.errors import InvalidSyntax, InvalidValue, RequestError
from rollbook.protocol.quirks import AUTO, RFC, Leniency, Profile, Quirk
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import Inexact, JsonValue

MANAGER = f"{ENTERPRISE}:manager"


def read(
    name: str, value: JsonValue, profile: Profile = RFC, resource_type: ResourceType = GADGET
) -> JsonValue:
    """Read one attribute's value."""
    path = resource_type.find(name)
    assert path is not None
    return coerce.read_attribute(path, value, Leniency(profile))


ACCEPTED: list[tuple[str, str, JsonValue, JsonValue]] = [
    ("S-20", "label", "Ünï", "Ünï"),
    ("S-20 line breaks are text", "label", "a\nb", "a\nb"),
    ("A-93 strict", "label", "", ""),
    ("S-21", "on", False, False),
    ("S-22", "weight", 0.1, 0.1),
    ("S-22 whole", "weight", 1, 1),
    ("S-23", "size", -(2**63), -(2**63)),
    ("S-23 most", "size", 2**63 - 1, 2**63 - 1),
    ("S-24", "made", "2008-01-23T04:56:22Z", "2008-01-23T04:56:22.000Z"),
    ("S-24 offset", "made", "2011-05-13T06:42:34+02:00", "2011-05-13T04:42:34.000Z"),
    ("S-24 A-72 no zone", "made", "2011-05-13T04:42:34", "2011-05-13T04:42:34.000Z"),
    ("S-25", "picture", "AQI=", "AQI="),
    ("S-25 unpadded", "picture", "AQI", "AQI="),
    ("S-25 URL alphabet", "picture", "-_8", "+/8="),
    ("S-26", "manual", "../Users/1", "../Users/1"),
    ("S-27 case of parts", "box", {"KIND": "a", "depth": 1}, {"kind": "a", "depth": 1}),
    ("P-3.3-02 readOnly part", "box", {"kind": "a", "seen": "x"}, {"kind": "a"}),
    ("S-28", "tags", ["a", "b"], ["a", "b"]),
    ("S-04 part with many values", "box", {"kind": "a", "notes": ["x", "y"]}, {"kind": "a", "notes": ["x", "y"]}),
    ("S-05 null", "label", None, None),
    ("S-05 empty array", "tags", [], None),
    ("S-05 empty array for one", "label", [], None),
    ("S-05 empty object", "box", {}, None),
    ("S-05 null parts", "box", {"kind": None}, None),
    ("A-89 same text", "tags", ["a", "A", "b"], ["a", "b"]),
    ("A-89 same pair", "ports", [{"value": "a", "type": "x"}, {"value": "A", "type": "X"}], [{"value": "a", "type": "x"}]),
    (
        "S-32 another type",
        "ports",
        [{"value": "a", "type": "x"}, {"value": "a", "type": "y"}],
        [{"value": "a", "type": "x"}, {"value": "a", "type": "y"}],
    ),
    (
        "A-89 parts are joined",
        "ports",
        [{"value": "a", "speed": 1}, {"value": "a", "primary": True}],
        [{"value": "a", "speed": 1, "primary": True}],
    ),
    ("A-89 copies without value", "ports", [{"speed": 1}, {"speed": 1}, {"speed": 2}], [{"speed": 1}, {"speed": 2}]),
    ("A-29", "ports", [{"type": "x", "primary": True}, {"value": "a"}], [{"value": "a"}]),
    ("A-29 nothing left", "ports", [{}, {"type": "x"}], None),
    ("S-30", "ports", [{"value": "a", "primary": True}, {"value": "b", "primary": False}],
     [{"value": "a", "primary": True}, {"value": "b", "primary": False}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "sent", "kept"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED]
)
def test_a_value_is_taken_in_canonical_form(name: str, sent: JsonValue, kept: JsonValue) -> None:
    """Values of each type are read into one form, whatever form the type allows on the wire."""
    assert read(name, sent) == kept


@pytest.mark.parametrize(
    ("name", "sent", "kept"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED]
)
def test_canonical_values_are_read_as_they_are(name: str, sent: JsonValue, kept: JsonValue) -> None:
    """Reading what reading made changes nothing."""
    del sent
    assert read(name, kept) == kept


REFUSED: list[tuple[str, str, JsonValue, type[RequestError], str]] = [
    ("P-3.3-13 number for text", "label", 5, InvalidValue, "label: 5 is not of type string; send a JSON string"),
    ("P-3.3-13 object for text", "label", {}, InvalidValue, "an object is not of type string"),
    ("S-21", "on", "maybe", InvalidValue, 'on: "maybe" is not of type boolean; send true or false'),
    ("S-21 number", "on", 1, InvalidValue, "true or false"),
    ("S-23 fraction", "size", 1.0, InvalidValue, "without fraction or exponent"),
    ("S-23 exponent", "size", 1e3, InvalidValue, "without fraction or exponent"),
    ("S-23 boolean", "size", True, InvalidValue, "a whole number"),
    ("S-23 size", "size", 2**63, InvalidValue, "at most 64 bits"),
    ("T-45 digits", "size", 10**5000, InvalidValue, "a number of that size"),
    ("S-22 text", "weight", "1.5", InvalidValue, "a JSON number"),
    ("S-22 boolean", "weight", True, InvalidValue, "a JSON number"),
    ("S-22 infinity", "weight", float("inf"), InvalidValue, "a JSON number"),
    ("S-22 inexact", "weight", Inexact("0.12345678901234567890"), InvalidValue, "weight: 0.12345678901234567890 would not"),
    ("S-22 long", "weight", Inexact("1" + "0" * 99), InvalidValue, "0… would not be kept exactly"),
    ("T-45 decimal digits", "weight", 10**5000, InvalidValue, "a JSON number"),
    ("S-24 date only", "made", "2008-01-23", InvalidValue, "such as 2026-11-23T09:30:00Z"),
    ("S-24 calendar", "made", "2023-02-30T00:00:00Z", InvalidValue, "a date and time"),
    ("S-24 out of range", "made", "0001-01-01T00:00:00+14:00", InvalidValue, "a date and time"),
    ("S-24 number", "made", 5, InvalidValue, "a date and time"),
    ("S-25", "picture", "*", InvalidValue, "base64 text"),
    ("S-25 number", "picture", 5, InvalidValue, "a JSON string"),
    ("S-26 control", "manual", "http://x/\r\ny", InvalidValue, "a URI, without control characters"),
    ("S-27", "box", "x", InvalidValue, "an object with kind, lid, depth, seen, notes"),
    ("A-26 text is no complex value", "ports", ["x"], InvalidValue, "an object with value, type"),
    ("S-28 several for one", "label", ["a", "b"], InvalidValue, "one value is due here, not an array of 2"),
    ("S-28 several for one object", "box", [{"kind": "a"}, {}], InvalidValue, "not an array of 2"),
    ("S-28 list in a list", "ports", [[{"value": "a"}]], InvalidValue, "an object with value"),
    ("S-28 null inside", "tags", ["a", None], InvalidValue, "leave null out"),
    ("A-24 P-3.3-21 S-30", "ports", [{"value": "a", "primary": True}, {"value": "b", "primary": True}], InvalidValue,
     "several values are primary"),
    ("A-57 length", "label", "x" * (coerce.MAX_TEXT + 1), InvalidValue, "65537 characters are too many"),
    ("A-57 reference", "manual", "x" * (coerce.MAX_BLOB + 1), InvalidValue, "characters are too many"),
    ("A-57 values", "tags", ["x"] * (coerce.MAX_VALUES + 1), InvalidValue, "10001 values are too many"),
    ("S-20 surrogate", "label", "a\ud800", InvalidSyntax, "lone surrogates are not text"),
    ("T-45 NUL", "label", "a\x00", InvalidSyntax, "NUL"),
    ("T-45 NUL in a part", "box", {"kind": "a\x00"}, InvalidSyntax, "box.kind: NUL"),
    ("A-56 repeated part", "box", {"kind": "a", "KIND": "b"}, InvalidSyntax, "is there twice"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "sent", "error", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_a_value_that_does_not_fit_is_refused(
    name: str, sent: JsonValue, error: type[RequestError], words: str, profile: Profile
) -> None:
    """What no quirk covers is refused in both modes; the text names the attribute and what would be accepted."""
    with pytest.raises(error) as caught:
        read(name, sent, profile)
    assert words in caught.value.detail
    assert caught.value.detail.startswith(name)
    assert caught.value.quirk is None


QUIRKS: list[tuple[str, str, JsonValue, Quirk, JsonValue]] = [
    ("A-12", "on", "False", Quirk.STRING_BOOLEANS, False),
    ("A-12 any case", "on", "tRUE", Quirk.STRING_BOOLEANS, True),
    ("A-12 in a part", "ports", [{"value": "a", "primary": "True"}], Quirk.STRING_BOOLEANS,
     [{"value": "a", "primary": True}]),
    ("A-26 one for many", "tags", "a", Quirk.SINGLE_AS_LIST, ["a"]),
    ("A-26 object for many", "ports", {"value": "a"}, Quirk.SINGLE_AS_LIST, [{"value": "a"}]),
    ("A-26 list of one", "label", ["a"], Quirk.SINGLE_AS_LIST, "a"),
    ("A-26 list of one object", "box", [{"kind": "a"}], Quirk.SINGLE_AS_LIST, {"kind": "a"}),
    ("A-93 dateTime", "made", "", Quirk.EMPTY_STRING_CLEARS, None),
    ("A-03 part", "box", {"kind": "a", "foo": 1}, Quirk.UNKNOWN_ATTRIBUTES, {"kind": "a"}),
    ("A-79 S-75", f"{EXTRA_URN}:keeper", "7", Quirk.MANAGER_AS_STRING, {"value": "7"}),
    ("A-79 empty", f"{EXTRA_URN}:keeper", "", Quirk.MANAGER_AS_STRING, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "sent", "quirk", "kept"), [row[1:] for row in QUIRKS], ids=[row[0] for row in QUIRKS]
)
def test_a_quirk_accepts_what_the_rfc_refuses(
    name: str, sent: JsonValue, quirk: Quirk, kept: JsonValue
) -> None:
    """One switch alone makes the difference, and counts as used."""
    leniency = Leniency(only(quirk))
    path = GADGET.find(name)
    assert path is not None
    assert coerce.read_attribute(path, sent, leniency) == kept
    assert leniency.used == {quirk}


@pytest.mark.parametrize(
    ("name", "sent", "quirk"), [row[1:4] for row in QUIRKS], ids=[row[0] for row in QUIRKS]
)
def test_a_refusal_names_the_quirk_that_is_off(name: str, sent: JsonValue, quirk: Quirk) -> None:
    """With all other switches on, the value is refused and the error says which switch would take it."""
    with pytest.raises(RequestError) as caught:
        read(name, sent, without(quirk))
    assert caught.value.quirk == quirk


@pytest.mark.parametrize(
    ("name", "sent", "strict", "lenient"),
    [
        ("label", "", "", None),
        ("manual", "", "", None),
        ("picture", "", "", None),
        ("tags", ["", "a"], ["", "a"], ["a"]),
        ("tags", [""], [""], None),
        ("box", {"kind": ""}, {"kind": ""}, None),
    ],
)
def test_a_93_empty_text_clears_in_lenient_mode_only(
    name: str, sent: JsonValue, strict: JsonValue, lenient: JsonValue
) -> None:
    """A-93: "" is a value by the RFC, and unassigns where leniency says so."""
    assert read(name, sent, without(Quirk.EMPTY_STRING_CLEARS)) == strict
    assert read(name, sent, only(Quirk.EMPTY_STRING_CLEARS)) == lenient


@pytest.mark.parametrize(
    "text",
    [
        "a\u202eb",
        "a\u200bb",
        "a\u2066b",
        "\ufeffa",
        "a\x07",
        "a\x85",
        "a\u00adb",
        "a\U000e0041",
        "a\u115f",
        "a\ufe0f",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_a_64_a_unique_value_has_no_invisible_characters(text: str, profile: Profile) -> None:
    """A-64: controls, bidi overrides and characters of no width are refused where two values must differ."""
    with pytest.raises(InvalidValue, match="userName: control, zero-width and text-direction"):
        read("userName", text, profile, USER)
    assert read("displayName", text, profile, USER) == text


@pytest.mark.parametrize(
    "text", ["Ann Müller", "安", "anne-marie@example.com", "o'neil", "a b", "مريم", "👩"]
)
def test_a_64_a_unique_value_has_any_visible_characters(text: str) -> None:
    """P-5-02: names with spaces, symbols and letters of any script are kept as sent."""
    assert read("userName", text, RFC, USER) == text


def test_t_60_a_refusal_never_shows_a_secret() -> None:
    """T-60: the value of an attribute that is never returned is in no error text."""
    with pytest.raises(InvalidValue) as caught:
        read("pin", 123456)
    assert "123456" not in caught.value.detail
    assert caught.value.detail.startswith("pin: what was sent is not of type string")


def test_a_refusal_shows_the_beginning_of_a_long_value() -> None:
    """An error text stays short however long the value is."""
    with pytest.raises(InvalidValue) as caught:
        read("on", "x" * 10_000)
    assert len(caught.value.detail) < 200


def test_a_part_with_its_urn_is_named_so_in_the_refusal() -> None:
    """An extension attribute is named by its full path."""
    with pytest.raises(InvalidValue, match=f"^{EXTRA_URN}:size: "):
        read(f"{EXTRA_URN}:size", "1")


def test_photos_as_data_uris_are_longer_than_names() -> None:
    """References take a megabyte of text, strings 64 thousand characters."""
    uri = "data:image/jpeg;base64," + "A" * 200_000
    assert read("photos", [{"value": uri}], RFC, USER) == [{"value": uri}]


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text()),
                 st.dictionaries(st.sampled_from(["kind", "value", "Type", "x"]), st.one_of(st.text(), st.none()))),
       st.sampled_from(["label", "size", "weight", "on", "made", "picture", "manual", "tags", "ports", "box"]),
       st.sampled_from([RFC, AUTO]))  # fmt: skip
def test_any_json_value_is_taken_or_refused(value: JsonValue, name: str, profile: Profile) -> None:
    """No value of any type brings anything but a canonical value or a RequestError; canonical ones stay."""
    try:
        kept = read(name, value, profile)
    except RequestError:
        return
    assert read(name, kept, profile) == kept
