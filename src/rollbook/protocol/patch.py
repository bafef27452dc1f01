"""PATCH: a message becomes a `Patch`, a patch and the present state become a `Change` (RFC 7644 §3.5.2).

All or nothing: a refusal leaves everything as it was. The work is in one function for each operation and form
of target, chosen by table; what a resource must be like is judged once, after the last step.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from dataclasses import replace as with_fields

from rollbook.protocol import errors, patch_add, patch_remove, patch_replace
from rollbook.protocol.attributes import Mutability
from rollbook.protocol.coerce import MAX_VALUES
from rollbook.protocol.elements import is_significant
from rollbook.protocol.formats import check_formats
from rollbook.protocol.patch_members import Rows, apply_to_rows, ids_seen
from rollbook.protocol.patch_message import parse_patch
from rollbook.protocol.patch_parts import Apply, check_kept, settled
from rollbook.protocol.patch_steps import Form, Op, Patch, Step
from rollbook.protocol.places import get, put
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resolved import paths
from rollbook.protocol.resource import Change, Present, Scope
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.validate import missing
from rollbook.protocol.values import JsonObject, JsonValue

__all__ = [
    "MAX_WORK",
    "Allowance",
    "Patch",
    "apply",
    "has_secrets",
    "looks_often",
    "map_secrets",
    "parse_patch",
    "scope",
    "written_paths",
]

MAX_WORK = 40_000
"""Values looked at by all steps of a request, times tests on each: some tenths of a second in which nobody else is served (T-53)."""

OFTEN = 10
"""How often the values of attributes are gone through by a patch that is quick whatever they are."""

_ROWS_PER_VALUE = 10
"""Adding, removing or replacing that many rows by id costs what looking at one value does."""


@dataclass(slots=True)
class Allowance:
    """What all patches of one request may still look at, of `MAX_WORK` in the beginning."""

    left: int = MAX_WORK

    def spend(self, work: int) -> None:
        """Take that much of it.

        Raises:
            TooMany: it is used up.
        """
        self.left -= work
        if self.left < 0:
            raise errors.TooMany(
                "the operations look at too many values together; send them in several requests"
            )


_TABLE: dict[Op, dict[Form, Apply]] = {
    Op.ADD: patch_add.FORMS,
    Op.REMOVE: patch_remove.FORMS,
    Op.REPLACE: patch_replace.FORMS,
}


def scope(patch: Patch) -> Scope:
    """Which members `apply` has to see: those named, or all (architecture §3)."""
    ids: set[str] = set()
    for step in patch.steps:
        if patch.is_membership(step):
            seen = ids_seen(step)
            if seen is None:
                return Scope(all=True)
            ids |= seen
    return Scope(frozenset(ids))


def written_paths(patch: Patch) -> frozenset[str]:
    """The attributes and parts the patch names, as `AttributePath.text` has them (A-78)."""
    return frozenset(step.target.path.text for step in patch.steps)


def selecting(patch: Patch) -> Iterator[AttributePath]:
    """The attributes and parts by which a patch selects values."""
    for step in patch.steps:
        if step.target.selection is not None:
            yield from paths(step.target.selection)


def looks_often(patch: Patch) -> bool:
    """Whether the patch goes through an attribute's values more often than a few times; members are found by id."""
    steps = (step for step in patch.steps if step.target.path.attribute.multi_valued)
    return sum(step.target.terms for step in steps if not patch.is_membership(step)) > OFTEN


def has_secrets(patch: Patch) -> bool:
    """Whether the patch writes or removes the secret attribute (A-68)."""
    return any(_is_secret(patch, step) for step in patch.steps)


def map_secrets(patch: Patch, f: Callable[[str], str]) -> Patch:
    """The patch with `f` applied to every value of the secret attribute (P-7-10)."""
    steps = tuple(
        with_fields(step, value=f(step.value)) if step.value is not None and _is_secret(patch, step) else step
        for step in patch.steps
    )
    return with_fields(patch, steps=steps)


def _is_secret(patch: Patch, step: Step) -> bool:
    path = step.target.path
    return path.urn is None and path.attribute.name == patch.resource_type.secret


def apply(patch: Patch, present: Present, allowance: Allowance | None = None) -> Change:
    """What the patch changes in the present state; the empty change if nothing (P-3.5.2-13, -14, -23).

    The work is taken from the allowance, one of its own by default.

    Raises:
        NoTarget: a filter selects no value where one is needed.
        Mutability: an immutable value would change, or something required is removed.
        InvalidValue: the resource would lack something required, or have too many values.
        TooMany: the steps together look at too many values.
    """
    rows = dict(present.members)
    document = _finished(_run(patch, present.document, rows, allowance or Allowance()), patch)
    check_formats(document, present.document, patch.resource_type.schema.id, patch.leniency)
    _judge(document, patch)
    return Change(
        None if document == present.document else document,
        tuple(row for key, row in rows.items() if key not in present.members),
        tuple(key for key in present.members if key not in rows),
    )


def _run(patch: Patch, document: JsonObject, rows: Rows, allowance: Allowance) -> JsonObject:
    """The document after all steps; membership steps change the rows in place."""
    for step in patch.steps:
        function = _TABLE[step.op][step.target.form]
        membership = patch.is_membership(step)
        allowance.spend(_work(step, rows if membership else get(document, step.target.whole)))
        if membership:
            apply_to_rows(rows, step, function, patch.leniency)
        else:
            document = _applied(document, step, function, patch.leniency)
    return document


def _work(step: Step, held: JsonValue) -> int:
    """How many values a step looks at, as often as its filter has tests; rows are found by id."""
    if not step.target.path.attribute.multi_valued:
        return 1
    sent = len(step.value) if isinstance(step.value, list) else 1
    seen = ids_seen(step) if isinstance(held, dict) else None
    number = sent + (len(held or ()) if seen is None else len(seen)) * step.target.terms
    return number // _ROWS_PER_VALUE if isinstance(held, dict) and step.target.form is Form.VALUES else number


def _applied(document: JsonObject, step: Step, function: Apply, leniency: Leniency) -> JsonObject:
    path = step.target.whole
    held = get(document, path)
    value = function(held, step, leniency)
    if path.attribute.multi_valued and value:
        value = settled(path.attribute, held or (), value)
    if held is not None and path.attribute.mutability is Mutability.IMMUTABLE:
        check_kept(path, held, value)
        return document
    return put(document, path, value)


def _finished(document: JsonObject, patch: Patch) -> JsonObject:
    """The document without values that say nothing, in what the steps touched (A-29).

    They are kept until the end: a later step may complete what an earlier one began.
    """
    for path in {step.target.whole.text: step.target.whole for step in patch.steps}.values():
        values = get(document, path)
        if values is None or not path.attribute.multi_valued:
            continue
        kept = [value for value in values if is_significant(path.attribute, value)]
        if len(kept) > MAX_VALUES:
            raise errors.InvalidValue(
                f"{path.text}: {len(kept)} values are too many; at most {MAX_VALUES} are kept"
            )
        if len(kept) < len(values):
            document = put(document, path, kept)
    return document


def _judge(document: JsonObject, patch: Patch) -> None:
    """Refuse a final state that lacks something required (P-3.5.2-23, A-22)."""
    for text, path in missing(document, patch.resource_type):
        urn, name = (text, None) if path is None else (path.urn, path.attribute.name)
        if any(_removes(step, urn, name) for step in patch.steps):
            raise errors.Mutability(
                f"{text} is required and cannot be removed; replace it instead (P-3.5.2.2-06)"
            )
        raise errors.InvalidValue(f"{text} is required: set a value that is not empty (RFC 7643 section 2.2)")


def _removes(step: Step, urn: str | None, name: str | None) -> bool:
    path = step.target.path
    if path.urn != urn or name not in {None, path.attribute.name}:
        return False
    return step.op is Op.REMOVE or (isinstance(step.value, dict) and None in step.value.values())
