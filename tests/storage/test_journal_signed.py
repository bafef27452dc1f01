"""Lines of the audit log are signed when they are written: nothing has to be sealed for a line altered or gone to be found (T-87)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.postgres_server import empty

from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.resource import Change, Scope
from rollbook.storage.base import Act, Author, References, Rules
from rollbook.storage.key_files import NOWHERE, KeySource, make_file, read_file
from rollbook.storage.keyring import new_key
from rollbook.storage.sql import journal_faults as faults
from rollbook.storage.sql import transfer
from rollbook.storage.sql.connection import Connection
from rollbook.storage.sql.databases import backend
from rollbook.storage.sql.journal import SqlJournal
from rollbook.storage.sql.load import Kept, Loaded, Mark
from rollbook.storage.sql.rotation import rotate
from rollbook.storage.sql.store import SqlStore
from rollbook.storage.sql.tenants import SqlTenants
from rollbook.testing.store_steps import TENANT, USER, user

pytestmark = pytest.mark.anyio

AT = 1_700_000_000_000
ANN = Author("token hr", AT, "tok1", "192.0.2.7", 12)
KEY = new_key()
HERE = KeySource("the tests", lambda: KEY.text)
OTHER = TENANT + 1


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    named = f"sqlite:///{tmp_path}/store.db"
    if request.param == "postgresql":
        named = str(request.getfixturevalue("postgres_database"))
        empty(named)
    return named


@asynccontextmanager
async def opened(url: str, keys: KeySource = HERE) -> AsyncIterator[SqlStore]:
    """A store with those keys."""
    found = SqlStore(backend(url), core_catalog(), keys=keys)
    await found.open()
    yield found
    await found.close()


async def people(store: SqlStore, number: int, tenant: int = TENANT, first: int = 0) -> None:
    """Make some users."""
    for at in range(first, first + number):
        await store.insert(tenant, USER, f"{tenant}-{at}", Change(user(f"u{tenant}-{at}")), ANN)


async def title(store: SqlStore, text: str) -> None:
    """Change the first one."""
    document = user(f"{TENANT}-0", title=text)
    await store.update(TENANT, USER, f"{TENANT}-0", lambda _: Change(document), Scope(), ANN)


async def found(store: SqlStore) -> list[str]:
    """What a check finds."""
    return [fault.what for fault in (await SqlJournal(store.database).check()).faults]


class Log:
    """The tables of the log as they were, to be put back."""

    TABLES = ("change", "act", "tally", "seal", "sequence", "tenant")

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self._columns = {table.name: table.columns for table in transfer.tables()}
        self._rows: dict[str, Sequence[Sequence[object]]] = {}

    async def keep(self) -> None:
        """Read them."""

        def read(connection: Connection) -> None:
            for name in self.TABLES:
                self._rows[name] = connection.all(f"SELECT {', '.join(self._columns[name])} FROM {name}")

        await self._store.database.read(read)

    async def put_back(self) -> None:
        """Write them."""

        def write(connection: Connection) -> None:
            for name in self.TABLES:
                columns = self._columns[name]
                connection.run(f"DELETE FROM {name}")
                places = ", ".join("?" * len(columns))
                connection.many(
                    f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({places})",
                    self._rows[name],  # type: ignore[arg-type]
                )

        await self._store.database.write(TENANT, write)

    async def spoil(self, *statements: str) -> None:
        """Do to the database what an administrator could."""

        def work(connection: Connection) -> None:
            for statement in statements:
                connection.run(statement)

        await self._store.database.write(TENANT, work)


TEXTS_OF_CHANGE = ("type", "id", "version", "author", "credential", "origin")
TEXTS_OF_ACT = ("author", "credential", "origin", "act", "type", "subject", "outcome")
ALTERED = {
    **{f"{name} of a change": (f"UPDATE change SET {name} = 'x' WHERE sequence = 2",) for name in TEXTS_OF_CHANGE},
    **{f"{name} of a change": (f"UPDATE change SET {name} = {name} + 1 WHERE sequence = 2",) for name in ("at", "run")},
    "operation of a change": ("UPDATE change SET operation = 'delete' WHERE sequence = 2",),
    "run of a change gone": ("UPDATE change SET run = NULL WHERE sequence = 2",),
    "detail of a change": ("UPDATE change SET detail = stamp WHERE sequence = 2",),
    "stamp of a change": ("UPDATE change SET stamp = (SELECT stamp FROM tally WHERE log = 0) WHERE sequence = 2",),
    "stamp of a change gone": ("UPDATE change SET stamp = NULL WHERE sequence = 2",),
    **{f"{name} of an act": (f"UPDATE act SET {name} = 'x' WHERE place = 2",) for name in TEXTS_OF_ACT},
    **{f"{name} of an act": (f"UPDATE act SET {name} = {name} + 1 WHERE place = 2",) for name in ("owner", "at", "run", "times")},
    "place of an act": ("UPDATE act SET place = 9 WHERE place = 2",),
    "detail of an act": ("UPDATE act SET detail = stamp WHERE place = 2",),
    "stamp of an act gone": ("UPDATE act SET stamp = NULL WHERE place = 2",),
    "two changes are swapped": (
        "UPDATE change SET sequence = 999 WHERE tenant = 1 AND sequence = 2",
        "UPDATE change SET sequence = 2 WHERE tenant = 1 AND sequence = 3",
        "UPDATE change SET sequence = 3 WHERE tenant = 1 AND sequence = 999",
    ),
    "two acts are swapped": (
        "UPDATE act SET place = 999 WHERE place = 2",
        "UPDATE act SET place = 2 WHERE place = 3",
        "UPDATE act SET place = 3 WHERE place = 999",
    ),
    "a change is another tenant's": (
        ("INSERT INTO change SELECT 2, 3, type, id, operation, version, author, at, detail, credential, origin, run, stamp"
        " FROM change WHERE tenant = 1 AND sequence = 3"),
        "UPDATE sequence SET change = 3 WHERE tenant = 2",
        "UPDATE tally SET lines = 3 WHERE log = 2",
    ),
    "a change is copied behind the end": (
        ("INSERT INTO change SELECT 1, 5, type, id, operation, version, author, at, detail, credential, origin, run, stamp"
        " FROM change WHERE tenant = 1 AND sequence = 3"),
        "UPDATE sequence SET change = 5 WHERE tenant = 1",
    ),
    "an act is copied": (
        ("INSERT INTO act (id, owner, at, author, credential, origin, run, act, type, subject, outcome, times, detail, place, stamp)"
        " SELECT 'copy', owner, at, author, credential, origin, run, act, type, subject, outcome, times, detail, place, stamp"
        " FROM act WHERE place = 2"),
    ),
    "an act is made up": (
        ("INSERT INTO act (id, owner, at, author, act, type, subject, outcome, times, detail)"
        " SELECT 'forged', owner, at, author, 'audit.forget', type, subject, outcome, times, detail FROM act WHERE place = 2"),
    ),
    "a change is removed": ("DELETE FROM change WHERE tenant = 1 AND sequence = 2",),
    "the first change is removed": ("DELETE FROM change WHERE tenant = 1 AND sequence = 1",),
    "the last change is removed": (
        "DELETE FROM change WHERE tenant = 1 AND sequence = 4",
        "UPDATE sequence SET change = 3 WHERE tenant = 1",
        "UPDATE tally SET lines = 3 WHERE log = 1",
        "DELETE FROM seal WHERE number > 3",
        "UPDATE act SET number = NULL",
    ),
    "all changes are removed": (
        "DELETE FROM change WHERE tenant = 1",
        "UPDATE sequence SET change = 0 WHERE tenant = 1",
        "UPDATE tally SET lines = 0 WHERE log = 1",
        "DELETE FROM seal",
        "UPDATE act SET number = NULL",
    ),
    "all of a tenant is removed": (
        "DELETE FROM change WHERE tenant = 2",
        "DELETE FROM sequence WHERE tenant = 2",
        "DELETE FROM tally WHERE log = 2",
        "DELETE FROM tenant WHERE number = 2",
        "DELETE FROM seal",
        "UPDATE act SET number = NULL",
    ),
    "an act is removed": ("DELETE FROM act WHERE place = 2",),
    "the last act is removed": (
        "DELETE FROM act WHERE place = 4",
        "UPDATE tally SET lines = 3 WHERE log = 0",
        "DELETE FROM seal",
        "UPDATE act SET number = NULL",
    ),
    "all acts are removed": ("DELETE FROM act", "UPDATE tally SET lines = 0 WHERE log = 0", "DELETE FROM seal"),
    "all acts and their count": ("DELETE FROM act", "DELETE FROM tally WHERE log = 0", "DELETE FROM seal"),
    "the count of changes": ("UPDATE tally SET lines = 3 WHERE log = 1",),
    "the count of acts": ("UPDATE tally SET stamp = NULL WHERE log = 0",),
}  # fmt: skip
"""What is done to a log of four changes and four acts, to lines that nothing is sealed of yet and to those that are."""


@pytest.mark.parametrize("is_sealed", [False, True], ids=["not sealed", "sealed"])
async def test_t_87_each_alteration_is_found_from_the_moment_of_the_commit(
    url: str, *, is_sealed: bool
) -> None:
    """By a check at once, and by one after it was sealed; with everything put back as it was the log holds."""
    async with opened(url) as store:
        journal = SqlJournal(store.database)
        made = await SqlTenants(store.database).create("acme", AT, core_catalog(), author=ANN)
        assert made.number == OTHER
        await journal.write([Act(ANN, OTHER, "export", "t", "s"), Act(ANN, 0, "import", "t", "s")])
        await people(store, 4)
        await people(store, 2, OTHER)
        await journal.write([Act(ANN, 0, "backup", "t", "s")])
        if is_sealed:
            await journal.seal(AT)
        assert await found(store) == []
        as_it_was = Log(store)
        await as_it_was.keep()
        for name, statements in ALTERED.items():
            await as_it_was.spoil(*statements)
            assert await found(store), name
            await SqlJournal(store.database).seal(AT + 1)
            assert await found(store), f"{name}, sealed since"
            await as_it_was.put_back()
        assert await found(store) == []


async def test_t_87_what_is_written_without_the_key_is_told(url: str) -> None:
    """By whoever has the database alone, or by a process that was not given the key: it goes on to work, and verify says so."""
    async with opened(url) as store:
        await people(store, 2)
    async with opened(url, NOWHERE) as keyless:
        await people(keyless, 1, first=2)
        await SqlJournal(keyless.database).write([Act(ANN, 0, "export")])
    async with opened(url) as store:
        assert f"{faults.UNSIGNED}: change 3 of tenant number 1" in await found(store)
        await SqlJournal(store.database).write([Act(ANN, 0, "import")])
        await people(store, 1, first=3)
        await SqlJournal(store.database).seal(AT)
        verdict = await SqlJournal(store.database).check()
        assert {fault.what for fault in verdict.faults} == {faults.UNSIGNED}
        assert sum(fault.last - fault.first + 1 for fault in verdict.faults) == 2


async def test_t_87_signing_does_not_begin_anew(url: str) -> None:
    """Who takes away all stamps and counts, so that lines look as if they were of an earlier version, is found all the same."""
    async with opened(url) as store:
        await people(store, 2)
        await SqlJournal(store.database).seal(AT)
        await people(store, 2, first=2)
        await Log(store).spoil(
            "UPDATE change SET author = 'nobody' WHERE sequence = 4",
            "UPDATE change SET stamp = NULL",
            "UPDATE act SET stamp = NULL",
            "DELETE FROM tally",
        )
    async with opened(url) as store:
        await people(store, 1, first=4)
        await SqlJournal(store.database).seal(AT)
        assert faults.UNSIGNED in await found(store)


async def test_t_87_what_was_kept_and_loaded_is_signed(url: str) -> None:
    """Resources that come in batches, with versions of their own, one by one or together."""
    async with opened(url) as store:
        for number, rules in enumerate((Rules(), Rules(references=References.STRICT))):
            names = [f"l{number}-{at}" for at in range(30)]
            batch = [Loaded(USER, name, user(name), Kept(7, AT, AT)) for name in names]
            assert set(await store.load(TENANT, batch, ANN, rules, Mark("place", str(number)))) == {None}
            assert await found(store) == []
        await SqlJournal(store.database).seal(AT)
        assert await found(store) == []
        assert [entry.version[-3:] for entry in await store.changes(TENANT, 0, 60)] == ['-7"'] * 60


async def test_t_87_two_servers_sign_at_once(url: str) -> None:
    """Changes and acts of both, of the same tenant and of others, some undone: each line has its number and its stamp."""
    async with opened(url) as first, opened(url) as second:

        async def work(store: SqlStore, tenant: int, begin: int) -> None:
            journal = SqlJournal(store.database)
            for at in range(begin, begin + 5):
                await people(store, 1, tenant, at)
                await journal.write([Act(ANN, tenant, "export")])
                await asyncio.gather(people(store, 1, tenant, at), journal.seal(AT), return_exceptions=True)

        await asyncio.gather(work(first, 1, 0), work(second, 1, 10), work(first, 2, 0), work(second, 3, 0))
        assert await found(first) == []
        await SqlJournal(second.database).seal(AT)
        assert await found(second) == []


async def test_t_87_stamps_outlast_rotation_a_copy_and_a_backup(tmp_path: Path) -> None:
    """The key that lines are signed by stays when those outside the database are rotated, and comes along where secrets do."""
    file = tmp_path / "keys"
    make_file(file, new_key())
    keys = KeySource("a file", lambda: read_file(file), file)
    async with opened(f"sqlite:///{tmp_path}/a.db", keys) as store:
        await people(store, 2)
        assert (await rotate(store.database, store.secrets)).is_new
        await people(store, 1, first=2)
        assert await found(store) == []
        store.database.backup(tmp_path / "backup")
        await people(store, 1, first=3)
    source, other = backend(f"sqlite:///{tmp_path}/a.db"), backend(f"sqlite:///{tmp_path}/b.db")
    other.migrate()
    transfer.copy(source, other, lambda *_: None)
    source.restore(tmp_path / "backup", replace=True)
    for name in ("a", "b"):
        async with opened(f"sqlite:///{tmp_path}/{name}.db", keys) as store:
            assert await found(store) == []
            await people(store, 1, first=8)
            await SqlJournal(store.database).seal(AT)
            assert await found(store) == []
