"""The value of a PATCH operation → what its step holds: one reader for each form of target (A-26, A-30, A-35)."""

from collections.abc import Callable

from rollbook.protocol.coerce import (
    MAX_VALUES,
    as_object,
    only,
    read_attribute,
    read_parts,
    read_values,
    refuse,
)
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.memberships import MAX_MEMBERS, read_member, read_member_parts, read_members
from rollbook.protocol.patch_steps import Form, Op, Step, Target
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject, JsonValue


def write_step(
    op: Op, target: Target, value: JsonValue, leniency: Leniency, *, membership: bool
) -> tuple[Step, ...]:
    """The step of an add or replace; none if it brings nothing, a remove if it clears (A-35, A-93).

    Raises:
        InvalidValue: no value to add, or one that does not fit.
    """
    if value is None and op is Op.ADD:
        raise InvalidValue(
            f"{target.path.text}: add needs a value; to clear an attribute, remove it (P-3.5.2.1-01)"
        )
    if value is None or value == []:
        return () if op is Op.ADD else (Step(Op.REMOVE, target),)
    read = _MEMBER_READERS.get(target.form, _READERS[target.form]) if membership else _READERS[target.form]
    one = read(op, target.path, value, leniency)
    if one is None or (target.form is Form.VALUES and not one):
        return () if op is Op.ADD and target.form is Form.VALUES else (Step(Op.REMOVE, target),)
    return (Step(op, target, one),)


def remove_step(
    target: Target, value: JsonValue, leniency: Leniency, *, membership: bool
) -> tuple[Step, ...]:
    """The step of a remove; a value on a whole multi-valued attribute lists what goes, never more (A-30).

    Raises:
        InvalidValue: a list of values in a shape that is not understood.
    """
    if target.form is not Form.VALUES or value is None:
        return (Step(Op.REMOVE, target),)
    quirk, path = Quirk.VALUE_LIST_REMOVAL, target.path
    if not leniency.accepts(quirk):
        wanted = f'{path.text}[value eq "…"] as path, without value'
        raise InvalidValue(
            f"{path.text}: remove takes no value (RFC 7644 section 3.5.2.2); send {wanted}", quirk=quirk
        )
    listed = _listed(path, value)
    most = MAX_MEMBERS if membership else MAX_VALUES
    if len(listed) > most:
        raise InvalidValue(f"{path.text}: {len(listed)} values are too many; at most {most} per operation")
    read = read_member if membership else _removed
    values = [read(path, item, leniency) for item in listed]
    return (Step(Op.REMOVE, target, values),) if values else ()


def _listed(path: AttributePath, value: JsonValue) -> list[JsonValue]:
    """The values in any of three shapes: a list, one alone, or either under the attribute's name (A-30)."""
    if isinstance(value, dict) and len(value) == 1:
        (name,) = value
        if name.lower() == path.attribute.name.lower():
            value = value[name]
    return value if isinstance(value, list) else [value]


def _removed(path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    if not path.attribute.is_complex:
        found = read_values(path, [value], leniency)
        one = found[0] if found else None
    else:
        sent = value if isinstance(value, dict) else as_object(path, value, leniency)
        one = read_parts(path, sent, leniency, keep_empty=False) if sent else None
    if not one and one is not False and one != 0:
        raise refuse(path, value, "the values to remove, as they are stored")
    return one


def _leaf(op: Op, path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    del op
    return read_attribute(path, value, leniency)


def _object_parts(op: Op, path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonObject | None:
    sent = as_object(path, _unwrapped(path, value, leniency), leniency)
    return None if sent is None else read_parts(path, _given(op, sent), leniency, keep_empty=True)


def _unwrapped(path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    return only(path.text, value, leniency) if isinstance(value, list) else value


def _given(op: Op, sent: JsonObject) -> JsonObject:
    """The parts that count: null adds nothing, and clears in a replace (RFC 7643 §2.5)."""
    return {name: part for name, part in sent.items() if part is not None} if op is Op.ADD else sent


def _values(op: Op, path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    del op
    return read_values(path, value, leniency)


def _selected(op: Op, path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    if path.attribute.is_complex:
        return _object_parts(op, path, value, leniency)
    if op is Op.ADD:
        raise InvalidValue(
            f"{path.text}: its values have no parts to add to; add to {path.text} without brackets"
        )
    found = read_values(path, [_unwrapped(path, value, leniency)], leniency)
    return found[0] if found else None


def _members(op: Op, path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    del op
    return list(read_members(path, value, leniency))


def _member_parts(op: Op, path: AttributePath, value: JsonValue, leniency: Leniency) -> JsonValue:
    sent = as_object(path, _unwrapped(path, value, leniency), leniency)
    return None if sent is None else read_member_parts(path, _given(op, sent), leniency)


_Reader = Callable[[Op, AttributePath, JsonValue, Leniency], JsonValue]

_READERS: dict[Form, _Reader] = {
    Form.SINGLE: _leaf,
    Form.PARTS: _object_parts,
    Form.PART: _leaf,
    Form.VALUES: _values,
    Form.PART_OF_ALL: _leaf,
    Form.SELECTED: _selected,
    Form.PART_OF_SELECTED: _leaf,
}
_MEMBER_READERS: dict[Form, _Reader] = {Form.VALUES: _members, Form.SELECTED: _member_parts}
