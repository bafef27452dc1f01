"""Bodies and resources with many values: the event loop waits for none of the work on them (I-20, T-53)."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rollbook.app import Application, now
from rollbook.operations import tokens
from rollbook.operations.tenant_care import TenantCare
from rollbook.protocol import urns
from rollbook.protocol.patch import OFTEN
from rollbook.protocol.resource import Change, Present, Scope
from rollbook.protocol.values import HEAVY, is_heavy
from rollbook.storage.base import Author
from rollbook.storage.sql.writes import LARGE
from rollbook.storage.tenants import DEFAULT
from rollbook.testing.asgi import AsgiCaller, Response

pytestmark = pytest.mark.anyio

Ask = Callable[..., Awaitable[Response]]


async def caller(application: Application) -> Ask:
    """Asks as the default tenant."""
    call = AsgiCaller(
        application.asgi, await tokens.issue(application.store, DEFAULT, "t", now=now(), expires=None)
    )
    return lambda method, path, body=None, **headers: call(method, f"/scim/v2{path}", body, headers)


async def neighbour(application: Application) -> Ask:
    """Asks as another tenant."""
    record = await TenantCare(application.store, application.tenants).create("acme", now())
    call = AsgiCaller(
        application.asgi, await tokens.issue(application.store, record.number, "t", now=now(), expires=None)
    )
    return lambda method, path, body=None, **headers: call(method, f"/t/acme/scim/v2{path}", body, headers)


def user(name: str, **more: Any) -> dict[str, Any]:
    """A user."""
    return {"schemas": [urns.USER], "userName": name, **more}


def emails(number: int = HEAVY, of: str = "a") -> list[dict[str, Any]]:
    """So many values."""
    return [{"value": f"{of}{each}@example.com"} for each in range(number)]


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """A PatchOp message."""
    return {"schemas": [urns.PATCH_OP], "Operations": operations}


def bulk(*operations: dict[str, Any]) -> dict[str, Any]:
    """A BulkRequest message."""
    return {"schemas": [urns.BULK_REQUEST], "Operations": operations}


def replaced(path: str, value: Any) -> dict[str, Any]:
    """An operation of a patch."""
    return {"op": "replace", "path": path, "value": value}


@pytest.mark.parametrize(
    ("value", "heavy"),
    [
        (None, False),
        ("text" * HEAVY, False),
        ({str(name): 1 for name in range(HEAVY)}, True),
        ({"a": [[1] * (HEAVY // 2)] * 2}, True),
        (user("u", emails=emails(50), title="Clerk"), False),
        (user("u", emails=emails()), True),
    ],
)
def test_what_is_heavy(value: Any, heavy: bool) -> None:
    """The number of values decides, however they are nested."""
    assert is_heavy(value) is heavy


@pytest.mark.parametrize("kind", ["names", "POST", "PUT", "PATCH", "selections", "few selections", "Bulk"])
async def test_t_53_a_large_body_is_read_in_a_thread(server: Application, kind: str) -> None:
    """T-53: of each request that may be large; usual ones have no thread to wait for."""
    ask = await caller(server)
    made = (await ask("POST", "/Users", user("ann", emails=emails(3)))).json
    one = f"/Users/{made['id']}"
    assert (await ask("PATCH", one, patch(replaced("title", "Clerk")))).status == 200
    assert server.services.aside.started == 0
    phones = [
        {"op": "add", "path": f'phoneNumbers[type eq "t{each}"].value', "value": "1"} for each in range(200)
    ]
    sent = {
        "names": ("POST", "/Users", user("bob", **{f"x{name}": 1 for name in range(HEAVY)})),
        "POST": ("POST", "/Users", user("bob", emails=emails())),
        "PUT": ("PUT", one, user("ann", emails=emails())),
        "PATCH": ("PATCH", one, patch(replaced("emails", emails()))),
        "selections": ("PATCH", one, patch(*phones)),
        "few selections": ("PATCH", one, patch(*phones[: OFTEN + 1])),
        "Bulk": (
            "POST",
            "/Bulk",
            bulk(*({"method": "DELETE", "path": f"/Users/{each}"} for each in range(HEAVY // 2))),
        ),
    }[kind]
    answer = await ask(*sent)
    assert answer.status < 300, answer.body
    assert server.services.aside.started > 0


async def test_i_20_others_are_served_meanwhile(server: Application) -> None:
    """I-20: a tenant's large bodies wait for each other; its own usual requests, and large ones of another tenant, wait for none of them."""
    ask, other = await caller(server), await neighbour(server)
    is_over = threading.Event()
    begun = asyncio.create_task(
        server.services.aside.run(lambda _: is_over.wait(30), DEFAULT, unbounded=True)
    )
    await asyncio.sleep(0)
    large = asyncio.ensure_future(ask("POST", "/Users", user("large", emails=emails())))
    try:
        assert (await ask("POST", "/Users", user("small"))).status == 201
        assert (await other("POST", "/Users", user("large", emails=emails()))).status == 201
        assert not large.done()
    finally:
        is_over.set()
    assert (await large).status == 201
    assert await begun


async def test_changes_at_once_are_all_there(server: Application) -> None:
    """Decided before their turn to write, they are decided again where the resource has changed meanwhile (I-07)."""
    ask = await caller(server)
    one = f"/Users/{(await ask('POST', '/Users', user('ann', title='Clerk'))).json['id']}"
    changes = {
        "emails": emails(),
        "ims": emails(of="i"),
        "roles": emails(of="r"),
        "title": "Chief",
        "nickName": "A",
    }
    answers = await asyncio.gather(*(ask("PATCH", one, patch(replaced(*each))) for each in changes.items()))
    assert [answer.status for answer in answers] == [200] * len(changes)
    found = (await ask("GET", one)).json
    assert {name: found[name] for name in changes} == changes


async def test_many_large_changes_of_one_resource(server: Application) -> None:
    """However many change it at once, none of them is refused for that."""
    ask = await caller(server)
    one = f"/Users/{(await ask('POST', '/Users', user('ann'))).json['id']}"
    messages = [patch(replaced("emails", emails(of=f"{each}-"))) for each in range(16)]
    answers = await asyncio.gather(*(ask("PATCH", one, each) for each in messages))
    assert [answer.status for answer in answers] == [200] * len(messages)


async def test_a_large_change_is_of_the_version_that_was_meant(server: Application) -> None:
    """412 with the version of before, for PUT and PATCH alike; nothing changed (P-3.14-06)."""
    ask = await caller(server)
    made = (await ask("POST", "/Users", user("ann"))).json
    one, before = f"/Users/{made['id']}", {"if-match": made["meta"]["version"]}
    assert (await ask("PATCH", one, patch(replaced("title", "Chief")))).status == 200
    kept = (await ask("GET", one)).body
    for method, body in (
        ("PUT", user("ann", emails=emails())),
        ("PATCH", patch(replaced("emails", emails()))),
    ):
        assert (await ask(method, one, body, **before)).status == 412
    assert (await ask("GET", one)).body == kept
    assert (await ask("PUT", "/Users/nobody", user("ann", emails=emails()))).status == 404


async def test_operations_of_bulk_keep_their_order(server: Application) -> None:
    """Large ones among them, too: the last one of a resource is what stays, the first one has a unique value."""
    ask = await caller(server)
    one = f"/Users/{(await ask('POST', '/Users', user('ann'))).json['id']}"

    def post(key: str, **more: Any) -> dict[str, Any]:
        return {"method": "POST", "path": "/Users", "bulkId": key, "data": user("bob", **more)}

    def change(value: Any) -> dict[str, Any]:
        return {"method": "PATCH", "path": one, "data": patch(replaced("emails", value))}

    answer = await ask(
        "POST",
        "/Bulk",
        bulk(change(emails()), change(emails(1, "z")), post("large", emails=emails(of="b")), post("small")),
    )
    assert [each["status"] for each in answer.json["Operations"]] == ["200", "200", "201", "409"]
    assert (await ask("GET", one)).json["emails"] == emails(1, "z")


async def test_a_small_change_of_a_large_resource(server: Application) -> None:
    """What is stored decides as well: it is changed in a thread, while a small one is changed at once."""
    ask, where = await caller(server), list[bool]()
    large = (await ask("POST", "/Users", user("large", emails=emails(LARGE + 2)))).json["id"]
    small = (await ask("POST", "/Users", user("small"))).json["id"]
    kind = (await server.store.catalog_of(DEFAULT)).resource_type("User")
    assert kind is not None

    def decide(present: Present) -> Change:
        where.append(threading.current_thread() is threading.main_thread())
        return Change({**present.document, "title": "Chief"})

    for identifier in (large, small):
        changed = await server.store.update(DEFAULT, kind, identifier, decide, Scope(), Author("t", now()))
        assert changed is not None
        assert changed.changed
    assert where == [False, True]
    assert (await ask("GET", f"/Users/{large}")).json["title"] == "Chief"
    found = await ask(
        "GET", '/Users?filter=emails.value eq "a7@example.com" and title eq "Chief"'.replace(" ", "%20")
    )
    assert [each["id"] for each in found.json["Resources"]] == [large]
