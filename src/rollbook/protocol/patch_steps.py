"""A PATCH as typed steps: what `patch_message` makes of a body and `patch` applies (RFC 7644 §3.5.2).

A step names one attribute or part. Path-less values, extension objects and `schemas` are steps already.
"""

from dataclasses import dataclass, field
from enum import Enum, StrEnum

from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resolved import ResolvedFilter
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject, JsonValue


class Op(StrEnum):
    """What an operation does."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


class Form(Enum):
    """What a target is (protocol.md, operation by target; T1 to T11)."""

    SINGLE = "a simple attribute with one value"
    PARTS = "a complex attribute with one value"
    PART = "a part of a complex attribute with one value"
    VALUES = "all values of a multi-valued attribute"
    PART_OF_ALL = "a part of all values"
    SELECTED = "the values a filter selects"
    PART_OF_SELECTED = "a part of the values a filter selects"


@dataclass(frozen=True)
class Target:
    """An attribute or part, and which of its values.

    `fixed` are the parts that equality tests of the selection name; `creates` says that these tests are the
    whole selection, so that a value can be made of them (A-27). `terms` is the number of tests.
    """

    path: AttributePath
    selection: ResolvedFilter | None = None
    fixed: JsonObject = field(default_factory=dict)
    creates: bool = False
    terms: int = 1

    @property
    def whole(self) -> AttributePath:
        """The attribute itself."""
        return self.path._replace(sub=None)

    @property
    def form(self) -> Form:
        """What kind of target this is."""
        _, attribute, sub = self.path
        if attribute.multi_valued:
            if self.selection is None:
                return Form.PART_OF_ALL if sub else Form.VALUES
            return Form.PART_OF_SELECTED if sub else Form.SELECTED
        if sub:
            return Form.PART
        return Form.PARTS if attribute.is_complex else Form.SINGLE


@dataclass(frozen=True)
class Step:
    """One operation on one target.

    `value` is canonical and fits the form: a value for SINGLE, PART and the other parts; the parts given
    (None: unassign) for PARTS and SELECTED; a list for VALUES, of `Member` for memberships. For REMOVE it
    lists the values to remove, None for all there are.
    """

    op: Op
    target: Target
    value: JsonValue = None


@dataclass(frozen=True)
class Patch:
    """A PATCH message that is right as far as one can tell without the resource."""

    resource_type: ResourceType
    steps: tuple[Step, ...]
    leniency: Leniency = field(default_factory=Leniency, compare=False)

    def is_membership(self, step: Step) -> bool:
        """Whether the step is about rows rather than the document."""
        return (
            step.target.path.urn is None and step.target.path.attribute.name == self.resource_type.memberships
        )
