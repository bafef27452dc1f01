"""Names that nobody else has: who gets which, and that they are kept."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.provisioning.people_hub import USER, World, a_world

from rollbook.protocol.resource import Change
from rollbook.protocol.schema import ResourceType
from rollbook.provisioning.report import Action, PullReport
from rollbook.storage.base import USUAL, Author, Record, Rules
from rollbook.storage.sql.sqlite_file import SqliteFile
from rollbook.storage.sql.store import SqlStore

pytestmark = pytest.mark.anyio

RULES = """
version: 1
sources:
  hr:
    type: csv
    path: people.csv
    key: id
    users:
      externalId: {from: id}
      userName:
        unique:
          - 'slug(translit(record.first)) + "." + slug(translit(record.last)) + "@x.org"'
          - 'slug(translit(record.first)).charAt(0) + slug(translit(record.last)) + "@x.org"'
      nickName: {unique: ['slug(translit(record.first))']}
      name.givenName: {from: first}
      name.familyName: {from: last}
"""
HEADER = "id,first,last"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An empty hub."""
    async with a_world(tmp_path) as made:
        made.rules = RULES
        yield made


async def pull(world: World, *rows: str, **more: Any) -> dict[str, str]:
    """Pull these people; who is called what afterwards, by externalId."""
    world.write(*rows, header=HEADER)
    report = await world.pull(**more)
    assert report.problems == []
    return {user["externalId"]: name for name, user in (await world.users()).items()}


SAME = tuple(f"{number},Ann,Lee" for number in range(1, 6))
NAMES = {
    "1": "ann.lee@x.org",
    "2": "alee@x.org",
    "3": "alee2@x.org",
    "4": "alee3@x.org",
    "5": "alee4@x.org",
}


async def test_people_of_the_same_name_in_one_batch(world: World) -> None:
    """Each has an account: the candidates in order, then the last with a number before its @."""
    assert await pull(world, *SAME) == NAMES
    nick_names = sorted(user["nickName"] for user in (await world.users()).values())
    assert nick_names == ["ann", "ann2", "ann3", "ann4", "ann5"]


async def test_a_dry_run_shows_the_names_of_the_pull(world: World) -> None:
    """The same names for the same people, without anything being written."""
    world.write("0,Bea,Lee", *SAME, header=HEADER)
    await world.pull(dry_run=True)
    shown = {change.key: change.name for change in world.seen if change.action is Action.CREATE}
    assert await world.users() == {}
    assert shown == {**NAMES, "0": "bea.lee@x.org"}
    assert await pull(world, "0,Bea,Lee", *SAME) == shown


async def test_a_name_is_kept_for_ever_after(world: World) -> None:
    """Also when the person has another name, when a better one is free, and when somebody leaves the file and returns."""
    await pull(world, *SAME)
    assert await pull(world, "1,Ann,Ray", *SAME[1:]) == NAMES
    await pull(world, *SAME[1:])
    assert await pull(world, "1,Anna,Ray", *SAME[1:]) == NAMES
    before = await world.last_change()
    await pull(world, "1,Anna,Ray", *SAME[1:])
    assert await world.last_change() == before


async def test_who_is_adopted(world: World) -> None:
    """Keeps what there is, and gets what is missing; a name that somebody else in the hub has is not taken."""
    await world.add_user({"userName": "old", "externalId": "1"}, "a")
    await world.add_user({"userName": "ANN.LEE@X.ORG", "nickName": "ann"}, "b")
    world.write("1,Ann,Lee", "2,Ann,Lee", header=HEADER)
    await world.pull()
    users = await world.users()
    assert {user["id"]: name for name, user in users.items() if len(user["id"]) == 1} == {
        "a": "old",
        "b": "ANN.LEE@X.ORG",
    }
    assert users["old"]["nickName"] == "ann2"
    assert users["alee@x.org"]["nickName"] == "ann3"


async def test_who_was_deleted_in_the_hub_and_comes_back(world: World) -> None:
    """Is somebody new, and has a name like anybody new."""
    await pull(world, *SAME[:2])
    gone = (await world.users())["ann.lee@x.org"]["id"]
    await world.store.delete(1, USER, gone, Author("test", 0))
    assert await pull(world, "1,Ann,Ray", SAME[1]) == {"1": "ann.ray@x.org", "2": "alee@x.org"}


@pytest.mark.parametrize(("rows", "names"), [(("1,Ελένη,Παππά",), {"1": "eleni.pappa@x.org"}), ((), {})])
async def test_names_in_any_script(world: World, rows: tuple[str, ...], names: dict[str, str]) -> None:
    """A name of signs only is none: the next candidate counts."""
    other = "9,,Lee"
    assert await pull(world, *rows, other.replace(",,", ",X,")) == {**names, "9": "x.lee@x.org"}


async def test_nobody_is_called_by_signs_only(world: World) -> None:
    """Where no candidate has a letter or a digit, the person is told and stops nobody else."""
    world.rules = RULES.replace(' + "@x.org"', "")
    world.write("1,!,?", "2,Ann,Lee", header=HEADER)
    report = await world.pull()
    ((problem),) = report.problems
    assert "userName: no candidate gives a name" in problem.reason
    assert set(await world.users()) == {"ann.lee"}


class Contested(SqlStore):
    """A store in which somebody else is quicker, once."""

    rivals: list[str]

    async def insert(
        self,
        tenant: int,
        resource_type: ResourceType,
        id: str,
        change: Change,
        author: Author,
        rules: Rules = USUAL,
    ) -> Record:
        """Let the rival go first."""
        if self.rivals:
            rival = Change({"userName": self.rivals.pop()})
            await super().insert(tenant, resource_type, f"rival-{len(self.rivals)}", rival, author, rules)
        return await super().insert(tenant, resource_type, id, change, author, rules)


async def test_a_name_that_is_taken_while_it_is_written(world: World) -> None:
    """The store's refusal is believed, and the next name is tried, in the same pull."""
    contested = Contested(SqliteFile(world.folder / "hub.db"), world.store.catalog)
    contested.rivals = ["alee@x.org", "ann.lee@x.org"]
    await contested.open()
    try:
        world.hub = replace(world.hub, store=contested)
        report = await _pulled(world)
    finally:
        await contested.close()
    assert (report.created, report.problems) == (1, [])
    names = {name for name, user in (await world.users()).items() if not user["id"].startswith("rival")}
    assert names == {"alee2@x.org"}


async def _pulled(world: World) -> PullReport:
    world.write("1,Ann,Lee", header=HEADER)
    return await world.pull()


async def test_a_refusal_that_is_not_about_the_name(world: World) -> None:
    """Is told as ever: another name would not help."""
    head, _, rest = RULES.partition("      userName:")
    world.rules = f"{head}      userName: {{value: same}}\n      nickName:{rest.partition('nickName:')[2]}"
    world.write("1,Ann,Lee", "2,Bea,Lee", header=HEADER)
    report = await world.pull()
    assert report.created == 1
    assert "same" in report.problems[0].reason


async def test_each_name_is_looked_for_once(world: World) -> None:
    """Two hundred people of one name ask the hub for as many names, not for the square of it."""
    asked: list[str] = []
    hub = world.hub

    class Counting(type(hub)):  # type: ignore[misc]  # the hub itself, counting
        async def search(self, resource_type: ResourceType, attribute: str, value: str) -> Any:
            asked.append(value)
            return await super().search(resource_type, attribute, value)

    world.hub = Counting(hub.store, hub.records, hub.catalog, hub.tenant, hub.now, hub.new_id)
    world.rules = RULES.replace("      nickName: {unique: ['slug(translit(record.first))']}\n", "")
    names = await pull(world, *(f"{number},Ann,Lee" for number in range(150)))
    assert len(set(names.values())) == 150
    looked_for = [value for value in asked if value.endswith("@x.org")]
    assert len(looked_for) == len(set(looked_for)) == 150
