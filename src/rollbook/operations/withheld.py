"""Which attributes are held back from a caller: names as people write them, and what they mean for a type (T-26, T-30)."""

from collections.abc import Iterable
from dataclasses import replace
from difflib import get_close_matches

from rollbook.operations.veil import Veil
from rollbook.protocol.attributes import Attribute
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.schema import AttributePath, Extension, ResourceType, Schema

MOST_NAMES = 100
_MOST_WORDS = 10 * MOST_NAMES
"""One may be spelled in several ways; each is looked up."""

_THE_SERVERS = frozenset({"id", "schemas", "meta"})


def read_names(option: str, names: Iterable[str], catalog: Catalog) -> frozenset[str]:
    """Names of attributes as they are kept; several may stand in one text, with commas between.

    One with the URN of a base schema is of that type only, one without of every type that has it.

    Raises:
        InvalidValue: there is no such attribute, or it cannot be held back; says what could be meant.
    """
    words = dict.fromkeys(word.strip() for name in names for word in name.split(","))
    if len(words) > _MOST_WORDS:
        raise _too_many(option)
    found = frozenset(text for word in words if word for text in _read(option, word, catalog))
    if len(found) > MOST_NAMES:
        raise _too_many(option)
    return found


def _too_many(option: str) -> InvalidValue:
    return InvalidValue(f"{option}: at most {MOST_NAMES} attributes are held back from one token")


def _read(option: str, word: str, catalog: Catalog) -> set[str]:
    found: set[str] = set()
    for kind in catalog.resource_types:
        path = kind.find(word) or kind.find_in_extensions(word)
        if path is None:
            continue
        if path.urn is None and path.attribute.name in _THE_SERVERS:
            raise InvalidValue(
                f"{option} {word}: every resource shows {path.attribute.name}; name another one"
            )
        if path.sub is not None and _is_one_thing(path.attribute):
            whole = path._replace(sub=None).text
            raise InvalidValue(
                f"{option} {word}: {whole} is held back as a whole or not at all; name {whole}"
            )
        is_of_base = path.urn is None and kind.split_urn(word)[0] is kind.schema
        found.add(f"{kind.schema.id}:{path.text}" if is_of_base else path.text)
    if not found:
        raise InvalidValue(f"{option} {word[:80]}: {_no_such(word, catalog)}")
    return found


def _no_such(word: str, catalog: Catalog) -> str:
    names = " or ".join(kind.name for kind in catalog.resource_types)
    known = {
        text.lower(): text
        for kind in catalog.resource_types
        for path in (*kind.paths(), *kind.parts())
        for text in (path._replace(urn=None).text, path.text)
    }
    near = get_close_matches(word[:200].lower(), known, 1, 0.7)
    meant = f"; did you mean {known[near[0]]}?" if near else "; see the schemas under /Schemas"
    return f"no attribute of {names}{meant}"


def _is_one_thing(attribute: Attribute) -> bool:
    """Whether its parts stand and fall together: values of a list are told apart by them, references made of them."""
    return attribute.multi_valued or attribute.refers


def veil_of(kind: ResourceType, catalog: Catalog, without: Iterable[str], hold: Iterable[str]) -> Veil:
    """What names as `read_names` gives them hold back of a type. Secrets that are held are hidden: nobody sees them."""
    hidden = _found(kind, catalog, without)
    held = {text: path for text, path in _found(kind, catalog, hold).items() if text not in hidden}
    hidden |= {text: held.pop(text) for text in [*held] if text == kind.secret}
    apart = (*hidden.values(), *held.values())
    return Veil(kind, _asking_less(kind, apart), tuple(hidden.values()), tuple(held.values()))


def _found(kind: ResourceType, catalog: Catalog, names: Iterable[str]) -> dict[str, AttributePath]:
    names = sorted(names)
    paths = [path for name in names if (path := kind.find(name))]
    if any(_is_membership(each, each.find(name)) for each in catalog.resource_types for name in names):
        # Two sides of one thing: members of a group are what the groups of a user tell.
        paths += [
            path for name in (kind.memberships, kind.derived) if name and (path := kind.attribute(name))
        ]
    paths = [path._replace(sub=None) if _is_one_thing(path.attribute) else path for path in paths]
    return {path.text: path for path in paths}


def _is_membership(kind: ResourceType, path: AttributePath | None) -> bool:
    return (
        path is not None
        and path.urn is None
        and path.attribute.name in {kind.memberships, kind.derived} - {None}
    )


def _asking_less(kind: ResourceType, apart: Iterable[AttributePath]) -> ResourceType:
    """The type with what is held back required no more: who cannot send it need not."""
    required = [path for path in apart if path.leaf.required]
    if required:
        kind = replace(
            kind,
            schema=_loose(kind.schema, [path for path in required if path.urn is None]),
            common=tuple(_loosened(one, required) for one in kind.common),
        )
    urns = {path.urn for path in apart} - {None}
    extensions = tuple(
        Extension(_loose(one.schema, [path for path in required if path.urn == one.schema.id]))
        if one.schema.id in urns
        else one
        for one in kind.extensions
    )
    return replace(kind, extensions=extensions) if urns else kind


def _loose(schema: Schema, required: Iterable[AttributePath]) -> Schema:
    return replace(schema, attributes=tuple(_loosened(one, required) for one in schema.attributes))


def _loosened(attribute: Attribute, required: Iterable[AttributePath]) -> Attribute:
    for path in required:
        if path.attribute.name == attribute.name and path.sub is None:
            attribute = replace(attribute, required=False)
        elif path.attribute.name == attribute.name:
            subs = tuple(
                replace(sub, required=False) if path.sub and sub.name == path.sub.name else sub
                for sub in attribute.sub_attributes
            )
            attribute = replace(attribute, sub_attributes=subs)
    return attribute
