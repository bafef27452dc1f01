"""Tenants on one server: each with its own, none with another's (T-10 to T-17, A-61, I-08)."""

import itertools
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.courses import DEFINITIONS

from rollbook.app import Application, now
from rollbook.operations import tokens
from rollbook.operations.tenant_care import TenantCare
from rollbook.operations.tenants import assigned, check_name, settings_of
from rollbook.protocol import urns
from rollbook.protocol.errors import Conflict, InvalidValue, Uniqueness
from rollbook.storage.base import Author
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore
from rollbook.storage.sql.tenants import SqlTenants
from rollbook.storage.sql.transfer import tables
from rollbook.storage.tenants import TenantRecord, TenantState
from rollbook.testing.asgi import AsgiCaller, Response

pytestmark = pytest.mark.anyio

INVENTED = "01890000-0000-7000-8000-000000000000"
BULK = {"schemas": [urns.BULK_REQUEST]}
SEARCH = {"schemas": [urns.SEARCH_REQUEST]}


def user(name: str, **attributes: Any) -> dict[str, Any]:
    """A User."""
    return {"schemas": [urns.USER], "userName": name, **attributes}


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """A PATCH of these operations."""
    return {"schemas": [urns.PATCH_OP], "Operations": list(operations)}


TITLE = patch({"op": "replace", "path": "title", "value": "x"})


@dataclass
class Customer:
    """A tenant, and how to call it: with its own token, or with others."""

    record: TenantRecord
    call: AsgiCaller
    ids: dict[str, str]

    @property
    def base(self) -> str:
        """Where it is."""
        return f"/t/{self.record.name}/scim/v2"


async def customer(application: Application, name: str, *settings: str, **about: Any) -> Customer:
    """A new tenant with a token."""
    care = TenantCare(application.store, application.tenants)
    record = await care.create(name, now(), settings=settings, **about)
    text = await tokens.issue(application.store, record.number, name, now=now(), expires=None)
    await application.live.follow()
    return Customer(record, AsgiCaller(application.asgi, text), {})


async def filled(application: Application, name: str) -> Customer:
    """A tenant with a user and a group; the same in each."""
    made = await customer(application, name)
    ann = await made.call("POST", f"{made.base}/Users", user("ann", externalId="7", title="A"))
    made.ids["user"] = ann.json["id"]
    body = {"schemas": [urns.GROUP], "displayName": "staff", "members": [{"value": ann.json["id"]}]}
    made.ids["group"] = (await made.call("POST", f"{made.base}/Groups", body)).json["id"]
    return made


@pytest.fixture
async def both(application: Application) -> AsyncIterator[tuple[Customer, Customer]]:
    """Two tenants with people of the same names; whatever a test does from one, the other is as it was."""
    one, other = await filled(application, "acme"), await filled(application, "brett")
    before = dump(application, other.record.number)
    yield one, other
    assert dump(application, other.record.number) == before
    assert await application.store.check() == []


async def test_a_wrong_path_is_told_where_the_tenant_is(application: Application) -> None:
    """Its own address, not the default tenant's."""
    made = await customer(application, "acme")
    told = (await made.call("GET", f"{made.base}/Userz")).json
    assert (told["status"], made.base in told["detail"]) == ("404", True)
    told = (await made.call("GET", "/scim/v2/Userz")).json
    assert (told["status"], "/t/" in told["detail"]) == ("404", False)


def dump(application: Application, tenant: int) -> dict[str, list[Any]]:
    """Every row of a tenant."""
    with SqliteFile(Path(application.store.database.name)).snapshot() as connection:
        return {
            table.name: connection.all(f"SELECT * FROM {table.name} WHERE tenant = ?", (tenant,))
            for table in tables()
            if "tenant" in table.columns
        }


def same(real: Response, invented: Response, foreign: str) -> bool:
    """Whether two answers differ in nothing but the id that was asked for."""
    strip = {"etag", "location"} & real.headers.keys()
    return (
        real.status == invented.status
        and real.body.replace(foreign.encode(), INVENTED.encode()) == invented.body
        and not strip
    )


ASKED: Sequence[tuple[str, str, Any]] = [
    ("GET", "/Users/{id}", None),
    ("GET", "/Users/{id}?filter=userName%20pr", None),
    ("PUT", "/Users/{id}", user("new")),
    ("PATCH", "/Users/{id}", TITLE),
    ("DELETE", "/Users/{id}", None),
    ("GET", "/Groups/{id}", None),
    ("DELETE", "/Groups/{id}", None),
    ("PATCH", "/Groups/{id}", patch({"op": "remove", "path": "members"})),
    ("GET", "/Users?filter=id%20eq%20%22{id}%22", None),
    ("GET", "/Users?filter=meta.location%20eq%20%22http://localhost:8080{base}/Users/{id}%22", None),
    ("GET", "/Users?filter=meta.location%20eq%20%22http://localhost:8080{foreign}/Users/{id}%22", None),
    ("GET", "/Users?filter=groups.value%20eq%20%22{id}%22", None),
    ("GET", "/Groups?filter=members.value%20eq%20%22{id}%22", None),
    ("POST", "/.search", SEARCH | {"filter": 'id eq "{id}"'}),
    ("POST", "/Groups", {"schemas": [urns.GROUP], "displayName": "g", "members": [{"value": "{id}"}]}),
    ("POST", "/Bulk", BULK | {"Operations": [{"method": "DELETE", "path": "/Users/{id}"}]}),
    ("POST", "/Bulk", BULK | {"Operations": [{"method": "PATCH", "path": "/Users/{id}", "data": TITLE}]}),
]


@pytest.mark.parametrize(("method", "path", "body"), ASKED)
@pytest.mark.parametrize("kind", ["user", "group"])
async def test_t_11_ids_of_another(
    both: tuple[Customer, Customer], method: str, path: str, body: Any, kind: str
) -> None:
    """T-11, T-13: an id of another tenant is answered as an invented one, whatever is asked, and touches nothing."""
    one, other = both
    foreign = other.ids[kind]

    def written(text: str, id: str) -> str:
        return text.replace("{id}", id).replace("{base}", one.base).replace("{foreign}", other.base)

    real, invented = [
        await one.call(
            method,
            one.base + written(path, each),
            json.loads(written(json.dumps(body), each)) if body else None,
        )
        for each in (foreign, INVENTED)
    ]
    assert same(real, invented, foreign), (real, invented)


async def test_t_12_names_are_a_tenants_own(both: tuple[Customer, Customer]) -> None:
    """T-12: both have an ann with externalId 7; a second one is refused in each, and tells nothing of the other."""
    one, other = both
    assert one.ids["user"] != other.ids["user"]
    assert (await one.call("POST", f"{one.base}/Users", user("bob"))).status == 201
    assert (await one.call("POST", f"{one.base}/Users", user("ann"))).status == 409
    found = await one.call("GET", f"{one.base}/Users?filter=externalId%20eq%20%227%22")
    assert [each["id"] for each in found.json["Resources"]] == [one.ids["user"]]


async def test_t_13_managers_of_another(both: tuple[Customer, Customer]) -> None:
    """A manager in another tenant is like one that does not exist: kept as sent, and never named."""
    one, other = both
    urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    made = []
    for name, boss in (("x", other.ids["user"]), ("y", INVENTED)):
        answer = await one.call(
            "POST", f"{one.base}/Users", user(name, **{urn: {"manager": {"value": boss}}})
        )
        made.append(json.dumps(answer.json.get(urn)).replace(boss, "ID"))
    assert made[0] == made[1]
    assert "displayName" not in made[0]


async def test_t_17_cursors_and_pages(both: tuple[Customer, Customer]) -> None:
    """T-17: cursors of one are forged ones in the other; a warm page of one is not the other's."""
    one, other = both
    for each in both[:1]:
        for number in range(4):
            await each.call("POST", f"{each.base}/Users", user(f"u{number}"))
    first = (await one.call("GET", f"{one.base}/Users?cursor&count=2")).json
    assert first["nextCursor"]
    stolen = await other.call("GET", f"{other.base}/Users?cursor={first['nextCursor']}&count=2")
    forged = await other.call("GET", f"{other.base}/Users?cursor=AAAA{first['nextCursor'][4:]}&count=2")
    assert (stolen.status, stolen.body) == (400, forged.body)
    for each in (one, other, one):
        page = (await each.call("GET", f"{each.base}/Users?startIndex=2&count=2&sortBy=userName")).json
        assert page["totalResults"] == (5 if each is one else 1)


ROUTES = (
    "/scim/v2", "/scim/v2/", "/scim/v2/Users", "/scim/v2/Users/", f"/scim/v2/Users/{INVENTED}", "/scim/v2/Groups", "/scim/v2/Me",
    "/scim/v2/Bulk", "/scim/v2/.search", "/scim/v2/Users/.search", "/scim/v2/Schemas", "/scim/v2/ResourceTypes",
    "/scim/v2/ServiceProviderConfig", "/scim/v2/Nothing", "/scim/v3/Users", "/scim/Users", "/openapi.json", "/", "", "/x",
)  # fmt: skip
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


async def test_a_61_nobody_can_tell_who_is_there(application: Application) -> None:
    """Existing, switched off, being deleted, never there: the same bytes, with no, a bad and a foreign token, everywhere."""
    care = TenantCare(application.store, application.tenants)
    acme, off, going = [await customer(application, name) for name in ("acme", "off", "going")]
    await care.switch(off.record, TenantState.DISABLED)
    await application.tenants.delete(going.record.number)
    await application.live.follow()
    foreign = await customer(application, "foreign")
    bad = AsgiCaller(application.asgi, "rb_live_nothing")
    for caller, status in ((AsgiCaller(application.asgi), 401), (bad, 401), (foreign.call, 404)):
        for method, route in itertools.product(METHODS, ROUTES):
            body = b"{not json" if method in {"POST", "PUT", "PATCH"} else None
            answers = [
                await caller(method, f"/t/{name}{route}", body)
                for name in ("nobody", "acme", "off", "going", "default", "Acme", "acme%2F", "..", "x" * 100)
            ]
            assert {answer.status for answer in answers} == {status}, (method, route)
            assert len({(answer.body, str(sorted(answer.headers.items()))) for answer in answers}) == 1
    assert (await off.call("GET", f"{off.base}/Users")).status == 403
    assert (await going.call("GET", f"{going.base}/Users")).status == 401
    assert (await acme.call("GET", f"{acme.base}/Users")).status == 200


async def test_t_10_the_tokens_tenant_wins(both: tuple[Customer, Customer], call: AsgiCaller) -> None:
    """A token opens its own tenant and no other, the default one included, in either direction."""
    one, other = both
    for caller, base in (
        (one.call, other.base),
        (one.call, "/scim/v2"),
        (call, one.base),
    ):
        for method, path, body in (("GET", "/Users", None), ("POST", "/Users", user("eve"))):
            assert (await caller(method, base + path, body)).status == 404, (base, method)


async def test_an_open_tenant_shows_what_it_serves(application: Application) -> None:
    """A tenant that opens its discovery has it without a token, and nothing else."""
    await customer(application, "shop", "open-discovery=on")
    nobody = AsgiCaller(application.asgi)
    config = await nobody("GET", "/t/shop/scim/v2/ServiceProviderConfig")
    assert config.status == 200
    assert config.json["meta"]["location"].endswith("/t/shop/scim/v2/ServiceProviderConfig")
    assert (await nobody("GET", "/t/shop/openapi.json")).status == 200
    assert (await nobody("GET", "/t/shop/scim/v2/Users")).status == 401


async def test_schemas_are_a_tenants_own(application: Application) -> None:
    """A type that one tenant has is not served in another; their numbers and indexes do not get in each other's way."""
    school = await customer(application, "school", documents=DEFINITIONS)
    shop = await customer(application, "shop")
    course = {"schemas": ["urn:example:school:2.0:Course"], "name": "Logic", "credits": 3}
    described = (await school.call("GET", f"{school.base}/ResourceTypes")).json["Resources"]
    (endpoint, urn), *_ = [
        (each["endpoint"], each["schema"]) for each in described if "Course" in each["name"]
    ]
    made = await school.call("POST", school.base + endpoint, course | {"schemas": [urn]})
    assert made.status in {201, 400}  # whatever the schema asks for, it is served
    assert (await school.call("GET", school.base + endpoint)).status == 200
    assert (await shop.call("GET", shop.base + endpoint)).status == 404
    assert (await shop.call("GET", f"{shop.base}/Schemas/{urn}")).status == 404
    assert urn not in (await shop.call("GET", "/t/shop/openapi.json")).body.decode()
    assert await application.store.check() == []


async def test_settings_are_a_tenants_own(application: Application) -> None:
    """Told to one, they hold there from the next look on, definitions among them; what does not fit changes nothing."""
    care, author = TenantCare(application.store, application.tenants), Author("test", 1)
    one, other = await customer(application, "one"), await customer(application, "other")
    group = {"schemas": [urns.GROUP], "displayName": "staff"}
    one_record = await care.tell(one.record, ["unique-group-names=on", "profile=rfc"], author)
    await application.live.follow()
    for each, second in ((one, 409), (other, 201)):
        assert (await each.call("POST", f"{each.base}/Groups", group)).status == 201
        assert (await each.call("POST", f"{each.base}/Groups", group)).status == second
    assert (await one.call("POST", f"{one.base}/Users", {"userName": "x"})).status == 400
    assert (await other.call("POST", f"{other.base}/Users", {"userName": "x"})).status == 201
    with pytest.raises(Conflict, match="displayName"):
        await care.tell(other.record, ["unique-group-names=on"], author)
    back = await care.tell(one_record, ["unique-group-names=", "profile="], author)
    assert back.settings == ()
    assert (await one.call("POST", f"{one.base}/Groups", group)).status == 201
    for wrong in ("profile=nobody", "nothing=1", "plain"):
        with pytest.raises(InvalidValue):
            await care.tell(back, [wrong], author)


def test_settings_of_no_exact_name_are_none() -> None:
    """Rows that an earlier version took with such names are read without them, and lose them with the next change."""
    record = TenantRecord(2, "acme", TenantState.OPEN, 0, ("rate =100000", "rate=2"))
    assert settings_of(record).rate == 2
    assert assigned(record.settings, ["page=5"]) == ("page=5", "rate=2")
    for wrong in ("rate =3", " rate=3", "rte="):
        with pytest.raises(InvalidValue, match="did you mean rate"):
            assigned((), [wrong])


async def test_a_host_name_of_its_own(application: Application, call: AsgiCaller) -> None:
    """Under its host name a tenant is at /scim/v2, and its URIs begin with that; a strange Host is the default's (T-50)."""
    shop = await customer(application, "shop", host="shop.example.com")
    at = {"host": "shop.example.com"}
    made = await shop.call("POST", "/scim/v2/Users", user("ann"), headers=at)
    assert made.json["meta"]["location"].startswith("http://shop.example.com:8080/scim/v2/Users/")
    assert (await shop.call("GET", f"{shop.base}/Users")).json["totalResults"] == 1
    assert (await shop.call("GET", "/scim/v2/Users", headers={"host": "evil.example.com"})).status == 404
    strange = await call("POST", "/scim/v2/Users", user("bob"), headers={"host": "evil.example.com"})
    assert "evil" not in strange.body.decode()
    with pytest.raises(Uniqueness):
        await customer(application, "thief", host="shop.example.com")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "a/b",
        "..",
        "a.b",
        "-a",
        "a-",
        "ａ",
        "a" * 64,
        "a b",
        "default",
        "users",
        "v2",
        "scim",
        "admin",
        "é",
        "a\n",
    ],
)
def test_t_15_names_have_one_form(name: str) -> None:
    """T-15: what could be read as another's, or as part of a path, is no name."""
    with pytest.raises(InvalidValue):
        check_name(name)


async def test_names_and_numbers_are_used_once(application: Application) -> None:
    """A second tenant of a name is refused; after a deletion the name is free, and its number is never given again."""
    first = await customer(application, "acme")
    with pytest.raises(Uniqueness):
        await customer(application, "acme")
    care = TenantCare(application.store, application.tenants)
    await care.delete(first.record, lambda _: None)
    again = await customer(application, "acme")
    assert again.record.number > first.record.number
    with pytest.raises(Conflict):
        await application.tenants.delete(1)


async def test_a_name_that_is_free_again(application: Application) -> None:
    """Deleted and made again between two looks: the new one is served to its own token, and the former one's opens nothing."""
    first = await filled(application, "acme")
    assert (await first.call("GET", f"{first.base}/Users")).status == 200
    care = TenantCare(application.store, application.tenants)
    await care.delete(first.record, lambda _: None)
    again = await customer(application, "acme")  # it looks once, after both
    assert (await again.call("GET", f"{again.base}/Users")).json["totalResults"] == 0
    assert (await first.call("GET", f"{first.base}/Users")).status == 401


async def test_deleting_is_whole_and_goes_on(
    application: Application, both: tuple[Customer, Customer]
) -> None:
    """Dead at once, its tokens first; broken off after each step it goes on; no row of it is left, nor of others gone."""
    one, _ = both
    care = TenantCare(application.store, application.tenants)
    assert await application.tenants.delete(one.record.number)
    assert (await one.call("POST", f"{one.base}/Users", user("late"))).status == 401
    assert (await one.call("GET", f"{one.base}/Users")).status == 401
    with pytest.raises(Conflict):
        await care.switch(one.record, TenantState.OPEN)
    beside = SqlStore(SqliteFile(Path(application.store.database.name)))
    await beside.open()
    await TenantCare(beside, SqlTenants(beside.database)).finish_deleting()
    await beside.close()
    assert {name: rows for name, rows in dump(application, one.record.number).items() if rows} == {}
    assert await application.tenants.by_name("acme") is None
    assert await application.store.check() == []


async def test_t_14_a_tenant_switched_off(application: Application) -> None:
    """Switched off by a command beside: no write happens any more; switched on again, all is as it was."""
    acme = await customer(application, "acme")
    await acme.call("POST", f"{acme.base}/Users", user("ann"))
    beside = SqlStore(SqliteFile(Path(application.store.database.name)))
    await beside.open()
    care = TenantCare(beside, SqlTenants(beside.database))
    off = await care.switch(acme.record, TenantState.DISABLED)
    assert (await acme.call("POST", f"{acme.base}/Users", user("bob"))).status == 403
    assert (await acme.call("GET", f"{acme.base}/Users")).status == 403
    await care.switch(off, TenantState.OPEN)
    await beside.close()
    await application.live.follow()
    assert (await acme.call("GET", f"{acme.base}/Users")).json["totalResults"] == 1


async def test_many_tenants_cost_one(application: Application) -> None:
    """A request to one of three hundred takes the statements that it takes with one, and they share what they serve."""
    first = await customer(application, "t0")
    many = [await customer(application, f"t{number}") for number in range(1, 300)]
    for each in (first, many[0], many[-1]):
        await each.call("POST", f"{each.base}/Users", user("ann"))
    counts = []
    for each in (first, many[-1]):
        statements: list[str] = []
        connection = application.store.database._near._apsw  # type: ignore[attr-defined]
        connection.set_exec_trace(lambda _, sql, __, seen=statements: seen.append(sql) is None)
        await each.call("GET", f"{each.base}/Users?filter=userName%20eq%20%22ann%22")
        connection.set_exec_trace(None)
        counts.append(len(statements))
    assert counts[0] == counts[1] > 0
    assert await application.store.catalog_of(many[0].record.number) is await application.store.catalog_of(
        many[-1].record.number
    )
    assert re.fullmatch(r"t\d+", many[-1].record.name)
