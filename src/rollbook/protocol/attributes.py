"""An attribute and its characteristics (RFC 7643 §2.2, §7)."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

_NOT_RESOURCES = frozenset({"external", "uri"})
_NAME = re.compile(r"\$?[A-Za-z][A-Za-z0-9_$-]*\Z", re.ASCII)


class Type(StrEnum):
    """Data types (RFC 7643 §2.3)."""

    STRING = "string"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    INTEGER = "integer"
    DATE_TIME = "dateTime"
    BINARY = "binary"
    REFERENCE = "reference"
    COMPLEX = "complex"


class Mutability(StrEnum):
    """When an attribute may be written."""

    READ_ONLY = "readOnly"
    READ_WRITE = "readWrite"
    IMMUTABLE = "immutable"
    WRITE_ONLY = "writeOnly"


class Returned(StrEnum):
    """When an attribute is sent back."""

    ALWAYS = "always"
    NEVER = "never"
    DEFAULT = "default"
    REQUEST = "request"


class Uniqueness(StrEnum):
    """How far a value must be unique."""

    NONE = "none"
    SERVER = "server"
    GLOBAL = "global"


def is_name(text: str) -> bool:
    """Whether text is an attribute name: a letter, then letters, digits, `-`, `_`, `$`; `$ref` too (S-01)."""
    return _NAME.match(text) is not None


@dataclass(frozen=True)
class Attribute:
    """One attribute or sub-attribute definition. Names are kept as defined and compared without case (S-02)."""

    name: str
    type: Type = Type.STRING
    multi_valued: bool = False
    description: str = ""
    required: bool = False
    canonical_values: tuple[str, ...] = ()
    case_exact: bool = False
    mutability: Mutability = Mutability.READ_WRITE
    returned: Returned = Returned.DEFAULT
    uniqueness: Uniqueness = Uniqueness.NONE
    reference_types: tuple[str, ...] = ()
    sub_attributes: tuple["Attribute", ...] = field(default=())

    @cached_property
    def _by_name(self) -> dict[str, "Attribute"]:
        return {sub.name.lower(): sub for sub in self.sub_attributes}

    def sub(self, name: str) -> "Attribute | None":
        """The sub-attribute of that name in any case, or None."""
        return self._by_name.get(name.lower())

    @cached_property
    def hidden_parts(self) -> frozenset[str]:
        """Names of the sub-attributes that are returned on request only, or never."""
        return frozenset(sub.name for sub in self.sub_attributes if sub.is_hidden)

    @cached_property
    def is_hidden(self) -> bool:
        """Whether it is returned on request only, or never."""
        return self.returned in {Returned.REQUEST, Returned.NEVER}

    @property
    def takes_text(self) -> bool:
        """Whether there is at most one value, a string."""
        return self.type is Type.STRING and not self.multi_valued

    @cached_property
    def takes_any_text(self) -> bool:
        """Whether a value is one string of which nothing more is asked: the bulk of all attributes."""
        return self.takes_text and self.uniqueness is Uniqueness.NONE

    @cached_property
    def parts(self) -> frozenset[str]:
        """Names of the sub-attributes."""
        return frozenset(sub.name for sub in self.sub_attributes)

    @cached_property
    def open_parts(self) -> frozenset[str]:
        """Names of the sub-attributes that are returned by default, or always."""
        return self.parts - self.hidden_parts

    @cached_property
    def leads_to_resource(self) -> bool:
        """Whether it is a URI of a resource of some type (RFC 7643 §7)."""
        return any(kind not in _NOT_RESOURCES for kind in self.reference_types)

    @cached_property
    def refers(self) -> bool:
        """Whether each value refers to a resource by its id: `value` is the id, `$ref` the URI (S-71, S-74)."""
        parts = {sub.name: sub for sub in self.sub_attributes}
        value, uri = parts.get("value"), parts.get("$ref")
        is_id = value is not None and value.takes_text and not value.is_hidden
        return is_id and uri is not None and uri.type is Type.REFERENCE and uri.leads_to_resource

    @property
    def is_complex(self) -> bool:
        """Whether values are objects."""
        return self.type is Type.COMPLEX

    @cached_property
    def compares_exactly(self) -> bool:
        """Whether text comparison heeds case; references and binaries always do (RFC 7643 §2.2, §2.3.7)."""
        return self.case_exact or self.type in {Type.REFERENCE, Type.BINARY}
