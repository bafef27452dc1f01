"""A stored resource × other definitions of its type → what would no longer be valid, and what would be left of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from rollbook.protocol.attributes import Attribute, Mutability
from rollbook.protocol.coerce import read_attribute
from rollbook.protocol.errors import RequestError
from rollbook.protocol.quirks import RFC, Leniency
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.validate import missing
from rollbook.protocol.values import JsonObject, JsonValue


class Fault(StrEnum):
    """What is wrong with a resource under other definitions."""

    DROPPED = "dropped"
    """No definition has the attribute any more, or it is the server's to make: its value would go."""
    UNFIT = "unfit"
    """The value is not one of the attribute's, as it would be defined."""
    MISSING = "missing"
    """A required attribute or extension has no value."""
    NOT_UNIQUE = "not unique"
    """Another resource has the value of an attribute that would be unique."""
    NO_TYPE = "no type"
    """The resource's type would not exist."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault, and the attribute or extension it is about, as `AttributePath.text` has it."""

    fault: Fault
    where: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found, and the document without what would be dropped."""

    findings: tuple[Finding, ...]
    document: JsonObject


def judge(document: JsonObject, resource_type: ResourceType, *, has_members: bool = False) -> Judged:
    """Judge a stored document by that type, which may have been defined otherwise when it was stored."""
    found: list[Finding] = []
    kept: JsonObject = {}
    for name, value in document.items():
        if ":" in name:
            left = _extension(name, value, resource_type, found)
            if left:
                kept[name] = left
            continue
        path = resource_type.attribute(name)
        if path is None or name in {resource_type.memberships, resource_type.derived}:
            found.append(Finding(Fault.DROPPED, name))
            continue
        one = _attribute(path, value, found)
        if one is not None:
            kept[name] = one
    if has_members and resource_type.memberships is None:
        found.append(Finding(Fault.DROPPED, "members"))
    found += _made_parts(kept, resource_type)
    kept = resource_type.references.kept(kept)
    found += [Finding(Fault.MISSING, text) for text, _ in missing(kept, resource_type)]
    return Judged(tuple(dict.fromkeys(found)), kept)


def _extension(urn: str, value: JsonObject, resource_type: ResourceType, found: list[Finding]) -> JsonObject:
    extension = resource_type.extension(urn)
    if extension is None:
        found.append(Finding(Fault.DROPPED, urn))
        return {}
    kept: JsonObject = {}
    for name, held in value.items():
        path = resource_type.attribute(name, extension.schema)
        if path is None:
            found.append(Finding(Fault.DROPPED, f"{urn}:{name}"))
            continue
        one = _attribute(path, held, found)
        if one is not None:
            kept[name] = one
    return kept


def _attribute(path: AttributePath, value: JsonValue, found: list[Finding]) -> JsonValue:
    """The value without parts that would be dropped; None if nothing is left."""
    dropped = set(_unknown_parts(path.attribute, value))
    found += [Finding(Fault.DROPPED, f"{path.text}.{name}") for name in sorted(dropped)]
    kept = _without(value, dropped)
    if kept is None:
        return None
    if not _fits(path, kept):
        found.append(Finding(Fault.UNFIT, path.text))
    return kept


def _made_parts(document: JsonObject, resource_type: ResourceType) -> Iterator[Finding]:
    """Parts of references that the server makes, where a client's own are stored."""
    for one in resource_type.references.each:
        for value in one.values(document):
            for path in one.made:
                if path.leaf.name in value:
                    yield Finding(Fault.DROPPED, path.text)


def _unknown_parts(attribute: Attribute, value: JsonValue) -> Iterator[str]:
    if attribute.is_complex:
        for element in value if isinstance(value, list) else [value]:
            if isinstance(element, dict):
                yield from (name for name in element if attribute.sub(name) is None)


def _without(value: JsonValue, dropped: set[str]) -> JsonValue:
    if not dropped:
        return value
    if isinstance(value, list):
        return [kept for element in value if (kept := _without(element, dropped))] or None
    if isinstance(value, dict):
        return {name: part for name, part in value.items() if name not in dropped} or None
    return value


def _fits(path: AttributePath, value: JsonValue) -> bool:
    """Whether the value would be stored as it lies there; what the server sets itself is not judged."""
    if path.attribute.mutability is Mutability.READ_ONLY:
        return True
    server = {sub.name for sub in path.attribute.sub_attributes if sub.mutability is Mutability.READ_ONLY}
    asked = _without(value, server)
    try:
        return asked is None or bool(read_attribute(path, asked, Leniency(RFC)) == asked)
    except RequestError:
        return False
