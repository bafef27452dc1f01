"""Entity tags and the conditions on them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.protocol.versions import if_match, if_none_match, weak_tag

VERSION = 'W/"1-5"'

NAMES = [
    'W/"1-5"',
    '"1-5"',
    ' W/"1-5" ',
    'W/"1-4", W/"1-5"',
    '"a","1-5"',
    'W/"a,b" , "1-5"',
    ',, "1-5",',
    "*",
    " * ",
]
OTHERS = ['W/"1-4"', '"1-50"', 'W/"1"', 'W/"a", "b"', 'W/""']
MALFORMED = [
    "1-5",
    "W/1-5",
    'w/"1-5"',
    'W/"1-5',
    '1-5"',
    '"1-5" "x"',
    '"1-5", x',
    'W/"1-5", *',
    '"1\x005"',
    "",
    " ",
    ",",
]


@pytest.mark.parametrize("header", NAMES)
def test_p_3_14_05_07_a_condition_names_the_version(header: str) -> None:
    """P-3.14-05, P-3.14-07, P-3.14-09: alone, in a list, weak or strong, or by a star."""
    condition = if_match(header)
    assert condition is not None
    assert condition(VERSION)
    assert if_none_match(header, VERSION)


@pytest.mark.parametrize("header", OTHERS + MALFORMED)
def test_a_31_other_and_malformed_tags_match_nothing(header: str) -> None:
    """A-31: a malformed header is no permission to write, and no reason to withhold a resource."""
    condition = if_match(header)
    assert condition is not None
    assert not condition(VERSION)
    assert not if_none_match(header, VERSION)


def test_without_header_there_is_no_condition() -> None:
    """P-3.14-06: If-Match and If-None-Match are the client's choice."""
    assert if_match(None) is None
    assert not if_none_match(None, VERSION)


def test_p_3_14_04_tags_are_weak() -> None:
    """P-3.14-04: capital W, slash, quotes; nothing that cannot stand in a header."""
    assert weak_tag("1-5") == VERSION
    for opaque in ("", 'a"b', "a b", "a\r\nb", "ä"):
        with pytest.raises(ValueError, match="not an entity tag"):
            weak_tag(opaque)


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, blacklist_characters='"'), min_size=1))
def test_every_tag_names_itself_and_no_other(opaque: str) -> None:
    """A tag made here is read here."""
    condition = if_match(weak_tag(opaque))
    assert condition is not None
    assert condition(weak_tag(opaque))
    assert not condition(weak_tag(opaque + "x"))


@given(st.text(max_size=30))
def test_any_header_is_read(header: str) -> None:
    """No header brings anything but yes or no."""
    condition = if_match(header)
    assert condition is not None
    assert condition(VERSION) == if_none_match(header, VERSION)


def test_t_43_a_long_header_is_read_in_linear_time() -> None:
    """T-43: spaces, commas and quotes in any number are read once."""
    for header in (" " * 100_000, "," * 100_000 + "x", '"' * 100_001, '"a", ' * 50_000, '"' + " " * 100_000):
        condition = if_match(header)
        assert condition is not None
        assert not condition(VERSION)
