# ruff: noqa: S101 - a suite of tests asserts
"""Conformance: transactions, many callers at once, and tenants beside each other."""

import asyncio

import pytest

from rollbook.protocol.errors import InvalidValue, PreconditionFailed, Uniqueness
from rollbook.protocol.resource import Change, Member, Present, Scope
from rollbook.storage.base import (
    Record,
)
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
    ids,
    join,
    leave,
    log,
    members_of,
    picture,
    read,
    update,
    user,
    values,
)


class TestTransactions:
    """Everything or nothing, whatever goes wrong (I-02)."""

    pytestmark = pytest.mark.anyio

    async def test_a_refused_insert_leaves_nothing(self, store: FullStore) -> None:
        """A create that fails at its last step has no document, value, membership or log entry."""
        await add_user(store, "ann", displayName="x")
        before = await picture(store)
        with pytest.raises(Uniqueness):
            await store.insert(TENANT, USER, "b", Change(user("ann", displayName="x")), AUTHOR)
        with pytest.raises(InvalidValue):
            await add_group(store, "g", "ann", "nobody")
        assert await picture(store) == before
        assert ids(await find(store, 'displayName eq "x"')) == ["ann"]
        assert await groups_of(store, "ann") == []

    async def test_a_refused_update_leaves_nothing(self, store: FullStore) -> None:
        """Members removed before a refusal are still there, and so are values."""
        await add_user(store, "ann")
        await add_user(store, "bob")
        await add_group(store, "g", "ann")
        before = await picture(store)
        change = Change({"displayName": "new"}, (Member("nobody"),), ("ann",))
        with pytest.raises(InvalidValue):
            await update(store, "g", change, resource_type=GROUP)
        with pytest.raises(Uniqueness):
            await update(store, "bob", Change(user("ann", displayName="lost")))
        assert await picture(store) == before
        assert ids(await find(store, 'displayName eq "lost"')) == []

    async def test_what_decide_raises_comes_out(self, store: FullStore) -> None:
        """A refusal by the pure function reaches its caller as it is."""

        def refuse(_: Present) -> Change:
            raise InvalidValue("no such thing")

        await add_user(store, "ann")
        before = await picture(store)
        with pytest.raises(InvalidValue, match="no such thing"):
            await update(store, "ann", refuse)
        assert await picture(store) == before

    async def test_a_failure_touches_no_neighbour(self, store: FullStore) -> None:
        """FS-04: of writes that happen together, each has its own fate."""
        writes = [add_user(store, f"u{number}" if number % 3 else "same") for number in range(30)]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert len(refused) == 9
        assert all(isinstance(error, Uniqueness) for error in refused)
        assert (await find(store)).total == 21
        assert len(await log(store)) == 21

    async def test_a_caller_that_gives_up_harms_nobody(self, store: FullStore) -> None:
        """FS-18: a cancelled write happened or did not; those beside it and after it do."""
        tasks = [asyncio.ensure_future(add_user(store, f"u{number}")) for number in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, Record) for outcome in outcomes[1::2])
        await add_user(store, "last")
        found = ids(await find(store))
        assert {f"u{number}" for number in range(1, 20, 2)} | {"last"} <= set(found)
        assert sorted(entry.id for entry in await log(store)) == sorted(found)


class TestConcurrency:
    """Many callers at once: nothing is lost, and nobody sees half of anything."""

    pytestmark = pytest.mark.anyio

    async def test_one_of_many_gets_a_name(self, store: FullStore) -> None:
        """I-05: a unique value has one owner under any concurrency."""
        writes = [store.insert(TENANT, USER, f"u{n}", Change(user("same")), AUTHOR) for n in range(50)]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert sum(isinstance(outcome, Record) for outcome in outcomes) == 1
        assert (await find(store)).total == 1

    async def test_no_update_is_lost(self, store: FullStore) -> None:
        """Each of many read-modify-write changes sees the one before it."""

        def next_number(present: Present) -> Change:
            return Change({**present.document, "title": str(int(present.document["title"]) + 1)})

        await add_user(store, "ann", title="0")
        updates = await asyncio.gather(*(update(store, "ann", next_number) for _ in range(40)))
        assert document(await read(store, "ann"))["title"] == "40"
        assert len({updated.record.version for updated in updates}) == 40

    async def test_no_member_is_lost(self, store: FullStore) -> None:
        """T-51: concurrent changes of one group's members all hold."""
        names = [f"u{number:02}" for number in range(40)]
        for name in names:
            await add_user(store, name)
        await add_group(store, "g", *names[:20])
        joins = [join(store, "g", name) for name in names[20:]]
        leaves = [leave(store, "g", name) for name in names[:10]]
        await asyncio.gather(*joins, *leaves)
        assert await members_of(store, "g") == names[10:]

    async def test_one_of_many_matches_a_version(self, store: FullStore) -> None:
        """P-3.14: of writes for the same version one is accepted."""
        record = await add_user(store, "ann")

        async def write(number: int) -> bool:
            try:
                await store.update(
                    TENANT, USER, "ann", lambda _: Change(user("ann", title=str(number))), Scope(), LATER,
                    if_match=record.version.__eq__,
                )  # fmt: skip
            except PreconditionFailed:
                return False
            return True

        assert sum(await asyncio.gather(*(write(number) for number in range(20)))) == 1

    async def test_groups_that_join_each_other_do_not_both_succeed(self, store: FullStore) -> None:
        """A-70: no cycle comes about by two changes at once."""
        await add_group(store, "a")
        await add_group(store, "b")
        outcomes = await asyncio.gather(join(store, "a", "b"), join(store, "b", "a"), return_exceptions=True)
        assert sum(isinstance(outcome, InvalidValue) for outcome in outcomes) == 1

    async def test_a_deleted_user_is_in_no_group(self, store: FullStore) -> None:
        """I-07: joining and deleting at once leave no membership of what is gone."""
        names = [f"u{number}" for number in range(20)]
        for name in names:
            await add_user(store, name)
        await add_group(store, "g")
        joins = [join(store, "g", name) for name in names]
        deletions = [store.delete(TENANT, USER, name, LATER) for name in names[::2]]
        await asyncio.gather(*joins, *deletions, return_exceptions=True)
        assert await members_of(store, "g") == sorted(names[1::2])

    async def test_a_version_names_one_state(self, store: FullStore) -> None:
        """I-04: whoever reads a group while it changes sees one set of members per version."""
        names = [f"u{number}" for number in range(30)]
        for name in names:
            await add_user(store, name)
        await add_group(store, "g")
        seen: dict[str, set[tuple[str, ...]]] = {}
        changing = asyncio.gather(*(join(store, "g", name) for name in names))
        while not changing.done():
            for record in (await read(store, "g", GROUP), (await find(store, None, GROUP)).records[0]):
                seen.setdefault(record.version, set()).add(tuple(values(record.members)))
            await asyncio.sleep(0)
        await changing
        assert all(len(states) == 1 for states in seen.values())


class TestTenants:
    """No call reads or changes anything of another tenant (I-08)."""

    pytestmark = pytest.mark.anyio

    async def test_tenants_have_their_own_names_and_ids(self, store: FullStore) -> None:
        """The same id and userName may be in two tenants, and each sees its own."""
        await add_user(store, "ann", title="one")
        await add_user(store, "ann", title="two", tenant=2)
        for tenant, title in ((1, "one"), (2, "two")):
            record = await store.get(tenant, USER, "ann")
            assert record is not None
            assert document(record)["title"] == title
            for text in (None, 'userName eq "ann"', 'id eq "ann"', "title pr", 'userName ne "x"'):
                found = await find(store, text, tenant=tenant)
                assert (found.total, list(found.records)) == (1, [record])

    async def test_tenants_do_not_change_each_other(self, store: FullStore) -> None:
        """Update, delete and membership by another tenant find nothing."""
        await add_user(store, "ann")
        await add_group(store, "g", "ann")
        before = await picture(store)
        assert await store.get(2, USER, "ann") is None
        assert await store.update(2, USER, "ann", lambda _: Change(user("x")), Scope(), AUTHOR) is None
        assert not await store.delete(2, USER, "ann", AUTHOR)
        with pytest.raises(InvalidValue, match="ann"):
            await add_group(store, "g", "ann", tenant=2)
        await add_group(store, "g", tenant=2)
        assert await store.delete(2, GROUP, "g", AUTHOR)
        assert await picture(store) == before

    async def test_tenants_have_their_own_logs(self, store: FullStore) -> None:
        """Entries and numbers of one tenant tell nothing of another's writes (I-08)."""
        await add_user(store, "ann")
        await add_user(store, "bob", tenant=2)
        await add_user(store, "cem")
        assert [entry.id for entry in await log(store)] == ["ann", "cem"]
        assert [(entry.sequence, entry.id) for entry in await log(store, tenant=2)] == [(1, "bob")]
        assert await store.last_change(2) == 1
