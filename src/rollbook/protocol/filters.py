"""The filter tree, as parsed: names are still text, literals are still JSON (RFC 7644 §3.4.2.2).

`render` prints a tree in standard form; `filter_parser` makes trees; `resolve` gives them types.
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias, assert_never

from rollbook.protocol.values import JsonValue


class Operator(StrEnum):
    """Comparison operators (RFC 7644 table 3); `pr` is a node of its own."""

    EQ = "eq"
    NE = "ne"
    CO = "co"
    SW = "sw"
    EW = "ew"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"


@dataclass(frozen=True)
class Name:
    """An attribute path as written, URN and `.sub` included, and the column it starts in, 0 if not known."""

    text: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Present:
    """`attr pr`."""

    name: Name


@dataclass(frozen=True)
class Compare:
    """`attr op literal`; `bare` marks a literal written as an unquoted word (A-11)."""

    name: Name
    operator: Operator
    value: JsonValue
    bare: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class Select:
    """`attr[filter]`: one and the same value passes the inner filter."""

    name: Name
    inner: "Filter"


@dataclass(frozen=True)
class Not:
    """`not (filter)`."""

    term: "Filter"


@dataclass(frozen=True)
class And:
    """All terms hold; two or more."""

    terms: tuple["Filter", ...]


@dataclass(frozen=True)
class Or:
    """At least one term holds; two or more."""

    terms: tuple["Filter", ...]


@dataclass(frozen=True)
class PatchPath:
    """A PATCH path: `name`, `name[selection]` or `name[selection].sub` (RFC 7644 figure 7).

    Without brackets everything, `.sub` and URN included, is in `name`.
    """

    name: Name
    selection: "Filter | None" = None
    sub: str | None = None


Filter: TypeAlias = Present | Compare | Select | Not | And | Or


def render(node: Filter) -> str:
    """The filter as text that parses to an equal tree, one space between words."""
    match node:
        case Present(name):
            return f"{name.text} pr"
        case Compare(name, operator, value):
            return f"{name.text} {operator} {json.dumps(value, ensure_ascii=False)}"
        case Select(name, inner):
            return f"{name.text}[{render(inner)}]"
        case Not(term):
            return f"not ({render(term)})"
        case And(terms):
            return " and ".join(f"({render(t)})" if isinstance(t, And | Or) else render(t) for t in terms)
        case Or(terms):
            return " or ".join(f"({render(t)})" if isinstance(t, Or) else render(t) for t in terms)
        case _:
            assert_never(node)
