"""PATCH remove, for each form of target."""

import pytest
from tests.protocol.written import (
    ENTERPRISE,
    EXTRA_URN,
    GADGET,
    GROUP,
    LEAST,
    OWNER_URN,
    USER,
    after,
    only,
    operation,
    patched,
)

from rollbook.protocol.errors import Mutability, RequestError
from rollbook.protocol.quirks import AUTO, RFC, Profile, Quirk
from rollbook.protocol.resource import Change
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject, JsonValue

WORK = {"value": "a@x", "type": "work", "primary": True}
HOME = {"value": "b@x", "type": "home"}
MANAGER = f"{ENTERPRISE}:manager"

REMOVED: list[tuple[str, JsonObject, str, JsonObject]] = [
    ("T1 P-3.5.2.2-02", {"title": "x"}, "title", {}),
    ("T1 P-3.5.2.2-08", {}, "title", {}),
    ("T2", {"name": {"givenName": "x", "familyName": "y"}}, "name", {}),
    ("T3", {"name": {"givenName": "x", "familyName": "y"}}, "name.givenName", {"name": {"familyName": "y"}}),
    ("T3 last part", {"name": {"givenName": "x"}}, "name.givenName", {}),
    ("T3 nothing there", {}, "name.givenName", {}),
    ("T5 P-3.5.2.2-03", {"emails": [WORK, HOME]}, "emails", {}),
    ("T7 P-3.5.2.2-04", {"emails": [WORK, HOME]}, 'emails[type eq "home"]', {"emails": [WORK]}),
    ("T7 last value", {"emails": [WORK]}, 'emails[type eq "work"]', {}),
    ("T7 P-3.5.2.2-07", {"emails": [WORK]}, 'emails[type eq "home"]', {"emails": [WORK]}),
    ("T7 no values", {}, 'emails[type eq "home"]', {}),
    ("T7 any filter", {"emails": [WORK, HOME]}, "emails[not (primary eq true)]", {"emails": [WORK]}),
    ("T8 P-3.5.2.2-05", {"emails": [WORK | {"display": "D"}, HOME | {"display": "D"}]}, 'emails[type eq "work"].display',
     {"emails": [WORK, HOME | {"display": "D"}]}),
    ("T8 no match", {"emails": [WORK]}, 'emails[type eq "home"].display', {"emails": [WORK]}),
    ("T8 P-3.5.2.2-10", {"emails": [WORK, HOME]}, 'emails[type eq "work"].value', {"emails": [HOME]}),
    ("T9", {ENTERPRISE: {"department": "x", "manager": {"value": "7"}}}, ENTERPRISE, {}),
    ("T9 nothing there", {}, ENTERPRISE, {}),
    ("T10", {ENTERPRISE: {"department": "x", "division": "y"}}, f"{ENTERPRISE}:department",
     {ENTERPRISE: {"division": "y"}}),
    ("T10 last", {ENTERPRISE: {"department": "x"}}, f"{ENTERPRISE}:department", {}),
    ("T11 last", {ENTERPRISE: {"manager": {"value": "7"}}}, f"{MANAGER}.value", {}),
    ("T14", {"externalId": "x"}, "externalId", {}),
    ("writeOnly", {"password": "x"}, "password", {}),
    ("T12", {ENTERPRISE: {"department": "x"}}, f'schemas[value eq "{ENTERPRISE}"]', {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("stored", "path", "kept"), [row[1:] for row in REMOVED], ids=[row[0] for row in REMOVED]
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_p_3_5_2_2_remove(stored: JsonObject, path: str, kept: JsonObject, profile: Profile) -> None:
    """P-3.5.2.2, A-29: what remove makes of a user; what is not there is removed already."""
    document = {**LEAST["User"], **stored}
    wanted = {**LEAST["User"], **kept}
    change = patched(document, operation("remove", path), profile=profile)
    assert change.document == (None if wanted == document else wanted)


LISTED: list[tuple[str, ResourceType, JsonObject, str, JsonValue, JsonObject]] = [
    ("objects", USER, {"emails": [WORK, HOME]}, "emails", [{"value": "B@X"}], {"emails": [WORK]}),
    ("one object", USER, {"emails": [WORK, HOME]}, "emails", {"value": "b@x", "type": "home"}, {"emails": [WORK]}),
    ("under its name", USER, {"emails": [WORK, HOME]}, "emails", {"Emails": [HOME]}, {"emails": [WORK]}),
    ("parts that differ", USER, {"emails": [WORK]}, "emails", [{"value": "a@x", "type": "home"}], {"emails": [WORK]}),
    ("by type", USER, {"emails": [WORK, HOME]}, "emails", [{"type": "home"}], {"emails": [WORK]}),
    ("[] names nothing", USER, {"emails": [WORK]}, "emails", [], {"emails": [WORK]}),
    ("all", USER, {"emails": [WORK]}, "emails", [WORK], {}),
    ("texts", GADGET, {"tags": ["a", "b"]}, "tags", ["A"], {"tags": ["b"]}),
    ("one text", GADGET, {"tags": ["a", "b"]}, "tags", "a", {"tags": ["b"]}),
    ("zero", GADGET, {"marks": [0, 1]}, "marks", [0], {"marks": [1]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource_type", "stored", "path", "value", "kept"),
    [row[1:] for row in LISTED],
    ids=[row[0] for row in LISTED],
)
def test_a_30_a_value_lists_what_is_removed(
    resource_type: ResourceType, stored: JsonObject, path: str, value: JsonValue, kept: JsonObject
) -> None:
    """A-30, P-3.5.2.2-09: only what is listed goes, in each of the shapes that clients send."""
    least = LEAST[resource_type.name]
    sent = operation("remove", path, value=value)
    profile = only(Quirk.VALUE_LIST_REMOVAL)
    assert after({**least, **stored}, sent, resource_type=resource_type, profile=profile) == {**least, **kept}


@pytest.mark.parametrize(
    ("path", "value", "kept"),
    [
        ("emails", None, {}),
        ('emails[type eq "home"]', [WORK], {"emails": [WORK]}),
        ("title", "other", {"emails": [WORK, HOME]}),
    ],
    ids=["null", "beside a filter", "beside one value"],
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_a_30_elsewhere_a_value_is_ignored(
    path: str, value: JsonValue, kept: JsonObject, profile: Profile
) -> None:
    """A-30: null is no value; a filter or a single value says itself what goes."""
    document = {**LEAST["User"], "emails": [WORK, HOME]}
    assert after(document, operation("remove", path, value=value), profile=profile) == {
        **LEAST["User"],
        **kept,
    }


GADGETS: list[tuple[str, JsonObject, str, JsonObject]] = [
    ("T4", {"tags": ["a"]}, "tags", {}),
    ("T4 7122", {"tags": ["a", "b"]}, 'tags[value eq "A"]', {"tags": ["b"]}),
    ("T4 7122 test", {"tags": ["a", "b"]}, 'tags eq "a"', {"tags": ["b"]}),
    ("P-3.5.2.2-11 no value", {}, "serial", {}),
    ("P-3.5.2.2-11 whole values", {"ports": [{"value": "a", "maker": "m"}]}, "ports", {}),
    ("P-3.5.2.2-11 selected values", {"ports": [{"value": "a", "maker": "m"}]}, 'ports[value eq "a"]', {}),
    ("the whole of an immutable part", {"box": {"kind": "a", "lid": "l"}}, "box", {}),
    ("an optional extension", {EXTRA_URN: {"colour": "c", "shape": "s"}}, EXTRA_URN, {}),
]


@pytest.mark.parametrize(
    ("stored", "path", "kept"), [row[1:] for row in GADGETS], ids=[row[0] for row in GADGETS]
)
def test_p_3_5_2_2_remove_by_characteristics(stored: JsonObject, path: str, kept: JsonObject) -> None:
    """P-3.5.2.2-11: simple values by test, and values whose parts are immutable."""
    least = LEAST["Gadget"]
    assert after({**least, **stored}, operation("remove", path), resource_type=GADGET) == {**least, **kept}


REFUSED: list[tuple[str, ResourceType, JsonObject, str, type[RequestError], str]] = [
    ("P-3.5.2.2-06", USER, {}, "userName", Mutability, "userName is required and cannot be removed"),
    ("P-3.5.2.2-06 group", GROUP, {}, "displayName", Mutability, "displayName is required"),
    ("P-3.5.2.2-06 extension", GADGET, {}, OWNER_URN, Mutability, f"{OWNER_URN} is required"),
    ("P-3.5.2.2-06 in an extension", GADGET, {EXTRA_URN: {"colour": "c", "shape": "s"}}, f"{EXTRA_URN}:colour",
     Mutability, "colour is required"),
    ("P-3.5.2.2-06 part", GADGET, {"box": {"kind": "a", "depth": 1}}, "box.kind", Mutability, "box.kind is required"),
    ("P-3.5.2.2-06 part of a value", GADGET, {"sites": [{"street": "a", "note": "n"}]}, 'sites[note eq "n"].street',
     Mutability, "sites.street is required"),
    ("P-3.5.2.2-11", GADGET, {"serial": "x"}, "serial", Mutability, "serial is immutable"),
    ("P-3.5.2.2-11 values", GADGET, {"seals": ["x", "y"]}, 'seals[value eq "x"]', Mutability, "seals is immutable"),
    ("P-3.5.2.2-11 part", GADGET, {"box": {"kind": "a", "lid": "l"}}, "box.lid", Mutability, "box.lid is immutable"),
    ("P-3.5.2.2-11 part of a value", GADGET, {"ports": [{"value": "a", "maker": "m"}]}, 'ports[value eq "a"].maker',
     Mutability, "ports.maker is immutable"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource_type", "stored", "path", "error", "words"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_p_3_5_2_2_remove_refused(
    resource_type: ResourceType,
    stored: JsonObject,
    path: str,
    error: type[RequestError],
    words: str,
    profile: Profile,
) -> None:
    """P-3.5.2.2-06, -11: required and immutable values are 400/mutability, in both modes."""
    document = {**LEAST[resource_type.name], **stored}
    with pytest.raises(error) as caught:
        patched(document, operation("remove", path), resource_type=resource_type, profile=profile)
    assert words in caught.value.detail


def test_a_20_a_part_of_all_values_is_removed_from_each() -> None:
    """A-20, T6: lenient mode unassigns the part of every value."""
    document = {**LEAST["User"], "emails": [WORK, HOME]}
    change = patched(document, operation("remove", "emails.type"), profile=only(Quirk.SUB_ATTRIBUTE_OF_ALL))
    emails = [{"value": "a@x", "primary": True}, {"value": "b@x"}]
    assert change == Change({**LEAST["User"], "emails": emails})
