# ruff: noqa: S101 - a suite of tests asserts
"""Conformance: groups in groups, seen from the bottom, and in rings where these are allowed."""

import pytest

from rollbook.protocol.resource import Change, Member, Scope
from rollbook.storage.base import USUAL, Insert, Rules
from rollbook.testing.store_steps import (
    AUTHOR,
    GROUP,
    LATER,
    TENANT,
    USER,
    FullStore,
    add_group,
    add_user,
    find,
    ids,
    join,
    leave,
    user,
    values,
)

INDIRECT = Rules(indirect_groups=True)
RINGS = Rules(group_cycles=True, indirect_groups=True)


async def _tree(store: FullStore) -> None:
    """Outer contains middle, and that inner: ann is in inner, bob in middle, cyd in neither."""
    for name in ("ann", "bob", "cyd"):
        await add_user(store, name)
    await add_group(store, "inner", "ann")
    await add_group(store, "middle", "inner", "bob")
    await add_group(store, "outer", "middle")


async def _ways(store: FullStore, name: str, rules: Rules) -> dict[str, str]:
    record = await store.get(TENANT, USER, name, rules)
    assert record is not None
    return {group.value: group.way for group in record.groups or ()}


class TestNested:
    """What a resource is in by way of other groups (S-60), and rings of groups (A-70)."""

    pytestmark = pytest.mark.anyio

    async def test_groups_are_direct_unless_told_otherwise(self, store: FullStore) -> None:
        """S-60: only what a resource is itself a member of; with the switch, all that contains it."""
        await _tree(store)
        assert await _ways(store, "ann", USUAL) == {"inner": "direct"}
        assert await _ways(store, "ann", INDIRECT) == {
            "inner": "direct",
            "middle": "indirect",
            "outer": "indirect",
        }
        assert await _ways(store, "bob", INDIRECT) == {"middle": "direct", "outer": "indirect"}
        assert await _ways(store, "cyd", INDIRECT) == {}

    async def test_direct_wins_over_indirect(self, store: FullStore) -> None:
        """A group that a resource is in both ways is listed once, as direct; and follows every change."""
        await _tree(store)
        await join(store, "outer", "ann")
        assert (await _ways(store, "ann", INDIRECT))["outer"] == "direct"
        await leave(store, "outer", "ann")
        assert (await _ways(store, "ann", INDIRECT))["outer"] == "indirect"
        await leave(store, "outer", "middle")
        assert await _ways(store, "ann", INDIRECT) == {"inner": "direct", "middle": "indirect"}
        assert await store.delete(TENANT, GROUP, "inner", LATER)
        assert await _ways(store, "ann", INDIRECT) == {}

    @pytest.mark.parametrize(
        ("text", "usual", "indirect"),
        [
            ('groups.value eq "outer"', [], ["ann", "bob"]),
            ('groups eq "middle"', ["bob"], ["ann", "bob"]),
            ('groups.value ne "inner"', ["bob", "cyd"], ["bob", "cyd"]),
            ('groups.value sw "o"', [], ["ann", "bob"]),
            ('not (groups.value eq "outer")', ["ann", "bob", "cyd"], ["cyd"]),
            ('groups.value eq "outer" and userName eq "bob"', [], ["bob"]),
            ('groups.value eq "outer" or userName eq "cyd"', ["cyd"], ["ann", "bob", "cyd"]),
            ('groups.value eq "outer" or groups.value eq "inner"', ["ann"], ["ann", "bob"]),
            ('groups.type eq "direct"', ["ann", "bob"], ["ann", "bob"]),
            ('groups.type eq "indirect"', [], ["ann", "bob"]),
            ('groups[value eq "middle" and type eq "direct"]', ["bob"], ["bob"]),
            ('groups[value eq "middle" and type eq "indirect"]', [], ["ann"]),
            ("groups pr", ["ann", "bob"], ["ann", "bob"]),
        ],
    )
    async def test_filters_agree_with_what_is_shown(
        self, store: FullStore, text: str, usual: list[str], indirect: list[str]
    ) -> None:
        """A filter on groups finds a resource by those that it shows, and no others."""
        await _tree(store)
        assert ids(await find(store, text)) == usual
        assert ids(await find(store, text, rules=INDIRECT)) == indirect

    async def test_lists_show_indirect_groups_too(self, store: FullStore) -> None:
        """A page, by index or by filter, shows what a read of each resource shows; so does the answer to a write."""
        await _tree(store)
        for text in (None, 'userName eq "ann" or userName eq "bob" or userName eq "cyd"', "userName pr"):
            found = await find(store, text, rules=INDIRECT)
            shown = [{group.value: group.way for group in record.groups or ()} for record in found.records]
            assert shown == [await _ways(store, name, INDIRECT) for name in ("ann", "bob", "cyd")]
        change = Change(user("ann", displayName="Ann"))
        updated = await store.update(TENANT, USER, "ann", lambda _: change, Scope(), LATER, INDIRECT)
        assert updated is not None
        assert values(updated.record.groups) == ["inner", "middle", "outer"]

    async def test_rings_where_they_are_allowed(self, store: FullStore) -> None:
        """A-70: a ring is taken if the tenant wants it, and every walk in it ends."""
        await _tree(store)
        change = Change(None, (Member("outer"), Member("inner")))
        await store.update(TENANT, GROUP, "inner", lambda _: change, Scope(), LATER, RINGS)
        assert await _ways(store, "ann", RINGS) == {
            "inner": "direct",
            "middle": "indirect",
            "outer": "indirect",
        }
        assert await _ways(store, "bob", RINGS) == {
            "inner": "indirect",
            "middle": "direct",
            "outer": "indirect",
        }
        assert ids(await find(store, 'groups.value eq "inner"', rules=RINGS)) == ["ann", "bob"]
        await join(store, "inner", "cyd")
        assert (await _ways(store, "cyd", RINGS)).keys() == {"inner", "middle", "outer"}
        assert await store.delete(TENANT, GROUP, "inner", LATER, RINGS)
        assert await _ways(store, "ann", RINGS) == {}
        assert await _ways(store, "bob", RINGS) == {"middle": "direct", "outer": "indirect"}

    @pytest.mark.spec("P-3.7-20")
    async def test_a_ring_made_together(self, store: FullStore) -> None:
        """P-3.7-20: groups that contain each other are made in one step, if the tenant wants rings."""
        ring = [
            Insert(GROUP, name, Change({"displayName": name}, (Member(other),)))
            for name, other in (("left", "right"), ("right", "left"))
        ]
        await store.insert_together(TENANT, ring, AUTHOR, RINGS)
        for name, other in (("left", "right"), ("right", "left")):
            record = await store.get(TENANT, GROUP, name, RINGS)
            assert record is not None
            assert values(record.members) == [other]
