"""Text → `Filter` or `PatchPath`, by the grammar of RFC 7644 figures 1 and 7 with their errata.

Knows no schema: names are checked for their shape only, `resolve` gives them meaning. Each token is read
once; depth is counted while parsing, so that no input can exhaust the stack (T-41 to T-43).
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from rollbook.protocol.attributes import is_name
from rollbook.protocol.errors import InvalidFilter, InvalidPath, RequestError
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
)
from rollbook.protocol.lexer import Kind, Token, tokenize
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.values import JsonValue


@dataclass(frozen=True)
class Limits:
    """What a filter may cost: characters, groups inside groups, and tests (A-57, T-41, T-42)."""

    length: int = 10_000
    depth: int = 32
    terms: int = 200


LIMITS = Limits()
"""The limits of a service that does not set its own; A-57 has the lowest that SCIM clients can count on."""

_OPERATORS = {str(operator): operator for operator in Operator}
_LITERALS: dict[str, JsonValue] = {"true": True, "false": False, "null": None}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?([eE][+-]?[0-9]++)?\Z")
_INDEX = re.compile(r"\[\x20*+[0-9-]++\x20*+\]")
_BARE_WORD = re.compile(r"[\w.@+\-:/]++\Z")
_URN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+:[!-~]+\Z", re.ASCII)

_A_VALUE = 'a value: text in double quotes such as "Ann", a number, true, false or null'
_AN_OPERATOR = "an operator: eq, ne, co, sw, ew, gt, ge, lt, le or pr"
_A_TERM = "an attribute name, 'not (' or '('"


@dataclass
class _Cursor:
    """Where in the tokens the parser is, and what it has counted. `selecting` is true inside brackets."""

    text: str
    tokens: list[Token]
    leniency: Leniency
    limits: Limits
    fault: type[RequestError]
    index: int = 0
    depth: int = 0
    terms: int = 0
    selecting: bool = False

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def take(self) -> Token:
        token = self.tokens[self.index]
        self.index += 1
        return token

    def wanted(self, expected: str, token: Token, *, quirk: Quirk | None = None) -> RequestError:
        what = "path" if self.fault is InvalidPath else "filter"
        detail = f"{what}, column {token.start + 1}: expected {expected}; found {token.shown}"
        return self.fault(detail, quirk=quirk)

    def expect(self, kind: Kind, expected: str) -> Token:
        token = self.tokens[self.index]
        if token.kind is not kind:
            raise self.wanted(expected, token)
        self.index += 1
        return token


_LOOK_UP = re.compile(
    r'(\$?[A-Za-z][\w$-]*(?:\.\$?[A-Za-z][\w$-]*)?) (eq|ne|co|sw|ew|gt|ge|lt|le) "([^"\\\x00-\x1f]*)"\Z',
    re.ASCII,
)
"""One comparison with a text, which is what most filters are: read at once, as the grammar would."""


def parse_filter(text: str, leniency: Leniency, limits: Limits = LIMITS) -> Filter:
    """The tree of a filter; and binds tighter than or, not takes parentheses (P-3.4.2.2-06 to -11).

    Raises:
        InvalidFilter: not a filter, or one over the limits; says the column and what was expected there.
    """
    look_up = _LOOK_UP.match(text) if len(text) <= limits.length else None
    if look_up is not None:
        name, operator, value = look_up.groups()
        return Compare(Name(name, 1), Operator(operator), value)
    cursor = _start(text, leniency, limits, InvalidFilter)
    node = _disjunction(cursor)
    cursor.expect(Kind.END, "'and', 'or' or the end")
    return node


def parse_patch_path(text: str, leniency: Leniency, limits: Limits = LIMITS) -> PatchPath:
    """The parts of a PATCH path; `tags eq "x"` means `tags[value eq "x"]` (figure 7, erratum 7122).

    Raises:
        InvalidPath: not a path.
        InvalidFilter: the part in brackets is not a filter on sub-attributes (A-20).
    """
    cursor = _start(text, leniency, limits, InvalidPath)
    if _INDEX.search(text):
        raise InvalidPath(
            f'path {text[:80]!r}: values have no numbers; select them as in emails[type eq "work"]'
        )
    token = cursor.expect(Kind.WORD, 'an attribute name such as title or emails[type eq "work"].value')
    if cursor.token.kind is Kind.OPEN_BRACKET:
        name = _name(cursor, token, dots=0)
        selection = _selection(cursor, token)
        sub = _sub_name(cursor)
        cursor.expect(Kind.END, "'.' and the name of a sub-attribute, or the end")
        return PatchPath(name, selection, sub)
    name = Name(token.text, token.start + 1) if _URN.match(token.text) else _name(cursor, token, dots=1)
    if cursor.token.kind is not Kind.WORD:
        cursor.expect(Kind.END, "'[', '.' and the name of a sub-attribute, or the end")
        return PatchPath(name)
    cursor.fault = InvalidFilter if cursor.token.text.lower() in _OPERATORS | {"pr": None} else InvalidPath
    test = _test(cursor, Name("value", name.position))
    cursor.expect(Kind.END, "the end")
    return PatchPath(name, test)


def _start(text: str, leniency: Leniency, limits: Limits, fault: type[RequestError]) -> _Cursor:
    if len(text) > limits.length:
        raise fault(f"{len(text)} characters of filter or path: at most {limits.length} are read")
    return _Cursor(text, tokenize(text), leniency, limits, fault)


def _disjunction(cursor: _Cursor) -> Filter:
    terms = _joined(cursor, "or", _conjunction)
    return terms[0] if len(terms) == 1 else Or(tuple(terms))


def _conjunction(cursor: _Cursor) -> Filter:
    terms = _joined(cursor, "and", _term)
    return terms[0] if len(terms) == 1 else And(tuple(terms))


def _joined(cursor: _Cursor, word: str, part: Callable[[_Cursor], Filter]) -> list[Filter]:
    terms = [part(cursor)]
    while (token := cursor.token).kind is Kind.WORD and token.text.lower() == word:
        cursor.index += 1
        following = cursor.token
        if cursor.text[token.start - 1] != " " or following.start == token.end < len(cursor.text):
            raise cursor.wanted(f"a space on each side of '{word}'", token)
        terms.append(part(cursor))
    return terms


def _term(cursor: _Cursor) -> Filter:
    token = cursor.token
    if token.kind is Kind.OPEN:
        return _group(cursor)
    cursor.expect(Kind.WORD, _A_TERM)
    if token.text.lower() == "not":
        if cursor.token.kind is not Kind.OPEN:
            raise cursor.wanted("'(' after 'not', as in not (title pr)", cursor.token)
        return Not(_group(cursor))
    if cursor.token.kind is Kind.OPEN_BRACKET:
        return _select(cursor, token)
    return _test(cursor, _name(cursor, token, dots=0 if cursor.selecting else 1))


def _group(cursor: _Cursor) -> Filter:
    opening = cursor.take()
    cursor.depth += 1
    if cursor.depth > cursor.limits.depth:
        raise cursor.wanted(f"at most {cursor.limits.depth} groups inside each other", opening)
    node = _disjunction(cursor)
    cursor.expect(Kind.CLOSE, "'and', 'or' or ')'")
    cursor.depth -= 1
    return node


def _select(cursor: _Cursor, token: Token) -> Filter:
    if cursor.selecting:
        raise cursor.wanted(f"{_AN_OPERATOR} (brackets have no brackets inside)", cursor.token)
    name = _name(cursor, token, dots=0)
    inner = _selection(cursor, token)
    rest = cursor.token
    if not _is_sub(cursor, rest):
        return Select(name, inner)
    quirk = Quirk.FILTER_SELECTION_SUB
    if not cursor.leniency.accepts(quirk):
        raise cursor.wanted("'and', 'or' or the end (put the test inside the brackets)", rest, quirk=quirk)
    sub = _sub_name(cursor)
    return Select(name, And((inner, _test(cursor, Name(sub or "", rest.start + 2)))))


def _selection(cursor: _Cursor, token: Token) -> Filter:
    """What is between the brackets that follow the name `token`."""
    bracket = cursor.take()
    if bracket.start != token.end:
        raise cursor.wanted(f"no space before '[', as in {token.text[:40]}[…]", bracket)
    fault, cursor.fault, cursor.selecting = cursor.fault, InvalidFilter, True
    node = _disjunction(cursor)
    closing = cursor.token
    if closing.kind is Kind.END:
        cursor.fault = fault  # a bracket left open is a malformed path, not a malformed filter
    cursor.expect(Kind.CLOSE_BRACKET, "'and', 'or' or ']'")
    cursor.fault, cursor.selecting = fault, False
    return node


def _is_sub(cursor: _Cursor, token: Token) -> bool:
    return token.kind is Kind.WORD and token.text[0] == "." and cursor.text[token.start - 1] == "]"


def _sub_name(cursor: _Cursor) -> str | None:
    token = cursor.token
    if not _is_sub(cursor, token):
        return None
    if not is_name(token.text[1:]):
        raise cursor.wanted("'.' and the name of a sub-attribute", token)
    cursor.index += 1
    return token.text[1:]


def _name(cursor: _Cursor, token: Token, *, dots: int) -> Name:
    """The name in `token`, shaped `[urn:]attribute` with at most that many `.sub`."""
    urn, colon, local = token.text.rpartition(":")
    if cursor.selecting and colon:
        raise cursor.wanted("the name of a sub-attribute alone, such as type", token)
    parts = local.split(".", dots + 1)
    if len(parts) > dots + 1 or not all(map(is_name, parts)) or (colon and not _URN.match(f"{urn}:x")):
        raise cursor.wanted(_SHAPES[cursor.selecting, dots], token)
    return Name(token.text, token.start + 1)


_SHAPES = {
    (True, 0): "the name of a sub-attribute alone, such as type",
    (False, 0): "an attribute without sub-attribute before '[', as in emails[type eq \"work\"]",
    (False, 1): "an attribute name such as userName, name.familyName or urn:…:User:department",
}


def _test(cursor: _Cursor, name: Name) -> Filter:
    cursor.terms += 1
    token = cursor.token
    if cursor.terms > cursor.limits.terms:
        raise cursor.wanted(f"at most {cursor.limits.terms} tests in one filter", token)
    cursor.expect(Kind.WORD, _AN_OPERATOR)
    word = token.text.lower()
    if word == "pr":
        return Present(name)
    operator = _OPERATORS.get(word)
    if operator is None:
        raise cursor.wanted(_AN_OPERATOR, token)
    token = cursor.take()
    reader = _VALUES.get(token.kind)
    if reader is None:
        raise cursor.wanted(_A_VALUE, token)
    value, bare = reader(cursor, token)
    return Compare(name, operator, value, bare)


def _string(cursor: _Cursor, token: Token) -> tuple[JsonValue, bool]:
    if "\\" not in token.text:
        return token.text[1:-1], False
    try:
        return json.loads(token.text), False
    except ValueError:
        raise cursor.wanted('JSON escapes only: \\" \\\\ \\/ \\b \\f \\n \\r \\t or \\uXXXX', token) from None


def _word(cursor: _Cursor, token: Token) -> tuple[JsonValue, bool]:
    if token.text in _LITERALS:
        return _LITERALS[token.text], False
    number = _NUMBER.match(token.text)
    if number:
        return _number(cursor, token, whole=number.lastindex is None), False
    if not _BARE_WORD.match(token.text):
        raise cursor.wanted(_A_VALUE, token)
    if not cursor.leniency.accepts(Quirk.BARE_WORDS):
        raise cursor.wanted(_A_VALUE, token, quirk=Quirk.BARE_WORDS)
    return _LITERALS.get(token.text.lower(), token.text), True


def _number(cursor: _Cursor, token: Token, *, whole: bool) -> JsonValue:
    try:
        value: int | float = int(token.text) if whole else float(token.text)
    except ValueError:  # Python reads no more than some thousand digits
        value = math.inf
    if (not whole and math.isinf(value)) or value == math.inf:
        raise cursor.wanted("a number of a size that 64 bits hold", token)
    return value


def _single(cursor: _Cursor, token: Token) -> tuple[JsonValue, bool]:
    if not cursor.leniency.accepts(Quirk.BARE_WORDS):
        raise cursor.wanted(_A_VALUE, token, quirk=Quirk.BARE_WORDS)
    return token.text[1:-1], True


_VALUES: dict[Kind, Callable[[_Cursor, Token], tuple[JsonValue, bool]]] = {
    Kind.STRING: _string,
    Kind.WORD: _word,
    Kind.SINGLE: _single,
}
