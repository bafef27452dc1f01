"""Ten tenants against two thousand: a request takes the same statements, warm and cold, and a tenant takes little memory."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rollbook.app import Application, now, running
from rollbook.operations import tokens
from rollbook.operations.tenant_care import TenantCare
from rollbook.operations.tenants import tenant_of
from rollbook.protocol import urns
from rollbook.settings import Settings
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

FEW, MANY = 10, 2_000
COPIES = """
    WITH RECURSIVE copy (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM copy WHERE number < ?)
    INSERT INTO tenant (number, name, host, state, created, settings, definitions, indexed, edition)
    SELECT 1000 + copy.number, 'c' || copy.number, NULL, state, created, settings, definitions, indexed, edition
    FROM copy JOIN tenant ON tenant.number = ?
"""
KILOBYTES = 8
"""What a tenant that was asked may take."""


async def counts(folder: Path, tenants: int) -> dict[str, list[str]]:
    """The statements of requests on a server with so many tenants; the first of a tenant, and later ones."""
    settings = Settings(database=f"sqlite:///{folder / f'{tenants}.db'}", database_origin="test")
    async with running(settings) as application:
        record = await TenantCare(application.store, application.tenants).create("acme", now())
        text = await tokens.issue(application.store, record.number, "t", now=now(), expires=None)

        def copy(connection: Connection) -> int:
            return connection.run(COPIES, (tenants, record.number))

        await application.store.database.write(1, copy)
    async with running(settings) as application:
        call = AsgiCaller(application.asgi, text)
        for number in range(tenants if tenants < MANY else 300):  # others are warm
            await application.store.catalog_of(1001 + number)
        user = {"schemas": [urns.USER], "userName": "ann"}
        base = "/t/acme/scim/v2"
        return {
            "cold": await traced(application, lambda: call("GET", f"{base}/Users/none")),
            "read": await traced(application, lambda: call("GET", f"{base}/Users/none")),
            "create": await traced(application, lambda: call("POST", f"{base}/Users", user)),
            "filter": await traced(
                application, lambda: call("GET", f"{base}/Users?filter=userName%20eq%20%22ann%22")
            ),
            "list": await traced(application, lambda: call("GET", f"{base}/Users?count=10")),
            "strangers": await traced(application, lambda: call("GET", "/t/never/scim/v2/Users")),
        }


async def traced(application: Application, ask: Callable[[], Any]) -> list[str]:
    """The statements of a request."""
    seen: list[str] = []
    database: Any = application.store.database
    held = [each._apsw for each in (database._near, database._writer) if each is not None]

    def note(_: object, sql: str, __: object) -> bool:
        seen.append(sql)
        return True

    for connection in held:
        connection.set_exec_trace(note)
    await ask()
    for connection in held:
        connection.set_exec_trace(None)
    return seen


async def test_many_cost_what_few_do(tmp_path: Path) -> None:
    """The same statements of the same text, whatever is asked; the first request of a tenant takes a few more, at both."""
    few, many = await counts(tmp_path, FEW), await counts(tmp_path, MANY)
    assert few == many
    assert 0 < len(few["read"]) < len(few["cold"]) < len(few["read"]) + 10
    assert len(few["create"]) > 3


async def test_a_tenant_takes_little_memory(application: Application) -> None:
    """What is held of each tenant that serves the same as others: a door, a layout, no router and no catalog of its own."""
    record = await TenantCare(application.store, application.tenants).create("acme", now())
    path = Path(application.store.database.name)

    def copy(connection: Connection) -> int:
        return connection.run(COPIES, (MANY, record.number))

    await application.store.database.write(1, copy)
    nobody = AsgiCaller(
        application.asgi, await tokens.issue(application.store, 1, "t", now=now(), expires=None)
    )
    await nobody("GET", "/t/acme/scim/v2/Users")
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(1, 501):
        assert (await nobody("GET", f"/t/c{number}/scim/v2/Users")).status == 404
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / 500 < KILOBYTES * 1000
    with SqliteFile(path).snapshot() as connection:
        assert connection.all("SELECT count(*) FROM definition") == [(1,)]
    first, last = [await application.tenants.by_name(name) for name in ("c1", "c500")]
    assert first is not None
    assert last is not None
    one, other = [tenant_of(each, await application.store.catalog_of(each.number)) for each in (first, last)]
    assert one.catalog is other.catalog
