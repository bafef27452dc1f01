"""Printing of filter trees."""

import pytest

from rollbook.protocol.filters import And, Compare, Filter, Name, Not, Operator, Or, Present, Select, render

_A, _B, _C = (Present(Name(name)) for name in "abc")


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (_A, "a pr"),
        (Compare(Name("a.b"), Operator.SW, 'q"ü\n'), r'a.b sw "q\"ü\n"'),
        (Compare(Name("a"), Operator.EQ, None), "a eq null"),
        (Compare(Name("a"), Operator.NE, False), "a ne false"),
        (Compare(Name("a"), Operator.GE, -1.5), "a ge -1.5"),
        (Not(_A), "not (a pr)"),
        (Not(Not(_A)), "not (not (a pr))"),
        (Not(Or((_A, _B))), "not (a pr or b pr)"),
        (Or((And((_A, _B)), _C)), "a pr and b pr or c pr"),
        (And((Or((_A, _B)), _C)), "(a pr or b pr) and c pr"),
        (And((And((_A, _B)), _C)), "(a pr and b pr) and c pr"),
        (Or((_A, Or((_B, _C)))), "a pr or (b pr or c pr)"),
        (Select(Name("x"), Or((_A, And((_B, _C))))), "x[a pr or b pr and c pr]"),
    ],
)
def test_render(node: Filter, text: str) -> None:
    """P-3.4.2.2-08: a tree prints with single spaces and no more parentheses than precedence asks for."""
    assert render(node) == text


def test_positions_do_not_count() -> None:
    """Two trees are equal whatever columns they were read from, and however a word was quoted."""
    written = Compare(Name("a", 7), Operator.EQ, "x", bare=True)
    assert written == Compare(Name("a"), Operator.EQ, "x")
