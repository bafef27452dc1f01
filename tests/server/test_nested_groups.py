"""Groups in groups over HTTP: what users show of them, and rings where a tenant allows these (A-70)."""

from typing import Any

import pytest
from tests.server.conftest import Told
from tests.server.test_bulk import bulk, post
from tests.server.test_tenant_settings import BASE, made

from rollbook.protocol import urns
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio


async def _nested(call: AsgiCaller) -> tuple[str, str, str]:
    """Paths of a user, of the group they are in, and of the group that contains this one."""
    ann = await made(call, "Users", {"schemas": [urns.USER], "userName": "ann"})
    inner = await made(call, "Groups", _group("Inner", ann))
    return ann, inner, await made(call, "Groups", _group("Outer", inner))


def _group(name: str, *members: str) -> dict[str, Any]:
    return _named(name, *(member.rpartition("/")[2] for member in members))


def _named(name: str, *ids: str) -> dict[str, Any]:
    return {"schemas": [urns.GROUP], "displayName": name, "members": [{"value": each} for each in ids]}


@pytest.mark.spec("S-60")
@pytest.mark.parametrize(
    ("setting", "ways"),
    [("off", {"Inner": "direct"}), ("on", {"Inner": "direct", "Outer": "indirect"})],
)
async def test_indirect_groups(told: Told, setting: str, ways: dict[str, str]) -> None:
    """Every answer about a user shows the same groups, and a filter finds the user by exactly those."""
    call = await told(f"indirect-groups={setting}")
    ann, _, outer = await _nested(call)
    body = {"schemas": [urns.USER], "userName": "ann", "title": "x"}
    operations = [{"op": "replace", "path": "title", "value": "y"}]
    answers = [
        (await call("GET", ann)).json,
        (await call("PUT", ann, body)).json,
        (await call("PATCH", ann, {"schemas": [urns.PATCH_OP], "Operations": operations})).json,
        (await call("GET", f"{BASE}/Users")).json["Resources"][0],
        (await call("GET", f"{BASE}/Users?attributes=groups")).json["Resources"][0],
    ]
    for answer in answers:
        assert {each["display"]: each["type"] for each in answer["groups"]} == ways
    where = f"{BASE}/Users?filter=groups.value%20eq%20%22{outer.rpartition('/')[2]}%22"
    assert (await call("GET", where)).json["totalResults"] == (setting == "on")


@pytest.mark.spec("S-72", "P-3.7-20")
@pytest.mark.parametrize(("setting", "status"), [("off", 400), ("on", 204)])
async def test_rings(told: Told, setting: str, status: int) -> None:
    """A-70: a ring is refused unless the tenant wants it, in one request and in a bulk request."""
    call = await told(f"group-cycles={setting}", "indirect-groups=on")
    ann, inner, outer = await _nested(call)
    operation = {"op": "add", "path": "members", "value": [{"value": outer.rpartition("/")[2]}]}
    answer = await call("PATCH", inner, {"schemas": [urns.PATCH_OP], "Operations": [operation]})
    assert answer.status == status
    assert {each["display"] for each in (await call("GET", ann)).json["groups"]} == {"Inner", "Outer"}
    ring = [post("a", _named("a", "bulkId:b"), "/Groups"), post("b", _named("b", "bulkId:a"), "/Groups")]
    found = (await call("POST", f"{BASE}/Bulk", bulk(*ring))).json["Operations"]
    assert [each["status"] for each in found] == (["201", "201"] if setting == "on" else ["409", "409"])
