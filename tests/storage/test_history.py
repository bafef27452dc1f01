"""What a resource was can be had again: every version as it stood, brought back, and forgotten for good."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.postgres_server import empty

from rollbook.protocol import urns
from rollbook.protocol.catalog import Catalog, build_catalog, core_catalog
from rollbook.protocol.errors import InvalidValue, NotFound, Uniqueness
from rollbook.protocol.resource import Change, Member, Scope
from rollbook.storage.arrivals import Arrival
from rollbook.storage.base import USUAL, Decide
from rollbook.storage.source_records import SourceRecord
from rollbook.storage.sql.archive import Archive
from rollbook.storage.sql.arrivals import SqlArrivals
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.history import LATEST
from rollbook.storage.sql.journal import SqlJournal
from rollbook.storage.sql.load import Loaded, Mark
from rollbook.storage.sql.restore import Lost
from rollbook.storage.sql.source_records import SqlSourceRecords
from rollbook.storage.sql.sqlite import SqliteConnection
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


async def test_what_cannot_come_back_is_named(store: SqlStore, archive: Archive) -> None:
    """A reference to who was deleted stays away; one that was never a resource of ours comes back as it was sent."""
    for boss in ("boss", "far"):
        document = {**user(f"of {boss}"), urns.ENTERPRISE_USER: {"manager": {"value": boss}}}
        await store.insert(TENANT, USER, f"of {boss}", Change(document), AUTHOR)
        await change(store, f"of {boss}", user(f"of {boss}"))
    await add_user(store, "boss")
    await store.delete(TENANT, USER, "boss", LATER)
    found = {}
    for boss in ("boss", "far"):
        wanted = await archive.version(f"of {boss}", 1)
        assert wanted is not None
        lost = await archive.restore(USER, wanted, LATER, USUAL)
        now = await archive.at((await archive.versions(f"of {boss}"))[0])
        found[boss] = (lost.references, (now.document or {}).get(urns.ENTERPRISE_USER))
    assert found == {"boss": (("boss",), None), "far": ((), {"manager": {"value": "far"}})}


async def test_a_dry_run_changes_nothing(store: SqlStore, archive: Archive) -> None:
    """It finds what a restore would find, a name that was taken too; neither leaves a trace when it is refused."""
    await add_user(store, "ann", title="a")
    await change(store, "ann", user("eve", title="b"))
    wanted = await archive.version("ann", 1)
    assert wanted is not None
    last = await store.last_change(TENANT)
    assert await archive.restore(USER, wanted, LATER, USUAL, dry_run=True) == Lost()
    await store.insert(TENANT, USER, "other", Change(user("ann")), AUTHOR)
    for dry_run in (True, False):
        with pytest.raises(Uniqueness, match="userName"):
            await archive.restore(USER, wanted, LATER, USUAL, dry_run=dry_run)
    assert await store.last_change(TENANT) == last + 1


_ATTRIBUTE: dict[str, Any] = {"name": "tag"}


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        ([], "drops"),
        ([_ATTRIBUTE], "keeps"),
        ([{**_ATTRIBUTE, "type": "integer"}], "is of another kind"),
        ([_ATTRIBUTE, {"name": "must", "required": True}], "must is required"),
    ],
)
async def test_by_the_schemas_of_today(tmp_path: Path, now: list[dict[str, Any]], outcome: str) -> None:
    """What comes back is valid by the definitions that hold now; what they do not have any more is named."""
    tag = "urn:example:tag:1.0:User"

    def catalog(attributes: list[dict[str, Any]]) -> Catalog:
        return build_catalog([{"id": tag, "name": "Tag", "attributes": attributes}] if attributes else [])

    url = f"sqlite:///{tmp_path}/store.db"
    store = open_store(url, catalog([_ATTRIBUTE]))
    await store.open()
    kind = store.catalog.resource_type("User")
    assert kind is not None
    await store.insert(TENANT, kind, "ann", Change({**user("ann"), tag: {"tag": "x"}}), AUTHOR)
    await store.update(TENANT, kind, "ann", to(user("ann")), Scope(), LATER)
    await store.close()
    store = open_store(url, catalog(now))
    await store.open()
    kind, archive = store.catalog.resource_type("User"), Archive(store, TENANT)
    assert kind is not None
    wanted = await archive.version("ann", 1)
    assert wanted is not None
    if " " in outcome:
        with pytest.raises(InvalidValue, match=outcome):
            await archive.restore(kind, wanted, LATER, USUAL)
    else:
        lost = await archive.restore(kind, wanted, LATER, USUAL)
        assert lost.attributes == ((tag,) if outcome == "drops" else ())
        present = await archive.at((await archive.versions("ann"))[0])
        assert (tag in (present.document or {})) is (outcome == "keeps")
    assert await store.check() == []
    await store.close()


async def test_passwords_are_not_history(store: SqlStore, archive: Archive) -> None:
    """T-32: of a former password nothing is kept, and who was deleted comes back without one."""
    await add_user(store, "ann", title="a", password="first")
    await change(store, "ann", user("ann", title="a", password="second"))
    await store.delete(TENANT, USER, "ann", LATER)
    kept = await store.database.read(lambda connection: connection.all("SELECT body, extra FROM past"))
    assert len(kept) == 2
    assert not any(b"first" in cell or b"second" in cell for row in kept for cell in row if cell)
    wanted = await archive.version("ann", 1)
    assert wanted is not None
    await archive.restore(USER, wanted, LATER, USUAL)
    now = await archive.at((await archive.versions("ann"))[0])
    assert now.document == user("ann", title="a")


async def test_those_deleted_last(store: SqlStore, archive: Archive) -> None:
    """They are listed newest first with what they were, unless they are back, or forgotten."""
    for name in ("ann", "bob", "cid", "dan"):
        await add_user(store, name)
    await add_group(store, "g")
    for name in ("ann", "bob", "cid", "dan"):
        await store.delete(TENANT, USER, name, LATER)
    await store.delete(TENANT, GROUP, "g", LATER)
    wanted = await archive.version("bob", 1)
    assert wanted is None or wanted.document is not None
    assert wanted is not None
    await archive.restore(USER, wanted, LATER, USUAL)
    await archive.erase(USER, "cid", LATER, USUAL)
    found = await archive.deleted(USER, 10)
    assert [(one.id, one.author, one.document["userName"]) for one in found] == [
        ("dan", "later", "dan"),
        ("ann", "later", "ann"),
    ]
    assert [one.id for one in await archive.deleted(USER, 1)] == ["dan"]


async def test_a_group_of_many(store: SqlStore, archive: Archive) -> None:
    """A large group that was deleted keeps its members in little room, and gets them again in one change."""
    number = 3_000
    for start in range(0, number, 1_000):
        batch = [Loaded(USER, f"u{at}", user(f"u{at}")) for at in range(start, start + 1_000)]
        assert await store.load(TENANT, batch, AUTHOR, USUAL, Mark("m", "")) == [None] * 1_000
    everyone = [f"u{at}" for at in range(number)]
    await add_group(store, "g", *everyone)
    await store.delete(TENANT, GROUP, "g", LATER)
    await store.delete(TENANT, USER, "u7", LATER)
    ((size,),) = await store.database.read(
        lambda connection: connection.all(
            "SELECT length(members) FROM past WHERE tenant = 1 AND members IS NOT NULL"
        )
    )
    assert size < 4 * number
    wanted = await archive.version("g", 1)
    assert wanted is not None
    last = await store.last_change(TENANT)
    assert await archive.restore(GROUP, wanted, LATER, USUAL) == Lost(("u7",))
    assert await store.last_change(TENANT) == last + 1
    record = await store.get(TENANT, GROUP, "g")
    assert record is not None
    assert {member.value for member in record.members or ()} == set(everyone) - {"u7"}


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


async def test_only_what_is_meant_is_erased(store: SqlStore, archive: Archive) -> None:
    """An id of another type, or of nobody, is refused; who was erased is not erased twice."""
    await add_user(store, "ann")
    await add_group(store, "g", "ann")
    await store.update(TENANT, GROUP, "g", to({"displayName": "h"}), Scope(), LATER)
    for unknown in ("g", "nobody"):
        with pytest.raises(NotFound):
            await archive.erase(USER, unknown, LATER, USUAL)
    first = await archive.version("g", 1)
    assert first is not None
    assert first.document == {"displayName": "g"}
    assert await archive.erase(USER, "ann", LATER, USUAL) == 1
    last = await store.last_change(TENANT)
    assert await archive.erase(USER, "ann", LATER, USUAL) == 0
    assert await store.last_change(TENANT) == last
    await add_user(store, "ann", title="another")
    assert (
        await archive.version("ann", 1) is None or (await archive.versions("ann"))[-1].operation == "create"
    )
    assert (await archive.at((await archive.versions("ann"))[-1])).document is None


async def test_no_parts_of_the_erased_are_left(tmp_path: Path) -> None:
    """Parts of names, of which these could be put together again, are gone after a vacuum."""
    store = open_store(f"sqlite:///{tmp_path}/store.db", core_catalog())
    await store.open()
    await store.insert(TENANT, USER, "ann", Change(user("zyxwv")), AUTHOR)
    await add_user(store, "stays")
    await Archive(store, TENANT).erase(USER, "ann", LATER, USUAL)
    await store.close()
    store.database.vacuum()
    assert b"zyxwv" not in (tmp_path / "store.db").read_bytes()
    connection = SqliteConnection(tmp_path / "store.db")
    blocks = b"".join(block for (block,) in connection.all("SELECT block FROM part_data"))
    connection.close()
    assert b"sta" in blocks
    assert not any(part in blocks for part in (b"zyx", b"yxw", b"xwv"))


async def test_what_waits_and_what_differs_is_erased_too(store: SqlStore, archive: Archive) -> None:
    """What a webhook has brought of somebody, and what an audit has found; of nobody else, in no other tenant."""
    records, arrivals = SqlSourceRecords(store.database), SqlArrivals(store.database)
    for name in ("ann", "bob"):
        await add_user(store, name)
        await records.keep(TENANT, "hr", [SourceRecord(f"7-{name}", name, "d")])
    for tenant in (TENANT, TENANT + 1):
        brought = [Arrival(f"7-{name}", {"mail": name}) for name in ("ann", "bob")]
        await arrivals.take(tenant, "hr", "m1", brought, 1, 9)
        await arrivals.take(tenant, "other", "m1", brought, 1, 9)
        drift = "INSERT INTO drift (tenant, target, pk, id, type, since, detail) VALUES (?, 1, ?, ?, 'User', 1, ?)"
        rows = [(tenant, key, name, b"{}") for key, name in enumerate(("ann", "bob"))]
        await store.database.write(tenant, lambda conn, sql=drift, rows=rows: conn.many(sql, rows))  # type: ignore[misc] # one tenant each
    await archive.erase(USER, "ann", LATER, USUAL)
    left = "SELECT tenant, source, key FROM arrival WHERE key = '7-ann' ORDER BY tenant, source"
    assert await store.database.read(lambda conn: conn.all(left)) == [
        (TENANT, "other", "7-ann"),
        (TENANT + 1, "hr", "7-ann"),
        (TENANT + 1, "other", "7-ann"),
    ]
    assert [one.key for one in await arrivals.waiting(TENANT, "hr", 0, 9)] == ["7-bob"]
    left = "SELECT tenant FROM drift WHERE id = 'ann'"
    assert await store.database.read(lambda conn: conn.all(left)) == [(TENANT + 1,)]
    left = "SELECT count(*) FROM drift WHERE id = 'bob'"
    assert await store.database.read(lambda conn: conn.all(left)) == [(2,)]


async def test_what_is_old_is_forgotten(store: SqlStore, archive: Archive) -> None:
    """Former versions go by age; the last one before the moment stays, and what a target has not read."""
    await add_user(store, "ann", title="0")
    for number in range(1, 5):
        document = user("ann", title=str(number))
        author = replace(AUTHOR, at=AUTHOR.at + number * 1000)
        await store.update(TENANT, USER, "ann", to(document), Scope(), author)
    await add_user(store, "bob")
    assert await archive.compact(AUTHOR.at + 3000, AUTHOR, SqlJournal(store.database)) == 2 + 2
    assert [entry.version[-2] for entry in await archive.versions("ann")] == ["5", "4", "3"]
    assert await archive.version("ann", 1) is None
    assert [await title(archive, number) for number in (3, 4, 5)] == ["2", "3", "4"]
    assert len(await archive.versions("bob")) == 1
    assert await archive.compact(AUTHOR.at + 3000, AUTHOR, SqlJournal(store.database)) == 0
    await has_read(store, 4)
    assert await archive.compact(LATEST, AUTHOR, SqlJournal(store.database)) == 1 + 1
    assert [await title(archive, number) for number in (4, 5)] == ["3", "4"]
    await has_read(store, 6)
    assert await archive.compact(LATEST, AUTHOR, SqlJournal(store.database)) == 1 + 1
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
