"""PATCH on memberships: rows to add and remove, and which rows a patch has to see (architecture §3; A-36)."""

from collections.abc import Callable

from rollbook.protocol.attributes import Type
from rollbook.protocol.filters import Operator
from rollbook.protocol.memberships import as_value, same_member, to_member, unique
from rollbook.protocol.patch_parts import Apply
from rollbook.protocol.patch_steps import Form, Op, Step
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resolved import AllOf, AnyOf, ResolvedFilter, Test
from rollbook.protocol.resource import Member

Rows = dict[str, Member]
"""Members by id, as far as they are known: owned by the one application of a patch, and changed in place."""


def ids_seen(step: Step) -> frozenset[str] | None:
    """The ids of the members a membership step has to see, None for all."""
    if step.target.form is Form.VALUES:
        if step.op is Op.REPLACE or step.value is None:
            return None
        return frozenset(sent.value for sent in step.value)
    named = None if step.target.selection is None else named_ids(step.target.selection)
    sent = step.value.get("value") if isinstance(step.value, dict) else None
    return named if named is None or sent is None else named | {sent}


def named_ids(node: ResolvedFilter) -> frozenset[str] | None:
    """The only ids that can pass the filter, None if others may."""
    match node:
        case Test(path, Operator.EQ, key) if path.sub and path.sub.name == "value":
            exact = path.sub.type is Type.STRING and path.sub.case_exact
            return frozenset({key.decode()}) if exact else None
        case AllOf(terms):
            return next((ids for term in terms if (ids := named_ids(term)) is not None), None)
        case AnyOf(terms):
            each = [named_ids(term) for term in terms]
            return frozenset().union(*(ids for ids in each if ids is not None)) if None not in each else None
        case _:
            return None


def apply_to_rows(rows: Rows, step: Step, apply: Apply, leniency: Leniency) -> None:
    """Bring the rows to what they are after the step; `apply` is its function for lists of values."""
    whole = _WHOLE.get(step.op) if step.target.form is Form.VALUES else None
    if whole is not None:
        whole(rows, step)
        return
    named = ids_seen(step)
    seen = rows if named is None else {key: rows[key] for key in named if key in rows}
    values = apply([as_value(row) for row in seen.values()], step, leniency)
    path = step.target.whole
    wanted = {row.value: row for row in unique(path, (to_member(path, value) for value in values or ()))}
    for key in [key for key in seen if key not in wanted]:
        del rows[key]
    for key, row in wanted.items():
        rows.setdefault(key, row)


def _add(rows: Rows, step: Step) -> None:
    for sent in step.value:
        known = rows.setdefault(sent.value, sent)
        rows[sent.value] = same_member(step.target.path, known, sent)


def _remove(rows: Rows, step: Step) -> None:
    if step.value is None:
        rows.clear()
        return
    for sent in step.value:
        rows.pop(sent.value, None)


def _replace(rows: Rows, step: Step) -> None:
    wanted = {sent.value for sent in step.value}
    for key in [key for key in rows if key not in wanted]:
        del rows[key]
    _add(rows, step)


_WHOLE: dict[Op, Callable[[Rows, Step], None]] = {Op.ADD: _add, Op.REMOVE: _remove, Op.REPLACE: _replace}
