"""`plan --full`: everybody is worked out anew and compared with what was confirmed last, page by page."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.provisioning.test_preview import lines
from tests.provisioning.world import ENTERPRISE, USERS, World, target, world

from rollbook.provisioning import model
from rollbook.provisioning.items import Action, Item
from rollbook.provisioning.mapping import Constant
from rollbook.provisioning.model import Leave
from rollbook.provisioning.preview import Preview, Previewer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    async with world(tmp_path) as made:
        yield made


async def fully(hub: World, configured: model.Target) -> tuple[list[Item], Preview]:
    """The items of a full preview."""
    previewer = Previewer(hub.engine, configured, hub.connect(configured), full=True)
    return [item async for item in previewer.items()], previewer.preview


async def staff(hub: World, number: int) -> list[str]:
    """So many people, each but the first with the first as manager, and all in one group."""
    first = await hub.hire("boss")
    more = {ENTERPRISE: {"manager": {"value": first}}}
    people = [first, *[await hub.hire(f"p{at}", more) for at in range(number - 1)]]
    await hub.group("all", *people)
    return people


async def test_nothing_is_asked_of_a_target_that_holds_what_it_should(hub: World) -> None:
    """Everybody is looked at, nobody is told, and no request is sent."""
    await staff(hub, 30)
    await hub.apply(target())
    hub.service().requests.clear()
    items, preview = await fully(hub, target())
    assert items == []
    assert preview.compared == {"User": 30, "Group": 1}
    assert preview.counts == {Action.NOTHING: 31}
    assert hub.service().requests == []


async def test_what_no_log_tells_is_found(hub: World) -> None:
    """Rules that changed without their digest: a plan has nothing to look at, a full one finds everybody, and asks about nobody else."""
    people = await staff(hub, 5)
    await hub.apply(target())
    scope = f'externalId pr and not (id eq "{people[4]}")'
    changed = target(users={**USERS, "title": Constant("Boss")}, scope=scope)
    assert changed.digest == target().digest
    found, _ = await hub.preview(changed)
    assert found == []
    items, preview = await fully(hub, changed)
    assert {(item.label, item.action) for item in items} == {
        ("boss", Action.CHANGE),
        ("p0", Action.CHANGE),
        ("p1", Action.CHANGE),
        ("p2", Action.CHANGE),
        ("p3", Action.DISABLE),
    }
    assert preview.pending


async def test_only_those_who_differ_are_asked_about(hub: World) -> None:
    """One of a hundred is not what was confirmed: one account is read."""
    people = await staff(hub, 100)
    await hub.apply(target())
    number = (await hub.progress()).number
    sql = "UPDATE link SET confirmed = ? WHERE target = ? AND id = ?"
    await hub.store.database.write(1, lambda conn: conn.run(sql, (b"other", number, people[7])))
    hub.service().requests.clear()
    items, preview = await fully(hub, target())
    assert items == []
    assert preview.compared == {"User": 100, "Group": 1}
    assert sum("/Users/" in one.path for one in hub.service().requests) == 1


@pytest.mark.parametrize("leave", list(Leave))
async def test_a_full_plan_is_the_plan(hub: World, leave: Leave) -> None:
    """Joiners, movers, leavers with people below them, groups: it says line by line what a plan says."""
    configured = target(leave=leave)
    people = await staff(hub, 12)
    await hub.apply(configured)
    other = await hub.hire("other")
    await hub.change(people[3], title="Other")
    await hub.change(people[4], {ENTERPRISE: {"manager": {"value": other}}})
    await hub.change(people[5], active=False)
    await hub.remove(people[0])
    planned, _ = await hub.preview(configured)
    found, _ = await fully(hub, configured)
    assert lines(found) == lines(planned)
    assert planned


async def test_queries_do_not_grow_with_people(hub: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three hundred people take as many looks at the database as thirty: it goes by pages."""
    looks = 0
    database = hub.store.database
    read, read_now = database.read, database.read_now

    async def counted(work, **how):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN003, ANN202 - passes everything on
        nonlocal looks
        looks += 1
        return await read(work, **how)

    async def counted_now(work, **how):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN003, ANN202 - passes everything on
        nonlocal looks
        looks += 1
        return await read_now(work, **how)

    without_groups = target(groups=None, leave=Leave.DELETE)
    await staff(hub, 30)
    await hub.apply(without_groups)
    monkeypatch.setattr(database, "read", counted)
    monkeypatch.setattr(database, "read_now", counted_now)
    await fully(hub, without_groups)
    few, looks = looks, 0
    for at in range(270):
        await hub.hire(f"more{at}")
    monkeypatch.setattr(database, "read", read)
    monkeypatch.setattr(database, "read_now", read_now)
    await hub.apply(without_groups)
    monkeypatch.setattr(database, "read", counted)
    monkeypatch.setattr(database, "read_now", counted_now)
    looks = 0
    _, preview = await fully(hub, without_groups)
    assert preview.compared == {"User": 300}
    assert looks == few
