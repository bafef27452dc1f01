"""Any sequence of days: after each pull the hub is what the file says, and a second pull writes nothing."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.provisioning.people_hub import ENTERPRISE, World, a_world

from rollbook.protocol.values import JsonObject
from rollbook.provisioning.sources.base import SourceError

KEYS = st.integers(1, 6).map(str)
PERSON = st.fixed_dictionaries({
    "name": st.sampled_from(["a", "b", "c", "d", "e", "f", "g"]),
    "department": st.sampled_from(["Sales", "Legal", ""]),
    "manager": st.sampled_from(["", "1", "2", "3", "9"]),
})  # fmt: skip
DAY = st.dictionaries(KEYS, PERSON, min_size=1).filter(
    lambda day: len({person["name"] for person in day.values()}) == len(day)
)
Day = dict[str, dict[str, str]]


async def live(days: list[Day]) -> None:
    """Pull day after day."""
    with tempfile.TemporaryDirectory() as folder:
        async with a_world(Path(folder)) as world:
            for day in days:
                await one_day(world, day)


async def one_day(world: World, day: Day) -> None:
    """Pull one day and compare; a day that is refused changes nothing."""
    rows = [
        f"{key},First{key},Last{key},{one['name']}@x,{one['department']},{one['manager']},"
        for key, one in day.items()
    ]
    before = await world.last_change()
    try:
        report = await world.pull(*rows)
    except SourceError:
        assert await world.last_change() == before
        return
    refused = {one.person: one.reason for one in report.problems if "left empty" not in one.reason}
    assert all("userName" in reason for reason in refused.values())
    users = {user["externalId"]: user for user in (await world.users()).values()}
    groups = await world.groups()
    for key in day.keys() - refused.keys():
        assert shown(users[key], groups) == expected(day[key], users)
    assert not [key for key, user in users.items() if key not in day and user["active"]]
    for _ in range(4):  # a chain of names moves on by two links with each pull
        await world.pull()
    settled = await world.last_change()
    await world.pull()
    assert await world.last_change() == settled


def shown(user: JsonObject, groups: dict[str, set[str]]) -> tuple[object, ...]:
    """What a user is in the hub."""
    name = user["userName"]
    department = user.get(ENTERPRISE, {}).get("department", "")
    return name, user["active"], department, user["manager"], {g for g in groups if name in groups[g]}


def expected(person: dict[str, str], users: dict[str, JsonObject]) -> tuple[object, ...]:
    """What the file says of them."""
    department = person["department"]
    manager = users.get(person["manager"], {}).get("id")
    return f"{person['name']}@x", True, department, manager, {f"dept-{department}"} if department else set()


@settings(max_examples=15, deadline=None)
@given(st.lists(DAY, min_size=1, max_size=4))
def test_any_days(days: list[Day]) -> None:
    """I-16, FE-22: hires, moves, renames, leavers, returns and managers in any order; only names may clash."""
    asyncio.run(live(days))
