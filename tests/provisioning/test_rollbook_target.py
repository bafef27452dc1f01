"""Client and engine against Rollbook's own server, in the same process: both halves of the protocol at once."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.provisioning.world import ENTERPRISE, World, target, world

from rollbook.app import running
from rollbook.client import BulkOperation, ScimClient
from rollbook.protocol import errors, urns
from rollbook.provisioning import model
from rollbook.provisioning.model import Leave
from rollbook.provisioning.targets.scim import ScimTarget
from rollbook.provisioning.worker import Worker
from rollbook.settings import Settings
from rollbook.testing.asgi_transport import AsgiApp, AsgiTransport

pytestmark = pytest.mark.anyio

TOKEN = "bootstrap-token-of-the-test"
BASE = "http://127.0.0.1:8080/scim/v2"


@dataclass
class Far:
    """Our own server as a target."""

    app: AsgiApp

    def client(self, token: str = TOKEN) -> ScimClient:
        """A client of it."""
        return ScimClient(BASE, token, transport=AsgiTransport(self.app))

    def connect(self, _: model.Target) -> ScimTarget:
        """A way to it for the engine."""
        return ScimTarget(self.client())


@pytest.fixture
async def far(tmp_path: Path) -> AsyncIterator[Far]:
    """A running server with nobody in it."""
    settings = Settings(database=f"sqlite:///{tmp_path / 'far.db'}", bootstrap_token=TOKEN)
    async with running(settings) as application:
        yield Far(application.asgi)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    async with world(tmp_path) as made:
        yield made


async def test_the_client_and_the_server_speak_the_same_language(far: Far) -> None:
    """Discovery, the five methods, paging, filters and errors go through without a special case."""
    async with far.client() as client:
        capabilities = await client.discover()
        assert capabilities.problems == ()
        assert (capabilities.patch, capabilities.etag) == (True, True)
        made = [
            await client.create("/Users", {"schemas": [urns.USER], "userName": f"user-{number}"})
            for number in range(25)
        ]
        walk = client.iterate("/Users", page_size=10)
        assert [user.id async for user in walk] == [user.id for user in made]
        assert walk.complete
        assert made[0].location == f"{BASE}/Users/{made[0].id}"
        (found,) = await client.find("/Users", {"userName": "USER-7"})
        assert found.id == made[7].id
        patched = await client.patch("/Users", found.id, [{"op": "replace", "path": "title", "value": "Dr"}])
        assert patched is not None
        assert patched.body["title"] == "Dr"
        with pytest.raises(errors.PreconditionFailed):
            await client.replace("/Users", found.id, found.body, if_match=found.version)
        with pytest.raises(errors.Uniqueness):
            await client.create("/Users", {"schemas": [urns.USER], "userName": "User-7"})
        with pytest.raises(errors.InvalidFilter):
            await client.search("/Users", "userName like 7")
        with pytest.raises(errors.InvalidPath):
            await client.patch("/Users", found.id, [{"op": "replace", "path": "titel", "value": "Dr"}])
        await client.delete("/Users", found.id)
        with pytest.raises(errors.NotFound):
            await client.get("/Users", found.id)
    async with far.client("wrong") as client:
        with pytest.raises(errors.Unauthorized):
            await client.get("/Users", "1")


@pytest.mark.parametrize("leave", list(Leave))
async def test_the_engine_and_the_server(hub: World, far: Far, leave: Leave) -> None:
    """Joiners, managers, groups, movers, leavers and returners arrive, and a second run writes nothing."""
    app = target(leave=leave)
    mail = {"type": "work", "value": "a@x.example", "primary": True}
    ada = await hub.hire(
        "ada", {ENTERPRISE: {"department": "R&D", "manager": {"value": "hub-2"}}}, emails=[mail], title="A"
    )
    grace = await hub.hire("grace")
    team = await hub.group("team", ada, grace)
    await run(hub, far, app)
    async with far.client() as client:
        (first,) = await client.find("/Users", {"userName": "ada"})
        (boss,) = await client.find("/Users", {"userName": "grace"})
        assert first.body["emails"] == [mail]
        assert first.body[ENTERPRISE]["manager"]["value"] == boss.id
        assert [group["display"] for group in boss.body["groups"]] == ["team"]
        await hub.change(
            ada, {ENTERPRISE: {"department": "Ops"}}, title=None, emails=[{**mail, "value": "b@x.example"}]
        )
        await hub.change(grace, active=False)
        await hub.members(team, remove=[ada])
        await run(hub, far, app)
        first = await client.get("/Users", first.id)
        assert first.body[ENTERPRISE]["department"] == "Ops"
        assert "title" not in first.body
        assert first.body["emails"][0]["value"] == "b@x.example"
        assert "groups" not in first.body
        found = await client.find("/Users", {"userName": "grace"})
        switches = {Leave.DISABLE: [False], Leave.DELETE: [], Leave.KEEP: [True]}
        assert [user.body["active"] for user in found] == switches[leave]
        await hub.change(grace, active=True)
        await run(hub, far, app)
        (boss,) = await client.find("/Users", {"userName": "grace"})
        assert boss.body["active"] is True
        assert [group["display"] for group in boss.body["groups"]] == ["team"]


async def run(hub: World, far: Far, app: model.Target) -> None:
    """One run that succeeds, and a second one that writes nothing."""
    worker = Worker(hub.engine, far.connect)
    (report,) = await worker.run([app])
    assert report.failures == []
    assert not report.stopped
    (again,) = await worker.run([app])
    assert again.writes == 0


async def test_the_client_in_bulk_and_by_versions(far: Far) -> None:
    """Create once, update onto a version, Bulk with references in several requests, walks by both ways."""
    async with far.client() as client:
        ada = {"schemas": [urns.USER], "userName": "ada", "externalId": "1"}
        created = await client.create_once("/Users", ada)
        assert created.new
        assert not (await client.create_once("/Users", ada)).new
        changed = await client.update(
            "/Users", created.resource.id, lambda known: {**known, ENTERPRISE: {"department": "R"}}
        )
        assert changed.version != created.resource.version
        assert await client.get("/Users", changed.id, known=changed) is changed
        people = [
            BulkOperation.create("/Users", {"schemas": [urns.USER], "userName": f"u{at}"}, f"b{at}")
            for at in range(1200)
        ]
        team = {
            "schemas": [urns.GROUP],
            "displayName": "team",
            "members": [{"value": f"bulkId:b{at}"} for at in range(1200)],
        }
        results = await client.bulk([BulkOperation.create("/Groups", team), *people])
        assert all(result.ok for result in results)
        group = await client.get("/Groups", str(results[0].id))
        assert len(group.body["members"]) == 1200
        await client.change_members("/Groups", group.id, remove=[str(results[1].id)])
        assert len((await client.get("/Groups", group.id)).body["members"]) == 1199
        for cursor in (False, True):
            walk = client.iterate("/Users", page_size=500, cursor=cursor)
            assert len({one.id async for one in walk}) == 1201
            assert walk.complete
