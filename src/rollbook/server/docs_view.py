"""An OpenAPI document as what its page shows: rows and words, no markup."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rollbook.protocol.values import JsonObject

_METHODS = ("get", "post", "put", "patch", "delete")
_BOUNDS: Mapping[str, str] = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "format": "{}",
    "const": "always {}",
    "default": "{} if it is missing",
}

_NOTHING: tuple[object, ...] = (None, 0, "", {}, [])
"""Bounds and defaults that are not worth a word."""


class Kind(NamedTuple):
    """A word for a type, and the component it is one of, if it is."""

    text: str
    component: str | None = None


@dataclass(frozen=True)
class Row:
    """A parameter or an attribute."""

    name: str
    kinds: tuple[Kind, ...]
    notes: tuple[str, ...]
    meaning: str
    depth: int = 0


@dataclass(frozen=True)
class Reply:
    """One way a request can end."""

    status: str
    meaning: str
    kinds: tuple[Kind, ...]


@dataclass(frozen=True)
class Operation:
    """One operation."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    is_open: bool
    parameters: tuple[Row, ...]
    body: tuple[Kind, ...]
    replies: tuple[Reply, ...]


@dataclass(frozen=True)
class Group:
    """Operations that belong together."""

    name: str
    anchor: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Shape:
    """A component schema; of one that is only a choice of others, these."""

    name: str
    meaning: str
    kinds: tuple[Kind, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Page:
    """All of it."""

    title: str
    version: str
    about: str
    base: str
    credentials: tuple[str, ...]
    groups: tuple[Group, ...]
    shapes: tuple[Shape, ...]


def page_of(document: JsonObject) -> Page:
    """What a document says, for people."""
    info, components = document["info"], document["components"]
    found = [operation for path in document["paths"] for operation in _operations(document, path)]
    names = list(dict.fromkeys(name for name, _ in found))
    return Page(
        info["title"],
        info["version"],
        info.get("description", ""),
        document["servers"][0]["url"],
        tuple(each["scheme"].capitalize() for each in components["securitySchemes"].values()),
        tuple(
            Group(name, f"group-{number}", tuple(one for label, one in found if label == name))
            for number, name in enumerate(names)
        ),
        tuple(_shape(name, schema) for name, schema in components["schemas"].items()),
    )


def _operations(document: JsonObject, path: str) -> Iterator[tuple[str, Operation]]:
    item = document["paths"][path]
    for method in _METHODS:
        if method not in item:
            continue
        said = item[method]
        parameters = [
            _resolved(document, each) for each in (*item.get("parameters", ()), *said.get("parameters", ()))
        ]
        replies = {status: _resolved(document, each) for status, each in said["responses"].items()}
        yield (
            said["tags"][0],
            Operation(
                said["operationId"],
                method.upper(),
                path,
                said["summary"],
                said.get("description", ""),
                said.get("security") == [],
                tuple(_parameter(each) for each in parameters),
                _kinds(_content(said.get("requestBody", {}))),
                tuple(
                    Reply(status, each["description"], _kinds(_content(each)))
                    for status, each in sorted(replies.items())
                ),
            ),
        )


def _resolved(document: JsonObject, value: JsonObject) -> JsonObject:
    target = value.get("$ref")
    if target is None:
        return value
    found = document
    for step in target.removeprefix("#/").split("/"):
        found = found[step]
    return found


def _content(value: JsonObject) -> JsonObject:
    for described in value.get("content", {}).values():
        schema: JsonObject = described["schema"]
        return schema
    return {}


def _parameter(value: JsonObject) -> Row:
    notes = (f"in the {value['in']}", *(("required",) if value.get("required") else ()))
    return Row(
        value["name"],
        _kinds(value["schema"]),
        (*notes, *_notes(value["schema"])),
        value.get("description", ""),
    )


def _kinds(schema: JsonObject) -> tuple[Kind, ...]:
    """The words for what a value is; null is left out, as a note says it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return (Kind(name, name),)
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            found = dict.fromkeys(kind for each in schema[choice] for kind in _kinds(each))
            return tuple(kind for kind in found if kind.text != "null")
    if schema.get("type") == "array" or "items" in schema:
        return tuple(Kind(f"{text}[]", component) for text, component in _kinds(schema.get("items", {})))
    types = schema.get("type", [])
    named = [types] if isinstance(types, str) else [each for each in types if each != "null"]
    return tuple(map(Kind, named))


def _notes(schema: JsonObject) -> tuple[str, ...]:
    inner = schema.get("items", {}) if schema.get("type") == "array" else {}
    notes = [
        word for key, word in (("readOnly", "read only"), ("writeOnly", "write only")) if schema.get(key)
    ]
    for each in (schema, inner):
        notes += [_bound(key, each[key]) for key in _BOUNDS if each.get(key) not in _NOTHING]
        if "enum" in each:
            notes.append(f"one of {', '.join(str(value) for value in each['enum'] if value is not None)}")
        if "examples" in each:
            notes.append(f"such as {', '.join(map(str, each['examples']))}")
    return tuple(dict.fromkeys(notes))


def _bound(key: str, value: object) -> str:
    return "not empty" if key.startswith("min") and value == 1 else _BOUNDS[key].format(value)


def _shape(name: str, schema: JsonObject) -> Shape:
    rows = tuple(_rows(schema, 0))
    return Shape(name, schema.get("description", ""), () if rows else _kinds(schema), rows)


def _rows(schema: JsonObject, depth: int) -> Iterator[Row]:
    for inner in _objects(schema):
        required = inner.get("required", ())
        for name, value in inner.get("properties", {}).items():
            notes = (*(("required",) if name in required else ()), *_notes(value))
            yield Row(name, _kinds(value), notes, value.get("description", ""), depth)
            yield from _rows(value, depth + 1)


def _objects(schema: JsonObject) -> Iterable[JsonObject]:
    """The objects that a value may be, or may be a list of; a component is described in its own place."""
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return [each for one in schema[choice] for each in _objects(one)]
    if "items" in schema:
        return _objects(schema["items"])
    return [schema] if "properties" in schema else []
