"""What a credential may do within its tenant: read or write, which types, which resources (RFC 7644 §2; T-09, T-30)."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import orjson

from rollbook.operations.withheld import read_names
from rollbook.protocol.catalog import Catalog
from rollbook.protocol.errors import InvalidFilter, InvalidValue
from rollbook.protocol.filter_parser import parse_filter
from rollbook.protocol.quirks import PROFILES, Leniency
from rollbook.protocol.resolve import resolve
from rollbook.protocol.resolved import ResolvedFilter, paths
from rollbook.protocol.schema import ResourceType

READ, WRITE, USERS, GROUPS, TYPE = "read", "write", "users", "groups", "type:"
SCOPES = f"{READ}, {WRITE} (which reads too), {USERS}, {GROUPS}, or {TYPE}NAME"


class Admin(IntEnum):
    """What a credential may do at /admin/v1; more includes less."""

    NOTHING = 0
    READ = 1
    WRITE = 2


ADMIN = {"admin:read": Admin.READ, "admin": Admin.WRITE}
"""The scopes for that. Nothing has them that was not given them by these words."""

_MARK_BYTES = 8
_ADMIN_WORDS = {admin: word for word, admin in ADMIN.items()}

_SHORT = {USERS: "User", GROUPS: "Group"}


@dataclass(frozen=True, slots=True)
class Rights:
    """Which requests of a caller are answered; without anything said, all of the tenant, and none at /admin/v1.

    `types` are names of resource types, none for all. `within` is a filter: what it does not match is not there for
    the caller, and cannot be made. `profile` names whose quirks are accepted, in place of the tenant's. `without` are
    attributes that are not seen, `hold` those that are seen and stay as they are (`withheld`). `own` is the mark on what
    the caller has made (`Author.maker`): with it, nothing else is there for the caller. It outlives rotation.
    """

    writes: bool = True
    types: frozenset[str] = frozenset()
    within: str | None = None
    profile: str | None = None
    reads: bool = True
    admin: Admin = Admin.NOTHING
    without: frozenset[str] = frozenset()
    hold: frozenset[str] = frozenset()
    own: str | None = None

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
        if not self.reads:
            said["reads"] = False
        if self.admin:
            said["admin"] = _ADMIN_WORDS[self.admin]
        if self.without:
            said["without"] = sorted(self.without)
        if self.hold:
            said["hold"] = sorted(self.hold)
        if self.own is not None:
            said["own"] = self.own
        return orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode()

    @property
    def scopes(self) -> list[str]:
        """In the words of `SCOPES` and `ADMIN`."""
        short = {name: word for word, name in _SHORT.items()}
        return [
            *([_ADMIN_WORDS[self.admin]] if self.admin else ()),
            *([WRITE if self.writes else READ] if self.reads else ()),
            *(short.get(name, f"{TYPE}{name}") for name in sorted(self.types)),
        ]

    @property
    def bounds(self) -> dict[str, Any]:
        """What there is less than everything beside the scopes, for lists and /admin/v1."""
        return {
            "within": self.within,
            "own": self.own is not None,
            "without": sorted(self.without),
            "hold": sorted(self.hold),
        }

    @property
    def bounds_text(self) -> str:
        """The same in few words; nothing if there is nothing."""
        lists = ((word, self.bounds[word]) for word in ("without", "hold"))
        said = [f"within {self.within}"] if self.within is not None else []
        said += ["own"] if self.own is not None else []
        return "; ".join((*said, *(f"{word} {', '.join(names)}" for word, names in lists if names)))

    @property
    def is_bound(self) -> bool:
        """Whether some resources of the types that it is for are not there."""
        return self.within is not None or self.own is not None

    @property
    def is_partial(self) -> bool:
        """Whether something of the tenant's resources is not there for the caller, or not to be changed."""
        return bool(self.types or self.is_bound or self.without or self.hold)

    def may_see(self, type_name: str) -> bool:
        """Whether resources of that type are the caller's business."""
        return self.reads and (not self.types or type_name in self.types)

    def is_within(self, other: "Rights") -> bool:
        """Whether these are no more than others: a credential makes no wider one (T-09)."""
        return (
            self.admin <= other.admin
            and (other.reads or not self.reads)
            and (other.writes or not self.writes)
            and (not other.types or bool(self.types and self.types <= other.types))
            and (other.within is None or self.within == other.within)
            and other.without <= self.without
            and other.hold <= self.hold | self.without
            and (other.own is None or self.own is not None)
        )


ALL = Rights()
"""Everything a tenant has."""


def rights_of(text: str) -> Rights:
    """The rights as stored."""
    said = orjson.loads(text)
    return Rights(
        said.get("writes", True),
        frozenset(said.get("types", ())),
        said.get("within"),
        said.get("profile"),
        said.get("reads", True),
        ADMIN.get(said.get("admin"), Admin.NOTHING),
        frozenset(said.get("without", ())),
        frozenset(said.get("hold", ())),
        said.get("own"),
    )


def read_rights(
    scopes: Iterable[str],
    within: str | None,
    profile: str | None,
    catalog: Catalog,
    *,
    may_administer: bool = False,
    without: Iterable[str] = (),
    hold: Iterable[str] = (),
    own: bool = False,
) -> Rights:
    """Rights as people write them, checked against what the tenant serves.

    Words of `ADMIN` are scopes for whoever says `may_administer` only: for tokens of our own. One that has no other word is for
    administration alone.

    Raises:
        InvalidValue: no such scope, type, profile or attribute, or a filter that bounds nothing; says what there is.
    """
    said = list(scopes)
    admin = max((ADMIN[word] for word in said if may_administer and word in ADMIN), default=Admin.NOTHING)
    words = [word for word in said if not (may_administer and word in ADMIN)]
    reads = bool(words) or not admin
    types = frozenset(_type(word, catalog) for word in words if word not in {READ, WRITE})
    writes = reads and (READ not in words or WRITE in words)
    hidden, held = read_names("without", without, catalog), read_names("hold", hold, catalog)
    mark = secrets.token_hex(_MARK_BYTES) if own else None
    rights = Rights(writes, types, within, profile, reads, admin, hidden, held - hidden, mark)
    if own and not writes:
        raise InvalidValue("own: what only reads has made nothing; give it the scope write")
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
        raise InvalidValue(
            f"scope {word[:40]!r}: write {SCOPES}, where NAME is one of {known};"
            f" for /admin/v1 {' or '.join(ADMIN)}, in tokens of our own"
        )
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
    """What is in both, administration aside; None for nothing. What bounds and what is held back are those of `most`."""
    types = asked.types & most.types if asked.types and most.types else asked.types or most.types
    if asked.types and most.types and not types:
        return None
    reads = asked.reads and most.reads
    writes = reads and asked.writes and most.writes
    return replace(most, writes=writes, types=types, reads=reads, admin=Admin.NOTHING)


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
