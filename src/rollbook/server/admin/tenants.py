"""Tenants at /admin/v1: listed, made, shown, told otherwise, deleted."""

from typing import Any

from rollbook.operations.administration import check_server, check_settings, check_there
from rollbook.operations.definitions import check_size
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.compare import render_date_time
from rollbook.protocol.errors import PreconditionFailed
from rollbook.server.admin.rows import TENANT, Made, Row, Visit, tag
from rollbook.server.admin.shapes import NewTenant, Tenant, TenantChange, TenantDetail, TenantList
from rollbook.server.routes import PATH
from rollbook.server.tenants import PREFIX
from rollbook.storage.tenants import DEFAULT, TenantRecord, TenantState

_TIMES = 5
"""How often a change is tried anew when somebody else was quicker and the request names no version."""


async def list_tenants(visit: Visit) -> Made:
    """GET the tenants, by name; of a tenant's own administrator that one."""
    if visit.who.runs_the_server:
        found = list(await visit.desk.care.tenants.page(visit.cursor, visit.limit + 1))
    else:
        own = await visit.desk.care.tenants.by_number(visit.who.tenant)
        found = [own] if own is not None and own.name > visit.cursor else []
    shown = found[: visit.limit]
    more = shown[-1].name if len(found) > len(shown) else None
    return Made(TenantList(tenants=[_tenant(visit, record) for record in shown], next_cursor=more))


async def create(visit: Visit) -> Made:
    """POST a new one."""
    asked: NewTenant = visit.body
    told = [f"{name}={value}" for name, value in asked.settings.items()]
    check_size(core_catalog(), asked.definitions)
    made = await visit.care().create(
        asked.name, visit.desk.now(), settings=told, host=asked.host, documents=asked.definitions
    )
    where = (b"location", f"/admin/v1/tenants/{made.name}".encode())
    return Made(_tenant(visit, made), (*_versioned(made), where))


async def show(visit: Visit) -> Made:
    """GET one."""
    record, store = visit.tenant, visit.desk.store
    if record.state is TenantState.DELETING:
        detail = TenantDetail(**_values(visit, record), resources={}, resource_types=[], tokens=0)
        return Made(detail, _versioned(record))
    catalog = await store.catalog_of(record.number)
    detail = TenantDetail(
        **_values(visit, record),
        resources={kind: number for kind, number in (await store.numbers(record.number)).items() if number},
        resource_types=[kind.name for kind in catalog.resource_types],
        tokens=len(await store.tokens(record.number)),
    )
    return Made(detail, _versioned(record))


async def change(visit: Visit) -> Made:
    """PATCH what it is told: settings, host, state."""
    asked: TenantChange = visit.body
    check_settings(visit.who, asked.settings)
    if asked.host is not None or asked.state is not None:
        check_server(visit.who)
    changes = [f"{name}={value or ''}" for name, value in asked.settings.items()]
    state = None if asked.state is None else TenantState(asked.state)
    author = visit.author()
    record: TenantRecord | None = check_there(visit.tenant)
    for left in reversed(range(_TIMES)):
        known = visit.who.reach(record)
        visit.check_version(known)
        try:
            told = await visit.desk.care.tell(known, changes, author, host=asked.host, state=state)
        except PreconditionFailed:
            if visit.condition is not None or not left:
                raise
            record = await visit.desk.care.tenants.by_name(known.name)
        else:
            return Made(_tenant(visit, told), _versioned(told))
    raise PreconditionFailed("the tenant changes all the time")


async def delete(visit: Visit) -> Made:
    """DELETE everything of it: it cannot be reached from now on, and goes bit by bit."""
    record, care = visit.tenant, visit.care()
    if record.state is not TenantState.DELETING:
        visit.check_version(record)
        await care.tenants.delete(record.number, visit.desk.now(), care.author, edition=record.edition)
    visit.desk.finish(care.delete(record, lambda _: None))
    going = await care.tenants.by_number(record.number)
    return Made(None if going is None else _tenant(visit, going))


def _tenant(visit: Visit, record: TenantRecord) -> Tenant:
    return Tenant(**_values(visit, record))


def _values(visit: Visit, record: TenantRecord) -> dict[str, Any]:
    below = record.number == DEFAULT or record.host is not None
    path = PATH if below else f"{PREFIX}{record.name}{PATH}"
    return {
        "name": record.name,
        "state": record.state.value,
        "scim": visit.desk.address.sites(path, record.host).base(visit.scope),
        "host": record.host,
        "settings": dict(each.split("=", 1) for each in record.settings),
        "created": render_date_time(record.created),
    }


def _versioned(record: TenantRecord) -> tuple[tuple[bytes, bytes], ...]:
    return ((b"etag", tag(record).encode()),)


_GROUP = "Tenants"

ROWS = (
    Row("GET", "/tenants", "listTenants", _GROUP, "List tenants", list_tenants, answer=TenantList, is_paged=True),
    Row("POST", "/tenants", "createTenant", _GROUP, "Make a tenant", create, NewTenant, Tenant, 201, for_server=True, refusals=(409,)),
    Row("GET", TENANT, "readTenant", _GROUP, "Show a tenant", show, answer=TenantDetail),
    Row("PATCH", TENANT, "changeTenant", _GROUP, "Tell a tenant something, or switch it off or on", change, TenantChange, Tenant, is_conditional=True, refusals=(409,)),
    Row("DELETE", TENANT, "deleteTenant", _GROUP, "Delete a tenant with everything it has", delete, answer=Tenant, status=202, for_server=True, is_conditional=True, needs_match=True, refusals=(409,)),
)  # fmt: skip
