"""Another Rollbook's store as a source: the suites of sources and of changes, by its change log."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.provisioning.sources.changes import *  # noqa: F403 - the suite of changes
from tests.provisioning.sources.changes import read
from tests.provisioning.sources.conformance import *  # noqa: F403 - the suite
from tests.provisioning.sources.conformance import Make

from rollbook.protocol import urns
from rollbook.protocol.catalog import core_catalog
from rollbook.protocol.resource import Change, Scope
from rollbook.provisioning.sources import rollbook_store as module
from rollbook.provisioning.sources.base import Source, SourceError
from rollbook.provisioning.sources.rollbook_store import rollbook_store
from rollbook.provisioning.sources.spool import Course, Item, SpooledSource
from rollbook.storage.base import Author
from rollbook.storage.ids import new_id
from rollbook.storage.sql.databases import open_store
from rollbook.storage.sql.epochs import renew_epoch
from rollbook.storage.sql.store import SqlStore

USER = core_catalog().resource_types[0]
AUTHOR = Author("test", 0)


class People:
    """People in a store."""

    mail = "emails"
    sees_departures = True

    def __init__(self, url: str) -> None:
        self.url = url
        self.loop = asyncio.new_event_loop()
        self.store: SqlStore = open_store(url, core_catalog())
        self.loop.run_until_complete(self.store.open())
        self.ids: dict[str, str] = {}

    def put(self, name: str, mail: str) -> str:
        """Make or change somebody."""
        document: dict[str, object] = {"schemas": [urns.USER], "userName": name, "emails": [{"value": mail}]}
        return self.write(name, document)

    def write(self, name: str, document: dict[str, object]) -> str:
        """Make or change somebody."""
        change = Change(document)
        if name in self.ids:
            work = self.store.update(1, USER, self.ids[name], lambda _: change, Scope(), AUTHOR)
            self.loop.run_until_complete(work)
        else:
            self.ids[name] = new_id()
            self.loop.run_until_complete(self.store.insert(1, USER, self.ids[name], change, AUTHOR))
        return self.ids[name]

    def insert(self, documents: Sequence[dict[str, object]]) -> None:
        """Make all of these side by side."""

        async def work() -> None:
            for start in range(0, len(documents), 200):
                some = documents[start : start + 200]
                await asyncio.gather(
                    *(self.store.insert(1, USER, new_id(), Change(one), AUTHOR) for one in some)
                )

        self.loop.run_until_complete(work())

    def drop(self, name: str) -> None:
        """Remove somebody."""
        self.loop.run_until_complete(self.store.delete(1, USER, self.ids.pop(name), AUTHOR))

    def source(self, key: str = "id") -> Source:
        """The source."""
        return rollbook_store(self.url, 1, key, ("emails",))

    def close(self) -> None:
        """Let go of it."""
        self.loop.run_until_complete(self.store.close())
        self.loop.close()


def _user(one: dict[str, str]) -> dict[str, object]:
    mail = {"emails": [{"value": one["mail"]}]} if "mail" in one else {}
    user = {"userName": f"u{one['id']}", "externalId": one["id"], "displayName": one["name"]}
    return {"schemas": [urns.USER], **user, **mail}


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[People]:
    """An empty store."""
    people = People(f"sqlite:///{tmp_path / 'other.db'}")
    yield people
    people.close()


@pytest.fixture
def make_source(feed: People) -> Make:
    """A store with these users."""

    def make(records: Sequence[dict[str, str]], needed: tuple[str, ...] = ()) -> Source:
        feed.insert([_user(one) for one in records])
        names = {"externalId": "id", "displayName": "name", "emails": "mail"}
        inner = rollbook_store(feed.url, 1, "externalId", ())

        def walk(course: Course) -> Iterator[Item]:
            for record in inner._walk(course):
                assert isinstance(record, dict)
                yield {names[name]: value for name, value in record.items() if name in names}

        return SpooledSource(inner.label, "id", needed, walk)

    return make


def test_a_deletion_is_told_by_id_only(feed: People) -> None:
    """With another key everything is read after one: nobody is guessed."""
    feed.put("ann", "a@example.com")
    feed.put("bob", "b@example.com")
    reading = feed.source("userName").open()
    mark = reading.extent.mark
    reading.close()
    feed.drop("bob")
    reading = feed.source("userName").open(mark)
    assert not reading.extent.partial
    assert [row.key for row in reading.rows()] == ["ann"]
    assert "key: id" in str(reading.extent.remark)
    reading.close()


@pytest.mark.parametrize("doubt", ["restored", "much", "forgotten"])
def test_doubts_about_the_log(feed: People, monkeypatch: pytest.MonkeyPatch, doubt: str) -> None:
    """A restored store, too many changes, a log with a gap: everything is read, and says why."""
    ann = feed.put("ann", "a@example.com")
    mark = read(feed).extent.mark
    feed.put("ann", "b@example.com")
    feed.put("ann", "c@example.com")
    if doubt == "restored":
        feed.loop.run_until_complete(feed.store.database.write(0, renew_epoch))
    elif doubt == "much":
        monkeypatch.setattr(module, "MOST_CHANGES", 1)
    else:
        gone = "DELETE FROM change WHERE tenant = 1 AND sequence = 2"
        feed.loop.run_until_complete(feed.store.database.write(1, lambda conn: conn.run(gone)))
    seen = read(feed, mark)
    assert (seen.extent.since, seen.extent.partial) == (None, False)
    assert seen.mails == {ann: "c@example.com"}
    assert "everything was read" in str(seen.extent.remark)


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    """A misspelt path is said to be one, and makes no database."""
    with pytest.raises(SourceError, match="there is no such database"):
        rollbook_store(f"sqlite:///{tmp_path / 'none.db'}", 1, "id", ()).open()
    assert not (tmp_path / "none.db").exists()
