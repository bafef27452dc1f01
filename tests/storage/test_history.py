"""What a resource was can be had again: every version as it stood, brought back, and forgotten for good."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.postgres_server import empty

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.errors import NotFound, Uniqueness
from rollbook.protocol.resource import Change, Member, Scope
from rollbook.storage.base import USUAL, Decide
from rollbook.storage.sql.archive import Archive
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.history import LATEST
from rollbook.storage.sql.restore import Lost
from rollbook.storage.sql.store import SqlStore
from rollbook.testing.store_steps import AUTHOR, GROUP, TENANT, USER, add_group, add_user, user

pytestmark = pytest.mark.anyio

LATER = replace(AUTHOR, name="later", at=AUTHOR.at + 1000)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    """An empty store, whose invariants hold at the end."""
    url = f"sqlite:///{tmp_path}/store.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_database")
        empty(url)
    opened = open_store(url, core_catalog())
    await opened.open()
    yield opened
    assert await opened.check() == []
    await opened.close()


@pytest.fixture
def archive(store: SqlStore) -> Archive:
    """Its history."""
    return Archive(store, TENANT)


def to(document: dict[str, Any]) -> Decide:
    """The change to a document, whatever it was."""
    return lambda _: Change(document)


async def change(store: SqlStore, id: str, document: dict[str, Any]) -> None:
    """Replace a user's document."""
    await store.update(TENANT, USER, id, to(document), Scope(), LATER)


async def members(store: SqlStore, id: str, *, add: str = "", remove: str = "") -> None:
    """Add and remove members of a group."""
    wanted = Change(add_members=tuple(map(Member, add.split())), remove_members=tuple(remove.split()))
    await store.update(
        TENANT, GROUP, id, lambda _: wanted, Scope(ids=frozenset(f"{add} {remove}".split())), LATER
    )


@pytest.mark.parametrize("seed", range(8))
async def test_every_version_as_it_stood(store: SqlStore, archive: Archive, seed: int) -> None:
    """After any course of changes, deletions and returns, each version has the document and the members it had."""
    chance = random.Random(seed)
    people = [f"u{number}" for number in range(6)]
    for person in people:
        await add_user(store, person)
    await add_group(store, "g", "u0")
    seen: dict[int, tuple[dict[str, Any] | None, set[str]]] = {}
    title, within, alive = "g", {"u0"}, True
    for step in range(40):
        kind = chance.choice(["rename", "members", "members", "delete", "restore"])
        if kind == "rename" and alive:
            title = f"name {step}"
            await store.update(TENANT, GROUP, "g", to({"displayName": title}), Scope(), LATER)
        elif kind == "members" and alive:
            come, go = (set(chance.sample(people, chance.randint(0, 3))) for _ in range(2))
            await members(store, "g", add=" ".join(come - go), remove=" ".join(go))
            within = (within | (come - go)) - go
        elif kind == "delete" and alive and chance.random() < 0.4:
            await store.delete(TENANT, GROUP, "g", LATER)
            alive = False
        elif kind == "restore" and not alive:
            entry = chance.choice(
                [each for each in await archive.versions("g") if each.operation != "delete"]
            )
            wanted = await archive.at(entry)
            await archive.restore(GROUP, wanted, LATER, USUAL)
            title, within, alive = str((wanted.document or {})["displayName"]), set(wanted.members), True
        last = await store.last_change(TENANT)
        seen[last] = ({"displayName": title} if alive else None, within if alive else set())
    entries = {entry.sequence: entry for entry in await archive.versions("g", limit=1000)}
    compared = 0
    for sequence, (document, ids) in seen.items():
        if sequence in entries:
            found = await archive.at(entries[sequence])
            assert (found.document, set(found.members)) == (document, ids), (sequence, entries[sequence])
            compared += 1
    assert compared > 5


async def test_who_when_and_what(store: SqlStore, archive: Archive) -> None:
    """Versions are listed newest first, page by page, with the names of what changed."""
    await add_user(store, "ann", title="a")
    await change(store, "ann", user("ann", title="b", nickName="n"))
    await store.delete(TENANT, USER, "ann", LATER)
    listed = await archive.versions("ann")
    assert [(each.operation, each.author, each.at) for each in listed] == [
        ("delete", "later", LATER.at),
        ("update", "later", LATER.at),
        ("create", AUTHOR.name, AUTHOR.at),
    ]
    assert listed[1].detail == {"attributes": ["nickName", "title"]}
    assert await archive.versions("ann", limit=1) == listed[:1]
    assert await archive.versions("ann", listed[0].sequence, 1) == listed[1:2]
    first = await archive.version("ann", 1)
    assert first is not None
    assert first.document == user("ann", title="a")
    assert await archive.version("ann", 9) is None
    assert await archive.versions("nobody") == []


async def test_a_version_comes_back(store: SqlStore, archive: Archive) -> None:
    """A restore is a new change; the password stays what it is now."""
    await add_user(store, "ann", title="a", password="first")
    await change(store, "ann", user("ann", title="b", password="second"))
    wanted = await archive.version("ann", 1)
    assert wanted is not None
    assert await archive.restore(USER, wanted, LATER, USUAL) == Lost()
    now = await archive.version("ann", 3)
    assert now is not None
    assert now.document == user("ann", title="a", password="second")


async def test_who_was_deleted_comes_back(store: SqlStore, archive: Archive) -> None:
    """The id is the same, versions go on, members that are gone are named, and a name that was taken is refused."""
    for name in ("ann", "bob"):
        await add_user(store, name)
    await add_group(store, "g", "ann", "bob")
    await members(store, "g", remove="ann")
    await store.delete(TENANT, GROUP, "g", LATER)
    await store.delete(TENANT, USER, "bob", LATER)
    wanted = await archive.version("g", 1)
    assert wanted is not None
    assert await archive.restore(GROUP, wanted, LATER, USUAL) == Lost(("bob",))
    record = await store.get(TENANT, GROUP, "g")
    assert record is not None
    assert [member.value for member in record.members or ()] == ["ann"]
    assert record.version.endswith('-3"')
    gone = await archive.at((await archive.versions("bob"))[0])
    with pytest.raises(NotFound, match="was deleted at that version"):
        await archive.restore(USER, gone, LATER, USUAL)
    await store.insert(TENANT, USER, "other", Change(user("bob")), AUTHOR)
    former = await archive.version("bob", 1)
    assert former is not None
    with pytest.raises(Uniqueness, match="userName"):
        await archive.restore(USER, former, LATER, USUAL)
    assert await store.get(TENANT, USER, "bob") is None


async def test_erased_for_good(store: SqlStore, archive: Archive, tmp_path: Path) -> None:
    """Nothing of the person is left in any table; the log has who erased what, and when."""
    await add_user(store, "ann", nickName="Zyxwv", emails=[{"value": "zyxwv@corp.example"}])
    await change(store, "ann", user("ann", nickName="Zyxwv Two"))
    await add_group(store, "g", "ann")
    assert await archive.erase(USER, "ann", LATER, USUAL) == 2
    assert await store.get(TENANT, USER, "ann") is None
    last = (await archive.versions("ann"))[0]
    assert (last.operation, last.author, last.detail) == ("delete", "later", {"erased": True})
    assert await archive.at((await archive.versions("ann"))[-1]) is not None
    assert (await archive.at((await archive.versions("ann"))[-1])).document is None
    if not store.database.name.startswith("postgresql:"):
        store.database.backup(tmp_path / "copy")  # without what is left in free space
        assert b"yxwv" not in (tmp_path / "copy").read_bytes().lower()


async def test_what_is_old_is_forgotten(store: SqlStore, archive: Archive) -> None:
    """Former versions go by age; the last one before the moment stays, and what a target has not read."""
    await add_user(store, "ann", title="0")
    for number in range(1, 5):
        document = user("ann", title=str(number))
        author = replace(AUTHOR, at=AUTHOR.at + number * 1000)
        await store.update(TENANT, USER, "ann", to(document), Scope(), author)
    await add_user(store, "bob")
    assert await archive.compact(AUTHOR.at + 3000) == 2 + 2
    assert [entry.version[-2] for entry in await archive.versions("ann")] == ["5", "4", "3"]
    assert await archive.version("ann", 1) is None
    assert [await title(archive, number) for number in (3, 4, 5)] == ["2", "3", "4"]
    assert len(await archive.versions("bob")) == 1
    assert await archive.compact(AUTHOR.at + 3000) == 0
    await has_read(store, 4)
    assert await archive.compact(LATEST) == 1 + 1
    assert [await title(archive, number) for number in (4, 5)] == ["3", "4"]
    await has_read(store, 6)
    assert await archive.compact(LATEST) == 1 + 1
    assert [entry.version[-2] for entry in await archive.versions("ann")] == ["5"]


async def title(archive: Archive, number: int) -> str:
    """The title ann had at a version."""
    version = await archive.version("ann", number)
    assert version is not None
    assert version.document is not None
    return str(version.document["title"])


async def has_read(store: SqlStore, position: int) -> None:
    """Make the one target have read the log up to there."""
    target = """
        INSERT INTO target (tenant, number, name, digest, position, paused_until) VALUES (1, 1, 't', '', ?, 0)
        ON CONFLICT (tenant, number) DO UPDATE SET position = excluded.position
    """
    await store.database.write(TENANT, lambda connection: connection.run(target, (position,)))


async def test_tenants_have_their_own(store: SqlStore, archive: Archive) -> None:
    """I-08: nothing of another tenant is shown, restored or erased."""
    await add_user(store, "ann")
    await add_user(store, "ann", tenant=2, title="theirs")
    other = Archive(store, 2)
    assert len(await archive.versions("ann")) == len(await other.versions("ann")) == 1
    await archive.erase(USER, "ann", LATER, USUAL)
    assert (await other.at((await other.versions("ann"))[0])).document == user("ann", title="theirs")
