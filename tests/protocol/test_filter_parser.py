"""Text → tree, for filters and for PATCH paths."""

import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocol.filter_trees import FILTERS, SOUP

from rollbook.protocol.errors import InvalidFilter, InvalidPath, RequestError
from rollbook.protocol.filter_parser import LIMITS, Limits, parse_filter, parse_patch_path
from rollbook.protocol.filters import (
    And,
    Compare,
    Filter,
    Name,
    Not,
    Operator,
    Or,
    PatchPath,
    Present,
    Select,
    render,
)
from rollbook.protocol.quirks import AUTO, RFC, Leniency, Quirk
from rollbook.protocol.resolve import resolve
from rollbook.testing.filter_rows import CATALOG, ENTERPRISE, REFUSED, ROWS, Refused, Row

_A, _B, _C = (Present(Name(name)) for name in "abc")
_WORK = Compare(Name("type"), Operator.EQ, "work")

FIGURE_2 = [
    'userName eq "bjensen"',
    'name.familyName co "O\'Malley"',
    'userName sw "J"',
    'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"',
    "title pr",
    'meta.lastModified gt "2011-05-13T04:42:34Z"',
    'meta.lastModified ge "2011-05-13T04:42:34Z"',
    'meta.lastModified lt "2011-05-13T04:42:34Z"',
    'meta.lastModified le "2011-05-13T04:42:34Z"',
    'title pr and userType eq "Employee"',
    'title pr or userType eq "Intern"',
    'schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"',
    'userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")',
    'userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")',
    'userType eq "Employee" and (emails.type eq "work")',
    'userType eq "Employee" and emails[type eq "work" and value co "@example.com"]',
    'emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]',
]


def _strict(text: str) -> Filter:
    return parse_filter(text, Leniency(RFC))


@pytest.mark.parametrize("text", FIGURE_2)
def test_examples_of_the_rfc(text: str) -> None:
    """P-3.4.2.2-06: every example of RFC 7644 figure 2 parses strictly, prints as it was, and fits User."""
    user = CATALOG.resource_type("User")
    assert user is not None
    node = _strict(text)
    assert render(node) == text.replace('(emails.type eq "work")', 'emails.type eq "work"')
    resolve(node, user, Leniency(RFC))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("a pr or b pr and c pr", Or((_A, And((_B, _C))))),
        ("a pr and b pr or c pr", Or((And((_A, _B)), _C))),
        ("(a pr or b pr) and c pr", And((Or((_A, _B)), _C))),
        ("a pr and b pr and c pr", And((_A, _B, _C))),
        ("a pr and (b pr and c pr)", And((_A, And((_B, _C))))),
        ("not (a pr) and b pr", And((Not(_A), _B))),
        ("not (a pr and b pr)", Not(And((_A, _B)))),
        ("NOT(a PR) OR b Pr", Or((Not(_A), _B))),
        ("x[a pr or not (b pr) and c pr]", Select(Name("x"), Or((_A, And((Not(_B), _C)))))),
        ("x[ ( a pr ) ]", Select(Name("x"), _A)),
        ("and pr or or pr", Or((Present(Name("and")), Present(Name("or"))))),
        ("$ref pr", Present(Name("$ref"))),
        ("urn:x:2.0:U:a.b pr", Present(Name("urn:x:2.0:U:a.b"))),
    ],
)
def test_tree(text: str, node: Filter) -> None:
    """P-3.4.2.2-08: parentheses bind before not, not before and, and before or (erratum 4670)."""
    assert _strict(text) == node


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ('"x"', "x"),
        ('""', ""),
        (r'"\"\\\/\u00fc\n"', '"\\/ü\n'),
        ("true", True),
        ("false", False),
        ("null", None),
        ("0", 0),
        ("-12", -12),
        ("1.0", 1.0),
        ("1e2", 100.0),
        ("-0.5E-1", -0.05),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_literal(literal: str, value: object) -> None:
    """P-3.4.2.2-18: a value is a JSON literal, and of its Python type."""
    node = _strict(f"a eq {literal}")
    assert isinstance(node, Compare)
    assert node.value == value
    assert type(node.value) is type(value)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("cem", "cem"),
        ("Bjürn_2.x@y+z-a:b/c", "Bjürn_2.x@y+z-a:b/c"),
        ("007", "007"),
        ("+5", "+5"),
        ("TRUE", True),
        ("Null", None),
        ("'two words'", "two words"),
        ("''", ""),
    ],
)
def test_bare_word(word: str, value: object) -> None:
    """A-11: an unquoted or single-quoted word is read in lenient mode only, and the use is recorded."""
    leniency = Leniency(AUTO)
    node = parse_filter(f"a eq {word}", leniency)
    assert isinstance(node, Compare)
    assert node.value == value
    assert node.bare
    assert leniency.used == {Quirk.BARE_WORDS}
    with pytest.raises(InvalidFilter) as refusal:
        _strict(f"a eq {word}")
    assert refusal.value.quirk == Quirk.BARE_WORDS


def test_strict_text_uses_no_quirk() -> None:
    """A filter that the RFC allows is never recorded as a deviation."""
    leniency = Leniency(AUTO)
    for text in FIGURE_2:
        parse_filter(text, leniency)
    assert leniency.used == set()


def test_selection_with_part() -> None:
    """A-92: a part after the bracket becomes a test inside it."""
    node = parse_filter('emails[type eq "work"].value pr and a pr', Leniency(AUTO))
    assert node == And((Select(Name("emails"), And((_WORK, Present(Name("value"))))), _A))


def test_positions() -> None:
    """A name knows the column it starts in, counted from 1."""
    node = _strict("  a pr and xs[ b eq 1]")
    assert isinstance(node, And)
    first, second = node.terms
    assert isinstance(first, Present)
    assert isinstance(second, Select)
    assert isinstance(second.inner, Compare)
    assert [first.name.position, second.name.position, second.inner.name.position] == [3, 12, 16]


@pytest.mark.parametrize("row", REFUSED, ids=str)
def test_refused(row: Refused) -> None:
    """Each refusal is an invalidFilter that says where, what and which switch would have accepted it."""
    leniency = Leniency(row.profile)
    resource_type = CATALOG.resource_type(row.type)
    assert resource_type is not None
    with pytest.raises(InvalidFilter) as refusal:
        resolve(parse_filter(row.text, leniency), resource_type, leniency)
    assert row.fragment in refusal.value.detail
    assert refusal.value.quirk == row.quirk
    assert len(refusal.value.detail) < 600


@pytest.mark.parametrize("row", [row for row in ROWS if row.profile is RFC], ids=str)
def test_rows_print_and_parse(row: Row) -> None:
    """Each filter of the table prints to text that parses to the same tree."""
    node = _strict(row.text)
    assert _strict(render(node)) == node


@given(FILTERS)
def test_print_then_parse(node: Filter) -> None:
    """Any tree, printed and parsed strictly, is itself again."""
    assert _strict(render(node)) == node


@given(st.one_of(SOUP, st.text(max_size=30)))
@settings(max_examples=400)
def test_any_text(text: str) -> None:
    """T-44: any text is a tree, which prints and parses to itself, or an invalidFilter; never anything else."""
    user = CATALOG.resource_type("User")
    assert user is not None
    try:
        node = parse_filter(text, Leniency())
    except InvalidFilter:
        return
    assert parse_filter(render(node), Leniency()) == node
    with suppress(InvalidFilter):
        resolve(node, user, Leniency())


@pytest.mark.parametrize(
    "text",
    [
        "(" * LIMITS.depth + "title pr" + ")" * LIMITS.depth,
        "not (" * LIMITS.depth + "title pr" + ")" * LIMITS.depth,
        "x[" + "(" * LIMITS.depth + "a pr" + ")" * LIMITS.depth + "]",
        " or ".join(["title pr"] * LIMITS.terms),
        'title eq "' + "x" * (LIMITS.length - 11) + '"',
    ],
    ids=["groups", "negations", "groups in brackets", "tests", "characters"],
)
def test_limits_are_reached(text: str) -> None:
    """A-57: a filter right at the limits is read; the limits are no lower than clients may count on."""
    assert render(_strict(text))
    assert LIMITS.depth >= 32
    assert LIMITS.terms >= 100
    assert LIMITS.length >= 4000


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(length=5), "a  pr "),
        (Limits(depth=1), "((a pr))"),
        (Limits(depth=1), "x[(((a pr)))]"),
        (Limits(terms=1), "a pr or b pr"),
        (Limits(terms=1), "x[a pr].b pr"),
    ],
)
def test_limits_are_kept(limits: Limits, text: str) -> None:
    """P-3.4.2.2-32: what is over a limit is refused by name, however deep it is."""
    with pytest.raises(InvalidFilter, match="at most"):
        parse_filter(text, Leniency(), limits)


def _calls(work: Callable[[], object]) -> int:
    """How many calls, of Python and of C functions, the work makes."""
    count = 0

    def hook(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    previous = sys.getprofile()
    gc.disable()  # a collection that falls into the work calls the hooks of others, Hypothesis's among them
    sys.setprofile(hook)
    try:
        work()
    finally:
        sys.setprofile(previous)
        gc.enable()
    return count


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "(" * n,
        lambda n: "not (" * n,
        lambda n: "[" * n,
        lambda n: '"' * n,
        lambda n: "'" * n,
        lambda n: "\\" * n,
        lambda n: " " * n,
        lambda n: 'a eq "' + "\\" * n,
        lambda n: 'a eq "' + '\\"' * n,
        lambda n: "a" + ":" * n + " pr",
        lambda n: "a" + ".b" * n + " pr",
        lambda n: "a eq " + "9" * n,
        lambda n: " and ".join(["a pr"] * n),
        lambda n: "x[" + " or ".join(["a eq 1"] * n) + "]",
        lambda n: " or ".join(["((a pr))"] * n),
        lambda n: " and ".join(["'q' eq 'q"] * n),
    ],
)
def test_work_is_linear(make: Callable[[int], str]) -> None:
    """T-43: twice the text makes at most twice the calls, whatever the text."""
    wide = Limits(length=10**7, terms=10**7)

    def attempt(text: str) -> None:
        with suppress(RequestError):
            parse_filter(text, Leniency(), wide)

    once, twice = (_calls(partial(attempt, make(size))) for size in (500, 1000))
    assert twice <= 2 * once + 20


_MEMBER = Compare(Name("value"), Operator.EQ, "2819c223")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("title", PatchPath(Name("title"))),
        (" title ", PatchPath(Name("title"))),
        ("name.familyName", PatchPath(Name("name.familyName"))),
        ('emails[type eq "work"]', PatchPath(Name("emails"), _WORK)),
        ('emails[type eq "work"].value', PatchPath(Name("emails"), _WORK, "value")),
        ('members[value eq "2819c223"].$ref', PatchPath(Name("members"), _MEMBER, "$ref")),
        ('members[value eq "2819c223" and not (type pr)]',
         PatchPath(Name("members"), And((_MEMBER, Not(Present(Name("type"))))))),
        (ENTERPRISE, PatchPath(Name(ENTERPRISE))),
        ("urn:x:2.0", PatchPath(Name("urn:x:2.0"))),
        (f"{ENTERPRISE}:manager.value", PatchPath(Name(f"{ENTERPRISE}:manager.value"))),
        ('urn:x:U:keys[type eq "work"].bits', PatchPath(Name("urn:x:U:keys"), _WORK, "bits")),
        ('tags eq "2819c223"', PatchPath(Name("tags"), _MEMBER)),
        ("tags pr", PatchPath(Name("tags"), Present(Name("value")))),
    ],
)  # fmt: skip
def test_patch_path(text: str, path: PatchPath) -> None:
    """RFC 7644 figure 7, erratum 7122: each form of path falls into name, selection and part."""
    assert parse_patch_path(text, Leniency(RFC)) == path


@pytest.mark.parametrize(
    ("text", "error", "fragment"),
    [
        ("", InvalidPath, "column 1: expected an attribute name"),
        ("/title", InvalidPath, "column 1: expected an attribute name"),
        ("a.b.c", InvalidPath, "column 1"),
        ("a.", InvalidPath, "column 1"),
        ("[a pr]", InvalidPath, "column 1"),
        ("(title)", InvalidPath, "column 1"),
        ('"title"', InvalidPath, "column 1"),
        ('emails[type eq "work"', InvalidPath, "column 22: expected 'and', 'or' or ']'; found the end"),
        ('emails[type eq "work"]value', InvalidPath, "column 23: expected '.'"),
        ('emails[type eq "work"].', InvalidPath, "column 23: expected '.' and the name"),
        ('emails[type eq "work"].a.b', InvalidPath, "column 23"),
        ('emails[type eq "work"] .value', InvalidPath, "column 24"),
        ('emails[type eq "work"].value eq "x"', InvalidPath, "or the end; found 'eq'"),
        ('emails.type[value eq "x"]', InvalidPath, "without sub-attribute before '['"),
        ('emails [type eq "work"]', InvalidPath, "no space before '['"),
        ("emails[]", InvalidFilter, "column 8"),
        ("emails[type]", InvalidFilter, "column 12: expected an operator"),
        ("emails[type is 5]", InvalidFilter, "expected an operator"),
        ('emails[type eq "work" value pr]', InvalidFilter, "expected 'and', 'or' or ']'"),
        ("emails[type[value pr]]", InvalidFilter, "no brackets inside"),
        pytest.param("emails[" + "(" * 5000, InvalidFilter, "at most 32 groups", id="5,000 groups"),
        ("tags eq", InvalidFilter, "expected a value"),
        ('tags eq "x" or tags eq "y"', InvalidFilter, "expected the end"),
        ("title 5", InvalidPath, "expected an operator"),
        ("emails[0]", InvalidPath, "no numbers"),
        ("emails]", InvalidPath, "or the end"),
        pytest.param("x" * 20_000, InvalidPath, "at most 10000 are read", id="20,000 characters"),
    ],
)
def test_patch_path_refused(text: str, error: type[RequestError], fragment: str) -> None:
    """A-20: a malformed path is an invalidPath, a malformed filter in its brackets an invalidFilter."""
    with pytest.raises(RequestError) as refusal:
        parse_patch_path(text, Leniency())
    assert type(refusal.value) is error
    assert fragment in refusal.value.detail


@given(st.one_of(SOUP, st.text(max_size=30)))
def test_any_path(text: str) -> None:
    """Any text is a path, an invalidPath or an invalidFilter."""
    try:
        path = parse_patch_path(text, Leniency())
    except (InvalidPath, InvalidFilter):
        return
    assert path.name.text in text


@given(
    name=st.text("aZ9_$-.:", min_size=1, max_size=8),
    operator=st.sampled_from([*Operator, "EQ", "pr", "xx"]),
    value=st.text(st.characters(exclude_characters="\"'")),
    quote=st.sampled_from(['"', "'"]),
)
def test_a_comparison_alone_is_read_as_in_parentheses(
    name: str, operator: str, value: str, quote: str
) -> None:
    """What is read at once, being most of what is asked, means what the grammar says, or is refused as well."""
    text = f"{name} {operator} {quote}{value}{quote}"

    def read(text: str) -> Filter | None:
        try:
            return parse_filter(text, Leniency(RFC))
        except InvalidFilter:
            return None

    assert read(text) == read(f"({text})")
