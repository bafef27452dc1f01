"""The suite of sources on a real LDAP server (slapd), with its limit of 500 entries in a page."""

from collections.abc import Iterator, Sequence

import pytest
from tests.provisioning.sources.conformance import *  # noqa: F403 - the suite
from tests.provisioning.sources.conformance import Make

from rollbook.provisioning.sources.base import Row, Source, SourceError
from rollbook.provisioning.sources.ldap_directory import Directory, ldap_directory
from rollbook.provisioning.sources.ldap_directory import records as read_entries
from rollbook.provisioning.sources.spool import Course, Item, SpooledSource
from rollbook.testing.slapd import ADMIN, BASE, HOW, Slapd, is_there, slapd

pytestmark = pytest.mark.skipif(not is_there(), reason=HOW)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """One server for all tests here."""
    with slapd(tmp_path_factory.mktemp("slapd")) as running:
        yield running


@pytest.fixture
def make_source(server: Slapd) -> Make:
    """People in the directory."""

    def make(records: Sequence[dict[str, str]], needed: tuple[str, ...] = ()) -> Source:
        server.fill(records)
        directory = Directory(server.url, BASE, bind_dn=ADMIN, password="secret")
        return _as_in_the_suite(directory, needed)

    return make


def _as_in_the_suite(directory: Directory, needed: tuple[str, ...]) -> Source:
    """Its attributes under the names of the suite."""
    names = {"uid": "id", "cn": "name", "mail": "mail"}

    def walk(course: Course) -> Iterator[Item]:
        for record in read_entries(directory, tuple(names), course):
            yield (
                {names[name]: value for name, value in record.items() if name in names}
                if isinstance(record, dict)
                else record
            )

    return SpooledSource(f"{directory.url}/{directory.base}", "id", needed, walk)


def _directory(server: Slapd, **options: object) -> Directory:
    given = {"bind_dn": ADMIN, "password": "secret", **options}
    return Directory(server.url, BASE, **given)  # type: ignore[arg-type] # options of Directory


def test_attributes_of_a_person(server: Slapd) -> None:
    """Those that are named, in their spelling; several values on a line each; the dn."""
    server.fill([{"id": "ada", "name": "Ada", "mail": "a@x\nb@x"}])
    reading = ldap_directory(
        _directory(server, attributes=("entryUUID",)), "uid", ("mail", "displayName")
    ).open
    with pytest.raises(SourceError, match='no column "displayName"'):
        reading()
    found = ldap_directory(_directory(server, attributes=("entryUUID",)), "UID", ("mail",)).open()
    (row,) = found.rows()
    found.close()
    assert isinstance(row, Row)
    assert row.key == "ada"
    assert row.record["mail"] == "a@x\nb@x"
    assert row.record["dn"] == f"uid=ada,{BASE}"
    assert len(row.record["entryUUID"]) == 36
    assert set(row.record) == {"UID", "mail", "dn", "entryUUID"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"password": "wrong"}, "Invalid credentials"),
        ({"filter": "(((", "bind_dn": ADMIN}, "Bad search filter"),
        ({"base": "ou=nobody,dc=example,dc=com"}, "No such object"),
        ({"url": "ldap://127.0.0.1:1"}, "contact LDAP server"),
        ({"url": "ldap://directory.example.com"}, "write ldaps:// or start_tls: true"),
        ({"start_tls": True}, "TLS"),
    ],
)
def test_what_cannot_be_read(server: Slapd, options: dict[str, object], words: str) -> None:
    """Clear words, and no secret in them."""
    server.fill([{"id": "ada", "name": "Ada"}])
    given = {"url": server.url, "base": BASE, "bind_dn": ADMIN, "password": "secret", **options}
    with pytest.raises(SourceError) as refused:
        ldap_directory(Directory(**given), "uid", ()).open()  # type: ignore[arg-type] # as above
    assert words.lower() in refused.value.detail.lower()
    assert "secret" not in refused.value.detail


def test_the_library_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it there is a command to run, not a traceback."""
    monkeypatch.setitem(__import__("sys").modules, "ldap", None)
    with pytest.raises(SourceError, match=r"pip install 'rollbook\[ldap\]'"):
        ldap_directory(Directory("ldap://127.0.0.1", BASE), "uid", ()).open()
