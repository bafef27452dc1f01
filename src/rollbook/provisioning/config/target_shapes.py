"""Shapes of targets: how they are reached, and what limits what is done there."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from rollbook.provisioning.config.rule_shapes import (
    BASE_URL,
    ClearName,
    LeavePolicy,
    Rules,
    RuleShape,
    ScheduleShape,
    Shape,
)

DriftWord = Literal["report", "overwrite", "take_over"]


class DriftShape(Shape):
    """What happens to what an audit finds different: default, and attributes by name."""

    default: DriftWord = Field("report", description="For all that is not named.")

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, DriftWord] = Field(init=False)


def _drift_kind(value: Any) -> str:
    return "by_attribute" if isinstance(value, dict | DriftShape) else "same"


DriftRule = Annotated[
    Annotated[DriftWord, Tag("same")] | Annotated[DriftShape, Tag("by_attribute")], Discriminator(_drift_kind)
]


class QuietShape(Shape):
    """Hours in which nothing is sent."""

    from_: str = Field(alias="from", description="A time of day: '22:00'.")
    to: str = Field(description="A time of day, the next one if it is earlier: '06:00'.")
    zone: str = Field("UTC", description="Their time zone.")


class TargetGroupsShape(Shape):
    """Which groups go out."""

    scope: str | None = Field(None, description="A SCIM filter on groups; all without one.")
    display_name: RuleShape | None = Field(
        None, alias="displayName", description="The group's name; its own by default."
    )
    external_id: RuleShape | None = Field(
        None, alias="externalId", description="The group's externalId; none by default."
    )
    members: bool = Field(True, description="Whether members go out with the group.")
    nested: Literal["keep", "flatten"] | None = Field(
        None,
        description="Groups in groups: keep them, or flatten: people in them become members; as the profile says, else keep.",
    )


class ArrivalsShape(Shape):
    """When a run stops and asks, since too many accounts would be made or taken over."""

    share: Annotated[
        float, Field(ge=0, description="More than this share of the accounts that were there before, and")
    ] = 1.0
    least: Annotated[int, Field(ge=1, description="at least so many, within the days of the brake.")] = 1000


def _limit_kind(value: Any) -> str:
    return "limits" if isinstance(value, dict | Shape) else "off"


class BrakeShape(Shape):
    """When a run stops and asks, since too many accounts would be disabled or deleted."""

    share: Annotated[float, Field(ge=0, le=1, description="More than this share of the accounts, and")] = 0.05
    least: Annotated[int, Field(ge=1, description="at least so many,")] = 3
    days: Annotated[int, Field(ge=0, le=366, description="within so many days; or all of them.")] = 7
    arrivals: Annotated[
        Annotated[ArrivalsShape, Tag("limits")] | Annotated[Literal["off"], Tag("off")],
        Discriminator(_limit_kind),
    ] = Field(default=ArrivalsShape(), description="The same for new accounts: share and least; or off.")


class LeaveShape(Shape):
    """What happens to accounts by why their people have no right to them."""

    leaver: LeavePolicy = Field("disable", description="Who is deleted in the hub.")
    out_of_scope: LeavePolicy = Field("disable", description="Who is not in scope any more.")
    suspended: LeavePolicy = Field("disable", description="Who is inactive.")
    grace: str | None = Field(
        None, description="How long an account that is to be deleted is only switched off: 30d."
    )


def _leave_kind(value: Any) -> str:
    return "by_reason" if isinstance(value, dict | LeaveShape) else "same"


class OAuthShape(Shape):
    """OAuth 2 client credentials: with client_secret, or with private_key."""

    token_url: str = Field(pattern=BASE_URL, description="The token endpoint.")
    client_id: str = Field(min_length=1, description="Who we are there.")
    client_secret: str | None = Field(None, min_length=1, description="${VARIABLE}, file:/path or command:….")
    private_key: str | None = Field(
        None, min_length=1, description="The PEM file of a key of ours, relative to this one."
    )
    key_id: str | None = Field(None, description="The key's id there (kid).")
    algorithm: Literal["RS256", "PS256", "ES256", "EdDSA"] = Field("RS256", description="How it signs.")
    scope: str | None = Field(None, description="The scope to ask for.")
    audience: str | None = Field(None, description="The audience to ask for, where the server wants one.")


class BasicShape(Shape):
    """User name and password; only for services that offer nothing better."""

    user: str = Field(min_length=1, description="The user name.")
    password: str = Field(min_length=1, description="${VARIABLE}, file:/path or command:….")


class RateShape(Shape):
    """How many requests a target takes."""

    requests: int = Field(ge=1, description="So many requests")
    per: str = Field("1s", description="in so long: 1s, 1m, 1h.")
    methods: tuple[Literal["GET", "POST", "PUT", "PATCH", "DELETE"], ...] = Field(
        (), strict=False, description="Of these methods; all without them."
    )
    resource: Literal["User", "Group"] | None = Field(None, description="To this type; to all without it.")
    burst: int = Field(0, ge=0, description="At once after a rest; a tenth without it.")


class TargetShape(Shape):
    """A SCIM service that is kept in step."""

    type: Literal["scim"] = Field(description="The kind of target.")
    url: str = Field(pattern=BASE_URL, description="The base URL, without credentials.")
    token: str | None = Field(
        None, min_length=1, description="${VARIABLE}, file:/path or command:…; never the token itself."
    )
    expires: str | None = Field(
        None,
        description="When the token, or whatever stands in its place, ends: 2027-03-01. People are told in time.",
    )
    oauth: OAuthShape | None = Field(None, description="OAuth 2 client credentials, in place of a token.")
    basic: BasicShape | None = Field(None, description="User and password, in place of a token.")
    certificate: str | None = Field(
        None, description="The PEM file of a client certificate, relative to this one."
    )
    certificate_key: str | None = Field(None, description="The PEM file of its key.")
    ca_file: str | None = Field(
        None, description="The PEM file of authorities to trust beside the usual ones."
    )
    proxy: str | None = Field(
        None, description="A proxy: http://host:3128, or ${VARIABLE} if it has a password."
    )
    private: bool = Field(False, description="Whether the host's name may lead to an inner network.")
    scope: str | None = Field(None, description="A SCIM filter on users; everyone without one.")
    protect: str | None = Field(
        None,
        description="A SCIM filter on accounts at the target that are never adopted, changed, disabled or deleted.",
    )
    leave: Annotated[
        Annotated[LeavePolicy, Tag("same")] | Annotated[LeaveShape, Tag("by_reason")],
        Discriminator(_leave_kind),
    ] = Field(
        "disable", description="What happens to the account of someone who leaves; by reason, if need be."
    )
    users: Rules = Field(min_length=1, description="What goes out; nothing else ever does.")
    groups: TargetGroupsShape | None = Field(None, description="Which groups go out; none without this.")
    clear: ClearName = Field(
        None,
        description="What is sent when a value is gone, where a rule does not say it; what the profile says, else remove.",
    )
    profile: str | None = Field(
        None, description="What kind of target it is, if it is a well-known one: rollbook profiles."
    )
    rate: tuple[RateShape, ...] = Field(
        (), strict=False, description="Rate limits; those of the profile without them."
    )
    etags: bool | None = Field(
        None,
        description="Whether changes are made onto the version that was read; as the target says without it.",
    )
    search_by_post: bool | None = Field(
        None, description="Whether look-ups go by POST .search, so that no personal data stands in a URL."
    )
    concurrency: int = Field(8, ge=1, le=256, description="Most calls at the same time.")
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds until a call is given up.")
    settle: float | None = Field(
        None,
        ge=0,
        le=3600,
        description="Seconds for which an account that was made may not show yet: no second one is made until then.",
    )
    audit: ScheduleShape | None = Field(
        None, description="When a worker compares all accounts with what they should be: every or cron."
    )
    drift: DriftRule | None = Field(
        None,
        description="What happens to what an audit finds different: report, overwrite or take_over; by attribute, if need be.",
    )
    quiet: QuietShape | None = Field(
        None, description="Hours in which a worker sends nothing: from, to, zone."
    )
    temporary_names: bool = Field(
        False,
        description="Whether somebody may have another name there for a moment, where people swap theirs and nobody else could begin.",
    )
    brake: Annotated[
        Annotated[BrakeShape, Tag("limits")] | Annotated[Literal["off"], Tag("off")],
        Discriminator(_limit_kind),
    ] = Field(BrakeShape(), description="When a run stops and asks: share, least, days and arrivals; or off.")
