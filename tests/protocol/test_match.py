"""What filters find: the shared table, single elements, and the values of a path."""

import operator
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.filter_trees import SOUP, trees

from rollbook.protocol.attributes import Returned
from rollbook.protocol.errors import InvalidFilter
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.filters import And, Compare, Filter, Name, Not, Operator, Or, Present, Select
from rollbook.protocol.match import matches, matches_element, values
from rollbook.protocol.quirks import RFC, Leniency
from rollbook.protocol.resolve import resolve, resolve_selection
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.testing.filter_rows import CATALOG, DOCUMENTS, ROWS, SUPPORT, Row


def _type(name: str) -> ResourceType:
    found = CATALOG.resource_type(name)
    assert found is not None
    return found


def _path(type: str, text: str) -> AttributePath:
    found = _type(type).find(text)
    assert found is not None
    return found


def _document(id: str) -> JsonObject:
    return next(document for _, document in DOCUMENTS if document["id"] == id)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_filter_finds(row: Row) -> None:
    """Each filter of the table finds exactly the documents it names."""
    leniency = Leniency(row.profile)
    node = resolve(parse_filter(row.text, leniency), _type(row.type), leniency)
    found = {doc["id"] for name, doc in DOCUMENTS if name == row.type and matches(node, doc)}
    assert found == row.ids


def test_rows_tell_apart() -> None:
    """The table covers enough to be worth sharing, and most rows find some but not all documents."""
    assert len(ROWS) >= 120
    telling = [row for row in ROWS if 0 < len(row.ids) < 6]
    assert len(telling) >= 100
    assert len(set().union(*(row.ids for row in ROWS))) == len(DOCUMENTS)


@pytest.mark.parametrize(
    ("type", "path", "id", "found"),
    [
        ("Device", "serial", "d-01", [(0, "A1")]),
        ("Device", "tags", "d-01", [(0, "Core"), (1, "edge")]),
        ("Device", "keys.type", "d-01", [(0, "ssh"), (1, "tls")]),
        ("Device", "keys.hosts", "d-01", [(1, "a.example"), (1, "b")]),
        ("Device", "keys.digest", "d-02", [(1, "AQID")]),
        ("Device", "place.floor", "d-01", [(0, 0)]),
        ("Device", "place", "d-04", [(0, {"floor": -1})]),
        ("Device", f"{SUPPORT}:contract", "d-01", [(0, "Gold")]),
        ("Device", f"{SUPPORT}:contact.value", "d-02", [(0, "Desk-1")]),
        ("Device", f"{SUPPORT}:contract", "d-03", []),
        ("Device", "label", "d-03", []),
        ("Device", "keys.type", "d-03", []),
    ],
)
def test_values(type: str, path: str, id: str, found: list[tuple[int, JsonValue]]) -> None:
    """Every value at a path comes with the number of the element it is in."""
    assert list(values(_path(type, path), _document(id))) == found


@pytest.mark.parametrize(
    ("path", "inner", "value", "holds"),
    [
        ("keys", 'type eq "SSH" and bits gt 5', {"type": "ssh", "bits": 6}, True),
        ("keys", 'type eq "SSH" and bits gt 5', {"type": "ssh", "bits": 5}, False),
        ("keys", "not (bits pr)", {"type": "ssh"}, True),
        ("keys", 'hosts eq "B"', {"hosts": ["a", "b"]}, True),
        ("keys", 'hosts ne "B"', {"hosts": ["a", "b"]}, False),
        ("keys", "trusted ne true", {}, True),
        ("tags", 'value eq "CORE"', "core", True),
        ("tags", 'value ne "core" and value pr', "core", False),
        ("ports", "value ge 80 or value eq 22", 22, True),
        ("ports", "value ge 80 or value eq 22", 23, False),
    ],
)
def test_element(path: str, inner: str, value: JsonValue, holds: bool) -> None:
    """P-3.4.2.2-10, -22: a bracket looks at one value alone, negations too."""
    leniency = Leniency()
    node = resolve_selection(parse_filter(inner, leniency), _path("Device", path), leniency)
    assert matches_element(node, value) is holds


def test_value_of_another_type() -> None:
    """A value stored before its attribute changed type equals nothing and is in no order, but is there."""
    device = _type("Device")
    old = {"slots": "many", "keys": "none"}
    for text, holds in (
        ("slots eq 1", False),
        ("slots ne 1", True),
        ("slots gt 0", False),
        ("slots pr", True),
    ):
        assert matches(resolve(parse_filter(text, Leniency()), device, Leniency()), old) is holds
    assert not matches(resolve(parse_filter('keys[type eq "x"]', Leniency()), device, Leniency()), old)


_PLAIN = st.text("aAbB%", max_size=3)
_LEAVES: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Present, st.sampled_from([Name("title"), Name("emails"), Name("emails.type")])),
    st.builds(
        Compare,
        st.sampled_from([Name("title"), Name("externalId"), Name("emails"), Name("emails.type")]),
        st.sampled_from(Operator),
        _PLAIN,
    ),
)
_EMAIL = st.dictionaries(st.sampled_from(["value", "type"]), _PLAIN, max_size=2)
_PEOPLE = st.fixed_dictionaries(
    {}, optional={"title": _PLAIN, "externalId": _PLAIN, "emails": st.lists(_EMAIL, max_size=2)}
)
_TELLS: dict[Operator, Callable[[str, str], bool]] = {
    Operator.EQ: operator.eq,
    Operator.CO: operator.contains,
    Operator.SW: str.startswith,
    Operator.EW: str.endswith,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
}


def _texts(name: str, person: JsonObject) -> list[str]:
    attribute, _, part = name.partition(".")
    if attribute != "emails":
        return [person[name]] if name in person else []
    return [email[part or "value"] for email in person.get("emails", []) if (part or "value") in email]


def _reference(node: Filter, person: JsonObject) -> bool:
    """The meaning of a filter on ASCII texts, written as the RFC's table 3 and 4 read."""
    match node:
        case Present(name):
            parts = ("emails.value", "emails.type") if name.text == "emails" else (name.text,)
            return any(text for part in parts for text in _texts(part, person))
        case Compare(name, Operator.NE, value):
            return not _reference(Compare(name, Operator.EQ, value), person)
        case Compare(name, relation, value):
            texts = _texts(name.text, person)
            if value == "" and relation in {Operator.CO, Operator.SW, Operator.EW}:
                return any(texts)
            if name.text == "externalId":
                return any(_TELLS[relation](text, value) for text in texts)
            return any(_TELLS[relation](text.lower(), value.lower()) for text in texts)
        case Not(term):
            return not _reference(term, person)
        case And(terms):
            return all(_reference(term, person) for term in terms)
        case Or(terms):
            return any(_reference(term, person) for term in terms)
        case Select():
            raise AssertionError(node)


@given(trees(_LEAVES), _PEOPLE)
def test_agrees_with_reference(node: Filter, person: JsonObject) -> None:
    """P-3.4.2.2-02: the matcher and a direct reading of the RFC agree on any filter and document."""
    assert matches(resolve(node, _type("User"), Leniency()), person) is _reference(node, person)


@given(SOUP)
def test_any_filter_answers(text: str) -> None:
    """T-44: whatever resolves also matches or not, on every document, without an error."""
    try:
        node = resolve(parse_filter(text, Leniency()), _type("User"), Leniency())
    except InvalidFilter:
        return
    assert {matches(node, document) for name, document in DOCUMENTS if name == "User"} <= {True, False}


def _names(resource_type: ResourceType) -> list[str]:
    """Every attribute and part that a filter may name."""
    paths = [path for path in resource_type.paths() if path.attribute.returned is not Returned.NEVER]
    parts = [path._replace(sub=sub) for path in paths for sub in path.attribute.sub_attributes]
    return [path.text for path in (*paths, *parts) if path.leaf.returned is not Returned.NEVER]


@pytest.mark.parametrize("type", ["User", "Group", "Device"])
def test_null_is_absence(type: str) -> None:
    """P-3.4.2.2-21: `x eq null` is `not (x pr)` and `x ne null` is `x pr`, for every attribute there is."""
    strict = Leniency(RFC)
    documents = [document for name, document in DOCUMENTS if name == type]
    for name in _names(_type(type)):
        forms = (f"{name} pr", f"{name} ne null", f"not ({name} eq null)")
        nodes = [resolve(parse_filter(form, strict), _type(type), strict) for form in forms]
        for document in documents:
            assert len({matches(node, document) for node in nodes}) == 1, name
