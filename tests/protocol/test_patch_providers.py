"""What identity providers really send, in lenient mode (idp-quirks: 2.1 to 2.4)."""

import pytest
from tests.protocol.written import ENTERPRISE, GROUP, USER, after, operation, patched, read

from rollbook.protocol import urns
from rollbook.protocol.patch import apply, parse_patch, scope
from rollbook.protocol.quirks import AUTO, Leniency
from rollbook.protocol.resource import Change, Member, Present
from rollbook.protocol.validate import replace
from rollbook.protocol.values import JsonObject, JsonValue

ENTRA_GROUP = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
DEPARTMENT, MANAGER = f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager"
ANN: JsonObject = {
    "userName": "ann@example.com",
    "active": True,
    "emails": [{"value": "ann@example.com", "type": "work", "primary": True}],
    "name": {"givenName": "Ann", "familyName": "Lee"},
}


def test_entra_creates_a_user() -> None:
    """Entra: both schemas, meta, empty roles, nulls for attributes of the extension at top level."""
    body = {
        "schemas": [urns.USER, ENTERPRISE],
        "externalId": "58342554-38d6-4ec8-948c-50044d0a33fd",
        "userName": "ann@example.com",
        "active": True,
        "displayName": "Ann Lee",
        "emails": [{"type": "work", "value": "ann@example.com", "primary": True}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "Ann Lee", "familyName": "Lee", "givenName": "Ann"},
        "roles": [],
        "addresses": None,
        "phoneNumbers": None,
        "title": None,
        "department": None,
        "manager": None,
    }
    kept = {"externalId", "userName", "active", "displayName", "emails", "name"}
    assert read(body, USER, AUTO, at_create=True).document == {name: body[name] for name in kept}


def test_entra_creates_a_user_with_a_manager_as_text() -> None:
    """Entra: manager is a bare id, beside a department without URN."""
    body = {
        "schemas": [urns.USER],
        "userName": "ann",
        "active": "True",
        "manager": "26118915",
        "department": "IT",
        "roles": [{"primary": "True", "value": '{"id":"1","value":"Admin"}'}],
    }
    document = read(body, USER, AUTO, at_create=True).document
    assert document[ENTERPRISE] == {"manager": {"value": "26118915"}, "department": "IT"}
    assert document["active"] is True
    assert document["roles"] == [{"primary": True, "value": '{"id":"1","value":"Admin"}'}]


def test_entra_creates_a_group() -> None:
    """Entra: an URN of its own beside that of Group."""
    body = {
        "schemas": [urns.GROUP, ENTRA_GROUP],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        "displayName": "Staff",
        "meta": {"resourceType": "Group"},
    }
    resource = read(body, GROUP, AUTO, at_create=True)
    assert resource.document == {"externalId": body["externalId"], "displayName": "Staff"}
    assert resource.members == ()


ENTRA: list[tuple[str, JsonObject, JsonObject]] = [
    ("mail", operation("Replace", 'emails[type eq "work"].value', value="n@x"),
     {"emails": [{"value": "n@x", "type": "work", "primary": True}]}),
    ("mail that is not there", operation("Replace", 'emails[type eq "home"].value', value="n@x"),
     {"emails": [*ANN["emails"], {"type": "home", "value": "n@x"}]}),
    ("address that is not there", operation("Add", 'addresses[type eq "work"].country', value="DE"),
     {"addresses": [{"type": "work", "country": "DE"}]}),
    ("extension", operation("Replace", DEPARTMENT, value="IT"), {ENTERPRISE: {"department": "IT"}}),
    ("disable", operation("Replace", "active", value="False"), {"active": False}),
    ("manager as text", operation("Add", MANAGER, value="7"), {ENTERPRISE: {"manager": {"value": "7"}}}),
    ("manager in an array", operation("Add", "manager", value=[{"$ref": "https://x/Users/7", "value": "7"}]),
     {ENTERPRISE: {"manager": {"value": "7"}}}),
    ("role", operation("Add", 'roles[primary eq "True"].value', value="Admin"),
     {"roles": [{"primary": True, "value": "Admin"}]}),
    ("capitals", operation("Replace", "DisplayName", value="x"), {"displayName": "x"}),
    ("cleared", operation("Replace", "name.givenName", value=""), {"name": {"familyName": "Lee"}}),
    ("untyped", operation("Add", 'emails[type eq "untyped"].value', value="n@x"),
     {"emails": [*ANN["emails"], {"type": "untyped", "value": "n@x"}]}),
    ("flag: several at once",
     operation("replace", value={"displayName": "x", "name.givenName": "y", f"{ENTERPRISE}:employeeNumber": "z"}),
     {"displayName": "x", "name": {"givenName": "y", "familyName": "Lee"}, ENTERPRISE: {"employeeNumber": "z"}}),
    ("flag: add", operation("add", value={f"{ENTERPRISE}:manager": "7", "name.familyName": "Li"}),
     {"name": {"givenName": "Ann", "familyName": "Li"}, ENTERPRISE: {"manager": {"value": "7"}}}),
    ("flag: disable", operation("replace", "active", value=False), {"active": False}),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "kept"), [row[1:] for row in ENTRA], ids=[row[0] for row in ENTRA])
def test_entra_patches_a_user(sent: JsonObject, kept: JsonObject) -> None:
    """Entra, in both modes of its feature flag; done again it changes nothing."""
    document = after(ANN, sent, profile=AUTO)
    assert document == {**ANN, **kept}
    assert patched(document, sent, profile=AUTO).is_empty


def test_entra_clears_a_manager() -> None:
    """Entra: an empty string as manager removes it, and the URN with it."""
    document = {**ANN, ENTERPRISE: {"manager": {"value": "7"}}}
    assert after(document, operation("Replace", MANAGER, value=""), profile=AUTO) == ANN


A, B = Member("a", "User"), Member("b", "User")
GROUPS: list[tuple[str, JsonObject, Change]] = [
    ("Entra add", operation("Add", "members", value=[{"$ref": None, "value": "c"}]), Change(None, (Member("c"),))),
    ("Entra remove", operation("Remove", "members", value=[{"$ref": None, "value": "a"}]), Change(None, (), ("a",))),
    ("Entra flag remove", operation("remove", 'members[value eq "a"]'), Change(None, (), ("a",))),
    ("Entra rename", operation("Replace", "displayName", value="New"), Change({"displayName": "New"})),
    ("Okta rename", operation("replace", value={"id": "g1", "displayName": "New"}), Change({"displayName": "New"})),
    ("Okta add", operation("add", "members", value=[{"value": "c", "display": "c@x"}]), Change(None, (Member("c"),))),
    ("Okta push now", operation("replace", "members", value=[{"value": "b", "display": "b@x"}]), Change(None, (), ("a",))),
    ("Okta push nobody", operation("replace", "members", value=[]), Change(None, (), ("a", "b"))),
    ("JumpCloud add", operation("add", "members", value=[{"value": "c"}]), Change(None, (Member("c"),))),
    ("JumpCloud remove", operation("remove", "members", value=[{"value": "a"}]), Change(None, (), ("a",))),
    ("Ping", operation("remove", "members", value={"members": [{"value": "b"}]}), Change(None, (), ("b",))),
    ("Keycloak empties", operation("remove", "members", value=None), Change(None, (), ("a", "b"))),
    ("Keycloak add", operation("add", "members", value=[{"value": "c", "$ref": "Users/c"}]), Change(None, (Member("c"),))),
    ("WSO2", operation("add", value={"members": [{"value": "c", "display": "c@x"}]}), Change(None, (Member("c"),))),
    ("authentik",
     operation("replace", value={"schemas": [urns.GROUP], "id": "g1", "externalId": "e", "displayName": "Staff"}),
     Change({"displayName": "Staff", "externalId": "e"})),
    ("authentik add", operation("add", "members", value=[{"value": "c"}]), Change(None, (Member("c"),))),
    ("authentik, one without array", operation("add", "members", value={"value": "c"}), Change(None, (Member("c"),))),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "change"), [row[1:] for row in GROUPS], ids=[row[0] for row in GROUPS])
def test_providers_patch_a_group(sent: JsonObject, change: Change) -> None:
    """Each provider's way to rename a group and to add and remove members."""
    leniency = Leniency(AUTO)
    patch = parse_patch({"schemas": [urns.PATCH_OP], "Operations": [sent]}, GROUP, leniency)
    seen = scope(patch)
    members = {row.value: row for row in (A, B) if seen.all or row.value in seen.ids}
    assert apply(patch, Present({"displayName": "Staff"}, members)) == change


@pytest.mark.parametrize(
    ("sent", "active"),
    [
        (operation("replace", value={"active": False}), False),
        (operation("replace", value={"active": True}), True),
        (operation("replace", value={"active": "false"}), False),
        (operation("replace", "active", value="false"), False),
    ],
    ids=["Okta", "Okta back", "Keycloak", "Keycloak path"],
)
def test_providers_disable_a_user(sent: JsonObject, active: bool) -> None:
    """Okta and Keycloak: active as part of a path-less value, also as text."""
    assert after(ANN, sent, profile=AUTO)["active"] is active


def test_okta_sets_a_password() -> None:
    """Okta: password sync is a path-less replace."""
    assert after(ANN, operation("replace", value={"password": "t1me"}), profile=AUTO)["password"] == "t1me"


def _okta_profile(**rest: JsonValue) -> JsonObject:
    return {
        "schemas": [urns.USER],
        "id": "23a35c27",
        "userName": "ann@example.com",
        "name": {"givenName": "Ann", "middleName": "", "familyName": "Lee"},
        "emails": [
            {"primary": True, "value": "ann@example.com", "type": "work", "display": "ann@example.com"}
        ],
        "groups": [],
        "meta": {"resourceType": "User", "location": "https://x/Users/23a35c27"},
        **rest,
    }


def test_okta_pushes_a_whole_profile() -> None:
    """Okta: PUT of all it read, with id, meta, groups and empty texts; active left out stays off."""
    resource = read(_okta_profile(), USER, AUTO)
    stored = {**ANN, "active": False, "password": "hash"}
    document = replace(resource, USER, Leniency(AUTO))(Present(stored)).document
    assert document == {
        **stored,
        "emails": [
            {"value": "ann@example.com", "type": "work", "primary": True, "display": "ann@example.com"}
        ],
    }


def test_okta_creates_a_user() -> None:
    """Okta: groups and locale and a password come along."""
    body = _okta_profile(password="t1me", locale="en-US", externalId="00u1", active=True)
    document = read(body, USER, AUTO, at_create=True).document
    assert set(document) == {"userName", "name", "emails", "password", "locale", "externalId", "active"}
    assert document["name"] == {"givenName": "Ann", "familyName": "Lee"}


def test_onelogin_creates_a_user() -> None:
    """OneLogin: schemas of SCIM 1, a mail address as one object."""
    body = {
        "schemas": ["urn:scim:schemas:core:2.0"],
        "userName": "ann",
        "emails": {"value": "ann@example.com"},
    }
    assert read(body, USER, AUTO).document == {"userName": "ann", "emails": [{"value": "ann@example.com"}]}


def test_jumpcloud_sends_one_operation_per_attribute() -> None:
    """JumpCloud: a replace for each attribute, complex ones whole."""
    sent = (
        operation("replace", "userName", value="ann2"),
        operation("replace", "name", value={"givenName": "Anna", "familyName": "Lee"}),
        operation(
            "replace", "emails", value=[{"value": "anna@example.com", "type": "work", "primary": True}]
        ),
        operation("replace", "active", value=False),
    )
    assert after(ANN, *sent, profile=AUTO) == {
        "userName": "ann2",
        "active": False,
        "emails": [{"value": "anna@example.com", "type": "work", "primary": True}],
        "name": {"givenName": "Anna", "familyName": "Lee"},
    }


def test_authentik_creates_a_user() -> None:
    """authentik: a mail address of type other, photos as data URIs, unknown attributes."""
    body = {
        "schemas": [urns.USER],
        "userName": "ann",
        "name": {"formatted": "Ann Lee", "familyName": " ", "givenName": "Ann"},
        "photos": [{"value": "data:image/svg+xml;base64,PHN2Zz4="}],
        "emails": [{"value": "ann@example.com", "type": "other", "primary": True}],
        "active": True,
        "externalId": "5f0e",
        "entitlements": None,
        "ims": None,
        "enterprise_user": None,
    }
    document = read(body, USER, AUTO, at_create=True).document
    assert set(document) == {"userName", "name", "photos", "emails", "active", "externalId"}
    assert document["name"]["familyName"] == " "


def test_sailpoint_replaces_what_is_not_there() -> None:
    """SailPoint: replace of an absent complex attribute adds it."""
    sent = operation("replace", ENTERPRISE, value={"manager": {"value": "7"}, "department": "IT"})
    assert after(ANN, sent, profile=AUTO)[ENTERPRISE] == {"manager": {"value": "7"}, "department": "IT"}
