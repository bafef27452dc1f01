"""The audit log over a database: written, sealed, read, checked, and shortened so that the rest still holds."""

from collections.abc import AsyncIterator, Sequence

from rollbook.storage.base import Act, Author
from rollbook.storage.journal import NO_KEYS, Head, Line, SealKeys, Verdict
from rollbook.storage.sql import acts, journal_check, journal_forget, journal_lines, seals
from rollbook.storage.sql.connection import OF_NO_TENANT, Connection, Database
from rollbook.storage.sql.journal_check import Progress
from rollbook.storage.sql.seals import Made, Start


class _Behind(Exception):
    """Somebody else has sealed; what was begun is undone."""


class SqlJournal:
    """The audit log of all tenants of a database."""

    def __init__(self, database: Database, keys: SealKeys | None = None) -> None:
        self._database = database
        self._keys = keys
        self._start: Start | None = None

    @property
    def keys(self) -> SealKeys:
        """What seals are made with, and judged by: what lines are signed with, unless something else was given."""
        return self._keys or self._database.signer.keys or NO_KEYS

    async def write(self, told: Sequence[Act]) -> None:
        """Tell acts that have no transaction of their own."""
        if told:
            await self._database.write(
                told[0].tenant or OF_NO_TENANT, lambda connection: acts.add(connection, told)
            )

    async def seal(self, at: int) -> bool:
        """Seal everything that is committed by now; False if the last seals have a key that is not here.

        `at` is milliseconds since 1970. Several processes may do so at once.
        """
        await self._database.signer.settled()
        while True:
            made = await self._database.read(lambda connection: self._make(connection, at))
            if made is None:
                return False
            if not made.seals:
                return True
            await self._keep(made)

    async def _keep(self, made: Made) -> None:
        """Write seals, unless others have sealed since they were made."""
        try:
            await self._database.write(OF_NO_TENANT, lambda connection: _write(connection, made), long=True)
        except _Behind:
            self._start = None
        else:
            last = made.seals[-1]
            self._start = Start(Head(last.end, last.hash), last.key, made.places)

    def _make(self, connection: Connection, at: int) -> Made | None:
        """The seals to write; what was known of the last ones is read anew if others have sealed."""
        head, key = seals.head(connection)
        if key and not self.keys.current:
            return None
        known = self._start
        if known is None or known.head != head:
            known = seals.start(connection)
        made = seals.make(connection, known, self.keys, at)
        self._start = known if made.seals else known._replace(places=made.places)
        return made

    async def head(self) -> Head:
        """The last line that is sealed."""
        return (await self._database.read(seals.head))[0]

    async def lines(self, after: int = 0) -> AsyncIterator[Line]:
        """Sealed lines with numbers above that one, in order."""
        then: int | None = after
        while then is not None:
            begin = then
            page = await self._database.read(lambda connection: journal_lines.after(connection, begin))  # noqa: B023 - awaited here
            for line in page.lines:
                yield line
            then = page.then

    async def newest(self, before: int) -> AsyncIterator[Line]:
        """Sealed lines with numbers below that one, the last of them first."""
        then: int | None = before
        while then is not None:
            begin = then
            page = await self._database.read(lambda connection: journal_lines.before(connection, begin))  # noqa: B023 - as above
            for line in page.lines:
                yield line
            then = page.then

    async def first_since(self, at: int) -> int | None:
        """The first line that was sealed at a moment or later; None if there is none."""
        return await self._database.read(lambda connection: journal_lines.first_since(connection, at))

    async def forget(self, older_than: int, author: Author) -> int:
        """Forget lines of acts that are older than a moment and sealed; how many. The log can be checked as before."""
        forgotten, after = 0, 0
        while True:
            begin = after
            then, gone = await self._database.write(
                OF_NO_TENANT,
                lambda connection: journal_forget.forget(connection, begin, older_than, author),  # noqa: B023 - awaited here
                long=True,
            )
            forgotten += gone
            if then is None:
                return forgotten
            after = then

    async def check(self, kept: str | None = None, progress: Progress = lambda _: None) -> Verdict:
        """Whether every line is what it was; looks at all of them. See `journal_check`."""
        await self._database.signer.settled()
        return await self._database.read(
            lambda connection: journal_check.check(connection, self.keys, kept, progress), unbounded=True
        )


def _write(connection: Connection, made: Made) -> None:
    if not seals.write(connection, made):
        raise _Behind
