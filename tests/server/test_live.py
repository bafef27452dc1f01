"""A running server follows when its definitions change: no request fails, none is decided by old ones."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from tests.courses import COURSE, DEFINITIONS
from tests.server.conftest import TOKEN

from rollbook.app import Application, now, running
from rollbook.operations.definitions import added, removed
from rollbook.operations.tenant_settings import TenantSettings, read_settings
from rollbook.protocol import urns
from rollbook.server.live import MOST_TIMES
from rollbook.settings import Settings, SettingsError
from rollbook.storage.base import Author
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

BASE = "/scim/v2"
HR = "urn:example:hr:2.0:User"
HR_SCHEMA = {"schemas": [urns.SCHEMA], "id": HR, "name": "HR", "attributes": [{"name": "badge"}]}


async def change(application: Application, *documents: Any, remove: tuple[str, ...] = ()) -> None:
    """Change the definitions as a command beside the server does: in a store of its own."""
    beside = SqlStore(SqliteFile(Path(application.store.database.name)))
    await beside.open()
    wanted = added(removed(beside.catalog, remove), documents)
    await beside.redefine(await beside.survey(wanted), Author("test", now()), drop=True)
    await beside.close()


def user(name: str, **attributes: Any) -> dict[str, Any]:
    """A User with an HR badge."""
    return {"schemas": [urns.USER], "userName": name, **attributes}


async def test_a_write_meets_new_definitions(application: Application, call: AsgiCaller) -> None:
    """The first write after a change is decided by the new definitions, with its body read once more."""
    await change(application, HR_SCHEMA)
    made = await call("POST", f"{BASE}/Users", user("ann", **{HR: {"badge": "7"}}))
    assert made.status == 201
    assert made.json[HR] == {"badge": "7"}
    await change(application, remove=(HR,))
    again = await call("POST", f"{BASE}/Users", user("bob", **{HR: {"badge": "8"}}))
    assert again.status == 201
    assert HR not in again.json
    assert await application.store.check() == []


async def test_reads_follow_soon(application: Application, call: AsgiCaller) -> None:
    """Endpoints, discovery and the OpenAPI document show new definitions once the server has looked."""
    await change(application, *DEFINITIONS)
    assert (await call("GET", f"{BASE}/Courses")).status == 404
    await application.live.follow()
    assert (await call("GET", f"{BASE}/Courses")).json["totalResults"] == 0
    assert (await call("GET", f"{BASE}/Schemas/{COURSE}")).status == 200
    assert "/Courses" in json.dumps((await call("GET", "/openapi.json")).json)


async def test_nothing_fails_meanwhile(application: Application, call: AsgiCaller) -> None:
    """Writes that go on while definitions change again and again all succeed, and the store stays whole."""

    async def write(number: int) -> int:
        await asyncio.sleep(number * 0.002)
        answer = await call("POST", f"{BASE}/Users", user(f"u{number}", **{HR: {"badge": str(number)}}))
        assert answer.status == 201, answer.body
        return answer.status

    async def redefine() -> None:
        for turn in range(MOST_TIMES - 1):
            await (change(application, HR_SCHEMA) if turn % 2 == 0 else change(application, remove=(HR,)))

    statuses, _ = await asyncio.gather(asyncio.gather(*(write(number) for number in range(60))), redefine())
    assert set(statuses) == {201}
    assert (await call("GET", f"{BASE}/Users?count=0")).json["totalResults"] == 60
    await application.live.follow()
    assert await application.store.check() == []


async def _serve(
    directory: Path, tenant: TenantSettings, schemas: Path | None = None
) -> list[tuple[int, Any]]:
    """Start a server so told, create two groups of one name and two users of one externalId, and stop it."""
    settings = Settings(
        database=f"sqlite:///{directory}/store.db", bootstrap_token=TOKEN, tenant=tenant, schemas=schemas
    )
    async with running(settings) as application:
        call = AsgiCaller(application.asgi, TOKEN)
        groups = [
            {"schemas": [urns.GROUP], "displayName": name, "externalId": f"g{name}"}
            for name in ("Staff", "STAFF")
        ]
        found = [await call("POST", f"{BASE}/Groups", body) for body in groups]
        users = [user(name, externalId="e") for name in ("ann", "bob")]
        found += [await call("POST", f"{BASE}/Users", body) for body in users]
        schema = (await call("GET", f"{BASE}/Schemas/{urns.GROUP}")).json
        announced = next(each for each in schema["attributes"] if each["name"] == "displayName")["uniqueness"]
        return [(answer.status, answer.json.get("scimType")) for answer in found] + [(0, announced)]


@pytest.mark.spec("S-70", "S-41")
async def test_uniqueness_by_choice(tmp_path: Path) -> None:
    """S-70, A-76: group names and externalIds may repeat unless a setting says otherwise, which is announced."""
    assert await _serve(tmp_path, TenantSettings()) == [(201, None)] * 4 + [(0, "none")]
    other = tmp_path / "other"
    other.mkdir()
    told = read_settings(["unique-group-names=on", "unique-external-ids=on"])
    clash = (409, "uniqueness")
    assert await _serve(other, told) == [(201, None), clash, (201, None), clash, (0, "server")]


async def test_uniqueness_over_data_that_is_not(tmp_path: Path) -> None:
    """Switched on over data that is not unique, the server does not start, and says how many and which."""
    await _serve(tmp_path, TenantSettings())
    with pytest.raises(SettingsError, match=r"not unique: Group displayName, 1 of them") as refused:
        await _serve(tmp_path, read_settings(["unique-group-names=on"]))
    assert "make the values differ first" in str(refused.value)


async def test_definitions_of_a_directory_over_data(tmp_path: Path) -> None:
    """--schemas is refused when resources would no longer be valid, and taken when they stay so."""
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    (schemas / "hr.json").write_text(json.dumps(HR_SCHEMA))
    settings = Settings(database=f"sqlite:///{tmp_path}/s.db", bootstrap_token=TOKEN, schemas=schemas)
    async with running(settings) as application:
        call = AsgiCaller(application.asgi, TOKEN)
        assert (await call("POST", f"{BASE}/Users", user("ann", **{HR: {"badge": "7"}}))).status == 201
    strict = HR_SCHEMA | {"attributes": [{"name": "badge", "type": "integer"}]}
    (schemas / "hr.json").write_text(json.dumps(strict))
    with pytest.raises(SettingsError, match=f"unfit: User {HR}:badge, 1 of them"):
        async with running(settings):
            pass
    (schemas / "hr.json").write_text(json.dumps(HR_SCHEMA))
    async with running(settings) as application:
        assert application.tenant.catalog.schema(HR) is not None
