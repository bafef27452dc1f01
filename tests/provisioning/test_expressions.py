"""Expressions: what they give, what is refused before and while they run."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.provisioning.expressions import (
    MOST_CHARACTERS,
    ExpressionError,
    ExpressionRefused,
    Fault,
    Gives,
    Inputs,
    Subject,
    compile_expression,
)

TODAY = datetime(2026, 11, 23, tzinfo=UTC)
ANN: dict[str, Any] = {
    "userName": "ann",
    "active": True,
    "name": {"givenName": "Ann", "familyName": "Müller"},
    "emails": [{"value": "ann@home", "type": "home"}, {"value": "ann@work", "type": "work"}],
    "enterprise": {"department": "R&D"},
    "urn:x:User": {"floor": 3},
}
RECORD = {"email": "Ann@Example.com", "end_date": "", "empty": "", "first": "Anna-Lena", "last": "Groß"}


def evaluate(text: str, subject: Subject = Subject.USER) -> Any:
    """The value of an expression on the test's data."""
    data = {Subject.USER: ANN, Subject.RECORD: RECORD, Subject.GROUP: {"displayName": "dept-Sales"}}
    return compile_expression(text, subject).evaluate(Inputs({subject: data[subject], "today": TODAY}))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("lower(record.email)", "ann@example.com"),
        ("upper(record.last)", "GROSS"),
        ('slug(record.first + " " + record.last)', "anna-lena-gross"),
        ("normalize(record.last)", "Gross"),
        ('record.end_date == "" || date(record.end_date) > today', True),
        ('date("2026-11-23") > today', False),
        ('date("24.11.2026", "%d.%m.%Y") > today', True),
        ("coalesce(record.empty, record.end_date, record.first)", "Anna-Lena"),
        ('record.email.split("@")[0]', "Ann"),
        ('[record.first, record.empty, record.last].filter(x, x != "").join(" ")', "Anna-Lena Groß"),
        ('record.?missing.orValue("none")', "none"),
        ("record.?missing", None),
        ("record.?email", "Ann@Example.com"),
        ('{"a": 1}[?record.email].orValue(2)', 2),
        ('has(record.missing) ? "yes" : "no"', "no"),
        ("record.empty", ""),
        ("null", None),
        ("[1, 2.5, true, null]", [1, 2.5, True, None]),
        ("today", "2026-11-23T00:00:00.000Z"),
        ('cel.bind(x, record.first, x + "/" + x)', "Anna-Lena/Anna-Lena"),
    ],
)
def test_values_of_records(text: str, value: Any) -> None:
    """Functions, optional access, lists and moments; null and an absent optional are no value."""
    assert evaluate(text, Subject.RECORD) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('user.name.givenName + " " + user.name.familyName', "Ann Müller"),
        ('user.?name.?middleName.orValue("")', ""),
        ("user.?name.?middleName", None),
        ('user.emails.filter(e, e.type == "work").first().?value.orValue("")', "ann@work"),
        ('user.emails.filter(e, e.type == "other").first().?value', None),
        ('user.emails.filter(e, e.type == "work")', [{"value": "ann@work", "type": "work"}]),
        ("user.enterprise.department", "R&D"),
        ('user["urn:x:User"].floor', 3),
        ("user.active", True),
    ],
)
def test_values_of_users(text: str, value: Any) -> None:
    """Documents with parts, lists, extensions; `?.` copes with what is absent."""
    assert evaluate(text) == value


@pytest.mark.parametrize(
    ("text", "gives"),
    [
        ("user.userName", Gives.ANYTHING),
        ('"x"', Gives.TEXT),
        ("1 == 1", Gives.BOOLEAN),
        ("1", Gives.INTEGER),
        ("1.0", Gives.DECIMAL),
        ("today", Gives.MOMENT),
        ("[1]", Gives.LIST),
        ('{"a": 1}', Gives.OBJECT),
        ("null", Gives.NOTHING),
        ('optional.of("x")', Gives.TEXT),
    ],
)
def test_what_an_expression_gives_is_known_before(text: str, gives: Gives) -> None:
    """The kind of result is compared with the attribute when the configuration is loaded."""
    assert compile_expression(text, Subject.USER).gives is gives


@pytest.mark.parametrize(
    ("text", "place", "reason", "advice"),
    [
        ("recrod.email", 0, "there is no recrod", "did you mean: record"),
        ("user.userName", 0, "there is no user", "here the variable is called record"),
        ("record.a + 1", 9, "+ does not go with (string, int)", None),
        ("lower(3)", 5, "lower does not take (int)", None),
        ('"ä" + 1', 4, "+ does not go with (string, int)", None),
        ("record.a +\n  record.b * 2", 22, "* does not go with (string, int)", None),
        ("record.a +", 10, "the expression ends too early", None),
        ("lowr(record.a)", 0, "there is no lowr", "did you mean: lower"),
        ("", 0, "the expression ends too early", None),
        ("__import__('os')", 0, "there is no __import__", None),
        ('b"x"', 0, "gives BYTES, which no attribute can hold", None),
        ("[record.?a]", 0, 'an optional inside the result; end it with .orValue("")', None),
    ],
)
def test_refusals_have_a_place(text: str, place: int, reason: str, advice: str | None) -> None:
    """Mistakes are found when the configuration is loaded, at their character, non-ASCII or not."""
    with pytest.raises(ExpressionRefused) as refused:
        compile_expression(text, Subject.RECORD)
    fault = refused.value.faults[0]
    assert (fault.place, fault.reason) == (place, reason)
    if advice is not None:
        assert fault.advice == advice


def test_all_mistakes_of_an_expression_are_told() -> None:
    """Two mistakes, two faults."""
    with pytest.raises(ExpressionRefused) as refused:
        compile_expression("lower(3) + foo(record.a)", Subject.RECORD)
    assert [fault.reason for fault in refused.value.faults] == [
        "lower does not take (int)",
        "there is no foo",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("user.title", 'there is no title; if it may be missing: .?title.orValue("")'),
        ("user.emails[5].value", "value 5 of a list that has 2"),
        ("user.name.givenName.x", "a value without parts is asked for a part"),
        ('date("soon")', "'soon' is not a date"),
        ("1 / 0", "divide by zero"),
        ("lower(user.emails)", "does not take these values"),
        ("user.emails[?0]", "an optional is left over"),
        ('{"a": user.emails[?0]}', "an optional is left over"),
        ("[dyn(user.?x)]", "an optional is left over"),
        ("[b'x']", "gives BYTES, which no attribute can hold"),
        ("{1: 2}", "which no attribute can hold"),
        ('double("NaN")', "gives nan, which JSON cannot hold"),
        ("[0,1,2,3,4,5,6,7,8,9].map(a," * 5 + "1" + ")" * 5, "more than 10,000 steps"),
    ],
)
def test_an_error_at_run_time_is_never_a_value(text: str, reason: str) -> None:
    """The library returns errors as values: each is raised, with words that say what to do (T-69)."""
    with pytest.raises(ExpressionError) as failed:
        evaluate(text)
    assert reason in str(failed.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("+".join(['"a"'] * 40), 'join many texts with [a, b, …].join("")'),
        ("(" * 40 + "1" + ")" * 40, "more than 32 steps inside each other"),
        ("x" * (MOST_CHARACTERS + 1), f"at most {MOST_CHARACTERS} are read"),
    ],
)
def test_limits_of_the_text(text: str, reason: str) -> None:
    """T-69: depth and length are limited before anything runs."""
    with pytest.raises(ExpressionRefused) as refused:
        compile_expression(text, Subject.RECORD)
    assert reason in refused.value.faults[0].reason


def test_integers_beyond_64_bits_are_an_error() -> None:
    """A number the language cannot hold is told, not cut."""
    expression = compile_expression("user.n", Subject.USER)
    with pytest.raises(ExpressionError, match="out of range"):
        expression.evaluate({"user": {"n": 2**70}, "today": TODAY})


def test_groups_have_their_own_variable() -> None:
    """Rules for groups read `group`."""
    assert evaluate("group.displayName.substring(5)", Subject.GROUP) == "Sales"


def test_plain_mappings_are_inputs_too() -> None:
    """Inputs only share the conversion; any mapping will do."""
    expression = compile_expression("lower(record.a)", Subject.RECORD)
    assert expression.evaluate({"record": {"a": "X"}, "today": TODAY}) == "x"


@pytest.mark.parametrize(
    "text",
    [
        "user.name.familyName",
        'user["urn:x:User"].floor',
        'user.?missing.orValue("none")',
        'has(user.missing) ? "yes" : "no"',
        "user.missing",
        "user.emails[0].value + user.enterprise.department",
        "user",
        "size(user)",
        '"userName" in user',
        "user.exists(name, name == user.userName)",
        '[1].map(user, {"title": user})',
        ".user.userName + user.name.familyName",
    ],
)
def test_what_is_not_named_makes_no_difference(text: str) -> None:
    """An expression given only what it names has the same value, or the same error, as one given everything."""
    expression = compile_expression(text, Subject.USER)

    def outcome(named: frozenset[str] | None) -> Any:
        try:
            return expression.evaluate(Inputs({Subject.USER: ANN, "today": TODAY}, named))
        except ExpressionError as error:
            return str(error)

    assert outcome(expression.named) == outcome(None)


def test_an_expression_keeps_text_and_reads() -> None:
    """For explain: what it says and what it looks at."""
    expression = compile_expression("lower(record.email)", Subject.RECORD)
    assert (expression.text, [read.name for read in expression.reads]) == ("lower(record.email)", ["email"])


@given(st.text(max_size=40))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    """No text of the file raises anything else, or ends the process."""
    faults: tuple[Fault, ...] = ()
    try:
        compile_expression(text, Subject.RECORD)
    except ExpressionRefused as refused:
        faults = refused.faults
    assert all(0 <= fault.place <= len(text) for fault in faults)


TEXTS = st.text().filter(lambda name: "\0" not in name)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(TEXTS, JSON, max_size=4))
def test_json_passes_through_unchanged(document: dict[str, Any]) -> None:
    """What goes in comes out: no type is changed on the way through the library."""
    assert compile_expression("user", Subject.USER).evaluate({"user": document, "today": TODAY}) == document
