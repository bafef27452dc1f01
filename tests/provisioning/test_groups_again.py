"""Memberships that a source gave and that were taken away meanwhile, by an undo or by hand."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.provisioning.people_hub import GROUP, World, a_world

from rollbook.protocol.query import Page, Query
from rollbook.protocol.resource import Change, Scope
from rollbook.storage.base import Author

pytestmark = pytest.mark.anyio

ANN = "1,Ann,Müller,ann@example.com,Engineering,,"
BEA = "2,Bea,Groß,bea@example.com,Engineering,,"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """An empty hub."""
    async with a_world(tmp_path) as made:
        yield made


@pytest.mark.parametrize("whole", [True, False])
async def test_a_record_that_changes_again_brings_its_groups_again(world: World, *, whole: bool) -> None:
    """Until then what was taken away stays away; and whoever's record does not change stays out."""
    await world.pull(ANN, BEA)
    (group,) = (await world.store.search(1, Query(GROUP, None, Page(1, 9)))).records
    if whole:
        await world.store.delete(1, GROUP, group.id, Author("undo 1", 0))
    else:
        gone = Change(None, (), tuple(one.value for one in group.members or ()))
        await world.store.update(1, GROUP, group.id, lambda _: gone, Scope(), Author("undo 1", 0))
    await world.pull(ANN, BEA)
    assert (await world.groups()).get("dept-Engineering", set()) == set()
    await world.pull(ANN.replace("Müller", "Meier"), BEA)
    assert await world.groups() == {"dept-Engineering": {"ann@example.com"}}
