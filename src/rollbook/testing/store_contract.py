# ruff: noqa: S101 - a suite of tests asserts
"""Conformance: what each method of a store does by itself."""

from itertools import pairwise

import orjson
import pytest

from rollbook.protocol import urns
from rollbook.protocol.errors import PreconditionFailed, Uniqueness
from rollbook.protocol.query import Page, Query
from rollbook.protocol.resource import Change, Present, Scope
from rollbook.storage.base import Found, QuirkUse, TokenRecord
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
    ids,
    leave,
    log,
    noting,
    picture,
    read,
    update,
    user,
)


class TestContract:
    """What each method does by itself."""

    pytestmark = pytest.mark.anyio

    async def test_nothing_is_found_in_an_empty_store(self, store: FullStore) -> None:
        """An id nobody inserted is None, and a list is empty."""
        assert await store.get(TENANT, USER, "nobody") is None
        assert await find(store) == Found(0, [])
        assert await store.last_change(TENANT) == 0

    async def test_insert_returns_what_get_finds(self, store: FullStore) -> None:
        """A created record has version, equal times, groups, and is what is read afterwards."""
        record = await add_user(store, "ann", title="Boss")
        assert record == await store.get(TENANT, USER, "ann")
        assert (record.id, record.resource_type) == ("ann", "User")
        assert record.created == record.modified == AUTHOR.at
        assert record.version.startswith('W/"')
        assert record.version.endswith('"')
        assert (record.members, record.groups) == (None, ())

    async def test_body_is_the_default_representation_without_id_and_meta(self, store: FullStore) -> None:
        """S-04: schemas come from the data, and what is never returned lies apart."""
        extension = {"department": "Sales"}
        sent = {"password": "hash", urns.ENTERPRISE_USER: extension}
        record = await store.insert(TENANT, USER, "ann", Change(user("ann") | sent), AUTHOR)
        assert document(record) == {
            "schemas": [urns.USER, urns.ENTERPRISE_USER],
            "userName": "ann",
            urns.ENTERPRISE_USER: extension,
        }
        assert record.extra is not None
        assert orjson.loads(record.extra) == {"password": "hash"}

    async def test_present_document_is_what_was_inserted(self, store: FullStore) -> None:
        """An update sees the whole document, hidden attributes included, and nothing besides."""
        seen: list[Present] = []
        sent = user("ann", password="hash", emails=[{"value": "a@x.org"}])  # noqa: S106 - not a secret
        await store.insert(TENANT, USER, "ann", Change(sent), AUTHOR)
        await update(store, "ann", noting(seen))
        assert seen == [Present(sent, {})]

    async def test_an_id_belongs_to_one_type(self, store: FullStore) -> None:
        """A user is not found, changed or removed as a group."""
        await add_user(store, "ann")
        assert await store.get(TENANT, GROUP, "ann") is None
        assert await store.update(TENANT, GROUP, "ann", lambda _: Change(), Scope(), AUTHOR) is None
        assert not await store.delete(TENANT, GROUP, "ann", AUTHOR)
        assert await store.get(TENANT, USER, "ann") is not None

    async def test_many_are_read_in_one_look(self, store: FullStore) -> None:
        """Those that exist and are of the type, as `get` finds them each, with their groups if asked for."""
        for name in ("ann", "bob", "cyd"):
            await add_user(store, name)
        await add_group(store, "staff", "ann", "bob")
        asked = ["bob", "nobody", "ann", "staff"]
        found = await store.get_many(TENANT, USER, asked)
        assert found == {name: await store.get(TENANT, USER, name) for name in ("ann", "bob")}
        assert {group.value for group in found["ann"].groups or ()} == {"staff"}
        bare = await store.get_many(TENANT, USER, asked, members=False, groups=False)
        assert {name: record.groups for name, record in bare.items()} == {"ann": None, "bob": None}
        staff = await store.get_many(TENANT, GROUP, ["staff"])
        assert staff["staff"] == await store.get(TENANT, GROUP, "staff")
        assert await store.get_many(TENANT, USER, []) == {}

    async def test_update_replaces_the_document(self, store: FullStore) -> None:
        """An update gives a new version and time, and keeps the time of creation."""
        old = await add_user(store, "ann", title="Boss")
        updated = await update(store, "ann", Change(user("ann", nickName="A")))
        assert updated.changed
        assert document(updated.record) == {"schemas": [urns.USER], "userName": "ann", "nickName": "A"}
        assert updated.record == await read(store, "ann")
        assert updated.record.version != old.version
        assert (updated.record.created, updated.record.modified) == (AUTHOR.at, LATER.at)

    @pytest.mark.parametrize("change", [Change(), Change(user("ann", title="Boss"))], ids=["none", "equal"])
    async def test_a_change_of_nothing_leaves_everything(self, store: FullStore, change: Change) -> None:
        """A-31: version, lastModified and the log stay when a write changes nothing."""
        await add_user(store, "ann", title="Boss")
        before = await picture(store)
        updated = await update(store, "ann", change)
        assert not updated.changed
        assert updated.record == await read(store, "ann")
        assert await picture(store) == before

    async def test_a_clock_that_steps_back_does_not_show(self, store: FullStore) -> None:
        """FS-19: lastModified never goes below what it was."""
        await add_user(store, "ann")
        await update(store, "ann", Change(user("ann", title="a")), author=LATER)
        updated = await update(store, "ann", Change(user("ann", title="b")), author=AUTHOR)
        assert updated.record.modified == LATER.at

    async def test_what_does_not_exist_is_not_updated_or_deleted(self, store: FullStore) -> None:
        """An unknown id is None or False, and nothing is logged."""
        assert await store.update(TENANT, USER, "nobody", lambda _: Change(), Scope(), AUTHOR) is None
        assert not await store.delete(TENANT, USER, "nobody", AUTHOR)
        assert await log(store) == []

    async def test_a_precondition_sees_the_present_version(self, store: FullStore) -> None:
        """P-3.14: a write meant for another version is refused and changes nothing."""
        record = await add_user(store, "ann")
        await update(store, "ann", Change(user("ann", title="x")))
        before = await picture(store)
        stale = record.version.__eq__
        with pytest.raises(PreconditionFailed):
            await store.update(
                TENANT, USER, "ann", lambda _: Change(user("b")), Scope(), LATER, if_match=stale
            )
        with pytest.raises(PreconditionFailed):
            await store.delete(TENANT, USER, "ann", LATER, if_match=stale)
        assert await picture(store) == before
        present = (await read(store, "ann")).version.__eq__
        assert await store.delete(TENANT, USER, "ann", LATER, if_match=present)

    async def test_a_deleted_resource_is_gone(self, store: FullStore) -> None:
        """A deleted resource is found nowhere, and its tombstone ends the log."""
        record = await add_user(store, "ann")
        assert await store.delete(TENANT, USER, "ann", LATER)
        assert await store.get(TENANT, USER, "ann") is None
        assert await find(store) == Found(0, [])
        assert ids(await find(store, 'userName eq "ann"')) == []
        assert not await store.delete(TENANT, USER, "ann", LATER)
        last = (await log(store))[-1]
        assert (last.operation, last.id, last.version, last.at) == ("delete", "ann", record.version, LATER.at)

    async def test_ids_are_given_once(self, store: FullStore) -> None:
        """Inserting an id that is there is refused, also as another type."""
        await add_user(store, "ann")
        before = await picture(store)
        with pytest.raises(Uniqueness, match="id"):
            await add_group(store, "ann")
        assert await picture(store) == before

    @pytest.mark.parametrize("other", ["ANN", "ａｎｎ", "Ann"], ids=["case", "width", "mixed"])
    async def test_a_unique_value_is_given_once(self, store: FullStore, other: str) -> None:
        """I-05, A-64: names that compare equal clash; the refusal names the attribute, not its owner."""
        await add_user(store, "ann")
        with pytest.raises(Uniqueness, match="userName") as refusal:
            await store.insert(TENANT, USER, "secret-id", Change(user(other)), AUTHOR)
        assert "ann" not in refusal.value.detail
        assert (await find(store)).total == 1

    async def test_an_update_may_not_take_a_unique_value(self, store: FullStore) -> None:
        """I-05: another's name is refused; one's own in another case is not."""
        await add_user(store, "ann")
        await add_user(store, "bob")
        with pytest.raises(Uniqueness, match="userName"):
            await update(store, "bob", Change(user("Ann")))
        assert (await update(store, "ann", Change(user("ANN")))).changed

    async def test_a_unique_value_is_free_again(self, store: FullStore) -> None:
        """A name given up by a change or a deletion can be taken by another."""
        await add_user(store, "ann")
        await update(store, "ann", Change(user("anna")))
        await store.insert(TENANT, USER, "x1", Change(user("ann")), AUTHOR)
        assert await store.delete(TENANT, USER, "ann", AUTHOR)
        await store.insert(TENANT, USER, "x2", Change(user("anna")), AUTHOR)
        assert ids(await find(store, 'userName sw "ann"')) == ["x1", "x2"]

    async def test_long_values_are_compared_to_their_end(self, store: FullStore) -> None:
        """Values of any length are unique, found and ordered as a whole."""
        long = "x" * 2000
        await store.insert(TENANT, USER, "a", Change(user(long + "a")), AUTHOR)
        await store.insert(TENANT, USER, "b", Change(user(long + "b")), AUTHOR)
        with pytest.raises(Uniqueness):
            await store.insert(TENANT, USER, "c", Change(user(long.upper() + "a")), AUTHOR)
        expected = {
            f'userName eq "{long}b"': ["b"],
            f'userName sw "{long}"': ["a", "b"],
            f'userName sw "{long}b"': ["b"],
            f'userName co "{long[:600]}b"': ["b"],
            'userName co "xa"': ["a"],
            'userName ew "xb"': ["b"],
            'not (userName ew "xb")': ["a"],
            f'userName gt "{long}a"': ["b"],
            f'userName ge "{long}a"': ["a", "b"],
            f'userName lt "{long}b"': ["a"],
            f'userName le "{long}"': [],
            'userName gt "xx"': ["a", "b"],
            'userName lt "xx"': [],
        }
        assert {text: ids(await find(store, text)) for text in expected} == expected

    async def test_pages_are_windows_in_order_of_creation(self, store: FullStore) -> None:
        """P-3.4.2.4: startIndex and count cut a window; the total does not depend on them."""
        names = ["e", "b", "d", "a", "c"]
        for name in names:
            await add_user(store, name)
        await add_group(store, "g")
        for text in (None, "userName pr", 'not (title eq "x")', "displayName eq null"):
            assert ids(await find(store, text)) == names
            assert ids(await find(store, text, start=2, count=2)) == ["b", "d"]
            assert ids(await find(store, text, start=5, count=2)) == ["c"]
            pages = [(1, 0), (6, 2), (10**12, 1000), (3, 1)]
            totals = {(await find(store, text, start=start, count=count)).total for start, count in pages}
            assert totals == {5}

    async def test_a_search_brings_members_and_groups_if_asked(self, store: FullStore) -> None:
        """Members and groups come along by default, and are None when they are not wanted."""
        await add_user(store, "ann")
        await add_group(store, "g", "ann")
        for kind, name in ((USER, "ann"), (GROUP, "g")):
            whole = await store.search(TENANT, Query(kind, None, Page(1, 10)))
            assert list(whole.records) == [await read(store, name, kind)]
            bare = await store.search(TENANT, Query(kind, None, Page(1, 10)), members=False, groups=False)
            alone = await store.get(TENANT, kind, name, members=False, groups=False)
            assert list(bare.records) == [alone]
            assert [(record.members, record.groups) for record in bare.records] == [(None, None)]

    async def test_the_log_says_what_changed(self, store: FullStore) -> None:
        """Each write has one entry, with names of attributes and ids of members but no values (I-03, I-13)."""
        await add_user(store, "ann", password="old")  # noqa: S106 - not a secret
        await add_group(store, "g", "ann")
        changed = user("ann", password="new", **{urns.ENTERPRISE_USER: {"department": "Sales"}})  # noqa: S106
        record = (await update(store, "ann", Change(changed))).record
        await leave(store, "g", "ann")
        entries = await log(store)
        assert [(entry.operation, entry.resource_type, entry.id) for entry in entries] == [
            ("create", "User", "ann"),
            ("create", "Group", "g"),
            ("update", "User", "ann"),
            ("update", "Group", "g"),
        ]
        assert [entry.detail for entry in entries] == [
            {},
            {"members": {"add": ["ann"]}},
            {"attributes": ["password", f"{urns.ENTERPRISE_USER}:department"]},
            {"members": {"remove": ["ann"]}},
        ]
        assert (entries[2].version, entries[2].author, entries[2].at) == (record.version, "suite", LATER.at)

    async def test_the_log_is_read_in_parts(self, store: FullStore) -> None:
        """Sequence numbers rise; a reader goes on after the last one it saw."""
        for name in "abcde":
            await add_user(store, name)
        entries = await log(store)
        numbers = [entry.sequence for entry in entries]
        assert all(one < other for one, other in pairwise(numbers))
        assert await store.last_change(TENANT) == numbers[-1]
        assert [entry.id for entry in await store.changes(TENANT, numbers[1], 2)] == ["c", "d"]
        assert await store.changes(TENANT, numbers[-1], 10) == []

    async def test_tokens_are_kept(self, store: FullStore) -> None:
        """A token is found by its id, whether ended or not, and listed with its tenant's."""
        token = TokenRecord("t1", TENANT, "hr", b"\x00\xff", 5, None, user="ann")
        ended = TokenRecord("t0", TENANT, "old", b"digest", 6, 7, revoked=8)
        other = TokenRecord("t2", 2, "other", b"digest", 1, None)
        for each in (ended, other, token):
            await store.add_token(each)
        assert await store.token("t1") == token
        assert await store.token("t0") == ended
        assert await store.token("t9") is None
        assert list(await store.tokens(TENANT)) == [token, ended]

    async def test_a_setting_is_kept_once(self, store: FullStore) -> None:
        """The first value of a setting holds."""
        assert await store.setting("pepper") is None
        assert await store.keep_setting("pepper", "one") == "one"
        assert await store.keep_setting("pepper", "two") == "one"
        assert await store.setting("pepper") == "one"

    async def test_uses_of_quirks_add_up(self, store: FullStore) -> None:
        """Counts are added to those of the same token and quirk; the first time stays, the last one is the latest."""
        await store.add_quirk_uses(
            [QuirkUse(TENANT, "t1", "b", 2, 10, 20), QuirkUse(TENANT, "t1", "a", 1, 5, 5)]
        )
        await store.add_quirk_uses([QuirkUse(TENANT, "t1", "b", 3, 15, 30), QuirkUse(2, "t1", "b", 9, 1, 1)])
        assert list(await store.quirk_uses(TENANT)) == [
            QuirkUse(TENANT, "t1", "a", 1, 5, 5),
            QuirkUse(TENANT, "t1", "b", 5, 10, 30),
        ]
