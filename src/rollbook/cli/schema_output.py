"""What `rollbook schema` prints: tables for people, the same as JSON for programs."""

import json
from collections.abc import Mapping

from rollbook.operations.definitions import (
    catalog_summary,
    change_summary,
    definition,
    differences,
    lines,
    origin,
    text_of,
    warnings,
)
from rollbook.protocol.catalog import Catalog, is_core
from rollbook.storage.sql.redefine import Survey


def show_catalog(catalog: Catalog, numbers: Mapping[str, int], *, as_json: bool) -> None:
    """Every resource type with the number of its resources, and every schema."""
    if as_json:
        print(json.dumps(catalog_summary(catalog, numbers), indent=2, ensure_ascii=False))
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
        types.add_row(kind.name, kind.endpoint, kind.schema.name, extensions or "–", number, origin(kind))
    schemas = Table(Column("schema", overflow="fold"), "attributes", "defined by")
    for schema in catalog.schemas:
        by = "SCIM" if is_core(schema.id) else "you"
        schemas.add_row(schema.id, str(len(schema.attributes)), by)
    console = Console()
    console.print(types)
    console.print(schemas)
    if catalog.adjusted:
        console.print(f"by settings of the server: {', '.join(sorted(catalog.adjusted))}")


def show_definition(catalog: Catalog, name: str) -> None:
    """One definition as it would be written in a file.

    Raises:
        InvalidValue: there is none of that name.
    """
    print(json.dumps(definition(catalog, name), indent=2, ensure_ascii=False))


def show_change(before: Catalog, survey: Survey, *, taken: bool, changed: int | None, as_json: bool) -> None:
    """What a change of definitions is, what was found in the resources, and whether it was taken."""
    found, after = lines(survey), survey.catalog
    if as_json:
        print(
            json.dumps(
                change_summary(before, survey, taken=taken, changed=changed), indent=2, ensure_ascii=False
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
