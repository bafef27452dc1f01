"""Bodies and answers of /admin/v1: what is checked, what is sent, and what its OpenAPI document says, in one place."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Shape(BaseModel):
    """A JSON object with these members and no others."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )


class NewTenant(Shape):
    """A tenant to be made."""

    name: str
    """1 to 63 of a-z, 0-9 and -; it is part of its address for ever."""
    settings: dict[str, str] = {}
    """What it is told, by the names of settings."""
    host: str | None = None
    """A host name under which it is served beside its path."""
    definitions: list[dict[str, Any]] = []
    """Schemas and resource types of its own, in the form of RFC 7643."""


class TenantChange(Shape):
    """What is to be otherwise; what is left out stays."""

    settings: dict[str, str | None] = {}
    """Settings by name; null for as it is without."""
    host: str | None = None
    """A host name; empty to take it back."""
    state: Literal["open", "disabled"] | None = None
    """Disabled: no request of it is answered, and nothing of it is gone."""


class Tenant(Shape):
    """A tenant."""

    name: str
    state: Literal["open", "disabled", "deleting"]
    scim: str
    """The base URI of its SCIM service."""
    host: str | None
    settings: dict[str, str]
    created: str


class TenantDetail(Tenant):
    """A tenant, and how much there is of it."""

    resources: dict[str, int]
    """How many resources, by type."""
    resource_types: list[str]
    tokens: int


class TenantList(Shape):
    """A page of tenants by name."""

    tenants: list[Tenant]
    next_cursor: str | None = None
    """For the next page; null on the last."""


class NewToken(Shape):
    """A token to be made."""

    name: str
    """What it is for, shown in lists and logs."""
    scopes: list[str] = Field(min_length=1)
    """read, write, users, groups, type:NAME, admin:read, admin: no more than the token has that asks."""
    within: str | None = None
    """A SCIM filter: resources that do not match are not there for it."""
    own: bool = False
    """Only what it has made itself is there for it."""
    without: list[str] = []
    """Attributes that it does not see, and so does not change: userName, name.familyName, or with a URN before."""
    hold: list[str] = []
    """Attributes that it sees and does not change."""
    profile: str | None = None
    """Whose deviations from the RFCs it may use, in place of the tenant's."""
    user: str | None = None
    """The id of the user it acts for."""
    expires: str | None = None
    """When it ends, such as 2027-06-30T00:00:00Z; in a year if nothing is said."""


class Rotation(Shape):
    """How a token is replaced."""

    overlap_seconds: int = Field(default=86_400, ge=0, le=31_536_000)
    """How long the former one goes on."""
    expires: str | None = None
    """When the new one ends; in a year if nothing is said."""


class Token(Shape):
    """A token, without its secret."""

    id: str
    name: str
    state: Literal["valid", "expired", "revoked"]
    scopes: list[str]
    within: str | None
    own: bool
    without: list[str]
    hold: list[str]
    profile: str | None
    user: str | None
    created: str
    expires: str | None
    used: str | None
    """When it was last used, to the minute."""


class IssuedToken(Token):
    """A token that was just made."""

    token: str
    """The token itself: shown this once, and kept nowhere."""


class TokenList(Shape):
    """A page of tokens, oldest first."""

    tokens: list[Token]
    next_cursor: str | None = None
    """For the next page; null on the last."""


class ExtensionUse(Shape):
    """An extension of a resource type."""

    schema_urn: str = Field(alias="schema")
    required: bool


class DefinedType(Shape):
    """A resource type that is served."""

    name: str
    endpoint: str
    schema_urn: str = Field(alias="schema")
    extensions: list[ExtensionUse]
    resources: int
    core: bool
    """Whether it is SCIM's own, unchanged."""


class DefinedSchema(Shape):
    """A schema that is served."""

    id: str
    name: str
    attributes: int
    core: bool
    """Whether it is SCIM's own."""


class Definitions(Shape):
    """What a tenant serves."""

    resource_types: list[DefinedType]
    schemas: list[DefinedSchema]
    adjusted: list[str]
    """What its settings define otherwise."""


class Definition(Shape):
    """One schema or resource type."""

    document: dict[str, Any]
    """In the form of RFC 7643."""


class DefinitionsChange(Shape):
    """Schemas and resource types to be added, replaced and removed, all or none."""

    add: list[dict[str, Any]] = []
    """In the form of RFC 7643; those of a URN or name that is there replace it."""
    remove: list[str] = []
    """URNs of schemas, names of resource types."""
    drop_values: bool = False
    """Whether values are dropped that no definition has any more."""
    dry_run: bool = False
    """Only say what it would mean."""


class Difference(Shape):
    """A definition that is new (+), gone (-) or changed (~)."""

    sign: str
    name: str
    parts: list[str]


class Finding(Shape):
    """Resources that would not be valid any more."""

    resource_type: str
    fault: str
    where: str
    count: int
    examples: list[str]
    """Ids of some; none for a token that sees no resources."""
    advice: str


class DefinitionsChanged(Shape):
    """What a change of definitions means, and whether it was taken."""

    differences: list[Difference]
    warnings: list[str]
    resources: int
    """How many were looked at."""
    findings: list[Finding]
    taken: bool
    changed: int
    """How many resources lost values."""


class Run(Shape):
    """A run over a source or a target."""

    number: int
    command: int
    """The first run of the command it belongs to."""
    kind: str
    subject: str
    """The source or target."""
    started: str
    ended: str | None
    counts: dict[str, int]
    error: str | None
    """Why it has failed; for a token that may not see every resource that it has."""


class RunList(Shape):
    """A page of runs, newest first."""

    runs: list[Run]
    next_cursor: str | None = None
    """For the next page; null on the last."""


class RunDetail(Run):
    """A run, and all of the same command."""

    runs: list[Run]


class Delivery(Shape):
    """What a run did at a target."""

    at: str
    target: str
    resource_type: str
    id: str
    action: str
    detail: dict[str, Any] | None
    """Which attributes changed, from what to what, without secrets; null for a token that may not see every resource."""


class DeliveryList(Shape):
    """A page of what a run did, in order."""

    deliveries: list[Delivery]
    next_cursor: str | None = None
    """For the next page; null on the last."""


class Target(Shape):
    """How a target stands, by what the hub knows of it."""

    name: str
    done: int
    left: int
    ready: int
    waiting: int
    """Failed, and tried again."""
    parked: int
    """Given up until something changes, or somebody says retry."""
    behind: int
    """Changes of the hub that were not looked at yet."""
    stopped: str | None
    """Why nothing happens there until resume."""
    paused_until: str | None
    """Until when it is left alone by itself."""
    paused_because: str | None
    last_run: Run | None


class TargetList(Shape):
    """All targets by name."""

    targets: list[Target]


class Pause(Shape):
    """A pause."""

    reason: str = Field(default="", max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")
    """Why, for whoever looks."""


class Reset(Shape):
    """What is no longer believed of a target."""

    accounts: bool = False
    """Nor which accounts people have there: everybody is looked for anew, for a target that was emptied."""


class Retried(Shape):
    """What is tried again."""

    resources: int


class StuckResource(Shape):
    """Somebody nothing more happens to at a target, why, and what to try."""

    resource_type: str
    id: str
    label: str | None
    """What people call it; null for a token that may not see every resource."""
    reason: str | None
    """The same."""
    hint: str | None


class StuckList(Shape):
    """A page of what was given up."""

    problems: list[StuckResource]
    next_cursor: str | None = None
    """For the next page; null on the last."""


class Problem(Shape):
    """What was wrong with a request (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    """What was wrong, and what to do."""
    code: str | None = None
    """More exactly, in the words of SCIM, such as uniqueness."""
