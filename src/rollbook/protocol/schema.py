"""Schemas, resource types, and finding attributes in them by name (RFC 7643 §3.2, §6, §7; RFC 7644 §3.10).

Knows definitions only; values are the business of `validate`, `match` and `patch`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from rollbook.protocol.attributes import Attribute, Mutability
from rollbook.protocol.paths import AttributePath
from rollbook.protocol.references import TypeReferences, references_of

__all__ = ["AttributePath", "Extension", "ResourceType", "Schema"]


@dataclass(frozen=True)
class Schema:
    """A schema: its URN and its attributes."""

    id: str
    name: str
    description: str
    attributes: tuple[Attribute, ...]

    @cached_property
    def _by_name(self) -> dict[str, Attribute]:
        return {attribute.name.lower(): attribute for attribute in self.attributes}

    def attribute(self, name: str) -> Attribute | None:
        """The attribute of that name in any case, or None."""
        return self._by_name.get(name.lower())


@dataclass(frozen=True)
class Extension:
    """A schema that adds attributes to a resource type; `required` means every resource carries it."""

    schema: Schema
    required: bool = False


@dataclass(frozen=True)
class ResourceType:
    """A kind of resource: where it is served, its base schema and its extensions.

    `common` are the attributes that every resource has and no schema lists (RFC 7643 §3.1).
    `memberships` names the attribute whose values are rows of their own, None for most types;
    `derived` names the attribute computed from other resources' memberships; `secret` the one of which only
    a hash is kept. `display` lists attribute paths, best first, that label a resource where others refer to it.
    """

    id: str
    name: str
    endpoint: str
    description: str
    schema: Schema
    extensions: tuple[Extension, ...] = ()
    common: tuple[Attribute, ...] = ()
    memberships: str | None = None
    derived: str | None = None
    secret: str | None = None
    display: tuple[str, ...] = ()

    @cached_property
    def urns(self) -> dict[str, Schema]:
        """Schemas of this type, base first, by lower-case URN."""
        schemas = (self.schema, *(extension.schema for extension in self.extensions))
        return {schema.id.lower(): schema for schema in schemas}

    @cached_property
    def _common_by_name(self) -> dict[str, Attribute]:
        return {attribute.name.lower(): attribute for attribute in self.common}

    @cached_property
    def _found(self) -> dict[str, "AttributePath | None"]:
        return {}

    @cached_property
    def references(self) -> TypeReferences:
        """The attributes whose values refer to resources by id, memberships and groups aside."""
        own = {self.memberships, self.derived}
        return references_of(
            path for path in self.paths() if path.urn is not None or path.attribute.name not in own
        )

    @cached_property
    def hidden(self) -> tuple[AttributePath, ...]:
        """Top-level attributes that are not returned by default, or have parts that are not."""
        return tuple(p for p in self.paths() if p.attribute.is_hidden or p.attribute.hidden_parts)

    @cached_property
    def open_names(self) -> frozenset[str]:
        """Names of the attributes, base and common, that are returned always or by default."""
        return frozenset(
            p.attribute.name for p in self.paths() if p.urn is None and not p.attribute.is_hidden
        )

    @cached_property
    def member_types(self) -> frozenset[str]:
        """Names of the resource types that members are meant to have."""
        path = self.find(f"{self.memberships}.$ref")
        return frozenset(path.leaf.reference_types if path else ())

    @cached_property
    def hides_members(self) -> bool:
        """Whether the attribute kept as memberships is not returned by default."""
        return any(
            p.urn is None and p.attribute.name == self.memberships
            for p in self.hidden
            if p.attribute.is_hidden
        )

    def extension(self, urn: str) -> Extension | None:
        """The extension with that URN in any case, or None."""
        return next((ext for ext in self.extensions if ext.schema.id.lower() == urn.lower()), None)

    def split_urn(self, text: str) -> tuple[Schema | None, str]:
        """Split `[urn:]rest` by the longest known schema URN, compared without case (P-3.4.2.2-28).

        Returns the schema, None if no known URN leads, and the rest, empty if text is the URN alone.
        """
        if ":" not in text:  # every URN has one
            return None, text
        lower = text.lower()
        best = max((urn for urn in self.urns if _leads(urn, lower)), key=len, default=None)
        return (None, text) if best is None else (self.urns[best], text[len(best) + 1 :])

    def attribute(self, name: str, schema: Schema | None = None) -> AttributePath | None:
        """The top-level attribute `name` of `schema`; without schema, of the base schema or a common one."""
        if schema is not None and schema is not self.schema:
            found = schema.attribute(name)
            return AttributePath(schema.id, found) if found else None
        found = self._common_by_name.get(name.lower()) or self.schema.attribute(name)
        return AttributePath(None, found) if found else None

    def find(self, text: str) -> AttributePath | None:
        """The attribute that `[urn:]attribute[.sub]` names, in any case, or None (P-3.10-01)."""
        key = text.lower()
        if key not in self._found:
            if len(self._found) > 4096:  # names come from callers: bound what is remembered
                self._found.clear()
            self._found[key] = self._find(text)
        return self._found[key]

    def _find(self, text: str) -> AttributePath | None:
        schema, rest = self.split_urn(text)
        name, _, sub_name = rest.partition(".")
        path = self.attribute(name, schema)
        if path is None or not sub_name:
            return path if "." not in rest else None
        sub = path.attribute.sub(sub_name)
        return path._replace(sub=sub) if sub else None

    def find_in_extensions(self, name: str) -> AttributePath | None:
        """The attribute that exactly one extension defines under that unqualified `attribute[.sub]` name."""
        first = name.partition(".")[0].lower()
        if ":" not in first and first not in self._extension_names:
            return None
        found = [path for ext in self.extensions if (path := self.find(f"{ext.schema.id}:{name}"))]
        return found[0] if len(found) == 1 else None

    @cached_property
    def _extension_names(self) -> frozenset[str]:
        return frozenset(each.name.lower() for ext in self.extensions for each in ext.schema.attributes)

    def paths(self) -> Iterator[AttributePath]:
        """Every top-level attribute: common, base, extensions."""
        for attribute in (*self.common, *self.schema.attributes):
            yield AttributePath(None, attribute)
        for extension in self.extensions:
            for attribute in extension.schema.attributes:
                yield AttributePath(extension.schema.id, attribute)

    def parts(self) -> Iterator[AttributePath]:
        """Every attribute of base schema and extensions, each followed by its parts; common ones left out."""
        for path in self.paths():
            if path.urn is not None or path.attribute.name.lower() not in self._common_by_name:
                yield path
                yield from (path._replace(sub=sub) for sub in path.attribute.sub_attributes)

    @cached_property
    def required_paths(self) -> tuple[AttributePath, ...]:
        """What a client has to give a value: required and not readOnly (RFC 7643 §2.2)."""
        return tuple(
            path
            for path in self.parts()
            if path.leaf.required
            and Mutability.READ_ONLY not in {path.attribute.mutability, path.leaf.mutability}
            and path.attribute.name != self.memberships
        )

    @cached_property
    def reference_names(self) -> frozenset[str]:
        """Lower-case names of attributes whose values lead to other resources: complex ones with a `$ref`."""
        paths = (path.attribute for path in self.paths())
        return frozenset(attribute.name.lower() for attribute in paths if attribute.sub("$ref") is not None)

    @cached_property
    def kept_paths(self) -> tuple[AttributePath, ...]:
        """What PUT does not clear when it is left out: single or top-level values not readWrite (A-05, A-06)."""
        return tuple(
            path
            for path in self.parts()
            if path.leaf.mutability is not Mutability.READ_WRITE
            and not (path.sub and path.attribute.multi_valued)
            and path.attribute.name not in {self.memberships, self.derived}
        )


def _leads(urn: str, text: str) -> bool:
    return text.startswith(urn) and (len(text) == len(urn) or text[len(urn)] == ":")
