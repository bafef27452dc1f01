"""Columns of a table ↔ places of a resource: `userName`, `name.givenName`, `emails[type eq "work"].value`, `urn:…:title`."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from rollbook.protocol.attributes import Type
from rollbook.protocol.errors import InvalidPath
from rollbook.protocol.schema import AttributePath, ResourceType
from rollbook.protocol.values import JsonObject, JsonValue

_COLUMN = re.compile(
    r"(?P<whole>.+?)(?:\[\s*(?P<by>\w+)\s+eq\s+\"(?P<is>[^\"]*)\"\s*\](?:\.(?P<sub>\$?\w+))?)?\Z", re.ASCII
)

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

USUAL = (
    "id", "externalId", "userName", "active", "name.givenName", "name.familyName", "displayName", "title",
    'emails[type eq "work"].value', 'phoneNumbers[type eq "work"].value',
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
)  # fmt: skip
"""What is written of users unless columns are named."""


@dataclass(frozen=True, slots=True)
class Column:
    """A place: a path, and which of several values it is, by a part of it that equals a text."""

    title: str
    path: AttributePath
    by: str | None = None
    equals: str = ""


def read_columns(titles: Sequence[str], kind: ResourceType) -> list[Column]:
    """The places that the titles name.

    Raises:
        InvalidPath: no such attribute, several values without saying which part, or a title that is there twice.
    """
    columns = [_column(title.strip(), kind) for title in titles]
    twice = next((title for title in titles if titles.count(title) > 1), None)
    if twice is not None:
        raise InvalidPath(f"column {twice!r} is there twice")
    return columns


def _column(title: str, kind: ResourceType) -> Column:
    found = _COLUMN.match(title)
    path = kind.find(found["whole"]) if found else None
    if found is None or path is None:
        raise _unknown(title, kind)
    if found["by"] is None:
        if path.leaf.is_complex:
            parts = ", ".join(sub.name for sub in path.attribute.sub_attributes)
            raise InvalidPath(
                f"column {title!r}: say which part of it, such as {path.text}.value; of {parts}"
            )
        return Column(title, path)
    by, sub = path.attribute.sub(found["by"]), path.attribute.sub(found["sub"] or "value")
    if by is None or sub is None or not path.attribute.multi_valued:
        raise _unknown(title, kind)
    return Column(title, path._replace(sub=sub), by.name, found["is"])


def _unknown(title: str, kind: ResourceType) -> InvalidPath:
    known = [path.text for path in kind.parts()] + ["id", "externalId"]
    near = get_close_matches(title, known, 1)
    hint = f"did you mean {near[0]}?" if near else 'write it like emails[type eq "work"].value'
    return InvalidPath(f"column {title!r} is no attribute of {kind.name}; {hint}")


def to_body(columns: Iterable[Column], cells: Iterable[str], kind: ResourceType) -> JsonObject:
    """The body that a row of cells stands for; empty cells are no values."""
    body: JsonObject = {"schemas": [kind.schema.id]}
    for column, cell in zip(columns, cells, strict=True):
        text = cell.strip()
        if text:
            _put(body, column, _value(column.path, text))
    body["schemas"] += [key for key in body if ":" in key]
    return body


def _value(path: AttributePath, text: str) -> JsonValue:
    match path.leaf.type:
        case Type.BOOLEAN:
            return _BOOLEANS.get(text.lower(), text)
        case Type.INTEGER | Type.DECIMAL:
            try:
                return int(text) if path.leaf.type is Type.INTEGER else float(text)
            except ValueError:
                return text  # refused where values are read, in words
        case _:
            return text


def _put(body: JsonObject, column: Column, value: JsonValue) -> None:
    path = column.path
    holder = body if path.urn is None else body.setdefault(path.urn, {})
    name = path.attribute.name
    if not path.attribute.multi_valued:
        if path.sub is None:
            holder[name] = value
        else:
            holder.setdefault(name, {})[path.sub.name] = value
        return
    values = holder.setdefault(name, [])
    if path.sub is None:
        values.append(value)
        return
    element = next((each for each in values if _is(each, column)), None)
    if element is None:
        element = {} if column.by is None else {column.by: column.equals}
        values.append(element)
    element[path.sub.name] = value


def _is(element: JsonValue, column: Column) -> bool:
    if not isinstance(element, dict):
        return False
    return column.by is None or str(element.get(column.by, "")).lower() == column.equals.lower()


def to_cells(columns: Iterable[Column], resource: Mapping[str, JsonValue]) -> list[str]:
    """The cells of a resource: of several values the first that the column means."""
    return [_text(_get(resource, column)) for column in columns]


_ASIDE = frozenset({"id", "schemas", "meta"})
"""What every resource has, and nobody misses."""


def without_column(columns: Iterable[Column], resource: JsonObject) -> Iterator[str]:
    """Attributes, and parts of complex ones, of which these columns do not have everything."""
    shown: JsonObject = {}
    for column in columns:
        value = _get(resource, column)
        if value is not None:
            _put(shown, column, value)
    for name, value in resource.items():
        if ":" in name and isinstance(value, dict):
            yield from _lacking(value, shown.get(name) or {})
        elif name not in _ASIDE:
            yield from _lacking({name: value}, shown)


def _lacking(whole: JsonObject, part: JsonObject) -> Iterator[str]:
    for name, value in whole.items():
        held = part.get(name)
        if isinstance(value, dict):
            yield from (f"{name}.{sub}" for sub, each in value.items() if each != (held or {}).get(sub))
        elif value != held:
            yield name


def _get(resource: Mapping[str, JsonValue], column: Column) -> JsonValue:
    path = column.path
    holder = resource if path.urn is None else resource.get(path.urn) or {}
    value = holder.get(path.attribute.name) if isinstance(holder, Mapping) else None
    if isinstance(value, list):
        value = next((each for each in value if path.sub is None or _is(each, column)), None)
    return value.get(path.sub.name) if path.sub is not None and isinstance(value, dict) else value


def _text(value: JsonValue) -> str:
    if value is None or isinstance(value, list | dict):
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
