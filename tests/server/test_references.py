"""References over HTTP: what is taken, what is shown, what is found, and what a deletion leaves (A-37, A-69 to A-71, A-79)."""

from typing import Any
from urllib.parse import quote

import pytest
from tests.clubs import DEFINITIONS, DESK
from tests.server.conftest import Told
from tests.server.test_clubs import PATH, create, read
from tests.server.test_endpoints import BASE, USERS, patch

from rollbook.protocol import urns
from rollbook.testing.asgi import AsgiCaller

pytestmark = pytest.mark.anyio

ENTERPRISE = urns.ENTERPRISE_USER
MANAGER = f"{ENTERPRISE}:manager"


@pytest.fixture
async def clubs(told: Told) -> AsgiCaller:
    """A server with students, professors and desks."""
    return await told(definitions=DEFINITIONS)


async def _user(call: AsgiCaller, name: str, manager: Any = None, **attributes: Any) -> Any:
    extension = {ENTERPRISE: {"manager": manager}} if manager is not None else {}
    return await create(call, "User", userName=name, **attributes, **extension)


def _shown(user: Any, type: str = "User", label: str = "displayName") -> Any:
    name = user.get("displayName", user.get("userName"))
    return {"value": user["id"], "$ref": f"{BASE}/{type}s/{user['id']}", label: name}


@pytest.mark.spec("S-74", "S-26")
async def test_every_answer_shows_it_whole(call: AsgiCaller) -> None:
    """POST, GET, PUT, PATCH and lists show URI and label of the manager as they are now."""
    boss = await _user(call, "boss", displayName="The Boss")
    ann = await _user(call, "ann", {"value": boss["id"]})
    assert ann[ENTERPRISE]["manager"] == _shown(boss)
    where = f"{USERS}/{ann['id']}"
    renamed = (await call("PUT", f"{USERS}/{boss['id']}", {**boss, "displayName": "Chief"})).json
    body = {"schemas": ann["schemas"], "userName": "ann", ENTERPRISE: {"manager": {"value": boss["id"]}}}
    answers = [
        (await call("GET", where)).json,
        (await call("GET", f"{USERS}?filter=userName%20eq%20%22ann%22")).json["Resources"][0],
        (await call("PUT", where, body)).json,
        (await call("PATCH", where, patch({"op": "add", "path": "title", "value": "x"}))).json,
        (await call("POST", f"{USERS}/.search", {"schemas": [urns.SEARCH_REQUEST], "startIndex": 2})).json[
            "Resources"
        ][0],
        (await call("GET", f"{PATH}/?filter=title%20pr")).json["Resources"][0],
    ]
    assert [each[ENTERPRISE]["manager"] for each in answers] == [_shown(renamed)] * 6


@pytest.mark.spec("S-74")
@pytest.mark.parametrize(
    "rest",
    [
        {"$ref": "../Users/other", "displayName": "X"},
        {"$ref": None, "displayName": None},
        {"$ref": "https://elsewhere.example/", "DISPLAYNAME": "X"},
        {"$REF": ""},
    ],
)
async def test_the_id_counts(call: AsgiCaller, rest: Any) -> None:
    """A-69: whatever a client sends beside `value` is not looked at, in POST, PUT and PATCH."""
    boss, ann = await _user(call, "boss"), await _user(call, "ann")
    sent = {**rest, "value": boss["id"]}
    where = f"{USERS}/{ann['id']}"
    body = {"schemas": [urns.USER, ENTERPRISE], "userName": "ann", ENTERPRISE: {"manager": sent}}
    answers = [
        await call("PATCH", where, patch({"op": "replace", "path": MANAGER, "value": sent})),
        await call("PUT", where, body),
        await call("POST", USERS, {**body, "userName": "bob"}),
    ]
    assert [answer.json[ENTERPRISE]["manager"] for answer in answers] == [_shown(boss)] * 3


@pytest.mark.parametrize(
    "sent", [{"$ref": "../Users/7"}, {"$ref": "../Users/7", "displayName": "x"}, {"$ref": "x", "value": None}]
)
async def test_a_uri_alone_is_refused(call: AsgiCaller, sent: Any) -> None:
    """A-69: a reference without id would be lost without a word; the refusal says what to send."""
    ann = await _user(call, "ann")
    for answer in (
        await call("POST", USERS, {"schemas": [urns.USER], "userName": "bob", ENTERPRISE: {"manager": sent}}),
        await call(
            "PATCH", f"{USERS}/{ann['id']}", patch({"op": "add", "value": {ENTERPRISE: {"manager": sent}}})
        ),
    ):
        assert (answer.status, answer.json["scimType"]) == (400, "invalidValue")
        assert "send the id of a resource as value" in answer.json["detail"]


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"op": "replace", "path": f"{MANAGER}.$ref", "value": "../Users/7"}, 400),
        ({"op": "remove", "path": f"{MANAGER}.$ref"}, 400),
        ({"op": "replace", "path": f"{MANAGER}.displayName", "value": "x"}, 400),
        ({"op": "replace", "value": {f"{MANAGER}.displayName": "x", f"{MANAGER}.$ref": "x"}}, 200),
        ({"op": "remove", "path": f"{MANAGER}.value"}, 200),
    ],
)
async def test_patches_of_parts(call: AsgiCaller, operation: Any, status: int) -> None:
    """A-28, A-69: a path that names a part of the server's is refused; in a value it is passed over."""
    boss = await _user(call, "boss")
    ann = await _user(call, "ann", {"value": boss["id"]})
    answer = await call("PATCH", f"{USERS}/{ann['id']}", patch(operation))
    assert answer.status == status
    assert status == 200 or answer.json["scimType"] == "mutability"
    expected = None if operation["op"] == "remove" and status == 200 else _shown(boss)
    assert (await read(call, ann)).get(ENTERPRISE, {}).get("manager") == expected


async def test_what_leads_nowhere_shows_its_id(call: AsgiCaller) -> None:
    """A reference to nobody, to a group, or by another name of somebody, is shown as it was sent."""
    boss = await _user(call, "boss", externalId="77")
    group = await create(call, "Group", displayName="g")
    for number, manager in enumerate(
        ["nobody", group["id"], "77", "boss", boss["id"].upper(), 'a"b\\c{\u2028']
    ):
        ann = await _user(call, f"u{number}", {"value": manager})
        assert (
            ann[ENTERPRISE]["manager"] == {"value": manager} == (await read(call, ann))[ENTERPRISE]["manager"]
        )


@pytest.mark.parametrize(
    ("query", "manager"),
    [
        ("", "value $ref displayName"),
        (f"?attributes={MANAGER}", "value $ref displayName"),
        (f"?attributes={MANAGER}.value", "value"),
        (f"?attributes={MANAGER}.displayName", "displayName"),
        ("?attributes=userName", None),
        (f"?excludedAttributes={MANAGER}.$ref", "value displayName"),
        (f"?excludedAttributes={MANAGER}.$ref,{MANAGER}.displayName", "value"),
        (f"?excludedAttributes={ENTERPRISE}", None),
    ],
)
async def test_projections(call: AsgiCaller, query: str, manager: str | None) -> None:
    """P-3.4.2.5-02: what is made of a reference is shown or not like any part, and can make a 304 untrue (A-31)."""
    boss = await _user(call, "boss")
    ann = await _user(call, "ann", {"value": boss["id"]})
    shown = (await read(call, ann, query)).get(ENTERPRISE, {}).get("manager")
    wanted = None if manager is None else {name: _shown(boss)[name] for name in manager.split()}
    assert shown == wanted
    answer = await call(
        "GET", f"{USERS}/{ann['id']}{query}", headers={"if-none-match": ann["meta"]["version"]}
    )
    assert answer.status == (304 if manager in {None, "value"} else 200)


async def test_a_reference_that_is_gone_is_known_by_the_version(call: AsgiCaller) -> None:
    """A-31: without references, and without groups ever, a version is the whole truth."""
    boss = await _user(call, "boss")
    ann = await _user(call, "ann", {"value": boss["id"]})
    await call("DELETE", f"{USERS}/{boss['id']}")
    now = await read(call, ann)
    answer = await call("GET", f"{USERS}/{ann['id']}", headers={"if-none-match": now["meta"]["version"]})
    assert answer.status == 304


async def test_of_every_kind(clubs: AsgiCaller) -> None:
    """Single and multi-valued references, in extensions, with parts of the client's, on request, to several types."""
    users = await create(clubs, "User", userName="rich")
    one, two = [await create(clubs, "Professor", displayName=name) for name in ("One", 'T"wo')]
    tutor = await create(clubs, "Student", displayName="Tutor")
    sent = {
        "displayName": "S",
        "advisors": [
            {"type": "first", "value": one["id"]},
            {"value": two["id"]},
            {"value": tutor["id"]},
        ],
        "tutor": {"since": "2024-01-01T00:00:00Z", "value": tutor["id"], "$ref": "x"},
        "sponsor": {"value": users["id"]},
        DESK: {"room": "1", "keeper": {"value": two["id"]}},
    }
    made = await create(clubs, "Student", **sent)
    expected = {
        "advisors": [
            {**_shown(one, "Professor", "display"), "type": "first"},
            _shown(two, "Professor", "display"),
            {"value": tutor["id"]},
        ],
        "tutor": {
            "value": tutor["id"],
            "$ref": f"{BASE}/Students/{tutor['id']}",
            "since": "2024-01-01T00:00:00.000Z",
        },
        DESK: {"room": "1", "keeper": _shown(two, "Professor", "display")},
    }
    sponsor = {"value": users["id"], "$ref": f"{BASE}/Users/{users['id']}", "displayName": "rich"}
    assert {name: made[name] for name in expected} == expected
    assert made["sponsor"] == sponsor
    shown = await read(clubs, made)
    assert {name: shown[name] for name in expected} == expected
    assert "sponsor" not in shown
    assert (await read(clubs, made, "?attributes=sponsor"))["sponsor"] == sponsor
    assert list(shown["advisors"][0]) == ["value", "$ref", "display", "type"]


async def _found(call: AsgiCaller, text: str, kind: str = "Users") -> Any:
    return await call("GET", f"{PATH}/{kind}?filter={quote(text)}")


@pytest.mark.spec("S-26", "S-33")
@pytest.mark.parametrize(
    ("uri", "total"),
    [
        ("{base}/Users/{id}", 1), ("../Users/{id}", 1), ("Users/{id}", 1), ("/scim/v2/Users/{id}", 1),
        ("https://other.example/v1/Users/{id}", 1), ("{base}/Users/{id}/", 1),
        ("{base}/Groups/{id}", 0), ("{id}", 0), ("{base}/Users/", 0), ("{base}/Users/7", 0),
    ],
)  # fmt: skip
async def test_filters_on_the_uri(call: AsgiCaller, uri: str, total: int) -> None:
    """A-71: every form of a URI that leads to the manager finds the user; other versions of the API count as equal."""
    boss = await _user(call, "boss")
    await _user(call, "ann", {"value": boss["id"]})
    text = f'{MANAGER}.$ref eq "{uri.format(base=BASE, id=boss["id"])}"'
    assert (await _found(call, text)).json["totalResults"] == total
    assert (await _found(call, f"not ({text})")).json["totalResults"] == 2 - total


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("Users", f'{MANAGER}.displayName eq "x"', f"filter on {MANAGER}.value"),
        ("Users", f"{MANAGER}.displayName pr", f"filter on {MANAGER}.value"),
        ("Users", f'{MANAGER}[displayName sw "x"]', f"filter on {MANAGER}.value"),
        ("Users", f'{MANAGER}.$ref co "x"', f"filter on {MANAGER}.value"),
        ("Students", 'not (advisors[type eq "a" and display eq "x"])', "filter on advisors.value"),
    ],
)
async def test_filters_on_what_is_not_stored(clubs: AsgiCaller, kind: str, text: str, words: str) -> None:
    """Labels of other resources are not searched in; the refusal says what is."""
    answer = await _found(clubs, text, kind)
    assert (answer.status, answer.json["scimType"]) == (400, "invalidFilter")
    assert words in answer.json["detail"]


@pytest.mark.parametrize("part", ["displayName", "$ref"])
async def test_orders_by_what_is_not_stored(call: AsgiCaller, part: str) -> None:
    """A-43: labels of other resources give no order; their ids do."""
    answer = await call("GET", f"{USERS}?sortBy={MANAGER}.{part}")
    assert (answer.status, answer.json["scimType"]) == (400, "invalidValue")
    assert f"sort by {MANAGER}.value" not in answer.json["detail"]
    assert f"made by the server of {MANAGER}.value; sort by that" in answer.json["detail"]
    assert (await call("GET", f"{USERS}?sortBy={MANAGER}.value")).status == 200


@pytest.mark.parametrize("part", ["display", "$ref"])
async def test_selections_by_what_is_not_stored(clubs: AsgiCaller, part: str) -> None:
    """A PATCH that selects by what is not stored would silently do nothing, so it is refused."""
    student = await create(clubs, "Student", displayName="S")
    change = patch({"op": "remove", "path": f'advisors[{part} eq "x"]'})
    answer = await clubs("PATCH", f"{PATH}/Students/{student['id']}", change)
    assert (answer.status, answer.json["scimType"]) == (400, "invalidFilter")
    assert "select by that" in answer.json["detail"]


@pytest.mark.spec("P-3.6-08")
async def test_what_a_deleted_resource_leaves(clubs: AsgiCaller) -> None:
    """Memberships and references to it are gone, in new versions; what a schema requires stays as an id."""
    gone, other = [await create(clubs, "Professor", displayName=name) for name in ("P", "Q")]
    both = [{"value": gone["id"], "type": "a"}, {"value": other["id"]}]
    student = await create(
        clubs,
        "Student",
        displayName="S",
        advisors=both,
        tutor=both[0],
        **{DESK: {"keeper": both[0], "room": "1"}},
    )
    club = await create(clubs, "Club", displayName="C", members=[{"value": gone["id"]}])
    professor = await create(clubs, "Professor", displayName="R", deputy={"value": gone["id"]})
    assert (await clubs("DELETE", f"{PATH}/Professors/{gone['id']}")).status == 204
    now = await read(clubs, student)
    assert [each["value"] for each in now["advisors"]] == [other["id"]]
    assert "tutor" not in now
    assert now[DESK] == {"keeper": {"value": gone["id"]}, "room": "1"}
    assert "members" not in await read(clubs, club)
    assert "deputy" not in await read(clubs, professor)
    for before in (student, club, professor):
        assert (await read(clubs, before))["meta"]["version"] != before["meta"]["version"]


async def test_strict(told: Told) -> None:
    """A-70: with references=strict a reference must lead to a resource of a type it is for."""
    call = await told("references=strict", definitions=DEFINITIONS)
    boss = await _user(call, "boss")
    ann = await _user(call, "ann", {"value": boss["id"]})
    group = await create(call, "Group", displayName="g", members=[{"value": ann["id"]}])
    student = await create(call, "Student", displayName="S")
    change = patch({"op": "replace", "path": f"{MANAGER}.value", "value": "nobody"})
    ring = patch({"op": "replace", "path": MANAGER, "value": {"value": ann["id"]}})
    wrong = {"schemas": [urns.GROUP], "displayName": "h", "members": [{"value": student["id"]}]}
    for answer, words in (
        (
            await call("PATCH", f"{USERS}/{ann['id']}", change),
            f"{MANAGER}.value: there is no resource with id 'nobody'",
        ),
        (await _created(call, "Users", userName="x", **{ENTERPRISE: {"manager": group["id"]}}), "is a Group"),
        (await call("POST", f"{PATH}/Groups", wrong), "is a Student; it may refer to Group, User only"),
    ):
        assert (answer.status, answer.json["scimType"]) == (400, "invalidValue")
        assert words in answer.json["detail"]
    assert (await call("PATCH", f"{USERS}/{boss['id']}", ring)).status == 200
    assert (await call("PATCH", f"{USERS}/{ann['id']}", ring)).status == 200


async def _created(call: AsgiCaller, kind: str, **attributes: Any) -> Any:
    return await call("POST", f"{PATH}/{kind}", {"schemas": [urns.USER], **attributes})


async def test_tolerant(told: Told) -> None:
    """A-70, A-37: with references=tolerant unknown members are left out, and other references stay."""
    call = await told("references=tolerant")
    boss = await _user(call, "boss")
    ann = await _user(call, "ann", {"value": boss["id"]})
    group = await create(call, "Group", displayName="g", members=[{"value": "nobody"}, {"value": boss["id"]}])
    assert [member["value"] for member in group["members"]] == [boss["id"]]
    add = patch({"op": "add", "path": "members", "value": [{"value": "later"}, {"value": ann["id"]}]})
    assert (await call("PATCH", f"{PATH}/Groups/{group['id']}", add)).status == 204
    assert (await call("DELETE", f"{USERS}/{boss['id']}")).status == 204
    assert [member["value"] for member in (await read(call, group))["members"]] == [ann["id"]]
    now = await read(call, ann)
    assert now[ENTERPRISE]["manager"] == {"value": boss["id"]}
    assert now["meta"]["version"] == ann["meta"]["version"]
