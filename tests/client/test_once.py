"""Creating without duplicates (client.md 5)."""

import pytest
from tests.client.services import sent, service, user

from rollbook.client import Retry
from rollbook.protocol import errors, urns
from rollbook.testing.scripted_target import Answer, Fault, Profile, Recorded, error

pytestmark = pytest.mark.anyio


async def test_c_5_look_then_create() -> None:
    """By externalId, then by userName, then POST; the second time it is there."""
    async with service() as (target, client):
        first = await client.create_once("/Users", user("ada"))
        again = await client.create_once("/Users", user("ada"))
    assert (first.new, again.new, again.resource.id) == (True, False, first.resource.id)
    assert sent(target) == ["GET /Users", "GET /Users", "POST /Users", "GET /Users"]
    queries = [request.query["filter"] for request in target.requests if "filter" in request.query]
    assert queries[:2] == ['externalId eq "e-ada"', 'userName eq "ada"']


@pytest.mark.parametrize("commits", [True, False])
async def test_c_5_01_lost_answers_make_nobody_twice(commits: bool) -> None:
    """Whether the service had stored the user before the connection broke or not: one user in the end."""
    async with service() as (target, client):
        target.faults.append(Fault("POST", "/Users", None, commits=commits))
        created = await client.create_once("/Users", user("ada"))
    assert created.new
    assert list(target.resources["Users"]) == [created.resource.id]
    assert sent(target).count("POST /Users") == (1 if commits else 2)


async def test_c_5_01_no_query_no_second_post() -> None:
    """Where nobody can be looked for, an unknown outcome stays one."""
    async with service(Profile(filters=frozenset())) as (target, client):
        target.faults.append(Fault("POST", "/Users", None, commits=True))
        with pytest.raises(errors.TargetUnavailable):
            await client.create_once("/Users", user("ada"))
    assert sent(target).count("POST /Users") == 1


async def test_c_5_conflict_means_look_again() -> None:
    """Somebody else was quicker: theirs is found; one that no query shows is a conflict."""
    async with service() as (target, client):

        def quicker(request: Recorded) -> None:
            if request.method == "GET" and len(target.requests) == 2:
                target.add("Users", user("ada"))

        target.after = quicker
        found = await client.create_once("/Users", user("ada"))
        target.after = lambda _: None
        target.faults.append(Fault("POST", "/Users", error(409, "hidden", "uniqueness")))
        with pytest.raises(errors.Uniqueness):
            await client.create_once("/Users", user("grace"))
    assert not found.new
    assert len(target.resources["Users"]) == 1


async def test_c_5_several_stop() -> None:
    """Two with one externalId: nothing is sent that could change anything."""
    async with service() as (target, client):
        target.add("Users", user("ada"))
        target.add("Users", {**user("ada2"), "externalId": "e-ada"})
        with pytest.raises(errors.Conflict, match="several"):
            await client.create_once("/Users", user("ada"))
    assert target.writes == []


async def test_c_5_03_ignored_filters_take_nobody_over() -> None:
    """A service that answers every query with everybody: nobody else is taken for the one."""
    async with service(Profile(ignores_filters=True)) as (target, client):
        target.add("Users", user("grace"))
        created = await client.create_once("/Users", user("ada"))
    assert created.new
    assert created.resource.body["userName"] == "ada"


async def test_c_5_04_200_is_somebody_who_was_there() -> None:
    """A service that answers 200 to a create has taken one that it had."""
    async with service() as (target, client):
        target.faults.append(Fault("POST", "/Users", Answer(200, {"id": "7", "userName": "ada"})))
        created = await client.create_once("/Users", user("ada"))
    assert (created.resource.id, created.new) == ("7", False)


async def test_c_4_07_created_in_silence_is_looked_up() -> None:
    """201 with neither body nor Location: found by filter."""
    async with service(Profile(silent_create=True)) as (target, client):
        created = await client.create_once("/Users", user("ada"))
    assert created.new
    assert sent(target).count("POST /Users") == 1


async def test_groups_are_looked_for_by_their_name_and_people_are_not() -> None:
    """Two people may be shown under one name, two groups are told apart by it."""
    async with service() as (target, client):
        group = {"schemas": [urns.GROUP], "displayName": "Staff"}
        assert (await client.create_once("/Groups", group)).new
        assert not (await client.create_once("/Groups", group)).new
        assert (await client.create_once("/Users", user("ada", displayName="Ada"))).new
        assert (await client.create_once("/Users", user("ada2", displayName="Ada"))).new
    assert len(target.resources["Users"]) == 2


async def test_a_refusal_for_load_ends_somewhere() -> None:
    """429 again and again: told, not repeated for ever, and nobody made."""
    async with service(retry=Retry(first=0.001, calls=2)) as (target, client):
        target.faults.append(Fault("POST", "/Users", error(429, "slow"), times=99))
        with pytest.raises(errors.TargetUnavailable):
            await client.create_once("/Users", user("ada"))
    assert target.resources["Users"] == {}


async def test_c_3_03_what_is_the_services_to_say_is_not_sent() -> None:
    """A resource that was read somewhere else goes out without its id and meta."""
    async with service() as (target, client):
        created = await client.create("/Users", {**user("ada"), "id": "x", "meta": {"version": "1"}})
        await client.replace("/Users", created.id, {**created.body, "title": "Dr"})
    assert [sorted({"id", "meta"} & set(request.body)) for request in target.requests] == [[], []]


async def test_c_3_02_schemas_are_completed() -> None:
    """An extension that is used is listed, once."""
    async with service() as (target, client):
        extended = user("ada", **{urns.ENTERPRISE_USER: {"department": "R"}})
        created = await client.create("/Users", extended)
        await client.replace("/Users", created.id, created.body)
    assert [request.body["schemas"] for request in target.requests] == [[urns.USER, urns.ENTERPRISE_USER]] * 2
