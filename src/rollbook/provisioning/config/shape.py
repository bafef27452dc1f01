"""The shape of rollbook.yaml as pydantic models: for editors (JSON Schema) and for checking structure.

Only at this edge; behind it the configuration is `model.Config`. Names and expressions are checked by
`rules`, which knows the schemas.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    Tag,
    model_validator,
)

from rollbook.protocol.values import JsonObject

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
BASE_URL = r"^https?://[^\s@?#]+$"
LeavePolicy = Literal["disable", "delete", "keep"]
DriftWord = Literal["report", "overwrite", "take_over"]
ApplyName = Literal["always", "create", "empty"]
ClearName = Annotated[
    Literal["remove", "null", "empty", "keep"] | None,
    BeforeValidator(lambda said: "null" if said is None else said),
]
"""Without quotes, null is YAML's, and means the same."""


class Shape(BaseModel):
    """What all models share: no unknown keys, no conversion of one type into another."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


RULE_KINDS = ("from", "value", "expr", "unique")
"""What a rule is one of."""


class RuleShape(Shape):
    """One of from, value, expr and unique, and when it counts."""

    from_: str | None = Field(None, alias="from", min_length=1, description="Copy this column or attribute.")
    value: str | StrictBool | StrictInt | StrictFloat | None = Field(None, description="Always this value.")
    expr: str | None = Field(None, min_length=1, description="The result of this CEL expression.")
    unique: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (),
        min_length=1,
        max_length=10,
        strict=False,
        description="In a source: CEL expressions for a name that nobody else has, best first.",
    )
    default: str | StrictBool | StrictInt | StrictFloat | None = Field(
        None, description="The value where the rule gives none."
    )
    when: str | None = Field(
        None, min_length=1, description="A CEL condition; while it is false there is no value."
    )
    apply: ApplyName = Field(
        "always", description="When it is written: always, with a new one only, or while there is no value."
    )
    clear: ClearName = Field(
        None,
        description="What is sent when the value is gone: remove, null, something empty, or nothing (keep).",
    )

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [kind]} for kind in RULE_KINDS]},
        title="Rule",
        extra="forbid",
        strict=True,
    )

    @model_validator(mode="after")
    def _one(self) -> "RuleShape":
        if len({"from_", "value", "expr", "unique"} & self.model_fields_set) != 1:
            raise ValueError("a rule is one of from, value, expr and unique")
        return self


def _is_rule(value: Any) -> bool:
    """Whether a mapping is a rule rather than parts with rules of their own."""
    return not (isinstance(value, dict) and value and all(isinstance(part, dict) for part in value.values()))


def _element_kind(value: Any) -> str:
    return "rule" if isinstance(value, RuleShape) or _is_rule(value) else "parts"


def _attribute_kind(value: Any) -> str:
    return "values" if isinstance(value, list) else "rule"


Parts = dict[str, RuleShape]
Element = Annotated[
    Annotated[RuleShape, Tag("rule")] | Annotated[Parts, Tag("parts")], Discriminator(_element_kind)
]
AttributeRule = Annotated[
    Annotated[RuleShape, Tag("rule")] | Annotated[list[Element], Tag("values")],
    Discriminator(_attribute_kind),
]
"""A rule, or a list with one rule, or one set of parts, for each value of a multi-valued attribute."""
Rules = dict[str, AttributeRule]
UNION_TAGS = frozenset(
    {
        "rule", "values", "written_out", "in_file", "parts", "limits", "off", "same", "by_reason", "by_attribute", "one", "several",
        "csv", "jsonl", "sql", "scim", "ldap", "rollbook", "webhook",
    }
)  # fmt: skip
"""Names pydantic puts into the place of an error that are not in the file."""


class SourceGroupShape(Shape):
    """Groups made of a column: one for each value; whoever has the value is a member."""

    from_: str = Field(alias="from", min_length=1, description="The column; no group where it is empty.")
    display_name: RuleShape | None = Field(
        None, alias="displayName", description="The group's name; the column's value by default."
    )


class ScheduleShape(Shape):
    """When something is done by a worker: one of every and cron."""

    every: str | None = Field(None, description="30s, 15m, 6h, 1d.")
    cron: str | None = Field(None, description="minute hour day month weekday: 30 6 * * 1-5.")
    zone: str = Field("UTC", description="The time zone of cron, such as Europe/Berlin.")


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


class MailShape(Shape):
    """Alerts by mail."""

    to: tuple[str, ...] = Field(min_length=1, strict=False, description="Who gets them.")
    sender: str = Field("rollbook@localhost", description="From whom they are.")
    server: str = Field("localhost", description="The mail server: host, or host:port.")


class AlertsShape(Shape):
    """Who is told what needs somebody."""

    webhook: Annotated[
        str | None, Field(description="${VARIABLE}, file:/path or command:… of a URL that takes JSON.")
    ] = None
    private: Annotated[
        bool, Field(description="Whether the name of the webhook's host may lead to an inner network.")
    ] = False
    mail: Annotated[MailShape | None, Field(description="Mail: to, sender, server.")] = None


class ChangesShape(Shape):
    """That a worker reads only what has changed, and when it reads everything all the same."""

    full: ScheduleShape = Field(
        ScheduleShape(every="1d", cron=None, zone="UTC"),
        description="When everything is read all the same: every or cron.",
    )


class ScimChangesShape(ChangesShape):
    """Changes of a SCIM server, by meta.lastModified."""

    overlap: str = Field("5m", description="How much before the last change seen is read again.")


class SqlChangesShape(ScimChangesShape):
    """Changes of a query."""

    column: str = Field(
        min_length=1,
        description="The column that says when a record was changed last: a time, or a number that grows.",
    )
    query: str | None = Field(
        None,
        min_length=1,
        description="The SELECT for changes since :since, if the usual one with a condition is not it.",
    )


class JoinTestShape(Shape):
    """A hub attribute and what it is compared with: one of from and expr."""

    attribute: str = Field(min_length=1, description="The hub's attribute, such as emails.value.")
    from_: str | None = Field(None, alias="from", min_length=1, description="The column it must equal.")
    expr: str | None = Field(None, min_length=1, description="The CEL expression it must equal.")
    normalize: bool = Field(False, description="Whether case, accents and separators make no difference.")


class JoinShape(Shape):
    """How the hub user of a new record is found: one attribute, or all of several."""

    attribute: str | None = Field(None, min_length=1, description="The hub's attribute.")
    from_: str | None = Field(None, alias="from", min_length=1, description="The column it must equal.")
    expr: str | None = Field(None, min_length=1, description="The CEL expression it must equal.")
    normalize: bool = Field(False, description="Whether case, accents and separators make no difference.")
    all: tuple[JoinTestShape, ...] = Field((), strict=False, description="Several that must all be equal.")
    sure: bool = Field(True, description="false: whom it finds is proposed, and somebody decides.")


class SourceShape(Shape):
    """What all sources have in common."""

    type: str
    key: str = Field(min_length=1, description="The column that identifies a person for ever.")
    users: Rules = Field(min_length=1, description="User attribute → rule on the record.")
    groups: tuple[SourceGroupShape, ...] = Field((), strict=False, description="Groups made of columns.")
    missing: LeavePolicy = Field("disable", description="What happens to someone whose record is gone.")
    schedule: ScheduleShape | None = Field(
        None, description="When a worker reads it: every or cron; by hand only without one."
    )
    join: tuple[JoinShape, ...] = Field(
        (), strict=False, description="What finds the hub user of a new record, tried in order."
    )
    create: bool = Field(True, description="Whether a record that belongs to nobody makes a user.")
    shrink_limit: float = Field(
        0.2,
        ge=0,
        le=1,
        description="The share of known records that may be gone (always fewer than five may) before the run stops.",
    )


class CsvShape(SourceShape):
    """A CSV file with a header line."""

    type: Literal["csv"] = Field(description="csv")
    path: str = Field(min_length=1, description="The file, relative to this one.")
    encoding: str | None = Field(None, description="The file's encoding; UTF-8 by default, never guessed.")
    delimiter: str = Field(",", min_length=1, max_length=1, description="What separates columns.")


class JsonLinesShape(SourceShape):
    """A file with a JSON object in each line."""

    type: Literal["jsonl"] = Field(description="jsonl")
    path: str = Field(min_length=1, description="The file, relative to this one.")


class SqlShape(SourceShape):
    """A query of a database; it is only read."""

    type: Literal["sql"] = Field(description="sql")
    url: str = Field(
        min_length=1,
        description="An SQLAlchemy URL, or ${VARIABLE}, file:/path or command:… of one with a password.",
    )
    query: str = Field(min_length=1, description="One SELECT; its columns are those of the source.")
    changes: SqlChangesShape | None = Field(
        None, description="Read changes only: column, query, overlap, full."
    )


class ScimShape(SourceShape):
    """The users of another SCIM server."""

    type: Literal["scim"] = Field(description="scim")
    url: str = Field(pattern=BASE_URL, description="The base URL, without credentials.")
    token: str = Field(
        min_length=1, description="${VARIABLE}, file:/path or command:…; never the token itself."
    )
    filter: str | None = Field(None, description="A SCIM filter, sent as it is; all users without one.")
    private: bool = Field(False, description="Whether the host's name may lead to an inner network.")
    changes: ScimChangesShape | None = Field(None, description="Read changes only: overlap, full.")


class LdapShape(SourceShape):
    """An LDAP directory."""

    type: Literal["ldap"] = Field(description="ldap")
    url: str = Field(
        pattern=r"^ldaps?://[^\s@?#/]*/?$", description="ldaps://host, or ldap:// with start_tls."
    )
    base: str = Field(min_length=1, description="Where people are: ou=people,dc=example,dc=com.")
    filter: str = Field("(objectClass=inetOrgPerson)", min_length=3, description="An LDAP filter.")
    bind_dn: str = Field("", description="Who asks; anonymous without it.")
    password: str | None = Field(None, min_length=1, description="${VARIABLE}, file:/path or command:….")
    attributes: tuple[str, ...] = Field(
        (), strict=False, description="What is read beside the columns that rules name."
    )
    start_tls: bool = Field(False, description="Whether to begin TLS on an ldap:// connection.")
    ca_file: str | None = Field(None, description="Authorities to trust, as PEM, relative to this file.")
    timeout: float = Field(30.0, gt=0, le=600, description="Seconds until the server is given up.")
    changes: ChangesShape | None = Field(
        None, description="Read changes only, by syncrepl; the key must be entryUUID: full."
    )


class RollbookShape(SourceShape):
    """The users of another Rollbook, read from its database."""

    type: Literal["rollbook"] = Field(description="rollbook")
    database: str = Field(
        min_length=1, description="Its database URL, or ${VARIABLE} or file:/path of one with a password."
    )
    tenant: int = Field(1, ge=1, description="The number of its tenant.")
    changes: ChangesShape | None = Field(None, description="Read changes only, by its change log: full.")


def _secret_kind(value: Any) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


class WebhookShape(SourceShape):
    """People that are sent to us, signed: rollbook serve takes them at /hooks/ and the source's name."""

    type: Literal["webhook"] = Field(description="webhook")
    secret: Annotated[
        Annotated[str, Tag("one")]
        | Annotated[tuple[str, ...], Tag("several"), Field(min_length=1, strict=False)],
        Discriminator(_secret_kind),
    ] = Field(description="${VARIABLE} or file:/path of a secret whsec_…; a list of two while it is changed.")


AnySource = Annotated[
    CsvShape | JsonLinesShape | SqlShape | ScimShape | LdapShape | RollbookShape | WebhookShape,
    Field(discriminator="type"),
]

SOURCES: dict[str, type[SourceShape]] = {
    "csv": CsvShape,
    "jsonl": JsonLinesShape,
    "sql": SqlShape,
    "scim": ScimShape,
    "ldap": LdapShape,
    "rollbook": RollbookShape,
    "webhook": WebhookShape,
}
"""Every kind of source by its type."""


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


class BrakeShape(Shape):
    """When a run stops and asks, since too many accounts would be disabled or deleted."""

    share: Annotated[float, Field(ge=0, le=1, description="More than this share of the accounts, and")] = 0.05
    least: Annotated[int, Field(ge=1, description="at least so many,")] = 3
    days: Annotated[int, Field(ge=0, le=366, description="within so many days; or all of them.")] = 7


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


def _brake_kind(value: Any) -> str:
    return "limits" if isinstance(value, dict | BrakeShape) else "off"


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
    brake: Annotated[
        Annotated[BrakeShape, Tag("limits")] | Annotated[Literal["off"], Tag("off")],
        Discriminator(_brake_kind),
    ] = Field(BrakeShape(), description="When a run stops and asks: share, least and days; or off.")


class TableFileShape(Shape):
    """A table in a CSV file with a header line."""

    file: str = Field(min_length=1, description="The file, relative to this one.")
    key: str = Field(min_length=1, description="The column that is looked in.")
    value: str = Field(min_length=1, description="The column of what is found.")
    encoding: str | None = Field(None, description="The file's encoding; UTF-8 by default.")
    delimiter: str = Field(",", min_length=1, max_length=1, description="What separates columns.")


def _table_kind(value: Any) -> str:
    return "in_file" if isinstance(value, TableFileShape) or is_in_file(value) else "written_out"


def is_in_file(table: Any) -> bool:
    """Whether a table is said to stand in a file, rather than written out."""
    return isinstance(table, dict) and "file" in table and bool({"key", "value"} & table.keys())


Table = Annotated[
    Annotated[TableFileShape, Tag("in_file")] | Annotated[dict[str, str], Tag("written_out")],
    Discriminator(_table_kind),
]


class ConfigShape(Shape):
    """The whole of rollbook.yaml."""

    version: Literal[1] = Field(description="The version of this format.")
    sources: dict[Name, AnySource] = Field({}, description="Name → where people come from.")
    targets: dict[Name, TargetShape] = Field({}, description="Name → where accounts are kept in step.")
    tables: dict[Name, Table] = Field(
        {}, description="Name → what expressions look up: text: text, or file, key and value of a CSV file."
    )
    authority: dict[str, Annotated[tuple[Name, ...], Field(min_length=1, strict=False)]] = Field(
        {}, description="Attribute of several sources → whose value counts, best first."
    )
    sensitive: tuple[str, ...] = Field(
        (), strict=False, description="Attributes whose values are masked in plans, logs and reports."
    )
    alerts: AlertsShape = Field(AlertsShape(), description="Who is told what needs somebody: webhook, mail.")
    keep_days: int = Field(
        90, ge=1, le=3660, description="How long what was done for each person at each target is kept."
    )


def json_schema() -> JsonObject:
    """The JSON Schema of rollbook.yaml, as editors take it."""
    schema = ConfigShape.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "rollbook.yaml",
        "description": "Sources, targets and what goes from the ones to the others.",
    }


_RULE_KEYS = tuple(field.alias or name for name, field in RuleShape.model_fields.items())
_SECTION = 2
"""Steps to a source or target by name."""
_MODELS: dict[tuple[str | int, ...], type[Shape]] = {
    (): ConfigShape,
    ("alerts",): AlertsShape,
    ("alerts", "*"): MailShape,
    ("sources", "*", "schedule"): ScheduleShape,
    ("sources", "*", "changes", "full"): ScheduleShape,
    ("targets", "*"): TargetShape,
    ("targets", "*", "groups"): TargetGroupsShape,
    ("targets", "*", "brake"): BrakeShape,
    ("targets", "*", "leave"): LeaveShape,
    ("targets", "*", "oauth"): OAuthShape,
    ("targets", "*", "basic"): BasicShape,
    ("targets", "*", "quiet"): QuietShape,
    ("targets", "*", "audit"): ScheduleShape,
    ("targets", "*", "drift"): DriftShape,
}
"""What may stand at a place; * is any name."""
_CHANGES: dict[str, type[Shape]] = {"sql": SqlChangesShape, "scim": ScimChangesShape}


def allowed_keys(place: tuple[str | int, ...], type_name: object = None) -> tuple[str, ...]:
    """The keys that may stand in the mapping at a place of the file; `type_name` is the type of the source it is in."""
    model = _MODELS.get(tuple("*" if index == 1 else step for index, step in enumerate(place)))
    if place[:1] == ("sources",) and len(place) == _SECTION:
        model = SOURCES.get(str(type_name), CsvShape)
    if len(place) == _SECTION + 1 and place[:1] == ("sources",) and place[2] == "changes":
        model = _CHANGES.get(str(type_name), ChangesShape)
    if len(place) == _SECTION + 2 and place[0] == "sources" and place[2] == "groups":
        model = SourceGroupShape
    if place[:1] == ("tables",) and len(place) == _SECTION:
        model = TableFileShape
    if len(place) > _SECTION + 1 and place[0] == "sources" and place[2] == "join":
        model = JoinShape if len(place) == _SECTION + 2 else JoinTestShape
    if model is None:
        return _RULE_KEYS
    return tuple(field.alias or name for name, field in model.model_fields.items())
