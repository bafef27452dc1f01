"""A clock that is put back by an hour, or on by a year: order, versions and times stay what they have to be (FS-19, I-28)."""

from typing import Any
from urllib.parse import quote

import pytest

from rollbook.app import Application
from rollbook.operations import tokens
from rollbook.protocol import urns
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

USERS = "/scim/v2/Users"
HOUR, YEAR = 3_600_000, 365 * 24 * 3_600_000


class Clock:
    """The server's clock, which somebody puts on and back."""

    def __init__(self, application: Application) -> None:
        self.by = 0
        true = application.services.now
        object.__setattr__(application.services, "now", lambda: true() + self.by)


@pytest.fixture
def clock(application: Application) -> Clock:
    """The clock of the server under test."""
    return Clock(application)


def titled(title: str) -> dict[str, Any]:
    """A PATCH."""
    return {"schemas": [urns.PATCH_OP], "Operations": [{"op": "replace", "path": "title", "value": title}]}


@pytest.mark.parametrize("jumps", [(-HOUR, 0), (YEAR, 0), (-HOUR, YEAR, -HOUR, 0)])
async def test_fs_19_versions_times_and_order(call: AsgiCaller, clock: Clock, jumps: tuple[int, ...]) -> None:
    """Each change has a version of its own; no time goes back or lies before creation; lists and the walk keep their order."""
    ids, versions, modified = [], [], [""]
    for turn, jump in enumerate((0, *jumps)):
        clock.by = jump
        answer = await call("POST", USERS, {"schemas": [urns.USER], "userName": f"u{turn}"})
        ids.append(answer.json["id"])
        for number in range(2):
            changed = await call("PATCH", f"{USERS}/{ids[0]}", titled(f"{turn}-{number}"))
            assert changed.status == 200
            meta = changed.json["meta"]
            versions.append(meta["version"])
            assert meta["created"] <= meta["lastModified"]
            assert modified[-1] <= meta["lastModified"]
            modified.append(meta["lastModified"])
    assert len(set(versions)) == len(versions)
    for version in versions[:-1]:
        assert (await call("DELETE", f"{USERS}/{ids[0]}", headers={"if-match": version})).status == 412
    listed = (await call("GET", USERS)).json["Resources"]
    assert [user["id"] for user in listed] == ids
    for user in listed:
        assert user["meta"]["created"] <= user["meta"]["lastModified"]
    walked, cursor = [], ""
    while cursor is not None:
        page = (await call("GET", f"{USERS}?count=1&cursor={quote(cursor)}")).json
        walked += [user["id"] for user in page["Resources"]]
        cursor = page.get("nextCursor")
    assert walked == ids


async def test_fs_19_tokens_and_cursors_end_by_their_own_rule(
    application: Application, call: AsgiCaller, clock: Clock
) -> None:
    """A clock that is put back ends neither; a year on, both have ended; set right again, the token is as good as it was."""
    for name in ("a", "b", "c"):
        assert (await call("POST", USERS, {"schemas": [urns.USER], "userName": name})).status == 201
    now = application.services.now
    text = await tokens.issue(application.store, 1, "t", now=now(), expires=now() + 2 * HOUR)
    mine = AsgiCaller(application.asgi, text)
    first = await mine("GET", f"{USERS}?count=1&cursor=")
    following = f"{USERS}?count=1&cursor={quote(first.json['nextCursor'])}"
    clock.by = -HOUR
    assert (await mine("GET", USERS)).status == 200
    assert (await mine("GET", following)).status == 200
    clock.by = YEAR
    assert (await mine("GET", USERS)).status == 401
    late = await call("GET", following)
    assert (late.status, late.json["scimType"]) in {(400, "expiredCursor"), (400, "invalidCursor")}
    clock.by = 0
    assert (await mine("GET", USERS)).status == 200
    assert (await mine("GET", following)).status == 200
