"""Names in a body: any case, extensions, and the forms that leniency reads."""

from collections.abc import Callable, Iterator

import pytest
from tests.protocol.written import (
    ENTERPRISE,
    EXTRA_URN,
    GADGET,
    GADGET_URN,
    LEAST,
    USER,
    body_of,
    document_of,
    only,
    read,
    without,
)

from rollbook.protocol import urns
from rollbook.protocol.coerce import drop_unknown
from rollbook.protocol.errors import InvalidSyntax, InvalidValue, RequestError, TooMany
from rollbook.protocol.quirks import AUTO, RFC, Leniency, Profile, Quirk
from rollbook.protocol.values import JsonObject

LEAST_USER = LEAST["User"]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"TITLE": "x"}, {"title": "x"}),
        ({"NAME": {"FAMILYNAME": "x"}}, {"name": {"familyName": "x"}}),
        ({ENTERPRISE.upper(): {"Department": "x"}}, {ENTERPRISE: {"department": "x"}}),
        ({ENTERPRISE: {"manager": {"VALUE": "7"}}}, {ENTERPRISE: {"manager": {"value": "7"}}}),
        ({"EXTERNALID": "x"}, {"externalId": "x"}),
    ],
    ids=["S-02", "S-02 part", "S-10 URN", "S-10 part", "common attribute"],
)
def test_s_02_names_are_kept_as_defined(sent: JsonObject, kept: JsonObject) -> None:
    """S-02, S-10: names and URNs compare without case; what is kept has the spelling of the schema."""
    assert document_of(USER, sent) == {**LEAST_USER, **kept}


@pytest.mark.parametrize(
    "sent",
    [
        {"title": "x", "TITLE": "x"},
        {"Schemas": [urns.USER]},
        {"name": {"givenName": "x", "GIVENNAME": "x"}},
        {ENTERPRISE: {"department": "x"}, ENTERPRISE.upper(): {"department": "x"}},
        {ENTERPRISE: {"department": "x", "DEPARTMENT": "x"}},
    ],
)
@pytest.mark.parametrize("profile", [RFC, AUTO], ids=["rfc", "auto"])
def test_a_56_two_spellings_of_one_name_are_refused(sent: JsonObject, profile: Profile) -> None:
    """A-56, P-3.8-08: a name that is there twice is 400/invalidSyntax, also if the values agree."""
    with pytest.raises(InvalidSyntax, match="there twice"):
        read(body_of(USER, sent), USER, profile)


NAMED: list[tuple[str, JsonObject, Quirk, JsonObject]] = [
    ("A-23 part", {"name.givenName": "x"}, Quirk.DOTTED_KEYS, {"name": {"givenName": "x"}}),
    ("A-23 joined", {"name.givenName": "x", "name": {"familyName": "y"}}, Quirk.DOTTED_KEYS,
     {"name": {"familyName": "y", "givenName": "x"}}),
    ("A-23 joined with null", {"name": None, "name.givenName": "x"}, Quirk.DOTTED_KEYS, {"name": {"givenName": "x"}}),
    ("A-23 URN", {f"{ENTERPRISE}:department": "x"}, Quirk.DOTTED_KEYS, {ENTERPRISE: {"department": "x"}}),
    ("A-23 URN and part", {f"{ENTERPRISE}:manager.value": "7"}, Quirk.DOTTED_KEYS,
     {ENTERPRISE: {"manager": {"value": "7"}}}),
    ("A-23 beside the object", {ENTERPRISE: {"division": "y"}, f"{ENTERPRISE}:department": "x"}, Quirk.DOTTED_KEYS,
     {ENTERPRISE: {"division": "y", "department": "x"}}),
    ("A-23 in the object", {ENTERPRISE: {"manager.value": "7"}}, Quirk.DOTTED_KEYS,
     {ENTERPRISE: {"manager": {"value": "7"}}}),
    ("A-23 base URN", {f"{urns.USER}:title": "x"}, Quirk.DOTTED_KEYS, {"title": "x"}),
    ("A-23 base URN as object", {urns.USER: {"title": "x"}}, Quirk.DOTTED_KEYS, {"title": "x"}),
    ("A-03 extension", {"department": "x"}, Quirk.UNQUALIFIED_EXTENSION, {ENTERPRISE: {"department": "x"}}),
    ("A-03 extension null", {"department": None}, Quirk.UNQUALIFIED_EXTENSION, {}),
    ("A-03 extension part", {"manager.value": "7"}, Quirk.UNQUALIFIED_EXTENSION,
     {ENTERPRISE: {"manager": {"value": "7"}}}),
    ("A-03 the qualified one counts", {"department": None, ENTERPRISE: {"department": "x"}},
     Quirk.UNQUALIFIED_EXTENSION, {ENTERPRISE: {"department": "x"}}),
    ("A-03", {"foo": 1}, Quirk.UNKNOWN_ATTRIBUTES, {}),
    ("A-03 schema", {"urn:x:Y": {"foo": 1}}, Quirk.UNKNOWN_ATTRIBUTES, {}),
    ("A-03 in an extension", {ENTERPRISE: {"foo": 1, "department": "x"}}, Quirk.UNKNOWN_ATTRIBUTES,
     {ENTERPRISE: {"department": "x"}}),
    ("A-03 part", {"name": {"foo": 1, "givenName": "x"}}, Quirk.UNKNOWN_ATTRIBUTES, {"name": {"givenName": "x"}}),
    ("A-03 dotted", {"name.foo": 1}, Quirk.UNKNOWN_ATTRIBUTES, {}),
    ("T-37", {"__proto__": {}, "__class__": 1, "constructor": 1}, Quirk.UNKNOWN_ATTRIBUTES, {}),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "quirk", "kept"), [row[1:] for row in NAMED], ids=[row[0] for row in NAMED])
def test_leniency_reads_other_forms_of_names(sent: JsonObject, quirk: Quirk, kept: JsonObject) -> None:
    """A-03, A-23: one switch alone makes the difference."""
    assert document_of(USER, sent, only(quirk)) == {**LEAST_USER, **kept}


@pytest.mark.parametrize(("sent", "quirk"), [row[1:3] for row in NAMED], ids=[row[0] for row in NAMED])
def test_the_refusal_of_a_name_says_which_quirk_would_take_it(sent: JsonObject, quirk: Quirk) -> None:
    """P-3.3-16: without the switch the name is 400/invalidSyntax, and the error names the switch."""
    with pytest.raises(InvalidSyntax) as caught:
        document_of(USER, sent, without(quirk))
    assert caught.value.quirk == quirk


@pytest.mark.parametrize(
    ("sent", "error", "words"),
    [
        ({"name.givenName": "x", "name": {"GIVENNAME": "y"}}, InvalidSyntax, "name.givenName is there twice"),
        ({"title": "x", f"{urns.USER}:title": "y"}, InvalidSyntax, "title is there twice"),
        (
            {"manager.value": "x", ENTERPRISE: {"manager.value": "x", "manager": "y"}},
            InvalidSyntax,
            "there twice",
        ),
        ({"emails.value": "x"}, InvalidValue, "emails.value: emails has many values"),
        ({ENTERPRISE: "x"}, InvalidValue, f"{ENTERPRISE}: send an object with employeeNumber"),
        ({ENTERPRISE: [{}, {}]}, InvalidValue, "one value is due here, not an array of 2"),
    ],
)
def test_leniency_has_its_limits(sent: JsonObject, error: type[RequestError], words: str) -> None:
    """What would be a guess is refused in lenient mode too."""
    with pytest.raises(error) as caught:
        document_of(USER, sent, AUTO)
    assert words in caught.value.detail


@pytest.mark.parametrize("sent", [None, [], {}, {"department": None}])
def test_s_05_an_empty_extension_is_no_extension(sent: JsonObject | None) -> None:
    """S-05, P-3.3-17: an extension object without data leaves no trace."""
    assert document_of(USER, {ENTERPRISE: sent}) == LEAST_USER


def test_a_26_an_extension_in_an_array_of_one_is_leniency() -> None:
    """A-26: one object in an array is taken for the object."""
    sent = {ENTERPRISE: [{"department": "x"}]}
    assert document_of(USER, sent, only(Quirk.SINGLE_AS_LIST))[ENTERPRISE] == {"department": "x"}
    with pytest.raises(InvalidValue) as caught:
        document_of(USER, sent)
    assert caught.value.quirk == Quirk.SINGLE_AS_LIST


def test_a_name_of_base_and_extension_means_the_base() -> None:
    """P-3.10-02: an unqualified name is looked for in the base schema first."""
    document = document_of(GADGET, {"size": 1, EXTRA_URN: {"colour": "red", "size": 2}})
    assert (document["size"], document[EXTRA_URN]["size"]) == (1, 2)


def test_s_07_order_of_members_means_nothing() -> None:
    """S-07: a body read backwards is the same resource."""
    body = body_of(
        GADGET, {"box": {"kind": "a", "depth": 2}, "size": 1, EXTRA_URN: {"colour": "red", "shape": "o"}}
    )
    turned = {name: body[name] for name in reversed(body)}
    assert read(body, GADGET) == read(turned, GADGET)
    assert GADGET_URN in body["schemas"]


@pytest.mark.parametrize(
    "spread",
    [
        pytest.param(lambda names: names, id="attributes"),
        pytest.param(lambda names: {ENTERPRISE: names}, id="extension"),
        pytest.param(lambda names: {"name": names}, id="parts"),
        pytest.param(lambda names: {"emails": [{"value": "a@x"} | names]}, id="values"),
    ],
)
def test_t_53_names_that_no_schema_defines_have_an_end(spread: Callable[[JsonObject], JsonObject]) -> None:
    """Each costs a little, and a body had room for a million: everybody waited for seconds."""
    many: JsonObject = {f"k{each}": 1 for each in range(100_000)}
    read(body_of(USER, spread(many)), USER, AUTO)
    with pytest.raises(TooMany, match="more than 100000 names"):
        read(body_of(USER, spread(many | {"one": 1})), USER, AUTO)


def test_t_53_what_a_schema_has_is_told_in_refusals_only() -> None:
    """A list of all its names was made for each that was passed over."""
    told: list[str] = []

    def known() -> Iterator[str]:
        told.append("a")
        yield "a"

    drop_unknown("k", known(), Leniency(AUTO))
    assert told == []
    with pytest.raises(InvalidSyntax, match="known are a"):
        drop_unknown("k", known(), Leniency(RFC))


def test_t_53_urns_of_a_body_have_an_end() -> None:
    """A resource has a few."""
    body = body_of(USER, {}) | {"schemas": [urns.USER] * 10_001}
    with pytest.raises(InvalidSyntax, match="10001 URNs are too many"):
        read(body, USER, AUTO)
