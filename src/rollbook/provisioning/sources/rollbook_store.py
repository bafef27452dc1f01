"""People from the store of another Rollbook, by its change log: what has changed since a mark, deletions too.

The mark is the number of a change, and the epoch of the database that it is of.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any, TypeVar

import orjson

from rollbook.protocol.errors import StoreUnavailable
from rollbook.protocol.query import Query, Walk
from rollbook.protocol.schema import ResourceType
from rollbook.provisioning.sources.base import SourceError
from rollbook.provisioning.sources.flat import flat
from rollbook.provisioning.sources.spool import Anew, Course, Fields, Item, Left, Problem, SpooledSource
from rollbook.provisioning.sources.sql import shown_url
from rollbook.storage.base import Record
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.store import SqlStore

T = TypeVar("T")

PAGE = 500

MOST_CHANGES = 100_000
"""Changes beyond which it costs less to read everything."""


def rollbook_store(url: str, tenant: int, key: str, needed: tuple[str, ...]) -> SpooledSource:
    """The users of a tenant; columns as those of a SCIM server, without groups."""
    return SpooledSource(shown_url(url), key, needed, lambda course: _records(url, tenant, key, course))


def _records(url: str, tenant: int, key: str, course: Course) -> Iterator[Item]:
    # A source is read in a thread, which has a loop of its own for as long as the walk takes.
    loop = asyncio.new_event_loop()
    try:
        store = open_store(url)
        if store.database.is_new:
            raise SourceError(f"{shown_url(url)}: there is no such database")
        loop.run_until_complete(store.open())
        try:
            yield from _Walker(store, tenant, key, loop).walk(course)
        finally:
            loop.run_until_complete(store.close())
    except StoreUnavailable as error:
        raise SourceError(f"{shown_url(url)}: {error.detail}") from None
    finally:
        loop.close()


class _Walker:
    """One walk over an open store."""

    def __init__(self, store: SqlStore, tenant: int, key: str, loop: asyncio.AbstractEventLoop) -> None:
        user = store.catalog.resource_type("User")
        if user is None:
            raise SourceError("the store has no users")
        self._user: ResourceType = user
        self._store = store
        self._tenant = tenant
        self._key = key
        self._loop = loop

    def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def walk(self, course: Course) -> Iterator[Item]:
        """Everything, or what has changed. The mark is from before the walk: what changes meanwhile is read again."""
        last = self._ask(self._store.last_change(self._tenant))
        since = None if course.since is None else self._number(course.since, last)
        course.mark = f"{self._store.epoch} {last}"
        course.partial = since is not None
        yield from self._everybody() if since is None else self._changed(since, last)

    def _number(self, mark: str, last: int) -> int:
        epoch, _, number = mark.partition(" ")
        if epoch != self._store.epoch or not number.isdigit() or int(number) > last:
            raise Anew("the store is not the one that was read before, or was restored")
        if last - int(number) > MOST_CHANGES:
            raise Anew("much has changed")
        return int(number)

    def _everybody(self) -> Iterator[Item]:
        position: bytes | None = None
        while True:
            page = Query(self._user, None, Walk(PAGE, position, counts=False))
            found = self._ask(self._store.search(self._tenant, page, members=False, groups=False))
            yield from map(_record, found.records)
            if found.after is None:
                return
            position = found.after

    def _changed(self, since: int, last: int) -> Iterator[Item]:
        for one in self._ids(since, last):
            record = self._ask(self._store.get(self._tenant, self._user, one, members=False, groups=False))
            if record is not None:
                yield _record(record)
            elif self._key == "id":
                yield Left(one)
            else:
                raise Anew("somebody was deleted, and the log tells of whom by id only (key: id)")

    def _ids(self, since: int, last: int) -> Iterable[str]:
        """The users that changes are of, each once."""
        ids: dict[str, None] = {}
        after = since
        while after < last:
            page = self._ask(self._store.changes(self._tenant, after, PAGE))
            if not page or page[0].sequence != after + 1:
                raise Anew("a part of the change log was forgotten")
            ids |= dict.fromkeys(one.id for one in page if one.resource_type == self._user.name)
            after = page[-1].sequence
        return ids


def _record(found: Record) -> Fields | Problem:
    document = orjson.loads(found.body)
    document.pop("schemas", None)
    try:
        return flat(document) | {"id": found.id}
    except ValueError as error:
        return str(error)
