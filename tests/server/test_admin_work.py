"""/admin/v1 over definitions, targets, runs and problems: what the commands say and do, on both databases."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.courses import COURSE, CREDIT, DEFINITIONS
from tests.provisioning.world import World, target
from tests.server.conftest import TOKEN

from rollbook.app import Application, build, now, opened
from rollbook.operations.token_care import Wish, grant
from rollbook.protocol.catalog import build_catalog
from rollbook.settings import Settings
from rollbook.storage.base import Author
from rollbook.testing.asgi import AsgiCaller
from rollbook.testing.scripted_target import Fault, error

pytestmark = pytest.mark.anyio

HERE = "/admin/v1/tenants/default"
HOUR = 3_600_000


@dataclass(frozen=True)
class Works:
    """A hub with a target, and a server over it."""

    hub: World
    application: Application

    async def by(self, *scopes: str, **about: Any) -> AsgiCaller:
        """Sends requests with a token that has these scopes."""
        wish = Wish("t", now() + HOUR, scopes, **about)
        return AsgiCaller(
            self.application.asgi, await grant(self.application.store, 1, wish, Author("test", now()))
        )


@pytest.fixture
async def works(url: str, tmp_path: Path, anyio_backend: str) -> AsyncIterator[Works]:
    """On either database: ada is at the target, grace was given up."""
    settings = Settings(database=url, database_origin="test", bootstrap_token=TOKEN)
    async with opened(settings) as store:
        hub, application = World(store), await build(settings, store)
        hub.clock.milliseconds = now()
        people = [await hub.hire(name) for name in ("ada", "grace")]
        await hub.apply(target())
        await hub.change(people[1], title="parked")
        link = await hub.link(people[1])
        assert link is not None
        assert link.remote_id is not None
        hub.service().faults = [Fault("PATCH", link.remote_id, error(400, "no such title", "invalidValue"))]
        await hub.apply(target())
        yield Works(hub, application)
        application.services.passwords.close()


async def test_how_targets_stand(works: Works) -> None:
    """Figures, the last run, and who was given up with the reason are told; a target that nobody knows is not there."""
    call = await works.by("admin:read", "read")
    (found,) = (await call("GET", f"{HERE}/targets")).json["targets"]
    assert (found["name"], found["done"], found["parked"], found["behind"]) == ("app", 1, 1, 0)
    assert found["lastRun"]["kind"] == "apply"
    assert (await call("GET", f"{HERE}/targets/app")).json == found
    (problem,) = (await call("GET", f"{HERE}/targets/app/problems")).json["problems"]
    assert (problem["label"], problem["reason"]) == ("grace", "400 invalidValue: no such title")
    assert problem["hint"]
    for path in ("targets/nobody", "targets/nobody/problems", "targets/a%00b"):
        assert (await call("GET", f"{HERE}/{path}")).status == 404


async def test_pause_resume_and_retry(works: Works) -> None:
    """A paused target is sent nothing until resume; what was given up is tried again and done."""
    call = await works.by("admin")
    answer = await call("POST", f"{HERE}/targets/app/pause", {"reason": "they move"})
    assert answer.json["stopped"] == "paused by hand: they move"
    await works.hub.hire("alan")
    await works.hub.apply(target())
    assert len(works.hub.service().resources) == 2
    assert (await call("POST", f"{HERE}/targets/app/resume")).json["stopped"] is None
    assert (await call("POST", f"{HERE}/targets/app/retry")).json == {"resources": 1}
    works.hub.clock.milliseconds = now()
    await works.hub.apply(target())
    found = (await call("GET", f"{HERE}/targets/app")).json
    assert (found["done"], found["parked"]) == (3, 0)
    assert (await call("POST", f"{HERE}/targets/app/pause", {"reason": "a\u0000b"})).status == 400


async def test_reset(works: Works) -> None:
    """What somebody changed at a target is found by the next apply once nothing of it is believed."""
    call = await works.by("admin")
    accounts = works.hub.service().resources["Users"]
    own = works.hub.service().named("Users", "ada")["id"]
    accounts[own]["userName"] = "somebody else"
    await works.hub.apply(target())
    assert accounts[own]["userName"] == "somebody else"
    assert (await (await works.by("admin:read"))("POST", f"{HERE}/targets/app/reset", {})).status == 403
    assert (await call("POST", f"{HERE}/targets/nobody/reset", {})).status == 404
    assert (await call("POST", f"{HERE}/targets/app/reset", {})).json["name"] == "app"
    await works.hub.apply(target())
    assert accounts[own]["userName"] == "ada"


async def test_runs_and_what_they_did(works: Works) -> None:
    """Runs are listed newest first by pages, each with what it did, by pages too."""
    call = await works.by("admin:read", "read")
    seen: list[int] = []
    cursor = ""
    while cursor is not None:
        page = (await call("GET", f"{HERE}/runs?limit=1&cursor={cursor}")).json
        seen += [run["number"] for run in page["runs"]]
        cursor = page["nextCursor"]
    assert seen == [2, 1]
    assert [run["number"] for run in (await call("GET", f"{HERE}/runs/1")).json["runs"]] == [1]
    done: list[tuple[str, str, str]] = []
    cursor = ""
    while cursor is not None:
        page = (await call("GET", f"{HERE}/runs/1/deliveries?limit=1&cursor={cursor}")).json
        done += [(one["target"], one["action"], one["detail"]["label"]) for one in page["deliveries"]]
        cursor = page["nextCursor"]
    assert sorted(done) == [("app", "create", "ada"), ("app", "create", "grace")]
    for path in ("runs/3", "runs/0", "runs/x", "runs/99999999999999999999", "runs/3/deliveries"):
        assert (await call("GET", f"{HERE}/{path}")).status == 404
    for path in ("runs?cursor=x", "runs/1/deliveries?cursor=1.2", "targets/app/problems?cursor=-1"):
        assert (await call("GET", f"{HERE}/{path}")).json["code"] == "invalidCursor"


@pytest.mark.parametrize(
    ("scopes", "bound"),
    [
        (["admin"], {}),
        (["admin", "groups"], {}),
        (["admin", "read"], {"within": 'userType eq "x"'}),
        (["admin", "read"], {"without": ("title",)}),
        (["admin", "write"], {"own": True}),
    ],
)
async def test_t_19_administration_tells_nothing_of_people(
    works: Works, scopes: list[str], bound: dict[str, Any]
) -> None:
    """A token that may not read every resource sees how many there are and which ids, but no names, values and reasons."""
    call = await works.by(*scopes, **bound)
    links, failed = works.application.store, "row 7: ada has no key"
    assert links is works.hub.store
    run = await works.hub.links.begin_run(1, "pull", "hr", works.hub.clock.now())
    await works.hub.links.end_run(1, run, works.hub.clock.now(), {}, failed)
    for path in (
        "targets",
        "targets/app",
        "targets/app/problems",
        "runs",
        "runs/1",
        "runs/3",
        "runs/1/deliveries",
        "runs/2/deliveries",
    ):
        body = (await call("GET", f"{HERE}/{path}")).body
        assert not any(word in body for word in (b"ada", b"grace", b"no such title")), path
    reader = await works.by("admin:read", "read")
    assert (await reader("GET", f"{HERE}/runs/3")).json["error"] == failed


async def test_definitions(works: Works) -> None:
    """What is served is listed and shown; a change is looked at first, refused where resources would suffer, taken where not."""
    call = await works.by("admin", "write")
    path = f"{HERE}/definitions"
    before = (await call("GET", path)).json
    assert [(kind["name"], kind["resources"], kind["core"]) for kind in before["resourceTypes"]] == [
        ("User", 2, True), ("Group", 0, True),
    ]  # fmt: skip
    looked = (await call("POST", path, {"add": DEFINITIONS, "dryRun": True})).json
    assert (
        looked["taken"],
        "+ resource type Course" in [f"{each['sign']} {each['name']}" for each in looked["differences"]],
    ) == (False, True)
    assert (await call("GET", path)).json == before
    assert (await call("POST", path, {"add": DEFINITIONS})).json["taken"]
    assert (await call("GET", "/scim/v2/Courses")).status == 200
    document = (await call("GET", f"{path}/Course")).json["document"]
    assert document["endpoint"] == "/Courses"
    assert (await call("GET", f"{path}/{document['schema']}")).status == 200
    assert (await call("GET", f"{path}/Nothing")).status == 404
    course = {"schemas": [COURSE, CREDIT], "code": "L1", CREDIT: {"points": 3}}
    made = await call("POST", "/scim/v2/Courses", course)
    assert made.status == 201, made.body
    needed = await call("POST", path, {"remove": ["Course"], "dropValues": True})
    assert (needed.status, "delete these resources first" in needed.json["detail"]) == (409, True)
    looked = (await call("POST", path, {"remove": ["Course"], "dryRun": True})).json
    assert [(each["count"], each["examples"]) for each in looked["findings"]] == [(1, [made.json["id"]])]
    blind = await works.by("admin")
    looked = (await blind("POST", path, {"remove": ["Course"], "dryRun": True})).json
    assert [(each["count"], each["examples"]) for each in looked["findings"]] == [(1, [])]
    refused = await blind("POST", path, {"remove": ["Course"], "dropValues": True})
    assert (refused.status, made.json["id"] in refused.json["detail"]) == (409, False)
    await call("DELETE", f"/scim/v2/Courses/{made.json['id']}")
    assert (await call("POST", path, {"remove": ["Course"]})).json["taken"]
    assert (await call("GET", "/scim/v2/Courses")).status == 404
    refused = await call("POST", path, {"remove": ["Nothing"]})
    assert (refused.status, refused.json["code"]) == (400, "invalidValue")
    for name in ("User", "urn:ietf:params:scim:schemas:core:2.0:User"):
        assert (await call("POST", path, {"remove": [name]})).status == 400


@pytest.mark.parametrize(
    "bounds",
    [
        {"without": ("roles",)},
        {"hold": ("title",)},
        {"within": 'title eq "x"'},
        {"own": True},
    ],
    ids=lambda bounds: next(iter(bounds)),
)
async def test_t_30_bounds_are_not_passed_by_what_concerns_everything(
    works: Works, bounds: dict[str, Any]
) -> None:
    """Definitions change and count everybody's values, and with Basic whoever sets passwords is anybody at /Me."""
    call = await works.by("admin", "write", **bounds)
    dropped = {"remove": ["Course"], "dropValues": True}
    for method, path, body in [
        ("POST", f"{HERE}/definitions", {"add": DEFINITIONS, "dryRun": True}),
        ("POST", f"{HERE}/definitions", dropped),
        ("PATCH", HERE, {"settings": {"basic": "on"}}),
        ("PATCH", HERE, {"settings": {"self-service": "roles"}}),
        ("PATCH", HERE, {"settings": {"unique-external-ids": "on"}}),
        ("PATCH", HERE, {"settings": {"unique-group-names": "on"}}),
    ]:
        answer = await call(method, path, body)
        assert (answer.status, "everything of the tenant" in answer.json["detail"]) == (403, True), path
    assert (await call("GET", f"{HERE}/definitions")).status == 200
    assert (await call("PATCH", HERE, {"settings": {"explain": "on"}})).status == 200


async def test_t_30_bounds_of_types(works: Works) -> None:
    """The same for a token of some types only."""
    call = await works.by("admin", "users")
    answer = await call("PATCH", HERE, {"settings": {"basic": "on"}})
    assert (answer.status, "(types)" in answer.json["detail"]) == (403, True)


def _many(attributes: int, *, parts: int = 0, text: str = "") -> dict[str, Any]:
    """A schema with so many attributes, each with so many parts."""
    sub = {"type": "complex", "subAttributes": [{"name": f"s{each}"} for each in range(parts)]}
    return {
        "id": "urn:example:Many", "name": "Many", "description": text,
        "attributes": [{"name": f"a{each}"} | (sub if parts else {}) for each in range(attributes)],
    }  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        pytest.param([_many(1_001)], id="attributes"),
        pytest.param([_many(20, parts=50)], id="parts"),
        pytest.param([_many(1) | {"id": f"urn:example:{each}"} for each in range(51)], id="schemas"),
    ],
)
async def test_t_52_definitions_have_an_end(works: Works, given: list[dict[str, Any]]) -> None:
    """Forty thousand attributes held up the writes of all tenants for minutes."""
    call = await works.by("admin", "write")
    answer = await call("POST", f"{HERE}/definitions", {"add": given})
    assert (answer.status, "1000 attributes" in answer.json["detail"]) == (400, True)
    answer = await call("POST", "/admin/v1/tenants", {"name": "acme", "definitions": given})
    assert (answer.status, "1000 attributes" in answer.json["detail"]) == (400, True)
    assert (await call("POST", f"{HERE}/definitions", {"add": [_many(900)]})).status == 200


async def test_t_52_what_a_command_has_added_may_be_changed(works: Works) -> None:
    """Beyond the limit no more can be had here; what is there is kept, replaced and removed."""
    store = works.application.store
    catalog = build_catalog([_many(1_200)])
    await store.redefine(await store.survey(catalog), Author("test", now()), drop=False)
    call = await works.by("admin", "write")
    answers = [
        await call("POST", f"{HERE}/definitions", {**change, "dryRun": True})
        for change in (
            {"add": [_many(1_201)]},
            {"add": [_many(1_100)]},
            {"remove": ["urn:example:Many"], "add": [_many(1_000)]},
        )
    ]
    assert [answer.status for answer in answers] == [400, 200, 200]


async def test_t_52_bodies_of_administration(works: Works) -> None:
    """They are smaller than those of people's data; names to be held back are few, however often they are said."""
    call = await works.by("admin", "write")
    answer = await call("POST", f"{HERE}/definitions", {"add": [_many(1, text="x" * 1_048_576)]})
    assert (answer.status, "1048576 bytes" in answer.json["detail"]) == (413, True)
    wish = {"name": "t", "scopes": ["read"]}
    assert (await call("POST", f"{HERE}/tokens", {**wish, "without": ["roles"] * 60_000})).status == 201
    many = [f"{'roles'[: each % 5]}{each}" for each in range(1_001)]
    answer = await call("POST", f"{HERE}/tokens", {**wish, "without": many})
    assert (answer.status, "at most 100 attributes" in answer.json["detail"]) == (400, True)
