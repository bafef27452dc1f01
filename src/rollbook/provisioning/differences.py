"""Two documents compared, and their differences as PATCH operations or as the body of a PUT. Pure.

Only attributes that the mapping fills are looked at; whatever else the target holds is its own business.
Reading is liberal (client.md 4), what is sent is strict (client.md 3).
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

from rollbook.protocol.attributes import Attribute, Mutability, Returned, Type
from rollbook.protocol.compare import key, text_key
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning.model import USUAL, Apply, Clear, ObjectMapping, Way

MEMBERS_PER_CALL = 100
"""Membership changes in one request: what the narrowest well-known target takes (C-6-07)."""


@dataclass(frozen=True)
class Managed:
    """An attribute that the mapping fills: as a whole, or only the parts named."""

    path: AttributePath
    parts: frozenset[str] | None = None
    way: Way = USUAL
    ways: tuple[tuple[str, Way], ...] = ()
    """Those of parts of a single value that have one of their own."""

    def way_of(self, part: str | None) -> Way:
        """How that part, or the whole, is kept up."""
        return dict(self.ways).get(part, self.way) if part else self.way


@dataclass(frozen=True)
class Difference:
    """One attribute, or one part of it, whose value at the target is not the wanted one; None is no value."""

    path: AttributePath
    old: JsonValue
    new: JsonValue
    clear: Clear = Clear.REMOVE
    """What is sent if there is no new value."""

    @property
    def attribute(self) -> str:
        """The path as people write it."""
        return self.path.text


def managed_by(mapping: ObjectMapping) -> tuple[Managed, ...]:
    """The attributes a mapping fills, each once."""
    found: dict[AttributePath, Managed] = {}
    for assignment in mapping.assignments:
        whole, sub, way = assignment.path._replace(sub=None), assignment.path.sub, assignment.way
        known = found.get(whole)
        if sub is None:
            found[whole] = Managed(whole, None, way)
        elif known is None or known.parts is not None:
            known = known or Managed(whole, frozenset(), way if whole.attribute.multi_valued else USUAL)
            own = way != USUAL and not whole.attribute.multi_valued
            ways = (*known.ways, (sub.name, way)) if own else known.ways
            found[whole] = replace(known, parts=(known.parts or frozenset()) | {sub.name}, ways=ways)
    return tuple(found.values())


def lasting(managed: Iterable[Managed], present: JsonObject | None) -> tuple[Managed, ...]:
    """Those that may be written where this is there: without what goes out with the account only.

    Of what is written while there is no value, all if `present` is None.
    """
    kept = (_lasting(item, None if present is None else value_at(present, item.path)) for item in managed)
    return tuple(item for item in kept if item is not None)


def _lasting(item: Managed, old: JsonValue) -> Managed | None:
    if item.parts is None or item.path.attribute.multi_valued:
        return item if is_open(item.way, old) else None
    held = old if isinstance(old, dict) else {}
    open_parts = {part for part in item.parts if is_open(item.way_of(part), _member(held, part))}
    return replace(item, parts=frozenset(open_parts)) if open_parts else None


def is_open(way: Way, old: JsonValue) -> bool:
    """Whether what is there already may be written."""
    return way.apply is Apply.ALWAYS or (way.apply is Apply.EMPTY and old in _NOTHING)


_NOTHING: tuple[JsonValue, ...] = (None, "", [], {})
"""What means no value in what a target returns (C-4-03)."""


def compare(managed: Iterable[Managed], wanted: JsonObject, present: JsonObject) -> tuple[Difference, ...]:
    """The differences of the managed attributes, in the order of the mapping; none where an old value may stay."""
    found = (_with_clear(item, one) for item in managed for one in _compare(item, wanted, present))
    return tuple(one for one in found if one.new is not None or one.clear is not Clear.KEEP)


def _with_clear(item: Managed, one: Difference) -> Difference:
    """Cases: 1. the whole of parts, all of which may stay; 2. what the part says, else the whole."""
    if one.path.sub is None and item.parts and not item.path.attribute.multi_valued:
        clears = {item.way_of(part).clear for part in item.parts}
        return replace(one, clear=clears.pop() if len(clears) == 1 else Clear.REMOVE)
    return replace(one, clear=item.way_of(one.path.sub.name if one.path.sub else None).clear)


def _compare(item: Managed, wanted: JsonObject, present: JsonObject) -> tuple[Difference, ...]:
    attribute = item.path.attribute
    old, new = value_at(present, item.path), value_at(wanted, item.path)
    if _cannot_change(attribute, old):
        return ()
    if attribute.multi_valued:
        return tuple(_compare_values(item, new, old))
    if attribute.is_complex:
        return tuple(_compare_parts(item, new, old))
    return () if _same(attribute, new, old) else (Difference(item.path, old, new),)


def value_at(document: JsonObject, path: AttributePath) -> JsonValue:
    """The value of a top-level attribute, None for null, "", [], {} and absence; names in any case (C-4-02, C-4-03)."""
    holder = _member(document, path.urn) if path.urn else document
    value = _member(holder, path.attribute.name) if isinstance(holder, dict) else None
    return None if value in _NOTHING else value


def operations(differences: Iterable[Difference]) -> tuple[JsonObject, ...]:
    """PATCH operations in strict form, one for each path (C-3-09, C-6-03)."""
    return tuple(
        {"op": "remove", "path": item.attribute}
        if item.new is None and item.clear not in _SENT
        else {"op": "replace", "path": item.attribute, "value": _sent(item)}
        for item in differences
    )


_SENT = (Clear.NULL, Clear.EMPTY)


def _sent(item: Difference) -> JsonValue:
    """The new value; where there is none, what stands for that: null if the type has nothing empty."""
    leaf = item.path.leaf
    if item.new is not None or item.clear is not Clear.EMPTY:
        return item.new
    if leaf.multi_valued:
        return []
    return "" if leaf.type is Type.STRING else None


def replacement(
    resource_type: ResourceType, present: JsonObject, differences: Iterable[Difference]
) -> JsonObject:
    """The body of a PUT: what the target holds, with the differences applied (C-6-01, C-6-02)."""
    document = deepcopy(present)
    differences = tuple(differences)
    for item in differences:
        _assign(document, item)
    for path in resource_type.paths():
        if path.attribute.mutability is Mutability.READ_ONLY:
            _drop(document, path)
    document.pop("schemas", None)
    body = create_body(resource_type, document)
    for item in differences:
        if item.new is None and item.clear in _SENT:
            _assign(body, item)  # what is empty is left out elsewhere, and meant here
    return body


def create_body(resource_type: ResourceType, wanted: JsonObject) -> JsonObject:
    """A document with its complete `schemas` and without empty values (C-3-02, C-3-09)."""
    kept = {name: value for name, value in wanted.items() if value not in (None, [], {})}
    extensions = [ext.schema.id for ext in resource_type.extensions if ext.schema.id in kept]
    return {"schemas": [resource_type.schema.id, *extensions], **kept}


def member_operations(add: Sequence[str], remove: Sequence[str]) -> tuple[JsonObject, ...]:
    """PATCH operations for members by remote id: removals by value path, additions in one list (C-6-07)."""
    gone = tuple({"op": "remove", "path": f"members[value eq {_quoted(remote_id)}]"} for remote_id in remove)
    new = (
        ({"op": "add", "path": "members", "value": [{"value": remote_id} for remote_id in add]},)
        if add
        else ()
    )
    return gone + new


def reference_paths(managed: Iterable[Managed]) -> tuple[AttributePath, ...]:
    """The singular attributes whose `value` is the id of another resource, such as manager."""
    return tuple(item.path for item in managed if _refers(item.path.attribute))


def _refers(attribute: Attribute) -> bool:
    reference = attribute.sub("$ref")
    return (
        reference is not None
        and not attribute.multi_valued
        and bool({"User", "Group"} & set(reference.reference_types))
        and attribute.sub("value") is not None
    )


def _cannot_change(attribute: Attribute, old: JsonValue) -> bool:
    """Whether a PATCH must not name it: readOnly, immutable with a value (C-6-06), or never readable."""
    if attribute.mutability is Mutability.READ_ONLY or attribute.returned is Returned.NEVER:
        return True
    return attribute.mutability is Mutability.IMMUTABLE and old is not None


def _compare_parts(item: Managed, new: JsonValue, old: JsonValue) -> list[Difference]:
    """A singular complex attribute. Cases: 1. one side has none; 2. a reference; 3. part by part.

    Where the target has parts that are not ours to write, the whole is never sent: it might replace them.
    """
    has_others = isinstance(old, dict) and any(part not in _NOTHING for part in old.values())
    new, old = _parts(item, new), _parts(item, old)
    if not new and not old:
        return []
    attribute = item.path.attribute
    if not (old or has_others) or (_refers(attribute) and not _same_part(attribute, "value", new, old)):
        return [Difference(item.path, old or None, new or None)]
    if _refers(attribute):
        return []
    if not new and item.parts is None:
        return [Difference(item.path, old, None)]
    names = [sub.name for sub in attribute.sub_attributes if sub.name in {*new, *old}]
    return [
        Difference(item.path._replace(sub=attribute.sub(name)), old.get(name), new.get(name))
        for name in names
        if not _same_part(attribute, name, new, old)
    ]


def _parts(item: Managed, value: JsonValue) -> JsonObject:
    """The parts that are managed and can be written, under their defined names; none if it is no object."""
    if not isinstance(value, dict):
        return {}
    found: JsonObject = {}
    for sub in item.path.attribute.sub_attributes:
        part = _member(value, sub.name)
        wanted = item.parts is None or sub.name in item.parts
        if wanted and part not in _NOTHING and sub.mutability is not Mutability.READ_ONLY:
            found[sub.name] = part
    return found


def _same_part(attribute: Attribute, name: str, new: JsonObject, old: JsonObject) -> bool:
    sub = attribute.sub(name)
    return sub is None or _same(sub, new.get(name), old.get(name))


def _compare_values(item: Managed, new: JsonValue, old: JsonValue) -> list[Difference]:
    """A multi-valued attribute: two sets, of which only the parts we speak of are compared (C-4-11)."""
    wanted, present = _listed(new), _listed(old)
    names = item.parts
    if names is None:
        names = frozenset(name for value in wanted if isinstance(value, dict) for name in value)
    attribute = item.path.attribute
    if _set_of(attribute, wanted, names) == _set_of(attribute, present, names):
        return []
    return [Difference(item.path, old, new)]


def _set_of(attribute: Attribute, values: Iterable[JsonValue], names: frozenset[str]) -> frozenset[object]:
    return frozenset(_value_key(attribute, value, names) for value in values if value not in _NOTHING)


def _value_key(attribute: Attribute, value: JsonValue, names: frozenset[str]) -> object:
    if not isinstance(value, dict):
        return _key(attribute, value)
    found = set()
    for sub in attribute.sub_attributes:
        part = _member(value, sub.name)
        # primary: false says the same as no primary.
        if sub.name in names and part not in _NOTHING and not (sub.name == "primary" and _is_false(part)):
            found.add((sub.name, _key(sub, part)))
    return frozenset(found)


def _same(attribute: Attribute, one: JsonValue, other: JsonValue) -> bool:
    if one is None or other is None:
        return one is other
    return _key(attribute, one) == _key(attribute, other)


def _key(attribute: Attribute, value: JsonValue) -> object:
    """Equal for values that mean the same; text keeps its case, since a person would see the difference."""
    if isinstance(value, str):
        if attribute.type is Type.BOOLEAN:
            value = {"true": True, "false": False}.get(value.lower(), value)
        elif attribute.type in {Type.STRING, Type.REFERENCE}:
            return text_key(value, exact=True)
    try:
        return key(attribute, value)
    except InvalidValue:
        return repr(value)


def _is_false(value: JsonValue) -> bool:
    return value is False or (isinstance(value, str) and value.lower() == "false")


def _listed(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _member(document: Mapping[str, JsonValue], name: str) -> JsonValue:
    if name in document:
        return document[name]
    lower = name.lower()
    return next((value for other, value in document.items() if other.lower() == lower), None)


def _assign(document: JsonObject, item: Difference) -> None:
    holder = _object(document, item.path.urn) if item.path.urn else document
    name = item.path.attribute.name
    if item.path.sub is not None:
        holder = _object(holder, name)
        name = item.path.sub.name
    _take(holder, name)
    if item.new is not None or item.clear in _SENT:
        holder[name] = _sent(item)


def _object(holder: JsonObject, name: str) -> JsonObject:
    """The object of that name, under exactly that name; a new one in place of what is none."""
    found = _take(holder, name)
    holder[name] = made = found if isinstance(found, dict) else {}
    return made


def _take(holder: JsonObject, name: str) -> JsonValue:
    """Take away what stands under a name in any case: a PUT must not say it twice (C-4-02)."""
    found = _member(holder, name)
    for other in [other for other in holder if other.lower() == name.lower()]:
        del holder[other]
    return found


def _drop(document: JsonObject, path: AttributePath) -> None:
    holder = _member(document, path.urn) if path.urn else document
    if isinstance(holder, dict):
        _take(holder, path.attribute.name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
