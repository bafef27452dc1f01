"""What a credential may do within its tenant: read or write, which types, which resources (RFC 7644 §2; T-09, T-30)."""

from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import InvalidFilter, InvalidValue
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.quirks import PROFILES, Leniency
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resolved import ResolvedFilter, paths
from rollbook.protocol.schema import ResourceType

READ, WRITE, USERS, GROUPS, TYPE = "read", "write", "users", "groups", "type:"
SCOPES = f"{READ}, {WRITE} (which reads too), {USERS}, {GROUPS}, or {TYPE}NAME"

_SHORT = {USERS: "User", GROUPS: "Group"}


@dataclass(frozen=True, slots=True)
class Rights:
    """Which requests of a caller are answered; without anything said, all of the tenant.

    `types` are names of resource types, none for all. `within` is a filter: what it does not match is not there for
    the caller, and cannot be made. `profile` names whose quirks are accepted, in place of the tenant's.
    """

    writes: bool = True
    types: frozenset[str] = frozenset()
    within: str | None = None
    profile: str | None = None

    @property
    def text(self) -> str:
        """As it is stored: a JSON object, which names what is less than everything."""
        said: dict[str, object] = {}
        if not self.writes:
            said["writes"] = False
        if self.types:
            said["types"] = sorted(self.types)
        if self.within is not None:
            said["within"] = self.within
        if self.profile is not None:
            said["profile"] = self.profile
        return orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()

    @property
    def scopes(self) -> list[str]:
        """In the words of `SCOPES`."""
        short = {name: word for word, name in _SHORT.items()}
        return [
            WRITE if self.writes else READ,
            *(short.get(name, f"{TYPE}{name}") for name in sorted(self.types)),
        ]

    def may_see(self, type_name: str) -> bool:
        """Whether resources of that type are the caller's business."""
        return not self.types or type_name in self.types

    def is_within(self, other: "Rights") -> bool:
        """Whether these are no more than others: a credential makes no wider one (T-09)."""
        return (
            (other.writes or not self.writes)
            and (not other.types or bool(self.types and self.types <= other.types))
            and (other.within is None or self.within == other.within)
        )


ALL = Rights()
"""Everything a tenant has."""


def rights_of(text: str) -> Rights:
    """The rights as stored."""
    said = orjson.loads(text)
    return Rights(
        said.get("writes", True), frozenset(said.get("types", ())), said.get("within"), said.get("profile")
    )


def read_rights(scopes: Iterable[str], within: str | None, profile: str | None, catalog: Catalog) -> Rights:
    """Rights as people write them, checked against what the tenant serves.

    Raises:
        InvalidValue: no such scope, type or profile, or a filter that bounds nothing; says what there is.
    """
    words = list(scopes)
    types = frozenset(_type(word, catalog) for word in words if word not in {READ, WRITE})
    rights = Rights(READ not in words or WRITE in words, types, within, profile)
    if profile is not None and profile not in PROFILES:
        raise InvalidValue(f"profile {profile[:40]!r}: choose one of {', '.join(PROFILES)}")
    if within is not None:
        kinds = [kind for kind in catalog.resource_types if rights.may_see(kind.name)]
        if all(bound(rights, kind) is None for kind in kinds):
            names = " or ".join(kind.name for kind in kinds)
            raise InvalidValue(f"within {within[:80]!r} tests no attribute that {names} has")
    return rights


def _type(word: str, catalog: Catalog) -> str:
    name = _SHORT.get(word, word.removeprefix(TYPE) if word.startswith(TYPE) else "")
    if catalog.resource_type(name) is None:
        known = ", ".join(kind.name for kind in catalog.resource_types)
        raise InvalidValue(f"scope {word[:40]!r}: write {SCOPES}, where NAME is one of {known}")
    return name


def said_by(words: Iterable[str]) -> Rights | None:
    """The rights that words of somebody else's token give; None without read or write among them.

    Words that are not ours are of other services, and mean nothing here.
    """
    found = set(words)
    if not found & {READ, WRITE}:
        return None
    types = {_SHORT.get(word, word.removeprefix(TYPE)) for word in found if word in _SHORT or _is_type(word)}
    return Rights(WRITE in found, frozenset(types))


def _is_type(word: str) -> bool:
    return word.startswith(TYPE) and len(word) > len(TYPE)


def meet(asked: Rights, most: Rights) -> Rights | None:
    """What is in both; None for nothing. Bound and profile are those of `most`."""
    types = asked.types & most.types if asked.types and most.types else asked.types or most.types
    if asked.types and most.types and not types:
        return None
    return Rights(asked.writes and most.writes, types, most.within, most.profile)


def bound(rights: Rights, kind: ResourceType) -> ResolvedFilter | None:
    """The filter that resources of a type must match; None if it has no attribute to test, so that none matches.

    Raises:
        InvalidValue: it tests what other resources or the server decide; such a bound could be moved from outside.
    """
    if rights.within is None:
        return None
    leniency = Leniency(PROFILES["rfc"])
    tree = parse_filter(rights.within, leniency)
    try:
        resolved = resolve(tree, kind, leniency)
    except InvalidFilter:
        return None
    outside = {kind.memberships, kind.derived, "id", "meta", kind.secret} - {None}
    for path in paths(resolved):
        if path.urn is None and path.attribute.name in outside:
            raise InvalidValue(
                f"within cannot test {path.text}: only attributes that a {kind.name} itself holds"
            )
    return resolved
