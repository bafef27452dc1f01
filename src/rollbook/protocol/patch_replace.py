"""PATCH replace, on one attribute; where it has no value, replace is add (RFC 7644 §3.5.2.3)."""

from rollbook.protocol import errors
from rollbook.protocol.patch_add import merge_into_all, merge_parts, set_value
from rollbook.protocol.patch_parts import Apply, created, merge, merged_into, no_target, parts_of, selected
from rollbook.protocol.patch_steps import Form, Step
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.values import JsonValue


def replace_parts(held: JsonValue, step: Step, leniency: Leniency) -> JsonValue:
    """Parts given are set and others stay (P-3.5.2.3-05), or go where leniency reads it so (A-32)."""
    if leniency.accepts(Quirk.WHOLE_REPLACE):
        named = {sub.name: None for sub in step.target.path.attribute.sub_attributes}
        return merge(step.target.whole, held, {**named, **parts_of(step)})
    return merge_parts(held, step, leniency)


def replace_selected(held: JsonValue, step: Step, leniency: Leniency) -> JsonValue:
    """Each selected value becomes the one given; what the selection fixes stays unless given (A-33).

    Raises:
        NoTarget: none is selected (P-3.5.2.3-08).
    """
    del leniency
    values = held or []
    picked = selected(step.target, values)
    if not any(picked):
        raise no_target(step.target)
    value = step.value
    if step.target.path.attribute.is_complex:
        parts = {**step.target.fixed, **value}
        value = {name: part for name, part in parts.items() if part is not None}
    return [value if pick and old != value else old for old, pick in zip(values, picked, strict=True)]


def replace_part_of_selected(held: JsonValue, step: Step, leniency: Leniency) -> JsonValue:
    """Selected values get the part; if there are none, leniency lets one be made (P-3.5.2.3-07, A-34).

    Raises:
        NoTarget: none is selected, and none may or can be made.
    """
    values = held or []
    picked = selected(step.target, values)
    if any(picked):
        return merged_into(step.target, values, picked, parts_of(step))
    value, quirk = created(step.target, parts_of(step)), Quirk.VALUE_PATH_CREATES
    if not leniency.accepts(quirk):
        raise errors.NoTarget(no_target(step.target).detail, quirk=quirk)
    return [*values, value]


FORMS: dict[Form, Apply] = {
    Form.SINGLE: set_value,
    Form.PARTS: replace_parts,
    Form.PART: merge_parts,
    Form.VALUES: set_value,
    Form.PART_OF_ALL: merge_into_all,
    Form.SELECTED: replace_selected,
    Form.PART_OF_SELECTED: replace_part_of_selected,
}
