# ruff: noqa: S101 - a suite of tests asserts
"""Conformance: what members and groups are to each other."""

import pytest

from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.resource import Change, Member, Present, Scope
from rollbook.testing.store_steps import (
    GROUP,
    LATER,
    TENANT,
    USER,
    FullStore,
    add_group,
    add_user,
    find,
    groups_of,
    join,
    leave,
    log,
    members_of,
    noting,
    picture,
    read,
    update,
    user,
)


class TestMemberships:
    """What members and groups are to each other."""

    pytestmark = pytest.mark.anyio

    async def test_members_and_groups_mirror_each_other(self, store: FullStore) -> None:
        """I-07: a member sees the group; both carry type and label."""
        await add_user(store, "ann", displayName="Ann A.")
        record = await add_group(store, "g", "ann")
        assert record.members == (Member("ann", "User", "Ann A."),)
        assert record == await read(store, "g", GROUP)
        assert (await read(store, "ann")).groups == (Member("g", "Group", "g"),)

    async def test_labels_are_those_of_today(self, store: FullStore) -> None:
        """A-31: a renamed member shows its new label; the group's version stays."""
        await add_user(store, "ann", displayName="Ann A.")
        record = await add_group(store, "g", "ann")
        await update(store, "ann", Change(user("ann")))
        now = await read(store, "g", GROUP)
        assert now.members == (Member("ann", "User", "ann"),)
        assert now.version == record.version

    async def test_members_come_and_go(self, store: FullStore) -> None:
        """Adding and removing members gives a new version each, and touches no other member."""
        for name in "abc":
            await add_user(store, name)
        versions = [(await add_group(store, "g", "a")).version]
        versions.append((await join(store, "g", "b", "c")).record.version)
        versions.append((await leave(store, "g", "a", "c")).record.version)
        assert await members_of(store, "g") == ["b"]
        assert [await groups_of(store, name) for name in "abc"] == [[], ["g"], []]
        assert len(set(versions)) == 3

    async def test_adding_a_member_twice_changes_nothing(self, store: FullStore) -> None:
        """A-25, A-29: members there are not added, members absent or unknown are not removed."""
        await add_user(store, "a")
        await add_user(store, "b")
        await add_group(store, "g", "a", "a")
        before = await picture(store)
        assert not (await join(store, "g", "a")).changed
        assert not (await leave(store, "g", "b", "nobody")).changed
        assert await picture(store) == before

    async def test_document_and_members_change_together(self, store: FullStore) -> None:
        """One change of both is one version and one log entry."""
        await add_user(store, "a")
        await add_user(store, "b")
        await add_group(store, "g", "a")
        change = Change({"displayName": "new"}, (Member("b"),), ("a",))
        updated = await update(store, "g", change, resource_type=GROUP)
        entries = await log(store)
        assert entries[-1].detail == {
            "attributes": ["displayName"],
            "members": {"add": ["b"], "remove": ["a"]},
        }
        assert len(entries) == 4
        assert await members_of(store, "g") == ["b"]
        assert updated.record.version == entries[-1].version

    @pytest.mark.parametrize(
        ("scope", "seen"),
        [
            (Scope(), []),
            (Scope(frozenset({"b", "c", "nobody"})), ["b"]),
            (Scope(all=True), ["a", "b"]),
        ],
        ids=["none", "named", "all"],
    )
    async def test_a_change_sees_the_members_it_names(
        self, store: FullStore, scope: Scope, seen: list[str]
    ) -> None:
        """Only members in scope are shown to a change."""
        for name in "abc":
            await add_user(store, name)
        await add_group(store, "g", "a", "b")
        shown: list[Present] = []
        await update(store, "g", noting(shown), resource_type=GROUP, scope=scope)
        assert [present.members for present in shown] == [{name: Member(name, "User", name) for name in seen}]

    @pytest.mark.parametrize(
        ("member", "words"),
        [
            (Member("nobody"), "nobody"),
            (Member("ann", "Group"), "is a User, not a Group"),
            (Member("g"), "cycle"),
        ],
        ids=["A-70 S-72 unknown", "A-69 type", "A-70 itself"],
    )
    async def test_impossible_members_are_refused(self, store: FullStore, member: Member, words: str) -> None:
        """A member that does not exist, is of another type or is the group itself is refused by name."""
        await add_user(store, "ann")
        await add_user(store, "bob")
        await add_group(store, "g")
        before = await picture(store)
        with pytest.raises(InvalidValue, match=words):
            await update(store, "g", Change(None, (Member("bob"), member)), resource_type=GROUP)
        assert await picture(store) == before

    async def test_a_declared_type_is_compared_without_case(self, store: FullStore) -> None:
        """A-69: `user` names the type User."""
        await add_user(store, "ann")
        await add_group(store, "g")
        await update(store, "g", Change(None, (Member("ann", "user"),)), resource_type=GROUP)
        assert await members_of(store, "g") == ["ann"]

    async def test_groups_do_not_form_cycles(self, store: FullStore) -> None:
        """A-70: a ring of any length is refused; the same group by two ways is not."""
        await add_group(store, "bottom")
        await add_group(store, "left", "bottom")
        await add_group(store, "right", "bottom")
        await add_group(store, "top", "left", "right")
        for above in ("top", "left"):
            with pytest.raises(InvalidValue, match="cycle"):
                await join(store, "bottom", above)
        assert await members_of(store, "bottom") == []
        await leave(store, "left", "bottom")
        await join(store, "bottom", "left")

    async def test_a_deleted_member_leaves_its_groups(self, store: FullStore) -> None:
        """A-37: groups that lose a member get a new version and a log entry each; others do not."""
        await add_user(store, "ann")
        old = {name: await add_group(store, name, "ann") for name in ("g1", "g2")}
        other = await add_group(store, "g3")
        assert await store.delete(TENANT, USER, "ann", LATER)
        for name, record in old.items():
            now = await read(store, name, GROUP)
            assert now.members == ()
            assert now.version != record.version
            assert now.modified == LATER.at
        assert await read(store, "g3", GROUP) == other
        entries = (await log(store))[-3:]
        assert [(entry.operation, entry.id, entry.detail) for entry in entries] == [
            ("delete", "ann", {}),
            ("update", "g1", {"members": {"remove": ["ann"]}}),
            ("update", "g2", {"members": {"remove": ["ann"]}}),
        ]

    async def test_a_deleted_group_is_nobodys_group(self, store: FullStore) -> None:
        """I-07: members and containers of a deleted group are free of it."""
        await add_user(store, "ann")
        await add_group(store, "inner", "ann")
        await add_group(store, "outer", "inner")
        assert await store.delete(TENANT, GROUP, "inner", LATER)
        assert await groups_of(store, "ann") == []
        assert await members_of(store, "outer") == []

    async def test_many_members_are_read_whole(self, store: FullStore) -> None:
        """A group of more members than one point read brings along is complete, and so is a user in many groups."""
        names = [f"u{number:03}" for number in range(300)]
        for name in names:
            await add_user(store, name)
        await add_group(store, "g", *names)
        for number in range(300):
            await add_group(store, f"h{number:03}", "u000")
        assert await members_of(store, "g") == names
        assert len(await groups_of(store, "u000")) == 301
        assert [len(record.groups or ()) for record in (await find(store, count=2)).records] == [301, 1]
        found = await find(store, 'displayName eq "g"', GROUP)
        assert [len(record.members or ()) for record in found.records] == [300]

    async def test_former_members_are_known(self, store: FullStore) -> None:
        """A-31: who is a member, or was one, is told from who never was, however the membership ended."""
        for name in ("never", "stays", "leaves", "loses", "goes"):
            await add_user(store, name)
        await add_group(store, "g", "stays", "leaves", "goes")
        await add_group(store, "ends", "loses")
        await leave(store, "g", "leaves", "never")
        assert await store.delete(TENANT, GROUP, "ends", LATER)
        assert await store.delete(TENANT, USER, "goes", LATER)
        told = [await store.was_member(TENANT, name) for name in ("never", "stays", "leaves", "loses", "g")]
        assert told == [False, True, True, True, False]
        assert await store.was_member(TENANT, "goes")
        assert await store.was_member(2, "never")

    async def test_a_refused_change_is_no_departure(self, store: FullStore) -> None:
        """I-02: a member that was not removed after all is not noted as a former one of what it never left."""
        await add_user(store, "ann")
        await add_user(store, "bob")
        await add_group(store, "g")
        with pytest.raises(InvalidValue):
            await update(
                store, "g", Change(None, (Member("ann"), Member("nobody")), ("bob",)), resource_type=GROUP
            )
        assert [await store.was_member(TENANT, name) for name in ("ann", "bob")] == [False, False]
