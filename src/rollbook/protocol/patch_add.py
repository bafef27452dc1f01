"""PATCH add, on one attribute (RFC 7644 §3.5.2.1)."""

from rollbook.protocol.elements import Contents
from rollbook.protocol.patch_parts import Apply, created, merge, merged_into, parts_of, selected
from rollbook.protocol.patch_steps import Form, Step
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.values import JsonValue


def set_value(held: JsonValue, step: Step, leniency: Leniency) -> JsonValue:
    """A single value is overwritten (P-3.5.2.1-04)."""
    del held, leniency
    return step.value


def merge_parts(held: JsonValue, step: Step, leniency: Leniency) -> JsonValue:
    """Parts given are set, others stay; the parent comes into being if it has to (P-3.5.2.1-06)."""
    del leniency
    return merge(step.target.whole, held, parts_of(step))


def append(held: JsonValue, step: Step, leniency: Leniency) -> JsonValue:
    """Values not yet there are appended; there is one that is equal on all parts sent (P-3.5.2.1-05, A-25)."""
    del leniency
    values = held or []
    contents = Contents(step.target.path.attribute, values)
    return [*values, *(value for value in step.value if not contents.places(value))]


def merge_into_all(held: JsonValue, step: Step, leniency: Leniency) -> JsonValue:
    """Every value gets the part (A-20)."""
    del leniency
    values = held or []
    return merged_into(step.target, values, [True] * len(values), parts_of(step))


def merge_into_selected(held: JsonValue, step: Step, leniency: Leniency) -> JsonValue:
    """Selected values get the parts; if there are none, one is made of the selection (P-3.5.2.1-11, -12)."""
    del leniency
    values = held or []
    picked = selected(step.target, values)
    if not any(picked):
        return [*values, created(step.target, parts_of(step))]
    return merged_into(step.target, values, picked, parts_of(step))


FORMS: dict[Form, Apply] = {
    Form.SINGLE: set_value,
    Form.PARTS: merge_parts,
    Form.PART: merge_parts,
    Form.VALUES: append,
    Form.PART_OF_ALL: merge_into_all,
    Form.SELECTED: merge_into_selected,
    Form.PART_OF_SELECTED: merge_into_selected,
}
