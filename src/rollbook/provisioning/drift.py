"""What an audit has found different, by what is to happen to it. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import orjson

from rollbook.protocol.attributes import Mutability
from rollbook.protocol.places import get, put
from rollbook.protocol.projection import schemas_of
from rollbook.protocol.quirks import RFC, Leniency
from rollbook.protocol.resource import Change, Present
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.validate import read_body
from rollbook.protocol.validate import replace as replaced
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.differences import Difference, Managed, reference_paths
from rollbook.provisioning.entries import changes_of
from rollbook.provisioning.items import Action, Item
from rollbook.provisioning.mapping import CopyAttribute
from rollbook.provisioning.model import Drift, DriftPolicy, ObjectMapping
from rollbook.provisioning.plan import NoChange, Step, Update
from rollbook.storage.audits import Drifted
from rollbook.storage.base import Decide

REPORT = DriftPolicy()
"""What holds where nothing is said."""


def copied_from(mapping: ObjectMapping, path: AttributePath) -> AttributePath | None:
    """The hub's attribute that a target's is a plain copy of, None if it is made otherwise, or names another resource."""
    for one in mapping.assignments:
        if one.element is not None or not isinstance(one.rule, CopyAttribute):
            continue
        source = one.rule.path
        if one.path == path:
            found: AttributePath | None = source
        elif one.path == path._replace(sub=None) and source.sub is None and path.sub is not None:
            sub = source.attribute.sub(path.sub.name)
            found = None if sub is None else source._replace(sub=sub)
        else:
            continue
        return None if found is None or _is_ruled_out(found) else found
    return None


def _is_ruled_out(path: AttributePath) -> bool:
    read_only = path.leaf.mutability is not Mutability.READ_WRITE
    return read_only or bool(reference_paths([Managed(path._replace(sub=None))]))


def by_policy(
    policy: DriftPolicy, differences: Sequence[Difference]
) -> Mapping[Drift, tuple[Difference, ...]]:
    """The differences by what is to happen to them."""
    return {drift: tuple(one for one in differences if policy.of(one.path) is drift) for drift in Drift}


def fingerprint(difference: Difference) -> str:
    """The same as long as both sides stay as they are; says nothing of the values."""
    content = orjson.dumps(
        [difference.attribute, difference.old, difference.new], option=orjson.OPT_SORT_KEYS
    )
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def detail_of(item: Item, left: Sequence[Difference], failure: str | None = None) -> JsonObject:
    """What is kept of what was found and left: masked, and by which it is known again."""
    told: JsonObject = {
        "label": item.label,
        "gone": item.action is Action.CREATE,
        "reason": item.reason,
        "changes": changes_of(replace(item, differences=tuple(left))),
        "missing": item.added,
        "extra": item.removed,
        "failure": failure,
        "left": [fingerprint(one) for one in left],
    }
    return {name: value for name, value in told.items() if value}


def without_reported(step: Step, found: Drifted | None) -> Step:
    """The step without what an audit has reported and nobody has changed since, on either side."""
    if found is None or not isinstance(step, Update):
        return step
    left = set(found.detail.get("left", ()))
    kept = tuple(one for one in step.differences if fingerprint(one) not in left)
    if len(kept) == len(step.differences):
        return step
    return replace(step, differences=kept) if kept else NoChange(step.reason)


def take_over(resource_type: ResourceType, taken: Sequence[tuple[AttributePath, Difference]]) -> Decide:
    """The change of the hub's resource that gives it the target's values.

    What has changed in the hub meanwhile is left. The change raises RequestError if the schema refuses a value.
    """

    def decide(present: Present) -> Change:
        document = present.document
        for path, difference in taken:
            if get(document, path) == difference.new:
                document = put(document, path, difference.old)
        if document == present.document:
            return Change()
        leniency = Leniency(RFC)
        whole = {"schemas": schemas_of(document, resource_type), **document}
        body = read_body(whole, resource_type, leniency, at_create=False)
        return replaced(body, resource_type, leniency)(present)

    return decide
