"""Attribute names as people write them in rollbook.yaml: `enterprise.department` beside the full URN.

Knows schemas only; where in a file a name stands is the business of `config`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

from rollbook.protocol.lexer import Kind, tokenize
from rollbook.protocol.schema import AttributePath, ResourceType, Schema
from rollbook.protocol.values import JsonObject

_VERSION = re.compile(r"v?\d+(\.\d+)*\Z", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Names:
    """The names of one resource type's attributes, long and short. Make one and keep it: it remembers."""

    resource_type: ResourceType

    @cached_property
    def short(self) -> dict[str, str]:
        """Lower-case short name → URN of each extension.

        A short name is the part of the URN before version and type (`…:enterprise:2.0:User` → `enterprise`),
        or the schema's name without the type (`EnterpriseUser`). One that two extensions share, or that is
        an attribute too, is left out: then only the URN works.
        """
        found: dict[str, set[str]] = {}
        for extension in self.resource_type.extensions:
            for name in _short_names(extension.schema, self.resource_type.name):
                found.setdefault(name, set()).add(extension.schema.id)
        return {
            name: urns.pop()
            for name, urns in found.items()
            if len(urns) == 1 and self.resource_type.attribute(name) is None
        }

    @cached_property
    def all(self) -> tuple[str, ...]:
        """Every attribute and part, as people write it."""
        paths: list[AttributePath] = []
        for path in self.resource_type.paths():
            paths += [path, *(path._replace(sub=sub) for sub in path.attribute.sub_attributes)]
        return tuple(map(self.written, paths))

    def find(self, text: str) -> AttributePath | None:
        """The attribute or part that text names, with URN, with a short name or with neither; else None."""
        return self.resource_type.find(text) or self.resource_type.find(self._expanded(text))

    def written(self, path: AttributePath) -> str:
        """The path as people write it: with the extension's short name if it has one."""
        name = next((name for name, urn in self.short.items() if urn == path.urn), None)
        return path.text if name is None else f"{name}.{path._replace(urn=None).text}"

    def suggest(self, text: str) -> str | None:
        """The attribute most like a misspelt name, as people write it, or None."""
        return suggest(text, self.all)

    def expand_filter(self, text: str) -> "Expanded":
        """A SCIM filter with the short names in it written as URNs, so that the strict parser reads it."""
        pieces: list[str] = []
        shifts: list[tuple[int, int]] = []
        done = length = 0
        for token in tokenize(text):
            written = self._expanded(token.text) if token.kind is Kind.WORD else token.text
            if written == token.text or self.resource_type.find(token.text):
                continue
            length += token.start - done
            shifts.append((length, len(written) - len(token.text)))
            length += len(written)
            pieces += [text[done : token.start], written]
            done = token.end
        return Expanded("".join((*pieces, text[done:])), tuple(shifts))

    def abbreviate(self, text: str) -> str:
        """A message with the short names in place of URNs."""
        for name, urn in self.short.items():
            text = text.replace(f"{urn}:", f"{name}.")
        return text

    def with_short(self, document: JsonObject) -> JsonObject:
        """The document with each extension also under its short name, for expressions; shares its values."""
        shorts = {name: document[urn] for name, urn in self.short.items() if urn in document}
        return {**document, **shorts} if shorts else document

    def _expanded(self, text: str) -> str:
        head, dot, rest = text.partition(".")
        urn = self.short.get(head.lower())
        return f"{urn}:{rest}" if urn and dot and rest else text


@dataclass(frozen=True)
class Expanded:
    """A filter with short names written out; `shifts` are (place in `text`, characters added there)."""

    text: str
    shifts: tuple[tuple[int, int], ...]

    def original(self, place: int) -> int:
        """The place, counted from 0, in the filter as it was written."""
        return place - sum(extra for start, extra in self.shifts if start < place)


def _short_names(schema: Schema, type_name: str) -> Iterator[str]:
    parts = [part for part in schema.id.lower().split(":") if not _VERSION.match(part)]
    if parts[-1] == type_name.lower():
        parts.pop()
    yield parts[-1]
    named = re.sub(r"[^a-z0-9]", "", schema.name.lower()).removesuffix(type_name.lower())
    if named:
        yield named


def suggest(text: str, choices: Iterable[str]) -> str | None:
    """The choice most like text, case and separators aside, or None if none is near."""
    by_key: dict[str, str] = {}
    for choice in choices:
        by_key.setdefault(_key(choice), choice)
    near = get_close_matches(_key(text), by_key, n=1, cutoff=0.7)
    return by_key[near[0]] if near else None


def _key(text: str) -> str:
    return re.sub(r"[\s_-]", "", text.lower())
