"""Shapes of sources: what each kind of them may say."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from rollbook.provisioning.config.rule_shapes import (
    BASE_URL,
    LeavePolicy,
    Rules,
    RuleShape,
    ScheduleShape,
    Shape,
)


class SourceGroupShape(Shape):
    """Groups made of a column: one for each value; whoever has the value is a member."""

    from_: str = Field(alias="from", min_length=1, description="The column; no group where it is empty.")
    display_name: RuleShape | None = Field(
        None, alias="displayName", description="The group's name; the column's value by default."
    )


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
