"""GET with If-None-Match: 304 only where nothing derived can have changed (RFC 7644 §3.14; A-31)."""

from typing import Any

import pytest
from tests.server.conftest import Told
from tests.server.test_endpoints import GROUPS, USERS, patch

from rollbook.protocol import urns
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio


async def _created(call: AsgiCaller, endpoint: str, schema: str, **attributes: Any) -> Any:
    answer = await call("POST", endpoint, {"schemas": [schema], **attributes})
    assert answer.status == 201, answer.body
    return answer.json


async def _user(call: AsgiCaller, name: str = "ann") -> Any:
    return await _created(call, USERS, urns.USER, userName=name)


async def _group(call: AsgiCaller, *members: Any) -> Any:
    values = [{"value": member["id"]} for member in members]
    return await _created(call, GROUPS, urns.GROUP, displayName="staff", members=values)


async def _again(call: AsgiCaller, resource: Any, query: str = "") -> int:
    """The status of a GET by a client that has this version."""
    target = resource["meta"]["location"].partition("localhost:8080")[2] + query
    answer = await call("GET", target, headers={"if-none-match": resource["meta"]["version"]})
    assert answer.headers["etag"] == resource["meta"]["version"]
    assert bool(answer.body) is (answer.status == 200)
    return answer.status


async def _leave(call: AsgiCaller, group: Any, user: Any) -> None:
    path = f'members[value eq "{user["id"]}"]'
    answer = await call("PATCH", f"{GROUPS}/{group['id']}", patch({"op": "remove", "path": path}))
    assert answer.status == 204


@pytest.mark.spec("P-3.4.1-05", "P-3.14-05", "P-3.14-08")
async def test_a_user_that_never_was_a_member(call: AsgiCaller) -> None:
    """What has no groups and never had any is known by its version."""
    user = await _user(call)
    await _group(call, await _user(call, "other"))
    assert await _again(call, user) == 304


async def test_a_member(call: AsgiCaller) -> None:
    """Groups come and are renamed without a new version of the member, so they are sent unless they are not wanted."""
    user = await _user(call)
    await _group(call, user)
    assert await _again(call, user) == 200
    for query in ("?excludedAttributes=groups", "?attributes=userName", "?excludedAttributes=groups,name"):
        assert await _again(call, user, query) == 304
    assert await _again(call, user, "?attributes=groups.value") == 200


async def test_a_former_member(call: AsgiCaller) -> None:
    """Whoever left their last group, or lost it, is sent again: the version is that of when they had it."""
    ann, bob, eve = [await _user(call, name) for name in ("ann", "bob", "eve")]
    group = await _group(call, ann, bob, eve)
    await _leave(call, group, ann)
    assert await _again(call, ann) == 200
    body = {"schemas": [urns.GROUP], "displayName": "staff", "members": [{"value": eve["id"]}]}
    assert (await call("PUT", f"{GROUPS}/{group['id']}", body)).status == 200
    assert await _again(call, bob) == 200
    assert (await call("DELETE", f"{GROUPS}/{group['id']}")).status == 204
    assert [await _again(call, user) for user in (ann, bob, eve)] == [200, 200, 200]
    assert await _again(call, ann, "?excludedAttributes=groups") == 304


async def test_groups(call: AsgiCaller) -> None:
    """A group without members is known by its version; labels of members change without it."""
    user = await _user(call)
    full, empty = await _group(call, user), await _group(call)
    assert (await _again(call, full), await _again(call, empty)) == (200, 304)
    assert await _again(call, full, "?excludedAttributes=members") == 304
    await _leave(call, full, user)
    left = (await call("GET", f"{GROUPS}/{full['id']}")).json
    assert left["meta"]["version"] != full["meta"]["version"]
    assert await _again(call, left) == 304


async def test_a_filter_looks_at_more_than_is_shown(call: AsgiCaller) -> None:
    """A-42: a filter that needs groups does not make the answer show them."""
    user = await _user(call)
    group = await _group(call, user)
    query = f"?attributes=userName&filter=groups.value%20eq%20%22{group['id']}%22"
    assert await _again(call, user, query) == 304


async def test_without_etags(told: Told) -> None:
    """Where versions are not offered, a condition is not looked at."""
    call = await told("off=etag")
    user = await _user(call)
    answer = await call("GET", f"{USERS}/{user['id']}", headers={"if-none-match": "*"})
    assert answer.status == 200
