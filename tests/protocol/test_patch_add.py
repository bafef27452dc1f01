"""PATCH add, for each form of target."""

import pytest
from tests.protocol.written import (
    ENTERPRISE,
    EXTRA_URN,
    GADGET,
    LEAST,
    USER,
    after,
    only,
    operation,
    patched,
)

from rollbook.protocol.errors import InvalidValue, Mutability, NoTarget, RequestError
from rollbook.protocol.quirks import AUTO, RFC, Profile, Quirk
from rollbook.protocol.schema import ResourceType
from rollbook.protocol.values import JsonObject, JsonValue

WORK = {"value": "a@x", "type": "work", "primary": True}
HOME = {"value": "b@x", "type": "home"}
DEPARTMENT = f"{ENTERPRISE}:department"
MANAGER = f"{ENTERPRISE}:manager"

ADDED: list[tuple[str, JsonObject, str | None, JsonValue, JsonObject]] = [
    ("T1 P-3.5.2.1-03", {}, "nickName", "x", {"nickName": "x"}),
    ("T1 P-3.5.2.1-04", {"nickName": "a"}, "nickName", "x", {"nickName": "x"}),
    ("T1 letter case is a change", {"nickName": "x"}, "nickName", "X", {"nickName": "X"}),
    ("T2 P-3.5.2.1-06", {"name": {"familyName": "a"}}, "name", {"givenName": "x"},
     {"name": {"familyName": "a", "givenName": "x"}}),
    ("T2 new", {}, "name", {"givenName": "x"}, {"name": {"givenName": "x"}}),
    ("T2 null adds nothing", {"name": {"familyName": "a"}}, "name", {"familyName": None}, {"name": {"familyName": "a"}}),
    ("T2 nothing", {}, "name", {}, {}),
    ("T3", {}, "name.familyName", "x", {"name": {"familyName": "x"}}),
    ("T3 kept", {"name": {"givenName": "a"}}, "name.familyName", "x", {"name": {"givenName": "a", "familyName": "x"}}),
    ("T5 P-3.5.2.1-05", {"emails": [WORK]}, "emails", [HOME], {"emails": [WORK, HOME]}),
    ("T5 new", {}, "emails", [HOME], {"emails": [HOME]}),
    ("T5 nothing", {"emails": [WORK]}, "emails", [], {"emails": [WORK]}),
    ("T5 P-3.5.2.1-07", {"emails": [WORK]}, "emails", [WORK], {"emails": [WORK]}),
    ("T5 A-25 parts sent", {"emails": [WORK]}, "emails", [{"value": "A@X"}], {"emails": [WORK]}),
    ("T5 A-25 not primary is not said", {"emails": [HOME]}, "emails", [HOME | {"primary": False}], {"emails": [HOME]}),
    ("T5 S-32", {"emails": [HOME]}, "emails", [HOME | {"display": "B"}], {"emails": [HOME | {"display": "B"}]}),
    ("T5 another type", {"emails": [HOME]}, "emails", [{"value": "b@x", "type": "work"}],
     {"emails": [HOME, {"value": "b@x", "type": "work"}]}),
    ("T5 P-3.5.2-21", {"emails": [WORK]}, "emails", [HOME | {"primary": True}],
     {"emails": [WORK | {"primary": False}, HOME | {"primary": True}]}),
    ("T7 P-3.5.2.1-12", {"emails": [WORK, HOME]}, 'emails[type eq "home"]', {"display": "B"},
     {"emails": [WORK, HOME | {"display": "B"}]}),
    ("T7 several", {"emails": [WORK, HOME]}, "emails[value pr]", {"display": "B"},
     {"emails": [WORK | {"display": "B"}, HOME | {"display": "B"}]}),
    ("T7 A-27", {"emails": [WORK]}, 'emails[type eq "home"]', {"value": "b@x"},
     {"emails": [WORK, {"type": "home", "value": "b@x"}]}),
    ("T8", {"emails": [WORK]}, 'emails[type eq "work"].value', "n@x", {"emails": [WORK | {"value": "n@x"}]}),
    ("T8 P-3.5.2.1-11", {"emails": [WORK]}, 'emails[type eq "home"].value', "b@x",
     {"emails": [WORK, {"type": "home", "value": "b@x"}]}),
    ("T8 A-27 several tests", {}, 'emails[type eq "home" and primary eq true].value', "b@x",
     {"emails": [{"type": "home", "primary": True, "value": "b@x"}]}),
    ("T8 A-27 nested and", {}, 'emails[(type eq "home" and primary eq true) and display eq "B"].value', "b@x",
     {"emails": [{"type": "home", "primary": True, "display": "B", "value": "b@x"}]}),
    ("T8 P-3.5.2-21", {"emails": [WORK, HOME]}, 'emails[type eq "home"].primary', True,
     {"emails": [WORK | {"primary": False}, HOME | {"primary": True}]}),
    ("T9", {}, ENTERPRISE, {"department": "x"}, {ENTERPRISE: {"department": "x"}}),
    ("T9 merged", {ENTERPRISE: {"division": "a"}}, ENTERPRISE, {"department": "x"},
     {ENTERPRISE: {"division": "a", "department": "x"}}),
    ("T10 P-3.5.2-12", {}, DEPARTMENT, "x", {ENTERPRISE: {"department": "x"}}),
    ("T11", {ENTERPRISE: {"department": "a"}}, f"{MANAGER}.value", "7",
     {ENTERPRISE: {"department": "a", "manager": {"value": "7"}}}),
    ("T14", {"externalId": "a"}, "externalId", "b", {"externalId": "b"}),
    ("T0 P-3.5.2.1-02", {"nickName": "a"}, None,
     {"nickName": "x", "name": {"givenName": "y"}, "emails": [HOME], ENTERPRISE: {"department": "z"}},
     {"nickName": "x", "name": {"givenName": "y"}, "emails": [HOME], ENTERPRISE: {"department": "z"}}),
    ("writeOnly", {"password": "a"}, "password", "b", {"password": "b"}),
    ("P-3.3-02 readOnly part", {}, MANAGER, {"value": "7", "displayName": "x"}, {ENTERPRISE: {"manager": {"value": "7"}}}),
    ("A-69 $ref is not taken", {ENTERPRISE: {"manager": {"value": "6"}}}, MANAGER,
     {"value": "7", "$ref": "../Users/6"}, {ENTERPRISE: {"manager": {"value": "7"}}}),
    ("A-29 a value that says nothing", {}, 'emails[type eq "home"].primary', True, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("stored", "path", "value", "kept"), [row[1:] for row in ADDED], ids=[row[0] for row in ADDED]
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_p_3_5_2_1_add(
    stored: JsonObject, path: str | None, value: JsonValue, kept: JsonObject, profile: Profile
) -> None:
    """P-3.5.2.1: what add makes of a user, in both modes; nothing new is the empty change."""
    document = {**LEAST["User"], **stored}
    wanted = {**LEAST["User"], **kept}
    change = patched(document, operation("add", path, value=value), profile=profile)
    assert change.document == (None if wanted == document else wanted)


GADGETS: list[tuple[str, JsonObject, str, JsonValue, JsonObject]] = [
    ("T4", {"tags": ["a"]}, "tags", ["b"], {"tags": ["a", "b"]}),
    ("T4 P-3.5.2.1-07", {"tags": ["a"]}, "tags", ["A", "b"], {"tags": ["a", "b"]}),
    ("T4 integers", {"marks": [1]}, "marks", [2, 1], {"marks": [1, 2]}),
    ("S-04", {"box": {"kind": "a", "notes": ["x"]}}, "box.notes", ["y"], {"box": {"kind": "a", "notes": ["y"]}}),
    ("P-3.5.2.1-13", {}, "serial", "x", {"serial": "x"}),
    ("P-3.5.2.1-13 equal", {"serial": "x"}, "serial", "X", {"serial": "x"}),
    ("P-3.5.2.1-13 values", {}, "seals", ["x"], {"seals": ["x"]}),
    ("P-3.5.2.1-13 values equal", {"seals": ["x"]}, "seals", ["x"], {"seals": ["x"]}),
    ("P-3.5.2.1-13 part", {"box": {"kind": "a"}}, "box.lid", "l", {"box": {"kind": "a", "lid": "l"}}),
    ("P-3.5.2.1-13 part equal", {"box": {"kind": "a", "lid": "l"}}, "box", {"lid": "L", "depth": 1},
     {"box": {"kind": "a", "lid": "l", "depth": 1}}),
    ("P-3.5.2.1-13 part of a value", {"ports": [{"value": "a"}]}, 'ports[value eq "a"].maker', "m",
     {"ports": [{"value": "a", "maker": "m"}]}),
    ("an extension with the same name", {"size": 1}, f"{EXTRA_URN}:size", 2, {"size": 1, EXTRA_URN: {"colour": "c", "size": 2}}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("stored", "path", "value", "kept"), [row[1:] for row in GADGETS], ids=[row[0] for row in GADGETS]
)
def test_p_3_5_2_1_add_by_characteristics(
    stored: JsonObject, path: str, value: JsonValue, kept: JsonObject
) -> None:
    """P-3.5.2.1-13: simple multi-valued and immutable attributes of a custom type."""
    if EXTRA_URN in kept:
        stored = {**stored, EXTRA_URN: {"colour": "c"}}
    document = {**LEAST["Gadget"], **stored}
    assert after(document, operation("add", path, value=value), resource_type=GADGET) == {
        **LEAST["Gadget"],
        **kept,
    }


REFUSED: list[tuple[str, ResourceType, JsonObject, str, JsonValue, type[RequestError], str]] = [
    ("P-3.5.2.1-13", GADGET, {"serial": "x"}, "serial", "y", Mutability, "serial is immutable"),
    ("P-3.5.2.1-13 values", GADGET, {"seals": ["x"]}, "seals", ["y"], Mutability, "seals is immutable"),
    ("P-3.5.2.1-13 part", GADGET, {"box": {"kind": "a", "lid": "l"}}, "box.lid", "m", Mutability, "box.lid is immutable"),
    ("P-3.5.2.1-13 in parts", GADGET, {"box": {"kind": "a", "lid": "l"}}, "box", {"lid": "m"}, Mutability, "box.lid"),
    ("P-3.5.2.1-13 selected", GADGET, {"ports": [{"value": "a", "maker": "m"}]}, 'ports[value eq "a"].maker', "n",
     Mutability, "ports.maker is immutable"),
    ("A-27 or", USER, {}, 'emails[type eq "a" or type eq "b"].value', "x", NoTarget, "emails: no value passes"),
    ("A-27 ne", USER, {}, 'emails[type ne "a" and value eq "b"].value', "x", NoTarget, "emails: no value passes"),
    ("A-27 not", USER, {}, "emails[not (value pr)]", {"value": "x"}, NoTarget, "emails: no value passes"),
    ("A-27 twice", USER, {}, 'emails[type eq "a" and type eq "b"].value', "x", NoTarget, "emails: no value passes"),
    ("A-27 null", USER, {}, 'emails[display eq null and type eq "b"].value', "x", NoTarget, "emails: no value passes"),
    ("A-27 readOnly", GADGET, {}, "ports[uptime eq 1].value", "x", NoTarget, "ports: no value passes"),
    ("P-3.5.2-22", USER, {"emails": [WORK, HOME]}, "emails[value pr].primary", True, InvalidValue, "several values primary"),
    ("required part", GADGET, {}, "sites", [{"note": "x"}], InvalidValue, "sites.street is required"),
    ("required part of a new whole", GADGET, {}, "box.depth", 1, InvalidValue, "box.kind is required"),
    ("required in a new extension", GADGET, {}, f"{EXTRA_URN}:shape", "x", InvalidValue, f"{EXTRA_URN}:colour is required"),
    ("values without parts", GADGET, {"tags": ["a"]}, 'tags[value eq "a"]', "b", InvalidValue, "have no parts to add to"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource_type", "stored", "path", "value", "error", "words"),
    [row[1:] for row in REFUSED],
    ids=[row[0] for row in REFUSED],
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_p_3_5_2_1_add_refused(
    resource_type: ResourceType,
    stored: JsonObject,
    path: str,
    value: JsonValue,
    error: type[RequestError],
    words: str,
    profile: Profile,
) -> None:
    """What add may not do, in both modes."""
    document = {**LEAST[resource_type.name], **stored}
    with pytest.raises(error) as caught:
        patched(document, operation("add", path, value=value), resource_type=resource_type, profile=profile)
    assert words in caught.value.detail


def test_a_20_a_part_of_all_values_is_set_in_each() -> None:
    """A-20, T6: lenient mode gives every value the part; without values there is nothing to give it to."""
    profile = only(Quirk.SUB_ATTRIBUTE_OF_ALL)
    document = {**LEAST["User"], "emails": [WORK, HOME]}
    sent = operation("add", "emails.display", value="D")
    assert after(document, sent, profile=profile)["emails"] == [
        WORK | {"display": "D"},
        HOME | {"display": "D"},
    ]
    assert patched(LEAST["User"], sent, profile=profile).is_empty


def test_a_93_empty_text_clears_in_lenient_mode() -> None:
    """A-93: as a value, as a part and in a part of selected values; strictly it is stored."""
    document = {
        **LEAST["User"],
        "title": "t",
        "name": {"givenName": "g", "familyName": "f"},
        "emails": [WORK],
    }
    sent = (
        operation("add", "title", value=""),
        operation("add", "name", value={"givenName": ""}),
        operation("add", 'emails[type eq "work"].type', value=""),
    )
    cleared = {"name": {"familyName": "f"}, "emails": [{"value": "a@x", "primary": True}]}
    assert after(document, *sent, profile=only(Quirk.EMPTY_STRING_CLEARS)) == {**LEAST["User"], **cleared}
    assert after(document, *sent)["title"] == ""


def test_adding_many_values_is_quick() -> None:
    """T-53: ten thousand values are compared with ten thousand others by key, not each with each."""
    document = {**LEAST["User"], "roles": [{"value": str(n), "type": "x"} for n in range(5_000)]}
    new = [{"value": str(n), "type": "x"} for n in range(4_000, 9_000)]
    assert len(after(document, operation("add", "roles", value=new))["roles"]) == 9_000
