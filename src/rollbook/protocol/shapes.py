"""Attributes that are recognised by their shape, in schemas of anybody: members, groups, passwords, references.

What is kept of them, and what is made of them, differs from other attributes; see `ResourceType`.
"""

from rollbook.protocol.attributes import Mutability, Returned
from rollbook.protocol.schema import Schema

MEMBER_PARTS = frozenset({"value", "type", "display", "$ref"})
"""What a membership can tell; an attribute with more to tell is not kept as memberships."""


def memberships_of(schema: Schema) -> str | None:
    """The attribute whose values are rows of their own: `members`, of which resources are added and removed (S-71).

    It may be long and has to be quick, so a schema cannot ask that it is never empty.
    """
    found = schema.attribute("members")
    if found is None or not (found.multi_valued and found.refers):
        return None
    value = found.sub("value")
    is_ours = (
        value is not None
        and value.mutability is Mutability.IMMUTABLE
        and found.mutability is Mutability.READ_WRITE
        and not found.required
        and found.parts <= MEMBER_PARTS
    )
    return found.name if is_ours else None


def derived_of(schema: Schema) -> str | None:
    """The attribute computed from memberships, read from the other side: readOnly `groups` (S-60)."""
    found = schema.attribute("groups")
    if found is None or found.mutability is not Mutability.READ_ONLY:
        return None
    return found.name if found.multi_valued and found.refers else None


def secret_of(schema: Schema) -> str | None:
    """The attribute of which only a hash is kept: a `password` that is writeOnly and never returned (P-7-10)."""
    found = schema.attribute("password")
    if found is None or not found.takes_text:
        return None
    is_ours = found.mutability is Mutability.WRITE_ONLY and found.returned is Returned.NEVER
    return found.name if is_ours else None
