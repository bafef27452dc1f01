"""The path of an attribute, or of a part of one, in a resource type."""

from typing import NamedTuple

from rollbook.protocol.attributes import Attribute


class AttributePath(NamedTuple):
    """An attribute, or a part of one, as a resource type has it.

    `urn` is the URN of the extension it lives in, None for base and common attributes.
    """

    urn: str | None
    attribute: Attribute
    sub: Attribute | None = None

    @property
    def leaf(self) -> Attribute:
        """The definition at the end of the path: that of the part if there is one."""
        return self.sub or self.attribute

    @property
    def text(self) -> str:
        """The path in standard notation, names as defined: `emails.value`, `urn:…:User:department`."""
        name = f"{self.attribute.name}.{self.sub.name}" if self.sub else self.attribute.name
        return f"{self.urn}:{name}" if self.urn else name
