"""Lines → resources, in two passes over a file that may be larger than memory, to be gone on with after any end.

The first pass puts in every resource, without members; the second adds members, which may stand before or after the
groups that have them. A batch is read while the one before it is written. How far it has come is written in the
same transaction.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from itertools import islice
from typing import NamedTuple, Protocol

import orjson

from rollbook.operations.lines import Head, Line, read_head, read_line, read_members
from rollbook.operations.passwords import PasswordHasher
from rollbook.operations.tenant_settings import LEAST_CHARACTERS
from rollbook.protocol import validate
from rollbook.protocol.catalog import Adjustment, build_catalog
from rollbook.protocol.errors import InvalidValue, RequestError, Uniqueness
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.query import Page, Query
from rollbook.protocol.quirks import Leniency, Profile
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resource import Change, Present, Resource, Scope
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonValue
from rollbook.storage.base import Author, Rules
from rollbook.storage.sql.index import indexed_paths, is_unique
from rollbook.storage.sql.load import MEMBERS, Joined, Loaded, Mark
from rollbook.storage.sql.store import SqlStore

BATCH_LINES = 1_000
BATCH_BYTES = 8 * 1024 * 1024
"""A batch has at most so many lines, and ends after so many bytes."""

MOST_REFUSED_GROUPS = 10_000
"""Refused resources with members that are remembered for the second pass."""


class OnConflict(StrEnum):
    """What becomes of a line whose resource is there already, by id or by a unique value."""

    FAIL = "fail"
    SKIP = "skip"
    UPDATE = "update"


class Read(NamedTuple):
    """A line of the file: its number, where the next one begins, and what it says, or why that cannot be read."""

    number: int
    end: int
    size: int
    body: JsonValue | RequestError
    is_with_members: bool


class LineFile(Protocol):
    """A file of lines that can be begun anywhere a line begins."""

    @property
    def name(self) -> str:
        """What people call it."""

    def lines(self, offset: int, number: int) -> Iterator[Read]:
        """The lines from there on, the first of which has that number."""


@dataclass
class Progress:
    """How far an import has come; kept in the database, and told to people."""

    stage: int = 1
    offset: int = 0
    line: int = 1
    created: int = 0
    updated: int = 0
    skipped: int = 0
    joined: int = 0
    refused: int = 0
    refused_groups: list[int] = field(default_factory=list)
    late: str | None = None
    """The id of the resource that was made for the present line in the second pass, if it was."""

    @property
    def is_begun(self) -> bool:
        """Whether anything was done."""
        return self.stage > 1 or self.offset > 0


@dataclass(frozen=True)
class Options:
    """How to import."""

    author: Author
    rules: Rules
    profile: Profile
    on_conflict: OnConflict = OnConflict.FAIL
    password_length: int = LEAST_CHARACTERS


class Watch(Protocol):
    """Who is told how it goes."""

    def progress(self, progress: Progress) -> None:
        """So far it has come."""

    def problem(self, line: int, error: RequestError) -> None:
        """A line was refused; the others go in."""


@dataclass
class Importer:
    """An import of one file into one tenant."""

    store: SqlStore
    tenant: int
    options: Options
    passwords: PasswordHasher
    new_id: Callable[[], str]
    watch: Watch
    key: str
    """The setting that keeps how far it has come."""

    async def present(self) -> Progress:
        """How far an earlier run has come that did not end."""
        kept = await self.store.setting(self.key)
        return Progress(**orjson.loads(kept)) if kept else Progress()

    async def run(self, file: LineFile, begun: Progress) -> Progress:
        """Import what is left of the file."""
        at = begun
        head = next((read_head(read.body) for read in file.lines(0, 1)), None)
        if head is not None and not at.is_begun:
            await _take_head(self.store, self.tenant, head, self.options.author)
        if at.stage == 1:
            await self._put_all(file, at, is_export=head is not None)
            at.stage, at.offset, at.line = 2, 0, 1
        await self._join_all(file, at, is_export=head is not None)
        await self.store.drop_setting(self.key)
        self.watch.progress(at)
        return at

    async def _put_all(self, file: LineFile, at: Progress, *, is_export: bool) -> None:
        writing: asyncio.Task[None] | None = None
        for reads in _batches(file.lines(at.offset, at.line)):
            lines = await self._read_batch(reads, is_export=is_export)
            if writing is not None:
                await writing
                self.watch.progress(at)
            writing = asyncio.create_task(self._put(lines, reads, at))
            await asyncio.sleep(0)  # it begins before the next batch is read
        if writing is not None:
            await writing

    async def _read_batch(
        self, reads: Sequence[Read], *, is_export: bool
    ) -> list[Line | RequestError | None]:
        found: list[Line | RequestError | None] = []
        for at, read in enumerate(reads):
            found.append(self._line(read, is_export=is_export))
            if at % 50 == 49:
                await asyncio.sleep(0)  # the batch that is written has its turn
        in_clear = [line for line in found if isinstance(line, Line) and line.password is not None]
        hashed = await asyncio.gather(*map(self._hashed, in_clear))  # each takes a processor for a while
        closed = dict(zip(map(id, in_clear), hashed, strict=True))
        return [closed.get(id(line), line) for line in found]

    def _line(self, read: Read, *, is_export: bool) -> Line | RequestError | None:
        """What a line asks for, None for a head."""
        if isinstance(read.body, RequestError):
            return read.body
        if read_head(read.body) is not None:
            return None
        try:
            return read_line(
                read.body, self.store.catalog, Leniency(self.options.profile), is_export=is_export
            )
        except RequestError as error:
            return error

    async def _hashed(self, line: Line) -> Line | RequestError:
        if line.password is None:
            return line
        try:
            hashes = await self.passwords.hashes([line.password], self.options.password_length)
        except RequestError as error:
            return error
        resource = validate.map_secrets(Resource(line.document), line.kind, hashes.__getitem__)
        return Line(line.kind, line.id, resource.document, line.members, line.kept)

    async def _put(
        self, lines: Sequence[Line | RequestError | None], reads: Sequence[Read], at: Progress
    ) -> None:
        """Write a batch, and how far it has come."""
        kept = [(line, read) for line, read in zip(lines, reads, strict=True) if line is not None]
        batch = [
            Loaded(line.kind, line.id or self.new_id(), line.document, line.kept)
            for line, read in kept
            if isinstance(line, Line) and not _waits(line)
        ]
        after = Progress(**asdict(at))
        after.offset, after.line = reads[-1].end, reads[-1].number + 1
        after.created += len(batch)
        after.refused += sum(isinstance(line, RequestError) for line, _ in kept)
        # Updates come after this transaction: until they are done too, the batch would be begun again.
        mark = self._mark(at if self.options.on_conflict is OnConflict.UPDATE else after)
        results = await self.store.load(self.tenant, batch, self.options.author, self.options.rules, mark)
        outcomes = iter(zip(batch, results, strict=True))
        for line, read in kept:
            if isinstance(line, RequestError):
                self._refuse(after, read, line, counted=True)
            elif not _waits(line):
                loaded, error = next(outcomes)
                if error is not None:
                    await self._settle(after, read, line, loaded, error)
        vars(at).update(vars(after))
        if any(error is not None for error in results) or self.options.on_conflict is OnConflict.UPDATE:
            await self._keep(at)

    async def _settle(
        self, at: Progress, read: Read, line: Line, loaded: Loaded, error: RequestError
    ) -> None:
        """A line whose resource was not created: skipped, an update, or refused."""
        at.created -= 1
        if isinstance(error, Uniqueness) and self.options.on_conflict is not OnConflict.FAIL:
            present = await self._present_id(line.kind, loaded)
            if present is not None and self.options.on_conflict is OnConflict.SKIP:
                at.skipped += 1
                self._leave_members(at, read, line)
                return
            if present is not None:
                await self._update(at, read, line, present)
                return
        self._refuse(at, read, error)
        self._leave_members(at, read, line)

    async def _update(self, at: Progress, read: Read, line: Line, id: str) -> None:
        """Replace what is there by what the line says; its members are added to those there are."""
        replaced = validate.replace(Resource(line.document), line.kind, Leniency(self.options.profile))

        def decide(present: Present) -> Change:
            return Change(replaced(Present(present.document)).document)

        try:
            updated = await self.store.update(
                self.tenant, line.kind, id, decide, Scope(), self.options.author, self.options.rules
            )
        except RequestError as error:
            self._refuse(at, read, error)
            return
        if updated is not None and updated.changed:
            at.updated += 1
        else:
            at.skipped += 1

    async def _present_id(self, kind: ResourceType, loaded: Loaded) -> str | None:
        """The id of the resource that is there in place of a line's."""
        if await self.store.get(self.tenant, kind, loaded.id, members=False, groups=False) is not None:
            return loaded.id
        for path in indexed_paths(kind):
            value = loaded.document.get(path.attribute.name) if path.urn is None and not path.sub else None
            if is_unique(path) and isinstance(value, str):
                leniency = Leniency()
                tree = parse_filter(f"{path.text} eq {orjson.dumps(value).decode()}", leniency)
                query = Query(kind, resolve(tree, kind, leniency), Page(1, 1))
                found = await self.store.search(self.tenant, query, members=False, groups=False)
                if found.records:
                    return found.records[0].id
        return None

    def _leave_members(self, at: Progress, read: Read, line: Line) -> None:
        if line.members:
            at.refused_groups.append(read.number)
            if len(at.refused_groups) > MOST_REFUSED_GROUPS:
                raise InvalidValue(
                    f"more than {MOST_REFUSED_GROUPS} groups were refused; correct the file first"
                )

    async def _join_all(self, file: LineFile, at: Progress, *, is_export: bool) -> None:
        refused = set(at.refused_groups)
        for read in file.lines(at.offset, at.line):
            if read.is_with_members and read.number not in refused:
                line = self._line(read, is_export=is_export)
                if isinstance(line, Line) and line.members:
                    await self._join(at, read, line)
            at.offset, at.line = read.end, read.number + 1

    async def _join(self, at: Progress, read: Read, line: Line) -> None:
        """Add the members that a line names, some thousand in a transaction."""
        identifier = line.id or at.late or await self._put_late(at, read, line)
        if identifier is None:
            return
        try:
            members = read_members(line, Leniency(self.options.profile))
            while some := list(islice(members, MEMBERS)):
                joined = Joined(line.kind, identifier, some, is_kept=line.kept is not None)
                await self.store.join(self.tenant, joined, self.options.author, self.options.rules, None)
        except RequestError as error:
            self._refuse(at, read, error)
        else:
            at.joined += len(line.members)
        at.offset, at.line, at.late = read.end, read.number + 1, None
        await self._keep(at)
        self.watch.progress(at)

    async def _put_late(self, at: Progress, read: Read, line: Line) -> str | None:
        """Create a resource that has members and no id by which a second pass could find it."""
        loaded = Loaded(line.kind, self.new_id(), line.document, line.kept)
        at.late, at.created = loaded.id, at.created + 1
        (error,) = await self.store.load(
            self.tenant, [loaded], self.options.author, self.options.rules, self._mark(at)
        )
        if error is not None:
            at.late = None
            await self._settle(at, read, line, loaded, error)
            return None
        return loaded.id

    def _refuse(self, at: Progress, read: Read, error: RequestError, *, counted: bool = False) -> None:
        at.refused += not counted
        self.watch.problem(read.number, error)

    def _mark(self, at: Progress) -> Mark:
        return Mark(self.key, orjson.dumps(asdict(at)).decode())

    async def _keep(self, at: Progress) -> None:
        await self.store.load(self.tenant, [], self.options.author, self.options.rules, self._mark(at))


async def _take_head(store: SqlStore, tenant: int, head: Head, author: Author) -> None:
    """Make an empty store serve what the file was served by, and go on with its versions.

    Raises:
        InvalidValue: the store has resources, and does not serve a type of the file.
    """
    given = head.definitions if isinstance(head.definitions, dict) else {}
    theirs = build_catalog(given.get("documents", ()), frozenset(map(Adjustment, given.get("adjusted", ()))))
    if not await store.numbers(tenant):
        if theirs != store.catalog or theirs.documents != store.catalog.documents:
            await store.redefine(await store.survey(theirs), author, drop=False)
        if not await store.holds_anything():  # versions of all tenants begin with it
            await store.take_epoch(head.epoch)
        return
    missing = [kind.name for kind in theirs.resource_types if store.catalog.resource_type(kind.name) is None]
    if missing:
        raise InvalidValue(
            f"the file may have resources of type {', '.join(missing)}, which are not served here; "
            "add them with rollbook schema add, or import into an empty database"
        )


def _waits(line: Line) -> bool:
    """Whether a line is left to the second pass as a whole: nothing else could refer to what has no id."""
    return line.id is None and bool(line.members)


def _batches(reads: Iterator[Read]) -> Iterator[list[Read]]:
    batch: list[Read] = []
    size = 0
    for read in reads:
        batch.append(read)
        size += read.size
        if len(batch) == BATCH_LINES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
