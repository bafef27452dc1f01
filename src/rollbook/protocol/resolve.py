"""`Filter` + resource type → `ResolvedFilter`: names become attributes, literals become comparison keys.

One table says which operator goes with which type (RFC 7644 table 3; protocol.md, operators by type).
"""

from collections.abc import Callable
from difflib import get_close_matches
from typing import assert_never

from rollbook.protocol import compare
from rollbook.protocol.attributes import Attribute, Returned, Type
from rollbook.protocol.errors import InvalidFilter, InvalidValue
from rollbook.protocol.filters import And, Compare, Filter, Name, Not, Operator, Or, Present, Select
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.resolved import (
    EVERYTHING,
    NOTHING,
    AllOf,
    AnyOf,
    Element,
    HasValue,
    NotAny,
    ResolvedFilter,
    Test,
)
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonValue

_EQUALITY = frozenset({Operator.EQ, Operator.NE})
_SUBSTRING = frozenset({Operator.CO, Operator.SW, Operator.EW})
_ORDER = frozenset({Operator.GT, Operator.GE, Operator.LT, Operator.LE})

OPERATORS: dict[Type, frozenset[Operator]] = {
    Type.STRING: _EQUALITY | _SUBSTRING | _ORDER,
    Type.REFERENCE: _EQUALITY | _SUBSTRING | _ORDER,
    Type.BOOLEAN: _EQUALITY,
    Type.BINARY: _EQUALITY,
    Type.INTEGER: _EQUALITY | _ORDER,
    Type.DECIMAL: _EQUALITY | _ORDER,
    Type.DATE_TIME: _EQUALITY | _ORDER,
    Type.COMPLEX: frozenset(),
}
"""The operators of each type; `pr`, and comparison with null, go with all."""

_Find = Callable[[Name], AttributePath | None]
"""What a name means; None for an attribute that counts as having no value."""


def resolve(
    node: Filter, resource_type: ResourceType, leniency: Leniency, *, of_several: bool = False
) -> ResolvedFilter:
    """The filter with the attributes of that resource type (P-3.4.2.2-13 to -31).

    With `of_several` types in one query, an attribute that this one lacks has no value (P-3.4.2.1-05).

    Raises:
        InvalidFilter: an attribute the type does not have, an operator the attribute does not have, or a
            value that is not of its type; says what would be accepted.
    """

    def find(name: Name) -> AttributePath | None:
        path = _known(name, resource_type, leniency)
        if path is not None:
            return _disclosed(name, path)
        if of_several or leniency.accepts(Quirk.UNKNOWN_IN_FILTER):
            return None
        raise _unknown(name, resource_type)

    return _resolve(node, find, leniency)


def resolve_selection(inner: Filter, path: AttributePath, leniency: Leniency) -> ResolvedFilter:
    """The filter in brackets after `path`; its names are parts, or `value` for an attribute without parts.

    Raises:
        InvalidFilter: as for `resolve`, or the attribute has but one value.
    """
    attribute = path.attribute
    if not (attribute.is_complex or attribute.multi_valued):
        raise InvalidFilter(f"{path.text} has one value and no parts: brackets select nothing in it")
    return _resolve(inner, lambda name: _find_part(name, path), leniency)


def _resolve(node: Filter, find: _Find, leniency: Leniency) -> ResolvedFilter:
    match node:
        case Compare():
            path = find(node.name)
            return _compare_nothing(node) if path is None else _compare(node, path, leniency)
        case Present(name):
            path = find(name)
            return NOTHING if path is None else HasValue(path)
        case And(terms):
            return AllOf(tuple(_resolve(term, find, leniency) for term in terms))
        case Or(terms):
            return AnyOf(tuple(_resolve(term, find, leniency) for term in terms))
        case Not(term):
            return NotAny(_resolve(term, find, leniency))
        case Select(name, inner):
            path = find(name)
            if path is None:
                return NOTHING
            if path.sub or not path.attribute.is_complex:
                raise _refuse(name, f"{path.text} has no parts to select by", f"write {_plain(path)} eq …")
            return Element(path, resolve_selection(inner, path, leniency))
        case _:
            assert_never(node)


def _compare_nothing(node: Compare) -> ResolvedFilter:
    """The comparison with an attribute that no resource has a value of (A-13, A-14)."""
    is_equal, is_null = node.operator is Operator.EQ, node.value is None
    return EVERYTHING if (is_equal and is_null) or (node.operator is Operator.NE and not is_null) else NOTHING


def _compare(node: Compare, path: AttributePath, leniency: Leniency) -> ResolvedFilter:
    if node.value is None:
        return _compare_null(node, path)
    path = _comparable(node.name, path, leniency)
    leaf, operator = path.leaf, node.operator
    if operator in _SUBSTRING:
        return _substring(node, path, leniency)
    if operator not in OPERATORS[leaf.type]:
        raise _no_operator(node, path)
    test = Test(path, Operator.EQ if operator is Operator.NE else operator, _key(node, leaf, leniency))
    return NotAny(test) if operator is Operator.NE else test


def _compare_null(node: Compare, path: AttributePath) -> ResolvedFilter:
    if node.operator not in _EQUALITY:
        raise _refuse(
            node.name, f"{path.text} {node.operator} null compares with nothing", "eq and ne take null"
        )
    return HasValue(path) if node.operator is Operator.NE else NotAny(HasValue(path))


def _comparable(name: Name, path: AttributePath, leniency: Leniency) -> AttributePath:
    """The path, or that of the `value` part of a complex attribute named without part (A-10, A-79)."""
    if not path.leaf.is_complex:
        return path
    value = path.attribute.sub("value")
    if value is None or value.is_complex:
        parts = ", ".join(f"{path.text}.{sub.name}" for sub in path.attribute.sub_attributes)
        raise _refuse(name, f"{path.text} is complex", f"name one of its parts: {parts}")
    quirk = Quirk.FILTER_ON_MANAGER
    if not path.attribute.multi_valued and not leniency.accepts(quirk):
        raise _refuse(name, f"{path.text} is complex", f"write {path.text}.value", quirk=quirk)
    return path._replace(sub=value)


def _substring(node: Compare, path: AttributePath, leniency: Leniency) -> ResolvedFilter:
    leaf = path.leaf
    if node.operator not in OPERATORS[leaf.type] and not leniency.accepts(Quirk.SUBSTRING_OF_ANY_TYPE):
        raise _no_operator(node, path, quirk=Quirk.SUBSTRING_OF_ANY_TYPE)
    if not isinstance(node.value, str):
        raise _refuse(
            node.name, f"{node.operator} looks for text", 'write the value in double quotes, as in "x"'
        )
    if leaf.type is Type.DATE_TIME:
        key = node.value.upper().encode("utf-8", "replace")  # digits, T and Z: no other text can be found
    elif Operator.CO in OPERATORS[leaf.type]:
        key = _checked(node, lambda: compare.searched_text(leaf, node.value))
    else:
        return AnyOf(())
    return Test(path, node.operator, key) if key else HasValue(path)


def _key(node: Compare, leaf: Attribute, leniency: Leniency) -> bytes:
    value = node.value
    if leaf.type is Type.BOOLEAN and isinstance(value, str) and value.lower() in _BOOLEANS:
        quirk = Quirk.STRING_BOOLEANS
        if not leniency.accepts(quirk):
            raise _refuse(
                node.name, f"{leaf.name} is boolean", "write true or false without quotes", quirk=quirk
            )
        value = _BOOLEANS[value.lower()]
    return _checked(node, lambda: compare.key(leaf, value))


_BOOLEANS: dict[str, JsonValue] = {"true": True, "false": False}


def _checked(node: Compare, make: Callable[[], bytes]) -> bytes:
    try:
        return make()
    except InvalidValue as error:
        raise InvalidFilter(f"filter{_place(node.name)}: {error.detail}") from None


def _known(name: Name, resource_type: ResourceType, leniency: Leniency) -> AttributePath | None:
    path = resource_type.find(name.text)
    if path is not None:
        return path
    path = resource_type.find_in_extensions(name.text)
    quirk = Quirk.UNQUALIFIED_EXTENSION
    if path is not None and not leniency.accepts(quirk):
        raise _refuse(name, f"{name.text} belongs to an extension", f"write {path.text}", quirk=quirk)
    return path


def _unknown(name: Name, resource_type: ResourceType) -> InvalidFilter:
    fact = f"{resource_type.name} has no attribute {name.text[:80]}"
    return _refuse(name, fact, _hint(name, resource_type), quirk=Quirk.UNKNOWN_IN_FILTER)


def _find_part(name: Name, path: AttributePath) -> AttributePath:
    attribute = path.attribute
    if not attribute.is_complex:
        if name.text.lower() != "value":
            raise _refuse(name, f"{path.text} has no part {name.text[:80]}", "its values are called value")
        return _disclosed(name, path)
    sub = attribute.sub(name.text)
    if sub is None:
        parts = ", ".join(sub.name for sub in attribute.sub_attributes)
        raise _refuse(name, f"{path.text} has no part {name.text[:80]}", f"it has {parts}")
    return _disclosed(name, path._replace(sub=sub))


def _disclosed(name: Name, path: AttributePath) -> AttributePath:
    """The path, unless its values are never shown: a filter would tell them bit by bit (P-3.4.2.2-29)."""
    if Returned.NEVER in {path.attribute.returned, path.leaf.returned}:
        raise _refuse(name, f"{path.text} is never returned", "it cannot be filtered on either")
    return path


def _hint(name: Name, resource_type: ResourceType) -> str:
    schema, local = resource_type.split_urn(name.text)
    if schema is None and ":" in name.text:
        return f"its schemas are {', '.join(schema.id for schema in resource_type.urns.values())}"
    known = {text.rpartition(":")[2].lower(): text for text in _texts(resource_type)}
    close = get_close_matches(local.lower(), known, n=1)
    return f"did you mean {known[close[0]]}?" if close else "see its schemas under /Schemas"


def _texts(resource_type: ResourceType) -> list[str]:
    paths = [path for path in resource_type.paths() if path.attribute.returned is not Returned.NEVER]
    parts = [path._replace(sub=sub) for path in paths for sub in path.attribute.sub_attributes]
    return [path.text for path in (*parts, *reversed(paths))]


def _no_operator(node: Compare, path: AttributePath, *, quirk: Quirk | None = None) -> InvalidFilter:
    known = ", ".join(operator for operator in Operator if operator in OPERATORS[path.leaf.type])
    fact = f"{path.text} is {path.leaf.type} and has no {node.operator}"
    return _refuse(node.name, fact, f"it has {known}, pr", quirk=quirk)


def _plain(path: AttributePath) -> str:
    return path.text if path.sub is None else path._replace(sub=None).text


def _refuse(name: Name, fact: str, accepted: str, *, quirk: Quirk | None = None) -> InvalidFilter:
    return InvalidFilter(f"filter{_place(name)}: {fact}; {accepted}", quirk=quirk)


def _place(name: Name) -> str:
    return f", column {name.position}" if name.position else ""
