"""A resource between body and store: its document, its members, and changes of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rollbook.protocol.values import JsonObject


@dataclass(frozen=True, slots=True)
class Member:
    """One value of a membership attribute: the id of a resource, and its type's name if known.

    Two members are the same if their ids are (A-25). Of a group that is shown by its members, `direct` says
    whether they are in it themselves, rather than by way of another group.
    """

    value: str
    type: str | None = None
    display: str | None = None
    direct: bool = True

    @property
    def way(self) -> str:
        """What `groups.type` says of it (RFC 7643 §4.1.2)."""
        return "direct" if self.direct else "indirect"


@dataclass(frozen=True, slots=True)
class Resource:
    """A validated resource: what a client asserted, in canonical spelling.

    `document` holds base attributes at top level, extension attributes under their URN, without
    `schemas`, `id`, `meta`, membership and derived attributes, and never null or empty arrays.
    `cleared` names the base and common attributes sent as null or empty, which get no default (P-3.3-04).
    """

    document: JsonObject
    members: tuple[Member, ...] = ()
    cleared: frozenset[str] = frozenset()


def asserted_paths(resource: Resource, memberships: str | None) -> frozenset[str]:
    """The attributes a client gave values, as `AttributePath.text` has them: top-level ones and extensions'."""
    paths: set[str] = {memberships} if memberships is not None and resource.members else set()
    for name, value in resource.document.items():
        paths |= {f"{name}:{inner}" for inner in value} if ":" in name else {name}
    return frozenset(paths)


@dataclass(frozen=True, slots=True)
class Present:
    """What a change is applied to: the stored document, and those members the change names.

    `members` maps id to member; it is complete only if the change asked for all (`Scope.ALL`).
    """

    document: JsonObject
    members: Mapping[str, Member] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What a write does to a resource: nothing if it equals `Change()`.

    `document` is the new document, None if it stays. Members are rows to add and ids to remove;
    those added are not present and those removed are, as far as `Present` told.
    """

    document: JsonObject | None = None
    add_members: tuple[Member, ...] = ()
    remove_members: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the write changes nothing, so that version and lastModified stay (A-31)."""
        return self.document is None and not self.add_members and not self.remove_members


@dataclass(frozen=True, slots=True)
class Scope:
    """Which members a change has to see: those named, or all of them."""

    ids: frozenset[str] = frozenset()
    all: bool = False
