"""What add, remove and replace share: merging parts into a value, and settling a list of values (RFC 7644 §3.5.2)."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from rollbook.protocol import elements, errors
from rollbook.protocol.attributes import Attribute, Mutability
from rollbook.protocol.match import matches_element
from rollbook.protocol.patch_steps import Step, Target
from rollbook.protocol.places import changed
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject, JsonValue

Apply: TypeAlias = Callable[[JsonValue, Step, Leniency], JsonValue]
"""What an attribute had, and a step → what it has then; None for nothing. The same object if nothing changes."""


def merge(path: AttributePath, held: JsonObject | None, parts: JsonObject) -> JsonObject:
    """The value with those parts set, or unassigned where None; parts not named stay (P-3.5.2.1-06).

    Raises:
        Mutability: an immutable part that has a value would get another one or none.
    """
    value: JsonObject = {} if held is None else held
    for name, part in parts.items():
        sub, old = path.attribute.sub(name), value.get(name)
        if sub is not None and sub.mutability is Mutability.IMMUTABLE and old is not None:
            check_kept(path._replace(sub=sub), old, part)
        elif old != part:
            value = changed(value, name, part)
    return value


def check_kept(path: AttributePath, old: JsonValue, new: JsonValue) -> None:
    """Refuse a new value of an immutable attribute or part that has one (P-3.5.2.1-13, P-3.5.2.3-11).

    Raises:
        Mutability: the new value is not the same.
    """
    if not elements.same_value(path.leaf, old, new):
        raise errors.Mutability(f"{path.text} is immutable and has a value: it cannot be changed or removed")


def parts_of(step: Step) -> JsonObject:
    """What a step on selected or all values sets in each: the parts given, or its one part."""
    sub = step.target.path.sub
    return {sub.name: step.value} if sub else step.value


def selected(target: Target, values: Sequence[JsonValue]) -> list[bool]:
    """For each value, whether the selection of the target picks it; without one, all are picked."""
    selection = target.selection
    return [selection is None or matches_element(selection, value) for value in values]


def merged_into(
    target: Target, values: list[JsonValue], picked: list[bool], parts: JsonObject
) -> list[JsonValue]:
    """The values with the parts merged into each that is picked.

    A value that is made primary is a new object even if it was primary before, so that `settled` can count.
    """
    whole, fresh = target.whole, parts.get("primary") is True
    merged = [
        merge(whole, value, parts) if pick else value for value, pick in zip(values, picked, strict=True)
    ]
    return [dict(value) if fresh and pick else value for value, pick in zip(merged, picked, strict=True)]


def created(target: Target, parts: JsonObject) -> JsonObject:
    """A new value of what the selection says and the parts given (A-27).

    Raises:
        NoTarget: the selection is more than equality tests: it does not say what to create.
    """
    if not target.creates or not target.path.attribute.is_complex:
        raise no_target(target)
    return {name: part for name, part in {**target.fixed, **parts}.items() if part is not None}


def no_target(target: Target) -> errors.NoTarget:
    """The refusal for a selection that no value passes."""
    return errors.NoTarget(
        f"{target.whole.text}: no value passes the filter in the path, and it does not say what to create"
        if not target.creates
        else f"{target.whole.text}: no value passes the filter in the path; add one first"
    )


def settled(attribute: Attribute, old: Sequence[JsonValue], new: Sequence[JsonValue]) -> list[JsonValue]:
    """The values after one operation: duplicates merged, and the primary it set is the only one (P-3.5.2-21).

    Raises:
        InvalidValue: the operation made several values primary (P-3.5.2-22).
    """
    values = elements.merge_duplicates(attribute, new)
    marked = elements.primaries(values)
    if len(marked) < 2:
        return values
    before = {id(value) for value in old}
    fresh = [value for value in marked if id(value) not in before]
    if len(fresh) > 1:
        raise errors.InvalidValue(
            f"{attribute.name}: one operation makes several values primary; at most one may be"
        )
    others = {id(value) for value in marked} & before if fresh else set()
    return [{**value, "primary": False} if id(value) in others else value for value in values]
