"""Queries: pages and orders asked for, and the keys resources are ordered by."""

import pytest
from tests.protocol.written import ENTERPRISE, GADGET, GROUP, USER

from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.query import (
    Order,
    Page,
    clamped_count,
    clamped_page,
    parse_direction,
    parse_order,
    sort_key,
    whole_number,
)
from rollbook.protocol.quirks import AUTO, RFC, Leniency, Quirk
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject

LARGEST = 10**18 - 1


@pytest.mark.parametrize(
    ("rule", "start_index", "count", "page"),
    [
        ("P-3.4.2.4-01", None, None, Page(1, 100)),
        ("P-3.4.2.4-01", 0, 5, Page(1, 5)),
        ("P-3.4.2.4-01", -5, 5, Page(1, 5)),
        ("P-3.4.2.4-02", 11, 10, Page(11, 10)),
        ("P-3.4.2.4-03", 1, -1, Page(1, 0)),
        ("P-3.4.2.4-04", 1, 0, Page(1, 0)),
        ("P-3.4.2.4-11", 1, 100_000, Page(1, 200)),
        ("T-52", 2**64, 1, Page(LARGEST, 1)),
    ],
)
def test_page(rule: str, start_index: int | None, count: int | None, page: Page) -> None:
    """Numbers out of range are brought into range without error."""
    assert clamped_page(start_index, count, default=100, most=200) == page, rule
    assert clamped_count(count, default=100, most=200) == page.count


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-5", -5),
        ("007", 7),
        ("+8", 8),
        pytest.param("9" * 5000, LARGEST, id="5,000 digits"),
        pytest.param("-" + "9" * 5000, -LARGEST, id="minus 5,000 digits"),
        pytest.param("0" * 5000 + "7", 7, id="5,000 zeros and 7"),
    ],
)
def test_whole_number(text: str, number: int) -> None:
    """T-52: ASCII digits with a sign, as far as 64 bits hold them."""
    assert whole_number("count", text) == number


@pytest.mark.parametrize("text", ["", "abc", "1.0", "1e3", " 1", "1_0", "١", "0x1", "1\n", "--1", "+"])
def test_no_number(text: str) -> None:
    """P-3.4.2.4-10, T-52: what is no whole number in ASCII digits is an invalidValue that names the parameter."""
    with pytest.raises(InvalidValue, match="startIndex must be a whole number"):
        whole_number("startIndex", text)


@pytest.mark.parametrize(
    ("word", "descending"),
    [(None, False), ("ascending", False), ("descending", True), ("Descending", True)],
)
def test_direction(word: str | None, descending: bool) -> None:
    """P-3.4.2.3-05: ascending unless told otherwise."""
    assert parse_direction(word) is descending


@pytest.mark.parametrize("word", ["", "up", "desc", "ascending,descending"])
def test_no_direction(word: str) -> None:
    """P-3.4.2.3-05: any other word is an invalidValue that says which there are."""
    with pytest.raises(InvalidValue, match="sortOrder must be ascending or descending"):
        parse_direction(word)


@pytest.mark.parametrize(
    ("resource_type", "sort_by", "path"),
    [
        (USER, "userName", "userName"),
        (USER, "NAME.familyname", "name.familyName"),
        (USER, f"{USER.schema.id}:title", "title"),
        (USER, f"{ENTERPRISE}:department", f"{ENTERPRISE}:department"),
        (USER, "department", f"{ENTERPRISE}:department"),
        (USER, "emails", "emails.value"),
        (USER, "emails.type", "emails.type"),
        (USER, "meta.lastModified", "meta.lastModified"),
        (USER, "meta.location", "id"),
        (GROUP, "displayName", "displayName"),
        (GADGET, "tags", "tags"),
    ],
)
def test_order(resource_type: ResourceType, sort_by: str, path: str) -> None:
    """P-3.4.2.3-02, -03: any attribute or part by its name; `value` of a multi-valued one named without part."""
    order = parse_order(sort_by, resource_type, Leniency(AUTO), descending=True)
    assert order is not None
    assert (order.path.text, order.descending) == (path, True)


@pytest.mark.parametrize(
    ("resource_type", "sort_by", "said"),
    [
        (USER, "name", "name one of its parts: name.formatted"),
        (USER, "addresses", "name one of its parts: addresses.formatted"),
        (USER, "password", "never returned"),
        (USER, "groups", "memberships give no order"),
        (GROUP, "members.display", "memberships give no order"),
    ],
)
def test_no_order(resource_type: ResourceType, sort_by: str, said: str) -> None:
    """A-43: what gives no order is an invalidValue that says what would."""
    with pytest.raises(InvalidValue, match=said):
        parse_order(sort_by, resource_type, Leniency(AUTO), descending=False)


def test_no_order_by_what_is_not_there() -> None:
    """An attribute the type does not have is None: of several types another may have it."""
    assert parse_order("nosuch", USER, Leniency(AUTO), descending=False) is None


def test_an_extension_attribute_needs_its_urn_in_strict_mode() -> None:
    """P-3.10-02: strict mode names the quirk that would accept it."""
    with pytest.raises(InvalidValue, match="belongs to an extension") as refused:
        parse_order("department", USER, Leniency(RFC), descending=False)
    assert refused.value.quirk is Quirk.UNQUALIFIED_EXTENSION


def _order(resource_type: ResourceType, name: str) -> Order:
    order = parse_order(name, resource_type, Leniency(AUTO), descending=False)
    assert order is not None
    return order


@pytest.mark.parametrize(
    ("sort_by", "document", "key"),
    [
        ("userName", {"userName": "Ann"}, b"ann"),
        ("externalId", {"externalId": "Ann"}, b"Ann"),
        ("name.familyName", {"name": {"familyName": "Åström"}}, "åström".encode()),
        ("name.familyName", {"name": {"givenName": "x"}}, None),
        ("title", {}, None),
        ("emails", {"emails": [{"value": "B"}, {"value": "A", "primary": True}]}, b"a"),
        ("emails", {"emails": [{"value": "B"}, {"value": "A", "primary": False}]}, b"b"),
        ("emails.type", {"emails": [{"value": "x", "type": "work"}]}, b"work"),
        (
            "emails.display",
            {"emails": [{"value": "x", "display": "d"}, {"value": "y", "primary": True}]},
            None,
        ),
        (f"{ENTERPRISE}:department", {ENTERPRISE: {"department": "IT"}}, b"it"),
        ("active", {"active": True}, b"\x01"),
        ("title", {"title": 5}, None),
    ],
)
def test_sort_key(sort_by: str, document: JsonObject, key: bytes | None) -> None:
    """P-3.4.2.3-02, -06: the key of the primary value, else the first, by type and caseExact; None without."""
    assert sort_key(_order(USER, sort_by).path, document) == key
