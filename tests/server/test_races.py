"""Requests at the same time, on both databases; on PostgreSQL through two servers in turn (T-34, T-35, T-51, T-14, I-05, I-07).

Each race is decided in the database: there is no order that a test could wait for, so each says what holds in any.
"""

import asyncio
import itertools
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.postgres_server import empty
from tests.server.test_crossing import dump

from rollbook.app import Application, now, running
from rollbook.operations import tokens
from rollbook.operations.tenant_care import TenantCare
from rollbook.protocol import urns
from rollbook.protocol.errors import ScimError
from rollbook.settings import Settings
from rollbook.storage.base import USUAL, Author
from rollbook.storage.sql.archive import Archive
from rollbook.storage.sql.databases import open_store
from rollbook.testing.asgi import AsgiCaller, Response

pytestmark = pytest.mark.anyio

TOKEN = "the-token-of-these-tests"
MANY = 16


@dataclass(frozen=True)
class Servers:
    """Those over one database, asked in turn."""

    all: tuple[Application, ...]
    url: str
    token: str = TOKEN
    base: str = "/scim/v2"

    def at(self, number: int) -> Callable[..., Awaitable[Response]]:
        """How to call one of them."""
        call = AsgiCaller(self.all[number % len(self.all)].asgi, self.token)
        return lambda method, path, body=None, **headers: call(method, self.base + path, body, headers)

    async def together(self, *asked: tuple[Any, ...], **headers: str) -> list[Response]:
        """Ask for all of it at once, of one server after the other."""
        return await asyncio.gather(*(self.at(number)(*each, **headers) for number, each in enumerate(asked)))

    async def make(self, path: str, **attributes: Any) -> dict[str, Any]:
        """A resource."""
        schema = urns.USER if path == "/Users" else urns.GROUP
        answer = await self.at(0)("POST", path, {"schemas": [schema], **attributes})
        assert answer.status == 201, answer.body
        made: dict[str, Any] = answer.json
        return made


@pytest.fixture(params=["sqlite", "postgresql"])
async def servers(
    request: pytest.FixtureRequest, tmp_path: Any, anyio_backend: str
) -> AsyncIterator[Servers]:
    """One over a file, or two over PostgreSQL; what must hold of a database holds afterwards."""
    number, url = 1, f"sqlite:///{tmp_path / 'store.db'}"
    if request.param == "postgresql":
        number, url = 2, request.getfixturevalue("postgres_database")
        empty(url)
    async with AsyncExitStack() as stack:
        settings = Settings(database=url, database_origin="test", bootstrap_token=TOKEN)
        started = [await stack.enter_async_context(running(settings)) for _ in range(number)]
        yield Servers(tuple(started), url)
        assert await started[0].store.check() == []


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """A PATCH."""
    return {"schemas": [urns.PATCH_OP], "Operations": list(operations)}


def statuses(answers: list[Response]) -> Counter[int]:
    """How often each status came."""
    return Counter(answer.status for answer in answers)


def named(name: str) -> dict[str, Any]:
    """A user of that name."""
    return {"schemas": [urns.USER], "userName": name}


WAYS = ("POST", "PUT", "PATCH", "Bulk")


@pytest.mark.parametrize(("one", "other"), list(itertools.combinations_with_replacement(WAYS, 2)))
async def test_t_34_one_name_has_one_owner(servers: Servers, one: str, other: str) -> None:
    """Sixteen ask for one name in different letters, each in its way: one has it, all others are told that it is taken."""

    async def asked(way: str, number: int) -> tuple[Any, ...]:
        name = ("Wanted", "wanted", "WANTED", "wAnted")[number % 4]
        if way == "POST":
            return "POST", "/Users", named(name)
        own = (await servers.make("/Users", userName=f"{way}{number}"))["id"]
        if way == "PUT":
            return "PUT", f"/Users/{own}", named(name)
        change = patch({"op": "replace", "path": "userName", "value": name})
        if way == "PATCH":
            return "PATCH", f"/Users/{own}", change
        operation = {"method": "PATCH", "path": f"/Users/{own}", "data": change}
        return "POST", "/Bulk", {"schemas": [urns.BULK_REQUEST], "Operations": [operation]}

    requests = [await asked((one, other)[number % 2], number) for number in range(MANY)]
    answers = await servers.together(*requests)
    told = [
        int(answer.json["Operations"][0]["status"]) if "Operations" in (answer.json or {}) else answer.status
        for answer in answers
        if answer.body or answer.status == 204
    ]
    assert min(told) in {200, 201, 204}
    assert sorted(told)[1:] == [409] * (MANY - 1)
    found = (await servers.at(0)("GET", "/Users?filter=userName%20eq%20%22wanted%22")).json
    assert found["totalResults"] == 1


async def test_t_34_who_comes_back_and_who_is_new(servers: Servers) -> None:
    """Somebody deleted is restored while others are made with the name: one of them has it."""
    kind = servers.all[0].tenant.catalog.resource_type("User")
    assert kind is not None
    for turn in range(4):
        name = f"eve{turn}"
        own = (await servers.make("/Users", userName=name))["id"]
        assert (await servers.at(0)("DELETE", f"/Users/{own}")).status == 204
        archive = Archive(servers.all[-1].store, 1)
        former = await archive.version(own, 1)
        assert former is not None

        async def back(archive: Archive = archive, former: Any = former) -> int:
            try:
                await archive.restore(kind, former, Author("command", now()), USUAL)
            except ScimError as error:
                return error.status
            return 201

        calls = [servers.at(number)("POST", "/Users", named(name)) for number in range(4)]
        restored, answers = await asyncio.gather(back(), asyncio.gather(*calls))
        assert sorted([restored, *(answer.status for answer in answers)]) == [201, 409, 409, 409, 409]


async def test_t_34_an_import_beside_the_server(servers: Servers, tmp_path: Path) -> None:
    """Another process imports the people whom the server is asked to make: each is there once, by whichever was first."""
    names = [f"p{number}" for number in range(150)]
    file = tmp_path / "people.jsonl"
    file.write_text("\n".join(json.dumps(named(name)) for name in names), "utf-8")
    command = (sys.executable, "-m", "rollbook", "import", str(file), "--database", servers.url)
    importing = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    told: Counter[int] = Counter()
    while importing.returncode is None:  # again and again, from the end, until the import has ended
        asked = [("POST", "/Users", named(name)) for name in names[-1 - sum(told.values()) // 10 :: -7][:10]]
        told += statuses(await servers.together(*asked))
        with suppress(TimeoutError):
            await asyncio.wait_for(importing.wait(), 0.05)
    assert importing.returncode in {0, 1}
    assert set(told) <= {201, 409}
    assert (await servers.at(0)("GET", "/Users?count=0")).json["totalResults"] == len(names)


async def test_t_35_one_of_many_has_the_version(servers: Servers) -> None:
    """Sixteen changes onto one version, by PUT, PATCH and DELETE: one is made, the others are 412, or 404 after the DELETE."""
    for turn in range(3):
        user = await servers.make("/Users", userName=f"ann{turn}")
        path = f"/Users/{user['id']}"
        ways = (
            ("PUT", path, named(f"ann{turn}") | {"title": "put"}),
            ("PATCH", path, patch({"op": "replace", "path": "title", "value": "patched"})),
            ("DELETE", path),
        )
        asked = [ways[number % (3 if turn == 2 else 2)] for number in range(MANY)]
        answers = await servers.together(*asked, **{"if-match": user["meta"]["version"]})
        told = statuses(answers)
        assert sum(told[good] for good in (200, 204)) == 1
        assert set(told) <= {200, 204, 412, 404}
        assert told[404] == 0 or told[204]


async def test_t_35_without_a_version_each_attribute_holds(servers: Servers) -> None:
    """Changes of different attributes at once, none of which names a version: none is lost."""
    path = f"/Users/{(await servers.make('/Users', userName='ann'))['id']}"
    values = {
        name: f"{name}!"
        for name in (
            "title",
            "nickName",
            "displayName",
            "userType",
            "locale",
            "timezone",
            "preferredLanguage",
        )
    } | {"externalId": "e", "name.givenName": "Ann", "name.familyName": "Lee"}
    asked = [
        ("PATCH", path, patch({"op": "add", "path": name, "value": value})) for name, value in values.items()
    ]
    assert set(statuses(await servers.together(*asked))) <= {200, 204}
    user = (await servers.at(0)("GET", path)).json
    flat = user | {f"name.{part}": value for part, value in user["name"].items()}
    assert {name: flat[name] for name in values} == values
    assert user["meta"]["version"].endswith(f'{1 + len(values)}"')


async def test_t_51_every_member_stays(servers: Servers) -> None:
    """Members are added one by one and many at once, while others go: exactly those who should are in, and see it themselves."""
    ids = [(await servers.make("/Users", userName=f"u{number}"))["id"] for number in range(3 * MANY)]
    going, coming, several = ids[:MANY], ids[MANY : 2 * MANY], ids[2 * MANY :]
    group = await servers.make("/Groups", displayName="g", members=[{"value": each} for each in going])
    path = f"/Groups/{group['id']}"
    asked: list[tuple[Any, ...]] = []
    for out, into in zip(going, coming, strict=True):
        asked.append(("PATCH", path, patch({"op": "remove", "path": f'members[value eq "{out}"]'})))
        asked.append(("PATCH", path, patch({"op": "add", "path": "members", "value": [{"value": into}]})))
    for at in range(0, MANY, 4):
        some = [{"value": each} for each in several[at : at + 4]]
        asked.append(("PATCH", path, patch({"op": "add", "value": {"members": some}})))
    assert set(statuses(await servers.together(*asked))) <= {200, 204}
    shown = (await servers.at(1)("GET", path)).json["members"]
    assert sorted(member["value"] for member in shown) == sorted([*coming, *several])
    for each, is_in in ((coming[0], True), (several[-1], True), (going[0], False)):
        assert ("groups" in (await servers.at(0)("GET", f"/Users/{each}")).json) == is_in


async def test_t_51_members_that_are_deleted_meanwhile(servers: Servers) -> None:
    """Users go while they are made members, while the group is changed and replaced: nobody who is gone is left in it."""
    ids = [(await servers.make("/Users", userName=f"u{number}"))["id"] for number in range(MANY)]
    group = await servers.make("/Groups", displayName="g")
    path = f"/Groups/{group['id']}"
    asked: list[tuple[Any, ...]] = []
    for number, own in enumerate(ids):
        asked.append(("PATCH", path, patch({"op": "add", "path": "members", "value": [{"value": own}]})))
        if number % 2:
            asked.append(("DELETE", f"/Users/{own}"))
    answers = await servers.together(*asked)
    assert set(statuses(answers)) <= {200, 204, 400}
    assert all(answer.json["scimType"] == "invalidValue" for answer in answers if answer.status == 400)
    members = (await servers.at(0)("GET", path)).json["members"]
    assert sorted(member["value"] for member in members) == sorted(ids[::2])


async def test_deleted_and_changed_at_once(servers: Servers) -> None:
    """A deletion among changes: those before it hold, those after it find nobody, and nothing comes back to life."""
    for turn in range(4):
        own = (await servers.make("/Users", userName=f"ann{turn}"))["id"]
        path = f"/Users/{own}"
        asked: list[tuple[Any, ...]] = [
            ("PATCH", path, patch({"op": "replace", "path": "title", "value": str(number)}))
            for number in range(MANY)
        ]
        asked.insert(MANY // 2, ("DELETE", path))
        asked.append(("DELETE", path))
        answers = await servers.together(*asked)
        assert set(statuses(answers)) <= {200, 204, 404}
        deletions = [answers[MANY // 2].status, answers[-1].status]
        assert sorted(deletions) == [204, 404]
        assert (await servers.at(0)("GET", path)).status == 404
        assert (await servers.at(0)("POST", "/Users", named(f"ann{turn}"))).status == 201


async def test_t_14_revoked_while_it_writes(servers: Servers) -> None:
    """A token is revoked by a command while sixteen write with it: what was refused is not there, and after the revocation nothing is written."""
    store = servers.all[0].store
    text = await tokens.issue(store, 1, "t", now=now(), expires=None)
    token_id = tokens.token_id(text)
    assert token_id is not None
    mine = Servers(servers.all, servers.url, text)
    done, busy = asyncio.Event(), asyncio.Event()
    begun_late: list[int] = []
    acknowledged: list[str] = []

    async def write(client: int) -> None:
        for number in itertools.count():
            late = done.is_set()
            name = f"c{client}-{number}"
            answer = await mine.at(client)("POST", "/Users", named(name))
            if answer.status == 201:
                acknowledged.append(name)
            if len(acknowledged) >= MANY:
                busy.set()
            if late:
                begun_late.append(answer.status)
            if answer.status != 201:
                return

    async def revoke() -> None:
        await busy.wait()
        beside = open_store(servers.url)
        await beside.open()
        assert await beside.revoke_token(1, token_id, now())
        done.set()
        await beside.close()

    await asyncio.gather(revoke(), *(write(client) for client in range(MANY)))
    assert set(begun_late) <= {401, 403}
    found = (await servers.at(0)("GET", "/Users?count=0")).json["totalResults"]
    assert found == len(acknowledged) >= MANY


async def test_a_tenant_is_deleted_by_two_while_others_write(servers: Servers) -> None:
    """Two delete it at once while its users are written: it goes once, whole, and what was written late is not left behind."""
    first = servers.all[0]
    care = TenantCare(first.store, first.tenants)
    record = await care.create("acme", now())
    text = await tokens.issue(first.store, record.number, "t", now=now(), expires=None)
    for each in servers.all:
        await each.live.follow()
    mine = Servers(servers.all, servers.url, text, "/t/acme/scim/v2")
    for number in range(MANY):
        assert (await mine.at(number)("POST", "/Users", named(f"u{number}"))).status == 201
    other = await servers.make("/Users", userName="u1")

    async def write(client: int) -> set[int]:
        told = set()
        for number in range(20):
            answer = await mine.at(client)("POST", "/Users", named(f"late{client}-{number}"))
            told.add(answer.status)
        return told

    async def delete(application: Application) -> None:
        await TenantCare(application.store, application.tenants).delete(record, lambda _: None)

    deleting = [delete(servers.all[0]), delete(servers.all[-1])]
    writing = asyncio.gather(*(write(client) for client in range(4)))
    await asyncio.gather(writing, *deleting)
    told = writing.result()
    assert set().union(*told) <= {201, 401, 403, 404, 503}
    assert not any((await dump(first.store, record.number)).values())
    for each in servers.all:
        await each.live.follow()
    assert (await mine.at(0)("GET", "/Users")).status == 401
    assert (await servers.at(0)("GET", f"/Users/{other['id']}")).status == 200
    again = await care.create("acme", now())
    assert again.number > record.number
