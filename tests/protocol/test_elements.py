"""When two values of an attribute are the same (RFC 7643 §2.4, S-32)."""

from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.written import USER

from rollbook.protocol.elements import _identity, _plain_identity

_TEXTS = (
    st.none() | st.sampled_from(["", "work", "Work", "WÖRK", "ſ", "K", "+1", "a@B.c"]) | st.text(max_size=3)
)


@given(_TEXTS, _TEXTS)
def test_what_is_found_cheaply_is_the_same(value: str | None, kind: str | None) -> None:
    """The short way to say which value one is agrees with the long one wherever it says anything (S-32)."""
    attribute = USER.schema.attribute("phoneNumbers")
    assert attribute is not None
    element = {name: text for name, text in (("value", value), ("type", kind)) if text is not None}
    cheap = _plain_identity(element)
    assert cheap is None or cheap == _identity(attribute, element)
    if value is not None and value.isascii() and (kind is None or kind.isascii()):
        assert cheap is not None
