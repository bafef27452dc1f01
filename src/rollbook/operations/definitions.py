"""Changes of what is served: definitions added, replaced and removed, and how two catalogs differ (RFC 7643 §6, §7)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

import orjson

from rollbook.protocol.attributes import Attribute
from rollbook.protocol.catalog import Catalog, build_catalog, core_catalog, is_core, is_resource_type
from rollbook.protocol.definitions import render_resource_type, render_schema
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.schema import ResourceType, Schema
from rollbook.protocol.schema_change import Fault
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.storage.sql.redefine import Survey

T = TypeVar("T")

MOST_DEFINITIONS, MOST_ATTRIBUTES, MOST_BYTES = 50, 1_000, 1_048_576
"""Of what a tenant defines itself at /admin/v1. SCIM's own User has some sixty attributes with all parts."""

ADVICE: Mapping[Fault, str] = {
    Fault.DROPPED: "add the attribute to the definitions, or take the change with --drop-values",
    Fault.UNFIT: "correct the values first, or leave type and multiValued as they are",
    Fault.MISSING: "give these resources a value first, or do not make it required yet",
    Fault.NOT_UNIQUE: "make the values differ first, or do not make them unique",
    Fault.NO_TYPE: "delete these resources first, or keep their type",
}
"""What to do about each fault."""


def added(catalog: Catalog, documents: Iterable[JsonValue]) -> Catalog:
    """The catalog with further definitions; those of the same URN or name are replaced.

    Raises:
        InvalidValue: see `build_catalog`.
    """
    own = {_key(document): document for document in catalog.documents}
    given: dict[tuple[str, str], JsonValue] = {}
    for document in documents:
        key = _key(document)
        if key in given:
            raise InvalidValue(f"{key[0]} {key[1]} is defined twice")
        given[key] = document
    return build_catalog((own | given).values(), catalog.adjusted)


def check_size(before: Catalog, given: Sequence[JsonValue]) -> None:
    """Refuse more definitions than others can be made to wait for: all processes make routes and indexes of them (T-52).

    What a tenant has beyond that, by command, it may keep, replace and remove.

    Raises:
        InvalidValue: says how many there may be.
    """
    own = {_key(document): document for document in before.documents}
    wanted = own | {_key(document): document for document in given}
    most = MOST_DEFINITIONS, MOST_ATTRIBUTES, MOST_BYTES
    was, now = _size(own.values()), _size(wanted.values())
    if any(new > max(old, limit) for old, new, limit in zip(was, now, most, strict=True)):
        raise InvalidValue(
            f"a tenant has at most {MOST_DEFINITIONS} schemas and resource types of its own here, with {MOST_ATTRIBUTES}"
            f" attributes and {MOST_BYTES} bytes together; rollbook schema add takes more"
        )


def _size(documents: Iterable[JsonValue]) -> tuple[int, int, int]:
    """How many definitions, attributes with their parts, and bytes."""
    every = list(documents)
    attributes = sum(_parts(document, "attributes") for document in every)
    return len(every), attributes, sum(len(orjson.dumps(document)) for document in every)


def _parts(body: JsonValue, name: str) -> int:
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, list):
        return 0
    return len(found) + sum(_parts(each, "subAttributes") for each in found)


def removed(catalog: Catalog, names: Iterable[str]) -> Catalog:
    """The catalog without the definitions of those URNs and names; a replaced core type comes back as it was.

    Raises:
        InvalidValue: there is no such definition, it is the RFC's own, or another one needs it.
    """
    own = {_key(document): document for document in catalog.documents}
    for name in names:
        keys = [key for key in (("schema", name.lower()), ("resource type", name)) if key in own]
        if not keys:
            raise _unknown(catalog, name, [key[1] for key in own])
        for key in keys:
            del own[key]
    return build_catalog(own.values(), catalog.adjusted)


def _unknown(catalog: Catalog, name: str, known: list[str]) -> InvalidValue:
    if is_core(name) or core_catalog().resource_type(name) is not None:
        return InvalidValue(f"{name} is one of SCIM's own definitions and cannot be removed")
    found = [schema.id for schema in catalog.schemas if not is_core(schema.id)]
    close = get_close_matches(name, [*found, *known], 1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known) or 'none of your own'}"
    return InvalidValue(f"{name[:200]}: there is no definition of that URN or name; {hint}")


def _key(document: JsonValue) -> tuple[str, str]:
    """What a definition defines; of one that is malformed, enough for `build_catalog` to say so."""
    body: JsonObject = document if isinstance(document, dict) else {}
    if is_resource_type(document):
        return "resource type", str(body.get("name"))
    return "schema", str(body.get("id")).lower()


@dataclass(frozen=True, slots=True)
class Difference:
    """One definition that is new (`+`), gone (`-`) or changed (`~`); `parts` says so of its attributes."""

    sign: str
    name: str
    parts: tuple[str, ...] = ()


def differences(before: Catalog, after: Catalog) -> list[Difference]:
    """How the second catalog differs from the first."""
    schemas = _compared(
        {schema.id: schema for schema in before.schemas}, {schema.id: schema for schema in after.schemas}
    )
    types = _compared(
        {kind.name: _declared(kind) for kind in before.resource_types},
        {kind.name: _declared(kind) for kind in after.resource_types},
    )
    found = [Difference(sign, name, _attributes(old, new)) for sign, name, old, new in schemas]
    return found + [
        Difference(sign, f"resource type {name}", _places(old, new)) for sign, name, old, new in types
    ]


def _compared(
    before: Mapping[str, T], after: Mapping[str, T]
) -> Iterator[tuple[str, str, T | None, T | None]]:
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old != new:
            yield "+" if old is None else "-" if new is None else "~", name, old, new


def _attributes(old: Schema | None, new: Schema | None) -> tuple[str, ...]:
    if old is None or new is None:
        return ()
    was, now = _named(old.attributes), _named(new.attributes)
    return tuple(f"{sign} {name}" for sign, name, _, _ in _compared(was, now))


def _named(attributes: Iterable[Attribute]) -> dict[str, Attribute]:
    return {attribute.name: attribute for attribute in attributes}


def _declared(kind: ResourceType) -> dict[str, str]:
    """What a resource type says beside its schemas' attributes."""
    extensions = {
        extension.schema.id: "required" if extension.required else "optional" for extension in kind.extensions
    }
    return {"endpoint": kind.endpoint, "schema": kind.schema.id, **extensions}


def _places(old: dict[str, str] | None, new: dict[str, str] | None) -> tuple[str, ...]:
    return tuple(
        f"{sign} {name}{f' ({value})' if value else ''}"
        for sign, name, _, value in _compared(old or {}, new or {})
        if old is not None and new is not None
    )


def warnings(catalog: Catalog) -> list[str]:
    """What is allowed and not advised: extensions that define what their base schema or SCIM has (S-11)."""
    found = []
    for kind in catalog.resource_types:
        known = {each.name.lower(): each.name for each in (*kind.common, *kind.schema.attributes)}
        for extension in kind.extensions:
            for attribute in extension.schema.attributes:
                name = known.get(attribute.name.lower())
                if name and not is_core(extension.schema.id):
                    found.append(
                        f"{extension.schema.id}:{attribute.name} has the name of {kind.name}'s own {name};"
                        " people will mistake one for the other (RFC 7643 section 3.3)"
                    )
    return found


@dataclass(frozen=True, slots=True)
class Line:
    """What a survey found of one attribute of one resource type."""

    resource_type: str
    fault: Fault
    where: str
    count: int
    examples: tuple[str, ...]


def lines(survey: Survey) -> list[Line]:
    """What a survey found, worst first within each type."""
    order = list(Fault)
    found = [
        Line(name, finding.fault, finding.where, count, tuple(survey.examples[name, finding]))
        for (name, finding), count in survey.counts.items()
    ]
    return sorted(found, key=lambda line: (line.resource_type, -order.index(line.fault), line.where))


def text_of(line: Line) -> str:
    """What was found of one attribute, with what to do."""
    where = f"{line.resource_type} {line.where}".rstrip()
    examples = f" (such as {', '.join(line.examples)})" if line.examples else ""
    return f"  {line.fault}: {where}, {line.count} of them{examples}\n    = {ADVICE[line.fault]}"


def origin(kind: ResourceType) -> str:
    """Who has defined a resource type."""
    core = core_catalog().resource_type(kind.name)
    if core is None:
        return "you"
    return (
        "SCIM" if core.extensions == kind.extensions and core.schema.id == kind.schema.id else "SCIM and you"
    )


def catalog_summary(catalog: Catalog, numbers: Mapping[str, int]) -> JsonObject:
    """Every resource type with the number of its resources, and every schema."""
    return {
        "resourceTypes": [
            {
                "name": kind.name,
                "endpoint": kind.endpoint,
                "schema": kind.schema.id,
                "extensions": [
                    {"schema": extension.schema.id, "required": extension.required}
                    for extension in kind.extensions
                ],
                "resources": numbers.get(kind.name, 0),
                "core": origin(kind) == "SCIM",
            }
            for kind in catalog.resource_types
        ],
        "schemas": [
            {
                "id": schema.id,
                "name": schema.name,
                "attributes": len(schema.attributes),
                "core": is_core(schema.id),
            }
            for schema in catalog.schemas
        ],
        "adjusted": sorted(catalog.adjusted),
    }


def definition(catalog: Catalog, name: str) -> JsonObject:
    """One definition as it would be written in a file.

    Raises:
        InvalidValue: there is none of that URN or name.
    """
    schema, kind = catalog.schema(name), catalog.resource_type(name)
    if schema is None and kind is None:
        raise InvalidValue(f"{name[:200]}: there is no schema of that URN, and no resource type of that name")
    return render_schema(schema) if schema is not None else render_resource_type(kind) if kind else {}


def change_summary(before: Catalog, survey: Survey, *, taken: bool, changed: int | None) -> JsonObject:
    """What a change of definitions is, what was found in the resources, and whether it was taken."""
    return {
        "differences": [
            {"sign": each.sign, "name": each.name, "parts": list(each.parts)}
            for each in differences(before, survey.catalog)
        ],
        "warnings": warnings(survey.catalog),
        "resources": survey.looked_at,
        "findings": [
            {
                "resourceType": line.resource_type,
                "fault": str(line.fault),
                "where": line.where,
                "count": line.count,
                "examples": list(line.examples),
                "advice": ADVICE[line.fault],
            }
            for line in lines(survey)
        ],
        "taken": taken,
        "changed": changed or 0,
    }
