"""Which rule fits which attribute: types, numbers of values, what may be filled and what may be read.

Pure; says why not in words that name what would be accepted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rollbook.protocol.attributes import Mutability, Returned, Type
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.provisioning.expressions import Gives
from rollbook.provisioning.names import Names

_TAKES: Mapping[Type, frozenset[Gives]] = {
    Type.STRING: frozenset({Gives.TEXT}),
    Type.REFERENCE: frozenset({Gives.TEXT}),
    Type.BINARY: frozenset({Gives.TEXT}),
    Type.DATE_TIME: frozenset({Gives.TEXT, Gives.MOMENT}),
    Type.BOOLEAN: frozenset({Gives.BOOLEAN}),
    Type.INTEGER: frozenset({Gives.INTEGER}),
    Type.DECIMAL: frozenset({Gives.INTEGER, Gives.DECIMAL}),
    Type.COMPLEX: frozenset({Gives.OBJECT}),
}
"""What an expression may give for each type; `anything` and null are looked at when it runs."""

_CALLED: Mapping[Type, str] = {
    Type.STRING: "text",
    Type.REFERENCE: "text",
    Type.BINARY: "base64 text",
    Type.DATE_TIME: "a date and time",
    Type.BOOLEAN: "true or false",
    Type.INTEGER: "a whole number",
    Type.DECIMAL: "a number",
    Type.COMPLEX: "an object with parts",
}

_COPIES: Mapping[Type, frozenset[Type]] = {
    Type.STRING: frozenset({Type.STRING, Type.REFERENCE, Type.BINARY, Type.DATE_TIME}),
    Type.REFERENCE: frozenset({Type.STRING, Type.REFERENCE}),
    Type.DECIMAL: frozenset({Type.DECIMAL, Type.INTEGER}),
}
"""The types whose values an attribute takes as they are, where that is more than its own."""

_COLUMN_HINTS: Mapping[Type, str] = {
    Type.BOOLEAN: "expr: 'record.{column} == \"yes\"'",
    Type.INTEGER: "expr: 'int(record.{column})'",
    Type.DECIMAL: "expr: 'double(record.{column})'",
}


@dataclass(frozen=True)
class Wanted:
    """What the attribute or part at a path takes; `many` if that is a list of values."""

    path: AttributePath
    many: bool

    @property
    def called(self) -> str:
        """What it takes, in words."""
        kind = _CALLED[self.path.leaf.type]
        return f"a list, each value {kind}" if self.many else kind

    @property
    def gives(self) -> frozenset[Gives]:
        """What an expression may give for it."""
        return frozenset({Gives.LIST}) if self.many else _TAKES[self.path.leaf.type]

    @property
    def takes_columns(self) -> bool:
        """Whether a column's text can be copied into it."""
        return Gives.TEXT in self.gives

    def column_hint(self, column: str) -> str:
        """How to fill it from a column all the same."""
        if self.many:
            part = (
                "{value: {from: " + column + "}}" if self.path.leaf.is_complex else "{from: " + column + "}"
            )
            return f"write a list: {self.path.attribute.name}: [{part}]"
        if self.path.leaf.is_complex:
            return f"fill its parts: {self.path.text}.{self.path.attribute.sub_attributes[0].name}: …"
        return _COLUMN_HINTS[self.path.leaf.type].format(column=column)

    def accepts(self, source: AttributePath) -> bool:
        """Whether the value of another attribute can be copied into it."""
        if self.many is not has_many(source):
            return False
        leaf, other = self.path.leaf, source.leaf
        if leaf.is_complex or other.is_complex:
            return leaf.type is other.type and all(leaf.sub(sub.name) for sub in other.sub_attributes)
        return other.type is leaf.type or other.type in _COPIES.get(leaf.type, ())


def has_many(path: AttributePath) -> bool:
    """Whether there is a list at the path; a part of each of many values is many too."""
    return path.attribute.multi_valued or path.leaf.multi_valued


def unfillable(path: AttributePath, resource_type: ResourceType) -> str | None:
    """Why no rule may fill the attribute, or None."""
    name = path.attribute.name
    if path.urn is None and name in {"schemas", "id", "meta"}:
        return "every service sets it by itself"
    if path.urn is None and name == resource_type.memberships:
        return "members follow from groups: and members:"
    if path.urn is None and name == resource_type.secret:
        return "passwords are not carried from system to system"
    if Mutability.READ_ONLY in {path.attribute.mutability, path.leaf.mutability}:
        return "it is readOnly: the service that has it sets it"
    return None


def unreadable(path: AttributePath, resource_type: ResourceType) -> str | None:
    """Why no rule may read the attribute of a hub resource, or None."""
    name = path.attribute.name
    if Returned.NEVER in {path.attribute.returned, path.leaf.returned}:
        return "it is never given out"
    if path.urn is None and name in {"schemas", "meta"}:
        return "it says nothing about the person or group"
    if path.urn is None and name in {resource_type.memberships, resource_type.derived}:
        return "memberships go out as groups: with members: true"
    known = resource_type.references.made_of(path)
    if known is not None:
        return f"it is not stored; read {known.attribute.name}.value instead"
    return None


def referenced(path: AttributePath) -> AttributePath:
    """The part that holds the id, for an attribute that refers to one other resource (manager); else the path."""
    attribute = path.attribute
    if path.sub is not None or attribute.multi_valued or attribute.sub("$ref") is None:
        return path
    return path._replace(sub=attribute.sub("value"))


def is_reference(path: AttributePath) -> bool:
    """Whether the path is the id part of an attribute that refers to one other resource."""
    return path.sub is not None and path.sub.name == "value" and referenced(path._replace(sub=None)) == path


def readable_by_expression(name: str, names: Names) -> tuple[bool, str | None]:
    """Whether `user.name` names anything, and why it cannot be read all the same."""
    if name.lower() in names.resource_type.urns or name.lower() in names.short:
        return True, None
    path = names.find(name)
    if path is None:
        return False, None
    if path.sub is not None and path.attribute.multi_valued:
        attribute, sub = path.attribute.name, path.sub.name
        return True, f'{attribute} has many values: …{attribute}.first().?{sub}.orValue("")'
    if path.urn is None and path.attribute.name == names.resource_type.derived:
        return True, None
    return True, unreadable(path, names.resource_type)
