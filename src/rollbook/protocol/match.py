"""`ResolvedFilter` × resource → bool: what the filter means, without any index (RFC 7644 §3.4.2.2).

The stores must agree with this; one table of rows tests them all.
"""

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import assert_never

from rollbook.protocol import compare
from rollbook.protocol.attributes import Attribute, Returned
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.filters import Operator
from rollbook.protocol.resolved import AllOf, AnyOf, Element, HasValue, NotAny, ResolvedFilter, Test
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject, JsonValue

_Read = Callable[[AttributePath], Iterable[JsonValue]]

_SUBSTRING: dict[Operator, Callable[[bytes, bytes], bool]] = {
    Operator.CO: operator.contains,
    Operator.SW: bytes.startswith,
    Operator.EW: bytes.endswith,
}
_RELATIONS: dict[Operator, Callable[[bytes, bytes], bool]] = {
    Operator.EQ: operator.eq,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
}


def matches(node: ResolvedFilter, document: JsonObject) -> bool:
    """Whether a full representation, names in canonical spelling, passes the filter."""
    return _holds(node, lambda path: (value for _, value in values(path, document)))


def matches_element(node: ResolvedFilter, value: JsonValue) -> bool:
    """Whether one value of the attribute that all paths in the filter share passes it."""
    if isinstance(node, Test):  # the usual one, and each step of a patch asks it of each value
        return _stands(node, _parts(node.path.sub, value))
    return _holds(node, lambda path: _parts(path.sub, value))


def values(path: AttributePath, document: JsonObject) -> Iterator[tuple[int, JsonValue]]:
    """Every value at the path with its element number: its place among the attribute's values, from 0.

    Parts that are themselves multi-valued give several values with one number.
    """
    holder = document.get(path.urn) if path.urn else document
    held = holder.get(path.attribute.name) if isinstance(holder, dict) else None
    if held is None:
        return
    for number, element in enumerate(held if isinstance(held, list) else (held,)):
        for value in _parts(path.sub, element):
            yield number, value


def _parts(sub: Attribute | None, element: JsonValue) -> Iterable[JsonValue]:
    if sub is None:
        return () if element is None else (element,)
    part = element.get(sub.name) if isinstance(element, dict) else None
    if isinstance(part, list):
        return part
    return () if part is None else (part,)


def _holds(node: ResolvedFilter, read: _Read) -> bool:
    match node:
        case Test(path=path):
            return _stands(node, read(path))
        case AllOf(terms):
            return all(_holds(term, read) for term in terms)
        case AnyOf(terms):
            return any(_holds(term, read) for term in terms)
        case NotAny(term):
            return not _holds(term, read)
        case HasValue(path):
            return any(_is_present(path.leaf, value) for value in read(path))
        case Element(path, inner):
            return any(matches_element(inner, value) for value in read(path))
        case _:
            assert_never(node)


def _stands(test: Test, values: Iterable[JsonValue]) -> bool:
    leaf, key = test.path.leaf, test.key
    substring = _SUBSTRING.get(test.operator)
    relation = substring or _RELATIONS[test.operator]
    form = compare.searched_text if substring else compare.key
    for value in values:  # noqa: SIM110 - a generator would cost more than the rest
        if _relates(relation, form, leaf, value, key):
            return True
    return False


def _relates(
    relation: Callable[[bytes, bytes], bool],
    form: Callable[[Attribute, JsonValue], bytes],
    leaf: Attribute,
    value: JsonValue,
    key: bytes,
) -> bool:
    try:
        return relation(form(leaf, value), key)
    except InvalidValue:
        return False  # stored before its attribute changed type: such a value is equal to none


def _is_present(attribute: Attribute, value: JsonValue) -> bool:
    """Whether a value is not empty; parts that are never returned do not count (P-3.4.2.2-24, A-16)."""
    if isinstance(value, dict):
        return any(
            part not in (None, "", [], {}) and _is_shown(attribute, name) for name, part in value.items()
        )
    return value not in (None, "", [], {})


def _is_shown(attribute: Attribute, name: str) -> bool:
    sub = attribute.sub(name)
    return sub is not None and sub.returned is not Returned.NEVER
