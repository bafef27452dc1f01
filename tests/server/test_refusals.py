"""What the server tells the audit log: who changed what from where, and which requests it refused, merged (T-87, I-29)."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.server.conftest import TOKEN
from tests.server.test_many_tenants import traced
from tests.server.test_token_endpoint import client

from rollbook.app import Application, now, running
from rollbook.operations import tokens
from rollbook.operations.rights import read_rights
from rollbook.operations.tenant_care import TenantCare
from rollbook.protocol import urns
from rollbook.protocol.errors import Unauthorized
from rollbook.server.edge import Edge
from rollbook.server.refusals import MOST, Refusals
from rollbook.settings import Settings, trusted_proxies
from rollbook.storage.base import Act
from rollbook.storage.journal import Line
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

USER = {"schemas": [urns.USER], "userName": "ann"}


@pytest.fixture
async def application(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Application]:
    """An application over a new database."""
    settings = Settings(database=f"sqlite:///{tmp_path / 'store.db'}", bootstrap_token=TOKEN)
    async with running(settings) as application:
        yield application


async def told(application: Application) -> list[Line]:
    """Every line by now."""
    await application.refusals.flush()
    await application.journal.seal(now())
    return [line async for line in application.journal.lines()]


async def token(
    application: Application, tenant: int = 1, *scopes: str, within: str | None = None
) -> AsgiCaller:
    """Sends requests with a token of its own."""
    rights = read_rights(scopes, within, None, application.store.catalog, may_administer=True)
    text = await tokens.issue(application.store, tenant, "hr", now=now(), expires=None, rights=rights)
    return AsgiCaller(application.asgi, text)


async def test_i_29_a_change_names_token_and_address(application: Application) -> None:
    """The public id of the token beside its name, and the address that asks; through a trusted proxy that of the client."""
    caller = await token(application)
    made = await caller("POST", "/scim/v2/Users", USER)
    assert made.status == 201
    (known,) = await application.store.tokens(1)
    line = (await told(application))[0]
    assert (line.author, line.credential, line.origin) == ("token hr", known.id, "127.0.0.1")
    behind = AsgiCaller(Edge(application.asgi, trusted_proxies(["127.0.0.1"])), caller.token)
    headers = {"X-Forwarded-For": "203.0.113.9"}
    assert (await behind("POST", "/scim/v2/Users", USER | {"userName": "bob"}, headers=headers)).status == 201
    assert [line.origin for line in await told(application)] == ["127.0.0.1", "203.0.113.9"]


def refused(lines: list[Line]) -> list[tuple[Any, ...]]:
    """Of each refusal: tenant, who, method, status, how often."""
    return sorted(
        (line.tenant, line.author, line.detail["method"], line.detail["status"], line.times)
        for line in lines
        if line.outcome == "refused"
    )


async def test_i_29_refused_requests_are_told_merged(application: Application) -> None:
    """401, 403, and 404 by rights; alike ones in one row with their number; what is simply not there is no refusal."""
    acme = await TenantCare(application.store, application.tenants).create("acme", now())
    reader = await token(application, 1, "read")
    bound = await token(application, within='title eq "x"')
    stranger = await token(application, acme.number)
    whole = AsgiCaller(application.asgi, TOKEN)
    ann = (await whole("POST", "/scim/v2/Users", USER)).json["id"]
    nobody = AsgiCaller(application.asgi)
    for _ in range(5):
        assert (await nobody("GET", "/scim/v2/Users")).status == 401
    assert (await reader("POST", "/scim/v2/Users", USER)).status == 403
    assert (await bound("DELETE", f"/scim/v2/Users/{ann}")).status == 404
    assert (await bound("GET", f"/scim/v2/Users/{ann}")).status == 404
    assert (await stranger("GET", "/scim/v2/Users")).status == 404
    assert (await stranger("GET", "/t/default/scim/v2/Users")).status == 404
    assert (await whole("DELETE", "/scim/v2/Users/none")).status == 404
    operations = {
        "schemas": [urns.BULK_REQUEST],
        "Operations": [{"method": "DELETE", "path": f"/Users/{ann}"}],
    }
    assert (await bound("POST", "/scim/v2/Bulk", operations)).status == 200
    assert refused(await told(application)) == [
        (0, "unknown", "GET", 401, 5),
        (1, "token hr", "DELETE", 404, 1),
        (1, "token hr", "POST", 403, 1),
        (1, "token hr", "POST", 404, 1),
        (acme.number, "token hr", "GET", 404, 2),
    ]


async def test_i_29_wrong_secrets_at_the_token_endpoint_are_told(application: Application) -> None:
    """Whoever guesses at clients is in the log as whoever guesses at tokens, and nothing of what was sent is."""
    form = b"grant_type=client_credentials&client_id=abc&client_secret=guessed-secret"
    call = AsgiCaller(application.asgi)
    for _ in range(2):
        answer = await call(
            "POST", "/oauth/token", form, headers={"content-type": "application/x-www-form-urlencoded"}
        )
        assert answer.status == 401
    lines = await told(application)
    assert refused(lines) == [(0, "unknown", "POST", 401, 2)]
    assert "guessed" not in json.dumps(lines)


async def test_i_29_a_token_that_has_ended_is_named(application: Application) -> None:
    """Its public id, if it has the form of one; nothing else of what was sent."""
    text = await tokens.issue(application.store, 1, "old", now=1, expires=2)
    assert (await AsgiCaller(application.asgi, text)("GET", "/scim/v2/Users")).status == 401
    assert (await AsgiCaller(application.asgi, "nonsense")("GET", "/scim/v2/Users")).status == 401
    lines = await told(application)
    assert {line.credential for line in lines} == {tokens.token_id(text), None}
    assert "nonsense" not in json.dumps(lines)


async def test_t_87_a_flood_of_refusals_is_a_few_rows() -> None:
    """From however many addresses: the rows of a minute are bounded, what is beyond is counted; a store that is away loses nothing."""
    written: list[Act] = []
    is_there = False

    async def write(acts: Any) -> None:
        if not is_there:
            raise OSError("away")
        written.extend(acts)

    refusals = Refusals(write, lambda: 1)
    for number in range(5_000):
        scope = {"method": "GET", "headers": [], "client": (f"198.51.{number // 250}.{number % 250}", 1)}
        refusals.note(scope, Unauthorized("no"))
    with pytest.raises(OSError, match="away"):
        await refusals.flush()
    is_there = True
    await refusals.flush()
    assert len(written) == MOST + 1
    assert sum(act.times for act in written) == 5_000
    assert written[-1].author.origin == "many addresses"
    await refusals.flush()
    assert len(written) == MOST + 1


async def test_i_29_what_administrators_do_over_http_is_told(application: Application) -> None:
    """Tenants and tokens made, told otherwise, revoked and deleted at /admin/v1: by which token and from where; and what was refused there."""
    admin = await token(application, 1, "admin", "write")
    reader = await token(application, 1, "read")
    base = "/admin/v1/tenants"
    assert (await admin("POST", base, {"name": "acme"})).status == 201
    assert (await admin("PATCH", f"{base}/acme", {"settings": {"profile": "entra"}})).status == 200
    made = await admin("POST", f"{base}/acme/tokens", {"name": "hr", "scopes": ["read"]})
    assert made.status == 201
    assert (await admin("POST", f"{base}/acme/tokens/{made.json['id']}/rotate", {})).status == 201
    assert (await admin("DELETE", f"{base}/acme/tokens/{made.json['id']}")).status == 200
    tag = (await admin("GET", f"{base}/acme")).headers["etag"]
    assert (await admin("DELETE", f"{base}/acme", headers={"If-Match": tag})).status == 202
    assert (await reader("GET", base)).status == 404
    lines = [line for line in await told(application) if line.author != "source"]
    acts = [(line.act, line.outcome) for line in lines]
    assert acts == [
        ("tenant.create", "done"), ("tenant.set", "done"), ("token.create", "done"), ("token.rotate", "done"),
        ("token.revoke", "done"), ("tenant.delete", "done"), ("request", "refused"),
    ]  # fmt: skip
    assert {(line.author, line.credential, line.origin) for line in lines[:6]} == {
        ("token hr", tokens.token_id(admin.token or ""), "127.0.0.1")
    }
    assert made.json["token"] not in json.dumps(lines)


async def test_i_29_a_write_takes_no_statement_more(application: Application) -> None:
    """The line of a change is the row that the change log has anyway: nothing else is written or asked in the request."""
    call = AsgiCaller(application.asgi, TOKEN)
    seen = await traced(application, lambda: call("POST", "/scim/v2/Users", USER))
    assert len([sql for sql in seen if "INSERT INTO change" in sql]) == 1
    assert [sql for sql in seen if re.search(r"\b(act|seal)\b", sql)] == []


async def test_i_29_the_token_endpoint_tells_what_it_gives_and_refuses(application: Application) -> None:
    """Each token with client, address and scopes; refusals merged, under the client that was named if there is one."""
    one = await client(application, rights=read_rights(("read",), None, None, application.store.catalog))
    given = await one.ask()
    assert given.status == 200
    for form in (
        [one.own | {"client_secret": "wrong"}] * 30
        + [{"client_id": "nobody", "client_secret": "wrong"}] * 20
        + [one.own | {"scope": "write"}] * 10
    ):
        assert (await one.ask(form)).status in {400, 401}
    lines = [
        line for line in await told(application) if line.outcome == "refused" or line.act == "token.give"
    ]
    assert sorted(
        (line.act, line.author, line.credential or "", line.times, line.detail.get("status"))
        for line in lines
    ) == [
        ("request", "client loader", one.record.id, 10, 403),
        ("request", "unknown", "", 20, 401),
        ("request", "unknown", one.record.id, 30, 401),
        ("token.give", "client loader", one.record.id, 1, None),
    ]
    (gift,) = (line for line in lines if line.act == "token.give")
    assert (gift.tenant, gift.origin, gift.subject) == (
        1,
        "127.0.0.1",
        tokens.token_id(given.json["access_token"]),
    )
    assert (gift.detail["scopes"], gift.detail["expires"] > now()) == (["read"], True)
    text = json.dumps([line._asdict() for line in lines])
    assert one.secret not in text
    assert given.json["access_token"] not in text
