"""PATCH remove, on one attribute; what is not there is removed already (RFC 7644 §3.5.2.2; A-29)."""

from rollbook.protocol.elements import Contents
from rollbook.protocol.patch_parts import Apply, merge, merged_into, selected
from rollbook.protocol.patch_steps import Form, Step
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.values import JsonValue


def remove_all(held: JsonValue, step: Step, leniency: Leniency) -> JsonValue:
    """The attribute becomes unassigned (P-3.5.2.2-02)."""
    del held, step, leniency


def remove_part(held: JsonValue, step: Step, leniency: Leniency) -> JsonValue:
    """The part becomes unassigned, and its parent when no part is left (T3)."""
    del leniency
    return merge(step.target.whole, held, _unassigned(step)) if held else None


def remove_values(held: JsonValue, step: Step, leniency: Leniency) -> JsonValue:
    """All values go, or those that equal a listed one on all parts it lists (P-3.5.2.2-03, A-30)."""
    del leniency
    if step.value is None:
        return None
    values = held or []
    contents = Contents(step.target.path.attribute, values)
    gone = {place for value in step.value for place in contents.places(value)}
    return [value for place, value in enumerate(values) if place not in gone]


def remove_selected(held: JsonValue, step: Step, leniency: Leniency) -> JsonValue:
    """Selected values go (P-3.5.2.2-04)."""
    del leniency
    values = held or []
    return [value for value, pick in zip(values, selected(step.target, values), strict=True) if not pick]


def remove_part_of_selected(held: JsonValue, step: Step, leniency: Leniency) -> JsonValue:
    """The part of selected values, or of all without a selection, becomes unassigned (P-3.5.2.2-05, A-20)."""
    del leniency
    values = held or []
    return merged_into(step.target, values, selected(step.target, values), _unassigned(step))


def _unassigned(step: Step) -> dict[str, JsonValue]:
    sub = step.target.path.sub
    return {sub.name: None} if sub else {}


FORMS: dict[Form, Apply] = {
    Form.SINGLE: remove_all,
    Form.PARTS: remove_all,
    Form.PART: remove_part,
    Form.VALUES: remove_values,
    Form.PART_OF_ALL: remove_part_of_selected,
    Form.SELECTED: remove_selected,
    Form.PART_OF_SELECTED: remove_part_of_selected,
}
