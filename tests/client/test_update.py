"""Read, change, write (client.md 6); ETags; what a service turns out not to have."""

from dataclasses import replace

import pytest
from tests.client.services import sent, service, user

from rollbook.client import Capabilities, ScimResource
from rollbook.client.changes import patch_operations
from rollbook.protocol import errors, urns
from rollbook.protocol.values import JsonObject
from rollbook.testing.scripted_target import Answer, Fault, Profile, error

pytestmark = pytest.mark.anyio


def titled(title: str | None) -> "Change":
    """A change of the title."""

    def change(document: JsonObject) -> JsonObject:
        document["title"] = title
        return document

    return Change(change)


class Change:
    """A function that counts its calls."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.calls = 0

    def __call__(self, document: JsonObject) -> JsonObject:
        self.calls += 1
        return self._inner(document)  # type: ignore[operator,no-any-return]


OLD = {
    "id": "1",
    "meta": {"version": "a"},
    "schemas": [urns.USER],
    "userName": "ada",
    "title": "Dr",
    "active": True,
}
ENTERPRISE = urns.ENTERPRISE_USER
CHANGES: list[tuple[str, JsonObject, JsonObject, list[JsonObject]]] = [
    ("nothing", OLD, OLD, []),
    ("theirs", OLD, {**OLD, "id": "2", "meta": {}, "schemas": []}, []),
    ("replace", OLD, {**OLD, "title": "Prof"}, [{"op": "replace", "path": "title", "value": "Prof"}]),
    ("c-3-09-none", OLD, {**OLD, "title": None}, [{"op": "remove", "path": "title"}]),
    (
        "c-3-09-absent",
        OLD,
        {k: v for k, v in OLD.items() if k != "title"},
        [{"op": "remove", "path": "title"}],
    ),
    ("c-4-03-empty-is-absent", {**OLD, "emails": []}, OLD, []),
    ("c-3-04-one-is-not-true", OLD, {**OLD, "active": 1}, [{"op": "replace", "path": "active", "value": 1}]),
    (
        "c-3-06-extension",
        {ENTERPRISE: {"department": "R", "costCenter": "7"}},
        {ENTERPRISE: {"department": "S"}},
        [
            {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "S"},
            {"op": "remove", "path": f"{ENTERPRISE}:costCenter"},
        ],
    ),
    (
        "c-6-07-members",
        {"members": [{"value": "1", "display": "x"}, {"value": 'a"b'}]},
        {"members": [{"value": "1"}, {"value": "3"}]},
        [
            {"op": "remove", "path": r'members[value eq "a\"b"]'},
            {"op": "add", "path": "members", "value": [{"value": "3"}]},
        ],
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "expected"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES]
)
def test_c_6_03_c_6_05_differences(old: JsonObject, new: JsonObject, expected: list[JsonObject]) -> None:
    """One operation for each attribute that differs, with its path; what is the service's own is not ours to change."""
    assert patch_operations(old, new) == expected


async def test_c_6_05_one_request_or_none() -> None:
    """A difference is one PATCH, no difference is no request."""
    async with service() as (target, client):
        own_id = target.add("Users", user("ada"))
        changed = await client.update("/Users", own_id, titled("Dr"))
        await client.update("/Users", own_id, titled("Dr"))
    assert changed.body["title"] == "Dr"
    assert sent(target) == [f"GET /Users/{own_id}", f"PATCH /Users/{own_id}", f"GET /Users/{own_id}"]
    assert target.writes[0].body["Operations"] == [{"op": "replace", "path": "title", "value": "Dr"}]


@pytest.mark.parametrize("tells", [True, False])
async def test_c_6_01_c_2_05_put_where_there_is_no_patch(tells: bool) -> None:
    """By PUT with everything that was there; a PATCH that was announced and refused is tried once only."""
    async with service(Profile(patch=False, tells_patch=tells)) as (target, client):
        own_id = target.add("Users", user("ada", nickName="Countess"))
        await client.update("/Users", own_id, titled("Dr"))
        await client.update("/Users", own_id, titled("Prof"))
    assert [request.method for request in target.writes] == (
        ["PUT"] * 2 if tells else ["PATCH", "PUT", "PUT"]
    )
    assert target.resources["Users"][own_id] == {
        "id": own_id,
        **user("ada", nickName="Countess", title="Prof"),
    }


async def test_c_8_the_other_form_once() -> None:
    """400 invalidPath to a PATCH: by PUT, and by PATCH again the next time."""
    async with service() as (target, client):
        own_id = target.add("Users", user("ada"))
        target.faults.append(Fault("PATCH", "/Users", error(400, "no", "invalidPath")))
        await client.update("/Users", own_id, titled("Dr"))
        await client.update("/Users", own_id, titled("Prof"))
    assert [request.method for request in target.writes] == ["PATCH", "PUT", "PATCH"]


async def test_c_6_11_lost_races_are_run_again() -> None:
    """Somebody changes the user in between: both changes are there in the end, and the function was asked twice."""
    async with service(Profile(etags=True)) as (target, client):
        own_id = target.add("Users", user("ada"))

        def meddle(request: object) -> None:
            if len(target.requests) == 1:
                target.resources["Users"][own_id]["nickName"] = "Countess"
                target.versions[own_id] = 1

        target.after = meddle
        change = titled("Dr")
        changed = await client.update("/Users", own_id, change)
    assert change.calls == 2
    assert (changed.body["nickName"], changed.body["title"]) == ("Countess", "Dr")
    assert [request.headers["if-match"] for request in target.writes] == ['W/"0"', 'W/"1"']


@pytest.mark.parametrize("answer", [error(412, "moved"), error(409, "busy")])
async def test_c_6_11_three_times_at_most(answer: Answer) -> None:
    """Who loses four times is told; a value in use is no race."""
    async with service(Profile(etags=True)) as (target, client):
        own_id = target.add("Users", user("ada"))
        target.faults.append(Fault("PATCH", "/Users", answer, times=9))
        with pytest.raises((errors.PreconditionFailed, errors.Conflict)):
            await client.update("/Users", own_id, titled("Dr"))
        assert len(target.writes) == 4
        target.faults[:] = [Fault("PATCH", "/Users", error(409, "in use", "uniqueness"), times=9)]
        with pytest.raises(errors.Uniqueness):
            await client.update("/Users", own_id, titled("Dr"))
    assert len(target.writes) == 5


async def test_c_6_11_can_be_switched_off() -> None:
    """For services that break on If-Match, whatever they announce."""
    async with service(Profile(etags=True), capabilities=lambda told: replace(told, etag=False)) as (
        target,
        client,
    ):
        own_id = target.add("Users", user("ada"))
        await client.update("/Users", own_id, titled("Dr"))
    assert "if-match" not in target.writes[0].headers


async def test_c_8_428_the_version_is_added() -> None:
    """A service that wants If-Match gets it: for a change, and for a delete."""
    async with service(Profile(etags=True, wants_match=True)) as (target, client):
        own_id = target.add("Users", user("ada"))
        await client.replace("/Users", own_id, user("ada", title="Dr"))
        await client.delete("/Users", own_id)
    assert [request.headers.get("if-match") for request in target.writes] == [None, 'W/"0"', None, 'W/"1"']
    assert target.resources["Users"] == {}


async def test_what_has_not_changed_is_not_sent_again() -> None:
    """A read that names what is known gets that itself back (If-None-Match)."""
    async with service(Profile(etags=True)) as (target, client):
        own_id = target.add("Users", user("ada"))
        first = await client.get("/Users", own_id)
        assert await client.get("/Users", own_id, known=first) is first
        await client.update("/Users", own_id, titled("Dr"))
        later = await client.get("/Users", own_id, known=first)
        assert later.body["title"] == "Dr"
        unversioned = ScimResource(own_id, None, None, {})
        assert (await client.get("/Users", own_id, known=unversioned)).body["title"] == "Dr"


async def test_an_etag_in_the_header_is_a_version_too() -> None:
    """Services that leave `meta.version` out often send the header."""
    async with service() as (target, client):
        target.faults.append(Fault("GET", "/Users/", Answer(200, {"id": "1"}, {"etag": 'W/"9"'})))
        assert (await client.get("/Users", "1")).version == 'W/"9"'


async def test_c_2_01_discovery_is_kept_and_can_be_given() -> None:
    """Asked once; again when told to; not at all where it is given."""
    async with service() as (target, client):
        assert (await client.discover()) is (await client.discover())
        assert len(target.requests) == 3
        await client.discover(again=True)
        assert len(target.requests) == 6
    async with service(capabilities=Capabilities(patch=False)) as (target, client):
        own_id = target.add("Users", user("ada"))
        await client.update("/Users", own_id, titled("Dr"))
    assert [request.method for request in target.requests] == ["GET", "PUT"]


async def test_c_6_07_members_in_batches() -> None:
    """A hundred in one request at most."""
    async with service() as (target, client):
        own_id = target.add("Groups", {"displayName": "Staff", "members": [{"value": "old"}]})
        await client.change_members("/Groups", own_id, add=[f"u{n}" for n in range(250)], remove=["old"])
    assert len(target.writes) == 4
    assert [item["value"] for item in target.resources["Groups"][own_id]["members"]] == [
        f"u{n}" for n in range(250)
    ]


async def test_c_1_07_search_by_post_by_choice_and_by_itself() -> None:
    """By POST from the first query on, or from the first refusal on; where there is no .search, by GET, asked once."""
    async with service(Profile(dot_search=True), search_by_post=True) as (target, client):
        target.add("Users", user("ada"))
        assert len(await client.find("/Users", {"userName": "ada"})) == 1
    assert sent(target) == ["POST /Users/.search"]
    assert target.writes == []
    async with service(search_by_post=True) as (target, client):
        await client.find("/Users", {"userName": "ada"})
        await client.find("/Users", {"userName": "ada"})
    assert sent(target) == ["POST /Users/.search", "GET /Users", "GET /Users"]
    async with service(Profile(dot_search=True)) as (target, client):
        target.faults.append(Fault("GET", "/Users", error(403, "no", "sensitive")))
        await client.find("/Users", {"userName": "ada"})
        await client.find("/Users", {"userName": "ada"})
    assert sent(target) == ["GET /Users", "POST /Users/.search", "POST /Users/.search"]
    async with service() as (target, client):
        target.faults.append(Fault("GET", "/Users", error(403, "no", "sensitive"), times=2))
        with pytest.raises(errors.Sensitive):
            await client.find("/Users", {"userName": "ada"})
