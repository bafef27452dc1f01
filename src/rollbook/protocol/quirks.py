"""What real clients send outside the RFCs, as one table of switches (idp-quirks.md; ambiguities.md).

The engine is strict. At the moment it is about to refuse (or to misread) something, it asks the request's
`Leniency` whether the one quirk that would accept it is on. So strict input pays nothing, a refusal can
name the switch that would have accepted it, and every use is recorded. A profile is a choice of quirks:
`rfc` has none, `auto` all that do not contradict each other, and each known client's those it needs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Quirk(StrEnum):
    """The switches, by name."""

    STRING_BOOLEANS = "string-booleans"
    OPERATION_CASE = "operation-case"
    VALUE_LIST_REMOVAL = "value-list-removal"
    VALUE_PATH_CREATES = "value-path-creates"
    MANAGER_AS_STRING = "manager-as-string"
    DOTTED_KEYS = "dotted-keys"
    SINGLE_AS_LIST = "single-as-list"
    EMPTY_STRING_CLEARS = "empty-string-clears"
    UNKNOWN_SCHEMAS = "unknown-schemas"
    UNKNOWN_ATTRIBUTES = "unknown-attributes"
    MISSING_SCHEMAS = "missing-schemas"
    UNQUALIFIED_EXTENSION = "unqualified-extension"
    READ_ONLY_IN_PATCH = "read-only-in-patch"
    SUB_ATTRIBUTE_OF_ALL = "sub-attribute-of-all"
    BARE_WORDS = "bare-words"
    FILTER_SELECTION_SUB = "filter-selection-sub"
    FILTER_ON_MANAGER = "filter-on-manager"
    SUBSTRING_OF_ANY_TYPE = "substring-of-any-type"
    KEEP_ACTIVE = "keep-active"
    PATCH_LIST_IN_BULK = "patch-list-in-bulk"
    BOTH_PROJECTIONS = "both-projections"
    ANY_FORMAT = "any-format"
    UNKNOWN_IN_FILTER = "unknown-in-filter"
    WHOLE_REPLACE = "whole-replace"


CLIENTS = (
    "entra", "okta", "onelogin", "jumpcloud", "ping", "google", "rippling", "authentik", "keycloak", "wso2",
    "sailpoint", "polis", "ssosync",
)  # fmt: skip
"""The clients that have a profile of their name."""


@dataclass(frozen=True)
class Description:
    """What a quirk accepts, where that is argued (A-nn in ambiguities.md), and the clients that need it.

    Those of no client in particular are in the profile of each. `auto` says whether profile `auto` has it on: all
    but those that read one request in two ways.
    """

    accepts: str
    source: str
    clients: tuple[str, ...] = CLIENTS
    auto: bool = True


TABLE: dict[Quirk, Description] = {
    Quirk.STRING_BOOLEANS: Description(
        '"True" and "false" for booleans, in any case', "A-12", ("entra", "keycloak", "polis")
    ),
    Quirk.OPERATION_CASE: Description("op and Operations in any case", "A-19", ("entra", "polis")),
    Quirk.VALUE_LIST_REMOVAL: Description(
        "remove with a value on a multi-valued path removes those values only",
        "A-30",
        ("entra", "jumpcloud", "authentik", "polis", "ssosync"),
    ),
    Quirk.VALUE_PATH_CREATES: Description(
        "replace on attr[filter].sub without a match creates the value",
        "A-34",
        ("entra", "jumpcloud", "sailpoint"),
    ),
    Quirk.MANAGER_AS_STRING: Description(
        "a complex attribute with a value part (manager) as a plain string", "A-79", ("entra",)
    ),
    Quirk.DOTTED_KEYS: Description(
        "dotted and URN-prefixed keys in a body or path-less value", "A-23", ("entra", "polis")
    ),
    Quirk.SINGLE_AS_LIST: Description(
        "one value where a list is due, a list of one where a value is due", "A-26", ("entra", "onelogin")
    ),
    Quirk.EMPTY_STRING_CLEARS: Description('"" unassigns a string attribute', "A-93", ("entra", "okta")),
    Quirk.UNKNOWN_SCHEMAS: Description(
        "URNs in schemas that the type does not have are dropped", "A-02", ("entra", "onelogin")
    ),
    Quirk.UNKNOWN_ATTRIBUTES: Description(
        "attributes no schema defines are dropped; PATCH operations on unknown URNs are skipped",
        "A-03, A-20; many",
    ),
    Quirk.MISSING_SCHEMAS: Description("a body or message without schemas", "A-01; many"),
    Quirk.UNQUALIFIED_EXTENSION: Description(
        "an extension attribute without its URN, if only one extension defines it", "A-03", ("entra",)
    ),
    Quirk.READ_ONLY_IN_PATCH: Description(
        "readOnly attributes in a path-less PATCH value are ignored", "A-28", ("okta", "authentik")
    ),
    Quirk.SUB_ATTRIBUTE_OF_ALL: Description("emails.type as a PATCH path means every value", "A-20"),
    Quirk.BARE_WORDS: Description("an unquoted word as a string in a filter", "A-11", ("authentik",)),
    Quirk.FILTER_SELECTION_SUB: Description(
        'emails[type eq "work"].value eq "x" in a filter', "A-92", ("entra",)
    ),
    Quirk.FILTER_ON_MANAGER: Description("manager eq … means manager.value eq …", "A-79, A-10", ("entra",)),
    Quirk.SUBSTRING_OF_ANY_TYPE: Description("co, sw, ew on types without text match nothing", "A-15"),
    Quirk.KEEP_ACTIVE: Description("PUT without active keeps active as it is", "A-05"),
    Quirk.PATCH_LIST_IN_BULK: Description(
        "the operations alone as data of a PATCH inside a bulk request", "P-3.7-06; erratum 5050"
    ),
    Quirk.BOTH_PROJECTIONS: Description("attributes wins over excludedAttributes", "A-17"),
    Quirk.ANY_FORMAT: Description(
        "any text as language, locale, time zone, country or photo", "A-74; the RFC's own examples"
    ),
    Quirk.UNKNOWN_IN_FILTER: Description(
        "a filter on an attribute the type does not have matches as if it had no value",
        "A-09",
        (),
        auto=False,
    ),
    Quirk.WHOLE_REPLACE: Description(
        "replace on a whole complex attribute drops the parts it does not name",
        "A-32; interop",
        (),
        auto=False,
    ),
}


@dataclass(frozen=True)
class Profile:
    """A named choice of quirks."""

    name: str
    quirks: frozenset[Quirk]


RFC = Profile("rfc", frozenset())
"""Strict mode."""

AUTO = Profile("auto", frozenset(quirk for quirk, row in TABLE.items() if row.auto))
"""Lenient mode, the default."""

PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        AUTO,
        RFC,
        *(
            Profile(name, frozenset(quirk for quirk, row in TABLE.items() if name in row.clients))
            for name in CLIENTS
        ),
    )
}
"""Every profile by its name."""


def adjusted(profile: Profile, on: Iterable[Quirk], off: Iterable[Quirk]) -> Profile:
    """The profile with some quirks switched on, and some off."""
    return Profile(profile.name, (profile.quirks | frozenset(on)) - frozenset(off))


@dataclass(slots=True)
class Leniency:
    """The quirks one request may use, and those it did use."""

    profile: Profile = AUTO
    used: set[Quirk] = field(default_factory=set)
    unknown: int = 0
    """Names that no schema defines and that were passed over."""

    def accepts(self, quirk: Quirk) -> bool:
        """Whether the quirk is on; if so it counts as used."""
        if quirk in self.profile.quirks:
            self.used.add(quirk)
            return True
        return False
