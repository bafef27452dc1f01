"""The suite of sources on SCIM servers: our own by cursor, and others by index, with what goes wrong there."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest
from tests.provisioning.sources.conformance import *  # noqa: F403 - the suite
from tests.provisioning.sources.conformance import Make
from tests.provisioning.sources.scim_service import Service

from rollbook.client import ScimClient
from rollbook.protocol import urns
from rollbook.provisioning.sources.base import Row, Source, SourceError
from rollbook.provisioning.sources.scim_server import scim_server
from rollbook.provisioning.sources.spool import Course, Item, SpooledSource
from rollbook.testing.http_server import served
from rollbook.testing.scripted_target import Fault, Profile, ScriptedTarget, html


@pytest.fixture(params=[True, False], ids=["cursor", "index"])
def make_source(request: pytest.FixtureRequest) -> Iterator[Make]:
    """A server with these users, which gives pages of 100."""
    with ExitStack() as stack:

        def make(records: Sequence[dict[str, str]], needed: tuple[str, ...] = ()) -> Source:
            target = Service(Profile(token="secret", page_limit=100), cursors=request.param)
            for one in records:
                target.add("Users", {"schemas": [urns.USER], **_user(one)})
            url = stack.enter_context(served(target)) + "/v2"
            return _renamed(
                scim_server(lambda: ScimClient(url, "secret"), url, None, "externalId", ()), needed
            )

        yield make


def _user(one: dict[str, str]) -> dict[str, object]:
    mail = {"emails": [{"value": one["mail"], "type": "work"}]} if "mail" in one else {}
    return {"externalId": one["id"], "userName": f"u{one['id']}", "displayName": one["name"], **mail}


def _renamed(source: object, needed: tuple[str, ...]) -> Source:
    """Its attributes under the names of the suite."""
    assert isinstance(source, SpooledSource)
    names = {"externalId": "id", "displayName": "name", "emails": "mail"}

    def walk(course: Course) -> Iterator[Item]:
        for record in source._walk(course):
            assert isinstance(record, dict)
            yield {names[name]: value for name, value in record.items() if name in names}

    return SpooledSource(source.label, "id", needed, walk)


def test_names_of_attributes() -> None:
    """Parts with dots, the work mail by its type, extensions by their short name; no schemas, no meta, no password."""
    target = ScriptedTarget(Profile(token="secret"))
    target.add(
        "Users",
        {
            "schemas": [urns.USER],
            "userName": "ada",
            "password": "never",
            "meta": {"version": "1"},
            "name": {"givenName": "Ada"},
            "active": True,
            "emails": [{"value": "h@x", "type": "home"}, {"value": "w@x", "type": "work", "primary": True}],
            urns.ENTERPRISE_USER: {"department": "R&D"},
        },
    )
    with served(target) as url:
        reading = scim_server(lambda: ScimClient(f"{url}/v2", "secret"), url, None, "id", ()).open()
        (row,) = reading.rows()
        reading.close()
    assert isinstance(row, Row)
    assert row.record == {
        "id": "remote-1",
        "userName": "ada",
        "name.givenName": "Ada",
        "active": "true",
        "emails": "w@x",
        "emails.home": "h@x",
        "emails.work": "w@x",
        "enterprise.department": "R&D",
    }


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("GET", "/Users", html(502)), "HTTP 502 with HTML"),
        (Fault("GET", "/Users", times=9), "no answer"),
        (Fault("GET", "/Users", html(404)), "HTML"),
    ],
)
def test_a_reading_that_is_not_whole_is_refused(fault: Fault, words: str) -> None:
    """FE-09: what was seen before the fault says nothing about those who were not."""
    target = ScriptedTarget(Profile(page_limit=2))
    for number in range(5):
        target.add("Users", {"schemas": [urns.USER], "userName": f"u{number}"})
    target.faults.append(fault)
    with served(target) as url, pytest.raises(SourceError) as refused:
        scim_server(lambda: ScimClient(f"{url}/v2", "secret"), url, None, "id", ()).open()
    assert words in refused.value.detail


def test_a_list_that_repeats_itself_is_refused() -> None:
    """C-7-02: a server that ignores startIndex never comes to an end."""

    class Stuck(ScriptedTarget):
        def _list(self, endpoint: str, request: object) -> object:  # type: ignore[override]
            request.query.pop("startIndex", None)  # type: ignore[attr-defined]
            return super()._list(endpoint, request)  # type: ignore[arg-type]

    target = Stuck(Profile(page_limit=2))
    for number in range(5):
        target.add("Users", {"schemas": [urns.USER], "userName": f"u{number}"})
    with served(target) as url, pytest.raises(SourceError, match="not known to be complete"):
        scim_server(lambda: ScimClient(f"{url}/v2", "secret"), url, None, "id", ()).open()
