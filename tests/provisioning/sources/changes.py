"""What every kind of source that tells changes promises, in one suite: its tests name a factory (`feed`)."""

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from rollbook.provisioning.sources.base import Extent, Gone, Row, Same, Source


class Feed(Protocol):
    """People somewhere, and the source that reads them. Their key is the place's own; column `mail` is there."""

    mail: str
    """The column of the mail address."""
    sees_departures: bool
    """Whether a reading of changes tells who is gone."""

    def put(self, name: str, mail: str) -> str:
        """Make or change somebody; their key."""

    def drop(self, name: str) -> None:
        """Remove somebody."""

    def source(self) -> Source:
        """The source."""


@dataclass
class Seen:
    """A reading, whole."""

    extent: Extent
    mails: dict[str, str]
    same: set[str]
    gone: set[str]

    @property
    def there(self) -> set[str]:
        """Whoever it says is there."""
        return self.mails.keys() | self.same


def read(feed: Feed, since: str | None = None) -> Seen:
    """Read everything, or changes."""
    with closing(feed.source().open(since)) as reading:
        rows = list(reading.rows())
        assert rows == list(reading.rows()), "the same each time"
        return Seen(
            reading.extent,
            {row.key: row.record[feed.mail] for row in rows if isinstance(row, Row)},
            {row.key for row in rows if isinstance(row, Same)},
            {row.key for row in rows if isinstance(row, Gone)},
        )


def _fill(feed: Feed, names: Iterable[str] = ("ann", "bob", "cy")) -> dict[str, str]:
    return {name: feed.put(name, f"{name}@old.example") for name in names}


def test_everything_ends_with_a_mark(feed: Feed) -> None:
    """The first reading has everybody, and where the next one begins."""
    keys = _fill(feed)
    seen = read(feed)
    assert seen.there == set(keys.values())
    assert seen.extent.since is None
    assert not seen.extent.partial
    assert seen.extent.mark


def test_changes_since_a_mark(feed: Feed) -> None:
    """Who has changed and who is new is there with all values; who has not is not sent again."""
    keys = _fill(feed)
    mark = read(feed).extent.mark
    feed.put("bob", "bob@new.example")
    new = feed.put("dee", "dee@new.example")
    seen = read(feed, mark)
    assert seen.extent.since == mark
    assert seen.mails[keys["bob"]] == "bob@new.example"
    assert seen.mails[new] == "dee@new.example"
    assert keys["ann"] not in seen.mails


def test_silence_says_nothing(feed: Feed) -> None:
    """Who has not changed is not gone: either nothing is said of them, or that they are there."""
    keys = _fill(feed)
    mark = read(feed).extent.mark
    feed.put("bob", "bob@new.example")
    seen = read(feed, mark)
    assert not seen.gone
    assert seen.extent.partial or seen.there == set(keys.values())


def test_who_is_gone(feed: Feed) -> None:
    """A departure is told by name, or by naming all others, or not at all; never of anybody else."""
    keys = _fill(feed)
    mark = read(feed).extent.mark
    feed.drop("ann")
    seen = read(feed, mark)
    if not feed.sees_departures:
        assert seen.extent.partial
        assert not seen.gone
    elif seen.extent.partial:
        assert seen.gone == {keys["ann"]}
    else:
        assert seen.there == {keys["bob"], keys["cy"]}
    assert keys["ann"] not in read(feed).there


def test_nothing_has_changed(feed: Feed) -> None:
    """That is no error, lets nobody go, and ends with a mark that is as good."""
    _fill(feed)
    first = read(feed)
    again = read(feed, first.extent.mark)
    assert not again.gone
    assert again.extent.partial or again.there == first.there
    bob = feed.put("bob", "bob@new.example")
    assert read(feed, again.extent.mark).mails[bob] == "bob@new.example"


def test_a_mark_is_good_twice(feed: Feed) -> None:
    """After a crash the changes are read from the former mark once more: they are the same, or more."""
    keys = _fill(feed)
    mark = read(feed).extent.mark
    feed.put("bob", "bob@new.example")
    first = read(feed, mark)
    feed.put("cy", "cy@new.example")
    again = read(feed, mark)
    assert first.mails.items() <= again.mails.items() | {(keys["cy"], "cy@old.example")}
    assert again.mails[keys["cy"]] == "cy@new.example"


def test_a_mark_that_is_none(feed: Feed) -> None:
    """Any doubt means everything, and says so."""
    keys = _fill(feed)
    seen = read(feed, "nonsense")
    assert seen.there == set(keys.values())
    assert seen.extent.mark
    assert not seen.gone
    if seen.extent.since is None:  # or the server itself took it for none, and sent everybody
        assert not seen.extent.partial
        assert "everything was read" in str(seen.extent.remark)
