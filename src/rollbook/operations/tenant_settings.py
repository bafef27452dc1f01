"""What a tenant can be told: one frozen object, and the one table that reads it from text.

`rollbook serve --profile NAME` and `--set NAME=VALUE` say it for the default tenant.
"""

from collections.abc import Callable, Iterable
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

from rollbook.operations.networks import Network, read_networks
from rollbook.protocol.catalog import Adjustment
from rollbook.protocol.errors import InvalidValue
from rollbook.protocol.filter_parser import LIMITS as FILTER_LIMITS
from rollbook.protocol.filter_parser import Limits as FilterLimits
from rollbook.protocol.quirks import AUTO, PROFILES, Profile, Quirk, adjusted
from rollbook.storage.base import References, Rules

E = TypeVar("E", bound=StrEnum)


class Feature(StrEnum):
    """Optional parts of SCIM, each announced in ServiceProviderConfig or by its endpoint."""

    PATCH = "patch"
    BULK = "bulk"
    FILTER = "filter"
    SORT = "sort"
    ETAG = "etag"
    CHANGE_PASSWORD = "change-password"  # noqa: S105 - the name of a feature, not a password
    ME = "me"


class PatchAnswer(StrEnum):
    """What a PATCH without `attributes` is answered with (A-21)."""

    USUAL = "usual"
    """200 with the resource; 204 for a type with members, of which there may be many."""
    RESOURCE = "resource"
    EMPTY = "empty"


class Display(StrEnum):
    """When answers show what members, groups and managers are called; it is the server's own in either case (A-69)."""

    ALWAYS = "always"
    ASKED = "asked"
    """When `attributes` names it: `returned` is `request` then, `mutability` readOnly."""


class Paging(StrEnum):
    """The method for requests that name neither `startIndex` nor `cursor` (RFC 9865 §2.4)."""

    INDEX = "index"
    CURSOR = "cursor"


def _choice(kind: type[E]) -> Callable[[str], E]:
    def read(text: str) -> E:
        try:
            return kind(text)
        except ValueError:
            raise InvalidValue(f"choose one of {', '.join(kind)}") from None

    return read


def _names(text: str) -> frozenset[str]:
    return frozenset(name for part in text.split(",") if (name := part.strip()))


def _features(text: str) -> frozenset[Feature]:
    return frozenset(map(_choice(Feature), _names(text)))


def _switch(text: str) -> bool:
    if text not in {"on", "off"}:
        raise InvalidValue("say on or off")
    return text == "on"


def _whole(text: str, least: int, most: int) -> int | None:
    """A whole number within bounds, None if it is none."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return int(text) if is_number and least <= int(text) <= most else None


_DIGITS = 9


def _seconds(text: str) -> int:
    number = _whole(text, 1, 31_536_000)
    if number is None:
        raise InvalidValue("write a whole number of seconds, at most a year")
    return number


def _most(text: str) -> int:
    number = _whole(text, 0, 1_000_000)
    if number is None:
        raise InvalidValue("write a whole number, at most a million; 0 for no limit")
    return number


def _between(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = _whole(text, least, most)
        if number is None:
            raise InvalidValue(f"write a whole number from {least} to {most}")
        return number

    return read


def _up_to(most: int) -> Callable[[str], int]:
    return _between(1, most)


def _days(text: str) -> int | None:
    if text == "forever":
        return None
    number = _whole(text[:-1], 1, 36_500) if text.endswith("d") else None
    if number is None:
        raise InvalidValue("write a number of days such as 365d, or forever")
    return number


def _profile(text: str) -> str:
    if text not in PROFILES:
        raise InvalidValue(f"choose one of {', '.join(PROFILES)}")
    return text


def _quirks(text: str) -> frozenset[str]:
    for name in _names(text):
        if name[:1] not in {"+", "-"} or name[1:] not in set(Quirk):
            close = get_close_matches(name.lstrip("+-"), list(Quirk), 1)
            raise InvalidValue(
                f"write + or - before the name of a quirk, as in -{close[0] if close else Quirk.KEEP_ACTIVE}"
            )
    return _names(text)


@dataclass(frozen=True)
class Limits:
    """Most of everything a request may bring or ask for (A-57). Those with a setting can be lower for a tenant."""

    body_bytes: int = 16 * 1024 * 1024
    body_seconds: float = 30.0
    bulk_operations: int = 1000
    bulk_bytes: int = 4 * 1024 * 1024
    query_bytes: int = 64 * 1024
    search_bytes: int = 256 * 1024
    """Of a query in a body, which may have what a URL has no room for."""
    administration_bytes: int = 1024 * 1024
    """Of a body at /admin/v1."""
    page: int = 1000
    default_page: int = 100
    filter: FilterLimits = FILTER_LIMITS


_MOST = Limits()

LEAST_CHARACTERS = 8
"""Of a password, where nothing else is said (A-68)."""


def _is(default: Any, read: Callable[[str], Any], meaning: str) -> Any:
    return field(default=default, metadata={"read": read, "meaning": meaning})


@dataclass(frozen=True)
class TenantSettings:
    """The settings of one tenant. Each field is a setting of its name, words joined by hyphens."""

    profile: str = _is(AUTO.name, _profile, "which clients' quirks are accepted; `rfc` for none")
    quirks: frozenset[str] = _is(frozenset(), _quirks, "single quirks on (`+name`) or off (`-name`)")
    explain: bool = _is(
        False, _switch, "whether answers name the quirks a request needed, in `Rollbook-Accepted-As`"
    )
    off: frozenset[Feature] = _is(frozenset(), _features, "parts of SCIM that are not offered")
    patch_answer: PatchAnswer = _is(
        PatchAnswer.USUAL,
        _choice(PatchAnswer),
        "what PATCH answers: the resource except for groups (`usual`), always the `resource`, or nothing (`empty`)",
    )
    references: References = _is(
        References.MEMBERS,
        _choice(References),
        "what must exist to be referred to: `members` only, everything (`strict`), or nothing (`tolerant`)",
    )
    group_cycles: bool = _is(False, _switch, "whether groups may contain each other in a ring")
    indirect_groups: bool = _is(
        False, _switch, "whether `groups` shows groups that a resource is in by way of another group"
    )
    display: Display = _is(
        Display.ALWAYS,
        _choice(Display),
        "whether answers show what members, groups and managers are called `always`, or only when `asked` to",
    )
    unique_group_names: bool = _is(False, _switch, "whether two groups may not have one displayName")
    unique_external_ids: bool = _is(
        False, _switch, "whether two resources of a type may not have one externalId"
    )
    require_if_match: bool = _is(False, _switch, "whether PUT, PATCH and DELETE need If-Match (428 without)")
    default_paging: Paging = _is(
        Paging.INDEX, _choice(Paging), "how lists are paged that name neither startIndex nor cursor"
    )
    cursor_seconds: int = _is(3600, _seconds, "how long a cursor can be used")
    cursor_totals: bool = _is(True, _switch, "whether pages by cursor say totalResults")
    sensitive_filters: frozenset[str] = _is(
        frozenset(), _names, "attributes that may not be filtered on in a URL, only by POST to .search"
    )
    self_service: frozenset[str] = _is(
        frozenset(), _names, "attributes a user may change with a token of their own"
    )
    history: int | None = _is(
        None, _days, "how long former versions of resources are kept: days such as `365d`, or `forever`"
    )
    basic: bool = _is(
        False,
        _switch,
        "whether Basic credentials are taken, too: a client's id and secret, or a user's userName and password",
    )
    password_length: int = _is(
        LEAST_CHARACTERS, _between(LEAST_CHARACTERS, 128), "characters that a password must have at least"
    )
    open_discovery: bool = _is(True, _switch, "whether the discovery endpoints need no token")

    allow_from: tuple[Network, ...] = _is(
        (),
        read_networks,
        "networks whose addresses may ask, such as `192.0.2.0/24,2001:db8::/32`; without, all may",
    )
    rate: int = _is(
        0, _most, "requests a second of the whole tenant, for each serving process; 0 for no limit"
    )
    token_rate: int = _is(
        0, _most, "requests a second of each token, for each serving process; 0 for no limit"
    )
    concurrent: int = _is(
        0, _most, "requests of the tenant under way at once, for each serving process; 0 for no limit"
    )
    page: int = _is(_MOST.page, _up_to(_MOST.page), "resources on a page at most")
    default_page: int = _is(
        _MOST.default_page,
        _up_to(_MOST.page),
        "resources on a page if the client does not say, at most `page`",
    )
    body: int = _is(_MOST.body_bytes, _up_to(_MOST.body_bytes), "bytes that a body may have")
    bulk_body: int = _is(
        _MOST.bulk_bytes, _up_to(_MOST.bulk_bytes), "bytes that the body of a bulk request may have"
    )
    bulk_operations: int = _is(
        _MOST.bulk_operations, _up_to(_MOST.bulk_operations), "operations that a bulk request may have"
    )
    filter_length: int = _is(
        _MOST.filter.length, _up_to(_MOST.filter.length), "characters that a filter may have"
    )
    filter_tests: int = _is(
        _MOST.filter.terms,
        _up_to(_MOST.filter.terms),
        "tests that a filter may have, such as `active eq true`",
    )
    filter_depth: int = _is(
        _MOST.filter.depth, _up_to(_MOST.filter.depth), "how deep parentheses of a filter may be nested"
    )

    @cached_property
    def limits(self) -> Limits:
        """What a request may bring and ask for at most."""
        return Limits(
            body_bytes=self.body,
            bulk_operations=self.bulk_operations,
            bulk_bytes=self.bulk_body,
            page=self.page,
            default_page=min(self.default_page, self.page),
            filter=FilterLimits(self.filter_length, self.filter_depth, self.filter_tests),
        )

    @cached_property
    def accepted(self) -> Profile:
        """The profile, with single quirks switched as `quirks` says."""
        on = [Quirk(name[1:]) for name in self.quirks if name[0] == "+"]
        off = [Quirk(name[1:]) for name in self.quirks if name[0] == "-"]
        return adjusted(PROFILES[self.profile], on, off)

    @cached_property
    def rules(self) -> Rules:
        """What is asked of references between resources."""
        return Rules(self.references, self.group_cycles, self.indirect_groups)

    def offers(self, feature: Feature) -> bool:
        """Whether an optional part of SCIM is offered."""
        return feature not in self.off

    @property
    def adjustments(self) -> frozenset[Adjustment]:
        """What these settings define otherwise than the RFC's own schemas."""
        chosen = {
            Adjustment.UNIQUE_GROUP_NAMES: self.unique_group_names,
            Adjustment.UNIQUE_EXTERNAL_IDS: self.unique_external_ids,
            Adjustment.LABELS_ON_REQUEST: self.display is Display.ASKED,
        }
        return frozenset(what for what, is_chosen in chosen.items() if is_chosen)

    def empties_patch(self, *, has_members: bool) -> bool:
        """Whether a PATCH is answered 204, of a resource that has members or not (P-3.5.2-17)."""
        match self.patch_answer:
            case PatchAnswer.USUAL:
                return has_members
            case answer:
                return answer is PatchAnswer.EMPTY


SETTINGS = {each.name.replace("_", "-"): each for each in fields(TenantSettings)}
"""Every setting by its name."""


_LONGEST = 10_000
"""Characters of a value: lists of names and networks are not longer."""


def setting(name: str, told: str) -> Field[Any]:
    """The setting of exactly that name: other rules go by names, so that each has one spelling.

    Raises:
        InvalidValue: there is none; `told` is how it was asked for.
    """
    if name not in SETTINGS:
        close = get_close_matches(name, SETTINGS, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(SETTINGS)}"
        raise InvalidValue(f"{told[:100]!r}: write NAME=VALUE with the name of a setting; {hint}")
    return SETTINGS[name]


def read_settings(assignments: Iterable[str]) -> TenantSettings:
    """The settings that `NAME=VALUE` texts give, later ones winning; the others have their defaults.

    Raises:
        InvalidValue: no such setting, or not a value of it; says what would be accepted.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        known = setting(name if equals else "", assignment)
        if len(text) > _LONGEST:
            raise InvalidValue(f"{name}: a value may have at most {_LONGEST} characters")
        try:
            values[known.name] = known.metadata["read"](text)
        except InvalidValue as error:
            raise InvalidValue(f"{name}={text[:60]}: {error.detail}") from None
    return TenantSettings(**values)
