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


class Problem(Shape):
    """What was wrong with a request (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    """What was wrong, and what to do."""
    code: str | None = None
    """More exactly, in the words of SCIM, such as uniqueness."""
