"""A PatchOp body × resource type → steps: everything about a PATCH that needs no resource (RFC 7644 §3.5.2).

Order of refusals: structure of the whole message; then, operation by operation, path, filter in the path,
unknown attribute, mutability, value.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from rollbook.protocol import errors, urns
from rollbook.protocol.attributes import Mutability
from rollbook.protocol.coerce import only
from rollbook.protocol.declared import check_listed, check_schemas, member
from rollbook.protocol.match import matches_element
from rollbook.protocol.patch_steps import Op, Patch, Step, Target
from rollbook.protocol.patch_targets import find_attribute, find_target, unselected
from rollbook.protocol.patch_values import remove_step, write_step
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.schema import AttributePath, ResourceType, Schema
from rollbook.protocol.values import JsonObject, JsonValue

MAX_OPERATIONS = 5_000
"""Operations of one PATCH: enough for clients that send one per member, cheap enough to judge in one go."""

_MESSAGE = frozenset({urns.PATCH_OP.lower()})
_OPERATION_MEMBERS = ("op", "path", "value")


@dataclass(frozen=True)
class _Operation:
    """One operation of the message; `has_value` tells null from nothing."""

    op: Op
    path: JsonValue
    value: JsonValue
    has_value: bool


@dataclass(frozen=True)
class _Context:
    resource_type: ResourceType
    leniency: Leniency
    id: str | None


def parse_patch(
    body: JsonValue, resource_type: ResourceType, leniency: Leniency, *, id: str | None = None
) -> Patch:
    """The steps of a PATCH body; `id` is that of the resource, which a path-less value may repeat (A-28).

    Raises:
        InvalidSyntax: not a PatchOp message; TooMany: more operations than one request may have.
        InvalidPath, InvalidFilter: a path that is malformed or names nothing here.
        NoTarget: remove without path.
        Mutability: a readOnly target. InvalidValue: a value that does not fit its target.
    """
    if not isinstance(body, dict):
        raise errors.InvalidSyntax(
            "the body must be a JSON object: a PatchOp message (RFC 7644 section 3.5.2)"
        )
    check_schemas(member(body, "schemas"), urns.PATCH_OP, _MESSAGE, leniency)
    operations = [_operation(item, leniency) for item in _operations(body, leniency)]
    context = _Context(resource_type, leniency, id)
    steps = [step for operation in operations for step in _steps(operation, context)]
    return Patch(resource_type, tuple(steps), leniency)


def _operations(body: JsonObject, leniency: Leniency) -> list[JsonValue]:
    operations = _named(body, "Operations", leniency)
    if not isinstance(operations, list) or not operations:
        raise errors.InvalidSyntax(
            "Operations must be an array of at least one operation (RFC 7644 section 3.5.2)"
        )
    if len(operations) > MAX_OPERATIONS:
        raise errors.TooMany(f"{len(operations)} operations: at most {MAX_OPERATIONS} are taken per request")
    return operations


def _named(body: JsonObject, name: str, leniency: Leniency) -> JsonValue:
    value = member(body, name)
    if value is not None and name not in body:
        quirk = Quirk.OPERATION_CASE
        if not leniency.accepts(quirk):
            raise errors.InvalidSyntax(f"{name} must be spelled so", quirk=quirk)
    return value


def _operation(item: JsonValue, leniency: Leniency) -> _Operation:
    if not isinstance(item, dict):
        raise errors.InvalidSyntax('each operation must be an object such as {"op": "replace", "path": …}')
    op, path, value = (_named(item, name, leniency) for name in _OPERATION_MEMBERS)
    word = op.lower() if isinstance(op, str) else None
    if word not in _OPS:
        shown = f"not {op[:40]!r}" if isinstance(op, str) else "and is missing or no string"
        raise errors.InvalidSyntax(f"op must be add, remove or replace, {shown} (P-3.5.2-05)")
    if word != op and not leniency.accepts(Quirk.OPERATION_CASE):
        raise errors.InvalidSyntax(f"op must be in lower case: {word}", quirk=Quirk.OPERATION_CASE)
    return _Operation(_OPS[word], path, value, any(name.lower() == "value" for name in item))


_OPS = {str(op): op for op in Op}


def _steps(operation: _Operation, context: _Context) -> Iterable[Step]:
    op, path, value = operation.op, operation.path, operation.value
    if path is None:
        if op is Op.REMOVE:
            raise errors.NoTarget("remove needs a path: say which attribute (RFC 7644 section 3.5.2.2)")
        _require_value(operation, "the resource")
        return _of_object(op, _as_object(value, context), None, context)
    if not isinstance(path, str):
        raise errors.InvalidPath("path must be a string such as title or name.familyName")
    found = find_target(path, context.resource_type, context.leniency)
    if found is None:
        return ()
    if isinstance(found, Schema):
        return _of_schema(operation, found, context)
    return _of_target(operation, found, context)


def _require_value(operation: _Operation, where: str) -> None:
    if not operation.has_value:
        raise errors.InvalidValue(f"{where}: {operation.op} needs a value (P-3.5.2.1-01, P-3.5.2.3-10)")


def _of_target(operation: _Operation, target: Target, context: _Context) -> Iterable[Step]:
    op, value, path = operation.op, operation.value, target.path
    if _is_schemas(path):
        return _of_schemas(operation, target, context)
    _check_writable(path, context)
    membership = _is_membership(path, context)
    if op is Op.REMOVE:
        return remove_step(target, value, context.leniency, membership=membership)
    _require_value(operation, path.text)
    return write_step(op, target, value, context.leniency, membership=membership)


def _check_writable(path: AttributePath, context: _Context) -> None:
    if Mutability.READ_ONLY in {path.attribute.mutability, path.leaf.mutability}:
        raise errors.Mutability(f"{path.text} is readOnly: it is set by the server; leave it out")
    known = context.resource_type.references.made_of(path)
    if known is not None:
        raise errors.Mutability(f"{path.text} is made by the server of {known.text}; set that (A-69)")


def _is_membership(path: AttributePath, context: _Context) -> bool:
    return path.urn is None and path.attribute.name == context.resource_type.memberships


def _is_schemas(path: AttributePath) -> bool:
    return path.urn is None and path.attribute.name == "schemas"


def _of_schemas(operation: _Operation, target: Target, context: _Context) -> Iterable[Step]:
    """`schemas` follows the data: adding an URN does nothing, removing one removes its data (A-04; T12)."""
    known, leniency = context.resource_type.urns, context.leniency
    if operation.op is not Op.REMOVE:
        _require_value(operation, "schemas")
        check_listed(operation.value, known, leniency)
        return ()
    if target.selection is not None:
        gone = [schema for schema in known.values() if matches_element(target.selection, schema.id)]
    elif operation.value is not None:
        gone = [known[urn] for urn in check_listed(operation.value, known, leniency)]
    else:
        gone = [context.resource_type.schema]
    return [step for schema in gone for step in _without(schema, context)]


def _without(schema: Schema, context: _Context) -> list[Step]:
    if schema is context.resource_type.schema:
        raise errors.Mutability(
            f"{schema.id} is the base schema and cannot be removed; name an extension (A-04)"
        )
    paths = (AttributePath(schema.id, attribute) for attribute in schema.attributes)
    return [
        Step(Op.REMOVE, Target(path))
        for path in paths
        if path.attribute.mutability is not Mutability.READ_ONLY
    ]


def _of_schema(operation: _Operation, schema: Schema, context: _Context) -> Iterable[Step]:
    """An URN alone as path: the whole extension object (T9)."""
    if operation.op is Op.REMOVE:
        return _without(schema, context)
    _require_value(operation, schema.id)
    return _of_schema_value(operation.op, operation.value, schema, context)


def _of_schema_value(op: Op, value: JsonValue, schema: Schema, context: _Context) -> Iterable[Step]:
    if op is Op.REPLACE and (value is None or value == []):
        return _without(schema, context)
    return _of_object(op, _as_object(value, context), schema, context)


def _as_object(value: JsonValue, context: _Context) -> JsonObject:
    if isinstance(value, list):
        value = only("value", value, context.leniency)
    if not isinstance(value, dict):
        raise errors.InvalidValue("value must be an object of attributes here (RFC 7644 section 3.5.2.1)")
    return value


def _of_object(op: Op, value: JsonObject, schema: Schema | None, context: _Context) -> list[Step]:
    """Each key of the object as an operation of its own (T0)."""
    steps: list[Step] = []
    seen: set[str] = set()
    for key, item in value.items():
        found = _of_key(key, schema, context)
        if found is None:
            continue
        name = found.id if isinstance(found, Schema) else f"{found.path.text}[{found.selection}]"
        if name in seen:
            raise errors.InvalidSyntax(
                f"{key[:200]} is there twice; names ignore case (RFC 7643 section 2.1)"
            )
        seen.add(name)
        if item is None and op is Op.ADD:
            continue
        if isinstance(found, Schema):
            steps.extend(_of_schema_value(op, item, found, context))
        elif not _is_ignored(found.path, item, context):
            steps.extend(_of_target(_Operation(op, key, item, has_value=True), found, context))
    return steps


def _of_key(key: str, schema: Schema | None, context: _Context) -> Target | Schema | None:
    """What a key of a path-less value names; None to pass over it (A-03, A-23)."""
    resource_type, leniency = context.resource_type, context.leniency
    name = key if schema is None else f"{schema.id}:{key}"
    path = resource_type.find(name)
    if path is not None and path.sub is None and ":" not in key:
        return Target(path)
    if schema is None and key.lower() in resource_type.urns:
        found = resource_type.urns[key.lower()]
        return _dotted(key, found, leniency) if found is resource_type.schema else found
    if "[" in key:
        return _dotted(key, find_target(name, resource_type, leniency), leniency)
    if path is not None:
        return _dotted(key, unselected(path, leniency), leniency)
    if resource_type.find_in_extensions(name) is None:
        if leniency.accepts(Quirk.UNKNOWN_ATTRIBUTES):
            return None
        raise errors.InvalidPath(
            f"{key[:200]} is no attribute of {resource_type.name}", quirk=Quirk.UNKNOWN_ATTRIBUTES
        )
    path = find_attribute(name, resource_type, leniency)
    return None if path is None else unselected(path, leniency)


def _dotted(key: str, found: Target | Schema | None, leniency: Leniency) -> Target | Schema | None:
    quirk = Quirk.DOTTED_KEYS
    if not leniency.accepts(quirk):
        raise errors.InvalidPath(f"{key[:200]} is not a name; send it as path of an operation", quirk=quirk)
    return found


def _is_ignored(path: AttributePath, value: JsonValue, context: _Context) -> bool:
    """Whether a readOnly attribute in a path-less value is passed over (A-28)."""
    is_made = context.resource_type.references.made_of(path) is not None
    if not is_made and Mutability.READ_ONLY not in {path.attribute.mutability, path.leaf.mutability}:
        return False
    if path.attribute.name == "id" and value == context.id is not None:
        return True
    quirk = Quirk.READ_ONLY_IN_PATCH
    if not context.leniency.accepts(quirk):
        raise errors.Mutability(
            f"{path.text} is readOnly: it is set by the server; leave it out", quirk=quirk
        )
    return True
