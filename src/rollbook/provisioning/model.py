"""What the engine works with: sources, mappings and targets, as frozen values once the configuration is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from rollbook.client import Grant
from rollbook.protocol.resolved import ResolvedFilter
from rollbook.protocol.schema import AttributePath
from rollbook.protocol.values import JsonObject, JsonValue
from rollbook.provisioning.profile import NO_PROFILE, Profile, Rate
from rollbook.provisioning.schedule import Quiet, Schedule


class Leave(StrEnum):
    """What happens to an account of someone who left the target's scope, left the company, or is inactive."""

    DISABLE = "disable"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True)
class LeavePolicy:
    """What happens to accounts by why their people have no right to them: left the company, left the scope, suspended.

    With a grace period (milliseconds) an account that is to be deleted is only switched off until it is over.
    """

    leaver: Leave
    out_of_scope: Leave
    suspended: Leave
    grace: int = 0

    @classmethod
    def same(cls, leave: Leave) -> "LeavePolicy":
        """The same for everybody, at once."""
        return cls(leave, leave, leave)

    @property
    def every(self) -> frozenset[Leave]:
        """All that may happen."""
        return frozenset({self.leaver, self.out_of_scope, self.suspended})


class Rule(Protocol):
    """One way to compute a value: a copy, a constant or an expression."""

    def evaluate(self, inputs: Mapping[str, JsonValue]) -> JsonValue:
        """The value, None for no value.

        Raises:
            MappingError: the expression failed on these inputs.
        """


class Apply(StrEnum):
    """When the value of a rule is written."""

    ALWAYS = "always"
    CREATE = "create"
    """With the account only; afterwards it is nobody's business."""
    EMPTY = "empty"
    """While there is no value."""


class Clear(StrEnum):
    """What is sent when the wanted value is gone."""

    REMOVE = "remove"
    NULL = "null"
    EMPTY = "empty"
    KEEP = "keep"
    """Nothing: the old value stays."""


@dataclass(frozen=True)
class Way:
    """How an attribute is kept up once there is an account."""

    apply: Apply = Apply.ALWAYS
    clear: Clear = Clear.REMOVE


USUAL = Way()


@dataclass(frozen=True)
class Assignment:
    """A rule and the attribute it fills. A multi-valued complex attribute has one per value and part."""

    path: AttributePath
    rule: Rule
    element: int | None = None
    """The number of the value this part belongs to, for attributes mapped value by value; else None."""
    way: Way = USUAL


@dataclass(frozen=True)
class ObjectMapping:
    """How one kind of object becomes another: only what is assigned here leaves (I-12)."""

    assignments: tuple[Assignment, ...]


@dataclass(frozen=True)
class GroupRule:
    """Groups made of a source column: one group for each value, the person is a member."""

    column: str
    display_name: Rule


@dataclass(frozen=True)
class Changes:
    """How a source tells what has changed since it was read last."""

    full: Schedule
    """When everything is read all the same."""
    overlap: int = 0
    """Milliseconds before the mark that are read again, for what was written late."""
    column: str | None = None
    """Of a query: the column that says when a record was changed last."""
    query: str | None = None
    """The query for changes since `:since`, if not made of the other one."""


@dataclass(frozen=True)
class JoinTest:
    """One thing that a record and a hub user must have in common: an attribute, and what it is compared with."""

    path: AttributePath
    rule: Rule
    normalize: bool = False
    """Whether case, accents and what stands between words make no difference."""


@dataclass(frozen=True)
class JoinRule:
    """How the user of a new record is found; all tests must hold. One that is not `sure` only proposes."""

    tests: tuple[JoinTest, ...]
    text: str
    """What it compares, for people."""
    sure: bool = True


@dataclass(frozen=True)
class Shared:
    """An attribute that several sources fill, and whose value counts first."""

    path: AttributePath
    order: tuple[str, ...]


@dataclass(frozen=True)
class Peer:
    """What a source needs to know of another one that may feed the same people."""

    create: bool
    missing: Leave


@dataclass(frozen=True)
class Source:
    """A place people come from."""

    name: str
    type: str
    path: str
    """The file, or for people where it is."""
    key: str
    users: ObjectMapping
    groups: tuple[GroupRule, ...] = ()
    missing: Leave = Leave.DISABLE
    """What happens to a person whose record is gone from a complete reading."""
    shrink_limit: float = 0.2
    """The share of known records that may be gone before the run stops (FE-11)."""
    references: tuple[Assignment, ...] = ()
    """Attributes that name another person by the source's key, such as the manager."""
    names: tuple[Assignment, ...] = ()
    """Attributes whose values nobody else has: chosen once, then kept."""
    columns: tuple[str, ...] = ()
    """Every column that must be there: the key, and what rules read without coping with its absence."""
    encoding: str | None = None
    delimiter: str = ","
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What only sources of its type have; secrets are among it."""
    schedule: Schedule | None = None
    """When a worker pulls it; never by itself without one."""
    changes: Changes | None = None
    """How changes are read; None if everything is, each time."""
    digest: str = ""
    """Changes whenever anything does that decides what is read or made of it."""
    join: tuple[JoinRule, ...] = ()
    """What finds the user of a new record, in order; externalId and userName without any."""
    create: bool = True
    """Whether a record that belongs to nobody makes a user."""
    shared: tuple[Shared, ...] = ()
    """Those of its attributes that other sources fill too."""
    peers: Mapping[str, Peer] = field(default_factory=dict)
    """The other sources that may feed the same people, by name; none unless the file speaks of several."""

    @property
    def is_joined(self) -> bool:
        """Whether its people may be others' too: another source's, or somebody's who wrote them into the hub."""
        return bool(self.peers) or bool(self.join) or not self.create


@dataclass(frozen=True)
class TargetGroups:
    """Which groups go to a target, under what name, and whether with members."""

    scope: ResolvedFilter | None
    mapping: ObjectMapping
    members: bool
    scope_text: str | None = None
    flat: bool = False
    """Whether people in groups of a group are its own members there: the target has no groups in groups."""


class Drift(StrEnum):
    """What happens to what an audit finds different at a target."""

    REPORT = "report"
    OVERWRITE = "overwrite"
    TAKE_OVER = "take_over"
    """The hub takes the target's value."""


@dataclass(frozen=True)
class DriftPolicy:
    """The same by attribute. `default` holds for all others, for accounts that are gone, and for members."""

    default: Drift = Drift.REPORT
    attributes: Mapping[str, Drift] = field(default_factory=dict)
    """By path, as differences have it: whole attributes, or parts."""

    def of(self, path: AttributePath) -> Drift:
        """What holds for an attribute, or a part of one."""
        whole = path._replace(sub=None)
        return self.attributes.get(path.text, self.attributes.get(whole.text, self.default))

    @property
    def members(self) -> Drift:
        """What holds for members of groups."""
        return self.attributes.get(MEMBERS, self.default)


MEMBERS = "members"
"""What members of groups are called in a drift policy."""


@dataclass(frozen=True)
class ArrivalLimit:
    """How many accounts may be made or taken over within the brake's days before somebody is asked, once the first load is over.

    That is more than this share of those that were there before, and at least that many.
    """

    share: float = 1.0
    least: int = 1000


@dataclass(frozen=True)
class BrakeLimit:
    """How many accounts may be disabled or deleted within so many days before somebody is asked.

    That is more than this share of them, and at least that many; or all of them, if there are several.
    """

    share: float = 0.05
    least: int = 3
    days: int = 7
    arrivals: ArrivalLimit | None = ArrivalLimit()
    """None for none."""


@dataclass(frozen=True)
class Access:
    """How a target is reached beside its URL and a bearer token; secrets are in it."""

    grant: Grant | None = None
    basic: tuple[str, str] | None = field(default=None, repr=False)
    ca: bytes | None = None
    certificate: tuple[bytes, bytes] | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    private: bool = False
    """Whether its name may lead to an address of an inner network."""


@dataclass(frozen=True)
class Target:
    """A SCIM service to be kept in step. `token` is a secret: its repr must never reach a log."""

    name: str
    url: str
    token: str = field(repr=False)
    scope: ResolvedFilter | None
    leave: LeavePolicy
    users: ObjectMapping
    groups: TargetGroups | None
    digest: str
    """Changes whenever anything that decides what is sent changes: all links are looked at again then."""
    concurrency: int = 8
    timeout: float = 30.0
    settle: int = 0
    """For how many milliseconds the target may not yet show an account that it has made."""
    brake: BrakeLimit | None = BrakeLimit()
    """None for none."""
    sensitive: frozenset[str] = frozenset()
    """Attributes whose values are masked wherever people look, in small letters."""
    scope_text: str | None = None
    """The scope as the file has it."""
    protect: ResolvedFilter | None = None
    """Accounts at the target that nothing is ever done to."""
    protect_text: str | None = None
    quiet: Quiet | None = None
    """Hours in which a worker sends nothing."""
    temporary_names: bool = False
    """Whether somebody may have a name of the moment there, so that others can swap theirs."""
    profile: Profile = NO_PROFILE
    rate: tuple[Rate, ...] = ()
    """What the profile says, unless the configuration says it."""
    access: Access = Access()
    ends: int | None = None
    """When its credentials end, in milliseconds since 1970, as far as anybody says."""
    audit: Schedule | None = None
    """When a worker compares all accounts with what they should be; never by itself without one."""
    drift: DriftPolicy | None = None
    """What happens to what it finds; None is a report, and whatever is sent later overwrites it."""

    @property
    def is_flat(self) -> bool:
        """Whether groups at the target have people only."""
        return self.groups is not None and self.groups.flat


@dataclass(frozen=True)
class Alerts:
    """Where people are told what needs them; the webhook's URL is a secret."""

    webhook: str | None = field(default=None, repr=False)
    mail_to: tuple[str, ...] = ()
    mail_from: str = "rollbook@localhost"
    mail_server: str = "localhost"
    private: bool = False
    """Whether the name of the webhook's host may lead to an inner network."""


@dataclass(frozen=True)
class Config:
    """The whole of rollbook.yaml."""

    path: str
    sources: Mapping[str, Source]
    targets: Mapping[str, Target]
    sensitive: frozenset[str] = frozenset()
    """Attributes whose values are masked wherever people look, in small letters."""
    keep_days: int = 90
    """How long deliveries are kept."""
    alerts: Alerts = Alerts()


class MappingError(Exception):
    """A rule failed on one object; `attribute` is the path it fills."""

    def __init__(self, attribute: str, reason: str) -> None:
        super().__init__(f"{attribute}: {reason}")
        self.attribute = attribute
        self.reason = reason


Wanted = JsonObject
"""The document a target should hold for a resource: canonical names, no schemas, no id."""
