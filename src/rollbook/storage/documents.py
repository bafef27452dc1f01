"""Between a document and what is stored of it: bytes ready to be sent, and the rest (architecture §1)."""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from rollbook.protocol.compare import render_date_time
from rollbook.protocol.match import values
from rollbook.protocol.memberships import as_value
from rollbook.protocol.projection import join_stored, schemas_of, split_stored
from rollbook.protocol.resource import Member
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.storage.base import Record


@dataclass(frozen=True, slots=True)
class Stored:
    """A document as it is kept: `body` and `extra` as in `Record`, `display` labels it where others refer to it."""

    body: bytes
    extra: bytes | None
    display: str | None


def encode(document: JsonObject, resource_type: ResourceType) -> Stored:
    """What is kept of a document."""
    document = resource_type.references.kept(document)
    shown, hidden = (
        split_stored(document, resource_type) if _hides(document, resource_type) else (document, {})
    )
    body = {"schemas": schemas_of(document, resource_type), **shown}
    return Stored(
        body=orjson.dumps(body),
        extra=orjson.dumps(hidden) if hidden else None,
        display=label(document, resource_type),
    )


def _hides(document: JsonObject, resource_type: ResourceType) -> bool:
    """Whether some attribute of the document may have to lie apart; most documents are stored as they are."""
    return any(
        path.attribute.name in (document.get(path.urn, ()) if path.urn else document)
        for path in resource_type.hidden
    )


def decode(body: bytes, extra: bytes | None) -> JsonObject:
    """The document that `encode` kept."""
    document: JsonObject = orjson.loads(body)
    del document["schemas"]
    return document if extra is None else join_stored(document, orjson.loads(extra))


def label(document: JsonObject, resource_type: ResourceType) -> str | None:
    """The first text among the attributes that label a resource of this type."""
    paths = (resource_type.find(text) for text in resource_type.display)
    found = (value for path in paths if path for _, value in values(path, document))
    return next((value for value in found if isinstance(value, str) and value), None)


def view(record: Record, resource_type: ResourceType) -> JsonObject:
    """The whole resource as filters look at it.

    The service's public address is not known here: locations and references are paths below it.
    """
    document: JsonObject = orjson.loads(record.body)
    if record.extra is not None:
        document = join_stored(document, orjson.loads(record.extra))
    created, modified = render_date_time(record.created), render_date_time(record.modified)
    document["id"] = record.id
    document["meta"] = {
        "resourceType": resource_type.name,
        "created": created,
        "lastModified": modified,
        "location": f"{resource_type.endpoint}/{record.id}",
        "version": record.version,
    }
    if record.members and resource_type.memberships:
        document[resource_type.memberships] = _references(record.members)
    if record.groups and resource_type.derived:
        document[resource_type.derived] = [{**as_value(group), "type": group.way} for group in record.groups]
    return document


def _references(members: Iterable[Member]) -> list[JsonObject]:
    return [as_value(member) for member in members]


def changed_attributes(old: JsonObject, new: JsonObject) -> list[str]:
    """Names of the top-level attributes that differ, those of extensions behind their URN; never values (I-13)."""
    names = sorted(_names(old) | _names(new))
    return [name for name in names if _at(old, name) != _at(new, name)]


def _names(document: JsonObject) -> set[str]:
    """Names of attributes as `AttributePath.text` has them."""
    extensions = {urn for urn, value in document.items() if ":" in urn and isinstance(value, dict)}
    inner = {f"{urn}:{name}" for urn in extensions for name in document[urn]}
    return inner | (document.keys() - extensions)


def _at(document: JsonObject, name: str) -> JsonValue:
    urn, colon, local = name.rpartition(":")
    return document.get(urn, {}).get(local) if colon else document.get(name)


def mentions(path: AttributePath, name: str | None) -> bool:
    """Whether a path is that attribute of the base schema."""
    return path.urn is None and path.attribute.name == name
