# ruff: noqa: S101 - a suite of tests asserts
"""Conformance: writes that stand or fall together, and the order in which writes take effect."""

import asyncio

import pytest

from rollbook.protocol.errors import Cycle, InvalidValue, Uniqueness
from rollbook.protocol.resource import Change, Member, Present
from rollbook.protocol.schema import ResourceType
from rollbook.storage.base import Decide, Insert, StepRefused
from rollbook.testing.store_steps import (
    AUTHOR,
    GROUP,
    LATER,
    TENANT,
    USER,
    FullStore,
    add_group,
    add_user,
    document,
    find,
    groups_of,
    log,
    members_of,
    picture,
    read,
    update,
    user,
)


def _insert(resource_type: ResourceType, id: str, *members: str) -> Insert:
    name = "userName" if resource_type is USER else "displayName"
    return Insert(resource_type, id, Change({name: id}, tuple(map(Member, members))))


class TestTogether:
    """Resources that refer to each other are created all or none (P-3.7-20)."""

    pytestmark = pytest.mark.anyio

    async def test_members_may_come_later(self, store: FullStore) -> None:
        """A group is created before its members, within the call; each record is new, as if made alone."""
        made = [_insert(GROUP, "top", "inner", "ann"), _insert(GROUP, "inner", "ann"), _insert(USER, "ann")]
        records = await store.insert_together(TENANT, made, AUTHOR)
        assert [record.id for record in records] == ["top", "inner", "ann"]
        for record, resource_type in zip(records, (GROUP, GROUP, USER), strict=True):
            now = await read(store, record.id, resource_type)
            assert record == now._replace(members=None, groups=None)
        assert await members_of(store, "top") == ["ann", "inner"]
        assert await groups_of(store, "ann") == ["inner", "top"]
        entries = await log(store)
        assert [(entry.operation, entry.id, entry.detail) for entry in entries] == [
            ("create", "top", {"members": {"add": ["ann", "inner"]}}),
            ("create", "inner", {"members": {"add": ["ann"]}}),
            ("create", "ann", {}),
        ]
        assert [entry.sequence for entry in entries] == [1, 2, 3]

    @pytest.mark.parametrize(
        ("refused", "error", "words"),
        [
            (_insert(USER, "ann"), Uniqueness, "id"),
            (Insert(USER, "new", Change(user("ANN"))), Uniqueness, "userName"),
            (_insert(GROUP, "new", "nobody"), InvalidValue, "nobody"),
            (
                Insert(GROUP, "new", Change({"displayName": "x"}, (Member("b", "Group"),))),
                InvalidValue,
                "User",
            ),
            (_insert(GROUP, "new", "new"), Cycle, "new"),
        ],
        ids=["id", "unique", "A-70 unknown", "A-69 type", "A-70 itself"],
    )
    async def test_one_refusal_refuses_all(
        self, store: FullStore, refused: Insert, error: type[Exception], words: str
    ) -> None:
        """I-02: the step at fault is named with its own error, and nothing of any step is left."""
        await add_user(store, "ann")
        before = await picture(store)
        made = [_insert(USER, "b"), _insert(GROUP, "g", "b", "ann"), refused, _insert(USER, "c")]
        with pytest.raises(StepRefused, match=words) as refusal:
            await store.insert_together(TENANT, made, AUTHOR)
        assert refusal.value.step == 2
        assert type(refusal.value.error) is error
        assert await picture(store) == before
        assert await groups_of(store, "ann") == []
        await store.insert_together(TENANT, [made[0], made[1], made[3]], AUTHOR)

    async def test_two_of_them_may_not_share_a_name(self, store: FullStore) -> None:
        """I-05: uniqueness holds among those made together too; the later one is at fault."""
        before = await picture(store)
        made = [Insert(USER, "a", Change(user("same"))), Insert(USER, "b", Change(user("SAME")))]
        with pytest.raises(StepRefused) as refusal:
            await store.insert_together(TENANT, made, AUTHOR)
        assert (refusal.value.step, type(refusal.value.error)) == (1, Uniqueness)
        assert await picture(store) == before

    async def test_groups_made_together_form_no_cycle(self, store: FullStore) -> None:
        """A-70: a ring is refused at the one that closes it."""
        before = await picture(store)
        ring = [_insert(GROUP, "a", "b"), _insert(GROUP, "b", "c"), _insert(GROUP, "c", "a")]
        with pytest.raises(StepRefused) as refusal:
            await store.insert_together(TENANT, ring, AUTHOR)
        assert isinstance(refusal.value.error, Cycle)
        assert await picture(store) == before

    async def test_many_are_made_together(self, store: FullStore) -> None:
        """A hundred groups, each in the next, are created in one call."""
        names = [f"g{number:03}" for number in range(100)]
        made = [_insert(GROUP, name, *names[n + 1 : n + 2]) for n, name in enumerate(names)]
        await store.insert_together(TENANT, made, AUTHOR)
        assert (await find(store, None, GROUP)).total == 100
        assert await members_of(store, "g098") == ["g099"]

    async def test_tenants_are_apart(self, store: FullStore) -> None:
        """I-08: another tenant's resource is no member of what is made here."""
        await add_user(store, "ann", tenant=2)
        with pytest.raises(StepRefused, match="ann"):
            await store.insert_together(TENANT, [_insert(GROUP, "g", "ann")], AUTHOR)


class TestOrder:
    """Writes take effect in the order in which they are asked for."""

    pytestmark = pytest.mark.anyio

    async def test_each_write_sees_those_asked_for_before(self, store: FullStore) -> None:
        """Writes asked for without waiting for each other happen one after the other."""

        def adding(letter: str) -> Decide:
            def decide(present: Present) -> Change:
                return Change({**present.document, "title": present.document["title"] + letter})

            return decide

        letters = "abcdefghijklmnopqrstuvwxyz"
        await asyncio.gather(
            add_user(store, "ann", title=""),
            *(update(store, "ann", adding(letter)) for letter in letters),
            add_group(store, "g", "ann"),
            store.delete(TENANT, USER, "ann", LATER),
            store.insert(TENANT, USER, "new", Change(user("ann")), LATER),
        )
        entries = await log(store)
        assert [entry.id for entry in entries] == ["ann"] * 27 + ["g", "ann", "g", "new"]
        assert await members_of(store, "g") == []

    async def test_a_long_write_keeps_its_place(self, store: FullStore) -> None:
        """A write of many members, which takes longer, is neither overtaken nor does it overtake."""
        names = [f"u{number:03}" for number in range(300)]
        await store.insert_together(TENANT, [_insert(USER, name) for name in names], AUTHOR)
        await asyncio.gather(
            add_group(store, "g"),
            update(store, "g", Change(None, tuple(map(Member, names))), resource_type=GROUP),
            update(store, "g", Change({"displayName": "full"}, (), tuple(names[1:])), resource_type=GROUP),
        )
        assert await members_of(store, "g") == names[:1]
        assert document(await read(store, "g", GROUP))["displayName"] == "full"
