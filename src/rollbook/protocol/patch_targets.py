"""PATCH paths → targets: a parsed path meets the schema (RFC 7644 §3.5.2, figure 7; A-20, A-23)."""

from rollbook.protocol.attributes import Mutability
from rollbook.protocol.coerce import read_attribute
from rollbook.protocol.errors import InvalidFilter, InvalidPath
from rollbook.protocol.filter_parser import parse_patch_path
from rollbook.protocol.filters import And, Compare, Filter, Operator
from rollbook.protocol.patch_steps import Target
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.resolve import resolve_selection
from rollbook.protocol.resolved import AllOf, AnyOf, NotAny, ResolvedFilter, paths
from rollbook.protocol.schema import AttributePath, ResourceType, Schema
from rollbook.protocol.values import JsonObject, JsonValue


def find_target(text: str, resource_type: ResourceType, leniency: Leniency) -> Target | Schema | None:
    """What a path names: an attribute, a part, selected values; a schema if it is an URN alone.

    None if it lies below an URN that no schema here has and leniency passes over it.

    Raises:
        InvalidPath: malformed, or no such attribute here.
        InvalidFilter: the part in brackets does not fit.
    """
    schema = resource_type.urns.get(text.lower())
    if schema is not None:
        return schema
    parsed = parse_patch_path(text, leniency)
    path = find_attribute(parsed.name.text, resource_type, leniency)
    if path is None:
        return None
    if parsed.selection is None:
        return unselected(path, leniency)
    if path.sub is not None or not path.attribute.multi_valued:
        raise InvalidPath(f"{text[:200]}: brackets select among the values of a multi-valued attribute only")
    target = _selected(path, parsed.selection, leniency)
    _check_stored(target, resource_type)
    return target if parsed.sub is None else _with_part(target, parsed.sub)


def find_attribute(name: str, resource_type: ResourceType, leniency: Leniency) -> AttributePath | None:
    """The attribute or part of that name, also one that only one extension has (A-03); None to pass over it.

    Raises:
        InvalidPath: there is none.
    """
    path = resource_type.find(name)
    if path is not None:
        return path
    path = resource_type.find_in_extensions(name)
    if path is not None:
        quirk = Quirk.UNQUALIFIED_EXTENSION
        if leniency.accepts(quirk):
            return path
        raise InvalidPath(f"{name} belongs to an extension; write {path.text}", quirk=quirk)
    schema, _ = resource_type.split_urn(name)
    strange = schema is None and ":" in name
    if strange and leniency.accepts(Quirk.UNKNOWN_ATTRIBUTES):
        return None
    raise InvalidPath(
        f"{name[:200]} is no attribute of {resource_type.name}; see its schemas under /Schemas",
        quirk=Quirk.UNKNOWN_ATTRIBUTES if strange else None,
    )


def unselected(path: AttributePath, leniency: Leniency) -> Target:
    """The target a path without brackets names; a part of many values is leniency (A-20)."""
    quirk = Quirk.SUB_ATTRIBUTE_OF_ALL
    if path.sub and path.attribute.multi_valued and not leniency.accepts(quirk):
        name = path._replace(sub=None).text
        raise InvalidPath(f"{path.text}: say of which values, as in {name}[…].{path.sub.name}", quirk=quirk)
    return Target(path)


def _selected(path: AttributePath, selection: Filter, leniency: Leniency) -> Target:
    resolved = resolve_selection(selection, path, leniency)
    fixed: JsonObject = {}
    creates = path.attribute.is_complex
    for test in _conjunction(selection):
        part = _fixed(path, test, leniency) if path.attribute.is_complex else None
        if part is None or fixed.get(part[0], part[1]) != part[1]:
            creates = False
        else:
            fixed[part[0]] = part[1]
    return Target(path, resolved, fixed, creates, _terms(resolved))


def _check_stored(target: Target, resource_type: ResourceType) -> None:
    """Refuse a selection by what is not stored of a reference, and so would never pass."""
    for path in paths(target.selection) if target.selection else ():
        known = resource_type.references.made_of(path)
        if known is not None:
            raise InvalidFilter(f"{path.text} is made by the server of {known.text}; select by that")


def _fixed(path: AttributePath, test: Filter, leniency: Leniency) -> tuple[str, JsonValue] | None:
    """The part a test fixes and its value; None if it is no equality, or of a part that is not the client's."""
    if not isinstance(test, Compare) or test.operator is not Operator.EQ:
        return None
    sub = path.attribute.sub(test.name.text)
    if sub is None or sub.mutability is Mutability.READ_ONLY:
        return None
    sent = [test.value] if sub.multi_valued else test.value
    value = None if test.value is None else read_attribute(path._replace(sub=sub), sent, leniency)
    return None if value is None else (sub.name, value)


def _conjunction(node: Filter) -> list[Filter]:
    if not isinstance(node, And):
        return [node]
    return [test for term in node.terms for test in _conjunction(term)]


def _terms(node: ResolvedFilter) -> int:
    match node:
        case AllOf(terms) | AnyOf(terms):
            return sum(map(_terms, terms))
        case NotAny(term):
            return _terms(term)
        case _:
            return 1


def _with_part(target: Target, name: str) -> Target:
    path = target.path
    sub = path.attribute.sub(name)
    if sub is None:
        parts = ", ".join(sub.name for sub in path.attribute.sub_attributes) or "none"
        raise InvalidPath(f"{path.text} has no part {name[:80]}; its parts are {parts}")
    return Target(path._replace(sub=sub), target.selection, target.fixed, target.creates, target.terms)
