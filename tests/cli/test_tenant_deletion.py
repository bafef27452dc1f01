"""`rollbook tenant delete` as a process that is killed, beside the writes of others, on both databases (T-14, FS-07)."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.cli.command import run, within
from tests.postgres_server import database as new_database
from tests.postgres_server import make_tables

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import Conflict
from rollbook.protocol.resource import Change
from rollbook.storage.base import Author
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.store import SqlStore
from rollbook.storage.sql.tenants import ROWS, SqlTenants
from rollbook.storage.sql.transfer import tables

USERS = 3_000
USER = core_catalog().resource_types[0]
LINK = """
    INSERT INTO link (tenant, target, pk, id, type, rank, state, due, marked, fence, attempts, remote_id, confirmed, disabled, members_read)
    SELECT tenant, 1, pk, id, type, 0, ?, ?, 1, 1, 0, 'far-' || id, NULL, 0, 0 FROM resource WHERE tenant = ?
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database with two tenants, of which acme is large."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("ROLLBOOK_TENANT", "")
    lines = [json.dumps({"schemas": [USER.schema.id], "userName": f"u{number}"}) for number in range(USERS)]
    (tmp_path / "acme.jsonl").write_text("\n".join(lines))
    (tmp_path / "brett.jsonl").write_text(lines[0])
    with ExitStack() as stack:
        named = f"sqlite:///{tmp_path}/store.db"
        if request.param == "postgresql":
            named = stack.enter_context(new_database(request.getfixturevalue("postgres")))
            make_tables(named)
        monkeypatch.setenv("ROLLBOOK_DATABASE", named)
        for name in ("acme", "brett"):
            assert run("tenant", "create", name)[0] == 0
            code, _, wrong = run("--tenant", name, "import", str(tmp_path / f"{name}.jsonl"))
            assert code == 0, wrong
            os.environ["ROLLBOOK_TENANT"] = ""
        yield named


def rows(connection: Connection, tenant: int) -> dict[str, int]:
    """How many rows each table has of a tenant."""
    found = {}
    for table in tables():
        column = "number" if table.name == "tenant" else "tenant"
        if column in table.columns:
            ((found[table.name],),) = connection.all(
                f"SELECT count(*) FROM {table.name} WHERE {column} = ?", (tenant,)
            )
    return {name: number for name, number in found.items() if number}


async def left(store: SqlStore, tenant: int) -> dict[str, int]:
    """The same, of a store."""
    return await store.database.read(lambda connection: rows(connection, tenant))


def test_killed_it_goes_on(url: str) -> None:
    """Killed with -9 after it has begun, others write on; called again it finishes, and no table has a row of the tenant."""

    async def kill_and_look(store: SqlStore) -> None:
        record = await SqlTenants(store.database).by_name("acme")
        other = await SqlTenants(store.database).by_name("brett")
        assert record is not None
        assert other is not None
        before, others = await left(store, record.number), await left(store, other.number)
        words = (sys.executable, "-m", "rollbook", "tenant", "delete", "acme", "--yes")
        process = await asyncio.create_subprocess_exec(
            *words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 60
        while sum((await left(store, record.number)).values()) > sum(before.values()) - ROWS:
            assert time.monotonic() < end
        process.kill()
        await process.wait()
        some = await left(store, record.number)
        assert 0 < sum(some.values()) < sum(before.values())
        assert sum(before.values()) > 3 * ROWS  # else nothing was broken off
        assert await left(store, other.number) == others
        author = Author("test", 1)
        await store.insert(other.number, USER, "late", Change({"userName": "late"}), author)

    within(url, kill_and_look)
    code, _, wrong = run("tenant", "show", "acme")
    assert (code, "is being deleted" in wrong) == (3, True)
    code, _, wrong = run("tenant", "create", "acme")
    assert "is free when tenant acme is deleted" in wrong
    code, said, wrong = run("tenant", "delete", "acme", "--yes")
    assert (code, "is deleted" in said) == (0, True), wrong

    async def look(store: SqlStore) -> None:
        for number in (2, 3):
            assert bool(await left(store, number)) is (number == 3)
        assert (await store.numbers(3))["User"] == 2
        assert await store.check() == []

    within(url, look)
    assert run("tenant", "create", "acme")[0] == 0


def test_nobody_is_taken_for_one_who_left(url: str) -> None:
    """While a worker has accounts in hand nothing is deleted; once it has begun none are taken up, and links go first."""
    from rollbook.storage.sql.links import SqlLinks

    async def go(store: SqlStore) -> None:
        tenants, links = SqlTenants(store.database), SqlLinks(store.database)
        await store.database.write(2, lambda conn: conn.run(LINK, ("claimed", 5_000, 2)))
        with pytest.raises(Conflict, match="worker is at work"):
            await tenants.delete(2, 4_000)
        assert len(await links.claim(2, 1, 0, 6_000, 7_000, 1)) == 1
        assert await tenants.delete(2, 8_000)
        assert list(await links.claim(2, 1, 0, 10_000, 20_000, 10)) == []
        while (of := await left(store, 2)).get("link"):
            assert of["resource"] == USERS
            await tenants.delete(2, 8_000)

    within(url, go)
