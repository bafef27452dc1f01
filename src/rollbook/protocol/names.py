"""The keys of a body → attributes: any case, extension objects, and the forms that leniency reads.

Cases of a key, in this order: 1 an attribute of the base schema or a common one; 2 the URN of a schema;
3 a dotted or URN-prefixed name (A-23); 4 an attribute that one extension defines, without its URN (A-03);
5 anything else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from rollbook.protocol.coerce import drop_unknown, only
from rollbook.protocol.errors import InvalidSyntax, InvalidValue
from rollbook.protocol.quirks import Leniency, Quirk
from rollbook.protocol.schema import AttributePath, ResourceType, Schema
from rollbook.protocol.values import JsonObject, JsonValue


@dataclass
class _Reading:
    """What has been found so far, by URN and name; other forms wait until all plain names are known."""

    resource_type: ResourceType
    leniency: Leniency
    found: dict[tuple[str | None, str], tuple[AttributePath, JsonValue]] = field(default_factory=dict)
    dotted: list[tuple[AttributePath, JsonValue]] = field(default_factory=list)
    unqualified: list[tuple[AttributePath, JsonValue]] = field(default_factory=list)


def assignments(
    body: JsonObject, resource_type: ResourceType, leniency: Leniency
) -> Iterable[tuple[AttributePath, JsonValue]]:
    """Every top-level attribute a body names, with what is sent for it; parts sent apart are joined.

    Raises:
        InvalidSyntax: a name no schema has, or one that is there twice (S-02, A-56).
        InvalidValue: an extension that is not an object.
    """
    reading = _Reading(resource_type, leniency)
    for key, value in body.items():
        path = resource_type.find(key)
        if path is not None and path.urn is None and path.sub is None and ":" not in key:
            _keep(reading, path, value)
        else:
            _other(reading, key, path, value)
    for path, value in reading.dotted:
        _join(reading, path, value)
    for path, value in reading.unqualified:
        if (path.urn, path.attribute.name) not in reading.found:
            _join(reading, path, value)
    return reading.found.values()


def _keep(reading: _Reading, path: AttributePath, value: JsonValue) -> None:
    place = (path.urn, path.attribute.name)
    if place in reading.found:
        raise InvalidSyntax(f"{path.text} is there twice; names ignore case (RFC 7643 section 2.1)")
    reading.found[place] = (path, value)


def _other(reading: _Reading, key: str, path: AttributePath | None, value: JsonValue) -> None:
    schema = reading.resource_type.urns.get(key.lower())
    if schema is not None:
        _extension(reading, schema, value)
    elif path is not None:
        _require_dotted(reading.leniency, key, path)
        reading.dotted.append((path, value))
    else:
        _unplaced(reading, key, value)


def _unplaced(reading: _Reading, key: str, value: JsonValue) -> None:
    path = reading.resource_type.find_in_extensions(key)
    if path is None:
        drop_unknown(key[:80], ("listed under /Schemas",), reading.leniency)
        return
    quirk = Quirk.UNQUALIFIED_EXTENSION
    if not reading.leniency.accepts(quirk):
        raise InvalidSyntax(f"{key} belongs to an extension; send it inside {path.urn}", quirk=quirk)
    reading.unqualified.append((path, value))


def _extension(reading: _Reading, schema: Schema, value: JsonValue) -> None:
    """The attributes of an extension object, or, as leniency, of an object under the base URN."""
    leniency, urn = reading.leniency, schema.id
    if schema is reading.resource_type.schema:
        _require_dotted(leniency, urn, None)
    for name, item in extension_object(schema, value, leniency).items():
        path = reading.resource_type.find(f"{urn}:{name}")
        if path is None:
            drop_unknown(f"{urn}:{name[:80]}", (a.name for a in schema.attributes), leniency)
        elif path.sub is None:
            _keep(reading, path, item)
        else:
            _require_dotted(leniency, name, path)
            reading.dotted.append((path, item))


def extension_object(schema: Schema, value: JsonValue, leniency: Leniency) -> JsonObject:
    """The object under the URN of a schema, empty for null or [] (S-05, S-10)."""
    if isinstance(value, list):
        value = only(schema.id, value, leniency)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidValue(f"{schema.id}: send an object with {', '.join(a.name for a in schema.attributes)}")
    return value


def _require_dotted(leniency: Leniency, key: str, path: AttributePath | None) -> None:
    quirk = Quirk.DOTTED_KEYS
    if not leniency.accepts(quirk):
        instead = "its attributes at top level" if path is None else f"{path.attribute.name} as an attribute"
        raise InvalidSyntax(f"{key} is not a name in a body; send {instead}", quirk=quirk)


def _join(reading: _Reading, path: AttributePath, value: JsonValue) -> None:
    """Add an attribute sent by its full name, or a part to the object it belongs to."""
    if path.sub is None:
        _keep(reading, path, value)
        return
    whole, place = path._replace(sub=None), (path.urn, path.attribute.name)
    if path.attribute.multi_valued:
        raise InvalidValue(f"{path.text}: {whole.text} has many values; send it as an array of objects")
    held = reading.found.get(place, (whole, None))[1]
    parts = {} if held is None else held
    if not isinstance(parts, dict) or any(name.lower() == path.sub.name.lower() for name in parts):
        raise InvalidSyntax(f"{path.text} is there twice, in {whole.text} and by its full name")
    reading.found[place] = (whole, {**parts, path.sub.name: value})
