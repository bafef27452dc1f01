"""Tenants with data of the same names, on both databases: what one does is nothing to the other (T-11, T-13, T-17, I-08)."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from tests.clubs import DEFINITIONS

from rollbook.app import Application, now
from rollbook.operations import client_care, issuer_care, tokens
from rollbook.operations.client_care import ClientWish
from rollbook.operations.issuer_care import IssuerWish
from rollbook.operations.tenant_care import TenantCare
from rollbook.operations.token_care import Wish, grant
from rollbook.protocol import urns
from rollbook.storage.base import Author
from rollbook.storage.orders import Orderer, OrderKind
from rollbook.storage.sql.connection import Connection, Row
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.orders import SqlOrders
from rollbook.storage.sql.store import SqlStore
from rollbook.storage.sql.transfer import tables
from rollbook.storage.tenants import TenantState
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

INVENTED = "01890000-0000-7000-8000-000000000000"
MANAGER = f"{urns.ENTERPRISE_USER}:manager"


@dataclass(frozen=True)
class Party:
    """A tenant, how to call it, and the ids of its ann, bob and staff."""

    name: str
    number: int
    call: AsgiCaller
    ann: str
    bob: str
    staff: str

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request to this tenant."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.call(method, f"/t/{self.name}/scim/v2{path}", body, named)


async def party(server: Application, name: str, *settings: str, **about: Any) -> Party:
    """A tenant with people that every tenant has."""
    care = TenantCare(server.store, server.tenants)
    record = await care.create(name, now(), settings=settings, **about)
    text = await tokens.issue(server.store, record.number, "t", now=now(), expires=None)
    await server.live.follow()
    call = AsgiCaller(server.asgi, text)
    bare = Party(name, record.number, call, "", "", "")
    ids = []
    for who in ("ann", "bob"):
        answer = await bare("POST", "/Users", {"schemas": [urns.USER], "userName": who, "externalId": who})
        ids.append(answer.json["id"])
    group = {"schemas": [urns.GROUP], "displayName": "staff", "members": [{"value": ids[0]}]}
    return Party(name, record.number, call, ids[0], ids[1], (await bare("POST", "/Groups", group)).json["id"])


async def dump(store: SqlStore, tenant: int) -> dict[str, list[Row]]:
    """Every row of a tenant, but for when tokens were used."""

    def read(connection: Connection) -> dict[str, list[Row]]:
        return {
            table.name: connection.all(
                f"SELECT {', '.join(set(table.columns) - {'used'})} FROM {table.name} WHERE tenant = ? ORDER BY {', '.join(table.key)}",
                (tenant,),
            )
            for table in tables()
            if "tenant" in table.columns
        }

    return await store.database.read(read)


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    """A PATCH."""
    return {"schemas": [urns.PATCH_OP], "Operations": list(operations)}


def bulk(*operations: dict[str, Any]) -> dict[str, Any]:
    """A bulk request."""
    return {"schemas": [urns.BULK_REQUEST], "Operations": list(operations)}


GROUP = {"schemas": [urns.GROUP], "displayName": "staff"}
WRITTEN: dict[str, tuple[str, str, Any]] = {
    "member value in PATCH": ("PATCH", "/Groups/{staff}", patched({"op": "add", "path": "members", "value": [{"value": "{id}"}]})),
    "member value in PUT": ("PUT", "/Groups/{staff}", GROUP | {"members": [{"value": "{id}"}]}),
    "member by $ref": ("PATCH", "/Groups/{staff}", patched({"op": "add", "path": "members", "value": [{"value": "{id}", "$ref": "/t/{other}/scim/v2/Users/{id}"}]})),
    "member filter": ("PATCH", "/Groups/{staff}", patched({"op": "remove", "path": 'members[value eq "{id}"]'})),
    "manager": ("PATCH", "/Users/{ann}", patched({"op": "replace", "path": MANAGER, "value": {"value": "{id}"}})),
    "bulk member": ("POST", "/Bulk", bulk({"method": "PATCH", "path": "/Groups/{staff}", "data": patched({"op": "add", "path": "members", "value": [{"value": "{id}"}]})})),
    "bulk put": ("POST", "/Bulk", bulk({"method": "PUT", "path": "/Users/{id}", "data": {"schemas": [urns.USER], "userName": "eve"}})),
    "If-Match": ("DELETE", "/Users/{id}", None),
    "search below a type": ("POST", "/Users/.search", {"schemas": [urns.SEARCH_REQUEST], "filter": 'manager.value eq "{id}" or id eq "{id}"'}),
    "sorted": ("GET", '/Users?filter=id%20eq%20"{id}"&sortBy=userName&startIndex=1', None),
}  # fmt: skip


@pytest.mark.parametrize("what", WRITTEN)
async def test_t_11_t_13_foreign_is_invented(server: Application, what: str) -> None:
    """An id of the other tenant, wherever it stands, is answered byte for byte as one that nobody has, in both directions."""
    parties = await party(server, "acme"), await party(server, "brett")
    for mine, other in (parties, parties[::-1]):
        before = await dump(server.store, other.number)
        method, path, body = WRITTEN[what]
        answers = []
        for asked in (other.ann, INVENTED):
            said = [
                text.replace("{id}", asked)
                .replace("{ann}", mine.ann)
                .replace("{staff}", mine.staff)
                .replace("{other}", other.name)
                for text in (path, json.dumps(body))
            ]
            version = 'W/"1"' if what == "If-Match" else ""
            headers = {"if_match": version} if version else {}
            answer = await mine(method, said[0], json.loads(said[1]), **headers)
            echoed = answer.json if answer.body else {}
            for each in (echoed, *echoed.get("Operations", ())) if isinstance(echoed, dict) else ():
                each.get("meta", {}).pop("lastModified", None)
                each.get("meta", {}).pop("version", None)
                each.pop("version", None)
            answers.append((answer.status, json.dumps(echoed).replace(asked, INVENTED)))
        assert answers[0] == answers[1], what
        assert await dump(server.store, other.number) == before


async def test_t_12_the_same_everywhere(server: Application) -> None:
    """Names, externalIds and bulkIds are each tenant's own: the same request has the same outcome in both, in any order."""
    acme, brett = await party(server, "acme"), await party(server, "brett")
    data = {"schemas": [urns.USER], "userName": "carl"}
    members = GROUP | {"displayName": "new", "members": [{"value": "bulkId:one"}]}
    both = bulk(
        {"method": "POST", "path": "/Users", "bulkId": "one", "data": data},
        {"method": "POST", "path": "/Groups", "bulkId": "two", "data": members},
    )
    alone = bulk({"method": "POST", "path": "/Groups", "bulkId": "x", "data": members | {"displayName": "x"}})
    for mine in (acme, brett):
        made = (await mine("POST", "/Bulk", both)).json["Operations"]
        assert [each["status"] for each in made] == ["201", "201"]
        refused = (await mine("POST", "/Bulk", alone)).json["Operations"]
        assert [each["status"] for each in refused] == ["400"]  # a bulkId of an earlier request is nobody's
        assert (await mine("POST", "/Users", data)).status == 409
        page = (await mine("GET", '/Users?filter=userName eq "carl"'.replace(" ", "%20"))).json
        assert page["totalResults"] == 1


async def test_t_17_versions_and_warm_pages(server: Application) -> None:
    """A version opens nothing in the other tenant, and a page that one has asked for says nothing of the other's."""
    acme, brett = await party(server, "acme"), await party(server, "brett")
    tag = (await acme("GET", f"/Users/{acme.ann}")).headers["etag"]
    for headers in ({"if_none_match": tag}, {"if_match": tag}, {"if_match": "*"}):
        real = await brett("GET", f"/Users/{acme.ann}", **headers)
        invented = await brett("GET", f"/Users/{INVENTED}", **headers)
        assert real.status == invented.status == 404
        assert real.body.replace(acme.ann.encode(), INVENTED.encode()) == invented.body
    for number in range(6):
        await acme("POST", "/Users", {"schemas": [urns.USER], "userName": f"u{number}"})
    for start in (1, 3, 5, 7):  # acme's boundaries are remembered by now
        ids = {}
        for mine in (acme, brett, acme):
            found = (await mine("GET", f"/Users?startIndex={start}&count=2&sortBy=userName")).json
            ids[mine.name] = {each["id"] for each in found.get("Resources", ())}
            assert found["totalResults"] == (8 if mine is acme else 2)
        assert not ids["acme"] & ids["brett"]


async def test_t_14_dead_at_once(server: Application, url: str) -> None:
    """What another process deletes or switches off takes no write from then on; after a look it is as one never made."""
    acme, brett = await party(server, "acme"), await party(server, "brett")
    beside = open_store(url)
    await beside.open()
    care = TenantCare(beside, server.tenants)
    record = await server.tenants.by_name("acme")
    assert record is not None
    await care.switch(record, TenantState.DISABLED)
    body = {"schemas": [urns.USER], "userName": "late"}
    assert (await acme("POST", "/Users", body)).status == 403
    await care.delete(record, lambda _: None)
    # Switched off as it was when this process looked last, or gone if it has looked since: nothing is written in either case.
    assert (await acme("POST", "/Users", body)).status in {403, 401}
    await server.live.follow()
    assert (await acme("POST", "/Users", body)).status == 401
    never = await brett.call("GET", "/t/never/scim/v2/Users")
    gone = await brett.call("GET", "/t/acme/scim/v2/Users")
    assert (gone.status, gone.body, gone.headers) == (never.status, never.body, never.headers)
    assert not any((await dump(beside, acme.number)).values())
    assert (await brett("POST", "/Users", body)).status == 201
    await beside.close()


async def test_definitions_of_many_are_checked_and_copied(
    server: Application, url: str, tmp_path: Any
) -> None:
    """Tenants of different definitions are compared each by its own, and a copy of the database has them all."""
    plain, clubs = await party(server, "plain"), await party(server, "clubs", documents=DEFINITIONS)
    strict = await party(server, "strict", "unique-group-names=on")
    assert (await strict("POST", "/Groups", GROUP)).status == 409
    assert (await plain("POST", "/Groups", GROUP)).status == 201
    served = {
        each.name: len((await each("GET", "/ResourceTypes")).json["Resources"]) for each in (plain, clubs)
    }
    assert served["clubs"] > served["plain"]
    assert await server.store.check() == []
    from rollbook.storage.sql import transfer

    copy = open_store(f"sqlite:///{tmp_path / 'copy.db'}")
    copy.database.migrate()
    transfer.copy(server.store.database, copy.database, lambda *_: None)
    await copy.open()
    for each in (plain, clubs, strict):
        mine, theirs = [await store.catalog_of(each.number) for store in (server.store, copy)]
        assert (mine.documents, mine.adjusted) == (theirs.documents, theirs.adjusted)
        assert await copy.numbers(each.number) == await server.store.numbers(each.number)
    assert await copy.check() == []
    await copy.close()


async def test_definitions_change_while_others_write(server: Application, url: str) -> None:
    """One process changes what a tenant serves while another writes there and elsewhere: all is indexed as it holds then."""
    acme, brett = await party(server, "acme"), await party(server, "brett")
    beside = open_store(url)
    await beside.open()
    care, author = TenantCare(beside, server.tenants), Author("test", now())
    for turn, told in enumerate(("unique-external-ids=on", "unique-external-ids=")):
        record = await server.tenants.by_name("acme")
        assert record is not None
        for mine in (acme, brett):
            body = {"schemas": [urns.USER], "userName": f"x{turn}", "externalId": f"x{turn}"}
            assert (await mine("POST", "/Users", body)).status == 201
        await care.tell(record, [told], author)
        again = {"schemas": [urns.USER], "userName": f"y{turn}", "externalId": f"x{turn}"}
        assert (await acme("POST", "/Users", again)).status == (409 if turn == 0 else 201)
        assert (await brett("POST", "/Users", again)).status == 201
    await beside.close()


NUL = [
    ("GET", "/Users/a%00b", None),
    ("DELETE", "/Users/a%00b", None),
    ("GET", "/Users?filter=id%20eq%20%22a%5Cu0000%22", None),
    ("GET", "/Users?filter=userName%20eq%20%22a%5Cu0000%22", None),
    ("GET", "/Groups?filter=members.value%20eq%20%22a%5Cu0000%22", None),
    ("POST", "/Groups", {"schemas": [urns.GROUP], "displayName": "g", "members": [{"value": "a\0"}]}),
]


@pytest.mark.parametrize(("method", "path", "body"), NUL)
async def test_i_21_a_zero_character_is_no_fault_of_ours(
    server: Application, method: str, path: str, body: Any
) -> None:
    """PostgreSQL takes none in texts: what names nothing is told so, with a token and without."""
    acme = await party(server, "acme")
    assert (await acme.call(method, f"/t/acme/scim/v2{path}", body)).status in {200, 400, 404}
    nobody = AsgiCaller(server.asgi)
    assert (await nobody(method, f"/t/a%00b/scim/v2{path}", body)).status == 401
    for text in ("a\0b", "rb_live_\0"):
        assert (await AsgiCaller(server.asgi, text)(method, f"/scim/v2{path}", body)).status == 401


async def test_i_21_nor_in_a_bulk_operation(server: Application) -> None:
    """It is that operation's mistake."""
    acme = await party(server, "acme")
    body = {"schemas": [urns.BULK_REQUEST], "Operations": [{"method": "DELETE", "path": "/Users/a\0b"}]}
    (told,) = (await acme.call("POST", "/t/acme/scim/v2/Bulk", body)).json["Operations"]
    assert told["status"] in {"400", "404"}


async def test_t_14_a_body_that_takes_long(server: Application) -> None:
    """A token that was revoked while the body was on its way writes nothing."""
    care = await party(server, "acme")
    record = await server.tenants.by_name("acme")
    assert record is not None
    text = await tokens.issue(server.store, record.number, "slow", now=now(), expires=None)
    own = AsgiCaller(server.asgi, text)
    came, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def slowly() -> Any:
            came.set()
            await go_on.wait()
            return await receive()

        await server.asgi(scope, slowly, send)

    slow = AsgiCaller(app, text)
    assert (await own("GET", "/t/acme/scim/v2/Users?count=0")).status == 200
    asked = asyncio.create_task(
        slow("POST", "/t/acme/scim/v2/Users", {"schemas": [urns.USER], "userName": "late"})
    )
    await came.wait()
    await server.store.revoke_token(record.number, tokens.token_id(text) or "", now())
    await server.live.follow()
    go_on.set()
    assert (await asked).status == 401
    found = await care.call("GET", "/t/acme/scim/v2/Users?filter=userName%20eq%20%22late%22")
    assert found.json["totalResults"] == 0


ADMINISTERED: dict[str, tuple[str, ...]] = {
    "orders": ("", "/lines", "/apply", "/cancel"),
    "issuers": ("",),
    "clients": ("", "/rotate"),
    "tokens": ("", "/rotate"),
}
"""What is administered under an id or name, and what can be done to it."""


@pytest.mark.parametrize("kind", ADMINISTERED)
async def test_t_11_foreign_is_invented_for_administrators(server: Application, kind: str) -> None:
    """An order, issuer, client or token of the other tenant is answered byte for byte as one that nobody has, and stays as it is."""
    parties = [await party(server, name) for name in ("acme", "brett")]
    calls, ids = [], []
    for number, each in enumerate(parties):
        author = Author("test", now())
        wish = Wish("own", now() + 3_600_000, ("admin", "write"))
        calls.append(AsgiCaller(server.asgi, await grant(server.store, each.number, wish, author)))
        issuer = IssuerWish(url="https://idp.example", audience=each.name)
        client, _ = await client_care.add(
            server.store, each.number, ClientWish("c", now() + 3_600_000), author
        )
        orders = SqlOrders(server.store.database)
        for _ in range(2 + number):  # acme has 2, brett 3: his last number is none of hers
            order = await orders.add(each.number, OrderKind.PLAN, {}, Orderer("x"), now())
        await issuer_care.add(server.store, each.number, each.name, issuer, author)
        (token, *_) = await server.store.tokens(each.number)
        ids.append(
            {"orders": str(order.number), "issuers": each.name, "clients": client.id, "tokens": token.id}
        )
    for (mine, call), theirs in (((parties[0], calls[0]), ids[1]), ((parties[1], calls[1]), ids[0])):
        if kind == "orders" and mine is parties[1]:
            continue  # her numbers are numbers of his own
        before = await dump(server.store, parties[1 if mine is parties[0] else 0].number)
        invented = {"orders": "9", "issuers": "other", "clients": "x" * 12, "tokens": "x" * 12}[kind]
        for part in ADMINISTERED[kind]:
            for method in ("GET", "POST", "PATCH", "DELETE"):
                answers = [
                    await call(method, f"/admin/v1/tenants/{mine.name}/{kind}/{asked}{part}", {})
                    for asked in (theirs[kind], invented)
                ]
                assert answers[0].status == answers[1].status
                assert answers[0].status in {404, 405}
                said = answers[0].body.replace(theirs[kind].encode(), invented.encode())
                assert said == answers[1].body, (method, part)
        assert await dump(server.store, parties[1 if mine is parties[0] else 0].number) == before
