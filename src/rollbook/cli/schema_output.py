"""What `rollbook schema` prints: tables for people, the same as JSON for programs."""

import json
from collections.abc import Mapping

from rollbook.operations.definitions import ADVICE, Line, differences, lines, text_of, warnings
from rollbook.protocol.catalog import Catalog, core_catalog, is_core
from rollbook.protocol.definitions import render_resource_type, render_schema
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject
from rollbook.storage.sql.redefine import Survey


def show_catalog(catalog: Catalog, numbers: Mapping[str, int], *, as_json: bool) -> None:
    """Every resource type with the number of its resources, and every schema."""
    if as_json:
        print(json.dumps(_catalog(catalog, numbers), indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Column, Table

    types = Table(
        "type", "endpoint", "schema", Column("extensions", overflow="fold"), "resources", "defined by"
    )
    for kind in catalog.resource_types:
        extensions = "\n".join(
            f"{extension.schema.name}{' (required)' if extension.required else ''}"
            for extension in kind.extensions
        )
        number = str(numbers.get(kind.name, 0))
        types.add_row(kind.name, kind.endpoint, kind.schema.name, extensions or "–", number, _origin(kind))
    schemas = Table(Column("schema", overflow="fold"), "attributes", "defined by")
    for schema in catalog.schemas:
        origin = "SCIM" if is_core(schema.id) else "you"
        schemas.add_row(schema.id, str(len(schema.attributes)), origin)
    console = Console()
    console.print(types)
    console.print(schemas)
    if catalog.adjusted:
        console.print(f"by settings of the server: {', '.join(sorted(catalog.adjusted))}")


def _origin(kind: ResourceType) -> str:
    core = core_catalog().resource_type(kind.name)
    if core is None:
        return "you"
    return (
        "SCIM" if core.extensions == kind.extensions and core.schema.id == kind.schema.id else "SCIM and you"
    )


def _catalog(catalog: Catalog, numbers: Mapping[str, int]) -> JsonObject:
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
                "core": _origin(kind) == "SCIM",
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


def show_definition(catalog: Catalog, name: str) -> None:
    """One definition as it would be written in a file.

    Raises:
        InvalidValue: there is none of that name.
    """
    schema, kind = catalog.schema(name), catalog.resource_type(name)
    if schema is None and kind is None:
        raise InvalidValue(f"{name[:200]}: there is no schema of that URN, and no resource type of that name")
    found = render_schema(schema) if schema is not None else render_resource_type(kind) if kind else {}
    print(json.dumps(found, indent=2, ensure_ascii=False))


def show_change(before: Catalog, survey: Survey, *, taken: bool, changed: int | None, as_json: bool) -> None:
    """What a change of definitions is, what was found in the resources, and whether it was taken."""
    found, after = lines(survey), survey.catalog
    if as_json:
        print(
            json.dumps(
                _change(before, survey, found, taken=taken, changed=changed), indent=2, ensure_ascii=False
            )
        )
        return
    for difference in differences(before, after):
        print(f"{difference.sign} {difference.name}")
        for part in difference.parts:
            print(f"    {part}")
    for warning in warnings(after):
        print(f"! {warning}")
    print(f"{survey.looked_at} resources looked at")
    for line in found:
        print(text_of(line))
    print(_verdict(before, survey, taken=taken, changed=changed))


def _verdict(before: Catalog, survey: Survey, *, taken: bool, changed: int | None) -> str:
    if before == survey.catalog and changed is None:
        return "nothing would change" if not taken else "nothing to change: these are the definitions already"
    if changed is not None:
        dropped = f"; values were dropped from {changed} resources" if changed else ""
        return f"taken{dropped}. A running server follows within a second"
    if survey.is_lossless:
        return "every resource stays valid; take it with: rollbook schema add"
    return "nothing was changed"


def _change(
    before: Catalog, survey: Survey, found: list[Line], *, taken: bool, changed: int | None
) -> JsonObject:
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
            for line in found
        ],
        "taken": taken,
        "changed": changed or 0,
    }
