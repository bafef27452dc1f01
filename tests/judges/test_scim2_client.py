"""scim2-client walks all operations of a real server, with its own validation of every answer on.

It refuses unexpected statuses, media types and attributes, and answers that lack what the published schemas say is
returned always: https://scim2-client.readthedocs.io.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import (
    Context,
    PatchOp,
    ResponseParameters,
    SCIMException,
    SearchRequest,
)
from tests.blackbox.rollbook_process import TOKEN
from tests.courses import COURSE, CREDIT, DEFINITIONS
from tests.judges.reports import Verdict, report
from tests.judges.servers import base, judged

from rollbook.protocol import urns
from rollbook.protocol.values import JsonObject

pytestmark = pytest.mark.slow

BODIES: dict[str, JsonObject] = {
    "User": {
        "schemas": [urns.USER, urns.ENTERPRISE_USER],
        "userName": "ann",
        "externalId": "e-1",
        "name": {"givenName": "Ann", "familyName": "Åström"},
        "displayName": "Ann Å.",
        "active": True,
        "password": "correct horse battery",
        "emails": [{"value": "ann@example.com", "type": "work", "primary": True}],
        "x509Certificates": [{"value": "TUlJQw=="}],
        urns.ENTERPRISE_USER: {"department": "Engineering", "employeeNumber": "7"},
    },
    "Group": {"schemas": [urns.GROUP], "displayName": "Staff", "externalId": "g-1"},
    "Course": {
        "schemas": [COURSE, CREDIT],
        "code": "SCIM 101",
        "title": "Lecture",
        "seats": 40,
        "fee": 12.5,
        "open": True,
        "begins": "2026-11-23T09:30:00Z",
        "key": "AAEC",
        "homepage": "https://example.com/scim",
        "tags": ["b", "a"],
        "grades": [3, 1],
        "faculty": "Computing",
        "pin": "1234",
        "notes": "bring paper",
        "rooms": [{"value": "R1", "floor": 2, "primary": True}, {"value": "R2"}],
        "exam": {"at": "2027-02-01T08:00:00Z", "minutes": 90, "questions": "secret"},
        CREDIT: {"points": 5, "scale": "ECTS"},
    },
}
LABELS = {"User": "userName", "Group": "displayName", "Course": "code"}
CHANGED = {"User": "nickName", "Group": "displayName", "Course": "title"}


class Walk:
    """A client that has found out what the server serves; it counts the requests it sends."""

    def __init__(self, http: httpx2.Client) -> None:
        self.requests = 0
        http.event_hooks["request"].append(self.count)
        # Models are made while it runs, so types have little to say about what it takes and gives.
        self.client: Any = SyncSCIMClient(http)
        self.client.discover()

    def count(self, _: httpx2.Request) -> None:
        """One more request."""
        self.requests += 1

    def model(self, name: str) -> Any:
        """The class it made of a resource type's schemas."""
        model = self.client.get_resource_model(name)
        assert model is not None
        return model

    def create(self, name: str, **changes: Any) -> Any:
        """Create a resource of that type."""
        body = BODIES[name] | changes
        sent = self.model(name).model_validate(body, scim_ctx=Context.RESOURCE_CREATION_REQUEST)
        return self.client.create(sent)


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walk]:
    """A walk through a server with a resource type of our own; all settings have their defaults."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with (
        judged(tmp_path, definitions=DEFINITIONS) as server,
        httpx2.Client(base_url=base(server), headers=headers, timeout=30) as http,
    ):
        yield Walk(http)


@pytest.mark.parametrize("name", list(BODIES))
def test_every_operation(walk: Walk, name: str, record_property: Verdict) -> None:
    """Discovery, create, read, query, search, replace, modify and delete are answered as it expects."""
    first = walk.create(name)
    others = [walk.create(name, **{LABELS[name]: label}) for label in ("b", "a")]
    reads(walk, name, first)
    queries(walk, name, first, others)
    writes(walk, name, first)
    for made in (first, *others):
        assert walk.client.delete(made.__class__, made.id) is None
        with pytest.raises(SCIMException, match="there is no"):
            walk.client.query(made.__class__, made.id)
    report(record_property, "scim2-client", f"{name}: {walk.requests} requests, every answer valid")


def reads(walk: Walk, name: str, made: Any) -> None:
    """Read by id, by a version that is known, and in part."""
    client, model = walk.client, walk.model(name)
    found = client.query(model, made.id)
    assert found.meta == made.meta
    assert client.query(found) is found  # 304
    part = client.query(model, made.id, ResponseParameters.model_validate({"attributes": [LABELS[name]]}))
    assert set(part.model_dump()) - {"meta"} == {"schemas", "id", LABELS[name]}  # meta has the ETag only
    assert part.meta.location is None


def queries(walk: Walk, name: str, first: Any, others: list[Any]) -> None:
    """Filters, orders, pages by index and by cursor, in the URL and as a body, of one type and of all."""
    client, model, label = walk.client, walk.model(name), LABELS[name]

    def ids(found: Any) -> list[str]:
        return [each.id for each in found.resources or []]

    sought = search(filter=f'{label} eq "a"')
    for answer in (
        client.query(model, query_parameters=sought),
        client.search(model, sought),
        client.query(query_parameters=sought),
        client.search(sought),
    ):
        assert ids(answer) == [others[1].id]
    by_label = [each.id for each in sorted((first, *others), key=lambda each: shown(each, name).lower())]
    page = client.query(model, query_parameters=search(sortBy=label, startIndex=2, count=2))
    assert (page.total_results, page.start_index, ids(page)) == (3, 2, by_label[1:])
    walked: list[str] = []
    cursor = ""
    while cursor is not None:
        page = client.query(model, query_parameters=search(sortBy=label, cursor=cursor, count=1))
        walked += ids(page)
        cursor = page.next_cursor
    assert walked == by_label


def search(**members: Any) -> SearchRequest[Any]:
    """The parameters of a query."""
    return SearchRequest.model_validate(members)


def patch(model: Any, **operation: Any) -> Any:
    """A PatchOp with one operation."""
    message: Any = PatchOp
    return message[model].model_validate({"schemas": [urns.PATCH_OP], "Operations": [operation]})


def shown(resource: Any, name: str) -> str:
    """The label of a resource."""
    return str(resource.model_dump()[LABELS[name]])


def writes(walk: Walk, name: str, made: Any) -> None:
    """Replace with the version last read, and change in part, with a body in the answer and without."""
    client, model = walk.client, walk.model(name)
    found = client.query(model, made.id)
    found.external_id = "new"
    replaced = client.replace(found)
    assert (replaced.external_id, replaced.id) == ("new", made.id)
    with pytest.raises(SCIMException) as refused:
        client.replace(made)  # its version is an older one
    assert refused.value.status == 412
    client.modify(model, made.id, patch(model, op="replace", path=CHANGED[name], value="New"))
    assert client.query(model, made.id).model_dump()[CHANGED[name]] == "New"


def test_members(walk: Walk) -> None:
    """A group with a member is read and changed as it expects, and the user shows it."""
    user = walk.create("User")
    group = walk.create("Group", members=[{"value": user.id, "type": "User"}])
    assert [member.value for member in group.members] == [user.id]
    assert [each.value for each in walk.client.query(walk.model("User"), user.id).groups] == [group.id]
    model = walk.model("Group")
    gone = patch(model, op="remove", path=f'members[value eq "{user.id}"]')
    walk.client.modify(model, group.id, gone)
    assert walk.client.query(model, group.id).members is None
