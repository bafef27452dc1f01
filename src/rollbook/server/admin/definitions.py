"""Schemas and resource types of a tenant at /admin/v1: listed, shown, changed after every resource was looked at."""

from dataclasses import replace

from rollbook.operations.administration import check_whole
from rollbook.operations.definitions import (
    added,
    catalog_summary,
    change_summary,
    check_size,
    definition,
    lines,
    removed,
    text_of,
)
from rollbook.protocol.errors import Conflict, InvalidValue, NotFound
from rollbook.server.admin.rows import TENANT, Made, Row, Visit
from rollbook.server.admin.shapes import (
    Definition,
    Definitions,
    DefinitionsChange,
    DefinitionsChanged,
)

_TOLD = 5


async def list_definitions(visit: Visit) -> Made:
    """GET what is served."""
    store, tenant = visit.desk.store, visit.tenant.number
    summary = catalog_summary(await store.catalog_of(tenant), await store.numbers(tenant))
    return Made(Definitions.model_validate(summary))


async def show(visit: Visit) -> Made:
    """GET one definition."""
    try:
        found = definition(await visit.desk.store.catalog_of(visit.tenant.number), visit.path["name"])
    except InvalidValue as error:
        raise NotFound(error.detail) from None
    return Made(Definition(document=found))


async def change(visit: Visit) -> Made:
    """POST a change: taken if every resource stays valid, or loses values and that was agreed to."""
    check_whole(visit.who, "definitions")
    asked: DefinitionsChange = visit.body
    store = visit.desk.store
    before = await store.catalog_of(visit.tenant.number)
    kept = removed(before, asked.remove)
    check_size(kept, asked.add)
    after = added(kept, asked.add)
    survey = await store.survey(after, tenant=visit.tenant.number)
    may_take = survey.is_lossless or (asked.drop_values and survey.only_drops)
    if not may_take and not asked.dry_run:
        found = lines(survey)[:_TOLD]
        shown = found if visit.sees_everybody else [replace(line, examples=()) for line in found]
        told = "; ".join(" ".join(text_of(line).split()) for line in shown)
        raise Conflict(f"nothing was changed: {told}")
    changed = None
    if not asked.dry_run and after.documents != before.documents:
        changed = await store.redefine(survey, visit.author(), drop=asked.drop_values)
    summary = change_summary(before, survey, taken=not asked.dry_run, changed=changed)
    for finding in () if visit.sees_everybody else summary["findings"]:
        finding["examples"] = []
    return Made(DefinitionsChanged.model_validate(summary))


_GROUP = "Definitions"
_EVERY = f"{TENANT}/definitions"

ROWS = (
    Row("GET", _EVERY, "listDefinitions", _GROUP, "List schemas and resource types", list_definitions, answer=Definitions),
    Row("POST", _EVERY, "changeDefinitions", _GROUP, "Add, replace and remove schemas and resource types; looks at every resource they concern", change, DefinitionsChange, DefinitionsChanged, refusals=(409,)),
    Row("GET", f"{_EVERY}/{{name}}", "readDefinition", _GROUP, "Show a schema or resource type", show, answer=Definition),
)  # fmt: skip
