"""Names become attributes, literals become keys, and what does not fit is refused."""

from itertools import product

import pytest

from rollbook.protocol import compare
from rollbook.protocol.attributes import Type
from rollbook.protocol.errors import InvalidFilter
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.filters import Operator
from rollbook.protocol.quirks import AUTO, RFC, Leniency, Profile, Quirk
from rollbook.protocol.resolve import OPERATORS, resolve, resolve_selection
from rollbook.protocol.resolved import AllOf, AnyOf, Element, HasValue, NotAny, ResolvedFilter, Test
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.testing.filter_rows import BADGE, CATALOG, ENTERPRISE, SUPPORT


def _type(name: str) -> ResourceType:
    found = CATALOG.resource_type(name)
    assert found is not None
    return found


def _path(type: str, text: str) -> AttributePath:
    found = _type(type).find(text)
    assert found is not None
    return found


def _user(text: str, profile: Profile = RFC) -> ResolvedFilter:
    leniency = Leniency(profile)
    return resolve(parse_filter(text, leniency), _type("User"), leniency)


_USER_NAME = Test(_path("User", "userName"), Operator.EQ, b"ann")
_EMAIL = Test(_path("User", "emails.value"), Operator.EQ, b"x")
_TITLE = HasValue(_path("User", "title"))


@pytest.mark.parametrize(
    ("rule", "text", "node"),
    [
        ("P-3.4.2.2-03", 'USERNAME eq "Ann"', _USER_NAME),
        ("P-3.4.2.2-28", 'urn:ietf:params:scim:schemas:core:2.0:user:userName eq "ANN"', _USER_NAME),
        ("P-3.4.2.2-22", 'userName ne "Ann"', NotAny(_USER_NAME)),
        ("P-3.4.2.2-21", "title eq null", NotAny(_TITLE)),
        ("P-3.4.2.2-21", "title ne null", _TITLE),
        ("P-3.4.2.2-21", "emails eq null", NotAny(HasValue(_path("User", "emails")))),
        ("P-3.4.2.2-23", 'title co ""', _TITLE),
        ("P-3.4.2.2-23", 'title sw "\u212aA"', Test(_path("User", "title"), Operator.SW, b"ka")),
        ("P-3.4.2.2-14", 'emails eq "X"', _EMAIL),
        ("P-3.4.2.2-14", "emails pr", HasValue(_path("User", "emails"))),
        ("P-3.4.2.2-14", "name pr", HasValue(_path("User", "name"))),
        ("P-3.4.2.2-10", 'emails[value eq "x"]', Element(_path("User", "emails"), _EMAIL)),
        (
            "P-3.4.2.2-10",
            'emails[not (value ne "x")]',
            Element(_path("User", "emails"), NotAny(NotAny(_EMAIL))),
        ),
        (
            "P-3.4.2.2-08",
            'title pr and (title pr or emails eq "x")',
            AllOf((_TITLE, AnyOf((_TITLE, _EMAIL)))),
        ),
    ],
)
def test_resolved(rule: str, text: str, node: ResolvedFilter) -> None:
    """A strict filter becomes tests on attributes, with negations spelled out."""
    assert _user(text) == node, rule


@pytest.mark.parametrize(
    ("text", "quirk", "node"),
    [
        ('active eq "TRUE"', Quirk.STRING_BOOLEANS, Test(_path("User", "active"), Operator.EQ, b"\x01")),
        ("active eq FALSE", Quirk.BARE_WORDS, Test(_path("User", "active"), Operator.EQ, b"\x00")),
        ('active sw "t"', Quirk.SUBSTRING_OF_ANY_TYPE, AnyOf(())),
        ('active sw ""', Quirk.SUBSTRING_OF_ANY_TYPE, AnyOf(())),
        ('meta.created sw "2024-01t"', Quirk.SUBSTRING_OF_ANY_TYPE,
         Test(_path("User", "meta.created"), Operator.SW, b"2024-01T")),
        ('meta.created co ""', Quirk.SUBSTRING_OF_ANY_TYPE, HasValue(_path("User", "meta.created"))),
        (f'{ENTERPRISE}:manager eq "7"', Quirk.FILTER_ON_MANAGER,
         Test(_path("User", f"{ENTERPRISE}:manager.value"), Operator.EQ, b"7")),
        ("department pr", Quirk.UNQUALIFIED_EXTENSION, HasValue(_path("User", f"{ENTERPRISE}:department"))),
        ("colour pr", Quirk.UNQUALIFIED_EXTENSION, HasValue(_path("User", f"{BADGE}:colour"))),
    ],
)  # fmt: skip
def test_lenient(text: str, quirk: Quirk, node: ResolvedFilter) -> None:
    """What one quirk accepts is accepted with that quirk alone, recorded, and refused without it by name."""
    only = Leniency(Profile("one", frozenset({quirk})))
    assert resolve(parse_filter(text, only), _type("User"), only) == node
    assert only.used == {quirk}
    others = Leniency(Profile("others", AUTO.quirks - {quirk}))
    with pytest.raises(InvalidFilter) as refusal:
        resolve(parse_filter(text, others), _type("User"), others)
    assert refusal.value.quirk == quirk


_SAMPLES = {
    "serial": '"x"',
    "manual": '"https://x"',
    "keeper": '"Users/1"',
    "enabled": "true",
    "slots": "1",
    "weight": "1.5",
    "bought": '"2024-01-01T00:00:00Z"',
    "fingerprint": '"AQID"',
    "tags": '"x"',
    "ports": "1",
    "keys.strength": "1",
    f"{SUPPORT}:until": '"2024-01-01T00:00:00Z"',
}
_TEXTS = {Operator.CO, Operator.SW, Operator.EW}


@pytest.mark.parametrize(("name", "operator"), list(product(_SAMPLES, Operator)))
def test_operator_by_type(name: str, operator: Operator) -> None:
    """P-3.4.2.2-07, -17, -23: each type takes its operators of table 3, every other pair is an invalidFilter."""
    device = _type("Device")
    kind = _path("Device", name).leaf.type
    literal = '"x"' if operator in _TEXTS else _SAMPLES[name]
    node = parse_filter(f"{name} {operator} {literal}", Leniency(RFC))
    if operator in OPERATORS[kind]:
        resolved = resolve(node, device, Leniency(RFC))
        assert isinstance(resolved, NotAny if operator is Operator.NE else Test)
    else:
        with pytest.raises(InvalidFilter, match=f"is {kind} and has no {operator}; it has eq"):
            resolve(node, device, Leniency(RFC))


@pytest.mark.parametrize(
    ("kind", "operators"),
    [
        (Type.STRING, "eq ne co sw ew gt ge lt le"),
        (Type.REFERENCE, "eq ne co sw ew gt ge lt le"),
        (Type.BOOLEAN, "eq ne"),
        (Type.BINARY, "eq ne"),
        (Type.INTEGER, "eq ne gt ge lt le"),
        (Type.DECIMAL, "eq ne gt ge lt le"),
        (Type.DATE_TIME, "eq ne gt ge lt le"),
        (Type.COMPLEX, ""),
    ],
)
def test_operators(kind: Type, operators: str) -> None:
    """The table says what the specification says."""
    assert OPERATORS[kind] == frozenset(map(Operator, operators.split()))


def test_keys_of_references() -> None:
    """RFC 7643 §2.4: equality of references looks at the resource, substrings at the text."""
    device = _type("Device")
    path = _path("Device", "keeper")
    text = "https://x/v2/Users/1"
    for operator, key in ((Operator.EQ, b"Users/1"), (Operator.SW, text.encode())):
        node = resolve(parse_filter(f'keeper {operator} "{text}"', Leniency(RFC)), device, Leniency(RFC))
        assert node == Test(path, operator, key)
    assert compare.key(path.leaf, text) == b"Users/1"


def _selection(type: str, path: str, inner: str) -> ResolvedFilter:
    leniency = Leniency(RFC)
    return resolve_selection(parse_filter(inner, leniency), _path(type, path), leniency)


def test_selection() -> None:
    """Inside brackets names are parts; an attribute without parts has one, called value."""
    assert _selection("User", "emails", 'VALUE eq "x"') == _EMAIL
    tags = _path("Device", "tags")
    assert _selection("Device", "tags", 'Value eq "Core"') == Test(tags, Operator.EQ, b"core")
    assert _selection("Device", f"{SUPPORT}:contact", "display pr") == HasValue(
        _path("Device", f"{SUPPORT}:contact.display")
    )


@pytest.mark.parametrize(
    ("type", "path", "inner", "fragment"),
    [
        ("User", "emails", "kind pr", "emails has no part kind; it has value, display, type, primary"),
        ("Device", "tags", "type pr", "tags has no part type; its values are called value"),
        ("Device", "slots", "value eq 1", "slots has one value and no parts"),
        ("Device", "keys", "secret pr", "keys.secret is never returned"),
        ("Device", "keys", 'bits eq "1"', "bits: '1' is not of type integer"),
        ("Device", "ports", 'value eq "1"', "ports: '1' is not of type integer"),
    ],
)
def test_selection_refused(type: str, path: str, inner: str, fragment: str) -> None:
    """A-20: what does not fit the attribute before the bracket is an invalidFilter that says what would."""
    with pytest.raises(InvalidFilter) as refusal:
        _selection(type, path, inner)
    assert fragment in refusal.value.detail
