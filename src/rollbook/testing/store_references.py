# ruff: noqa: S101 - a suite of tests asserts
"""Conformance: resources that refer to others, and what becomes of it when these are deleted."""

import asyncio

import pytest

from rollbook.protocol import urns
from rollbook.protocol.errors import InvalidValue, RequestError
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.quirks import Leniency
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resource import Change, Member, Scope
from rollbook.protocol.values import JsonObject
from rollbook.storage.base import USUAL, Insert, Record, References, Rules, StepRefused, Store, Updated
from rollbook.storage.sight import Sight
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
    log,
    members_of,
    picture,
    read,
    user,
)

STRICT, TOLERANT = Rules(References.STRICT), Rules(References.TOLERANT)
ATTRIBUTE = f"{urns.ENTERPRISE_USER}:manager"


def _managed(name: str, manager: str | None, **attributes: object) -> JsonObject:
    extension = {urns.ENTERPRISE_USER: {"manager": {"value": manager}}} if manager else {}
    return user(name, **attributes) | extension


async def _add(store: Store, name: str, manager: str | None = None, rules: Rules = USUAL) -> Record:
    return await store.insert(TENANT, USER, name, Change(_managed(name, manager)), AUTHOR, rules)


async def _change(store: Store, name: str, new: JsonObject, rules: Rules) -> Updated:
    updated = await store.update(TENANT, USER, name, lambda _: Change(new), Scope(), LATER, rules)
    assert updated is not None
    return updated


async def _reports(store: Store, manager: str) -> list[str]:
    return ids(await find(store, f'{ATTRIBUTE}.value eq "{manager}"'))


class TestReferences:
    """What a store makes of references, by the rules of the tenant."""

    pytestmark = pytest.mark.anyio

    async def test_what_is_referred_to_is_found_by_id(self, store: FullStore) -> None:
        """A-69, T-13, T-24: those that exist in this tenant, with type and label; nothing is found by another name."""
        await add_user(store, "ann", displayName="Ann A.", externalId="e-1")
        await add_group(store, "g")
        await add_user(store, "theirs", tenant=2)
        asked = ["ann", "g", "theirs", "nobody", "e-1", "ANN", "Ann A."]
        found = await store.referred(TENANT, asked)
        assert found == {"ann": Member("ann", "User", "Ann A."), "g": Member("g", "Group", "g")}

    async def test_t_19_what_is_not_seen_does_not_exist(self, store: FullStore) -> None:
        """T-19: for whoever sees some only, others are not found, not taken, and refused as what was never there."""
        await add_user(store, "ann", displayName="in ann")
        await add_user(store, "gus", displayName="out gus")
        await add_group(store, "g")
        await add_group(store, "box")
        sight = Sight({"User": resolve(parse_filter('displayName sw "in "', Leniency()), USER, Leniency())})
        assert list(await store.referred(TENANT, ["ann", "gus", "g", "nobody"], sight)) == ["ann"]
        rules = Rules(References.STRICT, sight=sight)
        words = set()
        for other in ("gus", "g", "nobody"):
            for attempt in (
                lambda other=other: _add(store, "new", other, rules),
                lambda other=other: store.insert(
                    TENANT, GROUP, "h", Change({"displayName": "h"}, (Member(other),)), AUTHOR, rules
                ),
                lambda other=other: store.update(
                    TENANT, GROUP, "box", lambda _: Change(None, (Member(other),)), Scope(), LATER, rules
                ),
            ):
                with pytest.raises(InvalidValue) as refused:
                    await attempt()
                words.add(refused.value.detail.replace(f"'{other}'", "it"))
        assert len(words) == 2  # one of manager, one of members
        await _add(store, "new", "ann", rules)
        loose = Rules(References.TOLERANT, sight=sight)
        members = (Member("ann"), Member("gus"), Member("nobody"))
        await store.update(TENANT, GROUP, "box", lambda _: Change(None, members), Scope(), LATER, loose)
        assert await members_of(store, "box") == ["ann"]

    async def test_many_are_found_at_once(self, store: FullStore) -> None:
        """More of them than one point read brings are all found."""
        names = [f"u{number:03}" for number in range(300)]
        await store.insert_together(
            TENANT, [Insert(USER, each, Change(user(each))) for each in names], AUTHOR
        )
        assert sorted(await store.referred(TENANT, names)) == names

    async def test_what_the_server_makes_is_not_kept(self, store: FullStore) -> None:
        """A-69: whatever a caller puts beside the id, `$ref` and label are not stored."""
        manager = {"displayName": "x", "$ref": "../Users/2", "value": "1"}
        sent = user("ann") | {urns.ENTERPRISE_USER: {"manager": manager}}
        record = await store.insert(TENANT, USER, "ann", Change(sent), AUTHOR)
        assert document(record)[urns.ENTERPRISE_USER] == {"manager": {"value": "1"}}
        assert not (await _change(store, "ann", sent, USUAL)).changed

    @pytest.mark.parametrize("rules", [USUAL, TOLERANT], ids=["members", "tolerant"])
    async def test_references_are_taken_as_sent(self, store: FullStore, rules: Rules) -> None:
        """A-79: unless the rules are strict, a manager need not exist, and may come later."""
        await _add(store, "ann", "bob", rules)
        await _change(store, "ann", _managed("ann", "cem"), rules)
        assert await _reports(store, "cem") == ["ann"]
        await _add(store, "cem", "cem", rules)
        assert await _reports(store, "cem") == ["ann", "cem"]

    @pytest.mark.parametrize(
        ("manager", "words"),
        [("nobody", "there is no resource with id 'nobody'"), ("g", "'g' is a Group; it may refer to User only"),
         ("theirs", "'theirs'")],
        ids=["unknown", "another type", "another tenant"],
    )  # fmt: skip
    async def test_strict_references_must_lead_somewhere(
        self, store: FullStore, manager: str, words: str
    ) -> None:
        """A-70, T-13: by create and update; the refusal names attribute and id, and nothing is changed."""
        await _add(store, "ann")
        await add_group(store, "g")
        await add_user(store, "theirs", tenant=2)
        before = await picture(store)
        with pytest.raises(InvalidValue, match=words) as refusal:
            await _add(store, "bob", manager, STRICT)
        assert ATTRIBUTE in refusal.value.detail
        with pytest.raises(InvalidValue, match=words):
            await _change(store, "ann", _managed("ann", manager, title="x"), STRICT)
        assert await picture(store) == before

    async def test_strict_references_that_lead_somewhere(self, store: FullStore) -> None:
        """A-70: a user may refer to others and to itself; managers may form a ring."""
        await _add(store, "ann", "ann", STRICT)
        await _add(store, "bob", "ann", STRICT)
        await _change(store, "ann", _managed("ann", "bob"), STRICT)
        assert await _reports(store, "bob") == ["ann"]

    async def test_strict_asks_for_what_is_new(self, store: FullStore) -> None:
        """A reference from before the rules became strict is no obstacle to changing something else."""
        await _add(store, "ann", "nobody")
        assert (await _change(store, "ann", _managed("ann", "nobody", title="x"), STRICT)).changed
        with pytest.raises(InvalidValue, match="nowhere"):
            await _change(store, "ann", _managed("ann", "nowhere"), STRICT)

    async def test_strict_references_among_those_made_together(self, store: FullStore) -> None:
        """P-3.7-20: what is made together may refer to each other in either direction; one refusal refuses all."""
        made = [Insert(USER, "a", Change(_managed("a", "b"))), Insert(USER, "b", Change(_managed("b", "a")))]
        await store.insert_together(TENANT, made, AUTHOR, STRICT)
        assert await _reports(store, "b") == ["a"]
        before = await picture(store)
        wrong = [Insert(USER, "c", Change(user("c"))), Insert(USER, "d", Change(_managed("d", "x")))]
        with pytest.raises(StepRefused, match="'x'") as refusal:
            await store.insert_together(TENANT, wrong, AUTHOR, STRICT)
        assert refusal.value.step == 1
        assert await picture(store) == before

    @pytest.mark.parametrize(
        ("rules", "left"),
        [(USUAL, None), (STRICT, None), (TOLERANT, ["ann"])],
        ids=["members", "strict", "tolerant"],
    )
    async def test_unknown_members(self, store: FullStore, rules: Rules, left: list[str] | None) -> None:
        """A-70: they are refused, or, by tolerant rules, left out: ids are issued here, so none can come to be."""
        await add_user(store, "ann")
        await add_user(store, "theirs", tenant=2)
        members = tuple(map(Member, ("nobody", "ann", "theirs")))

        async def outcome() -> list[str] | None:
            try:
                await store.insert(TENANT, GROUP, "g", Change({"displayName": "g"}, members), AUTHOR, rules)
            except RequestError:
                return None
            return await members_of(store, "g")

        assert await outcome() == left

    async def test_only_unknown_members_change_nothing(self, store: FullStore) -> None:
        """A-31: adding what is left out leaves version and log alone; a wrong type is refused all the same."""
        await add_user(store, "ann")
        await add_group(store, "g")
        before = await picture(store)
        change = Change(None, (Member("nobody"),))
        updated = await store.update(TENANT, GROUP, "g", lambda _: change, Scope(), LATER, TOLERANT)
        assert updated is not None
        assert not updated.changed
        change = Change(None, (Member("ann", "Group"),))
        with pytest.raises(InvalidValue, match="is a User"):
            await store.update(TENANT, GROUP, "g", lambda _: change, Scope(), LATER, TOLERANT)
        assert await picture(store) == before

    @pytest.mark.parametrize("rules", [USUAL, STRICT], ids=["members", "strict"])
    async def test_a_deleted_manager_is_nobodys(self, store: FullStore, rules: Rules) -> None:
        """A-37, P-3.6-08: each report gets a new version and a log entry that says what; others do not."""
        await _add(store, "boss")
        old = [await _add(store, name, "boss") for name in ("ann", "bob")]
        other = await _add(store, "cem", "ann")
        assert await store.delete(TENANT, USER, "boss", LATER, rules)
        for before in old:
            now = await read(store, before.id)
            assert document(now) == {"schemas": [urns.USER], "userName": before.id}
            assert now.version != before.version
            assert now.modified == LATER.at
        assert await read(store, "cem") == other
        assert await _reports(store, "boss") == []
        assert ids(await find(store, f'schemas eq "{urns.ENTERPRISE_USER}"')) == ["cem"]
        entries = (await log(store))[-3:]
        assert [(entry.operation, entry.id, entry.detail) for entry in entries] == [
            ("delete", "boss", {}),
            ("update", "ann", {"attributes": [ATTRIBUTE]}),
            ("update", "bob", {"attributes": [ATTRIBUTE]}),
        ]
        assert [entry.version for entry in entries[1:]] == [
            (await read(store, each.id)).version for each in old
        ]

    async def test_tolerant_references_stay(self, store: FullStore) -> None:
        """A-37: by tolerant rules who referred to a deleted resource is not touched; memberships go by any rules."""
        await _add(store, "boss")
        ann = await _add(store, "ann", "boss")
        await add_group(store, "g", "boss")
        assert await store.delete(TENANT, USER, "boss", LATER, TOLERANT)
        assert await read(store, "ann") == ann
        assert await _reports(store, "boss") == ["ann"]
        assert await members_of(store, "g") == []

    async def test_who_refers_to_itself_goes_without_a_trace(self, store: FullStore) -> None:
        """A-37: a resource that refers to itself is deleted once, with one entry in the log."""
        await _add(store, "ann", "ann")
        assert await store.delete(TENANT, USER, "ann", LATER)
        assert [(entry.operation, entry.id) for entry in await log(store)] == [
            ("create", "ann"),
            ("delete", "ann"),
        ]

    async def test_an_id_of_another_type_is_no_reference(self, store: FullStore) -> None:
        """A manager that names a group never led anywhere, and stays when the group goes."""
        await add_group(store, "g")
        ann = await _add(store, "ann", "g")
        assert await store.delete(TENANT, GROUP, "g", LATER)
        assert await read(store, "ann") == ann

    async def test_others_of_the_same_id_are_not_touched(self, store: FullStore) -> None:
        """I-08: a deletion in one tenant leaves references of another alone."""
        await _add(store, "boss")
        await add_user(store, "boss", tenant=2)
        await store.insert(2, USER, "ann", Change(_managed("ann", "boss")), AUTHOR)
        assert await store.delete(TENANT, USER, "boss", LATER)
        assert ids(await find(store, f'{ATTRIBUTE}.value eq "boss"', tenant=2)) == ["ann"]

    async def test_many_reports_lose_their_manager(self, store: FullStore) -> None:
        """A-37: a thousand references go in one deletion, each logged, in order of creation."""
        names = [f"u{number:04}" for number in range(1000)]
        await _add(store, "boss")
        made = [Insert(USER, each, Change(_managed(each, "boss"))) for each in names]
        await store.insert_together(TENANT, made, AUTHOR)
        assert await store.delete(TENANT, USER, "boss", LATER)
        assert await _reports(store, "boss") == []
        entries = await store.changes(TENANT, 1001, 2000)
        assert [(entry.operation, entry.id) for entry in entries] == [
            ("delete", "boss"),
            *(("update", each) for each in names),
        ]

    async def test_a_manager_goes_while_others_refer_to_them(self, store: FullStore) -> None:
        """I-02, I-07: of deletions and strict references at once, none leaves a reference that leads nowhere."""
        for number in range(10):
            await _add(store, f"m{number}")
        added = [_add(store, f"u{number}", f"m{number % 10}", STRICT) for number in range(40)]
        gone = [store.delete(TENANT, USER, f"m{number}", LATER, STRICT) for number in range(0, 10, 2)]
        mixed = [work for pair in zip(added[:5], gone, strict=True) for work in pair] + added[5:]
        await asyncio.gather(*mixed, return_exceptions=True)
        for number in range(0, 10, 2):
            assert await _reports(store, f"m{number}") == []
