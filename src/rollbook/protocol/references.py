"""Attributes that refer to resources by id, such as `manager`: `value` is the client's, the rest is the server's (A-69).

They are found, and completed, in documents and in the compact JSON that is stored of these, where `value` comes
first. Text in JSON has its quotation marks escaped, so nothing in it can be mistaken for a reference.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from rollbook.protocol.attributes import Attribute, Mutability
from rollbook.protocol.paths import AttributePath
from rollbook.protocol.places import get, put
from rollbook.protocol.values import JsonObject, JsonValue

_TEXT = rb'"((?:[^"\\]++|\\.)*+)"'
_STRING = rb'"(?:[^"\\]++|\\.)*+"'
_VALUE = re.compile(rb'\{"value":' + _TEXT)
_SIMPLE_ARRAY = rb"\[(?:[^\"\]]++|" + _STRING + rb")*+\]"
_ELEMENTS = rb"\[(?:[^\"\[\]]++|" + _STRING + rb"|" + _SIMPLE_ARRAY + rb")*+\]"


@dataclass(frozen=True)
class Reference:
    """One attribute whose values refer to resources; `types` are those it may lead to, `label` a part or None."""

    path: AttributePath
    types: frozenset[str]
    label: str | None

    @cached_property
    def value(self) -> AttributePath:
        """The part that holds the id."""
        return self.path._replace(sub=self.path.attribute.sub("value"))

    @cached_property
    def made(self) -> tuple[AttributePath, ...]:
        """The parts that the server makes of the id whenever the resource is read."""
        subs = (self.path.attribute.sub(name) for name in ("$ref", self.label) if name is not None)
        return tuple(self.path._replace(sub=sub) for sub in subs)

    @cached_property
    def made_names(self) -> frozenset[str]:
        """The names of those parts."""
        return frozenset(path.leaf.name for path in self.made)

    def values(self, document: JsonObject) -> list[JsonObject]:
        """The values in a document that have an id."""
        held = get(document, self.path)
        each = held if isinstance(held, list) else [held]
        return [value for value in each if isinstance(value, dict) and isinstance(value.get("value"), str)]

    @cached_property
    def mark(self) -> bytes:
        """How values of the attribute begin in compact JSON."""
        return json.dumps(self.path.attribute.name).encode() + b":" + (b"[" if self._is_list else b"{")

    @property
    def _is_list(self) -> bool:
        return self.path.attribute.multi_valued

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        name = rb"(?<=[{,])" + re.escape(json.dumps(self.path.attribute.name).encode()) + rb":"
        return re.compile(name + (_ELEMENTS if self._is_list else _VALUE.pattern))

    def places(self, body: bytes) -> Iterator[re.Match[bytes]]:
        """Where ids stand in compact JSON: matches that end behind the id, which is their group 1."""
        if self.mark not in body:
            return
        for found in self._pattern.finditer(body):
            yield from _VALUE.finditer(body, *found.span()) if self._is_list else (found,)


Complete = Callable[[Reference, str], JsonObject]
"""The parts to join to a value with that id: nothing if it leads nowhere."""


@dataclass(frozen=True)
class TypeReferences:
    """All references of a resource type."""

    each: tuple[Reference, ...]
    are_plain: bool
    """Whether their names alone tell them from all other attributes, so that they are found in bytes."""

    @cached_property
    def hides_some(self) -> bool:
        """Whether some values are not stored among what is returned by default."""
        return any(
            one.path.attribute.is_hidden or one.path.attribute.hidden_parts - one.made_names
            for one in self.each
        )

    def ids(self, document: JsonObject) -> set[str]:
        """The ids that a document refers to."""
        return {value["value"] for one in self.each for value in one.values(document)}

    def ids_in(self, bodies: Iterable[bytes]) -> set[str]:
        """The ids that stored bodies refer to."""
        ids: set[str] = set()
        for body in bodies:
            if not self.are_plain:
                ids |= self.ids(json.loads(body))
                continue
            for one in self.each:
                if one.mark in body:  # most bodies have none
                    ids.update(_text(found[1]) for found in one.places(body))
        return ids

    def completed(self, body: bytes, complete: Complete, dump: Callable[[JsonObject], bytes]) -> bytes:
        """The stored body with parts joined to its references."""
        if not self.are_plain:
            document: JsonObject = json.loads(body)
            self.complete(document, complete)
            return dump(document)
        ends: dict[int, bytes] = {}
        for one in self.each:
            for found in one.places(body):
                if parts := complete(one, _text(found[1])):
                    ends[found.end()] = b"," + dump(parts)[1:-1]
        return _inserted(body, ends)

    def complete(self, document: JsonObject, complete: Complete) -> None:
        """Join parts to the references in a document of the caller's own."""
        for one in self.each:
            for value in one.values(document):
                value.update(complete(one, value["value"]))

    def made_of(self, path: AttributePath) -> AttributePath | None:
        """The part that holds the id, if the path is a part that the server makes of it; else None."""
        return next((one.value for one in self.each if path in one.made), None)

    def kept(self, document: JsonObject) -> JsonObject:
        """The document as it is stored: references without what the server makes, `value` first."""
        for one in self.each:
            held = get(document, one.path)
            if held is not None:
                each = held if isinstance(held, list) else [held]
                kept = [_bare(one, value) for value in each]
                if any(new is not old for new, old in zip(kept, each, strict=True)):
                    document = put(document, one.path, kept if isinstance(held, list) else kept[0])
        return document

    def added(self, old: JsonObject, new: JsonObject) -> list[tuple[Reference, str]]:
        """The references that one document has and another did not have."""
        return [(one, name) for one in self.each for name in sorted(_ids(one, new) - _ids(one, old))]

    def without(self, document: JsonObject, type_name: str, id: str) -> JsonObject:
        """The document without references to a resource that is gone; what has to be there stays."""
        for one in self.each:
            if type_name in one.types and id in _ids(one, document):
                held = get(document, one.path)
                left = (
                    [value for value in held if value.get("value") != id] if isinstance(held, list) else None
                )
                if left or not one.path.attribute.required:
                    document = put(document, one.path, left)
        return document


def references_of(paths: Iterable[AttributePath]) -> TypeReferences:
    """Those of the attributes that are references, by their shape."""
    found: list[Reference] = []
    others: set[str] = set()
    for path in paths:
        uri = path.attribute.sub("$ref")
        if path.attribute.refers and uri is not None:
            found.append(Reference(path, frozenset(uri.reference_types), _label(path.attribute)))
        elif path.attribute.is_complex:
            others.add(path.attribute.name)
    names = [one.path.attribute.name for one in found]
    return TypeReferences(tuple(found), len(set(names)) == len(names) and others.isdisjoint(names))


def _label(attribute: Attribute) -> str | None:
    """The part that shows what labels the resource: it is the server's if it is readOnly."""
    subs = (attribute.sub(name) for name in ("displayName", "display"))
    return next(
        (sub.name for sub in subs if sub and sub.mutability is Mutability.READ_ONLY and sub.takes_text), None
    )


def _ids(one: Reference, document: JsonObject) -> set[str]:
    return {value["value"] for value in one.values(document)}


def _bare(one: Reference, value: JsonValue) -> JsonValue:
    if not isinstance(value, dict) or "value" not in value:
        return value
    made = one.made_names
    if next(iter(value)) == "value" and made.isdisjoint(value):
        return value
    rest = {name: part for name, part in value.items() if name != "value" and name not in made}
    return {"value": value["value"], **rest}


def _text(raw: bytes) -> str:
    """The text of a JSON string without its quotation marks."""
    return str(json.loads(b'"' + raw + b'"')) if b"\\" in raw else raw.decode()


def _inserted(body: bytes, ends: dict[int, bytes]) -> bytes:
    """The bytes with others inserted at places."""
    if not ends:
        return body
    parts: list[bytes] = []
    last = 0
    for end in sorted(ends):
        parts += (body[last:end], ends[end])
        last = end
    return b"".join((*parts, body[last:]))
