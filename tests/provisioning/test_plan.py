"""The step for every combination of wish, presence and leave policy: one table."""

import pytest
from tests.provisioning.world import GROUP, USER, mapping, path_of

from rollbook.protocol import urns
from rollbook.protocol.values import JsonObject
from rollbook.provisioning.differences import Difference, managed_by
from rollbook.provisioning.expressions import Subject
from rollbook.provisioning.model import Leave
from rollbook.provisioning.plan import Create, Delete, Disable, Keep, NoChange, Situation, Step, Update, plan

MANAGED = managed_by(mapping(USER, Subject.USER, {"userName": "userName", "title": "title"}))
SWITCHED = managed_by(mapping(USER, Subject.USER, {"userName": "userName", "active": "active"}))
ACTIVE = path_of(USER, "active")
TITLE = path_of(USER, "title")
ADA: JsonObject = {"userName": "ada", "title": "Lead"}
THERE: JsonObject = {"userName": "ada", "title": "Lead", "active": True, "nickName": "n"}


def situation(
    wanted: JsonObject | None,
    left: str | None,
    leave: Leave,
    present: JsonObject | None,
    *,
    disabled: bool = False,
) -> Situation:
    """A situation of a user whose userName and title are mapped."""
    return Situation(USER, MANAGED, leave, wanted, left, present, disabled)


OFF = Difference(ACTIVE, True, False)
STEPS: dict[str, tuple[Situation, Step]] = {
    "joiner": (
        situation(ADA, None, Leave.DISABLE, None),
        Create(
            {"schemas": [urns.USER], **ADA},
            (Difference(path_of(USER, "userName"), None, "ada"), Difference(TITLE, None, "Lead")),
        ),
    ),
    "nothing-to-do": (situation(ADA, None, Leave.DISABLE, THERE), NoChange()),
    "mover": (
        situation({**ADA, "title": "Head"}, None, Leave.DISABLE, THERE),
        Update((Difference(TITLE, "Lead", "Head"),)),
    ),
    "left-never-there": (situation(None, "deleted", Leave.DELETE, None), NoChange()),
    "inactive-never-there": (situation(ADA, "inactive", Leave.DISABLE, None), NoChange()),
    "disable-deleted": (
        situation(None, "deleted", Leave.DISABLE, THERE),
        Disable((OFF,), "deleted"),
    ),
    "disable-inactive-with-changes": (
        situation({**ADA, "title": "Head"}, "inactive", Leave.DISABLE, THERE),
        Disable((Difference(TITLE, "Lead", "Head"), OFF), "inactive"),
    ),
    "disable-out-of-scope-says-nothing-else": (
        situation(None, "out of scope", Leave.DISABLE, {**THERE, "title": "Old"}),
        Disable((OFF,), "out of scope"),
    ),
    "disabled-already": (situation(None, "deleted", Leave.DISABLE, {**THERE, "active": False}), NoChange()),
    "delete": (situation(None, "deleted", Leave.DELETE, THERE), Delete("deleted")),
    "keep": (situation(None, "deleted", Leave.KEEP, THERE), Keep("deleted")),
    "return": (
        situation(ADA, None, Leave.DISABLE, {**THERE, "active": False}, disabled=True),
        Update((Difference(ACTIVE, False, True),)),
    ),
    "off-by-somebody-else-stays-off": (
        situation(ADA, None, Leave.DISABLE, {**THERE, "active": False}),
        NoChange(),
    ),
}


@pytest.mark.parametrize(("given", "step"), STEPS.values(), ids=STEPS.keys())
def test_plan(given: Situation, step: Step) -> None:
    """Each situation has one step, and it depends on nothing else."""
    assert plan(given) == step


def test_a_mapped_switch_is_the_mappings_business() -> None:
    """Where active is mapped, a return follows the mapping, not our memory."""
    given = Situation(
        USER,
        SWITCHED,
        Leave.DISABLE,
        {"userName": "a", "active": False},
        None,
        {"userName": "a", "active": False},
        True,
    )
    assert plan(given) == NoChange()


@pytest.mark.parametrize("leave", [Leave.DISABLE, Leave.KEEP])
def test_groups_have_no_switch(leave: Leave) -> None:
    """A group that left keeps its document; its members are somebody else's step."""
    managed = managed_by(mapping(GROUP, Subject.GROUP, {"displayName": "displayName"}))
    assert plan(Situation(GROUP, managed, leave, None, "deleted", {"displayName": "g"})) == Keep("deleted")
