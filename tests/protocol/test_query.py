"""Pages asked for, brought into range."""

import pytest

from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.query import Page, parse_page


@pytest.mark.parametrize(
    ("rule", "start_index", "count", "page"),
    [
        ("P-3.4.2.4-01", None, None, Page(1, 100)),
        ("P-3.4.2.4-01", "0", "5", Page(1, 5)),
        ("P-3.4.2.4-01", "-5", "5", Page(1, 5)),
        ("P-3.4.2.4-02", "11", "10", Page(11, 10)),
        ("P-3.4.2.4-03", "1", "-1", Page(1, 0)),
        ("P-3.4.2.4-04", "1", "0", Page(1, 0)),
        ("P-3.4.2.4-11", "1", "100000", Page(1, 200)),
        ("P-3.4.2.4-11", "007", "+8", Page(7, 8)),
        pytest.param("T-52", "1", "9" * 5000, Page(1, 200), id="5,000 digits"),
        pytest.param("T-52", "1", "-" + "9" * 5000, Page(1, 0), id="minus 5,000 digits"),
        pytest.param("T-52", "1", "0" * 5000 + "7", Page(1, 7), id="5,000 zeros and 7"),
        ("T-52", "18446744073709551616", "1", Page(10**18 - 1, 1)),
    ],
)
def test_page(rule: str, start_index: str | None, count: str | None, page: Page) -> None:
    """Numbers out of range are brought into range without error."""
    assert parse_page(start_index, count, default=100, most=200) == page, rule


@pytest.mark.parametrize("text", ["", "abc", "1.0", "1e3", " 1", "1_0", "١", "0x1", "1\n", "--1", "+"])
def test_no_number(text: str) -> None:
    """P-3.4.2.4-10, T-52: what is no whole number in ASCII digits is an invalidValue that names the parameter."""
    with pytest.raises(InvalidValue, match="startIndex must be a whole number"):
        parse_page(text, None, default=100, most=200)
    with pytest.raises(InvalidValue, match="count must be a whole number"):
        parse_page(None, text, default=100, most=200)
