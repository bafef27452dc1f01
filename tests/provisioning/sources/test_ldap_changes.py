"""The suite of changes on slapd with the overlay syncprov: with a session log (deletions are named) and without (all others are)."""

from collections.abc import Iterator

import pytest
from tests.provisioning.sources.changes import *  # noqa: F403 - the suite
from tests.provisioning.sources.changes import read

from rollbook.provisioning.sources.base import Source
from rollbook.provisioning.sources.ldap_directory import Directory, ldap_directory
from rollbook.testing.slapd import ADMIN, BASE, HOW, SYNCPROV, Slapd, is_there, slapd

pytestmark = [
    pytest.mark.skipif(not is_there(), reason=HOW),
    pytest.mark.skipif(not SYNCPROV.exists(), reason=f"needs slapd's overlay syncprov ({SYNCPROV})"),
]


class People:
    """People in a directory."""

    mail = "mail"
    sees_departures = True

    def __init__(self, server: Slapd) -> None:
        self._server = server
        self._names: set[str] = set()
        server.fill([])

    def put(self, name: str, mail: str) -> str:
        """Make or change somebody."""
        if name in self._names:
            self._server.change(name, mail)
        else:
            self._server.fill([{"id": name, "name": name, "mail": mail}], clear=False)
        self._names.add(name)
        found = ldap_directory(self._directory(), "uid", ("entryUUID",)).open()
        keys = {row.record["uid"]: row.record["entryUUID"] for row in found.rows()}  # type: ignore[union-attr] # rows only
        found.close()
        return keys[name]

    def drop(self, name: str) -> None:
        """Remove somebody."""
        self._names.discard(name)
        self._server.change(name, None)

    def source(self) -> Source:
        """The source."""
        return ldap_directory(self._directory(), "entryUUID", ("mail",), changes=True)

    def _directory(self) -> Directory:
        return Directory(self._server.url, BASE, bind_dn=ADMIN, password="secret")


@pytest.fixture(scope="module", params=["", "syncprov-sessionlog 1000"], ids=["present", "delete"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """One server for all tests of each kind."""
    with slapd(tmp_path_factory.mktemp("slapd"), request.param) as running:
        yield running


@pytest.fixture
def feed(server: Slapd) -> People:
    """An empty directory."""
    return People(server)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A server without the overlay."""
    with slapd(tmp_path_factory.mktemp("slapd")) as running:
        yield running


def test_a_server_that_tells_no_changes(plain: Slapd) -> None:
    """Everything is read, page by page, and it is said why; there is no mark."""
    people = People(plain)
    keys = {people.put("ann", "a@example.com"), people.put("bob", "b@example.com")}
    for since in (None, "rid=000,csn=20260101000000.000000Z#000000#000#000000"):
        seen = read(people, since)
        assert seen.there == keys
        assert (seen.extent.since, seen.extent.partial, seen.extent.mark) == (None, False, None)
        assert "overlay syncprov" in str(seen.extent.remark)


def test_who_falls_out_of_the_filter_is_gone(feed: People) -> None:
    """A change by which somebody is not found any more is a departure, too."""
    ann, bob = feed.put("ann", "a@example.com"), feed.put("bob", "b@example.com")

    def only_example(since: str | None = None) -> tuple[set[str], set[str], bool, str | None]:
        directory = Directory(feed._server.url, BASE, "(mail=*@example.com)", ADMIN, "secret")
        people = People.__new__(People)
        people.source = lambda: ldap_directory(directory, "entryUUID", ("mail",), changes=True)  # type: ignore[method-assign] # another filter
        seen = read(people, since)
        return seen.there, seen.gone, seen.extent.partial, seen.extent.mark

    there, _, _, mark = only_example()
    assert there == {ann, bob}
    feed.put("ann", "a@elsewhere.example")
    there, gone, partial, _ = only_example(mark)
    assert gone == {ann} if partial else there == {bob}
