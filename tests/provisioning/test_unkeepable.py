"""Texts of targets and sources that a database or a terminal has trouble with: one of them stops nobody else (I-20)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.postgres_server import empty
from tests.provisioning.world import World, target, world

from rollbook.provisioning.items import Action
from rollbook.testing.scripted_target import Answer, Fault, error

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A new world."""
    database = None
    if request.param == "postgresql":
        empty(database := request.getfixturevalue("postgres_database"))
    async with world(tmp_path, database) as made:
        yield made


@pytest.mark.parametrize("own", ["a\0b", "x" * 200_000, "".join(map(chr, range(0x4E00, 0x6E00)))])
async def test_t_66_an_account_whose_id_cannot_be_kept(hub: World, own: str) -> None:
    """An id that no system gives is refused with a reason, and the others go on."""
    await hub.hire("ada")
    await hub.hire("grace")
    hub.service().faults.append(Fault("POST", "/Users", Answer(201, {"id": own, "userName": "ada"})))
    (report,) = await hub.apply(target(concurrency=1), patience=0)
    assert report.counts[Action.CREATE] == 1
    assert "id" in (report.failures[0].failure or "")
    assert len(report.failures[0].failure or "") < 300


async def test_t_66_members_whose_ids_cannot_be_kept(hub: World) -> None:
    """A group that shows such members is brought up to date as if it did not."""
    service = hub.service()
    service.add("Groups", {"displayName": "club", "members": [{"value": "a\0b"}, {"value": "y" * 200_000}]})
    await hub.group("club", await hub.hire("ada"))
    (report,) = await hub.apply(target(), patience=0)
    assert not report.failed
    assert {"value": service.named("Users", "ada")["id"]} in service.named("Groups", "club")["members"]


async def test_an_error_of_a_target_is_one_line_of_text(hub: World) -> None:
    """Whatever its words hold, they are kept and shown as one line, and our own advice stays ours."""
    service = hub.service()
    service.faults.append(Fault("POST", "/Users", error(400, "no\0 \x1b[2J\r\n\u202eway", "invalidValue")))
    await hub.hire("ada")
    await hub.hire("grace")
    (report,) = await hub.apply(target(concurrency=1), patience=0)
    (failed,) = report.failures
    assert failed.failure == "400 invalidValue: no [2J way"
    assert failed.hint == "correct the value at its source, or its mapping in rollbook.yaml"
