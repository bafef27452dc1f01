"""PATCH replace, for each form of target."""

import pytest
from tests.protocol.written import (
    ENTERPRISE,
    GADGET,
    GROUP,
    LEAST,
    USER,
    after,
    only,
    operation,
    patched,
    without,
)

from rollbook.protocol.errors import InvalidValue, Mutability, NoTarget, RequestError
from rollbook.protocol.quirks import AUTO, RFC, Profile, Quirk
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject, JsonValue

WORK = {"value": "a@x", "type": "work", "primary": True}
HOME = {"value": "b@x", "type": "home"}
STREET = {"streetAddress": "s", "locality": "l", "type": "work"}
MANAGER = f"{ENTERPRISE}:manager"

REPLACED: list[tuple[str, JsonObject, str | None, JsonValue, JsonObject]] = [
    ("T0 P-3.5.2.3-01", {"active": True}, None, {"active": False}, {"active": False}),
    ("T0 several", {"title": "a", "emails": [WORK]}, None, {"title": "b", "emails": [HOME]},
     {"title": "b", "emails": [HOME]}),
    ("T0 null A-35", {"title": "a", "nickName": "n"}, None, {"title": None}, {"nickName": "n"}),
    ("T1 P-3.5.2.3-02", {"title": "a"}, "title", "b", {"title": "b"}),
    ("T1 P-3.5.2.3-04", {}, "nickName", "b", {"nickName": "b"}),
    ("T1 P-3.5.2.3-09", {"title": "a"}, "title", None, {}),
    ("T1 P-3.5.2.3-09 array", {"title": "a"}, "title", [], {}),
    ("T2 P-3.5.2.3-05", {"name": {"familyName": "a", "givenName": "b"}}, "name", {"givenName": "x"},
     {"name": {"familyName": "a", "givenName": "x"}}),
    ("T2 P-3.5.2.3-04", {}, "name", {"givenName": "x"}, {"name": {"givenName": "x"}}),
    ("T2 A-35 part", {"name": {"familyName": "a", "givenName": "b"}}, "name", {"givenName": None},
     {"name": {"familyName": "a"}}),
    ("T2 A-35", {"name": {"familyName": "a"}}, "name", None, {}),
    ("T3", {"name": {"familyName": "a"}}, "name.familyName", "x", {"name": {"familyName": "x"}}),
    ("T3 A-35", {"name": {"familyName": "a"}}, "name.familyName", None, {}),
    ("T5 P-3.5.2.3-03", {"emails": [WORK]}, "emails", [HOME], {"emails": [HOME]}),
    ("T5 A-35", {"emails": [WORK]}, "emails", [], {}),
    ("T7 P-3.5.2.3-06", {"addresses": [STREET]}, 'addresses[type eq "work"]', {"streetAddress": "x"},
     {"addresses": [{"type": "work", "streetAddress": "x"}]}),
    ("T7 A-33 filter part given", {"emails": [WORK]}, 'emails[type eq "work"]', {"value": "x", "type": "home"},
     {"emails": [{"type": "home", "value": "x"}]}),
    ("T7 A-33 P-3.5.2.3-06 two matches", {"emails": [WORK | {"primary": False}, HOME | {"type": "work"}]}, 'emails[type eq "work"]',
     {"value": "x"}, {"emails": [{"type": "work", "value": "x"}]}),
    ("T7 A-33 two matches made primary", {"emails": [WORK, HOME | {"type": "work"}]}, 'emails[type eq "work"]',
     {"value": "x", "primary": True}, {"emails": [{"type": "work", "value": "x", "primary": True}]}),
    ("T7 A-33 not only equality", {"emails": [WORK]}, 'emails[type eq "work" and value co "a"]', {"value": "x"},
     {"emails": [{"type": "work", "value": "x"}]}),
    ("T7 A-35", {"emails": [WORK, HOME]}, 'emails[type eq "work"]', None, {"emails": [HOME]}),
    ("T7 the same", {"emails": [WORK]}, 'emails[type eq "work"]', WORK, {"emails": [WORK]}),
    ("T8 P-3.5.2.3-07", {"addresses": [STREET]}, 'addresses[type eq "work"].streetAddress', "x",
     {"addresses": [STREET | {"streetAddress": "x"}]}),
    ("T8 P-3.5.2.3-07 several", {"emails": [WORK, HOME]}, 'emails[value ew "x"].display', "D",
     {"emails": [WORK | {"display": "D"}, HOME | {"display": "D"}]}),
    ("T8 A-35", {"emails": [WORK]}, 'emails[type eq "work"].type', None, {"emails": [{"value": "a@x", "primary": True}]}),
    ("T8 duplicates", {"emails": [{"value": "a", "type": "x"}, {"value": "b", "type": "x"}]}, 'emails[type eq "x"].value',
     "c", {"emails": [{"value": "c", "type": "x"}]}),
    ("T8 P-3.5.2-21", {"emails": [WORK, HOME]}, 'emails[type eq "home"].primary', True,
     {"emails": [WORK | {"primary": False}, HOME | {"primary": True}]}),
    ("T9", {ENTERPRISE: {"department": "a", "division": "b"}}, ENTERPRISE, {"department": "x"},
     {ENTERPRISE: {"department": "x", "division": "b"}}),
    ("T10", {}, f"{ENTERPRISE}:department", "x", {ENTERPRISE: {"department": "x"}}),
    ("T11", {ENTERPRISE: {"manager": {"value": "6"}}}, f"{MANAGER}.value", "7", {ENTERPRISE: {"manager": {"value": "7"}}}),
    ("A-69 the rest is the server's", {ENTERPRISE: {"manager": {"value": "6"}}}, MANAGER,
     {"value": "7", "$ref": "../Users/6", "displayName": "x"}, {ENTERPRISE: {"manager": {"value": "7"}}}),
    ("T14", {"externalId": "a"}, "externalId", "b", {"externalId": "b"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("stored", "path", "value", "kept"), [row[1:] for row in REPLACED], ids=[row[0] for row in REPLACED]
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_p_3_5_2_3_replace(
    stored: JsonObject, path: str | None, value: JsonValue, kept: JsonObject, profile: Profile
) -> None:
    """P-3.5.2.3: what replace makes of a user, in both modes; nothing new is the empty change."""
    document = {**LEAST["User"], **stored}
    wanted = {**LEAST["User"], **kept}
    change = patched(document, operation("replace", path, value=value), profile=profile)
    assert change.document == (None if wanted == document else wanted)


GADGETS: list[tuple[str, JsonObject, str, JsonValue, JsonObject]] = [
    ("T4", {"tags": ["a", "b"]}, "tags", ["c"], {"tags": ["c"]}),
    ("T4 7122", {"tags": ["a", "b"]}, 'tags[value eq "a"]', "c", {"tags": ["c", "b"]}),
    ("T4 7122 null", {"tags": ["a", "b"]}, 'tags[value eq "a"]', None, {"tags": ["b"]}),
    ("P-3.5.2.3-11 equal", {"serial": "a"}, "serial", "a", {"serial": "a"}),
    ("P-3.5.2.3-11 values equal", {"seals": ["a"]}, "seals", ["a"], {"seals": ["a"]}),
    ("P-3.5.2.3-11 no value", {}, "serial", "a", {"serial": "a"}),
    ("P-3.5.2.3-11 part equal", {"box": {"kind": "a", "lid": "l"}}, "box.lid", "l", {"box": {"kind": "a", "lid": "l"}}),
    ("whole values", {"ports": [{"value": "a", "maker": "m"}]}, "ports", [{"value": "a", "maker": "n"}],
     {"ports": [{"value": "a", "maker": "n"}]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("stored", "path", "value", "kept"), [row[1:] for row in GADGETS], ids=[row[0] for row in GADGETS]
)
def test_p_3_5_2_3_replace_by_characteristics(
    stored: JsonObject, path: str, value: JsonValue, kept: JsonObject
) -> None:
    """P-3.5.2.3-11: simple multi-valued and immutable attributes of a custom type."""
    document = {**LEAST["Gadget"], **stored}
    sent = operation("replace", path, value=value)
    assert after(document, sent, resource_type=GADGET) == {**LEAST["Gadget"], **kept}


REFUSED: list[tuple[str, ResourceType, JsonObject, str, JsonValue, type[RequestError], str]] = [
    ("P-3.5.2.3-08", USER, {"emails": [WORK]}, 'emails[type eq "home"]', {"value": "x"}, NoTarget, "no value passes"),
    ("P-3.5.2.3-08 no values", USER, {}, 'emails[type eq "home"]', {"value": "x"}, NoTarget, "no value passes"),
    ("A-34 cannot create", USER, {}, 'emails[type ne "home"].value', "x", NoTarget, "does not say what to create"),
    ("P-3.5.2.3-11", GADGET, {"serial": "a"}, "serial", "b", Mutability, "serial is immutable"),
    ("P-3.5.2.3-11 null", GADGET, {"serial": "a"}, "serial", None, Mutability, "serial is immutable"),
    ("P-3.5.2.3-11 values", GADGET, {"seals": ["a"]}, "seals", ["b"], Mutability, "seals is immutable"),
    ("P-3.5.2.3-11 part", GADGET, {"box": {"kind": "a", "lid": "l"}}, "box.lid", "m", Mutability, "box.lid is immutable"),
    ("P-3.5.2.3-11 part null", GADGET, {"box": {"kind": "a", "lid": "l"}}, "box", {"lid": None}, Mutability, "box.lid"),
    ("required A-35", USER, {}, "userName", None, Mutability, "userName is required and cannot be removed"),
    ("required part A-35", GADGET, {"box": {"kind": "a", "depth": 1}}, "box", {"kind": None}, Mutability, "box.kind"),
    ("required group", GROUP, {}, "displayName", [], Mutability, "displayName is required"),
    ("P-3.5.2-22", USER, {"emails": [WORK, HOME]}, "emails[value pr].primary", True, InvalidValue, "several values primary"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource_type", "stored", "path", "value", "error", "words"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_p_3_5_2_3_replace_refused(
    resource_type: ResourceType,
    stored: JsonObject,
    path: str,
    value: JsonValue,
    error: type[RequestError],
    words: str,
    profile: Profile,
) -> None:
    """What replace may not do, in both modes."""
    document = {**LEAST[resource_type.name], **stored}
    with pytest.raises(error) as caught:
        patched(
            document, operation("replace", path, value=value), resource_type=resource_type, profile=profile
        )
    assert words in caught.value.detail


def test_a_34_a_part_of_a_value_that_is_not_there_is_leniency() -> None:
    """A-34, P-3.5.2.3-08: lenient mode makes the value as add does; strictly it is 400/noTarget."""
    sent = operation("replace", 'emails[type eq "home"].value', value="b@x")
    document = after(LEAST["User"], sent, profile=only(Quirk.VALUE_PATH_CREATES))
    assert document["emails"] == [{"type": "home", "value": "b@x"}]
    with pytest.raises(NoTarget) as caught:
        patched(LEAST["User"], sent, profile=without(Quirk.VALUE_PATH_CREATES))
    assert caught.value.quirk == Quirk.VALUE_PATH_CREATES


def test_a_20_a_part_of_all_values_is_replaced_in_each() -> None:
    """A-20, T6: lenient mode gives every value the part."""
    document = {**LEAST["User"], "emails": [WORK, HOME]}
    sent = operation("replace", "emails.type", value="other")
    emails = after(document, sent, profile=only(Quirk.SUB_ATTRIBUTE_OF_ALL))["emails"]
    assert [email["type"] for email in emails] == ["other", "other"]


@pytest.mark.parametrize(
    ("profile", "error"), [(RFC, InvalidValue), (AUTO, Mutability)], ids=["strict", "lenient"]
)
def test_a_93_empty_text_for_a_required_attribute(profile: Profile, error: type[RequestError]) -> None:
    """A-93: as a value it is 400/invalidValue, as a removal 400/mutability."""
    with pytest.raises(error, match="userName is required"):
        patched(LEAST["User"], operation("replace", "userName", value=""), profile=profile)


def test_s_59_a_country_is_judged_where_it_changes() -> None:
    """S-59, A-74: strict mode refuses a new country of three letters, and leaves a stored one alone."""
    document = {**LEAST["User"], "addresses": [{"country": "USA", "type": "work"}]}
    assert after(document, operation("replace", "title", value="x"))["title"] == "x"
    with pytest.raises(InvalidValue) as caught:
        patched(document, operation("add", "addresses", value=[{"country": "GER"}]))
    assert caught.value.quirk == Quirk.ANY_FORMAT
