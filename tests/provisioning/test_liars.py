"""Targets that lie (T-66): whatever they answer, nobody else's account is written to, and nobody is made twice."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.provisioning.world import World, target, world

from rollbook.provisioning.items import Action
from rollbook.provisioning.model import Leave
from rollbook.testing.scripted_target import Answer, Fault, Profile, error, html

pytestmark = pytest.mark.anyio


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    async with world(tmp_path) as made:
        yield made


@pytest.mark.parametrize("patch", [True, False])
async def test_t_66_a_read_that_shows_somebody_else(hub: World, *, patch: bool) -> None:
    """Asked for ada the target shows grace: nothing is written to either."""
    service = hub.service(profile=Profile(patch=patch))
    ada = await hub.hire("ada")
    await hub.hire("grace")
    await hub.apply(target())
    before, grace = dict(service.resources["Users"]), service.named("Users", "grace")
    own = service.named("Users", "ada")["id"]
    service.faults.append(Fault("GET", f"/Users/{own}", Answer(200, grace), times=99))
    service.requests.clear()
    await hub.change(ada, title="Countess")
    (report,) = await hub.apply(target(), patience=0)
    assert service.writes == []
    assert service.resources["Users"] == before
    assert report.failures[0].failure == "asked about one resource, the answer is about another"


@pytest.mark.parametrize(
    "planted",
    [
        {"userName": "root", "externalId": "e-root"},
        {"userName": "ada", "externalId": "e-root"},
        {"userName": "root", "title": "Administrator"},
    ],
)
async def test_t_66_a_creation_that_names_somebody_elses_account(hub: World, planted: dict[str, str]) -> None:
    """A 201 with an account that was there before is nobody's new one: a person has to look."""
    service = hub.service()
    own = service.add("Users", planted)
    ada = await hub.hire("ada", title="Countess")
    service.faults.append(Fault("POST", "/Users", Answer(201, service.resources["Users"][own])))
    service.profile = Profile(filters=frozenset())
    (report,) = await hub.apply(target(), patience=0)
    link = await hub.link(ada)
    assert link is not None
    assert link.remote_id is None
    assert report.failures[0].failure == f"the target answered with the account of somebody else, {own}"


async def test_t_66_a_target_may_rewrite_names(hub: World) -> None:
    """What it calls the person is its business as long as it is the same person."""
    service = hub.service()
    ada = await hub.hire("ada", title="Countess")
    rewritten = {"id": "r9", "userName": "ada@example.com", "externalId": "E-ADA", "title": "Countess"}
    del rewritten["externalId"]
    service.faults.append(Fault("POST", "/Users", Answer(201, rewritten)))
    await hub.apply(target(), patience=0)
    link = await hub.link(ada)
    assert link is not None
    assert link.remote_id == "r9"


@pytest.mark.parametrize("answer", [html(200), error(403, "not you")])
async def test_t_66_a_deletion_that_answers_with_a_page(hub: World, answer: Answer) -> None:
    """A sign-in page with status 200, or an error in an answer of success, is no deletion: it is done again."""
    service = hub.service()
    ada = await hub.hire("ada")
    await hub.apply(target(leave=Leave.DELETE))
    service.faults.append(Fault("DELETE", "/Users", Answer(200, answer.body, answer.headers, answer.text)))
    await hub.remove(ada)
    (report,) = await hub.apply(target(leave=Leave.DELETE), patience=0)
    assert report.counts[Action.WAIT] == 1
    await hub.apply(target(leave=Leave.DELETE))
    assert service.resources["Users"] == {}


async def test_c_5_03_an_ignored_filter_shows_the_one_on_a_later_page(hub: World) -> None:
    """Whoever stands behind the first page of a target that answers with everybody is found all the same."""
    service = hub.service(profile=Profile(ignores_filters=True, unique=False))
    for number in range(250):
        service.add("Users", {"userName": f"user-{number}", "externalId": f"x-{number}"})
    own = service.add("Users", {"userName": "ada", "externalId": "e-ada"})
    ada = await hub.hire("ada")
    await hub.apply(target())
    link = await hub.link(ada)
    assert link is not None
    assert link.remote_id == own
    assert len(service.resources["Users"]) == 251


async def test_t_66_the_same_account_twice_in_a_list_is_one(hub: World) -> None:
    """A list that repeats an account has one match and not several."""
    service = hub.service()
    own = service.add("Users", {"userName": "ada", "externalId": "e-ada"})
    page = {"totalResults": 2, "Resources": [service.resources["Users"][own]] * 2}
    service.faults.append(Fault("GET", "/Users", Answer(200, page)))
    ada = await hub.hire("ada")
    await hub.apply(target())
    link = await hub.link(ada)
    assert link is not None
    assert link.remote_id == own


@pytest.mark.parametrize("shown", [[], "Lovelace", 1.5, {"FAMILYNAME": "Byron", "givenName": "Ada"}])
async def test_c_4_02_a_put_to_a_target_with_shapes_and_names_of_its_own(hub: World, shown: object) -> None:
    """What it shows in place of an object, or under another case, is replaced and not said twice."""
    service = hub.service(profile=Profile(patch=False))
    own = service.add("Users", {"USERNAME": "ada", "externalId": "e-ada", "Name": shown, "META": {"x": 1}})
    await hub.hire("ADA", {"name": {"familyName": "Lovelace"}}, externalId="e-ada")
    (report,) = await hub.apply(target())
    assert not report.failed
    (put,) = service.writes
    kept = {"givenName": "Ada"} if isinstance(shown, dict) else {}
    assert put.body["name"] == {**kept, "familyName": "Lovelace"}
    assert {"USERNAME", "Name", "META"}.isdisjoint(put.body)
    assert service.resources["Users"][own]["userName"] == "ADA"
