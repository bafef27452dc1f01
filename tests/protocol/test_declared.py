"""The `schemas` member of bodies and messages."""

import pytest
from tests.protocol.written import ENTERPRISE, GADGET_URN, USER, only, without

from rollbook.protocol import urns
from rollbook.protocol.declared import FOREIGN, check_schemas, member
from rollbook.protocol.errors import InvalidSyntax, InvalidValue, RequestError
from rollbook.protocol.quirks import AUTO, RFC, Leniency, Profile, Quirk
from rollbook.protocol.values import JsonValue

STRANGE = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"


def check(sent: JsonValue, profile: Profile) -> Leniency:
    """Check what a User body declares."""
    leniency = Leniency(profile)
    check_schemas(sent, urns.USER, USER.urns, leniency, FOREIGN | {GADGET_URN.lower()})
    return leniency


@pytest.mark.parametrize(
    "sent",
    [
        [urns.USER],
        [urns.USER, ENTERPRISE],
        [ENTERPRISE, urns.USER],
        [urns.USER.upper()],
        [urns.USER, urns.USER.lower(), urns.USER],
    ],
    ids=["base", "extension", "order", "case", "S-09 repeated"],
)
def test_p_3_3_15_the_base_urn_is_enough(sent: JsonValue) -> None:
    """S-09: the base URN in any case and place, each URN as often as one likes."""
    assert check(sent, RFC).used == set()


@pytest.mark.spec("P-3.3-15", "P-3.3-16")
@pytest.mark.parametrize(
    ("sent", "quirk"),
    [
        (None, Quirk.MISSING_SCHEMAS),
        ([], Quirk.MISSING_SCHEMAS),
        ([ENTERPRISE], Quirk.MISSING_SCHEMAS),
        ([urns.USER, STRANGE], Quirk.UNKNOWN_SCHEMAS),
        ([STRANGE, urns.USER, "urn:x"], Quirk.UNKNOWN_SCHEMAS),
    ],
)
def test_p_3_3_15_16_leniency_assumes_the_base_and_drops_what_is_strange(
    sent: JsonValue, quirk: Quirk
) -> None:
    """A-01, A-02: each under its own switch; switched off it is 400/invalidSyntax that names the switch."""
    assert check(sent, only(quirk)).used == {quirk}
    with pytest.raises(InvalidSyntax) as caught:
        check(sent, without(quirk))
    assert caught.value.quirk == quirk


def test_a_01_only_unknown_urns_need_both_switches() -> None:
    """A-01: a body that names only unknown URNs is assumed to be what the endpoint has."""
    assert check([STRANGE], AUTO).used == {Quirk.MISSING_SCHEMAS, Quirk.UNKNOWN_SCHEMAS}
    with pytest.raises(InvalidSyntax):
        check([STRANGE], only(Quirk.UNKNOWN_SCHEMAS))
    with pytest.raises(InvalidSyntax):
        check([STRANGE], only(Quirk.MISSING_SCHEMAS))


def test_a_26_one_string_is_taken_for_a_list() -> None:
    """A-26: `schemas` as one string is leniency, and 400/invalidValue otherwise."""
    assert check(urns.USER, only(Quirk.SINGLE_AS_LIST)).used == {Quirk.SINGLE_AS_LIST}
    with pytest.raises(InvalidValue) as caught:
        check(urns.USER, RFC)
    assert caught.value.quirk == Quirk.SINGLE_AS_LIST


@pytest.mark.parametrize("other", [urns.GROUP, urns.PATCH_OP, urns.SEARCH_REQUEST, urns.SCHEMA, GADGET_URN])
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_a_02_another_kind_of_body_is_refused_in_both_modes(other: str, profile: Profile) -> None:
    """A-01, A-02: a Group or a message sent to /Users is 400/invalidSyntax that no switch accepts."""
    with pytest.raises(InvalidSyntax, match="is not what belongs here") as caught:
        check([other, ENTERPRISE], profile)
    assert caught.value.quirk is None
    assert urns.USER in caught.value.detail


@pytest.mark.parametrize("sent", [5, {}, [5], [None], [[urns.USER]], True])
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_p_3_3_14_schemas_of_another_shape_are_refused(sent: JsonValue, profile: Profile) -> None:
    """P-3.3-14: `schemas` is an array of strings."""
    with pytest.raises(RequestError, match="array of URNs"):
        check(sent, profile)


def test_a_56_a_member_is_found_in_any_case_once() -> None:
    """A-56: names ignore case; two spellings of one name are 400/invalidSyntax."""
    assert member({"OPERATIONS": 1, "x": 2}, "Operations") == 1
    assert member({"x": 2}, "Operations") is None
    with pytest.raises(InvalidSyntax, match="there twice, as op and OP"):
        member({"op": "add", "OP": "remove"}, "op")
