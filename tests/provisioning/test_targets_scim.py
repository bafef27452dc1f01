"""A SCIM service as a target: the forms of calls, and a service that is not ours, in a process of its own."""

import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.provisioning.test_config import TARGET, load
from tests.provisioning.world import CATALOG, ENTERPRISE, GROUP, TENANT, USER, World, target, world

from rollbook.client import ScimClient
from rollbook.protocol import errors, urns
from rollbook.protocol.values import JsonObject
from rollbook.provisioning import model
from rollbook.provisioning.differences import compare
from rollbook.provisioning.outgoing import Withheld
from rollbook.provisioning.profile import NO_PROFILE, Profile
from rollbook.provisioning.targets.scim import ScimTarget, connect
from rollbook.provisioning.wanted import Kind, kinds_of
from rollbook.provisioning.worker import Worker
from rollbook.storage.links import State
from rollbook.testing.asgi_transport import AsgiTransport
from rollbook.testing.scripted_target import Answer, Fault, Recorded, ScriptedTarget, error
from rollbook.testing.scripted_target import Profile as Far

pytestmark = pytest.mark.anyio

TOKEN = "token-of-the-test"


def far(service: ScriptedTarget) -> ScimTarget:
    """The scripted service as a target."""
    return ScimTarget(ScimClient("http://127.0.0.1:1/v2", "t", transport=AsgiTransport(service)))


def kind(name: str = "User") -> Kind:
    """Users or groups as the usual target gets them."""
    return kinds_of(target(), CATALOG)[name]


async def test_discovery_is_asked_once() -> None:
    """What the service can do is read before the first call, and not again."""
    service = ScriptedTarget()
    app = far(service)
    for name in ("a", "b"):
        await app.create(kind(), {"schemas": [urns.USER], "userName": name})
    paths = [request.path for request in service.requests]
    assert paths == ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas", "/Users", "/Users"]


async def test_i_12_the_gate_is_in_front_of_every_call() -> None:
    """Whatever the engine believes, an unmapped attribute is stopped before the call."""
    service = ScriptedTarget()
    app = far(service)
    with pytest.raises(Withheld):
        await app.create(kind(), {"userName": "a", "nickName": "MARKER"})
    path = USER.find("nickName")
    assert path is not None
    with pytest.raises(Withheld):
        await app.find(kind(), path, "MARKER")
    assert "MARKER" not in repr(service.requests)
    assert app.writes == 0


async def test_c_3_08_reads_spare_the_members() -> None:
    """Groups are read and looked for without their members; members are read when they are wanted."""
    service = ScriptedTarget()
    remote_id = service.add("Groups", {"displayName": "g", "members": [{"value": 1}, {"value": "2"}, {}]})
    app = far(service)
    found = await app.read(kind("Group"), remote_id)
    assert found is not None
    assert "members" not in found.body
    assert await app.read_members(kind("Group"), remote_id) == ["1", "2"]
    assert await app.read(kind("Group"), "nobody") is None


async def test_c_6_04_a_refused_path_is_written_by_put() -> None:
    """A service that does not know the path of a PATCH gets the whole resource instead."""
    service = ScriptedTarget()
    remote_id = service.add("Users", {"userName": "a", "nickName": "kept"})
    service.faults.append(Fault("PATCH", "/Users", error(400, "odd path", "invalidPath")))
    app = far(service)
    present = await app.read(kind(), remote_id)
    assert present is not None
    differences = compare(kind().managed, {"userName": "a", "title": "Dr"}, present.body)
    await app.update(kind(), present, differences)
    assert service.resources["Users"][remote_id]["title"] == "Dr"
    assert service.resources["Users"][remote_id]["nickName"] == "kept"
    assert app.writes == 2


def versioned(target_: ScriptedTarget, profile: Profile = NO_PROFILE) -> ScimTarget:
    """The scripted service as a target of that profile."""
    client = ScimClient(
        "http://127.0.0.1:1/v2",
        "t",
        transport=AsgiTransport(target_),
        search_by_post=profile.search_by_post,
    )
    return ScimTarget(client, profile)


async def titled(app: ScimTarget, remote_id: str, title: str) -> None:
    """Read, compare and write, as the engine does."""
    present = await app.read(kind(), remote_id)
    assert present is not None
    await app.update(
        kind(), present, compare(kind().managed, {"userName": "a", "title": title}, present.body)
    )


async def test_c_6_11_changes_are_made_onto_the_version_that_was_read() -> None:
    """By PATCH and by PUT; somebody who was quicker is told, and what they wrote stays until it has been compared anew."""
    for patch, calls in ((True, ["PATCH"]), (False, ["PUT"])):
        service = ScriptedTarget(Far(etags=True, patch=patch))
        remote_id = service.add("Users", {"userName": "a"})
        app = versioned(service)
        await titled(app, remote_id, "Dr")
        assert [request.method for request in service.writes] == calls
        assert service.writes[0].headers["if-match"] == 'W/"0"'
    service = ScriptedTarget(Far(etags=True))
    remote_id = service.add("Users", {"userName": "a"})
    app = versioned(service)
    present = await app.read(kind(), remote_id)
    assert present is not None
    service.versions[remote_id] = 7
    with pytest.raises(errors.PreconditionFailed):
        await app.update(
            kind(), present, compare(kind().managed, {"userName": "a", "title": "X"}, present.body)
        )
    assert "title" not in service.resources["Users"][remote_id]
    await titled(app, remote_id, "X")
    assert service.resources["Users"][remote_id]["title"] == "X"


async def test_c_6_11_accounts_are_deleted_in_the_version_that_was_read() -> None:
    """Somebody who was quicker is told, and the account stays until it has been looked at anew; one that is gone is as good."""
    service = ScriptedTarget(Far(etags=True))
    remote_id = service.add("Users", {"userName": "a"})
    app = versioned(service)
    present = await app.read(kind(), remote_id)
    assert present is not None
    service.versions[remote_id] = 7
    with pytest.raises(errors.PreconditionFailed):
        await app.delete(kind(), present)
    assert remote_id in service.resources["Users"]
    newer = await app.read(kind(), remote_id)
    assert newer is not None
    await app.delete(kind(), newer)
    assert remote_id not in service.resources["Users"]
    await app.delete(kind(), newer)
    assert [request.headers.get("if-match") for request in service.writes] == ['W/"0"', 'W/"7"', 'W/"7"']


@pytest.mark.parametrize(
    ("left", "is_refused"),
    [({}, True), ({"active": True}, True), ({"active": False}, False), (None, False)],
    ids=["as it was", "active", "switched off", "gone"],
)
async def test_t_66_a_deletion_that_is_only_said(left: JsonObject | None, is_refused: bool) -> None:
    """200 is not 204: what is there still, and can be used, was not deleted."""
    service = ScriptedTarget(Far())
    remote_id = service.add("Users", {"userName": "a", **(left or {})})
    service.faults.append(Fault("DELETE", "/Users", Answer(200, {}), commits=left is None))
    app = versioned(service)
    present = await app.read(kind(), remote_id)
    assert present is not None
    if is_refused:
        with pytest.raises(errors.RequestError, match="has the account still"):
            await app.delete(kind(), present)
    else:
        await app.delete(kind(), present)


async def test_c_6_11_versions_that_do_not_work_are_not_used_any_more() -> None:
    """A target that refuses the version it shows, or one after the other, gets its changes without; once that is known, at once."""
    service = ScriptedTarget(Far(etags=True))
    remote_id = service.add("Users", {"userName": "a"})
    service.faults.append(Fault("PATCH", "/Users", error(412, "no")))
    app = versioned(service)
    await titled(app, remote_id, "Dr")
    await titled(app, remote_id, "Prof")
    assert ["if-match" in request.headers for request in service.writes] == [True, False, False]
    assert app.writes == 3

    restless = ScriptedTarget(Far(etags=True))
    remote_id = restless.add("Users", {"userName": "a"})

    def moved(request: Recorded) -> None:
        if request.method != "GET":
            restless.versions[remote_id] = restless.versions.get(remote_id, 0) + 1

    restless.before = moved
    app = versioned(restless)
    for _ in range(3):
        with pytest.raises(errors.PreconditionFailed):
            await titled(app, remote_id, "Dr")
    await titled(app, remote_id, "Dr")
    assert restless.resources["Users"][remote_id]["title"] == "Dr"


async def test_c_6_11_c_1_07_the_configuration_says_otherwise(tmp_path: Path) -> None:
    """`etags: false` sends no version; `search_by_post: true` puts no name into a URL."""
    rules = "    etags: false\n    search_by_post: true\n    users:\n"
    found = load(tmp_path, TARGET.replace("    users:\n", rules)).targets["t"].profile
    assert (found.etags, found.search_by_post) == (False, True)
    assert load(tmp_path, TARGET).targets["t"].profile == NO_PROFILE
    service = ScriptedTarget(Far(etags=True, dot_search=True))
    remote_id = service.add("Users", {"userName": "a"})
    app = versioned(service, found)
    await titled(app, remote_id, "Dr")
    assert "if-match" not in service.writes[0].headers
    path = USER.find("userName")
    assert path is not None
    (one,) = await app.find(kind(), path, "a")
    assert one.id == remote_id
    assert service.requests[-1].path == "/Users/.search"
    assert service.requests[-1].query == {}


@pytest.fixture(scope="module")
def foreign() -> Iterator[str]:
    """The base URL of a running `scim2-server`, an implementation that is not ours."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    main = "from scim2_server.testserver.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", main, "--port", str(port), "--bearer-token", TOKEN],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}/v2"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise RuntimeError("scim2-server did not start")


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    async with world(tmp_path) as made:
        yield made


@pytest.mark.slow
async def test_the_client_against_a_foreign_service(foreign: str) -> None:
    """Discovery, the five methods, paging, filters and versions work with somebody else's service."""
    async with ScimClient(foreign, TOKEN) as client:
        capabilities = await client.discover()
        assert capabilities.patch
        assert capabilities.endpoints["User"] == "/Users"
        assert urns.USER.lower() in capabilities.attributes
        made = [
            await client.create("/Users", {"schemas": [urns.USER], "userName": f'client "{number}" ü'})
            for number in range(7)
        ]
        (found,) = await client.find("/Users", {"userName": 'CLIENT "3" Ü'})
        assert found.id == made[3].id
        with pytest.raises(errors.Uniqueness):
            await client.create("/Users", {"schemas": [urns.USER], "userName": 'client "3" ü'})
        walk = client.iterate("/Users", page_size=3)
        assert {user.id async for user in walk} >= {user.id for user in made}
        assert walk.complete
        await client.patch("/Users", found.id, [{"op": "replace", "path": "title", "value": "Dr"}])
        changed = await client.get("/Users", found.id)
        assert changed.body["title"] == "Dr"
        assert changed.version != found.version
        with pytest.raises(errors.PreconditionFailed):
            await client.replace("/Users", found.id, changed.body, if_match=found.version)
        for user in made:
            await client.delete("/Users", user.id)
        with pytest.raises(errors.NotFound):
            await client.get("/Users", found.id)
    async with ScimClient(foreign, "wrong") as client:
        with pytest.raises(errors.Unauthorized):
            await client.get("/Users", "1")


@pytest.mark.slow
async def test_the_engine_against_a_foreign_service(hub: World, foreign: str) -> None:
    """Joiners, managers, groups, movers, leavers and returners arrive at somebody else's service."""
    app = replace(target(), url=foreign, token=TOKEN)
    ada = await hub.hire("ada", {ENTERPRISE: {"department": "R&D", "manager": {"value": "hub-2"}}}, title="A")
    grace = await hub.hire("grace", emails=[{"type": "work", "value": "g@x.example", "primary": True}])
    team = await hub.group("team", ada, grace)
    await run(hub, app)
    async with ScimClient(foreign, TOKEN) as client:
        (first,) = await client.find("/Users", {"userName": "ada"})
        (boss,) = await client.find("/Users", {"userName": "grace"})
        (group,) = await client.find("/Groups", {"displayName": "team"})
        assert first.body[ENTERPRISE]["manager"]["value"] == boss.id
        assert {member["value"] for member in group.body["members"]} == {first.id, boss.id}
        await hub.change(
            ada, {ENTERPRISE: {"department": "Ops"}}, title=None, name={"familyName": "Lovelace"}
        )
        await hub.change(grace, active=False, emails=None)
        await hub.members(team, remove=[grace])
        await run(hub, app)
        first = await client.get("/Users", first.id)
        assert first.body[ENTERPRISE]["department"] == "Ops"
        assert "manager" not in first.body[ENTERPRISE]
        assert "title" not in first.body
        boss = await client.get("/Users", boss.id)
        assert boss.body["active"] is False
        assert not boss.body.get("emails")
        group = await client.get("/Groups", group.id)
        assert [member["value"] for member in group.body["members"]] == [first.id]
        await hub.change(grace, active=True)
        await hub.remove(team, GROUP)
        await run(hub, app)
        assert (await client.get("/Users", boss.id)).body["active"] is True
        assert not (await client.get("/Groups", group.id)).body.get("members")


async def run(hub: World, app: model.Target) -> None:
    """One run that succeeds, and a second one that writes nothing."""
    worker = Worker(hub.engine, connect)
    (report,) = await worker.run([app])
    assert report.failures == []
    assert not report.stopped
    (again,) = await worker.run([app])
    assert again.writes == 0
    progress = await hub.links.target(TENANT, app.name)
    assert progress is not None
    figures = await hub.links.figures(TENANT, progress.number, hub.clock.now())
    assert set(figures.states) <= {State.DONE, State.LEFT}
