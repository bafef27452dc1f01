"""PATCH on memberships: rows that change, and rows that have to be seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.written import GROUP, LEAST, message, only, operation, patched, without

from rollbook.protocol.errors import InvalidPath, InvalidValue, Mutability, NoTarget, RequestError
from rollbook.protocol.patch import apply, parse_patch, scope
from rollbook.protocol.quirks import AUTO, RFC, Leniency, Profile, Quirk
from rollbook.protocol.resource import Change, Member, Present, Scope
from rollbook.protocol.values import JsonObject, JsonValue

STAFF = LEAST["Group"]
A, B, C = Member("a", "User", "Ann"), Member("b", "Group", "Board"), Member("c", "User")


def scoped(*operations: JsonObject, profile: Profile = RFC) -> Scope:
    """Which members these operations have to see."""
    return scope(parse_patch(message(*operations), GROUP, Leniency(profile)))


def rows(ids: JsonValue) -> list[JsonObject]:
    """Members as clients send them."""
    return [{"value": value} for value in ids]


ALL = Scope(all=True)
ROWS: list[tuple[str, JsonObject, tuple[str, ...], tuple[str, ...], Scope]] = [
    ("add", operation("add", "members", value=rows("c")), ("c",), (), Scope(frozenset("c"))),
    ("P-3.5.2.1-07", operation("add", "members", value=rows("ac")), ("c",), (), Scope(frozenset("ac"))),
    ("A-25 display", operation("add", "members", value=[{"value": "a", "display": "other"}]), (), (), Scope(frozenset("a"))),
    ("add twice", operation("add", "members", value=rows("cc")), ("c",), (), Scope(frozenset("c"))),
    ("add nothing", operation("add", "members", value=[]), (), (), Scope()),
    ("WSO2 T0", operation("add", value={"members": rows("c")}), ("c",), (), Scope(frozenset("c"))),
    ("P-3.5.2.2-04", operation("remove", 'members[value eq "a"]'), (), ("a",), Scope(frozenset("a"))),
    ("P-3.5.2.2-07", operation("remove", 'members[value eq "c"]'), (), (), Scope(frozenset("c"))),
    ("remove two", operation("remove", 'members[value eq "a" or value eq "b"]'), (), ("a", "b"), Scope(frozenset("ab"))),
    ("remove both tests", operation("remove", 'members[value eq "a" and type eq "Group"]'), (), (), Scope(frozenset("a"))),
    ("remove by id is exact", operation("remove", 'members[value eq "A"]'), (), (), Scope(frozenset("A"))),
    ("remove by type", operation("remove", 'members[type eq "group"]'), (), ("b",), ALL),
    ("remove all but one", operation("remove", 'members[not (value eq "a")]'), (), ("b",), ALL),
    ("remove by either", operation("remove", 'members[value eq "a" or type eq "Group"]'), (), ("a", "b"), ALL),
    ("P-3.5.2.2-03", operation("remove", "members"), (), ("a", "b"), ALL),
    ("Keycloak A-30 null", operation("remove", "members", value=None), (), ("a", "b"), ALL),
    ("A-36", operation("replace", "members", value=rows("bc")), ("c",), ("a",), ALL),
    ("A-36 the same", operation("replace", "members", value=rows("ba")), (), (), ALL),
    ("A-35", operation("replace", "members", value=[]), (), ("a", "b"), ALL),
    ("A-35 null", operation("replace", "members", value=None), (), ("a", "b"), ALL),
    ("T0 replace", operation("replace", value={"members": rows("c")}), ("c",), ("a", "b"), ALL),
    ("T7 A-27", operation("add", 'members[value eq "c"]', value={"type": "User"}), ("c",), (), Scope(frozenset("c"))),
    ("T7 there", operation("add", 'members[value eq "a"]', value={"type": "user"}), (), (), Scope(frozenset("a"))),
    ("T8 A-27", operation("add", 'members[value eq "c"].value', value="c"), ("c",), (), Scope(frozenset("c"))),
    ("T7 replace", operation("replace", 'members[value eq "a"]', value={"value": "c"}), ("c",), ("a",), Scope(frozenset("ac"))),
    ("T8 equal", operation("replace", 'members[value eq "a"].value', value="a"), (), (), Scope(frozenset("a"))),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "added", "removed", "seen"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_a_patch_of_members_is_rows(
    sent: JsonObject, added: tuple[str, ...], removed: tuple[str, ...], seen: Scope, profile: Profile
) -> None:
    """architecture §3: the change is rows to add and remove; the patch sees the members it names, no others."""
    assert scoped(sent, profile=profile) == seen
    visible = tuple(row for row in (A, B) if seen.all or row.value in seen.ids)
    change = patched(STAFF, sent, resource_type=GROUP, profile=profile, members=visible)
    assert change.document is None
    assert tuple(row.value for row in change.add_members) == added
    assert change.remove_members == removed


@pytest.mark.parametrize(
    ("value", "removed"),
    [
        (rows("a"), ("a",)),
        ({"value": "a"}, ("a",)),
        ({"members": rows("a")}, ("a",)),
        ([{"$ref": None, "value": "a"}, {"value": "c"}], ("a",)),
        ([], ()),
    ],
    ids=["Entra", "one", "Ping", "reference", "nothing"],
)
def test_a_30_a_value_list_removes_only_the_members_it_lists(
    value: JsonValue, removed: tuple[str, ...]
) -> None:
    """A-30: in every shape; switched off it is 400/invalidValue, never the loss of all members."""
    sent = operation("remove", "members", value=value)
    profile = only(Quirk.VALUE_LIST_REMOVAL)
    assert not scoped(sent, profile=profile).all
    change = patched(STAFF, sent, resource_type=GROUP, profile=profile, members=(A, B))
    assert change == Change(remove_members=removed)
    with pytest.raises(InvalidValue) as caught:
        scoped(sent, profile=without(Quirk.VALUE_LIST_REMOVAL))
    assert caught.value.quirk == Quirk.VALUE_LIST_REMOVAL


REFUSED: list[tuple[str, JsonObject, type[RequestError], str]] = [
    ("P-3.5.2.2-11", operation("remove", 'members[value eq "a"].value'), Mutability, "members.value is immutable"),
    ("P-3.5.2.2-11 display", operation("remove", 'members[value eq "a"].display'), Mutability, "members.display"),
    ("immutable id", operation("replace", 'members[value eq "a"].value', value="c"), Mutability, "members.value"),
    ("immutable type", operation("add", 'members[value eq "a"]', value={"type": "Group"}), Mutability, "members.type"),
    ("P-3.5.2.3-08", operation("replace", 'members[value eq "c"]', value={"value": "d"}), NoTarget, "no value passes"),
    ("A-27", operation("add", 'members[type eq "User" or type eq "x"].value', value="c"), Mutability, "members.value"),
    ("S-72", operation("add", "members", value=[{"display": "x"}]), InvalidValue, "needs the id of a resource"),
    ("S-72 created", operation("add", 'members[type eq "x"].display', value="d"), InvalidValue, "needs the id"),
    ("A-69", operation("add", "members", value=[{"value": "a", "type": "Group"}]), InvalidValue, "a is a User, not a Group"),
    ("A-69 replace", operation("replace", "members", value=[{"value": "b", "type": "User"}]), InvalidValue, "b is a Group"),
    ("A-91", operation("remove", 'members[value eq "a"].displayName'), InvalidPath, "no part displayName"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "error", "words"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_s_71_parts_of_members_do_not_change(
    sent: JsonObject, error: type[RequestError], words: str, profile: Profile
) -> None:
    """S-71: entries come and go as a whole; their parts are immutable."""
    with pytest.raises(error) as caught:
        patched(STAFF, sent, resource_type=GROUP, profile=profile, members=(A, B))
    assert words in caught.value.detail


def test_s_72_unknown_parts_are_not_looked_at() -> None:
    """A-03: an unknown part of a member is leniency."""
    sent = operation("add", "members", value=[{"value": "c", "displayName": "x"}])
    assert patched(STAFF, sent, resource_type=GROUP, profile=AUTO).add_members == (Member("c"),)


def test_a_part_of_all_members_is_refused_unless_it_is_the_same() -> None:
    """A-20, T6: every member gets the part, and parts of members are immutable."""
    sent = operation("replace", "members.type", value="User")
    profile = only(Quirk.SUB_ATTRIBUTE_OF_ALL)
    assert scoped(sent, profile=profile) == ALL
    assert patched(STAFF, sent, resource_type=GROUP, profile=profile, members=(A, C)).is_empty
    with pytest.raises(Mutability):
        patched(STAFF, sent, resource_type=GROUP, profile=profile, members=(A, B))


def test_p_3_5_2_13_operations_see_each_other() -> None:
    """P-3.5.2-13: what one operation removes another may add again, and the other way round."""
    remove, add = operation("remove", "members"), operation("add", "members", value=rows("bc"))
    assert patched(STAFF, remove, add, resource_type=GROUP, members=(A, B)) == Change(
        None, (Member("c"),), ("a",)
    )
    add, remove = operation("add", "members", value=rows("c")), operation("remove", 'members[value eq "c"]')
    assert patched(STAFF, add, remove, resource_type=GROUP, members=(A,)).is_empty


def test_document_and_members_change_together() -> None:
    """A patch may rename a group and change its members in one go."""
    sent = (operation("replace", "displayName", value="New"), operation("add", "members", value=rows("c")))
    assert patched(STAFF, *sent, resource_type=GROUP) == Change({"displayName": "New"}, (Member("c"),))
    assert scoped(*sent) == Scope(frozenset("c"))
    assert scoped(sent[0]) == Scope()


def test_the_type_sent_later_reaches_the_row() -> None:
    """A-69: a member named twice keeps the type that one of them gives, for the store to check."""
    sent = (
        operation("add", "members", value=rows("c")),
        operation("add", "members", value=[{"value": "c", "type": "User"}]),
    )
    assert patched(STAFF, *sent, resource_type=GROUP).add_members == (Member("c", "User"),)


def test_t_51_a_member_added_to_many_looks_at_one() -> None:
    """T-51: the cost of one member does not grow with the group; a hundred thousand are replaced in one go."""
    everyone = {str(n): Member(str(n)) for n in range(100_000)}
    value = rows([str(n) for n in range(50_000, 150_000)])
    patch = parse_patch(message(operation("replace", "members", value=value)), GROUP, Leniency(RFC))
    change = apply(patch, Present(STAFF, everyone))
    assert (len(change.add_members), len(change.remove_members)) == (50_000, 50_000)
    steps = [operation("remove", f'members[value eq "{n}"]') for n in range(5_000)]
    patch = parse_patch(message(*steps), GROUP, Leniency(RFC))
    assert len(apply(patch, Present(STAFF, everyone)).remove_members) == 5_000


_IDS = st.lists(st.sampled_from("abcde"), max_size=4)
_MEMBER_OPERATIONS = st.one_of(
    st.builds(lambda ids: operation("add", "members", value=rows(ids)), _IDS),
    st.builds(lambda ids: operation("replace", "members", value=rows(ids)), _IDS),
    st.builds(lambda ids: operation("remove", "members", value=rows(ids)), _IDS),
    st.builds(lambda key: operation("remove", f'members[value eq "{key}"]'), st.sampled_from("abcde")),
    st.just(operation("remove", "members")),
)


@given(st.lists(_MEMBER_OPERATIONS, min_size=1, max_size=5), st.frozensets(st.sampled_from("abcde")))
def test_members_are_a_set(operations: list[JsonObject], stored: frozenset[str]) -> None:
    """The change applied to the stored ids gives what sets give; the named members suffice to compute it."""
    wanted = set(stored)
    for sent in operations:
        wanted = _as_sets(sent, wanted)
    seen = scoped(*operations, profile=AUTO)
    visible = tuple(Member(key) for key in sorted(stored) if seen.all or key in seen.ids)
    change = patched(STAFF, *operations, resource_type=GROUP, profile=AUTO, members=visible)
    added = {row.value for row in change.add_members}
    assert not added & stored
    assert stored.issuperset(change.remove_members)
    assert (stored - set(change.remove_members)) | added == wanted


def _as_sets(sent: JsonObject, ids: set[str]) -> set[str]:
    if "[" in sent["path"]:
        return ids - {sent["path"].split('"')[1]}
    named = {row["value"] for row in sent.get("value") or ()}
    if sent["op"] == "remove":
        return ids - named if "value" in sent else set()
    return named if sent["op"] == "replace" else ids | named
