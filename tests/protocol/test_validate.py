"""Bodies of POST and PUT as resources, and what replacing changes."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.protocol.written import (
    ENTERPRISE,
    EXTRA_URN,
    GADGET,
    GROUP,
    LEAST,
    OWNER_URN,
    USER,
    body_of,
    document_of,
    only,
    read,
    without,
)

from rollbook.protocol import urns
from rollbook.protocol.errors import InvalidSyntax, InvalidValue, Mutability, RequestError
from rollbook.protocol.quirks import AUTO, RFC, Leniency, Profile, Quirk
from rollbook.protocol.resource import Change, Member, Present, Resource
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.validate import create, map_secrets, replace
from rollbook.protocol.values import JsonObject, JsonValue

LEAST_USER, LEAST_GADGET = LEAST["User"], LEAST["Gadget"]


@pytest.mark.parametrize("body", [[], "x", None, 5, True])
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_p_3_3_14_a_body_is_an_object(body: JsonValue, profile: Profile) -> None:
    """P-3.3-14: anything else is 400/invalidSyntax."""
    with pytest.raises(InvalidSyntax, match="must be a JSON object, a User"):
        read(body, USER, profile)


@pytest.mark.parametrize(
    ("resource_type", "sent"),
    [
        (USER, {"id": "x", "meta": {"resourceType": "Group", "version": 5}, "groups": [{"value": "g"}]}),
        (USER, {"ID": 5, "Meta": "any shape", "GROUPS": 7}),
        (USER, {ENTERPRISE: {"manager": {"displayName": "x"}}}),
        (GADGET, {"state": {"any": "shape"}}),
        (GADGET, {"box": {"seen": "x"}}),
    ],
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_p_3_3_02_read_only_attributes_are_ignored(
    resource_type: ResourceType, sent: JsonObject, profile: Profile
) -> None:
    """P-3.1-05, P-3.3-02, P-3.3-09, P-3.3-10, P-3.5.1-08, S-42: whatever their value, nothing of it is kept."""
    assert document_of(resource_type, sent, profile) == LEAST[resource_type.name]


def test_p_3_3_12_external_id_is_kept_as_sent() -> None:
    """P-3.3-12, S-41: externalId is the client's, letter case included."""
    assert document_of(USER, {"externalId": "ABC"})["externalId"] == "ABC"
    assert "externalId" not in document_of(USER, {})


REQUIRED: list[tuple[str, ResourceType, JsonObject, str]] = [
    ("S-50", USER, {"userName": None}, "userName is required"),
    ("S-50 empty", USER, {"userName": ""}, "userName is required"),
    ("S-50 blank", USER, {"userName": " \u3000"}, "userName is required: send a value that is not empty"),
    ("S-50 empty array", USER, {"userName": []}, "userName is required"),
    ("S-70", GROUP, {"displayName": None}, "displayName is required"),
    ("part", GADGET, {"box": {"depth": 1}}, "box.kind is required"),
    ("part of one value", GADGET, {"sites": [{"street": "a"}, {"note": "b"}]}, "sites.street is required"),
    ("part of spaces", GADGET, {"box": {"kind": "  "}}, "box.kind is required"),
    ("P-3.3-18", GADGET, {OWNER_URN: None}, f"{OWNER_URN} is required: send the extension, an object under '{OWNER_URN}'"),
    ("P-3.3-18 attribute", GADGET, {OWNER_URN: {"since": "2026-01-01T00:00:00Z"}}, f"{OWNER_URN}:owner is required"),
    ("attribute of an optional extension", GADGET, {EXTRA_URN: {"shape": "o"}}, f"{EXTRA_URN}:colour is required"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource_type", "sent", "words"), [row[1:] for row in REQUIRED], ids=[row[0] for row in REQUIRED]
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_p_3_3_13_what_is_required_has_a_value(
    resource_type: ResourceType, sent: JsonObject, words: str, profile: Profile
) -> None:
    """P-3.3-13, P-3.3-18, P-3.5.1-09, A-93: required attributes and parts are 400/invalidValue when empty."""
    with pytest.raises(InvalidValue) as caught:
        document_of(resource_type, sent, profile)
    assert words in caught.value.detail


def test_a_29_a_value_of_labels_only_needs_no_required_part() -> None:
    """A-29: what is dropped is not judged."""
    assert document_of(GADGET, {"sites": [{"type": "b"}]}) == LEAST_GADGET


def test_p_3_3_17_an_extension_needs_no_mention_in_schemas() -> None:
    """P-3.3-17, A-04: data decides; an URN without data leaves nothing."""
    with_data = {"schemas": [urns.USER], **LEAST_USER, ENTERPRISE: {"department": "x"}}
    without_data = {"schemas": [urns.USER, ENTERPRISE], **LEAST_USER}
    assert read(with_data).document == {**LEAST_USER, ENTERPRISE: {"department": "x"}}
    assert read(without_data).document == LEAST_USER


@pytest.mark.parametrize(
    ("sent", "active"),
    [({}, True), ({"active": False}, False), ({"active": None}, None), ({"active": []}, None)],
)
def test_p_3_3_03_04_a_default_stands_unless_null_is_sent(sent: JsonObject, active: bool | None) -> None:
    """P-3.3-03, P-3.3-04, A-73: active is true unless the client says something, null included."""
    assert read(body_of(USER, sent), at_create=True).document.get("active") is active


def test_groups_have_no_active() -> None:
    """A default belongs to one schema."""
    assert read(body_of(GROUP, {}), GROUP, at_create=True).document == LEAST["Group"]


FORMS: list[tuple[str, str, JsonObject, bool]] = [
    ("S-59", "addresses.country", {"addresses": [{"country": text}]}, fits)
    for text, fits in (("DE", True), ("de", True), ("USA", False), ("Deutschland", False))
]
FORMS += [
    ("S-53", "preferredLanguage", {"preferredLanguage": text}, fits)
    for text, fits in (
        ("en-US", True), ("de", True), ("de-CH, de;q=0.9, en;q=0.5, *;q=0.1", True), ("en_US", False),
        ("en;q=2", False), ("English language", False),
    )
]  # fmt: skip
FORMS += [
    ("S-53", "locale", {"locale": text}, fits)
    for text, fits in (
        ("en-US", True),
        ("en_US", True),
        ("zh-Hant-TW", True),
        ("de, en", False),
        ("Germany!", False),
    )
]
FORMS += [
    ("S-53", "timezone", {"timezone": text}, fits)
    for text, fits in (
        ("Europe/Berlin", True),
        ("UTC", True),
        ("America/Argentina/Ushuaia", True),
        ("GMT +1", False),
    )
]
FORMS += [
    ("S-58", "photos.value", {"photos": [{"value": text}]}, fits)
    for text, fits in (("https://x.example/a.png", True), ("data:image/png;base64,AA==", True),
                       ("data:text/html,x", False), ("javascript:alert(1)", False))
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "sent", "fits"), [row[1:] for row in FORMS], ids=[f"{row[0]} {row[2]}"[:60] for row in FORMS]
)
def test_formats_are_checked_in_strict_mode(name: str, sent: JsonObject, fits: bool) -> None:
    """A-74: what the RFC says of single attributes is checked; the switch any-format lets any text pass."""
    assert document_of(USER, sent, only(Quirk.ANY_FORMAT)) == {**LEAST_USER, **sent}
    if fits:
        assert document_of(USER, sent) == {**LEAST_USER, **sent}
        return
    with pytest.raises(InvalidValue, match=rf"^{name}: ") as caught:
        document_of(USER, sent, without(Quirk.ANY_FORMAT))
    assert caught.value.quirk == Quirk.ANY_FORMAT


@pytest.mark.parametrize(
    ("sent", "members"),
    [
        ([{"value": "a"}], (Member("a"),)),
        ([{"VALUE": "a", "$ref": None, "display": 5, "type": "User"}], (Member("a", "User"),)),
        (
            [{"value": "a"}, {"value": "b"}, {"value": "a", "type": "User"}],
            (Member("a", "User"), Member("b")),
        ),
        ([], ()),
        (None, ()),
    ],
    ids=["S-71", "A-69", "A-25", "S-05 empty", "S-05 null"],
)
def test_s_71_members_are_taken_out_of_the_document(sent: JsonValue, members: tuple[Member, ...]) -> None:
    """S-71, S-73, A-69: id counts, type is kept for a later check, the rest is the server's."""
    resource = read(body_of(GROUP, {"members": sent}), GROUP)
    assert resource == Resource(LEAST["Group"], members, resource.cleared)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ([{}], "needs the id of a resource"),
        ([{"value": None}], "needs the id of a resource"),
        ([{"value": ""}], "needs the id of a resource"),
        ([{"display": "x"}], "needs the id of a resource"),
        (["a"], 'members: "a" is not of type complex'),
        ([None], "members: null is not of type complex"),
        ([{"value": 5}], "members.value: 5 is not of type string"),
        ([{"value": "a", "type": 5}], "members.type: 5 is not of type string"),
        ([{"value": "a", "type": "User"}, {"value": "a", "type": "Group"}], "a is a User, not a Group"),
        ("a", 'members: "a" is not of type complex'),
    ],
)  # fmt: skip
def test_s_72_a_member_needs_an_id(sent: JsonValue, words: str) -> None:
    """S-72, A-26: a member is an object with value, in both modes."""
    with pytest.raises(InvalidValue) as caught:
        read(body_of(GROUP, {"members": sent}), GROUP, AUTO)
    assert words in caught.value.detail


def test_members_are_an_array() -> None:
    """A-26: one member without array is leniency; unknown parts are too."""
    body = body_of(GROUP, {"members": {"value": "a"}})
    assert read(body, GROUP, only(Quirk.SINGLE_AS_LIST)).members == (Member("a"),)
    with pytest.raises(InvalidValue) as caught:
        read(body, GROUP)
    assert caught.value.quirk == Quirk.SINGLE_AS_LIST
    body = body_of(GROUP, {"members": [{"value": "a", "displayName": "x"}]})
    assert read(body, GROUP, only(Quirk.UNKNOWN_ATTRIBUTES)).members == (Member("a"),)
    with pytest.raises(InvalidSyntax):
        read(body, GROUP)


def test_a_hundred_thousand_members_are_read() -> None:
    """A-36: memberships are rows; a body may bring a great many."""
    sent = [{"value": str(n)} for n in range(100_000)]
    assert len(read(body_of(GROUP, {"members": sent}), GROUP).members) == 100_000


def test_p_7_10_secrets_are_mapped_where_they_are() -> None:
    """P-7-10: the function sees the password alone; without one it is not called."""
    resource = read(body_of(USER, {"password": "t1me"}))
    assert map_secrets(resource, USER, str.upper).document["password"] == "T1ME"
    assert resource.document["password"] == "t1me"
    assert map_secrets(read(body_of(USER, {})), USER, str.upper).document == LEAST_USER
    group = read(body_of(GROUP, {}), GROUP)
    assert map_secrets(group, GROUP, str.upper) is group


def test_create_makes_everything_new() -> None:
    """P-3.3-01: the change of a create is the whole resource."""
    resource = read(body_of(GROUP, {"members": [{"value": "a"}]}), GROUP)
    assert create(resource) == Change({"displayName": "Staff"}, (Member("a"),))


def put(
    stored: JsonObject,
    sent: JsonObject,
    resource_type: ResourceType = USER,
    profile: Profile = RFC,
    members: tuple[Member, ...] = (),
) -> Change:
    """What a PUT with these attributes changes in a resource that has those stored."""
    resource = read(body_of(resource_type, sent), resource_type, profile)
    present = Present({**LEAST[resource_type.name], **stored}, {row.value: row for row in members})
    before = copy.deepcopy((resource, present))
    decide = replace(resource, resource_type, Leniency(profile))
    change = decide(present)
    assert decide(present) == change  # it may run again
    assert (resource, present) == before
    return change


BOX = {"kind": "a", "lid": "l"}
REPLACED: list[tuple[str, ResourceType, JsonObject, JsonObject, JsonObject | None]] = [
    ("P-3.5.1-01", GADGET, {"code": "a"}, {"code": "b"}, {"code": "b"}),
    ("P-3.5.1-01 writeOnly", GADGET, {"pin": "1"}, {"pin": "2"}, {"pin": "2"}),
    ("P-3.5.1-02", GADGET, {"code": "a", "tags": ["x"]}, {}, {}),
    ("P-3.5.1-04", GADGET, {"code": "a"}, {"code": None}, {}),
    ("P-3.5.1-05 equal", GADGET, {"serial": "a"}, {"serial": "a"}, None),
    ("P-3.5.1-05 equal by its rules", GADGET, {"serial": "a"}, {"serial": "A"}, None),
    ("P-3.5.1-06", GADGET, {}, {"serial": "a"}, {"serial": "a"}),
    ("P-3.5.1-07", GADGET, {"serial": "a"}, {}, None),
    ("P-3.5.1-07 null", GADGET, {"serial": "a"}, {"serial": None}, None),
    ("P-3.5.1-07 part", GADGET, {"box": BOX}, {"box": {"kind": "b"}}, {"box": {"kind": "b", "lid": "l"}}),
    ("P-3.5.1-07 many values", GADGET, {"seals": ["a"]}, {}, None),
    ("P-3.5.1-06 part", GADGET, {"box": {"kind": "a"}}, {"box": BOX}, {"box": BOX}),
    ("the whole of a part", GADGET, {"box": BOX}, {}, {}),
    ("P-3.5.1-08", GADGET, {"state": "s"}, {"state": "t"}, None),
    ("P-3.5.1-13", GADGET, {"pin": "1"}, {}, None),
    ("P-3.5.1-13 null", GADGET, {"pin": "1"}, {"pin": None}, None),
    ("P-3.5.1-14", GADGET, {"tags": ["x"], "size": 1}, {"size": 1, "tags": ["x"]}, None),
    ("P-3.5.1-17", GADGET, {EXTRA_URN: {"colour": "red"}}, {}, {}),
    ("readOnly in an extension", GADGET, {EXTRA_URN: {"colour": "red", "grade": "a"}}, {EXTRA_URN: {"colour": "blue"}},
     {EXTRA_URN: {"colour": "blue", "grade": "a"}}),
    ("values with immutable parts", GADGET, {"ports": [{"value": "a", "maker": "m"}]},
     {"ports": [{"value": "a", "maker": "n"}]}, {"ports": [{"value": "a", "maker": "n"}]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource_type", "stored", "sent", "kept"),
    [row[1:] for row in REPLACED],
    ids=[row[0] for row in REPLACED],
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_p_3_5_1_put_replaces(
    resource_type: ResourceType,
    stored: JsonObject,
    sent: JsonObject,
    kept: JsonObject | None,
    profile: Profile,
) -> None:
    """P-3.5.1: readWrite is cleared when left out, the rest kept; nothing new is the empty change."""
    change = put(stored, sent, resource_type, profile)
    assert change == Change(None if kept is None else {**LEAST[resource_type.name], **kept})
    assert change.is_empty == (kept is None)


@pytest.mark.parametrize(
    ("stored", "sent", "name"),
    [
        ({"serial": "a"}, {"serial": "b"}, "serial"),
        ({"box": BOX}, {"box": {"kind": "a", "lid": "m"}}, "box.lid"),
        ({"seals": ["a"]}, {"seals": ["a", "b"]}, "seals"),
    ],
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_p_3_5_1_05_an_immutable_value_stays(
    stored: JsonObject, sent: JsonObject, name: str, profile: Profile
) -> None:
    """P-3.5.1-05: another value for an immutable attribute that has one is 400/mutability."""
    with pytest.raises(Mutability, match=f"^{name} is immutable"):
        put(stored, sent, GADGET, profile)


@pytest.mark.parametrize(
    ("stored", "sent", "strict", "lenient"),
    [
        ({"active": False}, {}, True, False),
        ({"active": True}, {}, True, True),
        ({}, {}, True, None),
        ({"active": False}, {"active": True}, True, True),
        ({"active": False}, {"active": None}, None, None),
    ],
    ids=["off", "on", "unassigned", "sent", "cleared"],
)
def test_a_05_active_left_out_is_kept_in_lenient_mode(
    stored: JsonObject, sent: JsonObject, strict: bool | None, lenient: bool | None
) -> None:
    """A-05, P-3.5.1-02: strictly it gets its default; keep-active leaves it as it is."""
    for profile, active in ((without(Quirk.KEEP_ACTIVE), strict), (only(Quirk.KEEP_ACTIVE), lenient)):
        document = put(stored, sent, USER, profile).document
        assert (stored if document is None else document).get("active") is active


def test_a_36_members_are_replaced_as_a_difference() -> None:
    """A-36: members that stay are not touched; without members in the body all go (A-05)."""
    stored = (Member("a", "User"), Member("b", "User"))
    sent = {"members": [{"value": "b"}, {"value": "c"}]}
    assert put({}, sent, GROUP, members=stored) == Change(None, (Member("c"),), ("a",))
    assert put({}, {}, GROUP, members=stored) == Change(None, (), ("a", "b"))
    assert put({}, {"members": [{"value": "b"}, {"value": "a"}]}, GROUP, members=stored).is_empty


def test_a_69_a_member_sent_with_another_type_is_refused() -> None:
    """A-69: the type a client gives must be that of the id."""
    with pytest.raises(InvalidValue, match="a is a User, not a Group"):
        put({}, {"members": [{"value": "a", "type": "Group"}]}, GROUP, members=(Member("a", "User"),))


_TEXT = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=5
).filter(lambda text: not text.isspace())
_PORT = st.fixed_dictionaries(
    {"value": _TEXT},
    optional={"type": _TEXT, "speed": st.integers(-5, 5), "names": st.lists(_TEXT, max_size=3)},
)
_GADGETS = st.fixed_dictionaries(
    {"label": _TEXT, OWNER_URN: st.just({"owner": "x"})},
    optional={
        "serial": _TEXT,
        "on": st.booleans(),
        "weight": st.floats(allow_nan=False, allow_infinity=False),
        "made": st.datetimes().map(lambda moment: moment.isoformat()),
        "picture": st.binary(max_size=4).map(lambda data: data.hex()).filter(lambda text: len(text) % 4 != 1),
        "tags": st.lists(_TEXT, max_size=4),
        "ports": st.lists(_PORT, max_size=4),
        "box": st.fixed_dictionaries({"kind": _TEXT}, optional={"lid": _TEXT, "notes": st.lists(_TEXT, max_size=3)}),
        EXTRA_URN: st.fixed_dictionaries({"colour": _TEXT}, optional={"keeper": st.fixed_dictionaries({"value": _TEXT})}),
        "unknown": st.just(1),
    },
)  # fmt: skip


@given(_GADGETS)
def test_what_validation_made_validates_to_itself(sent: JsonObject) -> None:
    """Reading canonical output again changes nothing, strictly too."""
    document = document_of(GADGET, sent, AUTO)
    assert document_of(GADGET, document, RFC) == document


@given(_GADGETS)
def test_a_31_a_resource_replaced_by_itself_does_not_change(sent: JsonObject) -> None:
    """P-3.5.1-14, A-31: PUT of what is stored is the empty change."""
    document = document_of(GADGET, sent, AUTO)
    resource = read({"schemas": [GADGET.schema.id], **document}, GADGET)
    assert replace(resource, GADGET, Leniency(RFC))(Present(document)).is_empty


@given(st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["schemas", "userName", "name", "name.givenName", "emails", "active", "id", "value",
                                         "department", "x", ENTERPRISE, urns.USER, "type", "primary"]), inner, max_size=5),
                    max_leaves=12), st.sampled_from([RFC, AUTO]))  # fmt: skip
def test_any_body_is_read_or_refused(body: JsonValue, profile: Profile) -> None:
    """No JSON value brings anything but a resource or a RequestError."""
    try:
        resource = read(body, USER, profile)
    except RequestError:
        return
    assert resource.document["userName"]
