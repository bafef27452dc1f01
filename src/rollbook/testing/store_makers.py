# ruff: noqa: S101 - a suite of tests asserts
"""Conformance: who made a resource is kept with it, and what somebody has made is found (T-26)."""

from dataclasses import replace

import pytest

from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.query import Page, Query, Walk, parse_order
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resource import Change, Member, Scope
from rollbook.storage.base import Insert, Rules
from rollbook.storage.sight import Sight
from rollbook.testing.filter_documents import CATALOG, DOCUMENTS
from rollbook.testing.filter_rows import ROWS
from rollbook.testing.filter_table import FilterTable, filter_failures
from rollbook.testing.store_steps import (
    AUTHOR,
    GROUP,
    LATER,
    TENANT,
    USER,
    FullStore,
    add_group,
    add_user,
    ids,
    members_of,
    update,
    user,
)

ME, OTHER = replace(AUTHOR, maker="me"), replace(AUTHOR, maker="other")
MINE = Sight(maker="me")


async def _fill(store: FullStore) -> None:
    """`a0` to `a5` of three makers in turn, nobody among them."""
    for number in range(6):
        author = (ME, OTHER, AUTHOR)[number % 3]
        await store.insert(TENANT, USER, f"a{number}", Change(user(f"a{5 - number}", title="t")), author)


class TestMakers:
    """What is found, counted and referred to of that which one has made."""

    async def test_t_26_each_finds_its_own(self, store: FullStore) -> None:
        """T-26: all of them, by orders and by cursor; a change by somebody else leaves it the maker's."""
        await _fill(store)
        await store.insert(2, USER, "theirs", Change(user("theirs")), ME)
        await store.insert(TENANT, GROUP, "g", Change({"displayName": "g"}), ME)
        await update(store, "a3", Change(user("a2", title="new")), author=replace(LATER, maker="other"))
        for maker, expected in (("me", ["a0", "a3"]), ("other", ["a1", "a4"]), ("nobody", [])):
            query = Query(USER, None, Page(1, 10), maker=maker)
            found = await store.search(TENANT, query)
            assert (ids(found), found.total) == (expected, len(expected))
            order = parse_order("userName", USER, Leniency(), descending=False)
            assert ids(await store.search(TENANT, query._replace(order=order))) == expected[::-1]
            modified = parse_order("meta.lastModified", USER, Leniency(), descending=True)
            assert ids(await store.search(TENANT, query._replace(order=modified))) == expected[::-1]
        first = await store.search(TENANT, Query(USER, None, Walk(1, None), maker="me"))
        rest = await store.search(TENANT, Query(USER, None, Walk(5, first.after), maker="me"))
        assert (ids(first), ids(rest), rest.after) == (["a0"], ["a3"], None)
        assert (await store.search(TENANT, Query(USER, None, Page(1, 10)))).total == 6
        assert await store.delete(TENANT, USER, "a0", AUTHOR)
        assert ids(await store.search(TENANT, Query(USER, None, Page(1, 10), maker="me"))) == ["a3"]

    @pytest.mark.parametrize("maker", ["me", "other"])
    async def test_t_26_each_filter_finds_ones_own(self, make_store: object, maker: str) -> None:
        """T-26: of every filter of the table, what the maker has made."""
        assert callable(make_store)
        async with make_store(CATALOG) as made:
            table = FilterTable(CATALOG, DOCUMENTS, ROWS)
            assert await filter_failures(made, table, maker, makers=("me", "other", "me", None)) == []

    async def test_t_26_others_are_nobody(self, store: FullStore) -> None:
        """T-26, T-19: what others have made is not found by id, and no member or reference."""
        await _fill(store)
        await store.insert_together(TENANT, [Insert(USER, "b", Change(user("b")))], ME)
        assert sorted(await store.referred(TENANT, ["a0", "a1", "a2", "b", "x"], MINE)) == ["a0", "b"]
        rules, words = Rules(sight=MINE), set()
        for other in ("a1", "a2", "nobody"):
            change = Change({"displayName": "h"}, (Member(other),))
            with pytest.raises(InvalidValue) as refused:
                await store.insert(TENANT, GROUP, "h", change, ME, rules)
            words.add(refused.value.detail.replace(f"'{other}'", "it"))
        assert len(words) == 1
        await store.insert(TENANT, GROUP, "h", Change({"displayName": "h"}, (Member("a0"),)), ME, rules)
        assert await members_of(store, "h") == ["a0"]

    async def test_a_group_of_others_takes_ones_own(self, store: FullStore) -> None:
        """What stands of others stays when a member of one's own is added."""
        await add_user(store, "gus")
        await store.insert(TENANT, USER, "ann", Change(user("ann")), ME)
        await add_group(store, "g", "gus")
        change = Change(None, (Member("ann"),))
        await store.update(TENANT, GROUP, "g", lambda _: change, Scope(), LATER, Rules(sight=MINE))
        assert await members_of(store, "g") == ["ann", "gus"]
