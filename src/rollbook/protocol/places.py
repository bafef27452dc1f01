"""Reading and writing single places of a document; writing returns a new one and leaves no empty parent."""

from rollbook.protocol.paths import AttributePath
from rollbook.protocol.values import JsonObject, JsonValue


def get(document: JsonObject, path: AttributePath) -> JsonValue:
    """What stands at the path, None if nothing does; a part is looked up in single values only."""
    urn, attribute, sub = path
    holder = document if urn is None else document.get(urn)
    value = None if holder is None else holder.get(attribute.name)
    if sub is None:
        return value
    return value.get(sub.name) if isinstance(value, dict) else None


def put(document: JsonObject, path: AttributePath, value: JsonValue) -> JsonObject:
    """The document with that value at the path; None, [] and {} remove it, and the parent it leaves empty."""
    urn, attribute, sub = path
    if sub is not None:
        whole = AttributePath(urn, attribute)
        held = get(document, whole)
        return put(document, whole, changed(held if isinstance(held, dict) else {}, sub.name, value))
    if urn is None:
        return changed(document, attribute.name, value)
    return changed(document, urn, changed(document.get(urn) or {}, attribute.name, value))


def changed(value: JsonObject, name: str, part: JsonValue) -> JsonObject:
    """The object with that member; None, [] and {} remove it (S-05)."""
    if part not in (None, [], {}):
        return {**value, name: part}
    return {key: held for key, held in value.items() if key != name} if name in value else value
