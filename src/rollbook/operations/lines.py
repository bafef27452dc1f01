"""A line of an import or export file ↔ a resource: SCIM as it is, a head line, and what SCIM does not show."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from rollbook import __version__
from rollbook.protocol import validate
from rollbook.protocol.attributes import Returned
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.compare import parse_date_time
from rollbook.protocol.errors import InvalidSyntax, InvalidValue
from rollbook.protocol.memberships import as_value, read_member
from rollbook.protocol.projection import join_stored
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resource import Member
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.storage.base import Record
from rollbook.storage.documents import view
from rollbook.storage.sql.load import Kept

EXPORT = "urn:rollbook:export:1.0"
"""What a head line is, and where a line has what SCIM does not show."""

LONGEST_ID = 255


class Head(NamedTuple):
    """The first line of an export: what version texts begin with there, and the definitions it was served by."""

    epoch: str
    definitions: JsonValue
    settings: tuple[str, ...] = ()


def head_line(epoch: str, catalog: Catalog, settings: Sequence[str] = (), left_out: str = "") -> JsonObject:
    """The head of an export; `left_out` says what is not in it."""
    definitions = {"documents": list(catalog.documents), "adjusted": sorted(catalog.adjusted)}
    about: JsonObject = {"schemas": [EXPORT], "rollbook": __version__, "epoch": epoch}
    return about | {"definitions": definitions, "settings": list(settings), "leftOut": left_out}


def read_head(value: JsonValue) -> Head | None:
    """The head that a line is, or None."""
    if isinstance(value, dict) and value.get("schemas") == [EXPORT]:
        settings = value.get("settings")
        told = tuple(map(str, settings)) if isinstance(settings, list) else ()
        return Head(str(value.get("epoch", "")), value.get("definitions"), told)
    return None


def written(record: Record, kind: ResourceType, *, secrets: bool) -> tuple[JsonObject, bool]:
    """The line of a record, and whether attributes that are never returned were left out of it."""
    line = view(record._replace(groups=None), kind)
    hidden = {path: value for path in _never(kind) if (value := _taken(line, path)) is not None}
    if hidden and secrets:
        line[EXPORT] = {path.text: value for path, value in hidden.items()}
    if kind.memberships and record.members:
        line[kind.memberships] = [as_value(replace(one, display=None)) for one in record.members]
    return line, bool(hidden) and not secrets


@dataclass(frozen=True, slots=True)
class Line:
    """What a line asks for. `password` is one in clear that has to be hashed before it is stored."""

    kind: ResourceType
    id: str | None
    document: JsonObject
    members: list[JsonValue]
    kept: Kept | None = None
    password: str | None = None


def read_line(body: JsonValue, catalog: Catalog, leniency: Leniency, *, is_export: bool) -> Line:
    """What a line says.

    Raises:
        InvalidSyntax, InvalidValue: as for a POST of the same resource.
    """
    if not isinstance(body, dict):
        raise InvalidSyntax("a line must be a JSON object, one SCIM resource")
    kind = _kind(body, catalog)
    members = _members(body, kind)
    hidden = body.pop(EXPORT, None) if is_export else None
    identifier, meta = body.get("id"), body.get("meta")
    resource = validate.read_body(body, kind, leniency, at_create=not is_export)
    document, password = resource.document, None
    if isinstance(hidden, dict):
        document = join_stored(document, _from_texts(hidden, kind))
    elif kind.secret in document:
        password = document[str(kind.secret)]
    kept = _kept(meta) if is_export and isinstance(meta, dict) else None
    return Line(kind, _checked_id(identifier), document, members, kept, password)


def read_members(line: Line, leniency: Leniency) -> Iterator[Member]:
    """The members that a line names, one by one."""
    path = line.kind.find(str(line.kind.memberships))
    if path is not None:
        for value in line.members:
            yield read_member(path, value, leniency)


def _kind(body: JsonObject, catalog: Catalog) -> ResourceType:
    """The type by `meta.resourceType`, else by the base schema."""
    meta = body.get("meta")
    named = meta.get("resourceType") if isinstance(meta, dict) else None
    found = catalog.resource_type(named) if isinstance(named, str) else None
    if found is not None:
        return found
    schemas = body.get("schemas")
    urns = {text.lower() for text in schemas if isinstance(text, str)} if isinstance(schemas, list) else set()
    kinds = [kind for kind in catalog.resource_types if kind.schema.id.lower() in urns]
    if len(kinds) != 1:
        known = ", ".join(kind.schema.id for kind in catalog.resource_types)
        raise InvalidSyntax(
            f"schemas: name the base schema of one resource type, of {known}"
            + ("; meta.resourceType says which, where types share one" if kinds else "")
        )
    return kinds[0]


def _members(body: JsonObject, kind: ResourceType) -> list[JsonValue]:
    """The members, taken out of the body: there may be more of them than in any request."""
    name = (kind.memberships or "").lower()
    key = next((key for key in body if key.lower() == name), None) if name else None
    found = body.pop(key) if key is not None else None
    if found is None:
        return []
    if not isinstance(found, list):
        raise InvalidValue(f"{kind.memberships}: must be an array")
    return found


def _checked_id(value: JsonValue) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID or not value.isprintable():
        raise InvalidValue(f"id: must be a text of 1 to {LONGEST_ID} printable characters, or left out")
    if "bulkid" in value.lower() or "/" in value:
        raise InvalidValue("id: must have neither bulkId nor a slash in it")
    return value


def _kept(meta: JsonObject) -> Kept | None:
    try:
        number = int(str(meta["version"]).rpartition("-")[2].rstrip('"'))
        created, modified = (parse_date_time(str(meta[name])) for name in ("created", "lastModified"))
    except (KeyError, ValueError):
        return None
    return Kept(number, created, modified) if number > 0 else None


def _never(kind: ResourceType) -> Iterator[AttributePath]:
    return (path for path in kind.hidden if path.attribute.returned is Returned.NEVER)


def _taken(document: JsonObject, path: AttributePath) -> JsonValue:
    """The value at a path, taken away."""
    holder: Any = document if path.urn is None else document.get(path.urn, {})
    return holder.pop(path.attribute.name, None)


def _from_texts(hidden: JsonObject, kind: ResourceType) -> JsonObject:
    document: JsonObject = {}
    for text, value in hidden.items():
        path = kind.find(text)
        if path is not None:
            (document if path.urn is None else document.setdefault(path.urn, {}))[path.attribute.name] = value
    return document
