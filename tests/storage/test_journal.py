"""The audit log: every change and act is a line with who and from where, and no line changes unseen (T-87, I-29)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.postgres_server import empty

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.resource import Change, Scope
from rollbook.storage.base import USUAL, Act, Author
from rollbook.storage.journal import NO_KEYS, Line, SealKeys, Verdict
from rollbook.storage.key_files import NOWHERE, KeySource
from rollbook.storage.keyring import new_key
from rollbook.storage.sql import journal_faults as faults
from rollbook.storage.sql import journal_forget, seals
from rollbook.storage.sql.archive import Archive
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.databases import backend
from rollbook.storage.sql.journal import SqlJournal
from rollbook.storage.sql.journal_forgotten import DELETING, FORGETTING
from rollbook.storage.sql.store import SqlStore
from rollbook.storage.sql.tenants import SqlTenants
from rollbook.testing.store_steps import TENANT, USER, user

pytestmark = pytest.mark.anyio

AT = 1_700_000_000_000
ANN = Author("token hr", AT, "tok1", "192.0.2.7", 12)
KEYED = SealKeys("k1", {"k1": b"one key of thirty-two bytes here"})


KEY = new_key()
HERE = KeySource("the tests", lambda: KEY.text)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    named = f"sqlite:///{tmp_path}/store.db"
    if request.param == "postgresql":
        named = str(request.getfixturevalue("postgres_database"))
        empty(named)
    return named


@asynccontextmanager
async def opened(url: str, keys: KeySource) -> AsyncIterator[SqlStore]:
    """A store with those keys."""
    found = SqlStore(backend(url), core_catalog(), keys=keys)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    """An empty store that signs its lines."""
    async with opened(url, HERE) as found:
        yield found


@pytest.fixture
async def plain(url: str) -> AsyncIterator[SqlStore]:
    """An empty store that does not, as those of earlier versions, and where there is no key."""
    async with opened(url, NOWHERE) as found:
        yield found


async def people(store: SqlStore, number: int, tenant: int = TENANT, author: Author = ANN) -> None:
    """Make some users."""
    for at in range(number):
        await store.insert(tenant, USER, f"{tenant}-{at}", Change(user(f"u{tenant}-{at}")), author)


async def title(store: SqlStore, id: str, text: str, author: Author = ANN) -> None:
    """Change one."""
    document = user(id, title=text)
    await store.update(TENANT, USER, id, lambda _: Change(document), Scope(), author)


async def lines(journal: SqlJournal, after: int = 0) -> list[Line]:
    """All lines."""
    return [line async for line in journal.lines(after)]


async def spoil(store: SqlStore, *statements: str) -> None:
    """Do to the database what an administrator could."""

    def work(connection: Connection) -> None:
        for statement in statements:
            connection.run(statement)

    await store.database.write(TENANT, work)


def told(verdict: Verdict) -> list[tuple[int, int, str]]:
    """What a check has found."""
    return [(fault.first, fault.last, fault.what) for fault in verdict.faults]


async def test_i_29_a_change_names_who_by_what_from_where_and_in_which_run(store: SqlStore) -> None:
    """Each change of a resource is a line, in the order of the changes, with everything about its author."""
    await people(store, 1)
    await title(store, "1-0", "boss", Author("rollbook restore", AT + 1, None, "command line: ann"))
    await store.delete(TENANT, USER, "1-0", Author("source hr", AT + 2, run=13))
    journal = SqlJournal(store.database)
    assert await journal.seal(AT + 5)
    found = await lines(journal)
    assert [(line.number, line.act, line.type, line.subject, line.outcome) for line in found] == [
        (1, "create", "User", "1-0", "done"),
        (2, "update", "User", "1-0", "done"),
        (3, "delete", "User", "1-0", "done"),
    ]
    assert [
        (line.author, line.credential, line.origin, line.run, line.at, line.sealed) for line in found
    ] == [
        ("token hr", "tok1", "192.0.2.7", 12, AT, AT + 5),
        ("rollbook restore", None, "command line: ann", None, AT + 1, AT + 5),
        ("source hr", None, None, 13, AT + 2, AT + 5),
    ]
    assert [entry.credential for entry in await store.changes(TENANT, 0, 9)] == ["tok1", None, None]


async def test_i_29_an_act_is_told_with_what_was_done_or_not_at_all(store: SqlStore) -> None:
    """An act of a write that is refused, or comes to nothing, is not told; one that is done is, in its transaction."""
    act = Act(ANN, TENANT, "token.revoke", "token", "none")
    assert not await store.revoke_token(TENANT, "none", AT, act)
    tenants = SqlTenants(store.database)
    made = await tenants.create("acme", AT, core_catalog(), author=ANN)
    with pytest.raises(Exception, match="another tenant's"):
        await tenants.create("acme", AT, core_catalog(), author=ANN)
    journal = SqlJournal(store.database)
    await journal.write([Act(ANN, 0, "request", outcome="refused", times=7, detail={"status": 401})])
    await journal.seal(AT)
    assert {
        (line.tenant, line.act, line.subject, line.outcome, line.times) for line in await lines(journal)
    } == {
        (made.number, "tenant.create", "acme", "done", 1),
        (0, "request", "", "refused", 7),
    }


async def test_t_87_an_untouched_log_holds(url: str) -> None:
    """Of several tenants, over several seals, sealed by several at once; the first lines not signed, some not sealed then."""
    async with opened(url, NOWHERE) as plain:
        await people(plain, 3)
        journals = [SqlJournal(plain.database), SqlJournal(plain.database)]
        await journals[0].seal(AT)
        await people(plain, 2, TENANT + 1)
        await journals[1].write([Act(ANN, 0, "export"), Act(ANN, TENANT, "import")])
        await journals[1].seal(AT + 1)
        await title(plain, "1-0", "boss")
        await journals[0].seal(AT + 2)
        await title(plain, "1-0", "captain")
    async with opened(url, HERE) as store:
        await title(store, "1-0", "chief")
        signed = SqlJournal(store.database)
        await signed.write([Act(ANN, 0, "export")])
        assert told(await signed.check()) == []
        await signed.seal(AT + 3)
        verdict = await signed.check((await signed.head()).text)
        assert told(verdict) == []
        assert (verdict.lines, verdict.head.number, verdict.waiting, verdict.without_key) == (11, 11, 0, 8)
        assert verdict.signed_from == 10
        assert [line.number for line in await lines(signed)] == list(range(1, 12))
        await title(store, "1-0", "late")
        assert (await signed.check()).waiting == 1
    async with opened(url, HERE) as again:
        await title(again, "1-0", "later")
        assert told(await SqlJournal(again.database).check()) == []


FORGED = """
    INSERT INTO act (id, number, owner, at, author, act, type, subject, outcome, times, detail)
    SELECT 'x', 3, owner, at, author, act, type, subject, outcome, times, detail FROM act WHERE number = 7
"""
SPOILED: dict[str, tuple[list[str], list[tuple[int, int, str]]]] = {
    "who of a change": (["UPDATE change SET author = 'somebody' WHERE sequence = 3"], [(3, 3, faults.ALTERED)]),
    "from where": (["UPDATE change SET origin = NULL WHERE sequence = 3"], [(3, 3, faults.ALTERED)]),
    "when": (["UPDATE change SET at = at + 1 WHERE sequence = 3"], [(3, 3, faults.ALTERED)]),
    "a change is removed": (["DELETE FROM change WHERE sequence = 4"], [(4, 4, faults.REMOVED)]),
    "two changes are swapped": (
        [
            "UPDATE change SET sequence = 999 WHERE sequence = 2",
            "UPDATE change SET sequence = 2 WHERE sequence = 5",
            "UPDATE change SET sequence = 5 WHERE sequence = 999",
        ],
        [(2, 2, faults.ALTERED), (5, 5, faults.ALTERED)],
    ),
    "outcome of an act": (["UPDATE act SET outcome = 'done' WHERE number = 7"], [(7, 7, faults.ALTERED)]),
    "an act is removed": (["DELETE FROM act WHERE number = 7"], [(7, 7, faults.REMOVED)]),
    "acts are swapped": (
        [
            "UPDATE act SET number = 999 WHERE number = 7",
            "UPDATE act SET number = 7 WHERE number = 8",
            "UPDATE act SET number = 8 WHERE number = 999",
        ],
        [(7, 8, faults.ALTERED)],
    ),
    "an act is inserted": (
        [
            FORGED,
        ],
        [(7, 7, f"{faults.INSERTED}: act 3")],
    ),
    "an act is put behind the end": (["UPDATE act SET number = 90 WHERE number = 8"], [(8, 8, faults.REMOVED), (90, 90, faults.INSERTED)]),
    "a seal is removed with its lines": (
        ["DELETE FROM act WHERE number IN (7, 8)", "DELETE FROM seal WHERE log = 0"],
        [(7, 8, faults.SEAL_REMOVED)],
    ),
    "a seal is altered": (["UPDATE seal SET at = at - 5 WHERE number = 7"], [(7, 8, faults.SEAL_ALTERED)]),
    "seals are swapped": (
        [
            "UPDATE seal SET number = 999 WHERE number = 7",
            "UPDATE seal SET number = 6 WHERE number = 9",
            "UPDATE seal SET number = 9 WHERE number = 999",
        ],
        [(6, 6, faults.SEAL_INSERTED)],
    ),
    "the last change is removed": (
        ["DELETE FROM change WHERE sequence = 7", "DELETE FROM seal WHERE number = 9"],
        [(8, 8, f"{faults.NEWEST_REMOVED}: change 7 of tenant number 1")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("keys", [NO_KEYS, KEYED, None], ids=["plain", "keyed", "signed"])
@pytest.mark.parametrize("name", SPOILED)
async def test_t_87_what_was_done_to_the_log_is_found(url: str, name: str, keys: SealKeys | None) -> None:
    """Lines altered, removed, inserted or put elsewhere in the database itself are found, and which they are."""
    async with opened(url, HERE if keys is None else NOWHERE) as store:
        journal = SqlJournal(store.database, keys)
        await people(store, 6)
        await journal.seal(AT)
        await journal.write([Act(ANN, TENANT, "export", outcome="refused"), Act(ANN, TENANT, "import")])
        await journal.seal(AT)
        await title(store, "1-0", "boss")
        await journal.seal(AT)
        assert told(await journal.check()) == []
        statements, expected = SPOILED[name]
        await spoil(store, *statements)
        found = told(await SqlJournal(store.database, keys).check())
        assert found[: len(expected)] == expected


@pytest.mark.parametrize(
    ("tenant", "gone", "first"),
    [(TENANT, "3", 3), (TENANT, "4", 4), (TENANT, "3, 4", 3), (TENANT + 1, "1", 1), (TENANT, "99", None)],
)
async def test_t_87_a_change_removed_before_it_is_sealed_is_found(
    plain: SqlStore, tenant: int, gone: str, first: int | None
) -> None:
    """By the numbers of those around it, which they were given when they were written."""
    journal = SqlJournal(plain.database, KEYED)
    await people(plain, 2)
    assert await journal.seal(AT)
    await people(plain, 2, TENANT + 1)
    for text in ("boss", "chief", "head"):
        await title(plain, "1-0", text)
    await spoil(plain, f"DELETE FROM change WHERE tenant = {tenant} AND sequence IN ({gone})")
    assert await journal.seal(AT + 1)
    found = [what for _, _, what in told(await journal.check())]
    place = f"change {first} of tenant number {tenant}"
    assert found == ([] if first is None else [f"{faults.REMOVED_EARLY}: {place}"])


async def test_t_87_what_was_missing_before_there_was_an_audit_log_is_no_fault(plain: SqlStore) -> None:
    """A database whose history was shortened before its first line was sealed."""
    await people(plain, 5)
    await spoil(plain, "DELETE FROM change WHERE sequence IN (1, 3)")
    journal = SqlJournal(plain.database, KEYED)
    assert await journal.seal(AT)
    await title(plain, "1-0", "boss")
    assert await journal.seal(AT + 1)
    assert told(await journal.check()) == []


async def test_t_87_old_acts_are_forgotten_and_the_rest_holds(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches, each told by a line; a deleted tenant's line stays, as do changes; what goes besides is still found."""
    monkeypatch.setattr(journal_forget, "BATCH", 4)
    tenants = SqlTenants(store.database)
    made = await tenants.create("acme", AT, core_catalog(), author=ANN)
    await people(store, 2, made.number)
    journal = SqlJournal(store.database, KEYED)
    await journal.write([Act(ANN, 0, "export") for _ in range(9)])
    await journal.write([Act(replace(ANN, at=AT + 10), 0, "import")])
    assert await journal.seal(AT)
    head = (await journal.head()).text
    author = Author("rollbook audit forget", AT + 20)
    assert await journal.forget(AT + 5, author) == 10
    assert await journal.forget(AT + 5, author) == 0
    assert await journal.seal(AT + 30)
    verdict = await journal.check(head)
    assert (told(verdict), verdict.removed) == ([], 10)
    left = [line for line in await lines(journal) if line.type != "User"]
    assert [line.act for line in left] == ["import", *["audit.forget"] * 3]
    assert sum(line.times for line in left if line.act == "audit.forget") == 10
    await spoil(store, "DELETE FROM act WHERE act = 'import'")
    assert [what for _, _, what in told(await journal.check())] == [faults.REMOVED]
    assert await journal.forget(AT + 1_000, author) == 0  # the lines that tell what went stay


async def made_anew(store: SqlStore, keys: SealKeys) -> None:
    """Change a line, take away every seal, and seal anew: by whoever can write the database and run Rollbook."""
    await spoil(
        store,
        "UPDATE change SET author = 'nobody' WHERE sequence = 1",
        "DELETE FROM seal",
        "UPDATE act SET number = NULL",
    )
    await SqlJournal(store.database, keys).seal(AT)


async def test_t_87_a_log_made_anew_is_found_by_a_kept_head(plain: SqlStore) -> None:
    """Without a key all seals can be made anew; a head that was kept elsewhere is not among them then. Nor after a tail was cut off."""
    await people(plain, 3)
    journal = SqlJournal(plain.database)
    await journal.seal(AT)
    kept = await journal.head()
    assert told(await journal.check(kept.text)) == told(await journal.check(kept.hash.hex())) == []
    await title(plain, "1-0", "boss")
    await journal.seal(AT)
    assert told(await journal.check(kept.text)) == []
    later = await journal.head()
    await spoil(
        plain,
        "DELETE FROM seal WHERE number = 4",
        "DELETE FROM change WHERE sequence = 4",
        "UPDATE sequence SET change = 3",
    )
    assert told(await journal.check()) == []
    assert told(await journal.check(later.text)) == [(3, 3, faults.HEAD_GONE)]
    await made_anew(plain, NO_KEYS)
    assert told(await journal.check()) == []
    assert told(await journal.check(kept.text)) == [(3, 3, faults.HEAD_GONE)]


async def test_t_87_a_log_made_anew_is_found_by_the_key(plain: SqlStore) -> None:
    """Who has not the key cannot make a seal that holds: neither by another key nor without one."""
    await people(plain, 3)
    journal = SqlJournal(plain.database, KEYED)
    await journal.seal(AT)
    await made_anew(plain, SealKeys("k1", {"k1": b"some other key"}))
    assert (1, 3, faults.SEAL_ALTERED) in told(await journal.check())
    await made_anew(plain, KEYED)
    await title(plain, "1-0", "boss")
    assert not await SqlJournal(plain.database).seal(AT), (
        "without the key nothing is sealed behind a key's seal"
    )
    assert told(await SqlJournal(plain.database).check()) == [(1, 3, faults.NO_SUCH_KEY)]
    await journal.seal(AT)
    await spoil(plain, "UPDATE seal SET key = '' WHERE number = 4")
    assert (4, 4, faults.WITHOUT_KEY) in told(await journal.check())
    await made_anew(plain, NO_KEYS)
    assert (await journal.check()).without_key == 4, "and it is told how much no key has sealed"


async def test_t_87_what_is_forgotten_by_rule_can_be_told_from_what_is_removed(store: SqlStore) -> None:
    """Compaction seals first and tells which lines went: the rest holds; a line more that goes is found."""
    journal, archive = SqlJournal(store.database), Archive(store, TENANT)
    await people(store, 2)
    for number in range(4):
        await title(store, "1-0", str(number), replace(ANN, at=AT + number))
    by = Author("rollbook database compact", AT + 9, origin="command line: ann")
    assert await archive.compact(AT + 9, by, journal) > 0
    assert told(await journal.check()) == []
    await journal.seal(AT + 10)
    verdict = await journal.check()
    assert told(verdict) == []
    assert verdict.removed == 4
    last = (await lines(journal))[-1]
    assert (last.act, last.author, last.times) == (FORGETTING, by.name, 4)
    assert [line.number for line in await lines(journal)] == [2, 6, 7]
    await title(store, "1-0", "more")
    await journal.seal(AT + 11)
    await spoil(store, "DELETE FROM change WHERE sequence = 2")
    assert told(await journal.check()) == [(2, 2, faults.REMOVED)]


async def test_t_87_a_deleted_tenant_leaves_its_lines_verifiable(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its changes go with it, and a line says so; nobody can say that of a tenant which is there."""
    monkeypatch.setattr("rollbook.storage.sql.tenants.ROWS", 2)
    tenants, journal = SqlTenants(store.database), SqlJournal(store.database)
    gone = await tenants.create("acme", AT, core_catalog(), author=ANN)
    await people(store, 3, gone.number)
    await people(store, 1)
    await journal.seal(AT)
    while await tenants.delete(gone.number, AT, ANN):
        assert told(await journal.check()) == []  # also in the middle, and if it is broken off there
    await journal.seal(AT)
    verdict = await journal.check()
    assert told(verdict) == []
    assert verdict.removed == 3
    assert [line.act for line in await lines(journal)] == ["tenant.create", "create", "tenant.delete"]
    await journal.write([Act(ANN, TENANT, DELETING)])
    await journal.seal(AT)
    await spoil(store, "DELETE FROM change WHERE tenant = 1")
    assert (await journal.check()).faults[0].what == faults.REMOVED


async def test_t_87_many_lines_are_under_one_seal(store: SqlStore) -> None:
    """What is sealed together takes one row; it is read from any line on, in either direction, and gaps begin another."""
    await people(store, 300)
    journal = SqlJournal(store.database)
    await journal.seal(AT)
    ((rows,),) = await store.database.read(lambda connection: connection.all("SELECT count(*) FROM seal"))
    assert rows == 2
    assert [line.number for line in await lines(journal, 254)] == list(range(255, 301))
    newest = [line.number async for line in journal.newest(258)]
    assert newest == list(range(257, 0, -1))
    assert await journal.first_since(AT) == 1
    assert await journal.first_since(AT + 1) is None


async def test_t_87_sealers_do_not_disturb_each_other(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is overtaken between reading and writing begins anew: each row has one line."""
    await people(store, 3)
    first, second = SqlJournal(store.database), SqlJournal(store.database)
    keep: Callable[[Any], Any] = first._keep

    async def overtaken(made: Any) -> None:
        monkeypatch.setattr(first, "_keep", keep)
        await second.seal(AT)
        await title(store, "1-0", "boss")
        await keep(made)

    monkeypatch.setattr(first, "_keep", overtaken)
    await first.write([Act(ANN, 0, "export")])
    await first.seal(AT + 1)
    assert told(await first.check()) == []
    assert [line.act for line in await lines(first)] == ["export", *["create"] * 3, "update"]
    assert seals.MOST > 4


async def test_i_29_erasing_leaves_who_did_it(store: SqlStore) -> None:
    """What somebody was goes for good; that they were erased, and by whom, stays."""
    await people(store, 1)
    await Archive(store, TENANT).erase(USER, "1-0", ANN, USUAL)
    journal = SqlJournal(store.database)
    await journal.seal(AT)
    assert [(line.act, line.author) for line in await lines(journal)][-1] == ("erase", "token hr")
    assert told(await journal.check()) == []
