"""The last gate: what the mapping does not name does not pass, in whatever form it comes (I-12, T-68)."""

import pytest
from tests.provisioning.world import ENTERPRISE, USER, mapping

from rollbook.protocol.values import JsonObject
from rollbook.provisioning.differences import managed_by
from rollbook.provisioning.expressions import Subject
from rollbook.provisioning.outgoing import Gate, Withheld

PATHS = ("userName", "name.familyName", "emails.value", f"{ENTERPRISE}:department", f"{ENTERPRISE}:manager")
GATE = Gate(managed_by(mapping(USER, Subject.USER, {path: path for path in PATHS})), members=False)


@pytest.mark.parametrize(
    "body",
    [
        {"schemas": ["x"], "userName": "a", "active": False},
        {"name": {"familyName": "f"}, "emails": [{"value": "a@x"}]},
        {ENTERPRISE: {"department": "d", "manager": {"value": "1"}}},
    ],
)
def test_mapped_attributes_pass(body: JsonObject) -> None:
    """What the mapping names, `schemas`, and the bare switch pass."""
    GATE.check_body(body)


@pytest.mark.parametrize(
    ("body", "attribute"),
    [
        ({"userName": "a", "nickName": "n"}, "nickName"),
        ({"name": {"familyName": "f", "givenName": "g"}}, "name.givenName"),
        ({"emails": [{"value": "a@x"}, {"value": "b@x", "display": "d"}]}, "emails.display"),
        ({ENTERPRISE: {"costCenter": "c"}}, f"{ENTERPRISE}:costCenter"),
        ({"urn:other:User": {"department": "d"}}, "urn:other:User:department"),
        ({"active": "MARKER"}, "active"),
        ({"id": "hub-1"}, "id"),
        ({"members": [{"value": "1"}]}, "members"),
        ({"username": "a"}, "username"),
    ],
)
def test_unmapped_attributes_do_not_pass(body: JsonObject, attribute: str) -> None:
    """Anything else is stopped by name, and its value is not repeated."""
    with pytest.raises(Withheld, match=f"^{attribute} is not in") as raised:
        GATE.check_body(body)
    assert "MARKER" not in str(raised.value)


def test_what_the_target_sent_may_go_back() -> None:
    """In a PUT, values that are as the target has them pass; the same attribute with another value does not."""
    present = {"nickName": "n", "emails": [{"value": "b@x", "display": "d"}], ENTERPRISE: {"costCenter": "c"}}
    GATE.check_body({**present, "userName": "a"}, present)
    with pytest.raises(Withheld, match="nickName"):
        GATE.check_body({**present, "nickName": "other"}, present)
    with pytest.raises(Withheld, match="costCenter"):
        GATE.check_body({ENTERPRISE: {"costCenter": "other"}}, present)
    with pytest.raises(Withheld, match="display"):
        GATE.check_body({"emails": [{"value": "b@x", "display": "other"}]}, present)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "userName", "value": "a"},
        {"op": "remove", "path": "userName"},
        {"op": "replace", "path": "name.familyName", "value": "f"},
        {"op": "replace", "path": "name", "value": {"familyName": "f"}},
        {"op": "replace", "path": "active", "value": False},
        {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "d"},
    ],
)
def test_mapped_operations_pass(operation: JsonObject) -> None:
    """Operations on mapped paths pass."""
    GATE.check_operations([operation])


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "path": "nickName", "value": "n"},
        {"op": "replace", "path": "name.givenName", "value": "g"},
        {"op": "replace", "path": "name", "value": {"familyName": "f", "givenName": "g"}},
        {"op": "replace", "value": {"nickName": "n"}},
        {"op": "replace", "path": f"{ENTERPRISE}:costCenter", "value": "c"},
        {"op": "remove", "path": 'members[value eq "1"]'},
    ],
)
def test_unmapped_operations_do_not_pass(operation: JsonObject) -> None:
    """Operations on anything else, and without a path, are stopped."""
    with pytest.raises(Withheld):
        GATE.check_operations([operation])


def test_searches() -> None:
    """Only a mapped attribute may be looked for: its value goes into a URL."""
    GATE.check_search("userName")
    with pytest.raises(Withheld, match="externalId"):
        GATE.check_search("externalId")
