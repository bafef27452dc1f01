"""Keys: equality and order of values, per attribute type."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.protocol.attributes import Attribute, Type
from rollbook.protocol.compare import (
    decode_binary,
    key,
    parse_date_time,
    prepare,
    render_date_time,
    searched_text,
    searches_key,
    text_key,
)
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.values import JsonValue

STRING = Attribute("s")
EXACT = Attribute("e", case_exact=True)
INTEGER = Attribute("i", Type.INTEGER)
DECIMAL = Attribute("d", Type.DECIMAL)
BOOLEAN = Attribute("b", Type.BOOLEAN)
MOMENT = Attribute("m", Type.DATE_TIME)
BINARY = Attribute("x", Type.BINARY)
LINK = Attribute("l", Type.REFERENCE, reference_types=("external",))
RESOURCE = Attribute("r", Type.REFERENCE, reference_types=("User", "Group"))
COMPLEX = Attribute("c", Type.COMPLEX, sub_attributes=(STRING,))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("José", "JOSE\u0301"),
        ("Ann", "\uff21\uff2e\uff2e"),
        ("straße", "STRASSE"),
        ("straße", "STRA\u1e9eE"),
        ("ς", "Σ"),
        ("\u212a", "k"),
        ("ſ", "S"),
        ("ﬁn", "FIN"),
        ("x²", "X2"),
    ],
)
def test_same_name(one: str, other: str) -> None:
    """T-54, T-55: names a reader calls the same by width, case or composition have one key."""
    assert key(STRING, one) == key(STRING, other)
    assert key(EXACT, one) != key(EXACT, other)


@pytest.mark.parametrize(("one", "other"), [("a", "\u0430"), ("i", "ı"), ("a", "á"), ("a ", "a"), ("1", "l")])
def test_other_name(one: str, other: str) -> None:
    """T-54: look-alikes of other scripts, accents and spaces are other names."""
    assert key(STRING, one) != key(STRING, other)


def test_composition_alone_is_no_difference() -> None:
    """P-3.4.2.2-16: exact text compares composed, and with case."""
    assert key(EXACT, "Jose\u0301") == key(EXACT, "José")
    assert key(EXACT, "\u0390") == key(EXACT, "\u1fd3") == key(EXACT, "\u03b9\u0308\u0301")
    assert key(EXACT, "José") != key(EXACT, "josé")
    assert text_key("José", exact=False) == text_key("JOSÉ", exact=False)


def test_key_of_key_for_every_character() -> None:
    """T-55: preparing what is prepared changes nothing, for every character of Unicode."""
    for code in range(sys.maxunicode + 1):
        if not 0xD800 <= code <= 0xDFFF:
            once = prepare(chr(code))
            assert prepare(once) == once, hex(code)


@given(st.text())
def test_key_of_key(text: str) -> None:
    """T-55: preparing what is prepared changes nothing, for every text; composition and case do not matter."""
    once = prepare(text)
    assert prepare(once) == once
    assert prepare(unicodedata.normalize("NFD", text)) == once
    assert prepare(once.upper()) == prepare(prepare(once.upper()))


@given(st.text("abßΑα\u0301é", max_size=4), st.text("abßΑα\u0301é", max_size=4))
def test_text_order(one: str, other: str) -> None:
    """P-3.4.2.2-31: keys of text are ordered by code point."""
    assert (key(STRING, one) < key(STRING, other)) == (prepare(one) < prepare(other))


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_integer_order(one: int, other: int) -> None:
    """Integers are ordered by number over all of 64 bits."""
    assert (key(INTEGER, one) < key(INTEGER, other)) == (one < other)
    assert (key(INTEGER, one) == key(INTEGER, other)) == (one == other)


_FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(_FINITE, _FINITE | st.integers(-(2**53), 2**53))
def test_decimal_order(one: float, other: float) -> None:
    """Decimals are ordered by number, whole ones among them; zero has one key."""
    assert (key(DECIMAL, one) < key(DECIMAL, other)) == (one < other)
    assert (key(DECIMAL, one) == key(DECIMAL, other)) == (one == other)
    assert key(DECIMAL, -0.0) == key(DECIMAL, 0)


_MILLISECONDS = st.integers(-62_135_596_800_000, 253_402_300_799_999)


@given(_MILLISECONDS, _MILLISECONDS)
def test_date_time_round_trip_and_order(one: int, other: int) -> None:
    """A-72: what is sent is read as the same moment, and keys are in order of time, years 1 to 9999."""
    text = render_date_time(one)
    assert parse_date_time(text) == one
    assert text.endswith("Z")
    assert len(text) == 24
    assert (key(MOMENT, text) < key(MOMENT, render_date_time(other))) == (one < other)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2011-05-13T04:42:34Z", "2011-05-13T06:42:34+02:00"),
        ("2011-05-13T04:42:34", "2011-05-13T04:42:34.000Z"),
        ("2011-05-13t04:42:34z", "2011-05-13T04:42:34Z"),
        ("2011-05-13T04:42:34.5Z", "2011-05-12T14:42:34.500-14:00"),
        ("2011-05-13T04:42:34.123456789Z", "2011-05-13T04:42:34.123Z"),
        ("2012-02-29T23:30:00-00:30", "2012-03-01T00:00:00Z"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
    ],
)
def test_same_moment(text: str, same: str) -> None:
    """P-3.4.2.2-30: moments compare by instant, whatever zone they are written in."""
    assert key(MOMENT, text) == key(MOMENT, same)


@pytest.mark.parametrize(
    "text",
    ["", "2011-05-13", "2011-05-13 04:42:34Z", "2011-02-29T00:00:00Z", "2011-05-13T24:00:00Z", "2011-13-01T00:00:00Z",
     "2011-05-13T04:42:60Z", "2011-05-13T04:42Z", "2011-05-13T04:42:34.Z", "2011-05-13T04:42:34+14:01",
     "2011-05-13T04:42:34+02:60", "2011-05-13T04:42:34+0200", "0000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z",
     "10000-01-01T00:00:00Z", "٢٠١١-05-13T04:42:34Z", "2011-05-13T04:42:34Z\n", pytest.param("9" * 9999 + "-01-01T00:00:00Z", id="year of 9,999 digits")],
)  # fmt: skip
def test_no_date_time(text: str) -> None:
    """S-24: what is no moment of the calendar is refused, never guessed."""
    with pytest.raises(ValueError):  # noqa: PT011  # the text is the message
        parse_date_time(text)
    with pytest.raises(InvalidValue, match="send a date and time such as"):
        key(MOMENT, text)


@pytest.mark.parametrize("text", ["+/8BAg==", "-_8BAg==", "-_8BAg", "+/8BAg"])
def test_binary(text: str) -> None:
    """S-25: binary values compare by their bytes, whichever base64 they are written in."""
    assert key(BINARY, text) == b"\xfb\xff\x01\x02" == decode_binary(text)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("https://h/v2/Users/1", "../Users/1", True),
        ("https://h/v2/Users/1", "https://h/scim/v1/Users/1/", True),
        ("Users/1", "/Users/1", True),
        ("Users/1", "Groups/1", False),
        ("Users/a", "Users/A", False),
        ("1", "1", True),
    ],
)
def test_reference(one: str, other: str, *, equal: bool) -> None:
    """RFC 7643 §2.4: references to resources compare without base and version; others as they are."""
    assert (key(RESOURCE, one) == key(RESOURCE, other)) is equal
    assert (key(LINK, one) == key(LINK, other)) is (one == other)


@pytest.mark.parametrize(
    ("attribute", "value", "text"),
    [
        (STRING, "ÄB", "äb"),
        (EXACT, "ÄB", "ÄB"),
        (LINK, "https://X/", "https://X/"),
        (RESOURCE, "https://x/v2/Users/1", "https://x/v2/Users/1"),
        (MOMENT, "2011-05-13T06:42:34+02:00", "2011-05-13T04:42:34.000Z"),
    ],
)
def test_searched_text(attribute: Attribute, value: str, text: str) -> None:
    """A-15: substrings are looked for in the text; where `searches_key` says so, in the key."""
    assert searched_text(attribute, value) == text.encode()
    assert (searched_text(attribute, value) == key(attribute, value)) is searches_key(attribute)


@pytest.mark.parametrize("attribute", [INTEGER, DECIMAL, BOOLEAN, BINARY, COMPLEX])
def test_nothing_to_search(attribute: Attribute) -> None:
    """Types without text have nothing that a substring could be found in."""
    assert not searches_key(attribute)
    with pytest.raises(InvalidValue, match="has no text to search in"):
        searched_text(attribute, "x")


@pytest.mark.parametrize(
    ("attribute", "value", "shown"),
    [
        (STRING, 5, "s: 5 is not of type string; send a JSON string"),
        (STRING, None, "s: null is not of type string"),
        (STRING, ["x"], "s: list is not of type string"),
        (STRING, "\ud800", "send text without lone surrogates"),
        (BOOLEAN, "true", "b: 'true' is not of type boolean; send true or false"),
        pytest.param(BOOLEAN, "\n" * 9999, "b: '\\n", id="9,999 lines"),
        (BOOLEAN, 1, "b: 1 is not of type boolean"),
        (BOOLEAN, "\ud800", "b: '\\ud800"),
        (INTEGER, True, "i: true is not of type integer"),
        (INTEGER, 1.0, "i: 1.0 is not of type integer"),
        (INTEGER, 2**63, "a whole number of at most 64 bits"),
        (INTEGER, -(2**63) - 1, "a whole number of at most 64 bits"),
        (INTEGER, "1", "i: '1' is not of type integer"),
        (DECIMAL, "1", "send a JSON number"),
        (DECIMAL, False, "d: false is not of type decimal"),
        (DECIMAL, float("nan"), "a JSON number that fits 64 bits"),
        (DECIMAL, float("inf"), "a JSON number that fits 64 bits"),
        pytest.param(DECIMAL, 10**400, "a JSON number that fits 64 bits", id="400 digits"),
        (MOMENT, 5, "send a date and time such as 2026-11-23T09:30:00Z"),
        (BINARY, "a", "send base64 text"),
        (BINARY, "é", "send base64 text"),
        (BINARY, "A QID", "send base64 text"),
        (BINARY, 5, "x: 5 is not of type binary"),
        (LINK, {}, "l: dict is not of type reference"),
        (RESOURCE, 1, "r: 1 is not of type reference"),
        (COMPLEX, {}, "c: dict is not of type complex; send one of its sub-attributes"),
    ],
)
def test_refused(attribute: Attribute, value: JsonValue, shown: str) -> None:
    """A value of another type has no key; the refusal names attribute, value and what would be accepted."""
    with pytest.raises(InvalidValue) as refusal:
        key(attribute, value)
    assert shown in refusal.value.detail
    assert len(refusal.value.detail) < 200
    assert refusal.value.detail.encode()
