"""The suite of changes on a SCIM server, by meta.lastModified (C-7-08); by cursor and by index."""

from collections.abc import Iterator

import pytest
from tests.provisioning.sources.changes import *  # noqa: F403 - the suite
from tests.provisioning.sources.changes import read
from tests.provisioning.sources.scim_service import Service

from rollbook.client import ScimClient
from rollbook.protocol import urns
from rollbook.provisioning.sources.base import Source, SourceError
from rollbook.provisioning.sources.scim_server import scim_server
from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Fault, Profile, error, html


class Users:
    """The users of a service."""

    mail = "emails"
    sees_departures = False

    def __init__(self, service: Service, url: str, overlap: int = 0) -> None:
        self.service, self.url, self.overlap = service, url, overlap
        self.filter: str | None = None

    def put(self, name: str, mail: str) -> str:
        """Make or change somebody."""
        document = {"schemas": [urns.USER], "userName": name, "emails": [{"value": mail}]}
        users = self.service.resources["Users"]
        present = next((own for own, one in users.items() if one["userName"] == name), None)
        if present is None:
            return self.service.add("Users", self.service.touch(document))
        users[present] = self.service.touch({"id": present, **document})
        return present

    def drop(self, name: str) -> None:
        """Remove somebody."""
        users = self.service.resources["Users"]
        del users[next(own for own, one in users.items() if one["userName"] == name)]

    def source(self) -> Source:
        """The source."""
        url = f"{self.url}/v2"
        return scim_server(lambda: ScimClient(url), url, self.filter, "id", ("emails",), self.overlap)


@pytest.fixture(params=[True, False], ids=["cursor", "index"])
def feed(request: pytest.FixtureRequest) -> Iterator[Users]:
    """A service that gives pages of two."""
    service = Service(Profile(page_limit=2), cursors=request.param)
    with served(service) as url:
        yield Users(service, url)


def test_pages_by_what_the_service_can_do(feed: Users) -> None:
    """C-7-05: by cursor where it has them, by index where not; nobody lost either way."""
    for number in range(5):
        feed.put(f"p{number}", "x@example.com")
    assert len(read(feed).mails) == 5
    lists = [one.query for one in feed.service.requests if one.path == "/Users"]
    assert len(lists) == 3
    assert all(("cursor" in query) == feed.service.cursors for query in lists)


def test_the_overlap_and_the_filter(feed: Users) -> None:
    """C-7-08: a little more than needed is read again, and only of those the filter finds."""
    feed.overlap, feed.filter = 1_500, "active eq true"
    for name in ("ann", "bob", "cy"):
        feed.put(name, "x@example.com")
    mark = read(feed).extent.mark
    assert len(read(feed, mark).mails) == 2  # the one at the mark, and one a second before
    asked = [
        one.query["filter"] for one in feed.service.requests if "lastModified" in str(one.query.get("filter"))
    ]
    assert asked[0].startswith('(active eq true) and meta.lastModified gt "')


def test_a_service_that_cannot_find_by_time(feed: Users) -> None:
    """It is asked for everything then; without times in its answers there is no mark."""
    ann = feed.put("ann", "a@example.com")
    mark = read(feed).extent.mark
    feed.service.faults.append(Fault("GET", "/Users", error(400, "no such filter", "invalidFilter")))
    seen = read(feed, mark)
    assert (seen.extent.since, seen.extent.partial, seen.there) == (None, False, {ann})
    assert "everything was read" in str(seen.extent.remark)
    for one in feed.service.resources["Users"].values():
        del one["meta"]
    assert read(feed).extent.mark is None


def test_a_reading_of_changes_that_breaks_is_none(feed: Users) -> None:
    """FE-09: what fails for a while is a failure, and no reason to read everything."""
    feed.put("ann", "a@example.com")
    mark = read(feed).extent.mark
    feed.service.faults.append(Fault("GET", "/Users", html(503), times=9))
    with pytest.raises(SourceError, match="503"):
        feed.source().open(mark)
